//! One number of each of several frames, in one vector register.

use std::ops::{Add, AddAssign, Mul, Sub, SubAssign};

/// Frames at once.
pub(super) const LANES: usize = 4;

/// One number of each frame. Nothing of a lane reaches another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lanes(pub [f64; LANES]);

impl Lanes {
    /// The same number in every lane.
    #[inline(always)]
    pub fn all(value: f64) -> Self {
        Lanes([value; LANES])
    }

    /// a b + self.
    #[inline(always)]
    pub fn plus(self, a: Lanes, b: Lanes) -> Self {
        Lanes(std::array::from_fn(|l| a.0[l].mul_add(b.0[l], self.0[l])))
    }

    /// self - a b.
    #[inline(always)]
    pub fn less(self, a: Lanes, b: Lanes) -> Self {
        Lanes(std::array::from_fn(|l| (-a.0[l]).mul_add(b.0[l], self.0[l])))
    }

    #[inline(always)]
    pub fn map(self, of: impl Fn(f64) -> f64) -> Self {
        Lanes(self.0.map(of))
    }

    #[inline(always)]
    pub fn with<T>(self, other: Lanes, of: impl Fn(f64, f64) -> T) -> [T; LANES] {
        std::array::from_fn(|l| of(self.0[l], other.0[l]))
    }
}

impl Add for Lanes {
    type Output = Lanes;
    #[inline(always)]
    fn add(self, other: Lanes) -> Lanes {
        Lanes(self.with(other, |a, b| a + b))
    }
}

impl Sub for Lanes {
    type Output = Lanes;
    #[inline(always)]
    fn sub(self, other: Lanes) -> Lanes {
        Lanes(self.with(other, |a, b| a - b))
    }
}

impl Mul for Lanes {
    type Output = Lanes;
    #[inline(always)]
    fn mul(self, other: Lanes) -> Lanes {
        Lanes(self.with(other, |a, b| a * b))
    }
}

impl Mul<f64> for Lanes {
    type Output = Lanes;
    #[inline(always)]
    fn mul(self, factor: f64) -> Lanes {
        self.map(|a| a * factor)
    }
}

impl AddAssign for Lanes {
    #[inline(always)]
    fn add_assign(&mut self, other: Lanes) {
        *self = *self + other;
    }
}

impl SubAssign for Lanes {
    #[inline(always)]
    fn sub_assign(&mut self, other: Lanes) {
        *self = *self - other;
    }
}

/// Sum of the products. Two sums at once: one alone would wait for each of its additions.
#[inline(always)]
pub(super) fn dot(a: &[Lanes], b: &[Lanes]) -> Lanes {
    let (mut even, mut odd) = (Lanes::all(0.0), Lanes::all(0.0));
    let ((pairs, rest), (others, last)) = (a.as_chunks::<2>(), b.as_chunks::<2>());
    for (a, b) in pairs.iter().zip(others) {
        even = even.plus(a[0], b[0]);
        odd = odd.plus(a[1], b[1]);
    }
    for (a, b) in rest.iter().zip(last) {
        even = even.plus(*a, *b);
    }
    even + odd
}
