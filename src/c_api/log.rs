//! The library's log and its progress, for the caller's functions.

use std::cell::Cell;
use std::ffi::{c_char, c_void, CString};
use std::sync::{Mutex, OnceLock};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::guarded;
use crate::calls::progress::Now;
use crate::Error;

/// Takes one line of the log: 1 error, 2 warning, 3 information, 4 details.
pub type LogFunction = unsafe extern "C" fn(user_data: *mut c_void, level: i32, message: *const c_char);

/// How far a stage is (`bzd_progress`).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Size of this structure.
    pub struct_size: usize,
    /// `reading`, `fitting`, `equilibrating`, `training`, `labeling`, `refining`.
    pub stage: *const c_char,
    /// Units of work done.
    pub done: u64,
    /// Units in all; 0 where that is not known.
    pub total: u64,
    /// The loss in training, the largest split-R-hat in an equilibration, else NaN.
    pub value: f64,
}

/// Hears of progress; any value but 0 stops the work.
pub type ProgressFunction = unsafe extern "C" fn(user_data: *mut c_void, progress: *const Progress) -> i32;

/// The caller's function as an ear for progress.
///
/// # Safety
/// `function` is NULL or may be called with `user_data`, on this thread, for as long as the ear lives.
pub(crate) unsafe fn ear(
    function: Option<ProgressFunction>,
    user_data: *mut c_void,
) -> impl FnMut(Now) -> bool {
    move |now: Now| {
        let Some(function) = function else { return true };
        let Now { stage, done, total, value } = now;
        let progress =
            Progress { struct_size: size_of::<Progress>(), stage: stage.as_ptr(), done, total, value };
        // SAFETY: as promised by the caller of `ear`.
        unsafe { function(user_data, &raw const progress) == 0 }
    }
}

/// Where the log goes.
struct Target {
    function: LogFunction,
    user_data: *mut c_void,
}

// SAFETY: the caller promises that the function may be called from any thread, one call at a time.
unsafe impl Send for Target {}

thread_local! {
    static INSIDE: Once = const { Once(Cell::new(false)) };
}

/// Whether this thread is in the caller's function.
struct Once(Cell<bool>);

/// Leaves it.
struct Leave;

impl Once {
    fn enter(&self) -> Option<Leave> {
        (!self.0.replace(true)).then_some(Leave)
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| inside.0.set(false));
    }
}

struct Forward(Mutex<Option<Target>>);

impl Log for Forward {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        // A line that the caller's function brings about itself, by calling the library although it must not.
        let Ok(Some(_once)) = INSIDE.try_with(Once::enter) else { return };
        let Ok(target) = self.0.lock() else { return };
        let Some(Target { function, user_data }) = &*target else { return };
        let level = match record.level() {
            Level::Error => 1,
            Level::Warn => 2,
            Level::Info => 3,
            Level::Debug | Level::Trace => 4,
        };
        let text = CString::new(record.args().to_string().replace('\0', " ")).unwrap_or_default();
        // SAFETY: as promised in `bzd_set_log`.
        unsafe { function(*user_data, level, text.as_ptr()) };
    }

    fn flush(&self) {}
}

static FORWARD: OnceLock<Forward> = OnceLock::new();

/// Sends the log of this library to a function, up to a level; NULL stops it.
///
/// # Safety
/// `function` may be called with `user_data` from any thread until it is replaced.
#[no_mangle]
pub unsafe extern "C" fn bzd_set_log(
    function: Option<LogFunction>,
    user_data: *mut c_void,
    level: i32,
) -> i32 {
    guarded(|| {
        let level = match level {
            0 => LevelFilter::Off,
            1 => LevelFilter::Error,
            2 => LevelFilter::Warn,
            3 => LevelFilter::Info,
            4 => LevelFilter::Debug,
            other => {
                return Err(Error::usage(format!("log level {other}: give 0 (none) to 4 (details)")));
            }
        };
        let forward = FORWARD.get_or_init(|| Forward(Mutex::new(None)));
        // Refused only where a logger is there already: ours, or that of the Rust program we are part of.
        if log::set_logger(forward).is_err() && !std::ptr::addr_eq(log::logger(), forward) {
            return Err(Error::Unsupported(
                "this program has a logger of its own; the log goes there".into(),
            ));
        }
        let mut target = forward.0.lock().map_err(|_| Error::Numeric("the log's lock is poisoned".into()))?;
        *target = function.map(|function| Target { function, user_data });
        log::set_max_level(if target.is_some() { level } else { LevelFilter::Off });
        Ok(())
    })
}
