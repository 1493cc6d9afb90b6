//! Trajectories: from files and from the caller's arrays, and out again.

use std::ffi::{c_char, c_void};

use super::log::{ear, ProgressFunction};
use super::pointers::{
    array, changing, give_text, numbers, object, optional_numbers, optional_text, place, text,
};
use super::{free, guarded};
use crate::calls::arrays::{copy, size};
use crate::calls::dataset as calls;
use crate::dataset::Dataset;

/// Reads a trajectory.
///
/// # Safety
/// `path` is NULL or NUL-terminated, and so is `reading`; `progress` is NULL or may be called with `user_data`; `dataset` is
/// NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_read(
    path: *const c_char,
    reading: *const c_char,
    progress: Option<ProgressFunction>,
    user_data: *mut c_void,
    dataset: *mut *mut Dataset,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, path, reading, mut ear) = unsafe {
            (
                place(dataset, "dataset")?,
                text(path, "path")?,
                optional_text(reading, "reading")?,
                ear(progress, user_data),
            )
        };
        *place = Box::into_raw(Box::new(calls::read(path, reading, &mut ear)?));
        Ok(())
    })
}

/// A trajectory from arrays, which are copied.
///
/// # Safety
/// `species` is NULL or has `atoms` numbers; `positions` is NULL or has frames x atoms x 3; `forces` the same or is
/// NULL; `energies` has frames or is NULL; `masses` has atoms or is NULL; `dataset` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_from_arrays(
    frames: usize,
    atoms: usize,
    species: *const i32,
    positions: *const f64,
    forces: *const f64,
    energies: *const f64,
    masses: *const f64,
    dataset: *mut *mut Dataset,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let place = unsafe { place(dataset, "dataset") }?;
        let all = size(frames, atoms)?;
        // SAFETY: as promised by the caller.
        let given = unsafe {
            calls::Arrays {
                frames,
                species: numbers(species, atoms, "species")?,
                positions: numbers(positions, all, "positions")?,
                forces: optional_numbers(forces, all, "forces")?,
                energies: optional_numbers(energies, frames, "energies")?,
                masses: optional_numbers(masses, atoms, "masses")?,
            }
        };
        *place = Box::into_raw(Box::new(calls::from_arrays(&given)?));
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
/// `dataset` is NULL or live; `species` is NULL or valid for writes of `length` numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_species(
    dataset: *const Dataset,
    species: *mut i32,
    length: usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (data, out) = unsafe { (object(dataset, "dataset")?, array(species, length, "species")?) };
        copy(out, data.species.iter(), "species")
    })
}

/// Masses (n), amu.
///
/// # Safety
/// `dataset` is NULL or live; `masses` is NULL or valid for writes of `length` numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_masses(dataset: *const Dataset, masses: *mut f64, length: usize) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (data, out) = unsafe { (object(dataset, "dataset")?, array(masses, length, "masses")?) };
        copy(out, data.masses.iter(), "masses")
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
        copy(out, data.positions.iter(), "positions")
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
        calls::forces(data, out)
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
        calls::energies(data, out)
    })
}

/// Velocities (N, n, 3), angstrom/fs.
///
/// # Safety
/// `dataset` is NULL or live; `velocities` is NULL or valid for writes of `length` numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_velocities(
    dataset: *const Dataset,
    velocities: *mut f64,
    length: usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (data, out) = unsafe { (object(dataset, "dataset")?, array(velocities, length, "velocities")?) };
        calls::velocities(data, out)
    })
}

/// Gives the frames velocities (N, n, 3), angstrom/fs.
///
/// # Safety
/// `dataset` is NULL or live and used by this call alone; `velocities` is NULL or has `length` numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_set_velocities(
    dataset: *mut Dataset,
    velocities: *const f64,
    length: usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (data, given) =
            unsafe { (changing(dataset, "dataset")?, numbers(velocities, length, "velocities")?) };
        calls::set_velocities(data, given)
    })
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
        calls::write(data, path)
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
        give_text(place, calls::inspect(data, kelvin)?)
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
        give_text(place, calls::evaluate(samples, reference)?)
    })
}
