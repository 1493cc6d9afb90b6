//! Eigenvectors of small symmetric matrices, for builds without LAPACK.

/// Eigenvalues of a symmetric matrix, and the matrix with their eigenvectors as columns, by Jacobi rotations that begin
/// with the largest entry off the diagonal.
pub(crate) fn symmetric<const N: usize>(mut m: [[f64; N]; N]) -> ([f64; N], [[f64; N]; N]) {
    let mut vectors = [[0.0; N]; N];
    (0..N).for_each(|k| vectors[k][k] = 1.0);
    // Each rotation halves the sum of squares off the diagonal at least every N (N - 1) / 2 steps, in the end
    // quadratically: 50 are plenty for 3 x 3, and grow with the number of entries.
    for _ in 0..9 * N * (N - 1) {
        let (mut p, mut q) = (0, 1);
        for i in 0..N {
            for j in i + 1..N {
                // The last of equal ones.
                if m[i][j].abs() >= m[p][q].abs() {
                    (p, q) = (i, j);
                }
            }
        }
        if m[p][q].abs() <= 1e-300 {
            break;
        }
        let theta = (m[q][q] - m[p][p]) / (2.0 * m[p][q]);
        let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
        let (c, s) = (1.0 / t.hypot(1.0), t / t.hypot(1.0));
        for row in &mut m {
            (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
        }
        let (row_p, row_q) = (m[p], m[q]);
        m[p] = std::array::from_fn(|k| c * row_p[k] - s * row_q[k]);
        m[q] = std::array::from_fn(|k| s * row_p[k] + c * row_q[k]);
        for row in &mut vectors {
            (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
        }
    }
    (std::array::from_fn(|k| m[k][k]), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_solve_the_matrix_they_came_from() {
        let m = [[4.0, 1.0, -2.0, 0.5], [1.0, 3.0, 0.0, 1.0], [-2.0, 0.0, -1.0, 0.2], [0.5, 1.0, 0.2, 0.0]];
        let (values, vectors) = symmetric(m);
        for k in 0..4 {
            for i in 0..4 {
                let image: f64 = (0..4).map(|j| m[i][j] * vectors[j][k]).sum();
                assert!((image - values[k] * vectors[i][k]).abs() < 1e-13);
            }
            let length: f64 = (0..4).map(|i| vectors[i][k].powi(2)).sum();
            assert!((length - 1.0).abs() < 1e-14);
        }
        assert!((values.iter().sum::<f64>() - 6.0).abs() < 1e-13, "the trace");
        assert_eq!(symmetric([[0.0; 3]; 3]).0, [0.0; 3]);
    }
}
