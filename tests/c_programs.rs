//! The examples in C, and programs that try the library hard: memory, threads, how soon the first samples are there.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
mod untrained;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use command::{compile, compile_cxx, compile_with, object, plugin};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(program: &mut Command) -> Output {
    program.env_remove("LD_LIBRARY_PATH").env("OMP_WAIT_POLICY", "passive").output().unwrap()
}

fn good(program: &mut Command) -> String {
    let done = run(program);
    assert!(done.status.success(), "{program:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// The examples and their arguments. `refine` and `place` take the sampler that `train` writes.
const EXAMPLES: [(&str, &[&str]); 8] = [
    ("library", &[]),
    ("trajectory", &["water.xyz"]),
    ("potential", &[]),
    ("label", &["labelled.npz"]),
    ("train", &["water.safetensors"]),
    ("refine", &["water.safetensors", "500"]),
    ("place", &["water.safetensors"]),
    ("seed", &["water.safetensors", "2", "300"]),
];

fn example(folder: &Path, standard: &str, name: &str) -> PathBuf {
    compile(folder, "cc", standard, &root().join(format!("examples/c/{name}.c")), name)
}

#[test]
fn examples_run() {
    let folder = tempfile::tempdir().unwrap();
    if !cfg!(feature = "train") {
        untrained::water(0.03).save(&folder.path().join("water.safetensors")).unwrap();
    }
    for (name, arguments) in EXAMPLES {
        for standard in ["-std=c99", "-std=c11"] {
            let program = example(folder.path(), standard, name);
            let said = good(Command::new(program).current_dir(folder.path()).args(arguments));
            if name == "refine" {
                // Three vibrations have 3/2 kT; the standard error of 500 samples is 0.055.
                let mean = said.lines().last().unwrap().split(' ').nth(2).unwrap().parse::<f64>().unwrap();
                assert!((mean - 1.5).abs() < 5.0 * (1.5_f64 / 500.0).sqrt(), "{said}");
            }
        }
    }
}

#[test]
fn every_function_has_an_example() {
    let header = std::fs::read_to_string(root().join("include/boltzdrift.h")).unwrap();
    let mut examples = String::new();
    for folder in ["examples/c", "examples/potentials"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            examples += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
        }
    }
    let mut seen = BTreeMap::new();
    for (at, _) in header.match_indices("bzd_") {
        let name: String =
            header[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        // A declaration, not a mention of it.
        let called = format!("{name}(");
        if header[at..].starts_with(&called) && !header[..at].ends_with([' ', '*', '\n']) {
            continue;
        }
        if header[at..].starts_with(&called) {
            seen.insert(called.clone(), examples.contains(&called));
        }
    }
    assert!(seen.len() > 45, "{seen:?}");
    let missing: Vec<_> = seen.iter().filter(|(_, there)| !**there).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // Sections name examples that exist.
    for (at, _) in header.match_indices("examples/") {
        let path: String =
            header[at..].chars().take_while(|c| !c.is_whitespace() && *c != ',' && *c != ';').collect();
        assert!(root().join(&path).exists(), "{path}");
    }
}

#[test]
fn memory_stays_flat() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("water.safetensors");
    untrained::water(0.03).save(&model).unwrap();
    let program = compile(folder.path(), "cc", "-std=gnu11", &root().join("tests/c/cycles.c"), "cycles");
    // As many as wanted: BOLTZDRIFT_CYCLES=1000000 takes a minute or two.
    let count = std::env::var("BOLTZDRIFT_CYCLES").unwrap_or_else(|_| "50000".into());
    let start = Instant::now();
    let said = good(Command::new(program).arg(&model).arg(&count));
    println!("{}, {:.0} s", said.trim(), start.elapsed().as_secs_f64());
}

#[test]
fn a_long_run_keeps_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("water.safetensors");
    untrained::water(0.03).save(&model).unwrap();
    let program = compile(folder.path(), "cc", "-std=gnu11", &root().join("tests/c/soak.c"), "soak");
    // As many as wanted: BOLTZDRIFT_SAMPLES=1000000000 takes some minutes.
    let count = std::env::var("BOLTZDRIFT_SAMPLES").unwrap_or_else(|_| "2000000".into());
    let start = Instant::now();
    let done = run(Command::new(program).arg(&model).arg(&count));
    let (said, steps) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    println!("{steps}{}, {:.0} s", said.trim(), start.elapsed().as_secs_f64());
    assert!(done.status.success(), "{steps}{said}");
}

