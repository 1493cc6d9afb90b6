//! Pair distances as features (Eq. 26 of "Drifting to Boltzmann").

use ndarray::{Array2, ArrayView3};

/// Atom pairs `(i, j)` with i < j in row-major order: the order of all pair features.
pub fn pairs(atoms: usize) -> Vec<(usize, usize)> {
    (0..atoms).flat_map(|i| (i + 1..atoms).map(move |j| (i, j))).collect()
}

/// Distances of all pairs in angstrom, (N, P) with P = n (n - 1) / 2 (Eq. 26), from positions (N, n, 3).
pub fn distances(positions: ArrayView3<f64>) -> Array2<f64> {
    let (frames, atoms, _) = positions.dim();
    let pairs = pairs(atoms);
    Array2::from_shape_fn((frames, pairs.len()), |(frame, k)| {
        let (i, j) = pairs[k];
        (0..3).map(|c| (positions[[frame, i, c]] - positions[[frame, j, c]]).powi(2)).sum::<f64>().sqrt()
    })
}
