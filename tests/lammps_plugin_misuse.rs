//! The LAMMPS plug-in when it is used wrongly, and under valgrind: errors of LAMMPS, on all ranks, and never a crash.
//!
//! Needs `.venv/bin/lmp`, which `make setup` installs; without it these tests say so and pass.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
mod lammps_bench;

use std::process::Command;

use lammps_bench::{bench_with, ethanol, lammps, venv, water, water_input, ALONE};

#[test]
fn every_misuse_is_an_error_of_lammps() {
    let Some(bench) = bench_with(1, 20.0, 0.0) else { return };
    ethanol().save(&bench.path("ethanol.safetensors")).unwrap();
    std::fs::write(bench.path("text"), "no sampler").unwrap();
    let seed = |rest: &str| format!("boltzdrift seed water.safetensors group {rest}");
    let cases = [
        ("boltzdrift".into(), "use: boltzdrift seed MODEL group G seed S"),
        ("boltzdrift fly".into(), "'fly' is not known"),
        ("boltzdrift seed absent.safetensors group all seed 1".into(), "absent.safetensors"),
        ("boltzdrift seed text group all seed 1".into(), "text: not a safetensors file"),
        (seed("nobody seed 1"), "no group 'nobody'"),
        (seed("none seed 1"), "group 'none' has no atoms"),
        (seed("two seed 1"), "only partly in the group: 2 of its 3 atoms are; atom 3 is not"),
        (seed("all"), "seed is missing"),
        (seed("all seed -1"), "seed '-1' is no whole number"),
        (seed("all seed 1 temp nan"), "temp 'nan' is no number"),
        (seed("all seed 1 temp 0"), "temp '0' is no number"),
        (seed("all seed 1 orient up"), "neither random nor keep"),
        (seed("all seed 1 wings 2"), "'wings' is no keyword"),
        (seed("all seed 1 timestep 1"), "timestep is that of refine"),
        (seed("all seed 1 refine 2 timestep nan"), "timestep 'nan' is no number"),
        (
            seed("all seed 1 refine 2 timestep 5"),
            "timestep 5 of refine is 5 fs: give 0.02 to 4 in units real",
        ),
        (seed("all seed 1 types H O"), "it is HO2 (3 atoms), the sampler's is H2O (3 atoms)"),
        (seed("all seed 1 types O Xx"), "'Xx' is no element"),
        (
            "boltzdrift seed ethanol.safetensors group all seed 1".into(),
            "it is H2O (3 atoms), the sampler's is C2H6O (9 atoms)",
        ),
        ("fix s all boltzdrift/seed 0 water.safetensors seed 1".into(), "N '0' is no number of steps"),
        ("fix s two boltzdrift/seed 10 water.safetensors seed 1\nrun 1".into(), "only partly in the group"),
        (format!("fix h all shake 1e-4 10 0 b 1\n{}", seed("all seed 1")), "fix h (shake) holds atoms"),
        (
            format!("fix h all langevin 300 300 100 1\n{}", seed("all seed 1 refine 2")),
            "fix h (langevin) works on the forces after these",
        ),
        (
            format!("change_box all x final 0 3\n{}", seed("all seed 1")),
            "the box is too small: 3 angstrom wide along x",
        ),
        (
            format!("change_box all boundary f p p x final 0.35 20\n{}", seed("all seed 1 orient random")),
            "outside the fixed boundary",
        ),
        (
            format!(
                "group water id 1:3\ncreate_atoms 1 single 9 9 9\nfix h all spring/self 1.0\n{}",
                seed("water seed 1 refine 1")
            ),
            "fix h (spring/self) works on the forces after these",
        ),
        (
            format!("delete_bonds two bond 1 remove\n{}", seed("all seed 1")),
            "it has 1 bonds (0-2), the sampler has 2 bonds (0-1 0-2)",
        ),
    ];
    for (line, words) in cases {
        // Ranks must find the same, or one would wait for the other.
        for ranks in [1, 2] {
            let (success, log) =
                bench.run(ranks, &water_input(&format!("group two id 1:2\ngroup none empty\n{line}")), &[]);
            assert!(!success, "{line} was let pass:\n{log}");
            let error = log.lines().find(|text| text.starts_with("ERROR")).unwrap_or_default().to_owned();
            assert!(
                error.contains(words),
                "{line} on {ranks} ranks: '{error}' does not say '{words}'\n{log}"
            );
        }
    }
}

