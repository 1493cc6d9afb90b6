//! The steps of an epoch on a CUDA device: whole batches from one record, the last and smaller one from another.

use tch::{Kind, Tensor};

use super::{Diffusion, Draws, Moments};
use crate::cuda::bridge::adam;
use crate::cuda::recorded::{Block, Numbers, Recorder};
use crate::{Error, Result};

/// The batches of one size in an epoch.
#[derive(Debug)]
struct Batches {
    recorder: Recorder,
    block: Block,
    size: usize,
}

/// Batches by size, and the sum of the losses of an epoch.
#[derive(Debug)]
pub(super) struct Recorded {
    batches: Vec<Batches>,
    sum: Tensor,
}

impl Recorded {
    /// For epochs of `frames` frames; `None` where steps run one by one.
    ///
    /// # Errors
    /// Where the device has no room.
    pub(super) fn new(diffusion: &Diffusion, frames: usize) -> Result<Option<Recorded>> {
        let (batch, device) = (diffusion.settings.batch, diffusion.data.device());
        let mut batches = Vec::new();
        for (size, steps) in [(batch, frames / batch), (frames % batch, 1)] {
            if size == 0 || steps == 0 {
                continue;
            }
            let Some(recorder) = Recorder::or_slowly(device)? else { return Ok(None) };
            let (size, atoms) = (size as i64, diffusion.atoms as i64);
            let shapes = [
                (vec![size], true),
                (vec![size, 1, 1], false),
                (vec![size, atoms, 3], false),
                (vec![2], false),
            ];
            batches.push(Batches {
                recorder,
                block: Block::new(steps, &shapes, device)?,
                size: size as usize,
            });
        }
        Ok(Some(Recorded { batches, sum: Tensor::f_zeros([1], (Kind::Float, device))? }))
    }

    /// The steps of an epoch; the sum of their losses. `schedule` has number, counted from 1, and learning rate.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub(super) fn epoch(
        &mut self,
        diffusion: &Diffusion,
        draws: &[Draws],
        schedule: &[[f64; 2]],
        moments: &mut Moments,
    ) -> Result<f64> {
        let Recorded { batches, sum } = self;
        let (mean, square) = (&moments.mean, &moments.square);
        for Batches { recorder, block, size } in batches {
            let own: Vec<(&Draws, &[f64; 2])> =
                draws.iter().zip(schedule).filter(|(draws, _)| draws.chosen.len() == *size).collect();
            let reals = |of: &dyn Fn(&Draws) -> &[f32]| -> Numbers {
                Numbers::Real(own.iter().flat_map(|(draws, _)| of(draws).iter().copied()).collect())
            };
            let numbers = [
                Numbers::Index(own.iter().flat_map(|(draws, _)| draws.chosen.iter().copied()).collect()),
                reals(&|draws| &draws.sigma),
                reals(&|draws| &draws.noise),
                Numbers::Real(own.iter().flat_map(|(_, pair)| pair.map(|x| x as f32)).collect()),
            ];
            let count = own.len();
            let step = |_: &_| step(diffusion, block, [mean, square], sum);
            recorder.run(|| block.fill(count, &numbers), count, &step, || Ok(()))?;
        }
        let total = sum.f_double_value(&[0])?;
        let _ = sum.f_zero_()?;
        Ok(total)
    }
}

fn step(diffusion: &Diffusion, block: &Block, [mean, square]: [&Tensor; 2], sum: &Tensor) -> Result<()> {
    let [chosen, sigma, noise, schedule]: [Tensor; 4] = block
        .step()?
        .try_into()
        .map_err(|_| Error::Numeric("a block of a diffusion step lacks its arrays".into()))?;
    let loss = diffusion.loss(&chosen, &sigma, &noise)?;
    let gradient = diffusion.network.gradient(&loss)?;
    let [number, rate] = [0, 1].map(|k| schedule.f_narrow(0, k, 1));
    adam(
        [&diffusion.network.flat, &gradient, mean, square],
        [&number?, &rate?.f_squeeze()?],
        (0.9, 0.999),
        1e-8,
    )?;
    tch::no_grad(|| -> Result<()> {
        let _ = sum.shallow_clone().f_add_(&loss.f_detach()?)?;
        block.next()
    })
}
