//! Trajectories: from files and from the caller's arrays, and out again.

use std::path::Path;

use ndarray::Array1;
use serde::Deserialize;

use super::arrays::{copy, cube, masses, same_length, species};
use super::progress::{tell, Ear};
use super::{json, settings};
use crate::dataset::{self, Dataset, FrameSlice, ReadOptions, WriteOptions, Writer};
use crate::metrics::{self, Ensemble};
use crate::units::UnitSystem;
use crate::{report, Error, Result};

/// How to read a file, as the command line's options of the same names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    units: Option<String>,
    length_unit: Option<String>,
    energy_unit: Option<String>,
    force_unit: Option<String>,
    #[serde(default)]
    types: Vec<String>,
    select: Option<String>,
    frames: Option<String>,
    format: Option<String>,
    #[serde(default)]
    need_forces: bool,
}

impl Reading {
    fn options(self) -> Result<ReadOptions> {
        Ok(ReadOptions {
            format: self.format,
            units: self.units.as_deref().map(UnitSystem::lammps).transpose()?,
            length_unit: self.length_unit,
            energy_unit: self.energy_unit,
            force_unit: self.force_unit,
            units_where_undeclared: false,
            types: self.types,
            selection: self.select,
            frames: self.frames.as_deref().map(str::parse::<FrameSlice>).transpose()?.unwrap_or_default(),
            need_forces: self.need_forces,
        })
    }
}

/// Reads a trajectory.
pub(crate) fn read(path: &str, reading: Option<&str>, ear: Ear) -> Result<Dataset> {
    let options = settings::<Reading>(reading)?.options()?;
    let data = dataset::read(Path::new(path), &options, &mut |now| {
        tell(ear, c"reading", now.frames_done as u64, now.frames_total.unwrap_or(0) as u64)
    })?;
    data.source.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    Ok(data)
}

/// The caller's arrays; what is optional is absent or has the size of the frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrays<'a> {
    pub frames: usize,
    pub species: &'a [i32],
    pub positions: &'a [f64],
    pub forces: Option<&'a [f64]>,
    pub energies: Option<&'a [f64]>,
    pub masses: Option<&'a [f64]>,
}

/// A trajectory from arrays, which are copied.
pub(crate) fn from_arrays(given: &Arrays) -> Result<Dataset> {
    let (frames, atoms) = (given.frames, given.species.len());
    let positions = cube(given.positions, frames, atoms, "positions")?;
    let forces = given.forces.map(|forces| cube(forces, frames, atoms, "forces")).transpose()?;
    if let Some(energies) = given.energies {
        same_length(energies.len(), frames, "energies")?;
        if let Some(frame) = energies.iter().position(|e| !e.is_finite()) {
            return Err(Error::usage(format!("energies: frame {frame}: the number is not finite")));
        }
    }
    let energies: Option<Array1<f64>> = given.energies.map(|energies| energies.iter().copied().collect());
    let mut data = Dataset::from_arrays(species(given.species)?, positions, forces, energies, None)?;
    if let Some(own) = given.masses {
        masses(own, atoms)?;
        data.masses = own.to_vec();
    }
    Ok(data)
}

fn missing(what: &str) -> Error {
    Error::Unsupported(format!("the frames have no {what}; compute them with bzd_dataset_label"))
}

/// Copies forces (N, n, 3) out.
pub(crate) fn forces(data: &Dataset, out: &mut [f64]) -> Result<()> {
    copy(out, data.forces.as_ref().ok_or_else(|| missing("forces"))?.iter(), "forces")
}

/// Copies energies (N) out.
pub(crate) fn energies(data: &Dataset, out: &mut [f64]) -> Result<()> {
    copy(out, data.energies.as_ref().ok_or_else(|| missing("energies"))?.iter(), "energies")
}

/// Copies velocities (N, n, 3) out.
pub(crate) fn velocities(data: &Dataset, out: &mut [f64]) -> Result<()> {
    let velocities = data.velocities.as_ref();
    let velocities = velocities.ok_or_else(|| Error::Unsupported("the frames have no velocities".into()))?;
    copy(out, velocities.iter(), "velocities")
}

/// Gives the frames these velocities (N, n, 3).
pub(crate) fn set_velocities(data: &mut Dataset, given: &[f64]) -> Result<()> {
    data.velocities = Some(cube(given, data.len(), data.atoms(), "velocities")?);
    Ok(())
}

/// Writes the frames; the extension tells the format.
pub(crate) fn write(data: &Dataset, path: &str) -> Result<()> {
    let options = WriteOptions {
        species: data.species.clone(),
        masses: data.masses.clone(),
        velocities: data.velocities.is_some(),
        frames_expected: Some(data.len()),
        ..WriteOptions::default()
    };
    let mut writer = Writer::create(Path::new(path), &options)?;
    writer.write(
        data.positions.view(),
        data.velocities.as_ref().map(|v| v.view()),
        data.energies.as_ref().map(|e| e.view()),
        data.forces.as_ref().map(|f| f.view()),
    )?;
    writer.finish()
}

/// What the frames hold, as JSON; `kelvin` is the temperature that the run was meant to have, or 0.
pub(crate) fn inspect(data: &Dataset, kelvin: f64) -> Result<String> {
    if !(kelvin >= 0.0 && kelvin.is_finite()) {
        return Err(Error::usage(format!("temperature {kelvin} K: give a positive one, or 0 for none")));
    }
    json(&report::inspect(data, (kelvin > 0.0).then_some(kelvin))?)
}

/// Compares samples with a reference: the figures of `boltzdrift evaluate`, as JSON.
pub(crate) fn evaluate(samples: &Dataset, reference: &Dataset) -> Result<String> {
    let options = metrics::Options::default();
    json(&metrics::evaluate(&Ensemble::from(samples), &Ensemble::from(reference), &options)?)
}
