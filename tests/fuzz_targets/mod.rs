//! One function for each kind of input that nobody vouches for. `tests/fuzz.rs` calls them with seeds and some
//! thousand mutations of these; the fuzzers in `fuzz/` call them for hours.
//!
//! A function may refuse its input with an error. It must not panic, hang, or take more memory than `fuzz/README.md` says.

mod calls;
mod files;
mod records;
pub mod seeds;
mod words;

use std::path::PathBuf;

/// A kind of input.
pub struct Target {
    /// Its name, also of its folder of seeds in `tests/fuzz_seeds`.
    pub name: &'static str,
    /// Takes an input.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "sampler", run: records::sampler, seeds: seeds::samplers },
    Target { name: "equilibration", run: records::equilibration, seeds: seeds::equilibrations },
    #[cfg(feature = "train")]
    Target { name: "training", run: records::training, seeds: seeds::trainings },
    Target { name: "labels", run: records::labels, seeds: seeds::labels },
    Target { name: "npz", run: files::npz, seeds: seeds::npz },
    Target { name: "gdml", run: files::gdml, seeds: seeds::gdml },
    Target { name: "xyz", run: files::xyz, seeds: seeds::xyz },
    Target { name: "dump", run: files::dump, seeds: seeds::dumps },
    Target { name: "other", run: files::other, seeds: seeds::others },
    Target { name: "selection", run: words::selection, seeds: seeds::selections },
    Target { name: "units", run: words::units, seeds: seeds::units },
    Target { name: "settings", run: words::settings, seeds: seeds::settings },
    Target { name: "calls", run: calls::calls, seeds: seeds::calls },
];

/// The target of that name.
#[allow(dead_code)] // The fuzzers ask by name, the test takes them all.
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap()
}

thread_local! {
    static ROOM: tempfile::TempDir = tempfile::tempdir().unwrap();
}

/// A file that is the same for every input, written once.
fn given(name: &str, bytes: &[u8]) -> PathBuf {
    let path = ROOM.with(|room| room.path().join(name));
    if path.exists() {
        return path;
    }
    file(name, bytes)
}

/// A file with these bytes; the next call of this thread with the same name replaces it.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = ROOM.with(|room| room.path().join(name));
    std::fs::write(&path, bytes).unwrap();
    path
}
