//! Trajectories: from files and from the caller's arrays, and out again.

use std::ffi::{c_char, c_void};
use std::path::Path;

use ndarray::{Array1, Array3};
use serde::Deserialize;

use super::arguments::{
    array, changing, cube, give_json, numbers, object, place, same_length, settings, size, species, text,
    write_out,
};
use super::log::{Ear, ProgressFunction};
use super::potential::Handle;
use super::{free, guarded};
use crate::dataset::{self, Dataset, FrameSlice, ReadOptions, WriteOptions, Writer};
use crate::metrics::{self, Ensemble};
use crate::units::UnitSystem;
use crate::{potential, report, Error, Result};

/// Frames that are labelled between two looks at the progress.
const BATCH: usize = 256;

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
            types: self.types,
            selection: self.select,
            frames: self.frames.as_deref().map(str::parse::<FrameSlice>).transpose()?.unwrap_or_default(),
            need_forces: self.need_forces,
        })
    }
}

/// Reads a trajectory.
///
/// # Safety
/// `path` is NULL or NUL-terminated, and so is `reading`; `dataset` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_read(
    path: *const c_char,
    reading: *const c_char,
    dataset: *mut *mut Dataset,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, path, reading) =
            unsafe { (place(dataset, "dataset")?, text(path, "path")?, settings::<Reading>(reading)?) };
        let data = dataset::read(Path::new(path), &reading.options()?, &mut |_| Ok(()))?;
        data.source.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        *place = Box::into_raw(Box::new(data));
        Ok(())
    })
}

/// A trajectory from arrays, which are copied.
///
/// # Safety
/// `species_of` is NULL or has `atoms` numbers; `positions` is NULL or has frames x atoms x 3; `forces` the same or is
/// NULL; `energies` has frames or is NULL; `masses` has atoms or is NULL; `dataset` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_from_arrays(
    frames: usize,
    atoms: usize,
    species_of: *const i32,
    positions: *const f64,
    forces: *const f64,
    energies: *const f64,
    masses: *const f64,
    dataset: *mut *mut Dataset,
) -> i32 {
    guarded(|| {
        let all = size(frames, atoms)?;
        // SAFETY: as promised by the caller.
        let (place, z, x) = unsafe {
            (
                place(dataset, "dataset")?,
                numbers(species_of, atoms, "species")?,
                numbers(positions, all, "positions")?,
            )
        };
        // SAFETY: as promised by the caller, where not NULL.
        let optional = |pointer: *const f64, count: usize, name: &str| unsafe {
            (!pointer.is_null()).then(|| numbers(pointer, count, name)).transpose()
        };
        let forces: Option<Array3<f64>> =
            optional(forces, all, "forces")?.map(|f| cube(f, atoms, "forces")).transpose()?;
        let energies = optional(energies, frames, "energies")?;
        if let Some(frame) = energies.and_then(|e| e.iter().position(|e| !e.is_finite())) {
            return Err(Error::usage(format!("energies: frame {frame}: the number is not finite")));
        }
        let energies: Option<Array1<f64>> = energies.map(|e| e.iter().copied().collect());
        let mut data =
            Dataset::from_arrays(species(z)?, cube(x, atoms, "positions")?, forces, energies, None)?;
        if let Some(masses) = optional(masses, atoms, "masses")? {
            if let Some(atom) = masses.iter().position(|m| !(*m > 0.0 && m.is_finite())) {
                return Err(Error::usage(format!("mass of atom {atom} is not positive; give masses in amu")));
            }
            data.masses = masses.to_vec();
        }
        *place = Box::into_raw(Box::new(data));
        Ok(())
    })
}

/// Frees a trajectory; NULL is nothing to free.
///
/// # Safety
/// `dataset` is NULL or came from a call of this library and was not freed.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_free(dataset: *mut Dataset) {
    // SAFETY: as promised by the caller.
    unsafe { free(dataset) }
}

/// Numbers of frames and atoms.
///
/// # Safety
/// `dataset` is NULL or live; `frames` and `atoms` are NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_size(
    dataset: *const Dataset,
    frames: *mut usize,
    atoms: *mut usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (data, frames, atoms) =
            unsafe { (object(dataset, "dataset")?, array(frames, 1, "frames")?, array(atoms, 1, "atoms")?) };
        (frames[0], atoms[0]) = (data.len(), data.atoms());
        Ok(())
    })
}

/// Atomic numbers, (n).
///
/// # Safety
/// `dataset` is NULL or live; `species_of` is NULL or valid for writes of `length` numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_species(
    dataset: *const Dataset,
    species_of: *mut i32,
    length: usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (data, out) = unsafe { (object(dataset, "dataset")?, array(species_of, length, "species")?) };
        same_length(length, data.species.len(), "species")?;
        out.iter_mut().zip(&data.species).for_each(|(to, &from)| *to = i32::from(from));
        Ok(())
    })
}

