//! Pointers, strings and settings of the caller, refused by name where they will not do.

use std::ffi::{c_char, CStr, CString};

use ndarray::{Array3, ArrayView3};
use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::error::one_line;
use crate::{Error, Result};

/// The object behind a pointer, or an error that names the pointer.
///
/// # Safety
/// A pointer that is not NULL must be valid for reads for as long as the reference lives.
pub unsafe fn object<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: NULL is refused here, and the caller vouches for everything else.
    unsafe { pointer.as_ref() }.ok_or_else(|| Error::usage(format!("{name} is NULL")))
}

/// The same, to be changed.
///
/// # Safety
/// A pointer that is not NULL must be valid for reads and writes, by this call alone, while the reference lives.
pub unsafe fn changing<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: NULL is refused here, and the caller vouches for everything else.
    unsafe { pointer.as_mut() }.ok_or_else(|| Error::usage(format!("{name} is NULL")))
}

/// The caller's array of `count` numbers, to be written.
///
/// # Safety
/// A pointer that is not NULL must be valid for writes of `count` elements for as long as the slice lives.
pub unsafe fn array<'a, T>(pointer: *mut T, count: usize, name: &str) -> Result<&'a mut [T]> {
    if pointer.is_null() {
        return Err(Error::usage(format!("{name} is NULL")));
    }
    // SAFETY: not NULL; length and validity are the caller's promise, written in the header.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, count) })
}

/// The caller's array of `count` numbers, to be read.
///
/// # Safety
/// A pointer that is not NULL must be valid for reads of `count` elements for as long as the slice lives.
pub unsafe fn numbers<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if pointer.is_null() {
        return Err(Error::usage(format!("{name} is NULL")));
    }
    // SAFETY: not NULL; length and validity are the caller's promise, written in the header.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// The place for a new object, which is NULL until it is there.
///
/// # Safety
/// `place` is NULL or valid for a write.
pub unsafe fn place<'a, T>(place: *mut *mut T, name: &str) -> Result<&'a mut *mut T> {
    // SAFETY: as promised by the caller.
    let place = unsafe { array(place, 1, name) }?;
    place[0] = std::ptr::null_mut();
    Ok(&mut place[0])
}

/// A string of the caller's.
///
/// # Safety
/// `pointer` is NULL or NUL-terminated, for as long as the reference lives.
pub unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(Error::usage(format!("{name} is NULL")));
    }
    // SAFETY: not NULL, and NUL-terminated as promised by the caller.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Error::usage(format!("{name} is not UTF-8")))
}

/// Settings as a JSON object; the defaults where NULL.
///
/// # Safety
/// `pointer` is NULL or NUL-terminated.
pub unsafe fn settings<T: DeserializeOwned + Default>(pointer: *const c_char) -> Result<T> {
    if pointer.is_null() {
        return Ok(T::default());
    }
    // SAFETY: as promised by the caller.
    let text = unsafe { text(pointer, "settings") }?;
    serde_json::from_str(text).map_err(|error| {
        Error::usage(format!("settings: {}; correct the JSON", one_line(&error.to_string())))
    })
}

/// Gives the caller a string of JSON, to be freed with `bzd_string_free`.
pub fn give_json(place: &mut *mut c_char, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value).map_err(|error| Error::Numeric(error.to_string()))?;
    let text = CString::new(text).map_err(|error| Error::Numeric(error.to_string()))?;
    *place = text.into_raw();
    Ok(())
}

/// Refuses an array whose length is not what is written or read.
pub fn same_length(given: usize, needed: usize, name: &str) -> Result<()> {
    if given == needed {
        return Ok(());
    }
    Err(Error::usage(format!("{name} has {given} numbers, but {needed} are needed")))
}

/// frames x atoms x 3, or an error where that is no size of an array.
pub fn size(frames: usize, atoms: usize) -> Result<usize> {
    let all = frames.checked_mul(3 * atoms).filter(|&all| all <= isize::MAX as usize / 8);
    all.ok_or_else(|| Error::usage(format!("{frames} frames of {atoms} atoms do not fit in memory")))
}

/// Atomic numbers, 1 to 118.
pub fn species(given: &[i32]) -> Result<Vec<u8>> {
    given
        .iter()
        .enumerate()
        .map(|(atom, &z)| {
            u8::try_from(z).ok().filter(|z| (1..=118).contains(z)).ok_or_else(|| {
                Error::usage(format!("species of atom {atom} is {z}: give an atomic number, 1 to 118"))
            })
        })
        .collect()
}

/// A copy (frames, atoms, 3) of the caller's numbers, all of them finite.
pub fn cube(given: &[f64], atoms: usize, name: &str) -> Result<Array3<f64>> {
    let each = 3 * atoms.max(1);
    if let Some(at) = given.iter().position(|x| !x.is_finite()) {
        let (frame, atom) = (at / each, at % each / 3);
        return Err(Error::usage(format!("{name}: frame {frame}, atom {atom}: the number is not finite")));
    }
    same_length(given.len(), given.len() / each * each, name)?;
    Array3::from_shape_vec((given.len() / each, atoms, 3), given.to_vec())
        .map_err(|error| Error::Numeric(error.to_string()))
}

/// The caller's numbers as (frames, atoms, 3), without a copy.
pub fn cube_view<'a>(given: &'a [f64], frames: usize, atoms: usize) -> Result<ArrayView3<'a, f64>> {
    ArrayView3::from_shape((frames, atoms, 3), given).map_err(|error| Error::Numeric(error.to_string()))
}

/// Copies an array out.
pub fn write_out<'a>(out: &mut [f64], from: impl IntoIterator<Item = &'a f64>) {
    out.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}
