//! The C ABI from C99 and C++17, against the shared library as it is linked.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
mod untrained;

use std::path::Path;
use std::process::Command;

use boltzdrift::sampler::Sampler;
use command::{compile, library};

#[test]
fn the_example_in_c_gives_the_librarys_own_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("water.safetensors");
    untrained::water(0.5).save(&path).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/c/seed.c");
    for standard in ["-std=c99", "-std=c11"] {
        let program = compile(folder.path(), "cc", standard, &source, "seed");
        let done = Command::new(&program)
            .env_remove("LD_LIBRARY_PATH")
            .arg(&path)
            .args(["5", "300"])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let sampler = Sampler::load(&path).unwrap();
        let x = sampler.sample(0, 0, 5).unwrap();
        let v = sampler.velocities(0, 0, &x, 300.0).unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        let rows: Vec<Vec<f64>> = text
            .lines()
            .filter(|line| line.split(' ').count() == 7)
            .map(|line| line.split(' ').map(|word| word.parse().unwrap()).collect())
            .collect();
        assert_eq!(rows.len(), 15);
        for (k, row) in rows.iter().enumerate() {
            let (s, a) = (k / 3, k % 3);
            let expected =
                [x[[s, a, 0]], x[[s, a, 1]], x[[s, a, 2]], v[[s, a, 0]], v[[s, a, 1]], v[[s, a, 2]]];
            assert_eq!(row[1..], expected);
        }
        let broken = Command::new(&program)
            .env_remove("LD_LIBRARY_PATH")
            .args(["/no/such.safetensors", "5", "300"])
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&broken.stderr).contains("/no/such.safetensors: cannot open"));
    }
}

const MISUSE: &str = r#"
#include <boltzdrift.h>
#include <cstring>
#include <vector>
#define CHECK(call, code, word) if ((call) != (code) || !std::strstr(bzd_last_error(), word)) return __LINE__ % 250
int main(int, char **argv) {
    bzd_sampler_t *s = nullptr;
    size_t n = 0;
    double t = 0;
    CHECK(bzd_sampler_load(nullptr, &s), BZD_INVALID, "path is NULL");
    CHECK(bzd_sampler_load(argv[1], nullptr), BZD_INVALID, "sampler is NULL");
    CHECK(bzd_sampler_load(argv[0], &s), BZD_FAILED, "safetensors");
    CHECK(bzd_sampler_atoms(nullptr, &n), BZD_INVALID, "sampler is NULL");
    // A place for an object is NULL after a failure, whatever was there.
    bzd_dataset_t *d = reinterpret_cast<bzd_dataset_t *>(argv);
    bzd_potential_t *p = reinterpret_cast<bzd_potential_t *>(argv);
    char *report = argv[0];
    CHECK(bzd_dataset_from_arrays(SIZE_MAX / 8, 9, nullptr, nullptr, nullptr, nullptr, nullptr, &d), BZD_INVALID, "memory");
    CHECK(bzd_potential_from_callback(nullptr, &p), BZD_INVALID, "NULL");
    CHECK(bzd_equilibrate(nullptr, nullptr, nullptr, nullptr, nullptr, &d, &report), BZD_INVALID, "dataset is NULL");
    if (d != nullptr || p != nullptr || report != nullptr) return 250;
    if (bzd_sampler_load(argv[1], &s) != BZD_OK) return 251;
    CHECK(bzd_sampler_atoms(s, nullptr), BZD_INVALID, "atoms is NULL");
    if (bzd_sampler_atoms(s, &n) != BZD_OK || n != 3) return 252;
    if (bzd_sampler_temperature(s, &t) != BZD_OK || t < 299 || t > 301) return 253;
    std::vector<double> x(18), v(18), m(3);
    if (bzd_sampler_masses(s, m.data(), 3) != BZD_OK || m[0] < 15 || m[0] > 17) return 254;
    CHECK(bzd_sampler_masses(s, m.data(), 2), BZD_INVALID, "masses");
    CHECK(bzd_sampler_sample(s, 0, 0, 2, x.data(), 17), BZD_INVALID, "positions has 17 numbers");
    CHECK(bzd_sampler_sample(s, 0, 0, SIZE_MAX, x.data(), 18), BZD_INVALID, "memory");
    CHECK(bzd_sampler_sample(s, 0, UINT64_MAX, 2, x.data(), 18), BZD_INVALID, "last index");
    CHECK(bzd_sampler_sample(s, 0, 0, 2, nullptr, 18), BZD_INVALID, "positions is NULL");
    if (bzd_sampler_sample(s, 0, 0, 2, x.data(), 18) != BZD_OK) return 255;
    CHECK(bzd_sampler_velocities(s, 0, 0, -1.0, x.data(), v.data(), 18), BZD_INVALID, "temperature");
    CHECK(bzd_sampler_velocities(s, 0, 0, 300.0, x.data(), v.data(), 17), BZD_INVALID, "velocities");
    bzd_sampler_free(s);
    bzd_sampler_free(nullptr);
    return 0;
}
"#;

#[test]
fn misuse_from_cpp_is_a_status_with_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("water.safetensors");
    untrained::water(0.5).save(&path).unwrap();
    let source = folder.path().join("misuse.cpp");
    std::fs::write(&source, MISUSE).unwrap();
    let program = compile(folder.path(), "c++", "-std=c++17", &source, "misuse");
    let status = Command::new(program).env_remove("LD_LIBRARY_PATH").arg(&path).status().unwrap();
    assert_eq!(status.code(), Some(0), "the line of the failed check, modulo 250");
}

