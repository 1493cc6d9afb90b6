//! One row and seed after the other, each kept as soon as it is done.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{Columns, Kind, Outcome, Protocol, Row};
use crate::dataset::Dataset;
use crate::error::Place;
use crate::files::write_atomically;
use crate::molecule::symmetry::SymmetryGroup;
use crate::sampler::Sampler;
use crate::train::checkpoint::Checkpoint;
use crate::train::device::Device;
use crate::train::diffusion::{Diffusion, DiffusionSettings};
use crate::train::{Continue, Overrides, Progress, Settings, Trainer};
use crate::{Error, Result};

/// Steps between checkpoints of a drifting row.
const CHECKPOINT_EVERY: usize = 1000;
/// Steps of a drifting row in the paper.
const DRIFTING_STEPS: usize = 20_000;
/// Samples whose time is reported.
const TIMED: usize = 1000;
/// Samples of a diffusion row, each of thousands of evaluations.
const DIFFUSION_SAMPLES: usize = 1000;

/// What all rows share.
#[derive(Debug)]
pub struct Experiment<'a> {
    /// Training frames with forces.
    pub data: &'a Dataset,
    /// Frames to compare with.
    pub reference: &'a Dataset,
    /// Where results, samplers and checkpoints are kept.
    pub folder: &'a Path,
    /// Temperature of kT in the Cartesian fields, kelvin.
    pub temperature: f64,
    /// Steps of a drifting row; the paper's 20,000 where absent.
    pub steps: Option<usize>,
    /// Passes over the data of a diffusion row; the paper's 1,000 where absent, or in proportion to `steps`.
    pub epochs: Option<usize>,
    /// Samples drawn for the figures.
    pub samples: usize,
    /// Where to train.
    pub device: Device,
}

impl Experiment<'_> {
    fn place(&self, row: &Row, seed: u64, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.seed-{seed}.{ending}", row.name))
    }

    fn protocol(&self, row: &Row, seed: u64) -> Result<Protocol> {
        let (mut settings, mut diffusion, mut samples) = (None, None, self.samples);
        match &row.kind {
            Kind::Drifting(overrides) => {
                let given = Overrides {
                    temperature: Some(self.temperature),
                    steps: self.steps,
                    seed: Some(seed),
                    ..Overrides::default()
                };
                settings = Some(Settings::resolve(&(**overrides).clone().or_newer(given))?);
            }
            Kind::Diffusion => {
                samples = samples.min(DIFFUSION_SAMPLES);
                diffusion = Some(self.diffusion(seed));
            }
        }
        let diffusion = diffusion
            .map(|settings| serde_json::to_value(settings).map_err(|error| Error::Numeric(error.to_string())))
            .transpose()?;
        Ok(Protocol {
            data: self.data.source.digest.clone(),
            reference: self.reference.source.digest.clone(),
            samples,
            settings,
            diffusion,
        })
    }

    fn diffusion(&self, seed: u64) -> DiffusionSettings {
        let default = DiffusionSettings::default();
        // As much shorter as the other rows.
        let share = |steps: usize| (default.epochs * steps).div_ceil(DRIFTING_STEPS);
        let epochs = self.epochs.or(self.steps.map(share)).unwrap_or(default.epochs);
        DiffusionSettings { epochs, seed, ..default }
    }

    /// The kept outcome of a row and seed, where there is one; that its settings make sense.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Data`] where it cannot be read; [`Error::Usage`] where it is of other data or
    /// settings.
    pub fn kept(&self, row: &Row, seed: u64) -> Result<Option<Outcome>> {
        let (path, protocol) = (self.place(row, seed, "json"), self.protocol(row, seed)?);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, "cannot read", error))?;
        let outcome: Outcome = serde_json::from_str(&text).map_err(|error| {
            Error::data(Place::file(&path), format!("not a result of this command ({error}); remove it"))
        })?;
        if outcome.protocol != protocol {
            return Err(Error::usage(format!(
                "{} is of other data, reference, steps or settings; give another --output, or remove it",
                path.display()
            )));
        }
        Ok(Some(outcome))
    }
}

