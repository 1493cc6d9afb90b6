//! Trajectories that a cheaper force field leads.
//!
//! A trajectory may follow any fixed forces: it stays reversible and keeps the volume, and the Metropolis test with the
//! potential's own energies of its two ends makes it exact ([`super::hmc`]). Where a potential brings a cheaper one near it
//! ([`Potential::guide`]), that leads whole trajectories, and the potential is asked once for each. What the guide's energy
//! is off by costs acceptance. The time step is found by how well the guide keeps its own energy, which is what the time step
//! is to blame for. Now and then the potential leads a trajectory itself, so that no state can hold a chain for long where the
//! guide is wrong about it.

use ndarray::parallel::prelude::*;
use ndarray::{Array1, Axis};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::hmc::{drift, kick, kinetic, Batch, System};
use crate::potential::gdml::FRAMES;
use crate::potential::{Gdml, Potential};

/// One iteration of so many is led by the potential itself.
const OWN: usize = 16;

/// A field that leads walks of a potential.
#[derive(Debug)]
pub(super) struct Guide {
    field: Gdml,
    /// What an evaluation costs, over one of the potential.
    cost: f64,
}

impl Guide {
    /// The potential's own guide, where it has one.
    pub fn of(potential: &dyn Potential) -> Option<Self> {
        potential.guide().map(|(field, cost)| Guide { field, cost })
    }

    /// Whether an iteration that draws this number below [`Guide::draws`] is led by it.
    pub fn leads(drawn: usize) -> bool {
        drawn > 0
    }

    /// Numbers to draw from for [`Guide::leads`].
    pub fn draws() -> usize {
        OWN
    }

    /// The work of a trajectory of so many steps and its end, in evaluations by the potential.
    pub fn evaluations(&self, steps: usize) -> usize {
        1 + ((steps + 1) as f64 * self.cost).ceil() as usize
    }
}

impl Batch {
    /// Trajectories of all chains: so many steps of so many fs. Each thread has chains of its own.
    ///
    /// Returns the mean Metropolis probability if the guide's own energy were the true one.
    pub(super) fn led(&mut self, system: &System, guide: &Guide, (time_step, steps): (f64, usize)) -> f64 {
        let (start, masses) = (self.positions.view(), system.masses.as_slice());
        let field = &guide.field;
        let kept: Vec<f64> = self
            .trial
            .axis_chunks_iter_mut(Axis(0), FRAMES)
            .into_par_iter()
            .zip(self.velocities.axis_chunks_iter_mut(Axis(0), FRAMES).into_par_iter())
            .zip(self.pull.axis_chunks_iter_mut(Axis(0), FRAMES).into_par_iter())
            .zip(self.alive.par_chunks_mut(FRAMES))
            .zip(start.axis_chunks_iter(Axis(0), FRAMES).into_par_iter())
            .zip(self.thermal.par_chunks(FRAMES))
            .flat_map_iter(|(((((mut x, mut v), mut pull), alive), start), thermal)| {
                let mut energies = Array1::zeros(alive.len());
                field.chunk(x.view(), energies.view_mut(), pull.view_mut());
                let total = |k: usize, energies: &Array1<f64>, v: &ndarray::ArrayViewMut3<f64>| {
                    energies[k] + kinetic(v.index_axis(Axis(0), k), masses)
                };
                let before: Vec<f64> = (0..alive.len()).map(|k| total(k, &energies, &v)).collect();
                kick(v.view_mut(), pull.view(), alive, masses, 0.5 * time_step);
                for step in 1..=steps {
                    drift(x.view_mut(), v.view(), alive, start, time_step);
                    field.chunk(x.view(), energies.view_mut(), pull.view_mut());
                    let time = if step == steps { 0.5 * time_step } else { time_step };
                    kick(v.view_mut(), pull.view(), alive, masses, time);
                }
                let kept = |k: usize| {
                    let change = total(k, &energies, &v) - before[k];
                    // Not a number where the guide has lost its way: nothing is kept then.
                    if alive[k] && change.is_finite() {
                        (-change / thermal[k]).exp().min(1.0)
                    } else {
                        0.0
                    }
                };
                (0..alive.len()).map(kept).collect::<Vec<f64>>()
            })
            .collect();
        kept.iter().sum::<f64>() / kept.len().max(1) as f64
    }
}
