//! Small linear least squares by normal equations.
//!
//! A few dozen unknowns at most, and needed by `inspect` in the build without LAPACK too; hence one small Cholesky
//! for both builds instead of LAPACK for one.

use ndarray::{Array1, Array2};

/// Solves A x = b for a symmetric positive A (P, P), with `ridge` times the mean diagonal added to it. None where
/// A is not positive or a number is not finite.
pub(crate) fn solve(matrix: &Array2<f64>, right: &Array1<f64>, ridge: f64) -> Option<Array1<f64>> {
    let size = right.len();
    let lift = ridge * matrix.diag().sum() / size as f64;
    let mut lower = Array2::<f64>::zeros((size, size));
    for i in 0..size {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| lower[[i, k]] * lower[[j, k]]).sum();
            let rest = matrix[[i, j]] - known + if i == j { lift } else { 0.0 };
            if i == j {
                if !(rest > 0.0 && rest.is_finite()) {
                    return None;
                }
                lower[[i, i]] = rest.sqrt();
            } else {
                lower[[i, j]] = rest / lower[[j, j]];
            }
        }
    }
    let mut x = right.clone();
    for i in 0..size {
        let known: f64 = (0..i).map(|k| lower[[i, k]] * x[k]).sum();
        x[i] = (x[i] - known) / lower[[i, i]];
    }
    for i in (0..size).rev() {
        let known: f64 = (i + 1..size).map(|k| lower[[k, i]] * x[k]).sum();
        x[i] = (x[i] - known) / lower[[i, i]];
    }
    x.iter().all(|value| value.is_finite()).then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn solves_and_refuses() {
        let matrix = array![[4.0, 2.0, 0.6], [2.0, 5.0, 1.0], [0.6, 1.0, 3.0]];
        let x = array![1.0, -2.0, 0.5];
        let found = solve(&matrix, &matrix.dot(&x), 0.0).unwrap();
        for (a, b) in found.iter().zip(&x) {
            approx::assert_relative_eq!(a, b, max_relative = 1e-12);
        }
        assert!(solve(&array![[1.0, 2.0], [2.0, 1.0]], &array![1.0, 1.0], 0.0).is_none());
        assert!(solve(&array![[f64::NAN]], &array![1.0], 0.0).is_none());
        assert!(solve(&array![[0.0]], &array![0.0], 1e-9).is_none());
    }
}
