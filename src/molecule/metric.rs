//! The metric of pair distances: what a density of positions becomes as a density of distances (Remark 3.2).
//!
//! Positions with the density exp(-E / kT) have distances phi with a density q on the manifold of realizable
//! distances. By the coarea formula q = exp(-E / kT) sqrt(det I) / sqrt(det' J^T J) up to a constant: det' is the
//! product of the singular values that are not zero, and sqrt(det I), with the inertia tensor I of unit masses, is
//! the volume of all orientations of the molecule. Eq. 37 of the paper has the first factor with the opposite sign
//! and not the second.

use ndarray::{Array1, Array2, ArrayView2, ArrayView3, Axis};
use serde::{Deserialize, Serialize};

use super::features::{feature_rows, per_frame};
use super::gram::Gram;
use super::jacobi::symmetric;
use crate::Result;

/// Eigenvalues of the inertia tensor below this part of the largest belong to the axis of a linear molecule.
const LINEAR: f64 = 1e-10;

/// Which metric term a score in distance space has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// None, as in the paper's experiments.
    #[default]
    None,
    /// Eq. 37 as printed: + 1/2 log det' J^T J.
    Printed,
    /// The density's own: 1/2 log det I - 1/2 log det' J^T J.
    Full,
}

/// The metric's part of the score in distance space, 1/angstrom, (N, P), of positions (N, n, 3): the gradient along
/// the manifold, which is the least vector g with J^T g the gradient in positions (as Eq. 31). Times kT it adds to G.
///
/// # Errors
/// [`Error::Numeric`](crate::Error::Numeric) naming the frame where two atoms coincide or LAPACK fails.
pub fn metric_score(positions: ArrayView3<f64>, metric: Metric) -> Result<Array2<f64>> {
    per_frame(feature_rows(positions), "metric terms", |index, row| {
        let frame = positions.index_axis(Axis(0), index);
        let gram = Gram::new(frame);
        let inverse = gram.pseudo_inverse()?;
        let gradient = match metric {
            Metric::None => Array1::zeros(inverse.nrows()),
            Metric::Printed => volume_gradient(&gram, &inverse),
            Metric::Full => orientation_gradient(frame) - volume_gradient(&gram, &inverse),
        };
        gram.carry(&inverse.dot(&gradient), row);
        Some(())
    })
}

/// Gradient in positions of 1/2 log det' J^T J, (3n). With w_k = (J^T J)^+ j_k of row k of J, the half of
/// tr((J^T J)^+ d(J^T J)) is sum_k w_k . dj_k, and only the direction of pair k changes j_k.
fn volume_gradient(gram: &Gram, inverse: &Array2<f64>) -> Array1<f64> {
    let mut out = Array1::zeros(inverse.nrows());
    for ((&(i, j), u), r) in gram.pairs.iter().zip(&gram.units).zip(&gram.lengths) {
        let entry = |a: usize, b: usize| {
            inverse[[3 * i + a, 3 * i + b]]
                - inverse[[3 * i + a, 3 * j + b]]
                - inverse[[3 * j + a, 3 * i + b]]
                + inverse[[3 * j + a, 3 * j + b]]
        };
        let w: [f64; 3] = std::array::from_fn(|a| (0..3).map(|b| entry(a, b) * u[b]).sum());
        let along: f64 = (0..3).map(|c| w[c] * u[c]).sum();
        for c in 0..3 {
            let across = (w[c] - along * u[c]) / r;
            out[3 * i + c] += across;
            out[3 * j + c] -= across;
        }
    }
    out
}

