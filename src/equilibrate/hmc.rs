//! Hybrid Monte Carlo (Duane et al. 1987) for a batch of chains.
//!
//! A proposal is a velocity-Verlet trajectory from fresh Maxwell momenta of all 3n degrees of freedom. The
//! inside of the trajectory uses [`Potential::guiding_forces`] alone: the map it makes is reversible and
//! keeps the volume for any fixed function of the positions, so that a Metropolis test with the true energies
//! of its two ends samples the Boltzmann distribution exactly, rough or single-precision forces or not.

use ndarray::{Array1, Array3, ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3};
use serde::{Deserialize, Serialize};

use super::guided::Guide;
use super::limits::{Limits, Verdict};
use crate::potential::Potential;
use crate::sampler::noise::Stream;
use crate::units::{BOLTZMANN, ENERGY_TO_KINETIC};
use crate::Result;

/// What became of proposals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decisions {
    /// Taken.
    pub accepted: u64,
    /// Rejected by the Metropolis test.
    pub energy: u64,
    /// Rejected because they left the region where the potential may be trusted.
    pub outside: u64,
    /// Rejected because a bond of the data broke.
    pub broken: u64,
    /// Rejected because a position, energy or force was not finite.
    pub not_finite: u64,
}

impl Decisions {
    /// All proposals.
    pub fn total(&self) -> u64 {
        self.accepted + self.energy + self.outside + self.broken + self.not_finite
    }

    /// Share accepted; 0 where there was no proposal.
    pub fn acceptance(&self) -> f64 {
        self.accepted as f64 / self.total().max(1) as f64
    }

    /// Adds other decisions.
    pub fn add(&mut self, other: &Decisions) {
        self.accepted += other.accepted;
        self.energy += other.energy;
        self.outside += other.outside;
        self.broken += other.broken;
        self.not_finite += other.not_finite;
    }
}

/// What does not change during a walk.
#[derive(Debug, Clone)]
pub(super) struct System {
    pub species: Vec<u8>,
    /// In amu.
    pub masses: Vec<f64>,
    pub limits: Limits,
}

/// Chains side by side, with the room their trajectories need.
#[derive(Debug)]
pub(super) struct Batch {
    /// Present states (B, n, 3) in angstrom.
    pub positions: Array3<f64>,
    /// Their energies (B) in kcal/mol.
    pub energies: Array1<f64>,
    /// Their guiding forces (B, n, 3) in kcal/mol/angstrom, where they are [`Batch::fresh`].
    pub guiding: Array3<f64>,
    /// Whether the guiding forces are those of the present states: not after a guide has led some to theirs.
    pub fresh: bool,
    /// kT of every chain in kcal/mol.
    pub(super) thermal: Vec<f64>,
    pub(super) trial: Array3<f64>,
    pub(super) pull: Array3<f64>,
    pub(super) velocities: Array3<f64>,
    forces: Array3<f64>,
    ends: Array1<f64>,
    /// Total energies at the start of the trajectories.
    totals: Vec<f64>,
    /// Whether the trajectory has stayed finite.
    pub(super) alive: Vec<bool>,
}

impl Batch {
    /// Chains at these states (B, n, 3), each at its temperature in kelvin; [`Batch::prepare`] comes next.
    pub fn new(positions: Array3<f64>, kelvins: &[f64]) -> Self {
        let (chains, shape) = (positions.dim().0, positions.raw_dim());
        Batch {
            energies: Array1::zeros(chains),
            guiding: Array3::zeros(shape),
            fresh: false,
            thermal: kelvins.iter().map(|kelvin| BOLTZMANN * kelvin).collect(),
            trial: positions.clone(),
            pull: Array3::zeros(shape),
            velocities: Array3::zeros(shape),
            forces: Array3::zeros(shape),
            ends: Array1::zeros(chains),
            totals: vec![0.0; chains],
            alive: vec![true; chains],
            positions,
        }
    }

    /// Number of chains.
    pub fn chains(&self) -> usize {
        self.thermal.len()
    }

    /// kT of a chain in kcal/mol.
    pub fn thermal(&self, chain: usize) -> f64 {
        self.thermal[chain]
    }

