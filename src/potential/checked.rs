//! Answers that are looked at: shapes that belong together, numbers that are finite, and what a failing call has done.

use std::path::Path;

use ndarray::{Array1, Array3, ArrayView1, ArrayView3, ArrayViewMut1, ArrayViewMut3};

use super::{Potential, Region};
use crate::{Error, Result};

/// A potential whose every answer is checked: the first number that is not finite stops the work.
pub struct Checked<P>(pub P);

impl<P: Potential> Potential for Checked<P> {
    fn energies_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        acceptable(species, positions, energies.len(), forces.dim())?;
        self.0.energies_forces(species, positions, energies.view_mut(), forces.view_mut())?;
        match not_finite(&self.0, energies.view(), forces.view()) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    fn guiding_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        self.0.guiding_forces(species, positions, forces)
    }

    fn largest_batch(&self) -> usize {
        self.0.largest_batch()
    }

    fn in_order(&self) -> bool {
        self.0.in_order()
    }

    fn region(&self) -> Option<Region> {
        self.0.region()
    }

    fn name(&self) -> String {
        self.0.name()
    }

    fn identity(&self) -> String {
        self.0.identity()
    }

    fn guide(&self) -> Option<(super::Gdml, f64)> {
        self.0.guide()
    }

    fn share_out(
        &mut self,
        chains: usize,
        width: usize,
        work: &mut dyn FnMut(std::ops::Range<usize>) -> Vec<f64>,
    ) -> Result<Option<Vec<f64>>> {
        self.0.share_out(chains, width, work)
    }

    fn fit_report(&self) -> Option<&serde_json::Value> {
        self.0.fit_report()
    }

    fn save(&self, path: &Path) -> Result<()> {
        self.0.save(path)
    }
}

/// That a call makes sense: shapes that belong together, and positions that are finite.
fn acceptable(
    species: &[u8],
    positions: ArrayView3<f64>,
    energies: usize,
    forces: (usize, usize, usize),
) -> Result<()> {
    let (frames, atoms, three) = positions.dim();
    if three != 3 || species.len() != atoms || energies != frames || forces != positions.dim() {
        return Err(Error::usage(format!(
            "{} species, positions {:?}, energies ({energies}) and forces {forces:?}: give (n), (B, n, 3), (B) and (B, n, 3)",
            species.len(),
            positions.dim(),
        )));
    }
    match positions.outer_iter().position(|x| x.iter().any(|v| !v.is_finite())) {
        Some(frame) => {
            Err(Error::Numeric(format!("frame {frame} of the batch has a position that is not finite")))
        }
        None => Ok(()),
    }
}

/// The first frame whose energy or forces are not finite, and the error that says so.
fn not_finite<P: Potential + ?Sized>(
    potential: &P,
    energies: ArrayView1<f64>,
    forces: ArrayView3<f64>,
) -> Option<(usize, Error)> {
    energies.iter().zip(forces.outer_iter()).enumerate().find_map(|(frame, (energy, force))| {
        let what = if energy.is_finite() {
            let atom = force.outer_iter().position(|f| f.iter().any(|v| !v.is_finite()))?;
            format!("force on atom {atom}")
        } else {
            "energy".to_owned()
        };
        let message = format!("the {what} is not finite; remove the frame or look for coinciding atoms");
        Some((frame, Error::Potential { name: potential.name(), frame, status: None, message }))
    })
}

/// What a call gave.
#[derive(Debug)]
pub struct Answer {
    /// Energies in kcal/mol, (B).
    pub energies: Array1<f64>,
    /// Forces in kcal/mol/angstrom, (B, n, 3).
    pub forces: Array3<f64>,
    /// The frames before this one have their energies and forces.
    pub done: usize,
    /// Why not all of them have; frames are numbered as in the batch.
    pub failure: Option<Error>,
    /// Whether the frame at `done` is the one that fails. A call that failed as a whole does not say which it was.
    pub located: bool,
}

/// Energies (B) and forces (B, n, 3) of `positions` (B, n, 3), and after a failure those of the frames that are done.
pub fn attempt(potential: &mut dyn Potential, species: &[u8], positions: ArrayView3<f64>) -> Answer {
    let mut energies = Array1::zeros(positions.dim().0);
    let mut forces = Array3::zeros(positions.dim());
    let called = acceptable(species, positions, energies.len(), forces.dim())
        .and_then(|()| potential.energies_forces(species, positions, energies.view_mut(), forces.view_mut()));
    let (told, located) = match &called {
        Ok(()) => (energies.len(), true),
        Err(Error::Potential { frame, .. }) if potential.in_order() => ((*frame).min(energies.len()), true),
        Err(_) => (0, energies.len() <= 1),
    };
    match (not_finite(potential, energies.view(), forces.view()), called) {
        // A successful call that gave NaN, or one that gave NaN before it failed: the first frame is named.
        (Some((frame, error)), _) if frame < told => {
            Answer { energies, forces, done: frame, failure: Some(error), located: true }
        }
        (_, called) => Answer { energies, forces, done: told, failure: called.err(), located },
    }
}

/// Energies (B) and forces (B, n, 3) in new arrays, checked as by [`Checked`].
///
/// # Errors
/// As [`Potential::energies_forces`] and [`Checked`].
pub fn evaluate(
    potential: &mut dyn Potential,
    species: &[u8],
    positions: ArrayView3<f64>,
) -> Result<(Array1<f64>, Array3<f64>)> {
    let Answer { energies, forces, failure, .. } = attempt(potential, species, positions);
    failure.map_or(Ok((energies, forces)), Err)
}