#[test]
fn threads_draw_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("ethanol.safetensors");
    untrained::ethanol().save(&model).unwrap();
    let program = compile(folder.path(), "c++", "-std=c++17", &root().join("tests/c/threads.cpp"), "threads");
    assert_eq!(good(Command::new(&program).arg(&model)), "0 wrong\n");
    // More threads than cores, for as many seconds as wanted: BOLTZDRIFT_THREAD_SECONDS=600 for ten minutes.
    let seconds = std::env::var("BOLTZDRIFT_THREAD_SECONDS").unwrap_or_else(|_| "3".into());
    let done = run(Command::new(&program).arg(&model).args(["24", &seconds]));
    println!("{} in {seconds} s", String::from_utf8_lossy(&done.stderr).trim());
    assert!(done.status.success() && done.stdout == b"0 wrong\n");
}

#[test]
#[cfg(unix)]
fn forks_signals_and_errors_of_other_threads() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("ethanol.safetensors");
    untrained::ethanol().save(&model).unwrap();
    let source = root().join("tests/c/processes.cpp");
    let program = compile(folder.path(), "c++", "-std=c++17", &source, "processes");
    assert_eq!(good(Command::new(&program).arg(&model)), "good\n");
}

/// What an MD code waits for: start of the process, loading, 100 samples with velocities.
#[test]
fn first_samples_are_there_soon() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("ethanol.safetensors");
    untrained::ethanol().save(&model).unwrap();
    let program = example(folder.path(), "-std=c99", "seed");
    let mut times: Vec<f64> = (0..12)
        .map(|_| {
            let start = Instant::now();
            good(Command::new(&program).arg(&model).args(["100", "300"]));
            1e3 * start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("100 ethanol samples after {:.1} ms (best of 12), {:.1} ms (median)", times[0], times[6]);
    // The full library loads libtorch first. The best: other programs run beside this one.
    let limit = if cfg!(feature = "train") { 10_000.0 } else { 50.0 };
    assert!(times[0] < limit, "{times:?}");
}

/// The sampler-only library and its C and C++ programs under valgrind. Libtorch's own code is not clean there, so this is not
/// done for the full library.
#[test]
fn valgrind_finds_nothing() {
    if cfg!(feature = "train") {
        println!("skipped: the sampler-only build runs this");
        return;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: no valgrind (make setup installs it)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    untrained::water(0.03).save(&at("water.safetensors")).unwrap();
    let mut programs: Vec<(PathBuf, Vec<&str>)> = EXAMPLES
        .iter()
        .map(|(name, arguments)| (example(folder.path(), "-std=c99", name), arguments.to_vec()))
        .collect();
    programs.iter_mut().filter(|(program, _)| program.ends_with("refine")).for_each(|(_, all)| all[1] = "20");
    programs.push((
        compile(folder.path(), "cc", "-std=gnu11", &root().join("tests/c/cycles.c"), "cycles"),
        vec!["water.safetensors", "20"],
    ));
    programs.push((
        compile(folder.path(), "c++", "-std=c++17", &root().join("tests/c/threads.cpp"), "threads"),
        vec!["water.safetensors"],
    ));
    programs.push((
        compile(folder.path(), "c++", "-std=c++17", &root().join("tests/c/pipeline.cpp"), "pipeline"),
        vec!["none.safetensors"],
    ));
    let bindings = compile_cxx(folder.path(), &root().join("tests/cpp/bindings.cpp"), "bindings");
    programs.push((bindings, vec!["water.safetensors"]));
    // Faults of callbacks, of a plug-in and of a class.
    let faulty = root().join("tests/c/faulty.c");
    let plugin = plugin(folder.path(), &faulty, "libfaulty.so");
    let object = object(folder.path(), &faulty, "faulty.o");
    let source = root().join("tests/c/faults.cpp");
    programs.push((
        compile_with(folder.path(), "c++", "-std=c++17", &source, &[&object], "faults"),
        vec!["water.safetensors", "./libfaulty.so", "."],
    ));
    assert!(plugin.exists());
    programs.push((
        compile_cxx(folder.path(), &root().join("tests/cpp/faults.cpp"), "class_faults"),
        vec!["water.safetensors"],
    ));
    for (program, arguments) in programs {
        let start = Instant::now();
        let done = run(Command::new("valgrind")
            .args(["-q", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,indirect"])
            .arg("--errors-for-leak-kinds=definite,indirect")
            .arg(format!("--suppressions={}", root().join("tests/c/valgrind.supp").display()))
            .arg(&program)
            .current_dir(folder.path())
            .env("RAYON_NUM_THREADS", "2")
            .args(&arguments));
        println!("{}: {:.0} s", program.display(), start.elapsed().as_secs_f64());
        assert!(done.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&done.stderr));
    }
}
