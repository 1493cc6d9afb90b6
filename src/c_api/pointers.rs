//! Pointers of the caller, refused by name where they will not do.

use std::ffi::{c_char, CStr, CString};

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

/// The place for a string that the caller may not want, NULL until it is there.
///
/// # Safety
/// `place` is NULL or valid for a write.
pub unsafe fn optional_place<'a>(place: *mut *mut c_char) -> Option<&'a mut *mut c_char> {
    // SAFETY: as promised by the caller.
    let place = unsafe { place.as_mut() }?;
    *place = std::ptr::null_mut();
    Some(place)
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

/// A string of the caller's, or none where NULL.
///
/// # Safety
/// `pointer` is NULL or NUL-terminated, for as long as the reference lives.
pub unsafe fn optional_text<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>> {
    // SAFETY: as promised by the caller.
    (!pointer.is_null()).then(|| unsafe { text(pointer, name) }).transpose()
}

/// The caller's array of `count` numbers, or none where NULL.
///
/// # Safety
/// `pointer` is NULL or valid for reads of `count` elements for as long as the slice lives.
pub unsafe fn optional_numbers<'a, T>(
    pointer: *const T,
    count: usize,
    name: &str,
) -> Result<Option<&'a [T]>> {
    // SAFETY: as promised by the caller.
    (!pointer.is_null()).then(|| unsafe { numbers(pointer, count, name) }).transpose()
}

/// Gives the caller a string, to be freed with `bzd_string_free`.
pub fn give_text(place: &mut *mut c_char, text: String) -> Result<()> {
    *place = CString::new(text).map_err(|error| Error::Numeric(error.to_string()))?.into_raw();
    Ok(())
}
