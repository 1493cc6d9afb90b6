//! The inner step of Algorithm 3 for frames in general position: v = (J^T J)^+ F by a Cholesky decomposition.
//!
//! Distances do not change under the six rigid motions N (orthonormal columns), and where nothing else leaves them unchanged,
//! A = J^T J has rank 3n - 6. Then M = A + s N N^T has the eigenvalues of A and s in place of the zeros, and M^-1 F is A^+ F
//! but for a rigid motion, which J takes to zero. That is about twenty times cheaper than eigenvectors, and takes no
//! threads of a linear-algebra library, which would wait on each other here.

use ndarray::{Array1, Array2, ArrayView2};

/// Pivots below this part of the largest diagonal entry are too near to a lower rank: planar and linear frames.
const LEAST_PIVOT: f64 = 1e-7;

/// v with J v = J A^+ f, for the Gram matrix A = J^T J (3n, 3n) of a frame (n, 3) and forces f (3n); none where the frame's rank
/// may be lower than 3n - 6.
pub(super) fn minimum_norm(
    gram: &Array2<f64>,
    frame: ArrayView2<f64>,
    force: &Array1<f64>,
) -> Option<Array1<f64>> {
    let size = force.len();
    let scale = gram.diag().sum() / size as f64;
    let mut m: Vec<f64> = gram.iter().copied().collect();
    for motion in rigid_motions(frame)? {
        for (row, a) in m.chunks_exact_mut(size).zip(&motion) {
            row.iter_mut().zip(&motion).for_each(|(entry, b)| *entry += scale * a * b);
        }
    }
    let largest = (0..size).map(|k| m[k * size + k]).fold(0.0, f64::max);
    // M = L L^T in the lower triangle, row by row.
    for i in 0..size {
        let (above, row) = m.split_at_mut(i * size);
        for j in 0..i {
            let other = &above[j * size..j * size + j + 1];
            let sum: f64 = row[..j].iter().zip(other).map(|(a, b)| a * b).sum();
            row[j] = (row[j] - sum) / other[j];
        }
        let pivot = row[i] - row[..i].iter().map(|a| a * a).sum::<f64>();
        if pivot.is_nan() || pivot <= LEAST_PIVOT * largest {
            return None;
        }
        row[i] = pivot.sqrt();
    }
    let mut v = force.clone();
    for i in 0..size {
        let row = &m[i * size..(i + 1) * size];
        let sum: f64 = row[..i].iter().zip(&v).map(|(a, b)| a * b).sum();
        v[i] = (v[i] - sum) / row[i];
    }
    for i in (0..size).rev() {
        let x = v[i] / m[i * size + i];
        v[i] = x;
        (0..i).for_each(|k| v[k] -= m[i * size + k] * x);
    }
    Some(v)
}

/// Orthonormal translations and rotations of a frame, (3n) each; none where it is linear.
fn rigid_motions(frame: ArrayView2<f64>) -> Option<Vec<Vec<f64>>> {
    let atoms = frame.nrows();
    let center = frame.mean_axis(ndarray::Axis(0))?;
    let x: Vec<[f64; 3]> = frame.outer_iter().map(|row| [0, 1, 2].map(|c| row[c] - center[c])).collect();
    let spread: f64 = x.iter().flatten().map(|x| x * x).sum();
    let unit = 1.0 / (atoms as f64).sqrt();
    let mut all: Vec<Vec<f64>> =
        (0..3).map(|axis| (0..3 * atoms).map(|k| if k % 3 == axis { unit } else { 0.0 }).collect()).collect();
    for axis in 0..3 {
        let (b, c) = ((axis + 1) % 3, (axis + 2) % 3);
        let mut turn = vec![0.0; 3 * atoms];
        for (row, x) in turn.chunks_exact_mut(3).zip(&x) {
            (row[b], row[c]) = (-x[c], x[b]);
        }
        // Twice, so that rounding leaves them orthogonal.
        for _ in 0..2 {
            for other in &all {
                let along: f64 = turn.iter().zip(other).map(|(a, b)| a * b).sum();
                turn.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
        }
        let square: f64 = turn.iter().map(|a| a * a).sum();
        if square.is_nan() || square <= LEAST_PIVOT * spread {
            return None;
        }
        turn.iter_mut().for_each(|a| *a /= square.sqrt());
        all.push(turn);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::super::features::{feature_forces, jacobian, Projection};
    use super::*;
    use ndarray::{Array3, Axis};
    use ndarray_linalg::{Eigh, UPLO};

    /// Some frame of so many atoms, flattened to this part of its height.
    fn frame(atoms: usize, flat: f64) -> Array2<f64> {
        Array2::from_shape_fn((atoms, 3), |(atom, c)| {
            let k = (3 * atom + c) as f64;
            (1.7 * k).sin() * 2.0 + (0.3 * k * k).cos() * if c == 2 { flat } else { 1.0 }
                - if c == 2 { (1.7 * k).sin() * 2.0 * (1.0 - flat) } else { 0.0 }
        })
    }

    fn norm(v: &Array1<f64>) -> f64 {
        v.dot(v).sqrt()
    }

    #[test]
    fn it_is_the_pseudo_inverse_by_eigenvectors() {
        for atoms in [3, 4, 9, 21] {
            let x = frame(atoms, 1.0);
            let j = jacobian(x.view());
            let gram = j.t().dot(&j);
            // Forces with a net force and a torque too, as noisy labels have them.
            let f: Array1<f64> = (0..3 * atoms).map(|k| (k as f64).sin() * 20.0).collect();
            let found = j.dot(&minimum_norm(&gram, x.view(), &f).unwrap());
            let (values, vectors): (Array1<f64>, Array2<f64>) = gram.eigh(UPLO::Lower).unwrap();
            let inner = vectors.t().dot(&f);
            // Eigenvalues rise; the first six are those of rigid motions.
            let inner: Array1<f64> =
                (0..3 * atoms).map(|k| if k < 6 { 0.0 } else { inner[k] / values[k] }).collect();
            let expected = j.dot(&vectors.dot(&inner));
            assert!(norm(&(&found - &expected)) < 1e-10 * norm(&expected), "{atoms} atoms");
        }
    }

    #[test]
    fn flat_and_linear_frames_are_left_to_eigenvectors() {
        let gram = |x: &Array2<f64>| {
            let j = jacobian(x.view());
            j.t().dot(&j)
        };
        let f = Array1::ones(27);
        for flat in [0.0, 1e-9, 1e-6] {
            let x = frame(9, flat);
            assert!(minimum_norm(&gram(&x), x.view(), &f).is_none(), "{flat}");
        }
        let line = Array2::from_shape_fn((4, 3), |(atom, c)| (atom as f64 + 1.0) * (c as f64 - 0.3));
        assert!(minimum_norm(&gram(&line), line.view(), &Array1::ones(12)).is_none());
        // Whichever way is taken, internal forces come back: J^T G = F.
        for flat in [1.0, 0.3, 1e-1, 1e-2, 1e-3, 1e-4, 0.0] {
            let x = frame(9, flat);
            let j = jacobian(x.view());
            let pair: Array1<f64> = (0..36).map(|k| (k as f64 * 1.7).sin() * 30.0).collect();
            let f = j.t().dot(&pair);
            let forces = Array3::from_shape_vec((1, 9, 3), f.to_vec()).unwrap();
            let g = feature_forces(x.insert_axis(Axis(0)).view(), forces.view(), Projection::Exact).unwrap();
            let error = norm(&(&j.t().dot(&g.row(0)) - &f)) / norm(&f);
            assert!(error < 1e-7, "{flat}: {error}");
        }
    }
}
