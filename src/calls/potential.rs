//! Potentials: by name or from the caller's own function.

use std::path::Path;

use ndarray::ArrayViewMut1;

use super::arrays::{room, same_length, species, view};
use super::{json, process};
use crate::label::Kept;
use crate::potential::foreign::NAMELESS;
use crate::potential::{Checked, Potential, Spec};
use crate::{Error, Result};

const TORCHSCRIPT: &str = "a TorchScript potential";

/// A potential as foreign callers hold it, and the labels of a labeling in memory that it did not finish.
pub struct Handle {
    pub(crate) potential: Box<dyn Potential>,
    pub(crate) kept: Kept,
    /// Whether libtorch computes it.
    torch: bool,
}

impl Handle {
    pub(crate) fn new(potential: impl Potential + 'static) -> Self {
        Handle { potential: Box::new(potential), kept: Kept::default(), torch: false }
    }

    /// Refuses a potential that a later call could not know to be the same.
    pub(crate) fn check_named(&self) -> Result<()> {
        if self.potential.identity() != NAMELESS {
            return Ok(());
        }
        Err(Error::usage(
            "the potential has no name and no identity: give one, by which a later call knows that what is kept is its own",
        ))
    }

    /// Before it computes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a TorchScript module in a forked process.
    pub(crate) fn check(&self) -> Result<()> {
        match self.torch {
            true => process::not_in_a_child(TORCHSCRIPT),
            false => Ok(()),
        }
    }

    /// The potential, to compute with; the errors of [`Handle::check`].
    pub(crate) fn usable(&mut self) -> Result<&mut dyn Potential> {
        self.check()?;
        Ok(self.potential.as_mut())
    }
}

/// Opens a potential by its name: `gdml:FILE`, `plugin:LIB.so:options`, `torchscript:FILE`.
pub(crate) fn open(spec: &str) -> Result<Handle> {
    let spec = Spec::parse(spec)?;
    let torch = spec.needs_libtorch();
    if torch {
        process::not_in_a_child(TORCHSCRIPT)?;
    }
    Ok(Handle { potential: spec.open()?, kept: Kept::default(), torch })
}

/// Energies (frames) in kcal/mol and forces (frames, n, 3) in kcal/mol/angstrom of positions (frames, n, 3) in angstrom.
pub(crate) fn evaluate(
    potential: &mut Handle,
    species_of: &[i32],
    positions: &[f64],
    energies: &mut [f64],
    forces: &mut [f64],
) -> Result<()> {
    let (frames, atoms) = (energies.len(), species_of.len());
    if atoms == 0 {
        return Err(Error::usage("species is empty; give the atoms of a molecule"));
    }
    same_length(positions.len(), forces.len(), "positions")?;
    Checked(potential.usable()?).energies_forces(
        &species(species_of)?,
        view(positions, frames, atoms, "positions")?,
        ArrayViewMut1::from(energies),
        room(forces, frames, atoms, "forces")?,
    )
}

/// Name, identity and, for a fitted one, the report of the fit, as JSON.
pub(crate) fn info(potential: &Handle) -> Result<String> {
    json(&serde_json::json!({
        "name": potential.potential.name(),
        "identity": potential.potential.identity(),
        "fit": potential.potential.fit_report(),
    }))
}

/// Writes a fitted force field as an `.npz` (one with even weights in sGDML's layout); other potentials have nothing to
/// write.
pub(crate) fn save(potential: &Handle, path: &str) -> Result<()> {
    potential.potential.save(Path::new(path))
}
