//! Dihedral angles and their harmonics.

use ndarray::{Array1, Array2, ArrayView1, ArrayView3};

use super::vector::{at, cross, dot, norm, sub};

/// Dihedral angle of atoms i-j-k-l in every frame of (N, n, 3), radians in [-pi, pi], (N).
///
/// The IUPAC sign: looking along j to k, positive where l is clockwise of i. Exactly the reference's
/// `dihedral`: with a = j - i, b = k - j, c = l - k, n1 = a x b, n2 = b x c it is
/// atan2((n1 x n2) . b / |b|, n1 . n2). Where three atoms are in line it is 0, never NaN.
pub fn dihedral(positions: ArrayView3<f64>, [i, j, k, l]: [usize; 4]) -> Array1<f64> {
    Array1::from_shape_fn(positions.dim().0, |frame| {
        let [p, q, r, s] = [i, j, k, l].map(|atom| at(&positions, frame, atom));
        let (a, b, c) = (sub(q, p), sub(r, q), sub(s, r));
        let (n1, n2) = (cross(a, b), cross(b, c));
        let length = norm(b);
        let sine = if length > 0.0 { dot(cross(n1, n2), b) / length } else { 0.0 };
        sine.atan2(dot(n1, n2))
    })
}

/// (cos k phi, sin k phi), k = 1..=`count`, of angles phi (N): (N, 2 count), in the order
/// cos phi, sin phi, cos 2 phi, sin 2 phi, ...
pub fn harmonics(phi: ArrayView1<f64>, count: usize) -> Array2<f64> {
    Array2::from_shape_fn((phi.len(), 2 * count), |(frame, column)| {
        let angle = (column / 2 + 1) as f64 * phi[frame];
        if column % 2 == 0 {
            angle.cos()
        } else {
            angle.sin()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use ndarray::array;
    use std::f64::consts::PI;

    #[test]
    fn iupac_sign_and_harmonics() {
        for degrees in [-150.0_f64, -60.0, 0.0, 45.0, 90.0, 179.0] {
            let phi = degrees / 180.0 * PI;
            // Looking along +z (j to k), clockwise is from x toward y.
            let frame =
                array![[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.5], [phi.cos(), phi.sin(), 1.5]]];
            let found = dihedral(frame.view(), [0, 1, 2, 3]);
            assert_relative_eq!(found[0], phi, epsilon = 1e-12);
            assert_relative_eq!(dihedral(frame.view(), [3, 2, 1, 0])[0], phi, epsilon = 1e-12);
            let columns = harmonics(found.view(), 3);
            assert_eq!(columns.dim(), (1, 6));
            assert_relative_eq!(columns[[0, 4]], (3.0 * phi).cos(), epsilon = 1e-12);
            assert_relative_eq!(columns[[0, 3]], (2.0 * phi).sin(), epsilon = 1e-12);
        }
        let line = array![[[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 2.0], [0.0, 1.0, 3.0]]];
        assert_eq!(dihedral(line.view(), [0, 1, 2, 3])[0], 0.0);
    }
}
