//! Adam on one flat tensor. libtorch's own keeps its moments to itself; an exact `--resume` needs them.

use tch::{Kind, Tensor};

use crate::Result;

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

impl Adam {
    const EPSILON: f64 = 1e-8;

    /// Moments of zero for weights like `flat`.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn new(flat: &Tensor, betas: (f64, f64)) -> Result<Self> {
        let zeros = || Tensor::f_zeros([flat.numel() as i64], (Kind::Float, flat.device()));
        Ok(Adam { mean: zeros()?, square: zeros()?, betas })
    }

    /// Changes `flat` in place by step number `step` (counted from 1) along `gradient`.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn step(&mut self, flat: &Tensor, gradient: &Tensor, rate: f64, step: usize) -> Result<()> {
        let (b1, b2) = self.betas;
        let exponent = i32::try_from(step).unwrap_or(i32::MAX);
        let (c1, c2) = (1.0 - b1.powi(exponent), 1.0 - b2.powi(exponent));
        tch::no_grad(|| -> Result<()> {
            let _ = self.mean.f_lerp_(gradient, 1.0 - b1)?;
            let _ = self.square.f_lerp_(&gradient.f_square()?, 1.0 - b2)?;
            let scale = self.square.f_sqrt()?.f_mul_scalar(1.0 / c2.sqrt())?.f_add_scalar(Self::EPSILON)?;
            let change = self.mean.f_div(&scale)?.f_mul_scalar(-rate / c1)?;
            let _ = flat.shallow_clone().f_add_(&change)?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_steps_by_hand() {
        // With a constant gradient every bias-corrected step is -rate * g / (|g| + eps).
        let flat = Tensor::from_slice(&[1.0_f32, -2.0]);
        let gradient = Tensor::from_slice(&[0.5_f32, -3.0]);
        let mut adam = Adam::new(&flat, (0.9, 0.99)).unwrap();
        for step in 1..=3 {
            adam.step(&flat, &gradient, 0.1, step).unwrap();
        }
        let got = Vec::<f32>::try_from(&flat).unwrap();
        assert!((got[0] - 0.7).abs() < 1e-5 && (got[1] + 1.7).abs() < 1e-5, "{got:?}");
    }
}
