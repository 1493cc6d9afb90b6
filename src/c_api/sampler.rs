//! Samplers: load, ask, draw, refine, put into a simulation, save.

use std::ffi::{c_char, c_void};
use std::path::Path;

use super::log::{ear, ProgressFunction};
use super::pointers::{
    array, changing, give_text, numbers, object, optional_numbers, optional_place, optional_text, place, text,
};
use super::{free, guarded};
use crate::calls::arrays::{copy, same_length, size};
use crate::calls::potential::Handle;
use crate::calls::sampler::{self as calls, Draw};
use crate::sampler::Sampler;
use crate::Error;

/// Loads a sampler.
///
/// # Safety
/// `path` is NULL or a NUL-terminated string; `sampler` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_load(path: *const c_char, sampler: *mut *mut Sampler) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, path) = unsafe { (place(sampler, "sampler")?, text(path, "path")?) };
        *place = Box::into_raw(Box::new(Sampler::load(path)?));
        Ok(())
    })
}

/// Frees a sampler; NULL is nothing to free.
///
/// # Safety
/// `sampler` is NULL or came from a call of this library and was not freed.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_free(sampler: *mut Sampler) {
    // SAFETY: as promised by the caller.
    unsafe { free(sampler) }
}

/// Number of atoms n.
///
/// # Safety
/// As [`bzd_sampler_species`].
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_atoms(sampler: *const Sampler, atoms: *mut usize) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (sampler, atoms) = unsafe { (object(sampler, "sampler")?, array(atoms, 1, "atoms")?) };
        atoms[0] = sampler.record().species.len();
        Ok(())
    })
}

/// Atomic numbers, (n).
///
/// # Safety
/// `sampler` is NULL or live; `species` is NULL or valid for writes of `length` numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_species(
    sampler: *const Sampler,
    species: *mut i32,
    length: usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (sampler, out) = unsafe { (object(sampler, "sampler")?, array(species, length, "species")?) };
        copy(out, sampler.record().species.iter(), "species")
    })
}

/// Masses in amu, (n).
///
/// # Safety
/// As [`bzd_sampler_species`].
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_masses(sampler: *const Sampler, masses: *mut f64, length: usize) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (sampler, out) = unsafe { (object(sampler, "sampler")?, array(masses, length, "masses")?) };
        copy(out, sampler.record().masses.iter(), "masses")
    })
}

/// Temperature in kelvin that the sampler records.
///
/// # Safety
/// `sampler` is NULL or live; `kelvin` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_temperature(sampler: *const Sampler, kelvin: *mut f64) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (sampler, out) = unsafe { (object(sampler, "sampler")?, array(kelvin, 1, "kelvin")?) };
        out[0] = calls::temperature(sampler)?;
        Ok(())
    })
}

/// Positions in angstrom of samples `first .. first + count` of a seed, (count, n, 3).
///
/// # Safety
/// `sampler` is NULL or live; `positions` is NULL or valid for writes of `length` numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_sample(
    sampler: *const Sampler,
    seed: u64,
    first: u64,
    count: usize,
    positions: *mut f64,
    length: usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (sampler, out) = unsafe { (object(sampler, "sampler")?, array(positions, length, "positions")?) };
        calls::sample(sampler, seed, first, count, out)
    })
}

/// Maxwell velocities in angstrom/fs of the same samples at `kelvin`, (count, n, 3).
///
/// # Safety
/// `sampler` is NULL or live; `positions` and `velocities` are NULL or valid for `length` numbers, and do
/// not overlap.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_velocities(
    sampler: *const Sampler,
    seed: u64,
    first: u64,
    kelvin: f64,
    positions: *const f64,
    velocities: *mut f64,
    length: usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (sampler, out) =
            unsafe { (object(sampler, "sampler")?, array(velocities, length, "velocities")?) };
        // SAFETY: as promised by the caller.
        let given = unsafe { numbers(positions, length, "positions") }?;
        let masses = &sampler.record().masses;
        let count = length / (3 * masses.len()).max(1);
        calls::maxwell(masses, Draw { seed, first, count }, kelvin, given, out)
    })
}

/// Writes the sampler to a file, through a temporary one.
///
/// # Safety
/// `sampler` is NULL or live; `path` is NULL or NUL-terminated.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_save(sampler: *const Sampler, path: *const c_char) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (sampler, path) = unsafe { (object(sampler, "sampler")?, text(path, "path")?) };
        sampler.model().save(Path::new(path))
    })
}

/// What the sampler says of itself, as JSON: species, bonds, symmetry, training settings, figures, calibration.
///
/// # Safety
/// `sampler` is NULL or live; `json` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_info(sampler: *const Sampler, json: *mut *mut c_char) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, sampler) = unsafe { (place(json, "json")?, object(sampler, "sampler")?) };
        give_text(place, crate::calls::json(sampler.record())?)
    })
}

