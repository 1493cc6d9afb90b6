//! Pair distances as features (Eq. 26 of "Drifting to Boltzmann").

use ndarray::{Array2, ArrayView2, ArrayView3};

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

/// Unit vectors of the pairs, (P, 3) for one frame (n, 3): the non-zeros of the Jacobian (Eq. 27).
fn unit_vectors(frame: ArrayView2<f64>, pairs: &[(usize, usize)]) -> Array2<f64> {
    let mut out = Array2::zeros((pairs.len(), 3));
    for (k, &(i, j)) in pairs.iter().enumerate() {
        let d = [0, 1, 2].map(|c| frame[[i, c]] - frame[[j, c]]);
        let r = d.iter().map(|x| x * x).sum::<f64>().sqrt();
        for c in 0..3 {
            out[[k, c]] = d[c] / r;
        }
    }
    out
}

/// Jacobian of the pair distances, (P, 3n), for one frame (n, 3): six non-zeros a row (Eq. 27).
pub fn jacobian(frame: ArrayView2<f64>) -> Array2<f64> {
    let pairs = pairs(frame.nrows());
    let u = unit_vectors(frame, &pairs);
    let mut out = Array2::zeros((pairs.len(), 3 * frame.nrows()));
    for (k, &(i, j)) in pairs.iter().enumerate() {
        for c in 0..3 {
            out[[k, 3 * i + c]] = u[[k, c]];
            out[[k, 3 * j + c]] = -u[[k, c]];
        }
    }
    out
}

/// How forces are carried to pair features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Projection {
    /// G = J (J^T J)^+ F, the minimum-norm solution of J^T G = F (Eq. 31).
    #[default]
    Exact,
    /// J F, the projection on each pair alone that the paper warns of.
    Naive,
}

/// Singular values below this part of the largest are cut. The rank is 3n - 6 in general and lower for
/// linear and planar frames, so a fixed count would be wrong.
#[cfg(feature = "train")]
const RELATIVE_CUT: f64 = 1e-10;

/// A^+ f by the eigenvectors of A, for frames whose rank is not 3n - 6; none where LAPACK fails.
#[cfg(feature = "train")]
fn by_eigenvalues(gram: &Array2<f64>, force: &ndarray::Array1<f64>) -> Option<ndarray::Array1<f64>> {
    use ndarray_linalg::{Eigh, UPLO};
    let (values, vectors) = gram.eigh(UPLO::Lower).ok()?;
    let largest = values.iter().copied().fold(0.0, f64::max);
    let mut inner = vectors.t().dot(force);
    for (x, &value) in inner.iter_mut().zip(&values) {
        *x = if value > RELATIVE_CUT * largest { *x / value } else { 0.0 };
    }
    Some(vectors.dot(&inner))
}

