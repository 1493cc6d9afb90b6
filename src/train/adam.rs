//! Adam on one flat tensor. libtorch's own keeps its moments to itself; an exact `--resume` needs them.

use tch::{Device, Kind, Tensor};

use super::parallel::each;
use crate::Result;

/// Numbers that go through the whole step while they are in the cache.
const PIECE: i64 = 1 << 15;

/// Moments and settings of Adam (Kingma and Ba 2015, without weight decay).
#[derive(Debug)]
pub struct Adam {
    /// First moment.
    pub mean: Tensor,
    /// Second moment.
    pub square: Tensor,
    /// Decay rates of the two.
    pub betas: (f64, f64),
}

/// One step.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Counted from 1.
    pub number: usize,
    /// Learning rate.
    pub rate: f64,
    /// Decay of the moving average of the weights.
    pub decay: f64,
}

impl Adam {
    pub(super) const EPSILON: f64 = 1e-8;

    /// Moments of zero for weights like `flat`.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn new(flat: &Tensor, betas: (f64, f64)) -> Result<Self> {
        let zeros = || Tensor::f_zeros([flat.numel() as i64], (Kind::Float, flat.device()));
        Ok(Adam { mean: zeros()?, square: zeros()?, betas })
    }

    /// Changes `flat` in place along `gradient`, and takes the result into the moving average `average`.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn step(&mut self, flat: &Tensor, gradient: &Tensor, average: &Tensor, step: Step) -> Result<()> {
        let length = flat.numel() as i64;
        let piece = if flat.device() == Device::Cpu { PIECE } else { length.max(1) };
        let mut work = Vec::new();
        for start in (0..length).step_by(piece as usize) {
            let part = |all: &Tensor| all.f_narrow(0, start, piece.min(length - start));
            work.push([part(flat)?, part(gradient)?, part(average)?, part(&self.mean)?, part(&self.square)?]);
        }
        let betas = self.betas;
        each(work, |[flat, gradient, average, mean, square]| {
            tch::no_grad(|| apply([flat, average, mean, square], &gradient, betas, step))
        })?;
        Ok(())
    }
}

fn apply(
    [mut flat, mut average, mut mean, mut square]: [Tensor; 4],
    gradient: &Tensor,
    (b1, b2): (f64, f64),
    Step { number, rate, decay }: Step,
) -> Result<()> {
    let exponent = i32::try_from(number).unwrap_or(i32::MAX);
    let (c1, c2) = (1.0 - b1.powi(exponent), 1.0 - b2.powi(exponent));
    let _ = mean.f_lerp_(gradient, 1.0 - b1)?;
    let _ = square.f_lerp_(&gradient.f_square()?, 1.0 - b2)?;
    let mut change = square.f_sqrt()?;
    let _ = change.f_mul_scalar_(1.0 / c2.sqrt())?.f_add_scalar_(Adam::EPSILON)?;
    let mut change = mean.f_div(&change)?;
    let _ = change.f_mul_scalar_(-rate / c1)?;
    let _ = flat.f_add_(&change)?;
    let _ = average.f_lerp_(&flat, 1.0 - decay)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_steps_by_hand() {
        // With a constant gradient every bias-corrected step is -rate * g / (|g| + eps).
        let flat = Tensor::from_slice(&[1.0_f32, -2.0]);
        let gradient = Tensor::from_slice(&[0.5_f32, -3.0]);
        let average = Tensor::from_slice(&[0.0_f32, 0.0]);
        let mut adam = Adam::new(&flat, (0.9, 0.99)).unwrap();
        for number in 1..=3 {
            adam.step(&flat, &gradient, &average, Step { number, rate: 0.1, decay: 0.5 }).unwrap();
        }
        let got = Vec::<f32>::try_from(&flat).unwrap();
        assert!((got[0] - 0.7).abs() < 1e-5 && (got[1] + 1.7).abs() < 1e-5, "{got:?}");
        // Halves of 0.9, 0.8 and 0.7, each halved again by the steps after it.
        let got = Vec::<f32>::try_from(&average).unwrap();
        assert!((got[0] - (0.9 / 8.0 + 0.8 / 4.0 + 0.7 / 2.0)).abs() < 1e-5, "{got:?}");
    }

    #[test]
    fn pieces_are_the_whole() {
        // Every weight moves by itself: what stands beyond the first piece moves as what stands in it.
        let count = 2 * PIECE + 5;
        let flat = Tensor::from_slice(&[1.0_f32]).expand([count], false).contiguous();
        let (average, gradient) = (flat.zeros_like(), flat.full_like(0.5));
        let mut adam = Adam::new(&flat, (0.9, 0.99)).unwrap();
        adam.step(&flat, &gradient, &average, Step { number: 1, rate: 0.1, decay: 0.0 }).unwrap();
        for all in [&flat, &average] {
            let got = Vec::<f32>::try_from(all).unwrap();
            assert!(got.len() == count as usize && got.iter().all(|w| (w - 0.9).abs() < 1e-5));
        }
    }
}
