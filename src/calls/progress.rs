//! How far a long call is, for a caller who may stop it.

use std::ffi::CStr;

use crate::{Error, Result};

/// How far a call is.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// `reading`, `fitting`, `equilibrating`, `training`, `labeling`, `refining`.
    pub stage: &'static CStr,
    /// Units of work done: frames, tries, evaluations, steps, proposals.
    pub done: u64,
    /// Of them in all; 0 where that is not known.
    pub total: u64,
    /// The loss in training, the largest split-R-hat in an equilibration, else NaN.
    pub value: f64,
}

/// Hears of progress, on the thread of the call; false stops the call.
pub type Ear<'a> = &'a mut dyn FnMut(Now) -> bool;

/// Tells the caller, as an error for stages that stop by one.
pub(super) fn tell(
    ear: &mut dyn FnMut(Now) -> bool,
    stage: &'static CStr,
    done: u64,
    total: u64,
) -> Result<()> {
    if ear(Now { stage, done, total, value: f64::NAN }) {
        return Ok(());
    }
    Err(Error::Interrupted(format!("{} was stopped by the progress function", stage.to_string_lossy())))
}
