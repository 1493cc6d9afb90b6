//! The baseline that the paper compares with (section 5.2, DSM): denoising score matching with a variance-exploding
//! diffusion (Song et al. 2021) and a transformer. A sample costs 2,000 evaluations of the network, so it is no
//! sampler to export; it is here to be measured.

mod network;
mod recorded;
mod sampling;

use ndarray::Array3;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::draw::spread;
use super::objective::single;
use super::{Continue, Progress};
use crate::cuda::recorded::one_by_one;
use crate::dataset::Dataset;
use crate::molecule::superposition::aligned;
use crate::sampler::noise::{Purpose, Stream};
use crate::{Error, Result};
use network::ScoreNetwork;
use recorded::Recorded;

/// Settings of a run; the defaults are the paper's where it gives them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiffusionSettings {
    /// Passes over the data.
    pub epochs: usize,
    /// Frames of a step.
    pub batch: usize,
    /// Learning rate at the start; it falls to 0 along a cosine.
    pub learning_rate: f64,
    /// Smallest noise, in units of the coordinates' standard deviation.
    pub sigma_min: f64,
    /// Largest noise.
    pub sigma_max: f64,
    /// Units of a token.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Steps of the predictor-corrector sampler, two evaluations each.
    pub sampler_steps: usize,
    /// Signal-to-noise ratio of the corrector.
    pub snr: f64,
    /// Seed of weights, batches and noise.
    pub seed: u64,
}

impl Default for DiffusionSettings {
    fn default() -> Self {
        DiffusionSettings {
            epochs: 1000,
            batch: 128,
            learning_rate: 2e-4,
            sigma_min: 0.1,
            sigma_max: 5.0,
            width: 128,
            layers: 4,
            heads: 4,
            sampler_steps: 1000,
            snr: 0.16,
            seed: 0,
        }
    }
}

/// A diffusion model of one molecule.
#[derive(Debug)]
pub struct Diffusion {
    settings: DiffusionSettings,
    network: ScoreNetwork,
    /// Aligned frames in units of the scale, (N, n, 3).
    data: Tensor,
    scale: f64,
    atoms: usize,
}

