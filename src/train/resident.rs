//! Steps of a training that stays on a CUDA device: data, weights and random numbers are there, and the host sees no
//! number of a step but at a look.

use rayon::prelude::*;
use tch::Tensor;

use super::adam::Adam;
use super::draw::{Drawn, Draws, Plan};
use super::{Method, Trainer, LOOK_EVERY};
use crate::cuda::bridge::{adam, forward, Steps};
use crate::cuda::recorded::{Block, Numbers, Recorder};
use crate::{Error, Result};

/// Most bytes of random numbers of a block.
const LARGEST_BLOCK: usize = 1 << 28;
/// Numbers of a step's schedule: its number, the learning rate, and what the moving average takes of the new weights.
const SCHEDULE: usize = 3;

/// The recorded step and the random numbers of the steps to come.
#[derive(Debug)]
pub(super) struct Resident {
    recorder: Recorder,
    block: Block,
    /// Steps that a block has room for.
    room: usize,
    /// Gradient in the order of the flat weights, and its part of each layer.
    gradient: Tensor,
    parts: Vec<(Tensor, Tensor)>,
    /// Numbers drawn ahead, and the first step they are for.
    ahead: Option<(usize, Vec<Draws>)>,
}

impl Trainer {
    /// What the steps of a CUDA device need; `None` on the CPU, and where there is no bridge to CUDA, which is said.
    ///
    /// # Errors
    /// Where the device has no room.
    pub(super) fn resident(&self) -> Result<Option<Resident>> {
        let Some(recorder) = Recorder::or_slowly(self.device)? else { return Ok(None) };
        let plan = &self.plan;
        let shapes: Vec<(Vec<i64>, bool)> =
            [(plan.latent.to_vec(), false), (vec![plan.batch as i64], true), (vec![SCHEDULE as i64], false)]
                .into_iter()
                .chain(plan.lines.iter().map(|shape| (shape.to_vec(), false)))
                .collect();
        let bytes: usize = shapes.iter().map(|(shape, _)| 8 * shape.iter().product::<i64>() as usize).sum();
        let room = (LARGEST_BLOCK / bytes).clamp(1, LOOK_EVERY);
        let gradient = self.generator.flat().f_zeros_like()?;
        let parts = self.generator.parts(&gradient)?;
        let block = Block::new(room, &shapes, self.device)?;
        Ok(Some(Resident { recorder, block, room, gradient, parts, ahead: None }))
    }

    /// Steps on the device up to the next look.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub(super) fn steps_to_look(&mut self, resident: &mut Resident) -> Result<()> {
        let mut done = self.step;
        let end = ((done / LOOK_EVERY + 1) * LOOK_EVERY).min(self.settings.steps);
        let Resident { recorder, block, room, gradient, parts, ahead } = resident;
        let (block, gradient, parts) = (&*block, &*gradient, &*parts);
        let trainer = &*self;
        while done < end {
            let count = (end - done).min(*room);
            let draws = match ahead.take() {
                Some((first, draws)) if first == done && draws.len() >= count => draws,
                _ => draw(&trainer.plan, done, count),
            };
            let numbers = numbers(&draws[..count], done, trainer);
            recorder.run(
                || block.fill(count, &numbers),
                count,
                &|steps| trainer.whole_step(steps, block, gradient, parts),
                || {
                    // The host draws while the device works.
                    let next = (*room).min(trainer.settings.steps - done - count);
                    *ahead = (next > 0).then(|| (done + count, draw(&trainer.plan, done + count, next)));
                    Ok(())
                },
            )?;
            done += count;
        }
        self.step = done;
        Ok(())
    }

    /// One step from the block's row to the new weights, all on the device and without a look at any number.
    fn whole_step(
        &self,
        steps: &Steps,
        block: &Block,
        gradient: &Tensor,
        parts: &[(Tensor, Tensor)],
    ) -> Result<()> {
        let mut rows = block.step()?.into_iter();
        let (Some(latent), Some(index), Some(schedule)) = (rows.next(), rows.next(), rows.next()) else {
            return Err(Error::Numeric("a block of a training step lacks its arrays".into()));
        };
        let drawn = Drawn { latent, index, lines: rows.collect() };
        let prepared = self.objective.preparation(self.device).of(drawn)?;
        let layers = self.generator.layers();
        let passed = forward(&layers, &prepared.drawn.latent)?;
        let outputs = passed.outputs().f_detach()?.f_set_requires_grad(true)?;
        let positions = match self.settings.method {
            Method::Sliced => outputs.f_mul_scalar(self.scale)?.f_add(&self.origin_device)?,
            _ => outputs.shallow_clone(),
        };
        let loss = self.objective.loss(&positions, &prepared)?;
        let at_outputs = Tensor::f_run_backward(&[&loss], &[&outputs], false, false)?.remove(0);
        steps.backward(&layers, &passed, &at_outputs, parts)?;
        let flat = self.generator.flat();
        let [number, rate, taken] = [0, 1, 2].map(|k| schedule.f_narrow(0, k, 1));
        adam(
            [flat, gradient, &self.adam.mean, &self.adam.square],
            [&number?, &rate?.f_squeeze()?],
            self.adam.betas,
            Adam::EPSILON,
        )?;
        tch::no_grad(|| -> Result<()> {
            if self.settings.average {
                let _ = self.average.shallow_clone().f_lerp_tensor_(flat, &taken?)?;
            }
            let _ = self.sum.shallow_clone().f_add_(&loss.f_detach()?)?;
            block.next()
        })
    }
}

