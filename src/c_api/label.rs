//! Labels: energies and forces of frames from a potential, in memory and in files.

use std::ffi::{c_char, c_void};

use super::guarded;
use super::log::{ear, ProgressFunction};
use super::pointers::{changing, give_text, object, optional_place, optional_text, place, text};
use crate::calls::label as calls;
use crate::calls::potential::Handle;
use crate::dataset::Dataset;

/// Energies and forces of all frames from a potential, in place of those they have.
///
/// # Safety
/// `dataset` and `potential` are NULL or live and used by this call alone; `progress` is NULL or may be called with
/// `user_data`.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_label(
    dataset: *mut Dataset,
    potential: *mut Handle,
    progress: Option<ProgressFunction>,
    user_data: *mut c_void,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (data, potential, mut ear) = unsafe {
            (changing(dataset, "dataset")?, changing(potential, "potential")?, ear(progress, user_data))
        };
        calls::in_memory(data, potential, &mut ear)
    })
}

/// The frames that a labeling in memory which failed or was stopped had done, with their labels.
///
/// # Safety
/// `dataset` is NULL or live; `potential` is NULL or live and used by this call alone; `done` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_labelled(
    dataset: *const Dataset,
    potential: *mut Handle,
    done: *mut *mut Dataset,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, data, potential) =
            unsafe { (place(done, "done")?, object(dataset, "dataset")?, object(potential, "potential")?) };
        *place = Box::into_raw(Box::new(calls::done(data, potential)?));
        Ok(())
    })
}

/// Writes the frames with energies and forces from a potential to a file, going on where an earlier call ended.
///
/// # Safety
/// `dataset` is NULL or live; `potential` is NULL or live and used by this call alone; `path` and `settings` are NULL or
/// NUL-terminated; `progress` is NULL or may be called with `user_data`; `report` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_dataset_label_to(
    dataset: *const Dataset,
    potential: *mut Handle,
    path: *const c_char,
    settings: *const c_char,
    progress: Option<ProgressFunction>,
    user_data: *mut c_void,
    report: *mut *mut c_char,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (report, data, potential, path, settings, mut ear) = unsafe {
            (
                optional_place(report),
                object(dataset, "dataset")?,
                changing(potential, "potential")?,
                text(path, "path")?,
                optional_text(settings, "settings")?,
                ear(progress, user_data),
            )
        };
        let said = calls::to_file(data, potential, path, settings, &mut ear)?;
        report.map_or(Ok(()), |report| give_text(report, said))
    })
}