/// Bonded pairs (count, 2); `pairs` may be NULL to ask for their number.
///
/// # Safety
/// `sampler` is NULL or live; `count` is NULL or valid for a write; `pairs` is NULL or valid for writes of `length`
/// numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_bonds(
    sampler: *const Sampler,
    count: *mut usize,
    pairs: *mut i32,
    length: usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (sampler, count) = unsafe { (object(sampler, "sampler")?, array(count, 1, "count")?) };
        let found = calls::bonds(sampler)?;
        count[0] = found.len() / 2;
        if pairs.is_null() {
            return same_length(length, 0, "pairs");
        }
        // SAFETY: as promised by the caller.
        copy(unsafe { array(pairs, length, "pairs") }?, found.iter(), "pairs")
    })
}

/// Samples `first .. first + count` of a seed, refined by hybrid Monte Carlo under a potential: positions (count, n, 3)
/// in angstrom and their energies (count) in kcal/mol. Samples that are no states of the molecule are drawn again.
///
/// # Safety
/// `sampler` is NULL or live, `potential` NULL or live and used by this call alone; `settings` is NULL or
/// NUL-terminated; `progress` is NULL or may be called with `user_data`; `positions` is NULL or valid for writes of
/// `length` numbers, `energies` of `count` or NULL; `report` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_refined(
    sampler: *const Sampler,
    potential: *mut Handle,
    seed: u64,
    first: u64,
    count: usize,
    settings: *const c_char,
    progress: Option<ProgressFunction>,
    user_data: *mut c_void,
    positions: *mut f64,
    length: usize,
    energies: *mut f64,
    report: *mut *mut c_char,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let report = unsafe { optional_place(report) };
        // SAFETY: as promised by the caller.
        let (sampler, potential, settings, mut ear, out) = unsafe {
            (
                object(sampler, "sampler")?,
                changing(potential, "potential")?,
                optional_text(settings, "settings")?,
                ear(progress, user_data),
                array(positions, length, "positions")?,
            )
        };
        // Before room for as many energies is made.
        same_length(length, size(count, sampler.record().species.len())?, "positions")?;
        // SAFETY: not NULL; room for `count` numbers as promised.
        let energies = match energies.is_null() {
            true => None,
            false => Some(unsafe { array(energies, count, "energies") }?),
        };
        let draw = Draw { seed, first, count };
        let said = calls::refined(sampler, potential, draw, settings, &mut ear, out, energies)?;
        if let Some(report) = report {
            give_text(report, said)?;
        }
        Ok(())
    })
}

/// Which atom of a caller's molecule is which of the sampler's: `order` (n).
///
/// # Safety
/// `sampler` is NULL or live; `species` is NULL or has `atoms` numbers, `positions` atoms x 3; `pairs` is NULL or has
/// 2 x bonds numbers; `order` is NULL or valid for writes of `length` numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_match(
    sampler: *const Sampler,
    atoms: usize,
    species: *const i32,
    positions: *const f64,
    bonds: usize,
    pairs: *const i32,
    order: *mut i32,
    length: usize,
) -> i32 {
    guarded(|| {
        let ends = bonds.checked_mul(2).ok_or_else(|| Error::usage(format!("{bonds} bonds are too many")))?;
        // SAFETY: as promised by the caller.
        let (sampler, species, positions, pairs, order) = unsafe {
            (
                object(sampler, "sampler")?,
                numbers(species, size(1, atoms)? / 3, "species")?,
                numbers(positions, size(1, atoms)?, "positions")?,
                optional_numbers(pairs, ends, "pairs")?,
                array(order, length, "order")?,
            )
        };
        calls::matched(sampler, species, positions, pairs, order)
    })
}

/// Moves samples to the centers of mass of molecules and turns them.
///
/// # Safety
/// `sampler` is NULL or live; `masses` is NULL or has n numbers; `onto` is NULL or has `length` numbers, and `positions` is
/// NULL or valid for reads and writes of as many; they do not overlap.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_place(
    sampler: *const Sampler,
    seed: u64,
    first: u64,
    count: usize,
    masses: *const f64,
    onto: *const f64,
    orientation: i32,
    positions: *mut f64,
    length: usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let sampler = unsafe { object(sampler, "sampler") }?;
        let atoms = sampler.record().species.len();
        same_length(length, size(count, atoms)?, "positions")?;
        // SAFETY: as promised by the caller.
        let (masses, onto, positions) = unsafe {
            (
                optional_numbers(masses, atoms, "masses")?,
                numbers(onto, length, "onto")?,
                array(positions, length, "positions")?,
            )
        };
        calls::place(sampler, Draw { seed, first, count }, masses, onto, orientation, positions)
    })
}

/// Maxwell velocities in angstrom/fs at `kelvin` for masses (atoms) in amu, (count, atoms, 3).
///
/// # Safety
/// `masses` is NULL or has `atoms` numbers; `positions` and `velocities` are NULL or valid for `length` numbers, and do not
/// overlap.
#[no_mangle]
pub unsafe extern "C" fn bzd_maxwell_velocities(
    atoms: usize,
    masses: *const f64,
    seed: u64,
    first: u64,
    kelvin: f64,
    positions: *const f64,
    velocities: *mut f64,
    length: usize,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (masses, positions, out) = unsafe {
            (
                numbers(masses, size(1, atoms)? / 3, "masses")?,
                numbers(positions, length, "positions")?,
                array(velocities, length, "velocities")?,
            )
        };
        let count = length / (3 * atoms).max(1);
        calls::maxwell(masses, Draw { seed, first, count }, kelvin, positions, out)
    })
}
