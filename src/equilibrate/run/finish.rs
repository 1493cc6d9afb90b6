//! How a run ends: with a pool and its report, or with an error that says why not.

use std::path::Path;

use ndarray::{Array1, Array3};
use rayon::prelude::*;

use super::{Equilibration, Phase, LEAST_ACCEPTANCE};
use crate::equilibrate::adapt::RANGE;
use crate::equilibrate::hmc::Decisions;
use crate::equilibrate::pool::{LadderReport, Pool, Quantity, Report};
use crate::molecule::thermometer::configurational_temperature;
use crate::potential::{self, Potential};
use crate::{Error, Result};

/// States that are evaluated at a time.
const BLOCK: usize = 4096;
/// The thermometer's reading may be this many standard errors, and this share, off before it is worth a word.
const ODD: (f64, f64) = (4.0, 0.05);

impl Equilibration {
    fn quantities(&self) -> Vec<Quantity> {
        let all = self.monitor.names().par_iter().enumerate();
        all.map(|(k, name)| Quantity {
            name: name.clone(),
            mean: self.series.mean(k),
            r_hat: self.series.r_hat(k),
            effective: self.series.effective(k),
        })
        .collect()
    }

    /// What keeps the run from having converged, in words; none where nothing does.
    fn shortfall(&self, quantities: &[Quantity]) -> Option<String> {
        let (r_hat, effective) = (self.settings.r_hat, self.settings.effective);
        let moving = quantities.iter().max_by(|a, b| a.r_hat.total_cmp(&b.r_hat));
        let few = quantities.iter().min_by(|a, b| a.effective.total_cmp(&b.effective));
        let worst = moving.filter(|one| one.r_hat >= r_hat).or(few.filter(|one| one.effective < effective));
        if let Some(one) = worst {
            return Some(format!(
                "'{}' has not converged: split-R-hat {:.3} (below {r_hat} wanted), effective sample size {:.0} \
                 ({effective:.0} wanted)",
                one.name, one.r_hat, one.effective
            ));
        }
        let states = self.store.len(self.system.species.len());
        (states < self.settings.frames)
            .then(|| format!("there are only {states} of {} states", self.settings.frames))
    }

    /// What is missing at the limit of evaluations, in words; none where nothing is.
    pub(super) fn shortcoming(&self) -> Option<String> {
        match self.counters.phase {
            Phase::Warmup => Some("the warm-up is not over".into()),
            Phase::Production => self.shortfall(&self.quantities()),
        }
    }

    pub(super) fn unconverged(&self, what: &str, kept: Option<&Path>) -> Error {
        let resume = kept.map_or_else(String::new, |path| format!(" from {}", path.display()));
        let ladder = match self.counters.rungs {
            1 => "; where a dihedral is stuck, a ladder of temperatures (--ladder on)",
            _ => "; where a dihedral is stuck, a hotter ladder (--hottest)",
        };
        Error::Numeric(format!(
            "after {} iterations of {} chains and {} evaluations, the limit, {what}; go on with a higher --limit{resume}\
             {ladder}, or take the states as they are (--accept-unconverged)",
            self.counters.in_phase,
            self.batch.chains() / self.counters.rungs,
            self.counters.evaluations
        ))
    }

    pub(super) fn hardly_accepted(&self, decisions: &Decisions) -> Error {
        let share = |count: u64| 100.0 * count as f64 / decisions.total().max(1) as f64;
        let step = self.search.found();
        let Decisions { energy, outside, broken, not_finite, .. } = *decisions;
        let forbidden = outside + broken + not_finite;
        let advice = if forbidden > energy {
            "the walk runs out of where the potential may be trusted: use a force field fitted to more or hotter \
             frames, a lower temperature or shorter trajectories (--leapfrog)"
        } else if step < 2.0 * RANGE.0 {
            "even the smallest time step does not keep the energy: the forces are not the gradient of the energies; \
             check the potential and its units"
        } else {
            "the energy is not kept along the trajectories: the forces are rough, or not the gradient of the \
             energies; check the potential and its units, or take shorter trajectories (--leapfrog)"
        };
        Error::Numeric(format!(
            "only {:.0} % of the proposals are accepted at the end of the warm-up ({:.0} % are needed) at a time step of \
             {step:.3} fs; rejected: {:.0} % by energy, {:.0} % outside the potential's region, {:.0} % with a broken \
             bond, {:.0} % not finite; {advice}",
            share(decisions.accepted),
            100.0 * LEAST_ACCEPTANCE,
            share(energy),
            share(outside),
            share(broken),
            share(not_finite)
        ))
    }

