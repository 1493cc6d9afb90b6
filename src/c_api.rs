//! The C ABI, declared in `include/boltzdrift.h`: an `extern "C"` skin over [`crate::sampler`].
//!
//! Every call returns a status and writes through pointers that the caller owns. No panic crosses: one
//! is caught and comes back as `BZD_INTERNAL`. The last error's message is kept for each thread.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::{c_char, CStr, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::sampler::Sampler;
use crate::{Error, Result};

/// Version of the ABI: it grows where a function's meaning or signature changes.
pub const ABI_VERSION: u32 = 1;

const OK: i32 = 0;
const INVALID: i32 = 1;
const FAILED: i32 = 2;
const UNSUPPORTED: i32 = 3;
const INTERNAL: i32 = 4;

thread_local! {
    static LAST: RefCell<CString> = RefCell::new(CString::default());
}

fn remember(message: &str) {
    // A message never holds a NUL of ours, but it may quote a file.
    let text = CString::new(message.replace('\0', " ")).unwrap_or_default();
    LAST.with(|last| *last.borrow_mut() = text);
}

fn guarded(work: impl FnOnce() -> Result<()>) -> i32 {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => OK,
        Ok(Err(error)) => {
            remember(&error.to_string());
            match error {
                Error::Usage(_) => INVALID,
                Error::Unsupported(_) => UNSUPPORTED,
                _ => FAILED,
            }
        }
        Err(_) => {
            remember("an internal error of boltzdrift; please report it with the call that led to it");
            INTERNAL
        }
    }
}

/// The object behind a pointer, or an error that names the pointer.
///
/// # Safety
/// A pointer that is not NULL must be valid for reads for as long as the reference lives.
unsafe fn object<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: NULL is refused here, and the caller vouches for everything else.
    unsafe { pointer.as_ref() }.ok_or_else(|| Error::usage(format!("{name} is NULL")))
}

/// The caller's array of `count` numbers.
///
/// # Safety
/// A pointer that is not NULL must be valid for writes of `count` elements for as long as the slice lives.
unsafe fn array<'a, T>(pointer: *mut T, count: usize, name: &str) -> Result<&'a mut [T]> {
    if pointer.is_null() {
        return Err(Error::usage(format!("{name} is NULL")));
    }
    // SAFETY: not NULL; length and validity are the caller's promise, written in the header.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, count) })
}

fn same_length(given: usize, needed: usize, name: &str) -> Result<()> {
    if given == needed {
        return Ok(());
    }
    Err(Error::usage(format!("{name} has room for {given} numbers, but {needed} are written")))
}

/// Version of the library, as `"0.1.0"`; static.
#[no_mangle]
pub extern "C" fn bzd_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// [`ABI_VERSION`].
#[no_mangle]
pub extern "C" fn bzd_abi_version() -> u32 {
    ABI_VERSION
}

/// Message of the last error on this thread; valid until the next failing call on it.
#[no_mangle]
pub extern "C" fn bzd_last_error() -> *const c_char {
    LAST.with(|last| last.borrow().as_ptr())
}

/// Loads a sampler.
///
/// # Safety
/// `path` is NULL or a NUL-terminated string; `sampler` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_load(path: *const c_char, sampler: *mut *mut Sampler) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let place = unsafe { array(sampler, 1, "sampler") }?;
        place[0] = std::ptr::null_mut();
        if path.is_null() {
            return Err(Error::usage("path is NULL"));
        }
        // SAFETY: not NULL, and NUL-terminated as promised by the caller.
        let path = unsafe { CStr::from_ptr(path) };
        let path = path.to_str().map_err(|_| Error::usage("path is not UTF-8"))?;
        place[0] = Box::into_raw(Box::new(Sampler::load(path)?));
        Ok(())
    })
}

/// Frees a sampler; NULL is nothing to free.
///
/// # Safety
/// `sampler` is NULL or came from [`bzd_sampler_load`] and was not freed.
#[no_mangle]
pub unsafe extern "C" fn bzd_sampler_free(sampler: *mut Sampler) {
    if !sampler.is_null() {
        // SAFETY: it came from Box::into_raw in bzd_sampler_load and is freed once.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(sampler) })));
    }
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
        same_length(length, numbers(sampler, count)?, "positions")?;
        let drawn = sampler.sample(seed, first, count)?;
        out.iter_mut().zip(&drawn).for_each(|(to, &from)| *to = from);
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
        if positions.is_null() {
            return Err(Error::usage("positions is NULL"));
        }
        // SAFETY: not NULL; valid for `length` reads as promised by the caller.
        let given = unsafe { std::slice::from_raw_parts(positions, length) };
        let atoms = sampler.record().species.len();
        let count = length / (3 * atoms);
        same_length(length, numbers(sampler, count)?, "velocities")?;
        if given.iter().any(|x| !x.is_finite()) {
            return Err(Error::usage("a position is not finite"));
        }
        let given = ndarray::Array3::from_shape_vec((count, atoms, 3), given.to_vec())
            .map_err(|error| Error::Numeric(error.to_string()))?;
        let drawn = sampler.velocities(seed, first, &given, kelvin)?;
        out.iter_mut().zip(&drawn).for_each(|(to, &from)| *to = from);
        Ok(())
    })
}

fn numbers(sampler: &Sampler, count: usize) -> Result<usize> {
    let each = 3 * sampler.record().species.len();
    count.checked_mul(each).ok_or_else(|| Error::usage(format!("{count} samples do not fit in memory")))
}
