//! What an equilibration gives: states, and a report that says how far they can be trusted.

use std::path::Path;

use ndarray::{Array1, Array3};
use serde::{Deserialize, Serialize};

use super::hmc::Decisions;
use crate::dataset::Dataset;
use crate::error::one_line;
use crate::files::write_atomically;
use crate::molecule::thermometer::Temperature;
use crate::{Error, Result};

/// What became of the frames that were looked at for a start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starts {
    /// Frames looked at, up to four times as many as there are chains.
    pub examined: u64,
    /// Dropped: outside the region of the potential.
    pub outside: u64,
    /// Dropped: a bond is far from its mean length.
    pub broken: u64,
    /// Dropped: the potential's energy or force is not finite.
    pub not_finite: u64,
}

/// One watched quantity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantity {
    /// Its name; dihedrals by their atoms, counted from 0.
    pub name: String,
    /// Its mean: kcal/mol for the energy, else a pure number.
    pub mean: f64,
    /// Split-R-hat; infinite (null in JSON) where every chain stands still at a place of its own.
    pub r_hat: f64,
    /// Effective sample size.
    pub effective: f64,
}

/// The ladder of temperatures, where one was used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LadderReport {
    /// Why.
    pub reason: String,
    /// Temperatures in kelvin; only states of the first count.
    pub temperatures: Vec<f64>,
    /// Share of the exchanges made between each temperature and the next.
    pub exchanges: Vec<f64>,
}

/// How an equilibration went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Whether every quantity reached the limits asked for.
    pub converged: bool,
    /// Name of the potential.
    pub potential: String,
    /// Temperature of the states in kelvin.
    pub temperature: f64,
    /// Seed.
    pub seed: u64,
    /// Chains at that temperature.
    pub chains: usize,
    /// Iterations whose states count.
    pub iterations: u64,
    /// Evaluations of one frame by the potential, warm-up included; those by a smaller fit that leads trajectories count as the
    /// part that they cost.
    pub evaluations: u64,
    /// The same per second.
    pub evaluations_per_second: f64,
    /// Time step in fs.
    pub time_step: f64,
    /// Mean leapfrog steps of a proposal.
    pub leapfrog: usize,
    /// Whether a smaller fit led the trajectories, and the potential judged their ends.
    pub guided: bool,
    /// Share of proposals accepted, at the asked temperature.
    pub acceptance: f64,
    /// What became of those proposals.
    pub decisions: Decisions,
    /// Of these, what became of those whose trajectories the potential itself led; all of them without a guide. The smaller
    /// fit may leave the region where the whole one would not.
    pub own: Decisions,
    /// What became of the start frames.
    pub starts: Starts,
    /// The watched quantities.
    pub quantities: Vec<Quantity>,
    /// The ladder, where one was used.
    pub ladder: Option<LadderReport>,
    /// Mean potential energy of the states, kcal/mol.
    pub mean_energy: f64,
    /// Standard deviation of the potential energy of the states, kcal/mol.
    pub energy_width: f64,
    /// What the thermometer reads from the states and their exact forces; none for fewer than two states.
    pub configurational: Option<Temperature>,
    /// Things the user should know, one line each.
    pub warnings: Vec<String>,
}

impl Report {
    /// Writes it as JSON, through a temporary file.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Numeric(one_line(&error.to_string())))?;
        write_atomically(path, format!("{text}\n").as_bytes())
    }
}

/// Equilibrated states of a molecule.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Atomic numbers, (n).
    pub species: Vec<u8>,
    /// Masses in amu, (n).
    pub masses: Vec<f64>,
    /// Positions in angstrom, (M, n, 3), with the center of mass at the origin.
    pub positions: Array3<f64>,
    /// Energies in kcal/mol, (M), from [`Potential::energies_forces`](crate::potential::Potential).
    pub energies: Array1<f64>,
    /// Forces in kcal/mol/angstrom, (M, n, 3), from the same call.
    pub forces: Array3<f64>,
    /// How they came about.
    pub report: Report,
}

impl Pool {
    /// The states as a data set, to train on.
    ///
    /// # Errors
    /// [`Error::Numeric`] where two atoms are at the same place.
    pub fn dataset(&self) -> Result<Dataset> {
        let mut dataset = Dataset::from_arrays(
            self.species.clone(),
            self.positions.clone(),
            Some(self.forces.clone()),
            Some(self.energies.clone()),
            None,
        )?;
        dataset.masses.clone_from(&self.masses);
        dataset.source.format = "equilibration".into();
        Ok(dataset)
    }
}
