//! Programs in C and C++ that use the library as its users do: found by CMake or pkg-config in an installed prefix, or as a
//! subdirectory of their own project.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
mod untrained;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use boltzdrift::sampler::Sampler;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const TRAINING: bool = cfg!(feature = "train");

/// Runs a command, which must succeed, and returns what it printed.
fn good(command: &mut Command) -> String {
    // Programs must find the library without cargo's help.
    let done = command.env_remove("LD_LIBRARY_PATH").env("OMP_WAIT_POLICY", "passive").output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {said}");
    said
}

fn on_off(on: bool) -> &'static str {
    if on {
        "ON"
    } else {
        "OFF"
    }
}

/// What CMake is told so that it takes what cargo built for these tests. The test's own folder of build results holds the
/// library of this build; the other one is built where `make install` builds it.
fn configuration() -> Vec<String> {
    let release = PathBuf::from(env!("CARGO_BIN_EXE_boltzdrift"));
    let target = release.ancestors().nth(2).unwrap().display().to_string();
    let mut all = vec![
        format!("-DBOLTZDRIFT_TRAINING={}", on_off(TRAINING)),
        "-DBOLTZDRIFT_SAMPLER=ON".into(),
        "-DCMAKE_BUILD_TYPE=Release".into(),
    ];
    all.push(match TRAINING {
        true => format!("-DBOLTZDRIFT_TARGET_DIR={target}"),
        false => format!("-DBOLTZDRIFT_SAMPLER_TARGET_DIR={target}"),
    });
    all
}

/// A prefix with everything installed, made once.
fn prefix() -> &'static Path {
    static MADE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, prefix) = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (build, first) = (folder.path().join("build"), folder.path().join("installed here"));
        good(
            Command::new("cmake")
                .args(["-S", &format!("{ROOT}/cpp"), "-DCMAKE_INSTALL_LIBDIR=lib", "-B"])
                .arg(&build)
                .arg(format!("-DCMAKE_INSTALL_PREFIX={}", first.display()))
                .args(configuration()),
        );
        good(Command::new("cmake").arg("--build").arg(&build));
        good(Command::new("cmake").arg("--install").arg(&build));
        // Moved: nothing in it may know where it was.
        let moved = folder.path().join("moved");
        std::fs::rename(&first, &moved).unwrap();
        (folder, moved)
    });
    prefix
}

/// Configures and builds a CMake project, and returns its folder of build results.
fn cmake(folder: &Path, project: &Path, arguments: &[String]) -> PathBuf {
    let build = folder.join("build");
    good(Command::new("cmake").arg("-S").arg(project).arg("-B").arg(&build).args(arguments));
    good(Command::new("cmake").arg("--build").arg(&build));
    build
}

fn program_of(target: &str) -> String {
    format!("with_{}", target.replace("::", "_"))
}

/// A project of one program in C and one in C++ for each of these targets.
fn project(folder: &Path, find: &str, targets: &[(&str, &str)]) -> PathBuf {
    let mut text = format!(
        "cmake_minimum_required(VERSION 3.16)\nproject(consumer LANGUAGES C CXX)\n{find}\nfind_package(Threads REQUIRED)\n\
         set(CMAKE_C_STANDARD 99)\nadd_compile_options(-Wall -Wextra -Wpedantic -Werror)\n"
    );
    for (target, source) in targets {
        let name = program_of(target);
        text += &format!(
            "add_executable({name} {ROOT}/{source})\ntarget_link_libraries({name} PRIVATE {target} Threads::Threads)\n"
        );
    }
    std::fs::write(folder.join("CMakeLists.txt"), text).unwrap();
    folder.to_owned()
}

const ALL: [(&str, &str); 4] = [
    ("boltzdrift::boltzdrift", "examples/c/seed.c"),
    ("boltzdrift::sampler", "examples/c/seed.c"),
    ("boltzdrift::cxx", "tests/cpp/bindings.cpp"),
    ("boltzdrift::sampler_cxx", "tests/cpp/bindings.cpp"),
];

/// Runs the programs of [`project`] against a sampler of water.
fn run_all(folder: &Path, build: &Path, model: &Path) {
    for (target, source) in ALL {
        let program = build.join(program_of(target));
        if source.ends_with(".c") {
            let said = good(Command::new(program).arg(model).args(["3", "300"]));
            assert_eq!(said.lines().filter(|line| *line == "3").count(), 3, "{said}");
        } else {
            // The full library trains a sampler of its own and saves it there; the other one takes the one that is there.
            let own = folder.join("own.safetensors");
            std::fs::copy(model, &own).unwrap();
            assert_eq!(good(Command::new(program).arg(&own)), "ok\n");
        }
    }
}

