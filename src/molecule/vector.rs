//! Three-vectors, as much as geometry needs.

use ndarray::ArrayView3;

pub(crate) type Vector = [f64; 3];

/// Position of an atom in a frame.
#[inline]
pub(crate) fn at(positions: &ArrayView3<f64>, frame: usize, atom: usize) -> Vector {
    [positions[[frame, atom, 0]], positions[[frame, atom, 1]], positions[[frame, atom, 2]]]
}

#[inline]
pub(crate) fn sub(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

#[inline]
pub(crate) fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[inline]
pub(crate) fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[inline]
pub(crate) fn norm(a: Vector) -> f64 {
    dot(a, a).sqrt()
}

/// From `b` to `a` in one frame.
#[inline]
pub(crate) fn between(positions: &ArrayView3<f64>, frame: usize, a: usize, b: usize) -> Vector {
    sub(at(positions, frame, a), at(positions, frame, b))
}

/// Angle a-b-c in radians, in [0, pi].
#[inline]
pub(crate) fn angle(positions: &ArrayView3<f64>, frame: usize, [a, b, c]: [usize; 3]) -> f64 {
    let (u, v) = (between(positions, frame, a, b), between(positions, frame, c, b));
    norm(cross(u, v)).atan2(dot(u, v))
}