/// Trains and evaluates one row with one seed, or takes what is kept of it. A drifting row goes on from its
/// checkpoint where it was stopped.
///
/// # Errors
/// As [`Trainer::run`], [`Sampler::sample`] and [`Experiment::kept`].
pub fn run(
    experiment: &Experiment,
    row: &Row,
    seed: u64,
    progress: &mut dyn FnMut(Progress) -> Continue,
) -> Result<Outcome> {
    if let Some(outcome) = experiment.kept(row, seed)? {
        return Ok(outcome);
    }
    let protocol = experiment.protocol(row, seed)?;
    let mut field = None;
    let (samples, train_seconds, sample_seconds) = match (&row.kind, &protocol.settings) {
        (Kind::Drifting(_), Some(settings)) => {
            let trainer = drifting(experiment, row, settings, progress)?;
            field = trainer.field_figures().map(Into::into);
            let mut model = trainer.export()?;
            model.save(&experiment.place(row, seed, "safetensors"))?;
            // The paper's tables are of the network's own samples.
            model.record.symmetry = SymmetryGroup::identity(model.record.species.len()).operations;
            let sampler = Sampler::new(model)?;
            let start = Instant::now();
            sampler.sample(seed, 0, TIMED)?;
            let seconds = start.elapsed().as_secs_f64();
            (sampler.sample(seed, 0, protocol.samples)?, trainer.seconds(), seconds)
        }
        _ => {
            let start = Instant::now();
            let mut diffusion =
                Diffusion::new(experiment.data, experiment.diffusion(seed), experiment.device)?;
            diffusion.train(progress)?;
            let trained = start.elapsed().as_secs_f64();
            let samples = diffusion.sample(protocol.samples, seed, progress)?;
            let seconds = start.elapsed().as_secs_f64() - trained;
            (samples, trained, seconds * TIMED as f64 / protocol.samples as f64)
        }
    };
    let (figures, _) = Columns::of(&samples, experiment.reference)?;
    let device = match experiment.device {
        Device::Cpu => "CPU".into(),
        other => format!("{other:?}"),
    };
    let row_name = row.name.into();
    let outcome =
        Outcome { row: row_name, seed, protocol, field, figures, train_seconds, sample_seconds, device };
    let text = serde_json::to_string_pretty(&outcome).map_err(|error| Error::Numeric(error.to_string()))?;
    write_atomically(&experiment.place(row, seed, "json"), text.as_bytes())?;
    let checkpoint = experiment.place(row, seed, "checkpoint");
    if checkpoint.exists() {
        std::fs::remove_file(&checkpoint)
            .map_err(|error| Error::io(&checkpoint, "cannot remove the finished checkpoint", error))?;
    }
    Ok(outcome)
}

fn drifting(
    experiment: &Experiment,
    row: &Row,
    settings: &Settings,
    progress: &mut dyn FnMut(Progress) -> Continue,
) -> Result<Trainer> {
    let path = experiment.place(row, settings.seed, "checkpoint");
    let mut trainer = if path.exists() {
        let anew = |error: Error| {
            Error::data(Place::file(&path), format!("{error}; remove it, and the row starts anew"))
        };
        let checkpoint = Checkpoint::load(&path).map_err(anew)?;
        if checkpoint.state.settings != *settings {
            return Err(Error::usage(format!(
                "{} is of other settings; give another --output, or remove it",
                path.display()
            )));
        }
        Trainer::resume(experiment.data, &checkpoint, experiment.device).map_err(anew)?
    } else {
        Trainer::new(experiment.data, settings.clone(), experiment.device)?
    };
    trainer.run(Some((&path, CHECKPOINT_EVERY)), progress)?;
    Ok(trainer)
}
