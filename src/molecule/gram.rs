//! J^T J of the pair distances of one frame, and its pseudo-inverse (Eq. 31, Algorithm 3).

use ndarray::{Array1, Array2, ArrayView2};
use ndarray_linalg::{Eigh, UPLO};

use super::features::{pairs, unit_vectors};

/// Eigenvalues below this part of the largest are cut. The rank is 3n - 6 in general and lower for
/// linear and planar frames, so a fixed count would be wrong.
const RELATIVE_CUT: f64 = 1e-10;

/// The Jacobian of a frame's pair distances, by its non-zeros.
pub(crate) struct Gram {
    /// The pairs, in the order of the features.
    pub pairs: Vec<(usize, usize)>,
    /// Unit vectors, (P, 3).
    pub units: Vec<[f64; 3]>,
    /// Distances in angstrom, (P).
    pub lengths: Vec<f64>,
    atoms: usize,
}

impl Gram {
    /// Of one frame (n, 3).
    pub fn new(frame: ArrayView2<f64>) -> Self {
        let pairs = pairs(frame.nrows());
        let (units, lengths) = unit_vectors(frame, &pairs);
        Gram { units, lengths, atoms: frame.nrows(), pairs }
    }

    /// J v for v (3n), into (P).
    pub fn carry(&self, v: &Array1<f64>, row: &mut [f64]) {
        for ((&(i, j), u), out) in self.pairs.iter().zip(&self.units).zip(row) {
            *out = (0..3).map(|c| u[c] * (v[3 * i + c] - v[3 * j + c])).sum();
        }
    }

    /// The lower triangle of J^T J, (3n, 3n), from its 3 x 3 blocks: -u u^T off the diagonal, their sums on it.
    fn lower(&self) -> Vec<f64> {
        let size = 3 * self.atoms;
        let mut gram = vec![0.0; size * size];
        for (&(i, j), u) in self.pairs.iter().zip(&self.units) {
            // i < j: the block below the diagonal is (j, i).
            for a in 0..3 {
                for b in 0..3 {
                    let block = u[a] * u[b];
                    gram[(3 * i + a) * size + 3 * i + b] += block;
                    gram[(3 * j + a) * size + 3 * j + b] += block;
                    gram[(3 * j + a) * size + 3 * i + b] = -block;
                }
            }
        }
        gram
    }

    /// (J^T J)^+, (3n, 3n). `None` where LAPACK fails.
    pub fn pseudo_inverse(&self) -> Option<Array2<f64>> {
        let (lower, size) = (self.lower(), 3 * self.atoms);
        let entry = |(i, j): (usize, usize)| lower[i.max(j) * size + i.min(j)];
        let (values, vectors) = Array2::from_shape_fn((size, size), entry).eigh(UPLO::Lower).ok()?;
        Some((&vectors * &inverse(&values)).dot(&vectors.t()))
    }
}

fn inverse(values: &Array1<f64>) -> Array1<f64> {
    let largest = values.iter().copied().fold(0.0, f64::max);
    values.mapv(|value| if value > RELATIVE_CUT * largest { 1.0 / value } else { 0.0 })
}
