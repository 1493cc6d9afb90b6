//! The same Lennard-Jones arithmetic in C, C++ and Python, by every way into the library: the same bits, and forces that are
//! minus the slope of the energy.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;

use std::path::Path;
use std::process::Command;

use boltzdrift::dataset::{self, Dataset, ReadOptions, WriteOptions, Writer};
use ndarray::{concatenate, s, Array3, Axis};

const OPTIONS: &str = "epsilon=0.2381,sigma=1.96";
const STEP: f64 = 1e-4;
const ATOMS: usize = 4;
/// A frame, and every coordinate of it moved up and down.
const FAMILY: usize = 1 + 2 * 3 * ATOMS;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Three irregular clusters, each with its moved copies; as near as the atoms of P4, so that files of them are read.
fn frames() -> Array3<f64> {
    Array3::from_shape_fn((3 * FAMILY, ATOMS, 3), |(k, atom, c)| {
        let corners = [[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]];
        let (cluster, copy) = (k / FAMILY, k % FAMILY);
        let shaken = 0.1 * ((7 * cluster + 3 * atom + 5 * c) as f64).sin();
        let moved = copy > 0 && (copy - 1) / 2 == 3 * atom + c;
        let step = if copy % 2 == 1 { STEP } else { -STEP };
        0.78 * corners[atom][c] + shaken + if moved { step } else { 0.0 }
    })
}

/// Energy and forces of each frame as a row of bits.
fn rows(energies: impl Iterator<Item = f64>, forces: &Array3<f64>) -> Vec<u64> {
    energies
        .zip(forces.outer_iter())
        .flat_map(|(e, f)| std::iter::once(e).chain(f.iter().copied()).map(f64::to_bits).collect::<Vec<_>>())
        .collect()
}

/// What a program prints for the frames on its standard input.
fn printed(command: &mut Command, frames: &Path) -> Vec<u64> {
    let input = std::fs::File::open(frames).unwrap();
    let done = command.env_remove("LD_LIBRARY_PATH").stdin(input).output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    text.split_whitespace().map(|word| u64::from_str_radix(word, 16).unwrap()).collect()
}

/// The labels of the command line, for frames in a file of this name.
fn labelled(folder: &Path, name: &str, plugin: &Path) -> Vec<u64> {
    let arguments = format!("label {name} -o labels.npz --potential plugin:{}:{OPTIONS}", plugin.display());
    command::good(folder, &arguments);
    let data = read(&folder.join("labels.npz"));
    rows(data.energies.unwrap().into_iter(), data.forces.as_ref().unwrap())
}

fn read(path: &Path) -> Dataset {
    dataset::read(path, &ReadOptions::default(), &mut |_| Ok(())).unwrap()
}

/// Writes the frames as phosphorus, which forms a molecule of four.
fn write(path: &Path, frames: &Array3<f64>) {
    let options =
        WriteOptions { species: vec![15; ATOMS], masses: vec![30.974; ATOMS], ..WriteOptions::default() };
    let mut writer = Writer::create(path, &options).unwrap();
    writer.write(frames.view(), None, None, None).unwrap();
    writer.finish().unwrap();
}

#[test]
fn all_ways_agree_to_the_last_bit_and_forces_are_slopes() {
    let keep = tempfile::tempdir().unwrap();
    let folder = keep.path();
    let x = frames();
    let given = folder.join("frames.txt");
    let words: Vec<String> = x.iter().map(|x| format!("{:016x}", x.to_bits())).collect();
    std::fs::write(&given, words.join("\n")).unwrap();
    let plugin =
        command::plugin(folder, &root().join("examples/potentials/lennard_jones.c"), "liblennard_jones.so");
    let spec = format!("plugin:{}:{OPTIONS}", plugin.display());
    let [evaluate, callback] = ["evaluate", "lennard_jones"].map(|name| {
        let source = root().join(format!("tests/c/{name}.c"));
        command::compile(folder, "cc", "-std=c99", &source, name)
    });
    let class = command::compile_cxx(folder, &root().join("tests/cpp/lennard_jones.cpp"), "class");

    let mut ways = vec![
        ("plug-in", printed(Command::new(&evaluate).args(["open", &spec]), &given)),
        ("C callback", printed(Command::new(&callback).arg(OPTIONS), &given)),
        ("C++ class", printed(Command::new(&class).args(["0.2381", "1.96"]), &given)),
        ("callback in a callback", printed(Command::new(&evaluate).args(["callback", &spec]), &given)),
        ("concurrent", printed(Command::new(&evaluate).args(["concurrent", &spec]), &given)),
    ];
    if let Some(mut python) = command::python(root(), "tests/python/lennard_jones.py") {
        ways.push(("Python", printed(python.args(["0.2381", "1.96"]), &given)));
    }
    write(&folder.join("frames.npz"), &x);
    ways.push(("command line", labelled(folder, "frames.npz", &plugin)));

    let width = 1 + 3 * ATOMS;
    assert_eq!(ways[0].1.len(), 3 * FAMILY * width);
    for (name, bits) in &ways {
        assert!(*bits == ways[0].1, "{name} differs from {}", ways[0].0);
        // F = -dE/dx by the energies of this way alone.
        let value = |frame: usize, column: usize| f64::from_bits(bits[frame * width + column]);
        for (cluster, coordinate) in (0..3).flat_map(|k| (0..3 * ATOMS).map(move |c| (k * FAMILY, c))) {
            let up = value(cluster + 1 + 2 * coordinate, 0);
            let down = value(cluster + 2 + 2 * coordinate, 0);
            let (slope, force) = ((up - down) / (2.0 * STEP), value(cluster, 1 + coordinate));
            assert!((force + slope).abs() < 1e-6 * (1.0 + force.abs()), "{name}: {force} and {slope}");
        }
    }
}