impl Diffusion {
    /// Prepares a run on the frames of a molecule.
    ///
    /// # Errors
    /// [`Error::Usage`] where the frames do not vary or a setting is out of range; libtorch's own refusals.
    pub fn new(dataset: &Dataset, settings: DiffusionSettings, device: Device) -> Result<Self> {
        let positive =
            [settings.epochs, settings.batch, settings.width, settings.layers, settings.sampler_steps];
        let sigmas = settings.sigma_min > 0.0 && settings.sigma_max > settings.sigma_min;
        if positive.contains(&0)
            || settings.heads == 0
            || !settings.width.is_multiple_of(settings.heads)
            || !sigmas
        {
            return Err(Error::usage(format!("diffusion settings out of range: {settings:?}")));
        }
        let (positions, _) = aligned(dataset.positions.view(), None, dataset.len() / 2);
        let (frames, atoms, _) = positions.dim();
        let flat = positions.view().into_shape_with_order((frames, 3 * atoms));
        let scale = spread(&flat.map_err(|error| Error::Numeric(error.to_string()))?, None);
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(Error::usage("all atoms are at one place: there is no distribution to learn"));
        }
        let network = ScoreNetwork::new(atoms, &settings, device)?;
        let shape = [frames as i64, atoms as i64, 3];
        let data = single(positions.iter().map(|x| x / scale), &shape, device)?;
        Ok(Diffusion { settings, network, data, scale, atoms })
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        self.network.flat.numel()
    }

    /// Trains: every frame of a batch gets noise of a level of its own, uniform in its logarithm, and the network is
    /// to find it, mean |s sigma + z|^2.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where `progress` said stop; [`Error::Numeric`] where the loss is no number any more.
    pub fn train(&mut self, progress: &mut dyn FnMut(Progress) -> Continue) -> Result<()> {
        let DiffusionSettings { epochs, batch, seed, .. } = self.settings;
        let frames = self.data.size3()?.0 as usize;
        let per_epoch = frames.div_ceil(batch);
        let steps = epochs * per_epoch;
        let mut moments = Moments::new(&self.network.flat)?;
        let mut recorded = Recorded::new(self, frames)?;
        for epoch in 0..epochs {
            let mut stream = Stream::new(seed, Purpose::Training, epoch as u64);
            let order: Vec<i64> =
                stream.distinct(frames, frames).into_iter().map(|frame| frame as i64).collect();
            let draws: Vec<Draws> =
                order.chunks(batch).map(|chosen| self.draw(chosen.to_vec(), &mut stream)).collect();
            let first = epoch * per_epoch;
            let schedule: Vec<[f64; 2]> =
                (first..first + per_epoch).map(|step| [(step + 1) as f64, self.rate(step, steps)]).collect();
            let sum = match &mut recorded {
                Some(recorded) => recorded.epoch(self, &draws, &schedule, &mut moments)?,
                None => self.epoch(&draws, &schedule, &mut moments)?,
            };
            let loss = sum / per_epoch as f64;
            if !loss.is_finite() {
                return Err(Error::Numeric(format!(
                    "the diffusion's training diverged in epoch {epoch}: the loss is {loss}; lower learning_rate"
                )));
            }
            let done = (epoch + 1) * per_epoch;
            if progress(Progress { step: done, steps, loss }) == Continue::Stop && done < steps {
                return Err(Error::Interrupted(format!(
                    "stopped in epoch {epoch} of {epochs}; a diffusion run starts anew"
                )));
            }
        }
        Ok(())
    }

    /// Learning rate of step `step`, counted from 0.
    fn rate(&self, step: usize, steps: usize) -> f64 {
        let phase = std::f64::consts::PI * step as f64 / steps as f64;
        0.5 * self.settings.learning_rate * (1.0 + phase.cos())
    }

    /// Noise levels and noise of a step on these frames.
    fn draw(&self, chosen: Vec<i64>, stream: &mut Stream) -> Draws {
        let ratio = self.settings.sigma_max / self.settings.sigma_min;
        let sigma =
            chosen.iter().map(|_| (self.settings.sigma_min * ratio.powf(stream.uniform())) as f32).collect();
        let mut noise = vec![0.0; chosen.len() * self.atoms * 3];
        stream.normals(&mut noise);
        Draws { chosen, sigma, noise }
    }

    /// The steps of an epoch, one by one; the sum of their losses.
    fn epoch(&self, draws: &[Draws], schedule: &[[f64; 2]], moments: &mut Moments) -> Result<f64> {
        let mut sum = 0.0;
        for (draws, &[number, rate]) in draws.iter().zip(schedule) {
            let place = |values: &[f32], shape: &[i64]| -> Result<Tensor> {
                Ok(Tensor::f_from_slice(values)?.f_view(shape)?.f_to_device(self.data.device())?)
            };
            let sigma = place(&draws.sigma, &[-1, 1, 1])?;
            let noise = place(&draws.noise, &[-1, self.atoms as i64, 3])?;
            let chosen = Tensor::f_from_slice(&draws.chosen)?.f_to_device(self.data.device())?;
            let loss = self.loss(&chosen, &sigma, &noise)?;
            let gradient = self.network.gradient(&loss)?;
            moments.step(&self.network.flat, &gradient, rate, number)?;
            sum += loss.f_double_value(&[])?;
        }
        Ok(sum)
    }

    /// Loss on frames `chosen` (B) with noise levels (B, 1, 1) and noise (B, n, 3).
    fn loss(&self, chosen: &Tensor, sigma: &Tensor, noise: &Tensor) -> Result<Tensor> {
        let noisy = self.data.f_index_select(0, chosen)?.f_add(&sigma.f_mul(noise)?)?;
        Ok(self.network.scaled_score(&noisy, sigma)?.f_add(noise)?.f_square()?.f_mean(None::<Kind>)?)
    }

    /// Samples in angstrom, (count, n, 3), by the predictor-corrector sampler.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where `progress` said stop; [`Error::Numeric`] where a sample is not finite.
    pub fn sample(
        &self,
        count: usize,
        seed: u64,
        progress: &mut dyn FnMut(Progress) -> Continue,
    ) -> Result<Array3<f64>> {
        let x = sampling::predictor_corrector(
            &|x, sigma| {
                // Another training's steps may round their products while they are recorded; these may not.
                let _turn = self.data.device().is_cuda().then(one_by_one);
                self.network.scaled_score(x, sigma)
            },
            &self.settings,
            &[count as i64, self.atoms as i64, 3],
            self.data.device(),
            seed,
            progress,
        )?;
        let values = crate::generator::to_vec(&x)?;
        let values = values.into_iter().map(|x| f64::from(x) * self.scale).collect();
        Array3::from_shape_vec((count, self.atoms, 3), values)
            .map_err(|error| Error::Numeric(error.to_string()))
    }
}

/// Standard normal numbers of a shape.
fn normals(stream: &mut Stream, shape: &[i64], device: Device) -> Result<Tensor> {
    let mut values = vec![0.0; shape.iter().product::<i64>() as usize];
    stream.normals(&mut values);
    Ok(Tensor::f_from_slice(&values)?.f_view(shape)?.f_to_device(device)?)
}

/// What a step draws.
#[derive(Debug)]
struct Draws {
    /// Frames, (B).
    chosen: Vec<i64>,
    /// Noise levels, (B).
    sigma: Vec<f32>,
    /// Noise, (B, n, 3).
    noise: Vec<f32>,
}

