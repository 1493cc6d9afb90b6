//! J^T J of the pair distances of one frame, and its pseudo-inverse (Eq. 31, Algorithm 3).

use ndarray::{Array1, Array2, ArrayView2};
use ndarray_linalg::{Eigh, UPLO};

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
    pub units: Vec<[f64; 3]>,
    /// Distances in angstrom, (P).
    pub lengths: Vec<f64>,
    /// Orthonormal displacements that change no distance, (3n, 6): translations and rotations, zero for a rotation that
    /// moves no atom.
    rigid: Vec<[f64; 6]>,
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
        for ((&(i, j), u), out) in self.pairs.iter().zip(&self.units).zip(row) {
            *out = (0..3).map(|c| u[c] * (v[3 * i + c] - v[3 * j + c])).sum();
        }
    }

    /// J^T g for g (P), (3n).
    fn carry_back(&self, g: &[f64]) -> Array1<f64> {
        let mut out = Array1::zeros(self.size());
        for ((&(i, j), u), g) in self.pairs.iter().zip(&self.units).zip(g) {
            for c in 0..3 {
                out[3 * i + c] += g * u[c];
                out[3 * j + c] -= g * u[c];
            }
        }
        out
    }

    fn size(&self) -> usize {
        self.rigid.len()
    }

    /// The lower triangle of J^T J, (3n, 3n), from its 3 x 3 blocks: -u u^T off the diagonal, their sums on it.
    fn lower(&self) -> Vec<f64> {
        let size = self.size();
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

    /// Eigenvalues and eigenvectors of J^T J. `None` where LAPACK fails.
    fn spectrum(&self) -> Option<(Array1<f64>, Array2<f64>)> {
        let (lower, size) = (self.lower(), self.size());
        let entry = |(i, j): (usize, usize)| lower[i.max(j) * size + i.min(j)];
        Array2::from_shape_fn((size, size), entry).eigh(UPLO::Lower).ok()
    }

    /// G = J (J^T J)^+ f for f (3n), into (P): by Cholesky once the rigid displacements are lifted off zero, by
    /// eigenvalues where more is singular than they. `None` where LAPACK fails.
    pub fn carry_solution(&self, f: &Array1<f64>, row: &mut [f64]) -> Option<()> {
        let inner = self.without_rigid(f);
        let mut lifted = self.lower();
        let size = self.size();
        let lift = (0..size).map(|k| lifted[k * size + k]).sum::<f64>() / size.max(1) as f64;
        for (i, (own, line)) in self.rigid.iter().zip(lifted.chunks_exact_mut(size)).enumerate() {
            let own = own.map(|x| lift * x);
            for (entry, other) in line.iter_mut().zip(&self.rigid[..=i]) {
                *entry += (0..6).map(|k| own[k] * other[k]).sum::<f64>();
            }
        }
        if let Some(v) = cholesky_solve(&mut lifted, &inner) {
            self.carry(&self.without_rigid(&v), row);
            let missed = self.carry_back(row) - &inner;
            if missed.dot(&missed).sqrt() <= SAFE_RESIDUAL * inner.dot(&inner).sqrt() {
                return Some(());
            }
        }
        let (values, vectors) = self.spectrum()?;
        self.carry(&vectors.dot(&(vectors.t().dot(f) * inverse(&values))), row);
        Some(())
    }

    /// (J^T J)^+, (3n, 3n). `None` where LAPACK fails.
    pub fn pseudo_inverse(&self) -> Option<Array2<f64>> {
        let (values, vectors) = self.spectrum()?;
        Some((&vectors * &inverse(&values)).dot(&vectors.t()))
    }

    fn without_rigid(&self, v: &Array1<f64>) -> Array1<f64> {
        let mut along = [0.0; 6];
        for (x, q) in v.iter().zip(&self.rigid) {
            (0..6).for_each(|k| along[k] += x * q[k]);
        }
        v.iter().zip(&self.rigid).map(|(x, q)| x - (0..6).map(|k| along[k] * q[k]).sum::<f64>()).collect()
    }
}

/// x with M x = f, for M (3n, 3n) positive definite, given by its lower triangle, which is overwritten by its Cholesky
/// factor; `None` where a pivot is so small that M may be singular. By hand: LAPACK's threads wait on each other for
/// matrices this small, one for each frame and thread.
fn cholesky_solve(m: &mut [f64], f: &Array1<f64>) -> Option<Array1<f64>> {
    let size = f.len();
    let largest = (0..size).map(|k| m[k * size + k]).fold(0.0, f64::max);
    for i in 0..size {
        let (above, row) = m.split_at_mut(i * size);
        for j in 0..i {
            let other = &above[j * size..=j * size + j];
            let sum: f64 = row[..j].iter().zip(other).map(|(a, b)| a * b).sum();
            row[j] = (row[j] - sum) / other[j];
        }
        let pivot = row[i] - row[..i].iter().map(|a| a * a).sum::<f64>();
        if pivot.is_nan() || pivot <= SAFE_PIVOT * largest {
            return None;
        }
        row[i] = pivot.sqrt();
    }
    let mut x = f.clone();
    for i in 0..size {
        let row = &m[i * size..(i + 1) * size];
        let sum: f64 = row[..i].iter().zip(&x).map(|(a, b)| a * b).sum();
        x[i] = (x[i] - sum) / row[i];
    }
    for i in (0..size).rev() {
        x[i] /= m[i * size + i];
        let (done, row) = (x[i], &m[i * size..i * size + i]);
        row.iter().zip(&mut x).for_each(|(a, x)| *x -= a * done);
    }
    Some(x)
}

fn inverse(values: &Array1<f64>) -> Array1<f64> {
    let largest = values.iter().copied().fold(0.0, f64::max);
    values.mapv(|value| if value > RELATIVE_CUT * largest { 1.0 / value } else { 0.0 })
}

/// Orthonormal translations and rotations of a frame, (3n, 6), by Gram and Schmidt.
fn rigid(frame: ArrayView2<f64>) -> Vec<[f64; 6]> {
    let atoms = frame.nrows();
    let center: [f64; 3] = std::array::from_fn(|c| frame.column(c).sum() / atoms as f64);
    let mut out = vec![[0.0; 6]; 3 * atoms];
    for atom in 0..atoms {
        let x: [f64; 3] = std::array::from_fn(|c| frame[[atom, c]] - center[c]);
        for c in 0..3 {
            let (a, b) = ((c + 1) % 3, (c + 2) % 3);
            out[3 * atom + c][c] = 1.0;
            out[3 * atom + b][3 + c] = x[a];
            out[3 * atom + a][3 + c] = -x[b];
        }
    }
    let dot = |out: &[[f64; 6]], p: usize, q: usize| out.iter().map(|row| row[p] * row[q]).sum::<f64>();
    for mode in 0..6 {
        let size = dot(&out, mode, mode).sqrt();
        // Twice: once leaves what rounding makes of it.
        for _ in 0..2 {
            for earlier in 0..mode {
                let along = dot(&out, earlier, mode);
                out.iter_mut().for_each(|row| row[mode] -= along * row[earlier]);
            }
        }
        let left = dot(&out, mode, mode).sqrt();
        let scale = if left > 1e-6 * size { 1.0 / left } else { 0.0 };
        out.iter_mut().for_each(|row| row[mode] *= scale);
    }
    out
}