/// A potential sees the molecule alone: no cell, and the same numbers, whatever cell a trajectory has. The plug-in and the
/// class refuse a cell.
#[test]
fn a_periodic_trajectory_reaches_the_potential_without_its_cell() {
    let keep = tempfile::tempdir().unwrap();
    let folder = keep.path();
    let plugin =
        command::plugin(folder, &root().join("examples/potentials/lennard_jones.c"), "liblennard_jones.so");
    // One cluster; in the periodic file it lies across the walls of its cell.
    let x = frames().slice(s![..FAMILY, .., ..]).mapv(|x| (x * 1e6).round() / 1e6);
    let edge = 12.0;
    let text = |wrapped: bool| -> String {
        x.outer_iter()
            .map(|frame| {
                let atoms: String = frame
                    .outer_iter()
                    .map(|r| {
                        let place = |c: usize| if wrapped { r[c].rem_euclid(edge) } else { r[c] };
                        format!("P {:.6} {:.6} {:.6}\n", place(0), place(1), place(2))
                    })
                    .collect();
                let cell = format!("Lattice=\"{edge} 0 0 0 {edge} 0 0 0 {edge}\" pbc=\"T T T\" ");
                let cell = if wrapped { cell.as_str() } else { "" };
                format!("4\n{cell}Properties=species:S:1:pos:R:3\n{atoms}")
            })
            .collect()
    };
    std::fs::write(folder.join("vacuum.xyz"), text(false)).unwrap();
    std::fs::write(folder.join("periodic.xyz"), text(true)).unwrap();
    assert!(read(&folder.join("periodic.xyz")).source.periodic);
    let [vacuum, periodic] = ["vacuum.xyz", "periodic.xyz"]
        .map(|name| labelled(folder, name, &plugin).into_iter().map(f64::from_bits).collect::<Vec<f64>>());
    assert_eq!(vacuum.len(), periodic.len());
    // Made whole: the same molecule elsewhere, so the last digits differ.
    for (a, b) in vacuum.iter().zip(&periodic) {
        assert!((a - b).abs() < 1e-9 * (1.0 + a.abs()), "{a} {b}");
    }
    // Neither does a larger system's: one molecule of two, whose neighbor is a periodic image away.
    let pair = concatenate![Axis(1), x, &x + 6.0];
    let pair: String = pair
        .outer_iter()
        .map(|frame| {
            let atoms: String =
                frame.outer_iter().map(|r| format!("P {:.6} {:.6} {:.6}\n", r[0], r[1], r[2])).collect();
            format!("8\nLattice=\"{edge} 0 0 0 {edge} 0 0 0 {edge}\" pbc=\"T T T\" Properties=species:S:1:pos:R:3\n{atoms}")
        })
        .collect();
    std::fs::write(folder.join("pair.xyz"), pair).unwrap();
    let arguments = format!(
        "label pair.xyz --select index<4 -o one.npz --potential plugin:{}:{OPTIONS}",
        plugin.display()
    );
    command::good(folder, &arguments);
    let one = read(&folder.join("one.npz"));
    for (e, row) in one.energies.unwrap().iter().zip(vacuum.chunks(1 + 3 * ATOMS)) {
        assert!((e - row[0]).abs() < 1e-9 * (1.0 + e.abs()), "{e} {}", row[0]);
    }
}
