//! Training of the one-step generator.
//!
//! Every step draws its noise, batch and lines from a ChaCha stream of its own number, so a resumed run
//! on the CPU is the undisturbed run, to the bit.

mod adam;
pub mod checkpoint;
mod company;
pub mod device;
pub mod diffusion;
pub mod draw;
pub mod feature_cache;
pub mod kernel;
mod memory;
pub mod method;
pub mod objective;
mod overrides;
mod parallel;
pub mod quality;
mod resident;
pub mod settings;
pub mod sliced;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ndarray::Axis;
use tch::{Kind, Tensor};

use adam::{Adam, Step};
use checkpoint::Checkpoint;
use company::Company;
use draw::{spread, Plan, Weights};
pub use kernel::FieldFigures;
use kernel::KernelDrift;
pub use method::{Method, Scale, Space};
use objective::{Objective, Prepared};
pub use overrides::Overrides;
pub use settings::Settings;
use sliced::Sliced;

use crate::dataset::Dataset;
use crate::generator::{layers, parameters, to_vec, Generator};
use crate::molecule::bonds::Bonds;
use crate::molecule::features::distances;
use crate::molecule::symmetry::SymmetryGroup;
use crate::ranks::{in_pairs, Ranks};
use crate::sampler::file::{Model, Record, Shape, FORMAT_VERSION};
use crate::{Error, Result};

/// Fewer frames than this cannot carry a distribution.
pub const FEWEST_FRAMES: usize = 10;
/// Frames whose distances differ by less are the same frame, angstrom.
const SAME: f64 = 1e-6;
/// Longest memory of the moving average of the weights, as a decay per step.
const AVERAGE_DECAY: f64 = 0.999;
/// Steps between two looks at the loss: each look waits for the device.
const LOOK_EVERY: usize = 50;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Mean loss since the last look.
    pub loss: f64,
}

/// What to do after a look at the progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continue {
    /// Go on.
    Yes,
    /// Save a checkpoint and stop.
    Stop,
}

/// A training run.
#[derive(Debug)]
pub struct Trainer {
    settings: Settings,
    generator: Generator,
    average: Tensor,
    adam: Adam,
    room: parallel::Room,
    objective: Objective,
    origin: Vec<f64>,
    origin_device: Tensor,
    scale: f64,
    step: usize,
    seconds: f64,
    losses: Vec<(usize, f64)>,
    sum: Tensor,
    device: tch::Device,
    record: Record,
    plan: Plan,
    /// What a step to come needs, and its number, where it was made ahead.
    ahead: Option<(usize, Prepared)>,
    /// The other ranks, where the batch is shared with some.
    company: Option<Arc<Company>>,
}

impl Trainer {
    /// Prepares a run: bonds, rotatable bonds and symmetry come from the data.
    ///
    /// # Errors
    /// [`Error::Usage`] for too few frames or a molecule of one atom or of several fragments;
    /// [`Error::Unsupported`] for a symmetry group too large to list.
    pub fn new(dataset: &Dataset, settings: Settings, device: tch::Device) -> Result<Self> {
        Trainer::weighted(dataset, settings, device, None)
    }

