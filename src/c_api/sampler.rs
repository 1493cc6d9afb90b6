//! Samplers: load, ask, draw, refine, save.

use std::ffi::c_char;
use std::path::Path;

use serde::Deserialize;

use super::arguments::{
    self, array, changing, cube, give_json, numbers, object, place, same_length, size, text, write_out,
};
use super::potential::Handle;
use super::{free, guarded};
use crate::equilibrate::{seeds, trust, RefineSettings, Seeds};
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
        same_length(length, sampler.record().species.len(), "species")?;
        out.iter_mut().zip(&sampler.record().species).for_each(|(to, &from)| *to = i32::from(from));
        Ok(())
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
        same_length(length, sampler.record().masses.len(), "masses")?;
        out.copy_from_slice(&sampler.record().masses);
        Ok(())
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
        let recorded = sampler.record().temperature;
        out[0] = recorded.ok_or_else(|| Error::Unsupported("the sampler records no temperature".into()))?;
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
        same_length(length, size(count, sampler.record().species.len())?, "positions")?;
        let drawn = sampler.sample(seed, first, count)?;
        write_out(out, &drawn);
        Ok(())
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
        let atoms = sampler.record().species.len();
        same_length(length, size(length / (3 * atoms), atoms)?, "velocities")?;
        let given = cube(given, atoms, "positions")?;
        let drawn = sampler.velocities(seed, first, &given, kelvin)?;
        write_out(out, &drawn);
        Ok(())
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
        give_json(place, sampler.record())
    })
}

/// What `bzd_sampler_refined` may be told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refining {
    /// Proposals for every sample; 20.
    steps: Option<usize>,
    /// Kelvin; the sampler's own.
    temperature: Option<f64>,
    /// fs; 1.
    time_step: Option<f64>,
    /// Mean leapfrog steps of a proposal; 20.
    leapfrog: Option<usize>,
}

/// Samples `first .. first + count` of a seed, refined by hybrid Monte Carlo under a potential: positions (count, n, 3)
/// in angstrom and their energies (count) in kcal/mol. Samples that are no states of the molecule are drawn again.
///
/// # Safety
/// `sampler` is NULL or live, `potential` NULL or live and used by this call alone; `settings` is NULL or
/// NUL-terminated; `positions` is NULL or valid for writes of `length` numbers, `energies` of `count` or NULL;
/// `report` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_refined(
    sampler: *const Sampler,
    potential: *mut Handle,
    seed: u64,
    first: u64,
    count: usize,
    settings: *const c_char,
    positions: *mut f64,
    length: usize,
    energies: *mut f64,
    report: *mut *mut c_char,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (sampler, potential, out, given) = unsafe {
            (
                object(sampler, "sampler")?,
                changing(potential, "potential")?,
                array(positions, length, "positions")?,
                arguments::settings::<Refining>(settings)?,
            )
        };
        same_length(length, size(count, sampler.record().species.len())?, "positions")?;
        let kelvin = given.temperature.or(sampler.record().temperature).ok_or_else(|| {
            Error::usage("the sampler records no temperature; give \"temperature\" in the settings")
        })?;
        let settings = RefineSettings {
            temperature: kelvin,
            iterations: given.steps.unwrap_or(20),
            time_step: given.time_step.unwrap_or(1.0),
            leapfrog: given.leapfrog.unwrap_or(20),
            seed,
            first,
        };
        trust::warn_of_rough_fit(potential.0.as_ref(), kelvin);
        let Seeds { refined, redrawn } = seeds(sampler, potential.0.as_mut(), &settings, count)?;
        trust::check_refinement(&refined.decisions, settings.time_step)?;
        write_out(out, &refined.positions);
        if !energies.is_null() {
            // SAFETY: not NULL; room for `count` numbers as promised.
            write_out(unsafe { array(energies, count, "energies") }?, &refined.energies_after);
        }
        if !report.is_null() {
            // SAFETY: as promised by the caller.
            let place = unsafe { place(report, "report") }?;
            let quantiles = |values: &ndarray::Array1<f64>| {
                let mut sorted = values.to_vec();
                sorted.sort_unstable_by(f64::total_cmp);
                let at = |q: f64| sorted.get(((count.max(1) - 1) as f64 * q).round() as usize).copied();
                [0.05, 0.5, 0.95].map(at)
            };
            give_json(
                place,
                &serde_json::json!({
                    "temperature": kelvin,
                    "acceptance": refined.acceptance,
                    "decisions": refined.decisions,
                    "redrawn": redrawn,
                    "energies_before": quantiles(&refined.energies_before),
                    "energies_after": quantiles(&refined.energies_after),
                }),
            )?;
        }
        Ok(())
    })
}