/// Moments of Adam (Kingma and Ba 2015), with the usual decay rates.
#[derive(Debug)]
struct Moments {
    mean: Tensor,
    square: Tensor,
}

impl Moments {
    fn new(flat: &Tensor) -> Result<Self> {
        Ok(Moments { mean: flat.f_zeros_like()?, square: flat.f_zeros_like()? })
    }

    /// Step `number`, counted from 1.
    fn step(&mut self, flat: &Tensor, gradient: &Tensor, rate: f64, number: f64) -> Result<()> {
        let (c1, c2) = (1.0 - 0.9_f64.powf(number), 1.0 - 0.999_f64.powf(number));
        tch::no_grad(|| -> Result<()> {
            let _ = self.mean.f_lerp_(gradient, 0.1)?;
            let _ = self.square.f_lerp_(&gradient.f_square()?, 1e-3)?;
            let scale = self.square.f_sqrt()?.f_mul_scalar(1.0 / c2.sqrt())?.f_add_scalar(1e-8)?;
            let _ = flat.shallow_clone().f_add_(&self.mean.f_div(&scale)?.f_mul_scalar(-rate / c1)?)?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_wells() -> Dataset {
        // A diatomic whose bond is 1 or 2 angstrom, equally often, with a width of 0.05.
        let mut stream = Stream::new(3, Purpose::Data, 0);
        let mut positions = Array3::zeros((512, 2, 3));
        for frame in 0..512 {
            positions[[frame, 1, 0]] = if frame % 2 == 0 { 1.0 } else { 2.0 } + 0.05 * stream.normal();
        }
        Dataset::from_arrays(vec![1, 1], positions, None, None, None).unwrap()
    }

    #[test]
    fn the_papers_network_has_its_size() {
        let positions =
            Array3::from_shape_fn((10, 9, 3), |(f, a, c)| (a * (c + 1)) as f64 + 0.1 * (f + a * c) as f64);
        let data = Dataset::from_arrays(vec![1; 9], positions, None, None, None).unwrap();
        let diffusion = Diffusion::new(&data, DiffusionSettings::default(), Device::Cpu).unwrap();
        // The paper says about 823 K and no more of the embeddings.
        assert_eq!(diffusion.parameters(), 820_227);
    }

    #[test]
    fn learns_two_wells() {
        // Two OpenMP threads that share their cores with other tests spin.
        crate::train::device::use_threads(1);
        let settings = DiffusionSettings {
            epochs: 60,
            batch: 64,
            learning_rate: 2e-3,
            width: 32,
            layers: 2,
            sampler_steps: 100,
            ..DiffusionSettings::default()
        };
        let mut diffusion = Diffusion::new(&two_wells(), settings, Device::Cpu).unwrap();
        let mut losses = Vec::new();
        diffusion
            .train(&mut |progress| {
                losses.push(progress.loss);
                Continue::Yes
            })
            .unwrap();
        assert!(losses[losses.len() - 1] < 0.6 * losses[0], "{losses:?}");
        let x = diffusion.sample(400, 1, &mut |_| Continue::Yes).unwrap();
        assert_eq!(
            x,
            diffusion.sample(400, 1, &mut |_| Continue::Yes).unwrap(),
            "the same seed, the same samples"
        );
        let r: Vec<f64> = x
            .outer_iter()
            .map(|f| (0..3).map(|c| (f[[0, c]] - f[[1, c]]).powi(2)).sum::<f64>().sqrt())
            .collect();
        let near = |to: f64| r.iter().filter(|&&r| (r - to).abs() < 0.3).count();
        let (short, long) = (near(1.0), near(2.0));
        assert!(short + long > 300 && short > 80 && long > 80, "{short} {long}");
        let stopped = diffusion.train(&mut |_| Continue::Stop);
        assert!(matches!(stopped, Err(Error::Interrupted(_))));
    }

    #[test]
    fn the_recorded_steps_are_those_of_the_cpu() {
        use crate::train::device::{resolve, Choice};
        let device = match resolve(Choice::Cuda(0)) {
            Ok((device, _)) => device,
            Err(why) => return println!("skipped: {why}"),
        };
        let losses = |device| {
            // Five batches of 100 and one of 12.
            let settings = DiffusionSettings {
                epochs: 8,
                batch: 100,
                width: 32,
                layers: 2,
                ..DiffusionSettings::default()
            };
            let mut diffusion = Diffusion::new(&two_wells(), settings, device).unwrap();
            let mut losses = Vec::new();
            diffusion
                .train(&mut |progress| {
                    losses.push(progress.loss);
                    Continue::Yes
                })
                .unwrap();
            losses
        };
        let (got, expected) = (losses(device), losses(Device::Cpu));
        assert_eq!(got.len(), expected.len());
        for (a, b) in got.iter().zip(&expected) {
            assert!((a - b).abs() < 2e-3 * b, "{got:?} {expected:?}");
        }
    }
}