    /// The same with one weight per frame, (N), not negative, of any sum: batches, widths and whitening are those
    /// of the weighted frames. Without weights every bit is as from [`Trainer::new`].
    ///
    /// # Errors
    /// As [`Trainer::new`]; [`Error::Usage`] where there is not one finite, non-negative weight per frame.
    pub fn weighted(
        dataset: &Dataset,
        settings: Settings,
        device: tch::Device,
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        let (frames, atoms, _) = dataset.positions.dim();
        let file = dataset.source.name();
        if frames < FEWEST_FRAMES {
            return Err(Error::usage(format!(
                "{file}: {frames} frame(s) are too few to learn a distribution from; give at least {FEWEST_FRAMES}, \
                 better thousands"
            )));
        }
        if atoms < 2 {
            return Err(Error::usage(format!("{file}: a single atom has no internal distribution to learn")));
        }
        let bonds = Bonds::from_mean_distances(&dataset.species, dataset.positions.view())?;
        bonds.require_connected(&dataset.species)?;
        let group = SymmetryGroup::find(&dataset.species, dataset.positions.view(), &bonds)?;
        let quads = bonds.rotatable(&dataset.species, dataset.positions.view());

        let alike = distances(dataset.positions.view());
        if alike.axis_iter(Axis(0)).all(|row| row.iter().zip(alike.row(0)).all(|(a, b)| (a - b).abs() < SAME))
        {
            return Err(Error::usage(format!(
                "{file}: all frames are alike: there is no distribution to learn; give a trajectory that moves"
            )));
        }
        let centers = dataset.positions.mean_axis(Axis(1)).ok_or_else(|| Error::usage("no atoms"))?;
        let centered = &dataset.positions - &centers.insert_axis(Axis(1));
        let weights = weights.map(|weights| Weights::new(weights, frames)).transpose()?;
        let weights = weights.as_ref();
        let flat = centered.view().into_shape_with_order((frames, 3 * atoms));
        let flat = flat.map_err(|error| Error::Numeric(error.to_string()))?;
        let scale = spread(&flat, weights);
        // The sliced drift starts at a real frame: a network near zero is then a molecule already.
        let (origin, objective) = if settings.method == Method::Sliced {
            let start = weights.map_or(frames / 2, |weights| weights.frame(0.5));
            let origin = centered.index_axis(Axis(0), start).iter().copied().collect();
            (origin, Objective::Sliced(Sliced::new(dataset, &quads, &settings, weights, device)?))
        } else {
            let kernel = KernelDrift::new(dataset, scale, &settings, weights, device)?;
            (vec![0.0; 3 * atoms], Objective::Kernel(kernel))
        };
        let generator =
            Generator::new(settings.noise, settings.width, settings.depth, 3 * atoms, settings.seed, device)?;
        let plan = Plan {
            seed: settings.seed,
            latent: [settings.batch as i64, settings.noise as i64],
            frames,
            batch: settings.positives,
            weights: weights.cloned(),
            lines: objective.line_shapes().to_vec(),
        };
        let adam = Adam::new(generator.flat(), (settings.betas[0], settings.betas[1]))?;
        let as_single: Vec<f32> = origin.iter().map(|&x: &f64| x as f32).collect();
        let record = Record {
            format_version: FORMAT_VERSION,
            library_version: crate::VERSION.into(),
            species: dataset.species.clone(),
            masses: dataset.masses.clone(),
            temperature: settings.temperature,
            length_unit: "angstrom".into(),
            symmetry: group.operations,
            bonds: bonds.pairs.iter().map(|&(i, j)| [i, j]).collect(),
            network: Shape {
                noise: settings.noise,
                width: settings.width,
                depth: settings.depth,
                activation: "silu".into(),
            },
            training: described(&settings, &objective)?,
            data_digest: dataset.source.digest.clone(),
            data_frames: frames,
            figures: serde_json::Value::Null,
            calibration: serde_json::Value::Null,
        };
        Ok(Trainer {
            average: generator.flat().f_mul_scalar(1.0)?,
            adam,
            room: parallel::Room::default(),
            objective,
            origin_device: Tensor::f_from_slice(&as_single)?.f_to_device(device)?,
            origin,
            scale,
            step: 0,
            seconds: 0.0,
            losses: Vec::new(),
            sum: Tensor::f_zeros([1], (Kind::Float, device))?,
            generator,
            device,
            record,
            settings,
            plan,
            ahead: None,
            company: None,
        })
    }

    /// Goes on from a checkpoint of the same data.
    ///
    /// # Errors
    /// [`Error::Usage`] where the checkpoint belongs to other data or another molecule.
    pub fn resume(dataset: &Dataset, checkpoint: &Checkpoint, device: tch::Device) -> Result<Self> {
        Trainer::resume_weighted(dataset, checkpoint, device, None)
    }

    /// Goes on from a checkpoint of the same data and the same weights of the frames.
    ///
    /// # Errors
    /// As [`Trainer::resume`]; [`Error::Usage`] where the run was started with other weights, or with none.
    pub fn resume_weighted(
        dataset: &Dataset,
        checkpoint: &Checkpoint,
        device: tch::Device,
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        let state = &checkpoint.state;
        if state.data_digest != dataset.source.digest {
            return Err(Error::usage(format!(
                "the checkpoint belongs to other data than {}; give the trajectory, and the reading and --debias options, \
                 that it was started with",
                dataset.source.name()
            )));
        }
        // A checkpoint may say anything: nothing is made by its settings before they and its arrays fit together.
        let unfit = || Error::usage("the checkpoint does not fit its own settings; start the training again");
        state.settings.check().map_err(|_| unfit())?;
        let Settings { noise, width, depth, .. } = state.settings;
        let size = parameters(noise, width, depth, 3 * dataset.atoms());
        if state.step > state.settings.steps || checkpoint.tensors.iter().any(|t| t.len() != size) {
            return Err(unfit());
        }
        let mut trainer = Trainer::weighted(dataset, state.settings.clone(), device, weights)?;
        if trainer.weights_digest() != state.weights_digest.as_deref() {
            let started =
                if state.weights_digest.is_some() { "with other weights" } else { "without weights" };
            let started = if weights.is_none() { "with weights" } else { started };
            return Err(Error::usage(format!(
                "the checkpoint belongs to a run {started} of the frames; give the options it was started with"
            )));
        }
        let place =
            |values: &[f32]| -> Result<Tensor> { Ok(Tensor::f_from_slice(values)?.f_to_device(device)?) };
        let [weights, average, first, second] = &checkpoint.tensors;
        trainer.generator = Generator::from_flat(trainer.generator.sizes().to_vec(), weights, device)?;
        trainer.average = place(average)?;
        (trainer.adam.mean, trainer.adam.square) = (place(first)?, place(second)?);
        (trainer.step, trainer.seconds) = (state.step, state.seconds);
        trainer.losses.clone_from(&state.losses);
        Ok(trainer)
    }

