//! Trajectories that a cheaper force field leads.
//!
//! A trajectory may follow any fixed forces: it stays reversible and keeps the volume, and the Metropolis test with the
//! potential's own energies of its two ends makes it exact ([`super::hmc`]). Where a potential brings a cheaper one near it
//! ([`Potential::guide`]), that leads whole trajectories, and the potential is asked once for each. What the guide's energy
//! is off by costs acceptance. The time step is found by how well the guide keeps its own energy, which is what the time step
//! is to blame for. Now and then the potential leads all trajectories of an iteration itself, so that no state can hold a
//! chain for long where the guide is wrong about it.

use ndarray::parallel::prelude::*;
use ndarray::{s, Array1, ArrayViewMut3, Axis};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::adapt::TARGET;
use super::hmc::{drift, kick, kinetic, Batch, Decisions, System};
use crate::potential::gdml::FRAMES;
use crate::potential::{Gdml, Potential};
use crate::sampler::noise::Stream;
use crate::Result;

/// One iteration of so many, drawn at random, is led by the potential itself.
const OWN: usize = 16;
/// A guide that costs more than this, over the potential, is left out.
const DEAREST: f64 = 0.5;
/// Least share of a guide's proposals that must be accepted.
const LEAST: f64 = 0.3;

/// A field that leads walks of a potential.
#[derive(Debug)]
pub(super) struct Guide {
    field: Gdml,
    /// What an evaluation costs, over one of the potential.
    cost: f64,
}

impl Guide {
    /// The potential's own guide for these species (n), where it has one.
    pub fn of(potential: &dyn Potential, species: &[u8]) -> Option<Self> {
        let (field, cost) = potential.guide()?;
        let useful = field.species() == species && cost > 0.0 && cost <= DEAREST;
        useful.then_some(Guide { field, cost })
    }

    /// Whether it leads an iteration; the others are led by the potential itself.
    pub fn leads(schedule: &mut Stream) -> bool {
        schedule.below(OWN) > 0
    }

    /// The work of a trajectory of so many steps and its end, in evaluations by the potential.
    pub fn evaluations(&self, steps: usize) -> usize {
        1 + ((steps + 1) as f64 * self.cost).ceil() as usize
    }

    /// The same of all iterations on average, those that the potential leads among them.
    pub fn mean_evaluations(&self, steps: usize) -> usize {
        ((OWN - 1) * self.evaluations(steps) + steps + 2) / OWN
    }

    /// Whether it is worth its work at every temperature of a ladder, by what became of its proposals there: no fewer than 30 %
    /// accepted, and more for the same work than with the potential's own trajectories.
    pub fn is_worth_it(&self, led: &[Decisions], steps: usize) -> bool {
        let work = self.evaluations(steps) as f64 / (steps + 1) as f64;
        let least = LEAST.max(work * TARGET);
        led.iter().all(|decisions| decisions.total() == 0 || decisions.acceptance() >= least)
    }
}

impl Batch {
    /// Trajectories of all chains: so many steps of so many fs. Processes that share out the potential share these too.
    ///
    /// Returns the mean Metropolis probability if the guide's own energy were the true one.
    pub(super) fn led(
        &mut self,
        system: &System,
        potential: &mut dyn Potential,
        guide: &Guide,
        trajectory: (f64, usize),
    ) -> Result<f64> {
        let (chains, numbers) = (self.chains(), 3 * system.species.len());
        let width = 2 * numbers + 2;
        let shared = potential.share_out(chains, width, &mut |part| {
            let kept = self.lead(system, guide, trajectory, part.clone());
            let mut mine = Vec::with_capacity(part.len() * width);
            for (chain, kept) in part.zip(kept) {
                mine.extend(self.trial.index_axis(Axis(0), chain));
                mine.extend(self.velocities.index_axis(Axis(0), chain));
                mine.extend([f64::from(u8::from(self.alive[chain])), kept]);
            }
            mine
        })?;
        let kept = match shared {
            None => self.lead(system, guide, trajectory, 0..chains),
            Some(all) => all
                .chunks_exact(width)
                .enumerate()
                .map(|(chain, own)| {
                    let fill = |mut to: ndarray::ArrayViewMut2<f64>, from: &[f64]| {
                        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                    };
                    fill(self.trial.index_axis_mut(Axis(0), chain), &own[..numbers]);
                    fill(self.velocities.index_axis_mut(Axis(0), chain), &own[numbers..2 * numbers]);
                    self.alive[chain] = own[2 * numbers] != 0.0;
                    own[2 * numbers + 1]
                })
                .collect(),
        };
        Ok(kept.iter().sum::<f64>() / kept.len().max(1) as f64)
    }

    /// The same for some chains, whose own probabilities it gives. Each thread has chains of its own.
    fn lead(
        &mut self,
        system: &System,
        guide: &Guide,
        (time_step, steps): (f64, usize),
        part: std::ops::Range<usize>,
    ) -> Vec<f64> {
        let (field, masses) = (&guide.field, system.masses.as_slice());
        let rows = s![part.clone(), .., ..];
        let (mut trial, mut velocities) = (self.trial.slice_mut(rows), self.velocities.slice_mut(rows));
        let (mut pull, start) = (self.pull.slice_mut(rows), self.positions.slice(rows));
        trial
            .axis_chunks_iter_mut(Axis(0), FRAMES)
            .into_par_iter()
            .zip(velocities.axis_chunks_iter_mut(Axis(0), FRAMES).into_par_iter())
            .zip(pull.axis_chunks_iter_mut(Axis(0), FRAMES).into_par_iter())
            .zip(self.alive[part.clone()].par_chunks_mut(FRAMES))
            .zip(start.axis_chunks_iter(Axis(0), FRAMES).into_par_iter())
            .zip(self.thermal[part].par_chunks(FRAMES))
            .flat_map_iter(|(((((mut x, mut v), mut pull), alive), start), thermal)| {
                let mut energies = Array1::zeros(alive.len());
                field.chunk(x.view(), energies.view_mut(), pull.view_mut());
                let total = |chain: usize, energies: &Array1<f64>, v: &ArrayViewMut3<f64>| {
                    energies[chain] + kinetic(v.index_axis(Axis(0), chain), masses)
                };
                let before: Vec<f64> = (0..alive.len()).map(|chain| total(chain, &energies, &v)).collect();
                kick(v.view_mut(), pull.view(), alive, masses, 0.5 * time_step);
                for step in 1..=steps {
                    drift(x.view_mut(), v.view(), alive, start, time_step);
                    field.chunk(x.view(), energies.view_mut(), pull.view_mut());
                    let time = if step == steps { 0.5 * time_step } else { time_step };
                    kick(v.view_mut(), pull.view(), alive, masses, time);
                }
                let kept = |chain: usize| {
                    let change = total(chain, &energies, &v) - before[chain];
                    // Not a number where the guide has lost its way: nothing is kept then.
                    if alive[chain] && change.is_finite() {
                        (-change / thermal[chain]).exp().min(1.0)
                    } else {
                        0.0
                    }
                };
                (0..alive.len()).map(kept).collect::<Vec<f64>>()
            })
            .collect()
    }
}