    /// The states, with exact energies and forces.
    pub(super) fn pool(&self, potential: &mut dyn Potential) -> Result<Pool> {
        let species = &self.system.species;
        let positions = self.store.pick(self.settings.frames, species.len());
        let (energies, forces) =
            potential::evaluate_all(potential, species, positions.view(), BLOCK, &mut |_| Ok(()))?;
        let report = self.report(&positions, &energies, &forces)?;
        Ok(Pool {
            species: species.clone(),
            masses: self.system.masses.clone(),
            positions,
            energies,
            forces,
            report,
        })
    }

    fn report(
        &self,
        positions: &Array3<f64>,
        energies: &Array1<f64>,
        forces: &Array3<f64>,
    ) -> Result<Report> {
        let (settings, counters) = (&self.settings, &self.counters);
        let quantities = self.quantities();
        let mut warnings = Vec::new();
        let shortfall = self.shortfall(&quantities);
        if let Some(shortfall) = &shortfall {
            warnings.push(format!("{shortfall}; these states are not equilibrated"));
        }
        let starts = counters.starts;
        let dropped = starts.outside + starts.broken + starts.not_finite;
        if dropped > 0 {
            warnings.push(format!(
                "{dropped} of {} start frames were dropped: {} outside the potential's region, {} with a broken bond, \
                 {} without finite energy and forces",
                starts.examined, starts.outside, starts.broken, starts.not_finite
            ));
        }
        let states = energies.len() as f64;
        let mean_energy = energies.sum() / states;
        let configurational = match energies.len() {
            0 | 1 => None,
            _ => Some(configurational_temperature(positions.view(), forces.view(), &self.bonds)?.0),
        };
        if let Some(reading) = configurational {
            let off = (reading.kelvin - settings.temperature).abs();
            if off > ODD.0 * reading.error && off > ODD.1 * settings.temperature {
                warnings.push(format!(
                    "the thermometer reads {:.0} +- {:.0} K from the states and forces, {:.0} K were asked for: the forces \
                     are not the gradient of the energies, or the walk is held at the edge of the potential's region",
                    reading.kelvin, reading.error, settings.temperature
                ));
            }
        }
        if counters.alone {
            warnings.push(self.left_guide());
        }
        let ladder = counters.ladder_reason.as_ref().map(|reason| LadderReport {
            reason: reason.clone(),
            temperatures: self.kelvins.clone(),
            exchanges: counters
                .exchanges
                .iter()
                .map(|&[tried, made]| made as f64 / tried.max(1) as f64)
                .collect(),
        });
        Ok(Report {
            converged: shortfall.is_none(),
            potential: counters.potential.clone(),
            temperature: settings.temperature,
            seed: settings.seed,
            chains: self.batch.chains() / counters.rungs,
            iterations: counters.in_phase,
            evaluations: counters.evaluations,
            evaluations_per_second: counters.evaluations as f64 / self.seconds.max(1e-9),
            time_step: self.step,
            leapfrog: settings.leapfrog,
            guided: self.guide.is_some(),
            acceptance: counters.decisions.acceptance(),
            decisions: counters.decisions,
            own: counters.own,
            starts,
            quantities,
            ladder,
            mean_energy,
            energy_width: (energies.iter().map(|e| (e - mean_energy).powi(2)).sum::<f64>() / states).sqrt(),
            configurational,
            warnings,
        })
    }
}
