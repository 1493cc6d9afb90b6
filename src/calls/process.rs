//! The process that computes. After `fork()` a child has the objects of its parent but not its threads: work that is shared
//! out would wait for them without end. There the calling thread computes alone; the numbers are the same.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::{Error, Result};

/// The process that called first; 0 before.
static FIRST: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// Whether this thread is a pool of its own.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Before the work of every call.
///
/// # Errors
/// [`Error::Unsupported`] where a thread of the library's own was forked, inside a concurrent potential.
pub(super) fn enter() -> Result<()> {
    let now = std::process::id();
    match FIRST.compare_exchange(0, now, Relaxed, Relaxed) {
        Err(first) if first != now => alone(),
        _ => Ok(()),
    }
}

/// Refuses in a child what computes on threads of other libraries, which were lost in the fork too.
///
/// # Errors
/// [`Error::Unsupported`] in a process forked from one that had called.
pub(super) fn not_in_a_child(what: &str) -> Result<()> {
    let first = FIRST.load(Relaxed);
    if first == 0 || first == std::process::id() {
        return Ok(());
    }
    // Python tells these by their first words.
    Err(Error::Unsupported(format!(
        "this process was forked: {what} needs threads of libtorch or OpenBLAS, which do not live on in a fork; start a \
         new process, in Python with multiprocessing.get_context(\"spawn\")"
    )))
}

fn alone() -> Result<()> {
    if ALONE.get() {
        return Ok(());
    }
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().map_err(|error| {
            Error::Unsupported(format!(
                "a process forked inside a potential cannot compute ({error}); start a new one"
            ))
        })?;
    // It lives as long as the thread.
    std::mem::forget(pool);
    ALONE.set(true);
    Ok(())
}
