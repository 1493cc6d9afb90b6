//! The stages from frames to a sampler: fit, equilibrate, train.

use std::ffi::{c_char, c_void};

use super::guarded;
use super::log::{ear, ProgressFunction};
use super::pointers::{changing, give_text, object, optional_place, optional_text, place};
use crate::calls::potential::Handle;
use crate::calls::stages as calls;
use crate::dataset::Dataset;
use crate::sampler::Sampler;

/// A force field fitted to the forces of a trajectory.
///
/// # Safety
/// `dataset` is NULL or live; `settings` is NULL or NUL-terminated; `progress` is NULL or may be called with `user_data`;
/// `potential` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_fit(
    dataset: *const Dataset,
    settings: *const c_char,
    progress: Option<ProgressFunction>,
    user_data: *mut c_void,
    potential: *mut *mut Handle,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, data, settings, mut ear) = unsafe {
            (
                place(potential, "potential")?,
                object(dataset, "dataset")?,
                optional_text(settings, "settings")?,
                ear(progress, user_data),
            )
        };
        *place = Box::into_raw(Box::new(calls::fit(data, settings, &mut ear)?));
        Ok(())
    })
}

/// States equilibrated with a potential, started from the frames of a trajectory.
///
/// # Safety
/// `dataset` is NULL or live; `potential` is NULL or live and used by this call alone; `settings` is NULL or
/// NUL-terminated; `progress` is NULL or may be called with `user_data`; `states` is NULL or valid for a write, and so is
/// `report`.
#[no_mangle]
pub unsafe extern "C" fn bzd_equilibrate(
    dataset: *const Dataset,
    potential: *mut Handle,
    settings: *const c_char,
    progress: Option<ProgressFunction>,
    user_data: *mut c_void,
    states: *mut *mut Dataset,
    report: *mut *mut c_char,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let report = unsafe { optional_place(report) };
        // SAFETY: as promised by the caller.
        let (states, data, potential, settings, mut ear) = unsafe {
            (
                place(states, "states")?,
                object(dataset, "dataset")?,
                changing(potential, "potential")?,
                optional_text(settings, "settings")?,
                ear(progress, user_data),
            )
        };
        let (pool, said) = calls::equilibrate(data, potential, settings, &mut ear)?;
        if let Some(report) = report {
            give_text(report, said)?;
        }
        *states = Box::into_raw(Box::new(pool));
        Ok(())
    })
}

/// A sampler trained on the frames of a trajectory.
///
/// # Safety
/// `dataset` is NULL or live; `settings` is NULL or NUL-terminated; `progress` is NULL or may be called with `user_data`;
/// `sampler` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_train(
    dataset: *const Dataset,
    settings: *const c_char,
    progress: Option<ProgressFunction>,
    user_data: *mut c_void,
    sampler: *mut *mut Sampler,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, data, settings, mut ear) = unsafe {
            (
                place(sampler, "sampler")?,
                object(dataset, "dataset")?,
                optional_text(settings, "settings")?,
                ear(progress, user_data),
            )
        };
        *place = Box::into_raw(Box::new(calls::train(data, settings, &mut ear)?));
        Ok(())
    })
}
