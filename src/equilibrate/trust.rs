//! Whether a fitted potential may be equilibrated with, and whether the states show that it should not have been.

use ndarray::ArrayView1;
use serde::Deserialize;
use serde_json::Value;

use super::hmc::Decisions;
use crate::potential::Potential;
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

/// Share of refinement steps accepted below which nothing is refined.
pub const LEAST_REFINED: f64 = 0.3;
/// How many steps show it.
const ENOUGH_STEPS: u64 = 100;

/// What is needed of a fit's report.
#[derive(Deserialize)]
struct Report {
    held_out: HeldOut,
}

#[derive(Deserialize)]
struct HeldOut {
    frames: usize,
    force_rmse: f64,
    rms_force: f64,
    energy_rmse: Option<f64>,
}

/// Refuses a fit whose errors on frames held out are too large to equilibrate with at `kelvin`; `report` is what
/// [`crate::potential::Potential::fit_report`] gives.
///
/// # Errors
/// [`Error::Usage`] with the errors, the limits and what to do; [`Error::Numeric`] for a report of another kind.
pub fn check_fit(report: &Value, kelvin: f64) -> Result<()> {
    let Report { held_out: found } = Report::deserialize(report)
        .map_err(|error| Error::Numeric(format!("the fit's report is not readable ({error}); fit again")))?;
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
         limit is {:.0} %){energies}; fit more frames (--fit-frames of train, -n of fit), or give the potential itself \
         (--potential), or weigh torsions by their mean force (train --debias torsion), or take it all the same \
         (--accept-fit)",
        found.frames,
        100.0 * force,
        100.0 * ROUGHEST_FORCES
    )))
}

/// Refuses states (energies (M) in kcal/mol of a molecule of n atoms) that a fitted potential has led astray: their
/// energies are wider or narrower than a molecule's can be, or the edge of the trusted region has shaped them, by what became
/// of the proposals that the potential itself led.
///
/// # Errors
/// [`Error::Numeric`] with what was found and what to do.
pub fn check_pool(energies: ArrayView1<f64>, atoms: usize, decisions: &Decisions, kelvin: f64) -> Result<()> {
    let harmonic = BOLTZMANN * kelvin * (0.5 * (3.0 * atoms as f64 - 6.0).max(1.0)).sqrt();
    let width = energies.std(0.0) / harmonic;
    let outside = decisions.outside as f64 / decisions.total().max(1) as f64;
    let what_to_do = "the force field has holes: fit more frames (--fit-frames of train, -n of fit) or a longer \
                      trajectory, or give the potential itself (--potential), or take them all the same (--accept-fit)";
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

/// Refuses a refinement of which less than the share `least` of the steps, [`LEAST_REFINED`] as a rule, is accepted: its
/// samples are those it was given.
///
/// # Errors
/// [`Error::Numeric`] with what to do.
pub fn check_refinement(decisions: &Decisions, time_step: f64, least: f64) -> Result<()> {
    if decisions.total() < ENOUGH_STEPS || decisions.acceptance() >= least {
        return Ok(());
    }
    Err(Error::Numeric(format!(
        "only {:.0} % of the refinement steps are accepted ({:.0} % are needed), so nothing is refined; take a shorter time \
         step than {time_step} fs, or a potential that belongs to the sampler",
        100.0 * decisions.acceptance(),
        100.0 * least
    )))
}

/// A warning where a refinement's potential is a fit that is too rough: samples are no better than their potential.
pub fn warn_of_rough_fit(potential: &dyn Potential, kelvin: f64) {
    if let Some(Err(refusal)) = potential.fit_report().map(|report| check_fit(report, kelvin)) {
        log::warn!("the samples will be only as good as the potential: {refusal}");
    }
}

#[cfg(test)]
mod tests;
