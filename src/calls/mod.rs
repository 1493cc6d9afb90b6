//! What foreign callers may ask, in safe Rust: arrays as slices whose lengths are checked by name, settings and answers
//! as JSON. [`crate::c_api`] and the C++ bridge are skins over these calls.

pub mod arrays;
pub mod dataset;
pub mod label;
pub mod potential;
mod process;
pub mod progress;
pub mod sampler;
pub mod stages;
pub mod units;

use std::any::Any;
use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};

use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::error::one_line;
use crate::{Error, Result};

/// Version of the interface for foreign callers: it grows where a function's meaning or signature changes.
pub const ABI_VERSION: u32 = 1;

/// Status of a call that did what it says.
pub const OK: i32 = 0;
const INVALID: i32 = 1;
const FAILED: i32 = 2;
const UNSUPPORTED: i32 = 3;
const INTERNAL: i32 = 4;
const POTENTIAL: i32 = 5;
const INTERRUPTED: i32 = 6;

/// A call that failed.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// One of the statuses of the header.
    pub status: i32,
    /// What the caller's own potential returned, 0 where it was another error.
    pub potential_status: i32,
    /// One line for the user.
    pub message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let potential_status = match error {
            Error::Potential { status: Some(status), .. } => status,
            _ => 0,
        };
        let status = match error {
            Error::Usage(_) => INVALID,
            Error::Unsupported(_) => UNSUPPORTED,
            Error::Potential { .. } => POTENTIAL,
            Error::Interrupted(_) => INTERRUPTED,
            _ => FAILED,
        };
        // A message may quote a file's name, and that may hold anything.
        let message = error.to_string().replace(char::is_control, " ");
        Failure { status, potential_status, message }
    }
}

thread_local! {
    static LAST: RefCell<Failure> = const {
        RefCell::new(Failure { status: 0, potential_status: 0, message: String::new() })
    };
}

/// Runs a call; no panic leaves it. A failure is remembered for this thread.
///
/// # Errors
/// The failure of the call, or that of a panic.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T, Failure> {
    let failure = match catch_unwind(AssertUnwindSafe(|| process::enter().and_then(|()| work()))) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => Failure::from(error),
        Err(panic) => Failure {
            status: INTERNAL,
            potential_status: 0,
            message: format!(
                "an internal error of boltzdrift ({}); please report it with the call that led to it",
                one_line(said(panic.as_ref()))
            ),
        },
    };
    // Gone where the thread is at its end.
    let _ = LAST.try_with(|last| last.borrow_mut().clone_from(&failure));
    Err(failure)
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// The last failure on this thread; status 0 where there was none.
pub fn last_failure() -> Failure {
    LAST.try_with(|last| last.borrow().clone()).unwrap_or_default()
}

/// Settings as a JSON object; the defaults where there is none.
pub(crate) fn settings<T: DeserializeOwned + Default>(text: Option<&str>) -> Result<T> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(T::default()) };
    let wrong = |error: serde_json::Error| {
        Error::usage(format!("settings: {}; correct the JSON", one_line(&error.to_string())))
    };
    let value: serde_json::Value = serde_json::from_str(text).map_err(wrong)?;
    if !value.is_object() {
        return Err(Error::usage("settings: give a JSON object, {\"name\": value, ...}"));
    }
    serde_json::from_value(value).map_err(wrong)
}

/// An answer as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Numeric(error.to_string()))
}