fn draw(plan: &Plan, first: usize, count: usize) -> Vec<Draws> {
    (first..first + count).into_par_iter().map(|step| plan.step(step)).collect()
}

/// The numbers of a block, for the steps from `first` on.
fn numbers(draws: &[Draws], first: usize, trainer: &Trainer) -> Vec<Numbers> {
    let reals = |of: &dyn Fn(&Draws) -> &[f32]| -> Numbers {
        Numbers::Real(draws.iter().flat_map(|draws| of(draws).iter().copied()).collect())
    };
    let schedule = (first..first + draws.len()).flat_map(|done| {
        let step = trainer.schedule(done);
        [step.number as f32, step.rate as f32, (1.0 - step.decay) as f32]
    });
    let index = draws.iter().flat_map(|draws| draws.index.iter().copied());
    [reals(&|draws| &draws.latent), Numbers::Index(index.collect()), Numbers::Real(schedule.collect())]
        .into_iter()
        .chain((0..trainer.plan.lines.len()).map(|set| reals(&move |draws| &draws.lines[set])))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::device::{resolve, Choice};
    use super::super::method::{Method, Space};
    use super::super::{Continue, Overrides, Settings};
    use tch::Device;

    use super::*;
    use crate::dataset::Dataset;
    use crate::generator::to_vec;
    use crate::molecule::samples::ETHANOL;
    use crate::molecule::springs::Springs;

    fn cases() -> Vec<Settings> {
        let small = |method, space| {
            let sliced = method == Method::Sliced;
            Settings::resolve(&Overrides {
                method: Some(method),
                space: (!sliced).then_some(space),
                temperature: Some(300.0),
                steps: Some(170),
                batch: Some(64),
                positives: (!sliced).then_some(96),
                width: Some(48),
                depth: Some(2),
                noise: Some(16),
                ..Overrides::default()
            })
            .unwrap()
        };
        vec![
            small(Method::Sliced, Space::Distance),
            small(Method::ForceAligned, Space::Distance),
            small(Method::Combined, Space::Distance),
            small(Method::ForceInterpolated, Space::Cartesian),
        ]
    }

    fn data() -> Dataset {
        Springs::new(&ETHANOL).canonical(300.0, 300, 1)
    }

    /// Losses at the looks, and the weights at the end.
    fn run(settings: &Settings, device: Device) -> (Vec<f64>, Vec<f32>) {
        let mut trainer = Trainer::new(&data(), settings.clone(), device).unwrap();
        trainer.run(None, &mut |_| Continue::Yes).unwrap();
        let losses = trainer.losses().iter().map(|(_, loss)| *loss).collect();
        (losses, to_vec(trainer.generator.flat()).unwrap())
    }

    fn cuda() -> Option<Device> {
        match resolve(Choice::Cuda(0)) {
            Ok((device, _)) => Some(device),
            Err(why) => {
                println!("skipped: {why}");
                None
            }
        }
    }

    fn close(what: &str, got: &(Vec<f64>, Vec<f32>), expected: &(Vec<f64>, Vec<f32>), within: f64) {
        assert_eq!(got.0.len(), expected.0.len());
        for (a, b) in got.0.iter().zip(&expected.0) {
            assert!((a - b).abs() < within * b.abs(), "{what}: losses {:?} {:?}", got.0, expected.0);
        }
        let of = |weights: &[f32]| weights.iter().map(|w| f64::from(w * w)).sum::<f64>().sqrt();
        let apart: Vec<f32> = got.1.iter().zip(&expected.1).map(|(a, b)| a - b).collect();
        assert!(
            of(&apart) < 10.0 * within * of(&expected.1),
            "{what}: {} of {}",
            of(&apart),
            of(&expected.1)
        );
    }

    #[test]
    fn the_recorded_steps_are_those_of_the_cpu() {
        let Some(device) = cuda() else { return };
        for settings in cases() {
            let start = Instant::now();
            let got = run(&settings, device);
            println!("{} in {}: {:?}", settings.method, settings.space, start.elapsed());
            close(&format!("{}", settings.method), &got, &run(&settings, Device::Cpu), 2e-3);
        }
    }

    #[test]
    fn runs_side_by_side_on_one_device_do_not_disturb_each_other() {
        let Some(device) = cuda() else { return };
        let alone: Vec<_> = cases().iter().map(|settings| run(settings, device)).collect();
        let together: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> =
                cases().into_iter().map(|settings| scope.spawn(move || run(&settings, device))).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (got, expected) in together.iter().zip(&alone) {
            close("together", got, expected, 2e-3);
        }
    }

    #[test]
    fn a_run_goes_on_from_its_checkpoint_on_the_device() {
        let Some(device) = cuda() else { return };
        let settings = &cases()[1];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("half.checkpoint");
        let mut trainer = Trainer::new(&data(), settings.clone(), device).unwrap();
        let stop = &mut |progress: crate::train::Progress| {
            if progress.step >= 100 {
                Continue::Stop
            } else {
                Continue::Yes
            }
        };
        trainer.run(Some((&path, 50)), stop).unwrap_err();
        let checkpoint = crate::train::checkpoint::Checkpoint::load(&path).unwrap();
        assert_eq!(checkpoint.state.step, 100);
        let mut again = Trainer::resume(&data(), &checkpoint, device).unwrap();
        again.run(None, &mut |_| Continue::Yes).unwrap();
        let losses = again.losses().iter().map(|(_, loss)| *loss).collect();
        close("resumed", &(losses, to_vec(again.generator.flat()).unwrap()), &run(settings, device), 2e-3);
    }
}
