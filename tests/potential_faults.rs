//! Faults of callers' potentials, by every way that runs their code: C functions and plug-ins, C++ classes. Python's are in
//! tests/python/test_potential.py, those of LAMMPS in tests/lammps_potential.rs, of TorchScript in tests/torchscript.rs.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
mod untrained;

use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn good(program: &mut Command) {
    // Two threads: a potential that held one of them would be seen.
    let done = program.env_remove("LD_LIBRARY_PATH").env("RAYON_NUM_THREADS", "2").output().unwrap();
    assert!(done.status.success(), "{program:?}: {}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(done.stdout, b"ok\n");
}

#[test]
fn c_functions_and_plugins() {
    let keep = tempfile::tempdir().unwrap();
    let folder = keep.path();
    let (model, source) = (folder.join("water.safetensors"), root().join("tests/c/faulty.c"));
    untrained::water(0.03).save(&model).unwrap();
    // It calls the library back, which it finds in the program.
    let plugin = command::plugin(folder, &source, "libfaulty.so");
    let object = command::object(folder, &source, "faulty.o");
    let faults = root().join("tests/c/faults.cpp");
    let program = command::compile_with(folder, "c++", "-std=c++17", &faults, &[&object], "faults");
    good(Command::new(program).arg(&model).arg(&plugin).arg(folder));
}

#[test]
fn classes() {
    let keep = tempfile::tempdir().unwrap();
    let folder = keep.path();
    let model = folder.join("water.safetensors");
    untrained::water(0.03).save(&model).unwrap();
    let program = command::compile_cxx(folder, &root().join("tests/cpp/faults.cpp"), "class_faults");
    good(Command::new(program).arg(&model));
}
