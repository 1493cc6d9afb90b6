//! J^T J of the pair distances of one frame, and its pseudo-inverse (Eq. 31, Algorithm 3).

use ndarray::{Array1, Array2, ArrayView2};
use ndarray_linalg::{Eigh, FactorizeCInto, SolveC, UPLO};

use super::features::{pairs, unit_vectors};

/// Eigenvalues below this part of the largest are cut. The rank is 3n - 6 in general and lower for
/// linear and planar frames, so a fixed count would be wrong.
const RELATIVE_CUT: f64 = 1e-10;
/// Pivots below this part of the largest may belong to eigenvalues that are to be cut: look at those.
const SAFE_PIVOT: f64 = 1e-6;
/// A solution that misses its right-hand side by more, relative, is found anew by eigenvalues.
const SAFE_RESIDUAL: f64 = 1e-11;

/// The Jacobian of a frame's pair distances, by its non-zeros.
pub(crate) struct Gram {
    /// The pairs, in the order of the features.
    pub pairs: Vec<(usize, usize)>,
    /// Unit vectors, (P, 3).
    pub units: Array2<f64>,
    /// Distances in angstrom, (P).
    pub lengths: Vec<f64>,
    /// Orthonormal displacements that change no distance: translations and rotations, up to 6 columns of (3n).
    rigid: Vec<Array1<f64>>,
}

impl Gram {
    /// Of one frame (n, 3).
    pub fn new(frame: ArrayView2<f64>) -> Self {
        let pairs = pairs(frame.nrows());
        let (units, lengths) = unit_vectors(frame, &pairs);
        Gram { units, lengths, rigid: rigid(frame), pairs }
    }

    /// J v for v (3n), into (P).
    pub fn carry(&self, v: &Array1<f64>, row: &mut [f64]) {
        for ((&(i, j), u), out) in self.pairs.iter().zip(self.units.outer_iter()).zip(row) {
            *out = (0..3).map(|c| u[c] * (v[3 * i + c] - v[3 * j + c])).sum();
        }
    }

    /// J^T J, (3n, 3n), from its 3 x 3 blocks: -u u^T off the diagonal, their sums on it.
    fn matrix(&self) -> Array2<f64> {
        let size = self.rigid.first().map_or(0, Array1::len);
        let mut gram = Array2::<f64>::zeros((size, size));
        for (&(i, j), u) in self.pairs.iter().zip(self.units.outer_iter()) {
            for a in 0..3 {
                for b in 0..3 {
                    let block = u[a] * u[b];
                    gram[[3 * i + a, 3 * i + b]] += block;
                    gram[[3 * j + a, 3 * j + b]] += block;
                    gram[[3 * i + a, 3 * j + b]] -= block;
                    gram[[3 * j + a, 3 * i + b]] -= block;
                }
            }
        }
        gram
    }

    /// (J^T J)^+ f for f (3n): by Cholesky once the rigid displacements are lifted off zero, by eigenvalues where more
    /// is singular than they. `None` where LAPACK fails.
    pub fn solve(&self, f: &Array1<f64>) -> Option<Array1<f64>> {
        let gram = self.matrix();
        let inner = self.without_rigid(f);
        let lift = gram.diag().sum() / gram.nrows().max(1) as f64;
        let mut lifted = gram.clone();
        for q in &self.rigid {
            for (i, &x) in q.iter().enumerate() {
                lifted.row_mut(i).scaled_add(lift * x, q);
            }
        }
        if let Ok(factor) = lifted.factorizec_into(UPLO::Lower) {
            let pivots = factor.factor.diag().mapv(|x| x * x);
            let (least, most) =
                pivots.iter().fold((f64::INFINITY, 0.0_f64), |(a, b), &x| (a.min(x), b.max(x)));
            if least > SAFE_PIVOT * most {
                let v = self.without_rigid(&factor.solvec(&inner).ok()?);
                let missed = gram.dot(&v) - &inner;
                if missed.dot(&missed).sqrt() <= SAFE_RESIDUAL * inner.dot(&inner).sqrt() {
                    return Some(v);
                }
            }
        }
        let (values, vectors) = gram.eigh(UPLO::Lower).ok()?;
        let kept = inverse(&values);
        Some(vectors.dot(&(vectors.t().dot(f) * kept)))
    }

    /// (J^T J)^+, (3n, 3n). `None` where LAPACK fails.
    pub fn pseudo_inverse(&self) -> Option<Array2<f64>> {
        let (values, vectors) = self.matrix().eigh(UPLO::Lower).ok()?;
        Some((&vectors * &inverse(&values)).dot(&vectors.t()))
    }

    fn without_rigid(&self, v: &Array1<f64>) -> Array1<f64> {
        let mut out = v.clone();
        for q in &self.rigid {
            let along = q.dot(&out);
            out.scaled_add(-along, q);
        }
        out
    }
}

fn inverse(values: &Array1<f64>) -> Array1<f64> {
    let largest = values.iter().copied().fold(0.0, f64::max);
    values.mapv(|value| if value > RELATIVE_CUT * largest { 1.0 / value } else { 0.0 })
}

/// Orthonormal translations and rotations of a frame; a rotation that moves no atom is left out.
fn rigid(frame: ArrayView2<f64>) -> Vec<Array1<f64>> {
    let atoms = frame.nrows();
    let center: Vec<f64> = (0..3).map(|c| frame.column(c).sum() / atoms as f64).collect();
    let mut found: Vec<Array1<f64>> = Vec::with_capacity(6);
    for mode in 0..6 {
        let mut v = Array1::zeros(3 * atoms);
        for atom in 0..atoms {
            if mode < 3 {
                v[3 * atom + mode] = 1.0;
            } else {
                let (a, b) = ((mode - 2) % 3, (mode - 1) % 3);
                v[3 * atom + b] = frame[[atom, a]] - center[a];
                v[3 * atom + a] = -(frame[[atom, b]] - center[b]);
            }
        }
        let size = v.dot(&v).sqrt();
        // Twice: once leaves what rounding makes of it.
        for _ in 0..2 {
            for q in &found {
                let along = q.dot(&v);
                v.scaled_add(-along, q);
            }
        }
        let left = v.dot(&v).sqrt();
        if left > 1e-6 * size && left > 0.0 {
            found.push(v / left);
        }
    }
    found
}