/// Gradient in positions of 1/2 log det I, (3n), with I = sum over atoms of |x|^2 - x x^T about the centroid.
fn orientation_gradient(frame: ArrayView2<f64>) -> Array1<f64> {
    let atoms = frame.nrows();
    let center: [f64; 3] = std::array::from_fn(|c| frame.column(c).sum() / atoms as f64);
    let at = |atom: usize| -> [f64; 3] { std::array::from_fn(|c| frame[[atom, c]] - center[c]) };
    let mut inertia = [[0.0; 3]; 3];
    for atom in 0..atoms {
        let x = at(atom);
        let square: f64 = x.iter().map(|x| x * x).sum();
        for a in 0..3 {
            inertia[a][a] += square;
            for b in 0..3 {
                inertia[a][b] -= x[a] * x[b];
            }
        }
    }
    let (values, vectors) = symmetric(inertia);
    let largest = values.iter().copied().fold(0.0, f64::max);
    let weight = values.map(|value| if value > LINEAR * largest { 1.0 / value } else { 0.0 });
    let inverse = |a: usize, b: usize| (0..3).map(|k| weight[k] * vectors[a][k] * vectors[b][k]).sum::<f64>();
    let trace: f64 = weight.iter().sum();
    let mut out = Array1::zeros(3 * atoms);
    for atom in 0..atoms {
        let x = at(atom);
        for a in 0..3 {
            out[3 * atom + a] = trace * x[a] - (0..3).map(|b| inverse(a, b) * x[b]).sum::<f64>();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::molecule::features::{distances, jacobian};
    use crate::sampler::noise::{Purpose, Stream};
    use ndarray::{Array3, Axis};
    use ndarray_linalg::{Eigh, UPLO};

    fn frames(count: usize, atoms: usize) -> Array3<f64> {
        let mut stream = Stream::new(5, Purpose::Data, 0);
        Array3::from_shape_simple_fn((count, atoms, 3), || 1.5 * stream.normal())
    }

    /// 1/2 log of the product of the eigenvalues that are not zero.
    fn half_log(matrix: &Array2<f64>, rank: usize) -> f64 {
        let (values, _) = matrix.eigh(UPLO::Lower).unwrap();
        let mut values = values.to_vec();
        values.sort_by(|a, b| b.total_cmp(a));
        0.5 * values[..rank].iter().map(|x| x.ln()).sum::<f64>()
    }

    fn inertia(frame: ArrayView2<f64>) -> Array2<f64> {
        let x = &frame - &frame.mean_axis(Axis(0)).unwrap();
        Array2::<f64>::eye(3) * x.iter().map(|x| x * x).sum::<f64>() - x.t().dot(&x)
    }

    fn check(frame: &Array2<f64>, value: &dyn Fn(ArrayView2<f64>) -> f64, gradient: &Array1<f64>) {
        let h = 1e-5;
        for (k, got) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut x = frame.clone();
                x[[k / 3, k % 3]] += by;
                value(x.view())
            };
            let expected = (moved(h) - moved(-h)) / (2.0 * h);
            assert!((got - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{k}: {got} {expected}");
        }
    }

    #[test]
    fn both_gradients_by_finite_differences() {
        for frame in frames(5, 6).outer_iter() {
            let frame = frame.to_owned();
            let gram = Gram::new(frame.view());
            let volume = |x: ArrayView2<f64>| half_log(&jacobian(x).t().dot(&jacobian(x)), 12);
            check(&frame, &volume, &volume_gradient(&gram, &gram.pseudo_inverse().unwrap()));
            check(&frame, &|x| half_log(&inertia(x), 3), &orientation_gradient(frame.view()));
        }
    }

    #[test]
    fn three_atoms_have_the_known_volume_element() {
        // d^9 x = 8 pi^2 r12 r13 r23 dr12 dr13 dr23 d^3 (center): each distance's score is 1 / r.
        let x = frames(20, 3);
        let got = metric_score(x.view(), Metric::Full).unwrap();
        for (a, r) in got.iter().zip(&distances(x.view())) {
            assert!((a - 1.0 / r).abs() < 1e-9 / r, "{a} {r}");
        }
        let printed = metric_score(x.view(), Metric::Printed).unwrap();
        assert!(printed.iter().zip(&got).any(|(a, b)| (a - b).abs() > 0.1 * b.abs()));
    }

    #[test]
    fn two_atoms_have_the_surface_of_a_sphere() {
        // p(r) is proportional to r^2: the score is 2 / r. Eq. 37 sees a constant.
        let x = frames(10, 2);
        let got = metric_score(x.view(), Metric::Full).unwrap();
        for (a, r) in got.iter().zip(&distances(x.view())) {
            assert!((a - 2.0 / r).abs() < 1e-9 / r);
        }
        assert!(metric_score(x.view(), Metric::Printed).unwrap().iter().all(|x| x.abs() < 1e-12));
        assert!(metric_score(x.view(), Metric::None).unwrap().iter().all(|&x| x == 0.0));
    }
}