#[test]
fn only_our_symbols_are_exported() {
    let file = library().join("libboltzdrift.so");
    let listed = Command::new("nm").args(["-D", "--defined-only"]).arg(&file).output().unwrap();
    assert!(listed.status.success());
    let text = String::from_utf8(listed.stdout).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert!(names.contains(&"bzd_sampler_load"));
    // The bridge's own, and those of the crate cxx that its C++ side calls. Hooks of other crates are kept inside by
    // .cargo/linker.sh.
    let ours = ["bzd_", "boltzdrift$bridge$cxxbridge1$", "cxxbridge1$"];
    let ours = |name: &str| ours.iter().any(|start| name.starts_with(start));
    let foreign: Vec<_> = names.iter().filter(|name| !ours(name)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn a_pipeline_in_cpp_needs_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/pipeline.cpp");
    let done = Command::new("c++")
        .args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .arg(format!("-I{}/include", env!("CARGO_MANIFEST_DIR")))
        .arg(&source)
        .arg(format!("-L{0}", library().display()))
        .arg("-lboltzdrift")
        .arg(format!("-Wl,-rpath,{}", library().display()))
        .arg("-o")
        .arg(folder.path().join("pipeline"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let path = folder.path().join("springs.safetensors");
    let done = Command::new(folder.path().join("pipeline"))
        .env_remove("LD_LIBRARY_PATH")
        .env("OMP_WAIT_POLICY", "passive")
        .arg(&path)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    if cfg!(feature = "train") {
        assert_eq!(Sampler::load(&path).unwrap().record().species, [8, 1, 1]);
    }
}

/// Name and number of parameters of every function that `text` declares, where declarations look so.
fn functions(text: &str, start: &str, end: char) -> std::collections::BTreeMap<String, usize> {
    let mut found = std::collections::BTreeMap::new();
    for (at, _) in text.match_indices("bzd_") {
        let rest = &text[at..];
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let after = &rest[name.len()..];
        if !after.starts_with('(') || !text[..at].ends_with(start) && !start.is_empty() {
            continue;
        }
        // To the parenthesis that closes the list.
        let (mut depth, mut commas, mut whole) = (0, 0, String::new());
        for c in after.chars() {
            depth += i32::from(c == '(') - i32::from(c == ')');
            commas += usize::from(c == ',' && depth == 1);
            whole.push(c);
            if depth == 0 {
                break;
            }
        }
        let inside = whole.trim_matches(|c| c == '(' || c == ')').trim();
        let none = inside.is_empty() || inside == "void";
        let trailing = usize::from(inside.ends_with(','));
        if after[whole.len()..].trim_start().starts_with(end) {
            found.insert(name, if none { 0 } else { commas + 1 - trailing });
        }
    }
    found
}

#[test]
fn the_header_declares_what_the_library_has() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = std::fs::read_to_string(root.join("include/boltzdrift.h")).unwrap();
    let mut declared = functions(&header, "", ';');
    // A plug-in has this one, not the library.
    assert_eq!(declared.remove("bzd_plugin_open"), Some(5));
    let mut defined = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(root.join("src/c_api")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let text = text.replace(") -> i32 {", ");").replace(") -> u32 {", ");");
        let text = text.replace(") -> *const c_char {", ");").replace(") {", ");");
        defined.extend(functions(&text, "extern \"C\" fn ", ';'));
    }
    assert!(defined.len() > 35, "{defined:?}");
    assert_eq!(declared, defined);
}

/// Sizes and offsets that C sees, against those that Rust lays out.
#[test]
fn structures_have_one_layout() {
    use boltzdrift::c_api::log::Progress;
    use boltzdrift::potential::foreign::Descriptor;
    use std::mem::offset_of;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("layout.c");
    let fields = [
        ("evaluate", offset_of!(Descriptor, evaluate)),
        ("user_data", offset_of!(Descriptor, user_data)),
        ("destroy", offset_of!(Descriptor, destroy)),
        ("last_error", offset_of!(Descriptor, last_error)),
        ("name", offset_of!(Descriptor, name)),
        ("identity", offset_of!(Descriptor, identity)),
        ("length_unit", offset_of!(Descriptor, length_unit)),
        ("energy_unit", offset_of!(Descriptor, energy_unit)),
        ("largest_batch", offset_of!(Descriptor, largest_batch)),
        ("flags", offset_of!(Descriptor, flags)),
        ("reserved", offset_of!(Descriptor, reserved)),
    ];
    let progress = [
        ("stage", offset_of!(Progress, stage)),
        ("done", offset_of!(Progress, done)),
        ("total", offset_of!(Progress, total)),
        ("value", offset_of!(Progress, value)),
    ];
    let mut checks = format!(
        "sizeof(bzd_potential_desc) == {} && sizeof(bzd_progress_t) == {}",
        size_of::<Descriptor>(),
        size_of::<Progress>()
    );
    for (name, offset) in fields {
        checks += &format!(" && offsetof(bzd_potential_desc, {name}) == {offset}");
    }
    for (name, offset) in progress {
        checks += &format!(" && offsetof(bzd_progress_t, {name}) == {offset}");
    }
    let text = format!("#include <boltzdrift.h>\nint main(void) {{ return {checks} ? 0 : 1; }}\n");
    std::fs::write(&source, text).unwrap();
    let program = compile(folder.path(), "cc", "-std=c99", &source, "layout");
    assert!(Command::new(program).env_remove("LD_LIBRARY_PATH").status().unwrap().success());
}