    /// Shares the batch with other ranks, each of which has made the same trainer and makes the same calls: every rank takes its
    /// part of the batch through the network, and all of them make the step that one rank would make with the whole batch. Where
    /// every part is 128 samples, or 256, 512 and so on, that is so to the last bit, else to rounding; whatever the parts, all ranks
    /// have the same bytes. Only rank 0 writes checkpoints.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on another device than the CPU; [`Error::Usage`] where there are more ranks than samples of a batch,
    /// or where the ranks do not hold the same program, settings, frames and state; what the ranks return.
    pub fn among(mut self, ranks: Box<dyn Ranks>) -> Result<Self> {
        if self.device != tch::Device::Cpu {
            return Err(Error::Unsupported(
                "ranks train together on the CPU only; give --device cpu, or train on one rank".into(),
            ));
        }
        let company = Company::new(ranks, self.settings.batch)?;
        let settings =
            serde_json::to_vec(&self.settings).map_err(|error| Error::Numeric(error.to_string()))?;
        let mut state = self.step.to_le_bytes().to_vec();
        for tensor in [self.generator.flat(), &self.average, &self.adam.mean, &self.adam.square] {
            state.extend(to_vec(tensor)?.iter().flat_map(|number| number.to_le_bytes()));
        }
        company.require_same(&[
            ("version of boltzdrift", crate::VERSION.as_bytes()),
            ("set of settings", &settings),
            ("set of frames", self.record.data_digest.as_bytes()),
            ("set of weights of the frames", self.weights_digest().unwrap_or_default().as_bytes()),
            ("state to begin with", &state),
        ])?;
        let company = Arc::new(company);
        if let Objective::Sliced(sliced) = &mut self.objective {
            sliced.share_with(Arc::clone(&company));
        }
        self.company = Some(company);
        // What was made ahead is of all lines.
        self.ahead = None;
        Ok(self)
    }

    /// Whether this rank is the one that writes; the only one always is.
    pub fn leads(&self) -> bool {
        self.company.as_ref().is_none_or(|company| company.leads())
    }

    /// Digest of the weights of the frames, where they have any.
    fn weights_digest(&self) -> Option<&str> {
        self.plan.weights.as_ref().map(Weights::digest)
    }

    /// Settings of the run.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The loss in use.
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// Bandwidth, mean force norm and scale ratio (Eq. 33) of a kernel method.
    pub fn field_figures(&self) -> Option<FieldFigures> {
        match &self.objective {
            Objective::Kernel(kernel) => Some(kernel.figures()),
            Objective::Sliced(_) => None,
        }
    }

    /// Steps done.
    pub fn step(&self) -> usize {
        self.step
    }

    /// Seconds spent in steps, over all the parts of a resumed run.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Seconds that this process has spent in messages to other ranks, waiting for them among that.
    pub fn seconds_in_messages(&self) -> f64 {
        self.company.as_ref().map_or(0.0, |company| company.seconds())
    }

    /// (step, mean loss since the entry before).
    pub fn losses(&self) -> &[(usize, f64)] {
        &self.losses
    }

