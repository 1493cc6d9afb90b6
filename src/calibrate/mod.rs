//! From a biased window to states of the Boltzmann distribution, stage by stage.
//!
//! ```text
//! frames + forces --> force field (fit) --> equilibrated pool --> training frames
//! ```
//!
//! Every stage is kept in a folder under the digest of what it was made from, so that a repeated or interrupted
//! command goes on where the work is. A fit that is too rough is refused, and so is a pool that shows it.

mod stages;

use std::path::PathBuf;

use ndarray::ArrayView1;
use serde_json::{json, Value};

pub use stages::{file_digest, Stages};

use crate::dataset::{self, Dataset, ReadOptions, WriteOptions, Writer};
use crate::equilibrate::{self, Checkpoint, Continue, Equilibration};
use crate::fit::{self, Report};
use crate::potential::{Gdml, Potential};
use crate::units::BOLTZMANN;
use crate::{Error, Result};

/// Force error on frames held out, over the forces themselves (both root mean square), above which a fit is refused.
pub const ROUGHEST_FORCES: f64 = 0.1;
/// Energy error on frames held out, over kT, above which a fit is refused.
pub const ROUGHEST_ENERGIES: f64 = 0.7;
/// Energy width of a pool over that of as many harmonic modes, outside which a fitted potential is refused.
const WIDTHS: (f64, f64) = (0.5, 1.6);
/// Share of proposals outside the trusted region above which the walk is held at its edge.
const MOST_OUTSIDE: f64 = 0.05;
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
    let asked = json!([settings.frames, settings.sigma, settings.ridge]);
    let path = stages.path("fit", &[&data.source.digest, &asked.to_string()], "npz");
    let cached = path.exists();
    if !cached {
        fit::fit(data, settings, progress)?.field.save(&path)?;
    }
    let value = Gdml::load(&path)?;
    let report = value.parts().record.clone();
    Ok(Made { value, path, cached, report })
}

/// Refuses a fit whose errors on frames held out are too large to equilibrate with at `kelvin`.
///
/// # Errors
/// [`Error::Usage`] with the errors, the limits and what to do.
pub fn check_fit(report: &Value, kelvin: f64) -> Result<()> {
    let report: Report = serde_json::from_value(report.clone())
        .map_err(|error| Error::Numeric(format!("the fit's report is not readable ({error}); fit again")))?;
    let found = &report.held_out;
    let kt = BOLTZMANN * kelvin;
    let force = found.force_rmse / found.rms_force;
    let energy = found.energy_rmse.map(|error| error / kt);
    if force <= ROUGHEST_FORCES && energy.is_none_or(|error| error <= ROUGHEST_ENERGIES) {
        return Ok(());
    }
    let energies = match (found.energy_rmse, energy) {
        (Some(error), Some(share)) => format!(
            ", energies by {error:.2} kcal/mol, {share:.2} kT (the limit is {ROUGHEST_ENERGIES} kT at {kelvin:.0} K)"
        ),
        _ => String::new(),
    };
    Err(Error::usage(format!(
        "the fitted force field is too rough to equilibrate with: on {} frames held out the forces are off by {:.1} % (the \
         limit is {:.0} %){energies}; give more frames (--fit-frames), or the potential itself (--debias potential \
         --potential SPEC), or weigh torsions by their mean force (--debias torsion), or take it all the same \
         (--accept-fit)",
        found.frames,
        100.0 * force,
        100.0 * ROUGHEST_FORCES
    )))
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
    let report = serde_json::from_str(&text)
        .map_err(|error| Error::Numeric(format!("{}: no report ({error}); remove it", said.display())))?;
    Ok(Made { value, path, cached, report })
}

/// Refuses a pool that a fitted potential has led astray: one whose energies are wider or narrower than a molecule's
/// can be, or that the edge of the trusted region has shaped.
///
/// # Errors
/// [`Error::Numeric`] with what was found and what to do.
pub fn check_pool(pool: &Dataset, report: &Value, kelvin: f64) -> Result<()> {
    let Some(energies) = &pool.energies else { return Ok(()) };
    let harmonic = BOLTZMANN * kelvin * (0.5 * (3.0 * pool.atoms() as f64 - 6.0).max(1.0)).sqrt();
    let width = width(energies.view()) / harmonic;
    let count = |name: &str| report["decisions"][name].as_f64().unwrap_or(0.0);
    let proposals: f64 = ["accepted", "energy", "outside", "broken", "not_finite"].map(count).iter().sum();
    let outside = count("outside") / proposals.max(1.0);
    let what_to_do =
        "the force field has holes: give more frames (--fit-frames), a longer trajectory, or the potential \
                      itself (--debias potential)";
    if !(WIDTHS.0..=WIDTHS.1).contains(&width) {
        return Err(Error::Numeric(format!(
            "the equilibrated states' energies are {width:.1} times as wide as those of as many harmonic modes at \
             {kelvin:.0} K; {what_to_do}"
        )));
    }
    if outside > MOST_OUTSIDE {
        return Err(Error::Numeric(format!(
            "{:.0} % of the proposals left the region that the force field has seen; {what_to_do}",
            100.0 * outside
        )));
    }
    Ok(())
}

fn width(values: ArrayView1<f64>) -> f64 {
    values.std(0.0)
}

#[cfg(test)]
mod tests;
