//! Commands whose processes work together.

use std::path::PathBuf;
use std::sync::Arc;

use boltzdrift::ranks::mpi::Mpi;
use boltzdrift::ranks::{any, launched_among, Ranks};
use boltzdrift::Result;

use crate::terminal::{complain, interrupted};

/// Runs a command, with the MPI of the launcher where `asked` (the library, where it is named), quietly on all ranks but
/// the first. A rank that fails says so and takes the others along.
pub fn run(
    asked: Option<&Option<PathBuf>>,
    alone: &str,
    quiet: bool,
    command: impl FnOnce(bool, Option<&Arc<Mpi>>) -> Result<()>,
) -> Result<()> {
    let Some(library) = asked else {
        if let Some(count) = launched_among() {
            log::warn!(
                "one of {count} processes that each {alone} for themselves; give --mpi to {alone} together, or each another output"
            );
        }
        return command(quiet, None);
    };
    let mpi = Arc::new(Mpi::start(library.as_deref())?);
    // What all ranks would say alike is said once.
    if mpi.rank() != 0 {
        log::set_max_level(log::LevelFilter::Error);
    }
    let result = command(quiet || mpi.rank() != 0, Some(&mpi));
    if let Err(error) = &result {
        // Ranks that stop together have ended MPI, and rank 0 speaks for them. Else the others may be waiting for this one:
        // it takes them along.
        if mpi.rank() == 0 || !mpi.has_ended() {
            complain(&format_args!("rank {} of {}: {error}", mpi.rank(), mpi.count()));
        }
        mpi.abort(error.exit_code());
        std::process::exit(i32::from(error.exit_code()));
    }
    mpi.end();
    result
}

/// Whether the user, or another rank's user, wants this to stop. A rank that cannot be reached is no reason to go on.
pub fn asked_to_stop(mpi: Option<&Arc<Mpi>>) -> bool {
    match mpi {
        None => interrupted(),
        Some(mpi) => any(&**mpi, interrupted()).unwrap_or(true),
    }
}
