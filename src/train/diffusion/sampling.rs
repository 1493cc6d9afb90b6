//! Predictor-corrector sampling of a variance-exploding diffusion (Song et al. 2021, Algorithms 2 and 4).

use tch::{Device, Kind, Tensor};

use super::{normals, DiffusionSettings};
use crate::sampler::noise::{Purpose, Stream};
use crate::train::{Continue, Progress};
use crate::{Error, Result};

/// sigma times the score of places (B, n, 3) at levels (B, 1, 1).
pub(super) type ScaledScore<'a> = dyn Fn(&Tensor, &Tensor) -> Result<Tensor> + 'a;

/// Samples of `shape` (B, n, 3): from the largest noise to the smallest in a geometric series, at each level one
/// Langevin step (corrector) and one step of reverse diffusion (predictor); the last step adds no noise.
///
/// # Errors
/// [`Error::Interrupted`] where `progress` said stop; [`Error::Numeric`] where a sample is not finite.
pub(super) fn predictor_corrector(
    score: &ScaledScore,
    settings: &DiffusionSettings,
    shape: &[i64],
    device: Device,
    seed: u64,
    progress: &mut dyn FnMut(Progress) -> Continue,
) -> Result<Tensor> {
    let steps = settings.sampler_steps;
    let ratio = settings.sigma_max / settings.sigma_min;
    let level =
        |k: usize| settings.sigma_min * ratio.powf((steps - 1 - k) as f64 / (steps - 1).max(1) as f64);
    let mut x = normals(&mut Stream::new(seed, Purpose::Positions, 0), shape, device)?
        .f_mul_scalar(settings.sigma_max)?;
    for step in 0..steps {
        let sigma = level(step);
        let next = if step + 1 < steps { level(step + 1) } else { 0.0 };
        let levels = Tensor::f_full([shape[0], 1, 1], sigma, (Kind::Float, device))?;
        let mut stream = Stream::new(seed, Purpose::Positions, 1 + step as u64);
        let advanced = tch::no_grad(|| -> Result<Tensor> {
            let z = normals(&mut stream, shape, device)?;
            let gradient = score(&x, &levels)?.f_div_scalar(sigma)?;
            let size = settings.snr * mean_norm(&z)? / mean_norm(&gradient)?.max(1e-12);
            let rate = 2.0 * size * size;
            let x = x.f_add(&gradient.f_mul_scalar(rate)?)?.f_add(&z.f_mul_scalar((2.0 * rate).sqrt())?)?;
            let gradient = score(&x, &levels)?.f_div_scalar(sigma)?;
            let variance = sigma * sigma - next * next;
            let mut x = x.f_add(&gradient.f_mul_scalar(variance)?)?;
            if step + 1 < steps {
                x = x.f_add(&normals(&mut stream, shape, device)?.f_mul_scalar(variance.sqrt())?)?;
            }
            Ok(x)
        })?;
        x = advanced;
        if progress(Progress { step: step + 1, steps, loss: 0.0 }) == Continue::Stop && step + 1 < steps {
            return Err(Error::Interrupted(format!("sampling the diffusion was stopped at step {step}")));
        }
    }
    if x.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
        return Err(Error::Numeric("a sample of the diffusion is not finite; train it longer".into()));
    }
    Ok(x)
}

fn mean_norm(x: &Tensor) -> Result<f64> {
    let square = x.f_square()?.f_sum_dim_intlist([1_i64, 2].as_slice(), false, None::<Kind>)?;
    Ok(square.f_sqrt()?.f_mean(None::<Kind>)?.f_double_value(&[])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_of_a_normal_distribution_gives_it() {
        // Data of standard deviation w: at level sigma the score is -x / (w^2 + sigma^2).
        let width = 0.7;
        let settings =
            DiffusionSettings { sigma_min: 0.02, sampler_steps: 300, ..DiffusionSettings::default() };
        let score = |x: &Tensor, sigma: &Tensor| -> Result<Tensor> {
            let variance = sigma.f_square()?.f_add_scalar(width * width)?;
            Ok(x.f_neg()?.f_mul(sigma)?.f_div(&variance)?)
        };
        let x = predictor_corrector(&score, &settings, &[2000, 1, 3], Device::Cpu, 4, &mut |_| Continue::Yes)
            .unwrap();
        let x: Vec<f32> = Vec::try_from(x.view([-1])).unwrap();
        let mean = x.iter().sum::<f32>() / x.len() as f32;
        let spread = (x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32).sqrt();
        // Standard errors: 0.7 / sqrt(6000), and that over sqrt(2); the discretization adds a little.
        assert!(mean.abs() < 0.04 && (spread - 0.7).abs() < 0.04, "{mean} {spread}");
    }
}