/// Positions (N, n, 3), angstrom.
///
/// # Safety
/// `dataset` is NULL or live; `positions` is NULL or valid for writes of `length` numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_positions(
    dataset: *const Dataset,
    positions: *mut f64,
    length: usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (data, out) = unsafe { (object(dataset, "dataset")?, array(positions, length, "positions")?) };
        same_length(length, data.positions.len(), "positions")?;
        write_out(out, &data.positions);
        Ok(())
    })
}

/// Forces (N, n, 3), kcal/mol/angstrom.
///
/// # Safety
/// `dataset` is NULL or live; `forces` is NULL or valid for writes of `length` numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_forces(dataset: *const Dataset, forces: *mut f64, length: usize) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (data, out) = unsafe { (object(dataset, "dataset")?, array(forces, length, "forces")?) };
        let forces = data.forces.as_ref().ok_or_else(|| missing("forces"))?;
        same_length(length, forces.len(), "forces")?;
        write_out(out, forces);
        Ok(())
    })
}

/// Energies (N), kcal/mol.
///
/// # Safety
/// `dataset` is NULL or live; `energies` is NULL or valid for writes of `length` numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_energies(
    dataset: *const Dataset,
    energies: *mut f64,
    length: usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (data, out) = unsafe { (object(dataset, "dataset")?, array(energies, length, "energies")?) };
        let energies = data.energies.as_ref().ok_or_else(|| missing("energies"))?;
        same_length(length, energies.len(), "energies")?;
        write_out(out, energies);
        Ok(())
    })
}

fn missing(what: &str) -> Error {
    Error::Unsupported(format!("the frames have no {what}; compute them with bzd_dataset_label"))
}

/// Writes the frames; the extension tells the format.
///
/// # Safety
/// `dataset` is NULL or live; `path` is NULL or NUL-terminated.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_write(dataset: *const Dataset, path: *const c_char) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (data, path) = unsafe { (object(dataset, "dataset")?, text(path, "path")?) };
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
    })
}

/// What the frames hold: atoms, bonds, symmetry, thermometer, warnings, as JSON. `kelvin` is the temperature the run was
/// meant to have, or 0.
///
/// # Safety
/// `dataset` is NULL or live; `json` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_inspect(
    dataset: *const Dataset,
    kelvin: f64,
    json: *mut *mut c_char,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, data) = unsafe { (place(json, "json")?, object(dataset, "dataset")?) };
        if !(kelvin >= 0.0 && kelvin.is_finite()) {
            return Err(Error::usage(format!("temperature {kelvin} K: give a positive one, or 0 for none")));
        }
        give_json(place, &report::inspect(data, (kelvin > 0.0).then_some(kelvin))?)
    })
}

/// Energies and forces of all frames from a potential, in place of those they have.
///
/// # Safety
/// `dataset` and `potential` are NULL or live and used by this call alone; `progress` is NULL or may be called with
/// `user_data`.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_label(
    dataset: *mut Dataset,
    potential: *mut Handle,
    progress: Option<ProgressFunction>,
    user_data: *mut c_void,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (data, potential) = unsafe { (changing(dataset, "dataset")?, changing(potential, "potential")?) };
        let ear = Ear::new(progress, user_data);
        let frames = data.len();
        let progress = &mut |done: usize| ear.must_go_on(c"labelling", done as u64, frames as u64, f64::NAN);
        let (energies, forces) = potential::evaluate_all(
            potential.0.as_mut(),
            &data.species,
            data.positions.view(),
            BATCH,
            progress,
        )?;
        let velocities = data.velocities.take();
        let positions = std::mem::take(&mut data.positions);
        let masses = std::mem::take(&mut data.masses);
        // Made anew, so that the digest is that of the labels.
        let mut labelled =
            Dataset::from_arrays(data.species.clone(), positions, Some(forces), Some(energies), velocities)?;
        labelled.masses = masses;
        labelled.source.path.clone_from(&data.source.path);
        labelled.source.frames.clone_from(&data.source.frames);
        *data = labelled;
        Ok(())
    })
}

/// Compares samples with a reference: the figures of `boltzdrift evaluate`, as JSON.
///
/// # Safety
/// `samples` and `reference` are NULL or live; `json` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_evaluate(
    samples: *const Dataset,
    reference: *const Dataset,
    json: *mut *mut c_char,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, samples, reference) =
            unsafe { (place(json, "json")?, object(samples, "samples")?, object(reference, "reference")?) };
        let options = metrics::Options::default();
        give_json(place, &metrics::evaluate(&Ensemble::from(samples), &Ensemble::from(reference), &options)?)
    })
}