#[test]
fn an_installed_library_is_found_by_cmake() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("water.safetensors");
    untrained::water(0.03).save(&model).unwrap();
    let find = "find_package(boltzdrift 0.1 REQUIRED COMPONENTS sampler)";
    let project = project(folder.path(), find, &ALL);
    let build = cmake(folder.path(), &project, &[format!("-DCMAKE_PREFIX_PATH={}", prefix().display())]);
    run_all(folder.path(), &build, &model);
    // The sampler-only program has no libtorch, the full one has it.
    for (target, heavy) in [("boltzdrift::sampler", false), ("boltzdrift::boltzdrift", TRAINING)] {
        let listed = good(Command::new("ldd").arg(build.join(program_of(target))));
        assert!(listed.contains("libboltzdrift.so.1 => "), "{listed}");
        assert_eq!(listed.contains("torch"), heavy, "{listed}");
        assert_eq!(listed.contains("openblas"), heavy, "{listed}");
    }
    // A component that is not there is refused.
    let missing = tempfile::tempdir().unwrap();
    std::fs::write(
        missing.path().join("CMakeLists.txt"),
        "cmake_minimum_required(VERSION 3.16)\nproject(none LANGUAGES C)\n\
         find_package(boltzdrift REQUIRED COMPONENTS gpu)\n",
    )
    .unwrap();
    let refused = Command::new("cmake")
        .arg("-S")
        .arg(missing.path())
        .arg("-B")
        .arg(missing.path().join("build"))
        .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display()))
        .output()
        .unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("gpu: not in this installation"), "{said}");
}

#[test]
fn the_source_tree_is_a_subdirectory_of_a_project() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("water.safetensors");
    untrained::water(0.03).save(&model).unwrap();
    let project = project(folder.path(), &format!("add_subdirectory({ROOT}/cpp boltzdrift)"), &ALL);
    let build = cmake(folder.path(), &project, &configuration());
    run_all(folder.path(), &build, &model);
}

#[test]
fn pkg_config_knows_the_installed_library() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("water.safetensors");
    untrained::water(0.03).save(&model).unwrap();
    let flags = |package: &str| -> Vec<String> {
        let said = good(
            Command::new("pkg-config")
                .args(["--cflags", "--libs", package])
                .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig")),
        );
        said.split_whitespace().map(str::to_owned).collect()
    };
    let rpath = format!("-Wl,-rpath,{}", prefix().join("lib").display());
    for (package, compiler, standard, source) in [
        ("boltzdrift", "cc", "-std=c99", "examples/c/seed.c"),
        ("boltzdrift-sampler", "cc", "-std=c11", "examples/c/seed.c"),
        ("boltzdrift-cxx", "c++", "-std=c++17", "tests/cpp/bindings.cpp"),
    ] {
        let program = folder.path().join(package);
        good(
            Command::new(compiler)
                .args([
                    standard,
                    "-O1",
                    "-pthread",
                    "-Wall",
                    "-Wextra",
                    "-Wpedantic",
                    "-Wconversion",
                    "-Werror",
                ])
                .arg(format!("{ROOT}/{source}"))
                .args(flags(package))
                .arg(&rpath)
                .arg("-o")
                .arg(&program),
        );
        let own = folder.path().join(format!("{package}.safetensors"));
        std::fs::copy(&model, &own).unwrap();
        let arguments: &[&str] = if source.ends_with(".c") { &["2", "300"] } else { &[] };
        good(Command::new(&program).arg(&own).args(arguments));
    }
}

/// docs/linking.md shows the programs as they are; in C and in C++ they print the same.
#[test]
fn the_documentations_programs_are_these() {
    let page = std::fs::read_to_string(format!("{ROOT}/docs/linking.md")).unwrap();
    for source in ["examples/c/seed.c", "examples/cpp/seed.cpp"] {
        let text = std::fs::read_to_string(format!("{ROOT}/{source}")).unwrap();
        assert!(page.contains(&text), "docs/linking.md does not show {source} as it is");
    }
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("water.safetensors");
    untrained::water(0.03).save(&model).unwrap();
    let programs =
        [("boltzdrift::boltzdrift", "examples/c/seed.c"), ("boltzdrift::cxx", "examples/cpp/seed.cpp")];
    let project = project(folder.path(), "find_package(boltzdrift REQUIRED)", &programs);
    let build = cmake(folder.path(), &project, &[format!("-DCMAKE_PREFIX_PATH={}", prefix().display())]);
    let said = programs.map(|(target, _)| {
        good(Command::new(build.join(program_of(target))).arg(&model).args(["20", "300"]))
    });
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0].lines().count(), 20 * 5);
}

