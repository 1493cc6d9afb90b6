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

/// Jacobian of the pair distances, (P, 3n), for one frame (n, 3): six non-zeros a row (Eq. 27).
pub fn jacobian(frame: ArrayView2<f64>) -> Array2<f64> {
    let pairs = pairs(frame.nrows());
    let u = unit_vectors(frame, &pairs).0;
    let mut out = Array2::zeros((pairs.len(), 3 * frame.nrows()));
    for (k, &(i, j)) in pairs.iter().enumerate() {
        for c in 0..3 {
            out[[k, 3 * i + c]] = u[k][c];
            out[[k, 3 * j + c]] = -u[k][c];
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

/// Unit vectors of the pairs, (P, 3) for one frame (n, 3): the non-zeros of the Jacobian (Eq. 27); and their lengths.
pub(super) fn unit_vectors(frame: ArrayView2<f64>, pairs: &[(usize, usize)]) -> (Vec<[f64; 3]>, Vec<f64>) {
    let between = |&(i, j): &(usize, usize)| {
        let d: [f64; 3] = std::array::from_fn(|c| frame[[i, c]] - frame[[j, c]]);
        let r = d.iter().map(|x| x * x).sum::<f64>().sqrt();
        (d.map(|x| x / r), r)
    };
    pairs.iter().map(between).unzip()
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
    use super::gram::Gram;
    use super::gram_batch::GramBatch;
    use super::lanes::LANES;
    use rayon::prelude::*;

    let mut out = feature_rows(positions);
    let mut good = vec![false; out.nrows()];
    let (x, f) = (positions.as_standard_layout(), forces.as_standard_layout());
    if let (Projection::Exact, Some(x), Some(f), Some(rows)) =
        (projection, x.as_slice(), f.as_slice(), out.as_slice_mut().filter(|rows| !rows.is_empty()))
    {
        let (atoms, columns) = (positions.dim().1, rows.len() / good.len());
        let size = 3 * atoms;
        rows.par_chunks_mut(TASK * columns)
            .zip(good.par_chunks_mut(TASK))
            .zip(x.par_chunks(TASK * size).zip(f.par_chunks(TASK * size)))
            .for_each(|((rows, good), (x, f))| {
                let mut batch = GramBatch::new(atoms);
                let parts = x.chunks(LANES * size).zip(f.chunks(LANES * size));
                let outs = rows.chunks_mut(LANES * columns).zip(good.chunks_mut(LANES));
                for ((rows, good), (x, f)) in outs.zip(parts) {
                    good.copy_from_slice(&batch.solve(x, f, rows)[..good.len()]);
                }
            });
    }
    per_frame(out, "feature forces", |frame, row| {
        if good[frame] {
            return Some(());
        }
        let gram = Gram::new(positions.index_axis(ndarray::Axis(0), frame));
        let f: ndarray::Array1<f64> = forces.index_axis(ndarray::Axis(0), frame).iter().copied().collect();
        gram.carry(&if projection == Projection::Naive { f } else { gram.pseudo_inverse()?.dot(&f) }, row);
        Some(())
    })
}

/// Frames of one task of the pool.
#[cfg(feature = "train")]
const TASK: usize = 64;

/// A row of zeros for the pairs of each frame, (N, P).
#[cfg(feature = "train")]
pub(super) fn feature_rows(positions: ArrayView3<f64>) -> Array2<f64> {
    let (frames, atoms, _) = positions.dim();
    Array2::zeros((frames, atoms * atoms.saturating_sub(1) / 2))
}

/// Finishes the rows of all frames (N, P), in parallel; `work` gives `None` where LAPACK fails.
///
/// # Errors
/// [`Error::Numeric`](crate::Error::Numeric) naming the first frame whose row is not finite.
#[cfg(feature = "train")]
pub(super) fn per_frame(
    mut rows: Array2<f64>,
    what: &str,
    work: impl Fn(usize, &mut [f64]) -> Option<()> + Sync,
) -> crate::Result<Array2<f64>> {
    use rayon::prelude::*;

    let done = |frame: usize, row: Option<&mut [f64]>| {
        row.is_some_and(|row| work(frame, row).is_some() && row.iter().all(|x| x.is_finite()))
    };
    let failed = rows
        .outer_iter_mut()
        .into_par_iter()
        .enumerate()
        .filter_map(|(frame, mut row)| (!done(frame, row.as_slice_mut())).then_some(frame))
        .min();
    if let Some(frame) = failed {
        return Err(crate::Error::Numeric(format!(
            "{what} of frame {frame} are not finite: two atoms coincide or a force is not finite there"
        )));
    }
    Ok(rows)
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
    fn internal_forces_come_back_for_frames_that_are_nearly_flat() {
        // Between 1e-5 and 1e-8 the cut takes directions in which these forces still have a part.
        for flat in [1.0, 0.3, 1e-1, 1e-2, 1e-3, 1e-4, 1e-9, 0.0] {
            let x = Array2::from_shape_fn((9, 3), |(atom, c)| {
                let k = (3 * atom + c) as f64;
                ((1.7 * k).sin() * 2.0 + (0.3 * k * k).cos()) * if c == 2 { flat } else { 1.0 }
            });
            let j = jacobian(x.view());
            let pair: ndarray::Array1<f64> = (0..36).map(|k| (k as f64 * 1.7).sin() * 30.0).collect();
            let f = j.t().dot(&pair);
            let forces = f.clone().into_shape_with_order((1, 9, 3)).unwrap();
            let g = feature_forces(x.insert_axis(Axis(0)).view(), forces.view(), Projection::Exact).unwrap();
            let error = (&j.t().dot(&g.row(0)) - &f).iter().map(|e| e * e).sum::<f64>().sqrt();
            assert!(error < 1e-7 * f.dot(&f).sqrt(), "{flat}: {error}");
        }
    }

    #[test]
    fn a_frame_does_not_feel_its_neighbors() {
        // Among general frames a linear one and one that is nearly so, which need eigenvalues.
        let spread = |frame: usize| match frame {
            5 => 0.0,
            9 => 1e-4,
            _ => 1.0,
        };
        let x = Array3::from_shape_fn((11, 4, 3), |(frame, atom, c)| {
            let k = (frame * 12 + atom * 3 + c) as f64;
            atom as f64 * [0.3, 1.1, -0.4][c] + (1.7 * k).sin() * spread(frame)
        });
        let f =
            Array3::from_shape_fn((11, 4, 3), |(frame, atom, c)| ((frame + 7 * atom + 3 * c) as f64).cos());
        let all = feature_forces(x.view(), f.view(), Projection::Exact).unwrap();
        for start in 0..11 {
            let part = |a: &Array3<f64>| a.slice(ndarray::s![start.., .., ..]).to_owned();
            let g = feature_forces(part(&x).view(), part(&f).view(), Projection::Exact).unwrap();
            assert_eq!(g, all.slice(ndarray::s![start.., ..]), "from frame {start} on");
        }
        for frame in 0..11 {
            let gram = super::super::gram::Gram::new(x.index_axis(Axis(0), frame));
            let mut wanted = vec![0.0; 6];
            let f: ndarray::Array1<f64> = f.index_axis(Axis(0), frame).iter().copied().collect();
            gram.carry(&gram.pseudo_inverse().unwrap().dot(&f), &mut wanted);
            for (a, b) in all.row(frame).iter().zip(&wanted) {
                assert!((a - b).abs() < 1e-7 * (1.0 + b.abs()), "frame {frame}: {a} {b}");
            }
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
