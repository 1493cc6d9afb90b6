//! Inputs to begin with: small good ones, made by the library itself where it has a writer, and what fuzzing has found, from
//! `tests/fuzz_seeds`.

use std::path::Path;

use boltzdrift::equilibrate::{Continue, Equilibration, Settings};
use boltzdrift::label::{self, Labeling};
use boltzdrift::Error;

use super::files::{ARRAYS, PARTS};
use super::records::{water, Springs};
use crate::untrained;

/// The bytes of a file that `write` makes.
fn written(write: impl FnOnce(&Path)) -> Vec<u8> {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("file");
    write(&path);
    std::fs::read(path).unwrap()
}

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// What fuzzing has found for a target, in the repository.
#[allow(dead_code)] // The fuzzers read the folder themselves.
pub fn found(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz_seeds").join(target);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

pub fn samplers() -> Vec<Vec<u8>> {
    vec![written(|path| untrained::water(0.03).save(path).unwrap())]
}

pub fn equilibrations() -> Vec<Vec<u8>> {
    let run = |iterations: u64, ladder: &str| {
        let mut settings = Settings { chains: 8, leapfrog: 2, warmup: 20, frames: 20, ..Settings::at(300.0) };
        settings.ladder = ladder.parse().unwrap();
        let mut run = Equilibration::new(&water(), settings).unwrap();
        let mut left = iterations;
        let ended = run.run(&mut Springs, None, &mut |_| {
            left -= 1;
            if left == 0 {
                Continue::Stop
            } else {
                Continue::Yes
            }
        });
        assert!(matches!(ended, Err(Error::Interrupted(_))));
        written(|path| run.checkpoint().save(path).unwrap())
    };
    vec![run(3, "off"), run(40, "off"), run(30, "on")]
}

#[cfg(feature = "train")]
pub fn trainings() -> Vec<Vec<u8>> {
    use boltzdrift::train::{device, Overrides, Settings, Trainer};
    let cpu = device::resolve("cpu".parse().unwrap()).unwrap().0;
    let methods = ["sliced", "drift"];
    let checkpoint = |method: &&str| {
        let text = format!("method = '{method}'\nwidth = 3\ndepth = 1\nnoise = 2\nbatch = 4");
        let settings = Settings::resolve(&toml::from_str::<Overrides>(&text).unwrap()).unwrap();
        let trainer = Trainer::new(&water(), settings, cpu).unwrap();
        written(|path| trainer.checkpoint().unwrap().save(path).unwrap())
    };
    methods.iter().map(checkpoint).collect()
}

pub fn labels() -> Vec<Vec<u8>> {
    let until = |frames: usize| {
        written(|path| {
            let (data, settings) = (water(), label::Settings { batch: 3, ..label::Settings::default() });
            let mut springs = Springs;
            let labeling = Labeling::new(&data, &mut springs, path, settings).unwrap();
            let _ = labeling.run(&mut |now| match now.done >= frames {
                true => Err(Error::Interrupted(String::new())),
                false => Ok(()),
            });
        })
    };
    vec![until(3), until(12)]
}

/// An `.npy` of version 1.0.
fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn reals(shape: &str, values: &[f64]) -> Vec<u8> {
    npy("<f8", shape, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

/// Members as the targets of zips take them.
fn members(names: &[&str], all: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![0];
    for (name, bytes) in all {
        out.push(names.iter().position(|one| one == name).unwrap() as u8);
        out.extend((bytes.len() as u16).to_le_bytes());
        out.extend(bytes);
    }
    out
}

const WATER: [f64; 9] = [0.0, 0.0, 0.0, 0.96, 0.0, 0.0, -0.24, 0.93, 0.0];

pub fn npz() -> Vec<Vec<u8>> {
    let (r, z) = (("R", reals("(1, 3, 3)", &WATER)), ("z", npy("|u1", "(3,)", &[8, 1, 1])));
    let labels = [("F", reals("(1, 3, 3)", &WATER)), ("E", reals("(1,)", &[-1.0]))];
    let unit = ("r_unit", npy("<U1", "()", &[b'A', 0, 0, 0]));
    let velocities = ("V", npy(">f4", "(1, 3, 3)", &[0; 36]));
    let full = [&[r.clone(), z.clone()], &labels[..], &[velocities, unit]].concat();
    let mut whole = members(&ARRAYS, &full);
    let small = members(&ARRAYS, &[r, z]);
    let stored = super::files::zipped(&whole, &ARRAYS);
    whole[0] = 1;
    vec![small, whole, stored]
}

pub fn gdml() -> Vec<Vec<u8>> {
    let model = [
        ("z", npy("|u1", "(3,)", &[8, 1, 1])),
        ("R_desc", reals("(3, 2)", &[1.04, 1.03, 1.05, 1.02, 0.66, 0.65])),
        ("R_d_desc_alpha", reals("(2, 3)", &[0.1, -0.2, 0.3, 0.4, 0.5, -0.6])),
        ("perms", npy("|u1", "(2, 3)", &[0, 1, 2, 0, 2, 1])),
        ("sig", npy("<i8", "()", &10_i64.to_le_bytes())),
        ("std", reals("()", &[2.0])),
        ("c", reals("()", &[-50.0])),
        ("r_unit", npy("|S3", "()", b"Ang")),
    ];
    let renamed = |name| match name {
        "R_desc" => "Rw_desc",
        "R_d_desc_alpha" => "Rw_d_desc_alpha",
        other => other,
    };
    let mut weighted: Vec<_> = model.iter().map(|(name, array)| (renamed(name), array.clone())).collect();
    weighted.push(("desc_weights", reals("(3,)", &[0.5, 0.5, 1.5])));
    weighted.push(("guide_d_desc_alpha", reals("(1, 3)", &[0.3, -0.1, 0.2])));
    let weighted = members(&PARTS, &weighted);
    let mut packed = members(&PARTS, &model);
    let plain = packed.clone();
    packed[0] = 1;
    let file = super::files::zipped(&packed, &PARTS);
    vec![plain, packed, file, weighted]
}

pub fn xyz() -> Vec<Vec<u8>> {
    texts(&[
        "3\nplain\nO 0 0 0\nH 0.96 0 0\nH 0 0.96 0\n",
        "3\nLattice=\"12.0 0.0 0.0 0.0 12.0 0.0 0.0 0.0 12.0\" Properties=species:S:1:pos:R:3:momenta:R:3:forces:R:3 \
         energy=-2.5 note=\"a \\\"b\\\"\" pbc=\"T T F\"\nO 11.9 5 5 0 0 0 0.1 0.2 0.3\nH 0.86 5 5 0 0 0 -0.1 0 0\nH 11.9 \
         5.96 5 0 0 0 0 -0.2 -0.3\n",
        "2\nProperties=pos:R:3:Z:I:1:tags:I:1:on:L:1 energy_unit=eV energy=1\n0 0 0 1 0 T\n0.74 0 0 1 0 F\n",
    ])
}

pub fn dumps() -> Vec<Vec<u8>> {
    texts(&[
        "ITEM: UNITS\nreal\nITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n3\nITEM: BOX BOUNDS ff ff ff\n-10 10\n-10 10\n-10 \
         10\nITEM: ATOMS id element x y z fx fy fz vx vy vz\n1 O 0 0 0 1 2 3 0 0 0\n2 H 0.96 0 0 -1 0 0 0 0 0\n3 H 0 0.96 0 \
         0 -2 -3 0 0 0\n",
        "ITEM: TIMESTEP\n7\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS xy xz yz pp pp pp\n-2 15 4\n2 12 -3\n3 12 \
         2\nITEM: ATOMS id type mass xs ys zs ix iy iz\n4 3 16 0.5 0.5 0.99 0 0 0\n2 2 1 0.5 0.5 0.08 0 0 1\n",
    ])
}

pub fn others() -> Vec<Vec<u8>> {
    let pdb = "CRYST1   12.000   12.000   12.000  90.00  90.00  90.00 P 1           1\n\
        HETATM    1  O   HOH A   1      11.900   5.000   5.000  1.00  0.00           O  \n\
        HETATM    2  H   HOH A   1       0.860   5.000   5.000  1.00  0.00           H  \n\
        HETATM    3  H   HOH A   1      11.900   5.960   5.000  1.00  0.00           H  \nCONECT    1    2    3\nEND\n";
    let gro = "water\n3\n    1HOH      O    1   0.000   0.000   0.000\n    1HOH      H    2   0.096   0.000   0.000\n    \
        1HOH      H    3   0.000   0.096   0.000\n   3.0 3.0 3.0\n";
    let data = "LAMMPS data file via write_data, version 22 Jul 2025, timestep = 0, units = metal\n\n3 atoms\n2 atom \
        types\n\n0 12 xlo xhi\n0 12 ylo yhi\n0 12 zlo zhi\n\nMasses\n\n1 1.008\n2 15.999\n\nAtoms # charge\n\n2 1 0.4 5.96 \
        5 5 0 0 0\n1 2 -0.8 5 5 5 0 0 0\n3 1 0.4 5 5.96 5 0 0 0\n\nVelocities\n\n1 1 0 0\n2 0 2 0\n3 0 0 3\n";
    texts(&[&format!("\0{pdb}"), &format!("\u{1}{gro}"), &format!("\u{2}{data}")])
}

pub fn selections() -> Vec<Vec<u8>> {
    texts(&[
        "index < 3",
        "name O H and not (mass > 3 or x > 4)",
        "atoms: type H and is_bonded(#1, name O)",
        "element O or within 2.0 of name H",
        "[q] == 0.5 and sin(x^2) * 2 < 3",
        "all",
    ])
}

pub fn units() -> Vec<Vec<u8>> {
    let all = texts(&[
        "kcal/mol/angstrom",
        "eV/A",
        "500K",
        "0.5 fs",
        "1e3 K",
        "pg*um^2/us^2",
        "g/mol",
        "hartree/bohr",
        "1/s*m",
        "metal",
        "2:9:3",
        "::",
        "gdml:f.npz",
        "plugin:l.so:a:b",
        "torchscript:m.pt,charge=1",
        "Å",
        "He",
    ]);
    // Every one as everything.
    let of = |first: u8| all.iter().map(move |text| [&[first], text.as_slice()].concat());
    (0..21).flat_map(of).collect()
}

pub fn settings() -> Vec<Vec<u8>> {
    texts(&[
        "{\"units\": \"real\", \"types\": [\"C\", \"H\"], \"select\": \"index < 3\", \"frames\": \"0:1:1\", \"format\": \
         \"XYZ\", \"need_forces\": true}",
        "{\"temperature\": 500, \"frames\": 10, \"chains\": 4, \"seed\": 1, \"effective\": 3, \"r_hat\": 1.1, \"ladder\": \
         \"on\", \"hottest\": 2, \"leapfrog\": 3, \"time_step\": 0.5, \"warmup\": 30, \"most_evaluations\": 9, \
         \"accept_unconverged\": true, \"check_bonds\": false, \"accept_fit\": true}",
        "{\"steps\": 3, \"temperature\": 300, \"time_step\": 1.0, \"leapfrog\": 2}",
        "method = 'fi+fk'\nspace = 'distance'\nomega = 0.3\nbandwidths = [0.5, 2]\nsteps = 5\nwidth = 3\n",
        "{}",
    ])
}

/// Every call once, in a useful order, from a few numbers.
pub fn calls() -> Vec<Vec<u8>> {
    let sweep =
        |k: u8| (0..28_u8).flat_map(move |call| [k, k, k, call, call, 7, 9, 60, 80, 100, 3, 3, 50]).collect();
    (0..4).map(sweep).collect()
}