/// A program that uses libtorch and OpenBLAS itself.
#[cfg(feature = "train")]
#[test]
fn it_works_beside_libtorch_and_openblas() {
    let Ok(torch) = std::env::var("LIBTORCH") else {
        println!("skipped: LIBTORCH is not set, so the headers of libtorch are unknown");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("beside");
    let library = prefix().join("lib").display().to_string();
    good(
        Command::new("c++")
            .args(["-std=c++17", "-O1", "-Wall", "-Werror"])
            .arg(format!("{ROOT}/tests/cpp/beside.cpp"))
            .args([format!("-I{}", prefix().join("include").display()), format!("-L{library}")])
            .args(["-isystem", &format!("{torch}/include"), &format!("-L{torch}/lib")])
            .args(["-I/usr/include/openblas", "-lboltzdrift", "-ltorch_cpu", "-lc10", "-lopenblas"])
            .args([format!("-Wl,-rpath,{library}"), format!("-Wl,-rpath,{torch}/lib")])
            .arg("-o")
            .arg(&program),
    );
    assert_eq!(good(Command::new(program).arg(folder.path().join("own.safetensors"))), "ok\n");
}

#[test]
fn the_md_driver_trains_seeds_and_releases() {
    let folder = tempfile::tempdir().unwrap();
    let project = Path::new(ROOT).join("examples/cpp");
    let build = cmake(folder.path(), &project, &[format!("-DCMAKE_PREFIX_PATH={}", prefix().display())]);
    let driver = build.join("driver");
    let model = folder.path().join("ethanol.safetensors");
    let csv = folder.path().join("release.csv");
    if !TRAINING {
        let done =
            Command::new(&driver).env_remove("LD_LIBRARY_PATH").arg("train").arg(&model).output().unwrap();
        assert_eq!(done.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&done.stderr).contains("only samples"), "{done:?}");
        return;
    }
    // Too few steps for a good sampler: refinement makes up for it.
    good(Command::new(&driver).arg("train").arg(&model).args(["--steps", "1000"]));
    assert_eq!(Sampler::load(&model).unwrap().record().species, [6, 6, 8, 1, 1, 1, 1, 1, 1]);
    let said = good(Command::new(&driver).arg("run").arg(&model).args(["--replicas", "200"]));
    assert!(said.contains("kinetic temperature"), "{said}");
    let replicas = 400.0;
    let few = ["--replicas", "400", "--states", "4000", "--csv"];
    good(Command::new(&driver).arg("release").arg(&model).args(few).arg(&csv));
    let text = std::fs::read_to_string(&csv).unwrap();
    let rows: Vec<Vec<f64>> =
        text.lines().skip(1).map(|line| line.split(',').map(|x| x.parse().unwrap()).collect()).collect();
    assert_eq!(rows.len(), 101);
    // 21 modes with kT/2 each: one standard error.
    let kt = 0.001987204 * 300.0;
    let error = kt * f64::sqrt(21.0 / 2.0 / replicas);
    for row in &rows {
        let (fs, wanted, seeds, frames, minimized) = (row[0], row[1], row[3], row[7], row[9]);
        assert!((frames - wanted).abs() < 5.0 * error, "{row:?}");
        assert!((seeds - wanted).abs() < 6.0 * error, "{row:?}");
        // Without potential energy at the start, half of the kinetic energy goes there: 21/4 kT are missing in the end.
        if fs == 0.0 || fs > 300.0 {
            assert!(minimized < wanted - 3.0 * kt, "{row:?}");
        }
    }
}

/// A program that was compiled against an older header, which had a function less, runs with this library.
#[test]
fn an_older_header_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let header = std::fs::read_to_string(format!("{ROOT}/include/boltzdrift.h")).unwrap();
    let (from, to) = {
        let from = header.find("bzd_status_t bzd_sampler_place(").unwrap();
        (from, from + header[from..].find(';').unwrap() + 1)
    };
    let older = format!("{}{}", &header[..from], &header[to..]);
    assert!(!older.contains("bzd_sampler_place("));
    std::fs::write(folder.path().join("boltzdrift.h"), older).unwrap();
    let model = folder.path().join("water.safetensors");
    untrained::water(0.03).save(&model).unwrap();
    let program = folder.path().join("seed");
    good(
        Command::new("cc")
            .args(["-std=c99", "-Wall", "-Werror"])
            .arg(format!("-I{}", folder.path().display()))
            .arg(format!("{ROOT}/examples/c/seed.c"))
            .arg(format!("-L{}", prefix().join("lib").display()))
            .arg("-lboltzdrift")
            .arg(format!("-Wl,-rpath,{}", prefix().join("lib").display()))
            .arg("-o")
            .arg(&program),
    );
    good(Command::new(program).arg(&model).args(["2", "300"]));
}