/// Feature-space forces G in kcal/mol/angstrom, (N, P), of forces (N, n, 3) at positions (N, n, 3)
/// (Algorithm 3), in parallel over frames.
///
/// # Errors
/// [`Error::Numeric`](crate::Error::Numeric) naming the frame where two atoms coincide or LAPACK fails.
#[cfg(feature = "train")]
pub fn feature_forces(
    positions: ArrayView3<f64>,
    forces: ArrayView3<f64>,
    projection: Projection,
) -> crate::Result<Array2<f64>> {
    use super::minimum_norm::minimum_norm;
    use ndarray::{Array1, Axis, Zip};

    let (frames, atoms, _) = positions.dim();
    let pairs = pairs(atoms);
    let mut out = Array2::zeros((frames, pairs.len()));
    let failed = std::sync::Mutex::new(None);
    Zip::indexed(out.axis_iter_mut(Axis(0))).par_for_each(|frame, mut row| {
        let u = unit_vectors(positions.index_axis(Axis(0), frame), &pairs);
        let f: Array1<f64> = forces.index_axis(Axis(0), frame).iter().copied().collect();
        let carry = |v: &Array1<f64>, row: &mut ndarray::ArrayViewMut1<f64>| {
            for (k, &(i, j)) in pairs.iter().enumerate() {
                row[k] = (0..3).map(|c| u[[k, c]] * (v[3 * i + c] - v[3 * j + c])).sum();
            }
        };
        if projection == Projection::Naive {
            carry(&f, &mut row);
        } else {
            // J^T J is built from its 3 x 3 blocks: -u u^T off the diagonal, their sums on it.
            let mut gram = Array2::<f64>::zeros((3 * atoms, 3 * atoms));
            for (k, &(i, j)) in pairs.iter().enumerate() {
                for a in 0..3 {
                    for b in 0..3 {
                        let block = u[[k, a]] * u[[k, b]];
                        gram[[3 * i + a, 3 * i + b]] += block;
                        gram[[3 * j + a, 3 * j + b]] += block;
                        gram[[3 * i + a, 3 * j + b]] -= block;
                        gram[[3 * j + a, 3 * i + b]] -= block;
                    }
                }
            }
            let place = positions.index_axis(Axis(0), frame);
            match minimum_norm(&gram, place, &f).or_else(|| by_eigenvalues(&gram, &f)) {
                Some(v) => carry(&v, &mut row),
                None => row.fill(f64::NAN),
            }
        }
        if row.iter().any(|x| !x.is_finite()) {
            if let Ok(mut failed) = failed.lock() {
                *failed = Some(failed.map_or(frame, |other: usize| other.min(frame)));
            }
        }
    });
    match failed.into_inner() {
        Ok(None) => Ok(out),
        Ok(Some(frame)) => Err(crate::Error::Numeric(format!(
            "feature forces of frame {frame} are not finite: two atoms coincide or a force is not finite there"
        ))),
        Err(_) => Err(crate::Error::Numeric("a thread computing feature forces failed".into())),
    }
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;
    use ndarray::{arr2, Array3, Axis};

    fn frame() -> Array2<f64> {
        arr2(&[[0.0, 0.1, 0.0], [1.5, 0.0, 0.2], [2.0, 1.3, -0.1], [-0.5, 0.9, 0.6], [-0.4, -0.9, 0.5]])
    }

    #[test]
    fn jacobian_by_finite_differences() {
        let (x, h) = (frame(), 1e-6);
        let j = jacobian(x.view());
        for d in 0..15 {
            let moved = |s: f64| {
                let mut y = x.clone();
                y[[d / 3, d % 3]] += s;
                distances(y.insert_axis(Axis(0)).view())
            };
            let slope = (moved(h) - moved(-h)) / (2.0 * h);
            for k in 0..10 {
                assert!((slope[[0, k]] - j[[k, d]]).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn internal_forces_come_back_also_for_planar_and_linear_frames() {
        let planar =
            arr2(&[[0.0, 0.0, 0.0], [1.2, 0.1, 0.0], [1.9, 1.4, 0.0], [0.3, 1.6, 0.0], [-1.0, 0.7, 0.0]]);
        let linear =
            arr2(&[[0.0, 0.0, 0.0], [0.0, 0.0, 1.1], [0.0, 0.0, 2.4], [0.0, 0.0, 3.1], [0.0, 0.0, 4.6]]);
        for x in [frame(), planar, linear] {
            let j = jacobian(x.view());
            // A force set made of pair forces has no net force or torque, and lies in the range of J^T.
            let pair: ndarray::Array1<f64> = (0..10).map(|k| (k as f64 * 1.7).sin() * 30.0).collect();
            let f = j.t().dot(&pair);
            let forces = f.clone().into_shape_with_order((1, 5, 3)).unwrap();
            let positions = x.insert_axis(Axis(0));
            let g = feature_forces(positions.view(), forces.view(), Projection::Exact).unwrap();
            let back = j.t().dot(&g.row(0));
            let error = (&back - &f).iter().map(|e| e * e).sum::<f64>().sqrt();
            assert!(error < 1e-8 * f.iter().map(|e| e * e).sum::<f64>().sqrt(), "{error}");
            // Of all solutions the smallest.
            assert!(
                g.iter().map(|x| x * x).sum::<f64>()
                    <= pair.iter().map(|x| x * x).sum::<f64>() * (1.0 + 1e-9)
            );
        }
    }

    #[test]
    fn coinciding_atoms_are_named() {
        let mut x = Array3::zeros((3, 2, 3));
        x[[0, 1, 0]] = 1.0;
        x[[2, 1, 0]] = 1.0;
        let error = feature_forces(x.view(), x.view(), Projection::Exact).unwrap_err();
        assert!(error.to_string().contains("frame 1"), "{error}");
    }
}
