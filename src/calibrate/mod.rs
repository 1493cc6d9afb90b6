//! From a biased window to states of the Boltzmann distribution, stage by stage.
//!
//! ```text
//! frames + forces --> force field (fit) --> equilibrated pool --> training frames --> sampler --> its noise's amplitude
//! ```
//!
//! Every stage is kept in a folder under the digest of what it was made from, so that a repeated or interrupted
//! command goes on where the work is. What is too rough is for [`trust`] to refuse.

mod amplitude;
mod stages;

use std::path::PathBuf;

use serde_json::{json, Value};

pub use amplitude::{amplitude, Amplitude, EVALUATIONS};
pub use stages::Stages;

use crate::dataset::{self, Dataset, ReadOptions, WriteOptions, Writer};
use crate::equilibrate::{self, trust, Checkpoint, Continue, Equilibration};
use crate::error::Place;
use crate::fit;
use crate::potential::{Gdml, Potential};
use crate::{Error, Result};

/// Iterations between checkpoints of an equilibration.
const CHECKPOINT_EVERY: u64 = 100;

/// What a stage gave, and whether it was there already.
#[derive(Debug, Clone)]
pub struct Made<T> {
    /// The result.
    pub value: T,
    /// Its file.
    pub path: PathBuf,
    /// Whether an earlier command made it.
    pub cached: bool,
    /// Its report.
    pub report: Value,
}

/// The force field of a data set, fitted or from its stage.
///
/// # Errors
/// As [`fit::fit`]; [`Error::Io`] where the stage cannot be read or written; [`Error::Data`] where it is damaged.
pub fn force_field(
    data: &Dataset,
    settings: &fit::Settings,
    stages: &Stages,
    progress: &mut dyn FnMut(fit::Progress) -> Result<()>,
) -> Result<Made<Gdml>> {
    let asked = json!([settings.frames, settings.sigma, settings.ridge, settings.plain]);
    let path = stages.path("fit", &[&data.source.digest, &asked.to_string()], "npz");
    let cached = path.exists();
    if !cached {
        fit::fit(data, settings, progress)?.field.save(&path)?;
    }
    let value = Gdml::load(&path)?;
    let report = value.parts().record.clone();
    Ok(Made { value, path, cached, report })
}

/// States equilibrated with a potential, or from their stage. `identity` is the digest of what the potential was made
/// from. An interrupted equilibration goes on from its checkpoint.
///
/// # Errors
/// As [`Equilibration::run`]; [`Error::Io`] and [`Error::Data`] for the stage's files.
pub fn pool(
    data: &Dataset,
    potential: &mut dyn Potential,
    identity: &str,
    settings: &equilibrate::Settings,
    stages: &Stages,
    progress: &mut dyn FnMut(equilibrate::Progress) -> Continue,
) -> Result<Made<Dataset>> {
    let asked = serde_json::to_string(settings).map_err(|error| Error::Numeric(error.to_string()))?;
    let parts = [data.source.digest.as_str(), identity, &asked];
    let path = stages.path("pool", &parts, "npz");
    let said = stages.path("pool", &parts, "json");
    let cached = path.exists() && said.exists();
    if !cached {
        // Whether unconverged states are taken, and where the limit is, does not make another run.
        let same =
            equilibrate::Settings { accept_unconverged: false, most_evaluations: 0, ..settings.clone() };
        let same = serde_json::to_string(&same).map_err(|error| Error::Numeric(error.to_string()))?;
        let kept = stages.path("pool", &[&data.source.digest, identity, &same], "checkpoint");
        let mut run = match kept.exists() {
            true => {
                let mut run = Equilibration::resume(data, &Checkpoint::load(&kept)?)?;
                run.extend(settings.most_evaluations, settings.accept_unconverged)?;
                run
            }
            false => Equilibration::new(data, settings.clone())?,
        };
        let pool = run.run(potential, Some((&kept, CHECKPOINT_EVERY)), progress)?;
        pool.report.save(&said)?;
        let mut writer = Writer::create(
            &path,
            &WriteOptions {
                species: pool.species.clone(),
                masses: pool.masses.clone(),
                frames_expected: Some(pool.energies.len()),
                ..WriteOptions::default()
            },
        )?;
        writer.write(pool.positions.view(), None, Some(pool.energies.view()), Some(pool.forces.view()))?;
        writer.finish()?;
        if kept.exists() {
            std::fs::remove_file(&kept)
                .map_err(|error| Error::io(&kept, "cannot remove the finished checkpoint", error))?;
        }
    }
    let mut value = dataset::read(&path, &ReadOptions::default(), &mut |_| Ok(()))?;
    value.masses.clone_from(&data.masses);
    let text =
        std::fs::read_to_string(&said).map_err(|error| Error::io(&said, "cannot read the report", error))?;
    let report = serde_json::from_str(&text).map_err(|error| {
        Error::data(Place::file(&said), format!("no report ({error}); remove it and run again"))
    })?;
    Ok(Made { value, path, cached, report })
}

/// [`trust::check_pool`] for states and their report as [`pool`] gave them.
///
/// # Errors
/// As [`trust::check_pool`]; [`Error::Data`] where the report counts no proposals.
pub fn check_pool(pool: &Made<Dataset>, kelvin: f64) -> Result<()> {
    let decisions = serde_json::from_value(pool.report["own"].clone()).map_err(|error| {
        Error::data(Place::file(&pool.path), format!("its report counts no proposals ({error}); remove it"))
    })?;
    match &pool.value.energies {
        Some(energies) => trust::check_pool(energies.view(), pool.value.atoms(), &decisions, kelvin),
        None => Err(Error::data(Place::file(&pool.path), "it has no energies; remove it")),
    }
}

#[cfg(test)]
mod tests;
