//! One frame turned onto another, and whole trajectories turned onto one of their frames.

use ndarray::{Array3, ArrayView2, ArrayView3, Axis};

use super::jacobi::symmetric;
use super::vector::{cross, Vector};

/// Center of mass of a frame (n, 3).
pub(crate) fn center(masses: &[f64], x: ArrayView2<f64>) -> Vector {
    let total: f64 = masses.iter().sum();
    std::array::from_fn(|c| x.column(c).iter().zip(masses).map(|(x, m)| x * m).sum::<f64>() / total)
}

/// The rotation of a frame that brings it nearest to another one: the eigenvector of the largest eigenvalue of Horn's
/// matrix (J. Opt. Soc. Am. A 4, 629, 1987), which is always a proper rotation, for planar and linear molecules too.
pub(crate) fn superposition(
    masses: &[f64],
    from: (ArrayView2<f64>, Vector),
    to: (ArrayView2<f64>, Vector),
) -> [f64; 4] {
    let mut s = [[0.0; 3]; 3];
    for (atom, &mass) in masses.iter().enumerate() {
        for (i, row) in s.iter_mut().enumerate() {
            for (j, entry) in row.iter_mut().enumerate() {
                *entry += mass * (from.0[[atom, i]] - from.1[i]) * (to.0[[atom, j]] - to.1[j]);
            }
        }
    }
    let (trace, asymmetric) =
        (s[0][0] + s[1][1] + s[2][2], [s[1][2] - s[2][1], s[2][0] - s[0][2], s[0][1] - s[1][0]]);
    let mut horn = [[0.0; 4]; 4];
    horn[0][0] = trace;
    for i in 0..3 {
        (horn[0][i + 1], horn[i + 1][0]) = (asymmetric[i], asymmetric[i]);
        for j in 0..3 {
            horn[i + 1][j + 1] = s[i][j] + s[j][i] - if i == j { trace } else { 0.0 };
        }
    }
    let (values, vectors) = symmetric(horn);
    let best = (1..4).fold(0, |best, k| if values[k] > values[best] { k } else { best });
    vectors.map(|row| row[best])
}

/// A vector turned by a unit quaternion.
pub(crate) fn turn([w, axis @ ..]: [f64; 4], arm: Vector) -> Vector {
    // v + 2 w (q x v) + 2 q x (q x v)
    let once = cross(axis, arm);
    let twice = cross(axis, once);
    std::array::from_fn(|c| arm[c] + 2.0 * (w * once[c] + twice[c]))
}

/// Every frame of `positions` (N, n, 3) less the mean of its atoms, turned nowhere.
pub fn centered(positions: ArrayView3<f64>) -> Array3<f64> {
    let mut out = positions.to_owned();
    let weights = vec![1.0; positions.dim().1];
    for mut frame in out.outer_iter_mut() {
        let middle = center(&weights, frame.view());
        for mut atom in frame.outer_iter_mut() {
            (0..3).for_each(|c| atom[c] -= middle[c]);
        }
    }
    out
}

/// Every frame of `positions` (N, n, 3) centered and turned onto frame `reference`, all atoms alike (proper rotations
/// only, Kabsch 1976), and with it vectors at the atoms (N, n, 3), for example forces. Work in Cartesian coordinates
/// needs this: two frames that differ by a rotation are one state.
pub fn aligned(
    positions: ArrayView3<f64>,
    vectors: Option<ArrayView3<f64>>,
    reference: usize,
) -> (Array3<f64>, Option<Array3<f64>>) {
    let weights = vec![1.0; positions.dim().1];
    let onto = positions.index_axis(Axis(0), reference);
    let there = (onto, center(&weights, onto));
    let mut out = (positions.to_owned(), vectors.map(|vectors| vectors.to_owned()));
    for (frame, mut moved) in out.0.outer_iter_mut().enumerate() {
        let middle = center(&weights, moved.view());
        let rotation = superposition(&weights, (moved.view(), middle), there);
        for mut atom in moved.outer_iter_mut() {
            let turned = turn(rotation, std::array::from_fn(|c| atom[c] - middle[c]));
            (0..3).for_each(|c| atom[c] = turned[c]);
        }
        if let Some(vectors) = &mut out.1 {
            for mut vector in vectors.index_axis_mut(Axis(0), frame).outer_iter_mut() {
                let turned = turn(rotation, [vector[0], vector[1], vector[2]]);
                (0..3).for_each(|c| vector[c] = turned[c]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::noise::{Purpose, Stream};

    #[test]
    fn turned_frames_come_back_with_their_vectors() {
        let mut stream = Stream::new(8, Purpose::Data, 0);
        let first = Array3::from_shape_simple_fn((1, 6, 3), || stream.normal());
        let force = Array3::from_shape_simple_fn((1, 6, 3), || stream.normal());
        // Four frames, each the first one turned about another axis and moved; the forces turned along.
        let quaternions =
            [[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, -0.5, 0.5], [0.0, 0.6, 0.8, 0.0], [0.8, 0.0, 0.0, -0.6]];
        let rotated = |x: &Array3<f64>, shift: f64| {
            Array3::from_shape_fn((4, 6, 3), |(k, a, c)| {
                turn(quaternions[k], std::array::from_fn(|d| x[[0, a, d]]))[c] + shift * k as f64
            })
        };
        let (x, f) = aligned(rotated(&first, 1.5).view(), Some(rotated(&force, 0.0).view()), 0);
        let f = f.unwrap();
        let middle = center(&[1.0; 6], first.index_axis(Axis(0), 0));
        for ((k, a, c), value) in x.indexed_iter() {
            assert!((value - (first[[0, a, c]] - middle[c])).abs() < 1e-12);
            assert!((f[[k, a, c]] - force[[0, a, c]]).abs() < 1e-12);
        }
        // Centered only, they stay turned as they are.
        for ((k, a, c), value) in centered(rotated(&first, 1.5).view()).indexed_iter() {
            let arm = std::array::from_fn(|d| first[[0, a, d]] - middle[d]);
            assert!((value - turn(quaternions[k], arm)[c]).abs() < 1e-12);
        }
    }
}