#[test]
fn ranks_that_read_different_files_are_told() {
    let Some(bench) = bench_with(1, 20.0, 0.0) else { return };
    water(1.1).save(&bench.path("other.safetensors")).unwrap();
    ethanol().save(&bench.path("ethanol.safetensors")).unwrap();
    // A file of each node's own, as MPI sees it.
    let launch = |second: &str| {
        std::fs::write(
            bench.path("in.mixed"),
            water_input("boltzdrift seed ${model} group all seed 1\nrun 0"),
        )
        .unwrap();
        let lmp = lammps().unwrap().join("lmp");
        let words = ["-in", "in.mixed", "-log", "log", "-screen", "none", "-var", "plugin"];
        let mut command = Command::new(venv().join("bin/mpiexec"));
        command
            .current_dir(bench.folder.path())
            .env("LD_LIBRARY_PATH", venv().join("lib"))
            .env("OMP_NUM_THREADS", "1");
        for (k, model) in ["water.safetensors", second].iter().enumerate() {
            command.args((k > 0).then_some(":")).args(["-n", "1"]).arg(&lmp).args(words);
            command.arg(&bench.plugin).args(["-var", "model", model]);
        }
        let done = command.output().unwrap();
        (done.status.success(), std::fs::read_to_string(bench.path("log")).unwrap())
    };
    for second in ["absent.safetensors", "ethanol.safetensors"] {
        let (success, log) = launch(second);
        let words = if second.starts_with("absent") { "absent.safetensors" } else { "different samplers" };
        assert!(!success && log.contains("ERROR") && log.contains(words), "{second}: {log}");
    }
    assert!(launch("water.safetensors").0);
}

// The plug-in is the same with both builds of the library: built anew once.
#[cfg(feature = "train")]
#[test]
fn a_plugin_of_another_mpi_is_refused() {
    use std::path::Path;
    let Some(mut bench) = bench_with(1, 20.0, 0.0) else { return };
    // The header of this MPI under the name of another one. It stays where it is, so that the build is made once.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("another-mpi");
    std::fs::create_dir_all(&folder).unwrap();
    let header = format!(
        "#include \"{}\"\n#undef MPICH_NAME\n#undef MPICH_NUMVERSION\n#define OMPI_MAJOR_VERSION 4\n",
        venv().join("include/mpi.h").display()
    );
    let prototypes = std::fs::read_to_string(venv().join("include/mpi_proto.h")).unwrap();
    for (name, text) in [("mpi.h", header), ("mpi_proto.h", prototypes)] {
        if std::fs::read_to_string(folder.join(name)).ok().as_ref() != Some(&text) {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    bench.plugin = lammps_bench::built("lammps-plugin-another-mpi", &folder).unwrap();
    for ranks in [1, 2] {
        let (success, log) =
            bench.run(ranks, &water_input("boltzdrift seed water.safetensors group all seed 1"), &[]);
        let words = "was built with the mpi.h of Open MPI, this LAMMPS with that of MPICH";
        assert!(!success && log.contains("ERROR") && log.contains(words), "{log}");
    }
}

#[test]
fn valgrind_finds_nothing_of_ours() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("skipped: no valgrind");
        return;
    }
    let Some(bench) = bench_with(1, 20.0, 0.0) else { return };
    let more = format!(
        "boltzdrift seed water.safetensors group all seed 7 orient random\n\
         boltzdrift seed water.safetensors group all seed 7 refine 1\n{ALONE}\
         fix seeds all boltzdrift/seed 5 water.safetensors seed 7 refine 1\nrun 7"
    );
    std::fs::write(bench.path("in.lammps"), water_input(&more)).unwrap();
    let done = Command::new("valgrind")
        .current_dir(bench.folder.path())
        .env("LD_LIBRARY_PATH", venv().join("lib"))
        .env("OMP_NUM_THREADS", "1")
        .env("RAYON_NUM_THREADS", "1")
        .args([
            "--error-exitcode=9",
            "--leak-check=full",
            "--show-leak-kinds=definite",
            "--errors-for-leak-kinds=definite",
            "-q",
            "--num-callers=40",
        ])
        .arg(format!("--suppressions={}/cpp/lammps/valgrind.supp", env!("CARGO_MANIFEST_DIR")))
        .arg(lammps().unwrap().join("lmp"))
        .args(["-in", "in.lammps", "-log", "none", "-screen", "none", "-var", "plugin"])
        .arg(&bench.plugin)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
