//! The C ABI, declared in `include/boltzdrift.h`: an `extern "C"` skin over the library.
//!
//! Every call returns a status and writes through pointers that the caller owns. No panic crosses: one
//! is caught and comes back as `BZD_INTERNAL`. The last error's message is kept for each thread.
#![allow(unsafe_code)]

pub mod dataset;
pub mod label;
pub mod log;
mod pointers;
pub mod potential;
pub mod sampler;
pub mod stages;
pub mod units;

use std::cell::RefCell;
use std::ffi::{c_char, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::calls;
use crate::Result;

thread_local! {
    static LAST: RefCell<CString> = RefCell::new(CString::default());
}

/// Runs a call: its status, with the message of a failure remembered.
fn guarded(work: impl FnOnce() -> Result<()>) -> i32 {
    let Err(failure) = calls::guarded(work) else { return calls::OK };
    let text = CString::new(failure.message).unwrap_or_default();
    // Gone where the thread is at its end.
    let _ = LAST.try_with(|last| *last.borrow_mut() = text);
    failure.status
}

/// Frees an object that a call gave; NULL is nothing to free.
///
/// # Safety
/// `pointer` is NULL or came from `Box::into_raw` and was not freed.
unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: as promised by the caller. A panic in a destructor must not cross.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(pointer) })));
    }
}

/// Version of the library, as `"0.1.0"`; static.
#[no_mangle]
pub extern "C" fn bzd_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// [`calls::ABI_VERSION`].
#[no_mangle]
pub extern "C" fn bzd_abi_version() -> u32 {
    calls::ABI_VERSION
}

/// Whether this build can fit and train: 1, or 0 in the sampler-only build.
#[no_mangle]
pub extern "C" fn bzd_can_train() -> i32 {
    i32::from(cfg!(feature = "train"))
}

/// Message of the last error on this thread; valid until the next failing call on it.
#[no_mangle]
pub extern "C" fn bzd_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Status that the caller's own potential returned in the last error on this thread; 0 where it was another error.
#[no_mangle]
pub extern "C" fn bzd_last_potential_status() -> i32 {
    calls::last_failure().potential_status
}

/// Frees a string that a call gave; NULL is nothing to free.
///
/// # Safety
/// `text` is NULL or came from a call of this library and was not freed.
#[no_mangle]
pub unsafe extern "C" fn bzd_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: as promised by the caller.
        drop(unsafe { CString::from_raw(text) });
    }
}