    /// Energies and guiding forces of the present states; two evaluations of each.
    pub fn prepare(&mut self, species: &[u8], potential: &mut dyn Potential) -> Result<()> {
        potential.energies_forces(
            species,
            self.positions.view(),
            self.energies.view_mut(),
            self.forces.view_mut(),
        )?;
        potential.guiding_forces(species, self.positions.view(), self.guiding.view_mut())?;
        self.fresh = true;
        Ok(())
    }

    /// Whether energy and forces of a present state are finite.
    pub fn is_finite(&self, chain: usize) -> bool {
        self.energies[chain].is_finite()
            && self.guiding.index_axis(ndarray::Axis(0), chain).iter().all(|f| f.is_finite())
    }

    /// One proposal and decision for every chain: a trajectory of a time step in fs and a number of steps, with the noise of
    /// `streams` (B), led by the potential or by a guide. `tally` is told what became of every chain's proposal.
    ///
    /// Returns how well the energy was kept, to find the time step by: the mean Metropolis probability of the proposals that
    /// were not forbidden beforehand, with a guide that by the guide's energies.
    pub fn iterate(
        &mut self,
        system: &System,
        potential: &mut dyn Potential,
        guide: Option<&Guide>,
        trajectory: (f64, usize),
        streams: &mut [Stream],
        mut tally: impl FnMut(usize, &Decisions),
    ) -> Result<f64> {
        let kept = match guide {
            None => {
                if !self.fresh {
                    let guiding = self.guiding.view_mut();
                    potential.guiding_forces(&system.species, self.positions.view(), guiding)?;
                    self.fresh = true;
                }
                self.draw(&system.masses, streams);
                self.own_way(system, potential, trajectory)?;
                None
            }
            Some(guide) => {
                self.draw(&system.masses, streams);
                Some(self.led(system, potential, guide, trajectory)?)
            }
        };
        potential.energies_forces(
            &system.species,
            self.trial.view(),
            self.ends.view_mut(),
            self.forces.view_mut(),
        )?;
        let (mut sum, mut judged) = (0.0, 0_u64);
        for (chain, stream) in streams.iter_mut().enumerate() {
            // Drawn in every case, so that a stream's next numbers do not depend on the decision.
            let uniform = stream.uniform();
            let (verdict, probability) = self.judge(system, chain);
            let mut one = Decisions::default();
            match verdict {
                Some(Verdict::Allowed) if uniform < probability => {
                    one.accepted = 1;
                    self.accept(chain, &system.masses, guide.is_some());
                }
                Some(Verdict::Allowed) => one.energy = 1,
                Some(Verdict::Outside) => one.outside = 1,
                Some(Verdict::Broken) => one.broken = 1,
                None => one.not_finite = 1,
            }
            if matches!(verdict, None | Some(Verdict::Allowed)) {
                sum += probability;
                judged += 1;
            }
            tally(chain, &one);
        }
        Ok(kept.unwrap_or(sum / judged.max(1) as f64))
    }

    /// Trajectories by the potential's own guiding forces.
    fn own_way(
        &mut self,
        system: &System,
        potential: &mut dyn Potential,
        (time_step, steps): (f64, usize),
    ) -> Result<()> {
        let masses = &system.masses;
        kick(self.velocities.view_mut(), self.pull.view(), &self.alive, masses, 0.5 * time_step);
        for step in 1..=steps {
            let start = self.positions.view();
            drift(self.trial.view_mut(), self.velocities.view(), &mut self.alive, start, time_step);
            potential.guiding_forces(&system.species, self.trial.view(), self.pull.view_mut())?;
            let time = if step == steps { 0.5 * time_step } else { time_step };
            kick(self.velocities.view_mut(), self.pull.view(), &self.alive, masses, time);
        }
        Ok(())
    }

    /// Fresh momenta, and everything back to the present states.
    fn draw(&mut self, masses: &[f64], streams: &mut [Stream]) {
        self.trial.assign(&self.positions);
        self.pull.assign(&self.guiding);
        self.alive.fill(true);
        for (chain, mut v) in self.velocities.outer_iter_mut().enumerate() {
            for (mut v, &mass) in v.outer_iter_mut().zip(masses) {
                let width = (self.thermal[chain] * ENERGY_TO_KINETIC / mass).sqrt();
                v.iter_mut().for_each(|v| *v = width * streams[chain].normal());
            }
            self.totals[chain] = self.energies[chain] + kinetic(v.view(), masses);
        }
    }

