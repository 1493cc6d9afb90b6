//! Whether a window begins before the run was warm: its first frames against the rest.

use ndarray::{s, Array1};
use serde::Serialize;

use super::thermometer::{ratio, Temperature};
use crate::units::BOLTZMANN;

/// Parts of the window that are looked at as its beginning: one over these.
const PARTS: [usize; 4] = [20, 10, 5, 3];
/// Fewer correlation lengths in the beginning are no reading.
const FEW_STRETCHES: f64 = 1.5;
/// Nor are fewer independent squares: their sum is far from a normal number.
const FEW_SQUARES: f64 = 30.0;

/// The beginning of a window that is farthest from its rest, in standard errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Start {
    /// Frames of the beginning.
    pub frames: usize,
    /// Their temperature, K.
    pub kelvin: f64,
    /// The temperature of the rest.
    pub rest: Temperature,
    /// Standard error of the difference, K, as the rest fluctuates.
    pub error: f64,
}

impl Start {
    /// Difference over its standard error.
    pub fn deviates(&self) -> f64 {
        (self.kelvin - self.rest.kelvin) / self.error
    }
}

/// Looks at the beginning of per-frame terms (N) whose ratio is kT, in order of time, numerators sums of `squares` squared
/// normal numbers; none for fewer than 60 frames, or
/// where a beginning is too short for its correlation.
///
/// The error of the beginning is that of as many frames of the rest: a beginning that warms up has another one.
pub(super) fn start(numerator: &Array1<f64>, denominator: &Array1<f64>, squares: f64) -> Option<Start> {
    let frames = numerator.len();
    let one = |part: usize| {
        let first = frames / part;
        let [begin, end] = [s![..first], s![first..]];
        let (top, bottom) = (numerator.slice(end).to_owned(), denominator.slice(end).to_owned());
        let rest = ratio(&top, &bottom, squares);
        let stretches = first as f64 / rest.correlation;
        if first < 3 || stretches < FEW_STRETCHES || squares * stretches < FEW_SQUARES {
            return None;
        }
        let kelvin = numerator.slice(begin).sum() / denominator.slice(begin).sum() / BOLTZMANN;
        // The error of the rest is that of its frames; the beginning has fewer.
        let error = rest.error * (1.0 + (frames - first) as f64 / first as f64).sqrt();
        let found = Start { frames: first, kelvin, rest, error };
        (found.deviates().is_finite()).then_some(found)
    };
    if frames < 60 {
        return None;
    }
    PARTS.into_iter().filter_map(one).max_by(|a, b| a.deviates().abs().total_cmp(&b.deviates().abs()))
}
