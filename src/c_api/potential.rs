//! Potentials: by name or from the caller's own function.

use std::ffi::c_char;

use super::pointers::{array, changing, give_text, numbers, place, text};
use super::{free, guarded};
use crate::calls::arrays::size;
use crate::calls::potential::{self as calls, Handle};
use crate::potential::foreign::{Descriptor, Foreign};

/// Opens a potential by its name: `gdml:FILE`, `plugin:LIB.so:options`, `torchscript:FILE`.
///
/// # Safety
/// `spec` is NULL or NUL-terminated; `potential` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_potential_open(spec: *const c_char, potential: *mut *mut Handle) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, spec) = unsafe { (place(potential, "potential")?, text(spec, "spec")?) };
        *place = Box::into_raw(Box::new(calls::open(spec)?));
        Ok(())
    })
}

/// A potential of the caller's own function. `destroy` is called once, at the end or where this call fails.
///
/// # Safety
/// `description` is NULL or keeps the promises of `bzd_potential_desc`; `potential` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_potential_from_callback(
    description: *const Descriptor,
    potential: *mut *mut Handle,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let place = unsafe { place(potential, "potential") };
        // SAFETY: as promised by the caller.
        let own = unsafe { Descriptor::read(description) }?;
        // SAFETY: as promised by the caller; a potential that is made calls `destroy`, also where it has no place.
        let made = unsafe { Foreign::new(&own) };
        *place? = Box::into_raw(Box::new(Handle::new(made?)));
        Ok(())
    })
}

/// Frees a potential; NULL is nothing to free.
///
/// # Safety
/// `potential` is NULL or came from a call of this library and was not freed.
#[no_mangle]
pub unsafe extern "C" fn bzd_potential_free(potential: *mut Handle) {
    // SAFETY: as promised by the caller.
    unsafe { free(potential) }
}

/// Energies (B) in kcal/mol and forces (B, n, 3) in kcal/mol/angstrom of positions (B, n, 3) in angstrom.
///
/// # Safety
/// `potential` is NULL or live and used by this call alone; `species_of` is NULL or has `atoms` numbers, `positions` and
/// `forces` frames x atoms x 3, `energies` frames.
#[no_mangle]
pub unsafe extern "C" fn bzd_potential_evaluate(
    potential: *mut Handle,
    frames: usize,
    atoms: usize,
    species_of: *const i32,
    positions: *const f64,
    energies: *mut f64,
    forces: *mut f64,
) -> i32 {
    guarded(|| {
        let all = size(frames, atoms)?;
        // SAFETY: as promised by the caller.
        let (potential, z, x, e, f) = unsafe {
            (
                changing(potential, "potential")?,
                numbers(species_of, atoms, "species")?,
                numbers(positions, all, "positions")?,
                array(energies, frames, "energies")?,
                array(forces, all, "forces")?,
            )
        };
        calls::evaluate(potential, z, x, e, f)
    })
}

/// Name, identity and, for a fitted one, the report of the fit, as JSON.
///
/// # Safety
/// `potential` is NULL or live and used by this call alone; `json` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_potential_info(potential: *mut Handle, json: *mut *mut c_char) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, potential) = unsafe { (place(json, "json")?, changing(potential, "potential")?) };
        give_text(place, calls::info(potential)?)
    })
}

/// Writes a fitted force field as an `.npz` (one with even weights in sGDML's layout); other potentials have nothing to
/// write.
///
/// # Safety
/// `potential` is NULL or live and used by this call alone; `path` is NULL or NUL-terminated.
#[no_mangle]
pub unsafe extern "C" fn bzd_potential_save(potential: *mut Handle, path: *const c_char) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (potential, path) = unsafe { (changing(potential, "potential")?, text(path, "path")?) };
        calls::save(potential, path)
    })
}

/// Version of the plug-in interface that this library speaks.
#[no_mangle]
pub extern "C" fn bzd_plugin_abi_version() -> u32 {
    crate::potential::plugin::PLUGIN_ABI
}
