//! The program as a user starts it, and the library as a program links it.
// Each test takes what it needs.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Settings of a network that is trained in seconds.
pub const SMALL: &str = "width = 48\ndepth = 2\nnoise = 8\nbatch = 128\nlines = 8\n";

pub fn boltzdrift() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_boltzdrift"));
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    if let (false, Ok(runtime)) = (sanitizers().is_empty(), std::env::var("BOLTZDRIFT_TEST_PRELOAD")) {
        // Plug-ins with sanitizers need their runtime before anything else. What LAMMPS and libtorch leave behind at the
        // end is theirs.
        command.env("LD_PRELOAD", runtime).env("ASAN_OPTIONS", "detect_leaks=0");
    }
    command
}

/// More flags for the compilers of C and C++, from BOLTZDRIFT_TEST_CFLAGS: make check-memory gives sanitizers.
fn sanitizers() -> Vec<String> {
    let flags = std::env::var("BOLTZDRIFT_TEST_CFLAGS").unwrap_or_default();
    flags.split_whitespace().map(str::to_owned).collect()
}

pub fn run(folder: &Path, arguments: &str) -> Output {
    boltzdrift().current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

pub fn good(folder: &Path, arguments: &str) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The exit code and the one line on stderr of a call that must fail.
pub fn bad(folder: &Path, arguments: &str, code: i32, words: &[&str]) {
    let output = run(folder, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {said}");
    let line = said.lines().last().unwrap_or_default();
    for word in words {
        assert!(line.contains(word), "{arguments}: '{line}' does not say '{word}'");
    }
}

/// That a write of so many blocks at most fails with exit code 1, names `output` and leaves what it held.
pub fn full_disk(folder: &Path, arguments: &str, output: &str, blocks: usize) {
    std::fs::write(folder.join(output), "old").unwrap();
    // The file size limit stands for a full disk: a write fails just so.
    let script = format!("ulimit -f {blocks}; exec {} {arguments}", env!("CARGO_BIN_EXE_boltzdrift"));
    let done = Command::new("bash").current_dir(folder).args(["-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{output}: {said}");
    assert!(said.contains(output), "{said}");
    assert_eq!(std::fs::read_to_string(folder.join(output)).unwrap(), "old", "{output}");
    let left = std::fs::read_dir(folder)
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(left.count(), 0, "temporary files are left");
}

/// The folder with libboltzdrift.so: cargo leaves it beside the tests, and builds copy it one up. Programs
/// run without cargo's LD_LIBRARY_PATH, which would find either.
pub fn library() -> PathBuf {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_boltzdrift"));
    let up = binary.parent().unwrap();
    let newest = [up.join("deps"), up.to_owned()]
        .into_iter()
        .filter_map(|folder| {
            Some((std::fs::metadata(folder.join("libboltzdrift.so")).ok()?.modified().ok()?, folder))
        })
        .max();
    newest.expect("no libboltzdrift.so beside the tests").1
}

/// Compiles a program against the header and the shared library.
pub fn compile(folder: &Path, compiler: &str, standard: &str, source: &Path, name: &str) -> PathBuf {
    compile_with(folder, compiler, standard, source, &[], name)
}

/// The same with more to link.
pub fn compile_with(
    folder: &Path,
    compiler: &str,
    standard: &str,
    source: &Path,
    objects: &[&Path],
    name: &str,
) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (library, out) = (library(), folder.join(name));
    let done = Command::new(compiler)
        .args(sanitizers())
        .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"])
        .arg(format!("-I{}", root.join("include").display()))
        .arg(source)
        .args(objects)
        .arg(format!("-L{}", library.display()))
        .arg("-lboltzdrift")
        .arg(format!("-Wl,-rpath,{}", library.display()))
        .args(["-g", "-ffp-contract=off", "-pthread", "-lm", "-ldl", "-o"])
        .arg(&out)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    out
}

/// Compiles a C++ program against the C++ bindings and the bridge that the build made for them.
pub fn compile_cxx(folder: &Path, source: &Path, name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (library, out) = (library(), folder.join(name));
    let bridge = library.ancestors().find_map(|up| Some(up.join("bridge")).filter(|b| b.exists()));
    let bridge = bridge.expect("no bridge beside the library");
    let done = Command::new("c++")
        .args(sanitizers())
        .args(["-std=c++17", "-g", "-O1", "-ffp-contract=off", "-pthread", "-Wall", "-Wextra", "-Werror"])
        .arg(format!("-I{}", root.join("include").display()))
        .arg(format!("-I{}", bridge.join("include").display()))
        .arg(source)
        .args([bridge.join("src/bridge.cc"), bridge.join("src/cxx.cc")])
        .arg(format!("-L{}", library.display()))
        .arg("-lboltzdrift")
        .arg(format!("-Wl,-rpath,{}", library.display()))
        .arg("-o")
        .arg(&out)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    out
}

/// A script for Python with this build's library; none, with the reason, where there is no Python for it.
pub fn python(root: &Path, script: &str) -> Option<Command> {
    let python = root.join(".venv/bin/python");
    if !python.exists() {
        eprintln!("Python skipped: no .venv (make setup installs it)");
        return None;
    }
    let mut command = Command::new(python);
    command.env("PYTHONPATH", root.join("python"));
    command.env("BOLTZDRIFT_LIBRARY", library().join("libboltzdrift.so"));
    command.arg(root.join(script));
    Some(command)
}

/// Compiles C to an object file.
pub fn object(folder: &Path, source: &Path, name: &str) -> PathBuf {
    let out = folder.join(name);
    let done = Command::new("cc")
        .args(sanitizers())
        .args(["-std=c99", "-g", "-c", "-o"])
        .arg(&out)
        .arg(source)
        .arg(format!("-I{}", Path::new(env!("CARGO_MANIFEST_DIR")).join("include").display()))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    out
}

/// Compiles C to a plug-in, a shared library that needs nothing of libboltzdrift.
pub fn plugin(folder: &Path, source: &Path, name: &str) -> PathBuf {
    let out = folder.join(name);
    let done = Command::new("cc")
        .args(sanitizers())
        .args([
            "-std=c99",
            "-g",
            "-O2",
            "-ffp-contract=off",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Wconversion",
        ])
        .args(["-Werror", "-shared", "-fPIC"])
        .arg(format!("-I{}", Path::new(env!("CARGO_MANIFEST_DIR")).join("include").display()))
        .arg(source)
        .arg("-o")
        .arg(&out)
        .args(["-lm", "-ldl"])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    out
}