    /// Trains to the end, looking at the progress every 50 steps, and writing a checkpoint every
    /// `every` steps where a path is given.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after `progress` said stop (the checkpoint is written first);
    /// [`Error::Numeric`] where the loss is no number any more (the last checkpoint stays as it is).
    pub fn run(
        &mut self,
        checkpoint: Option<(&Path, usize)>,
        progress: &mut dyn FnMut(Progress) -> Continue,
    ) -> Result<()> {
        let mut resident = self.resident()?;
        while self.step < self.settings.steps {
            let start = Instant::now();
            match &mut resident {
                Some(resident) => self.steps_to_look(resident)?,
                None => self.one_step()?,
            }
            let looks = self.step.is_multiple_of(LOOK_EVERY) || self.step == self.settings.steps;
            let loss = if looks { Some(self.look(checkpoint)?) } else { None };
            self.seconds += start.elapsed().as_secs_f64();
            let Some(loss) = loss else { continue };
            let answer = progress(Progress { step: self.step, steps: self.settings.steps, loss });
            let stop = self.agreed(answer == Continue::Stop)?;
            let done = self.step == self.settings.steps;
            match checkpoint {
                Some((path, every))
                    if self.leads() && (stop || (self.step % every.max(1) < LOOK_EVERY && !done)) =>
                {
                    self.checkpoint()?.save(path)?;
                }
                _ => (),
            }
            if stop && !done {
                // No rank says that the checkpoint is there before it is.
                self.agreed(true)?;
                let saved = match checkpoint {
                    Some((path, _)) => format!("continue with --resume {}", path.display()),
                    None => "nothing was saved".into(),
                };
                return Err(Error::Interrupted(format!(
                    "stopped after step {} of {}; {saved}",
                    self.step, self.settings.steps
                )));
            }
        }
        Ok(())
    }

    /// Whether any rank wants to stop. Where there are ranks, all see here that they still have the same weights.
    ///
    /// # Errors
    /// [`Error::Numeric`] where they have not; where a rank cannot be reached.
    fn agreed(&self, stop: bool) -> Result<bool> {
        let Some(company) = &self.company else { return Ok(stop) };
        let weights: Vec<u8> =
            self.generator.to_flat()?.iter().flat_map(|number| number.to_le_bytes()).collect();
        company.require_same(&[("weight", &weights)]).map_err(|error| match error {
            Error::Usage(_) => Error::Numeric(format!(
                "the ranks have come apart by step {}: they do not compute alike; take processors of one kind and the same \
                 libraries on all of them",
                self.step
            )),
            other => other,
        })?;
        company.any(stop)
    }

    /// Learning rate and decay of the moving average of the step after `done` steps.
    fn schedule(&self, done: usize) -> Step {
        let phase = std::f64::consts::PI * done as f64 / self.settings.steps as f64;
        let rate = 0.5 * self.settings.learning_rate * (1.0 + phase.cos());
        let number = done + 1;
        Step { number, rate, decay: AVERAGE_DECAY.min(1.0 - 1.0 / number as f64) }
    }

    fn one_step(&mut self) -> Result<()> {
        let prepared = match self.ahead.take() {
            Some((step, prepared)) if step == self.step => prepared,
            _ => self.objective.preparation(self.device).step(&self.plan, self.step)?,
        };
        let mut room = std::mem::take(&mut self.room);
        let found = self.beside_the_next(|trainer| trainer.gradients(&prepared, &mut room));
        self.room = room;
        let ((loss, gradients), ahead) = found?;
        self.ahead = ahead;
        let step = self.schedule(self.step);
        self.step += 1;
        self.adam.step(self.generator.flat(), &gradients, &self.average, step)?;
        let _ = self.sum.f_add_(&loss)?;
        Ok(())
    }

    /// What `work` gives, and what the next step needs, which another thread makes at the same time, where there is one that
    /// libtorch does not use itself: much of a step is too small to be shared out.
    fn beside_the_next<T>(
        &self,
        work: impl FnOnce(&Trainer) -> Result<T>,
    ) -> Result<(T, Option<(usize, Prepared)>)> {
        let next = self.step + 1;
        let free = self.device == tch::Device::Cpu && rayon::current_num_threads() > 1;
        if next == self.settings.steps || !free || tch::get_num_threads() != 1 {
            return Ok((work(self)?, None));
        }
        let (preparation, plan) = (self.objective.preparation(self.device), &self.plan);
        let mut prepared = None;
        let done = rayon::in_place_scope(|scope| {
            let prepared = &mut prepared;
            scope.spawn(move |_| *prepared = Some(preparation.step(plan, next)));
            work(self)
        })?;
        Ok((done, prepared.transpose()?.map(|prepared| (next, prepared))))
    }

