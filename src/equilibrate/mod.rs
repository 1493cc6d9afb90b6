//! Equilibration: from frames and a potential to states at a temperature, with a proof of convergence.
//!
//! Many short hybrid Monte Carlo chains run in one batch, each from a frame of the data. They go on until
//! split-R-hat and the effective sample size of the potential energy and of every rotatable dihedral say
//! that the chains have forgotten where they began. Where a dihedral does not mix, a ladder of temperatures
//! takes over. Every chain draws from streams of its own, so a resumed run is the undisturbed run, to the
//! bit, whatever the number of threads.
//!
//! The potential must not change where the molecule is moved or turned as a whole.

mod adapt;
mod checkpoint;
pub mod diagnostics;
mod guided;
mod hmc;
mod ladder;
mod limits;
mod monitor;
mod pool;
mod refine;
mod run;
mod seeds;
mod settings;
mod store;
pub mod trust;

pub use checkpoint::Checkpoint;
pub use hmc::Decisions;
pub use pool::{LadderReport, Pool, Quantity, Report, Starts};
pub use refine::{refine, RefineSettings, Refined};
pub use run::Equilibration;
pub use seeds::{seeds, Redrawn, Seeds};
pub use settings::{Ladder, Settings};

use serde::{Deserialize, Serialize};

/// Which part of a run an iteration belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The time step is being found; the states are thrown away.
    Warmup,
    /// The states count.
    Production,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Which part it is in.
    pub phase: Phase,
    /// Iterations done in this part.
    pub iteration: u64,
    /// Evaluations of one frame by the potential so far.
    pub evaluations: u64,
    /// The most it may take.
    pub most_evaluations: u64,
    /// Share of proposals accepted in this part.
    pub acceptance: f64,
    /// The worst quantity at the last look and its split-R-hat; none before the first.
    pub worst: Option<(String, f64)>,
}

/// What to do after a look at the progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continue {
    /// Go on.
    Yes,
    /// Save a checkpoint and stop.
    Stop,
}

#[cfg(test)]
mod tests;