    /// The verdict on a proposal (none: not finite) and its Metropolis probability.
    fn judge(&self, system: &System, chain: usize) -> (Option<Verdict>, f64) {
        let axis = ndarray::Axis(0);
        let total = self.ends[chain] + kinetic(self.velocities.index_axis(axis, chain), &system.masses);
        let forces = self.forces.index_axis(axis, chain);
        if !(self.alive[chain] && total.is_finite() && forces.iter().all(|f| f.is_finite())) {
            return (None, 0.0);
        }
        let verdict = system.limits.judge(self.trial.index_axis(axis, chain));
        let probability = ((self.totals[chain] - total) / self.thermal[chain]).exp().min(1.0);
        (Some(verdict), probability)
    }

    fn accept(&mut self, chain: usize, masses: &[f64], led: bool) {
        let axis = ndarray::Axis(0);
        let mut state = self.positions.index_axis_mut(axis, chain);
        state.assign(&self.trial.index_axis(axis, chain));
        recenter(state, masses);
        self.energies[chain] = self.ends[chain];
        if led {
            self.fresh = false;
        } else {
            self.guiding.index_axis_mut(axis, chain).assign(&self.pull.index_axis(axis, chain));
        }
    }

    /// Exchanges the states of two chains.
    pub fn swap(&mut self, a: usize, b: usize) {
        let (_, atoms, _) = self.positions.dim();
        for atom in 0..atoms {
            for k in 0..3 {
                self.positions.swap([a, atom, k], [b, atom, k]);
                self.guiding.swap([a, atom, k], [b, atom, k]);
            }
        }
        self.energies.swap(a, b);
    }
}

/// Adds to the velocities (B, n, 3) what the forces do in a time in fs.
pub(super) fn kick(
    mut velocities: ArrayViewMut3<f64>,
    forces: ArrayView3<f64>,
    alive: &[bool],
    masses: &[f64],
    time: f64,
) {
    let chains = velocities.outer_iter_mut().zip(forces.outer_iter()).zip(alive);
    for ((mut v, f), _) in chains.filter(|(_, &alive)| alive) {
        for ((mut v, f), mass) in v.outer_iter_mut().zip(f.outer_iter()).zip(masses) {
            let factor = time * ENERGY_TO_KINETIC / mass;
            v.iter_mut().zip(f).for_each(|(v, f)| *v += factor * f);
        }
    }
}

/// Moves every chain for a time in fs; one that is no longer finite goes back to its start and stays there, so that no
/// potential ever sees it.
pub(super) fn drift(
    mut positions: ArrayViewMut3<f64>,
    velocities: ArrayView3<f64>,
    alive: &mut [bool],
    start: ArrayView3<f64>,
    time: f64,
) {
    let chains = positions.outer_iter_mut().zip(velocities.outer_iter()).zip(alive);
    for (((mut x, v), alive), start) in chains.zip(start.outer_iter()) {
        if !*alive {
            continue;
        }
        x.iter_mut().zip(v).for_each(|(x, v)| *x += time * v);
        if !x.iter().all(|x| x.is_finite()) {
            *alive = false;
            x.assign(&start);
        }
    }
}

/// Kinetic energy in kcal/mol.
pub(super) fn kinetic(velocities: ArrayView2<f64>, masses: &[f64]) -> f64 {
    let twice: f64 =
        velocities.outer_iter().zip(masses).map(|(v, m)| m * v.iter().map(|v| v * v).sum::<f64>()).sum();
    0.5 * twice / ENERGY_TO_KINETIC
}

/// Moves the center of mass to the origin: it wanders otherwise, and coordinates lose digits.
fn recenter(mut positions: ArrayViewMut2<f64>, masses: &[f64]) {
    let total: f64 = masses.iter().sum();
    for mut axis in positions.columns_mut() {
        let center = axis.iter().zip(masses).map(|(x, m)| m * x).sum::<f64>() / total;
        axis.iter_mut().for_each(|x| *x -= center);
    }
}

/// Leapfrog steps of one iteration, uniform from `mean` / 2 to 3 `mean` / 2: a fixed number can meet the
/// period of a vibration and then hardly moves it.
pub(super) fn length(mean: usize, stream: &mut Stream) -> usize {
    let low = (mean / 2).max(1);
    low + stream.below(mean + mean / 2 - low + 1)
}