    /// Loss, detached, and the parts of its gradient in the order of the flat weights; one part, which all ranks share, where there
    /// are several.
    fn gradients(&self, prepared: &Prepared, room: &mut parallel::Room) -> Result<(Tensor, Tensor)> {
        let company = self.company.as_deref();
        let latent = &prepared.drawn.latent;
        let mine = company.map(|company| company.rows(latent)).transpose()?;
        let pass = parallel::forward(&self.generator, mine.as_ref().unwrap_or(latent))?;
        let outputs = match company {
            Some(company) => {
                company.together(&pass.outputs, self.settings.batch)?.f_set_requires_grad(true)?
            }
            None => pass.outputs.shallow_clone(),
        };
        let mut positions = outputs.shallow_clone();
        if self.settings.method == Method::Sliced {
            positions = positions.f_mul_scalar(self.scale)?.f_add(&self.origin_device)?;
        }
        let loss = self.objective.loss(&positions, prepared)?;
        let mut at_outputs = Tensor::f_run_backward(&[&loss], &[&outputs], false, false)?.remove(0);
        if let Some(company) = company {
            at_outputs = company.rows(&at_outputs)?;
        }
        let gradients = pass.gradients(&self.generator, &at_outputs, room)?;
        let Some(company) = company else { return Ok((loss.f_detach()?, gradients)) };
        // As the optimizer sums the parts of one process.
        let own = in_pairs(gradients.f_unbind(0)?, |a, b| Ok(a.f_add(&b)?))?;
        let own = own.map_or_else(|| self.generator.flat().f_zeros_like(), Ok)?;
        Ok((loss.f_detach()?, company.sum(&own)?))
    }

    /// Mean loss since the last look; the only place where the host waits for the device.
    fn look(&mut self, checkpoint: Option<(&Path, usize)>) -> Result<f64> {
        let since = match self.step % LOOK_EVERY {
            0 => LOOK_EVERY,
            rest => rest,
        };
        let loss = self.sum.f_double_value(&[0])? / since as f64;
        let _ = self.sum.f_zero_()?;
        if !loss.is_finite() {
            let kept = match checkpoint {
                Some((path, _)) if path.exists() => format!(" The last good state is in {}.", path.display()),
                _ => String::new(),
            };
            return Err(Error::Numeric(format!(
                "the training diverged: the loss is {loss} near step {}.{kept} Lower learning_rate, or look for wild \
                 frames",
                self.step
            )));
        }
        self.losses.push((self.step, loss));
        Ok(loss)
    }

    /// The state of the run as it stands. At a look (every 50 steps) it is complete: no loss is pending.
    ///
    /// # Errors
    /// [`Error::Numeric`] where a number of it is not finite: the checkpoint before is the last good one. Where libtorch
    /// cannot copy the weights.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let tensors = [
            self.generator.to_flat()?,
            to_vec(&self.average)?,
            to_vec(&self.adam.mean)?,
            to_vec(&self.adam.square)?,
        ];
        if tensors.iter().flatten().any(|value| !value.is_finite()) {
            return Err(Error::Numeric(format!(
                "the training diverged: a weight is not finite after step {}; the last checkpoint stays as it is. Lower \
                 learning_rate, or look for wild frames",
                self.step
            )));
        }
        Ok(Checkpoint::new(
            self.settings.clone(),
            self.record.data_digest.clone(),
            self.step,
            self.seconds,
            self.losses.clone(),
            tensors,
        )
        .with_weights(self.weights_digest().map(str::to_owned)))
    }

    /// The sampler as it stands, without quality figures.
    ///
    /// # Errors
    /// [`Error::Numeric`] where a weight is not finite.
    pub fn export(&self) -> Result<Model> {
        let flat = if self.settings.average { to_vec(&self.average)? } else { self.generator.to_flat()? };
        if flat.iter().any(|w| !w.is_finite()) {
            return Err(Error::Numeric(format!(
                "a weight is not finite after step {}; lower learning_rate",
                self.step
            )));
        }
        Ok(Model {
            record: self.record.clone(),
            layers: layers(self.generator.sizes(), &flat),
            origin: self.origin.clone(),
            scale: self.scale,
        })
    }
}

/// The settings for the sampler's record, and for a kernel method what was found of the data for its field.
fn described(settings: &Settings, objective: &Objective) -> Result<serde_json::Value> {
    let numeric = |error: serde_json::Error| Error::Numeric(error.to_string());
    let mut out = serde_json::to_value(settings).map_err(numeric)?;
    if let Objective::Kernel(kernel) = objective {
        out["field"] = serde_json::to_value(kernel.figures()).map_err(numeric)?;
    }
    Ok(out)
}
