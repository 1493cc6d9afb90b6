//! How much memory a fit, or a training, may take.

use sysinfo::System;

use crate::{Error, Result};

/// Of the free memory, what a matrix may take.
const SHARE: f64 = 0.8;

/// Bytes that may be used: what the user said, else a share of what is free, within the limits of the control
/// group (containers, batch jobs).
pub(super) fn limit(asked: Option<u64>) -> u64 {
    asked.unwrap_or_else(usable)
}

/// A share of the memory that is free, within the limits of the control group.
pub(crate) fn usable() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    let free = system.available_memory();
    let free = system.cgroup_limits().map_or(free, |group| free.min(group.free_memory));
    (free as f64 * SHARE) as u64
}

/// Refuses a matrix that would not fit.
///
/// # Errors
/// [`Error::Usage`] with both sizes and the number of frames that would fit.
pub(super) fn check(needed: u64, limit: u64, frames: usize) -> Result<()> {
    if needed <= limit {
        return Ok(());
    }
    // The matrix grows with the square of the frames.
    let fitting = (frames as f64 * (limit as f64 / needed as f64).sqrt()).floor();
    Err(Error::usage(format!(
        "a fit to {frames} frames needs {:.1} GB of memory and {:.1} GB may be used; give at most {fitting:.0} frames, or \
         a machine with more memory",
        needed as f64 / 1e9,
        limit as f64 / 1e9
    )))
}
