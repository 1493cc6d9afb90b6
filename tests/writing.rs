//! Writing: every format read back, LAMMPS reading ours, and no half-written file whatever happens.
// clippy allows these in #[test] functions only, not in their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use boltzdrift::dataset::{elements, read, Dataset, ReadOptions, WriteOptions, Writer};
use boltzdrift::Result;
use ndarray::{Array1, Array3};
use tempfile::TempDir;

const CELL: [[f64; 3]; 3] = [[10.0, 0.0, 0.0], [4.0, 8.0, 0.0], [-3.0, 2.0, 9.0]];

/// Water molecules that differ from frame to frame, with velocities, energies and forces.
struct Frames {
    species: Vec<u8>,
    masses: Vec<f64>,
    positions: Array3<f64>,
    velocities: Array3<f64>,
    energies: Array1<f64>,
    forces: Array3<f64>,
}

fn frames(count: usize) -> Frames {
    let water = [[5.0, 4.0, 3.0], [5.96, 4.0, 3.0], [5.0, 4.96, 3.0]];
    let wave =
        |f: usize, k: usize, a: usize, size: f64| size * ((7 * f + 3 * k + a) as f64 + 0.123_456_789).sin();
    Frames {
        species: vec![8, 1, 1],
        masses: vec![15.999, 1.008, 1.008],
        positions: Array3::from_shape_fn((count, 3, 3), |(f, k, a)| water[k][a] + wave(f, k, a, 0.05)),
        velocities: Array3::from_shape_fn((count, 3, 3), |(f, k, a)| wave(f, k, a, 0.012_345_678_9)),
        energies: Array1::from_shape_fn(count, |f| -100_000.123_456_789 + f as f64),
        forces: Array3::from_shape_fn((count, 3, 3), |(f, k, a)| wave(f, k, a, 33.3)),
    }
}

fn options(frames: &Frames) -> WriteOptions {
    WriteOptions { species: frames.species.clone(), masses: frames.masses.clone(), ..Default::default() }
}

/// Writes in blocks of two frames.
fn save(path: &Path, frames: &Frames, options: &WriteOptions, labels: bool) -> Result<()> {
    let mut writer = Writer::create(path, options)?;
    let count = frames.positions.dim().0;
    for first in (0..count).step_by(2) {
        let block = ndarray::s![first..(first + 2).min(count), .., ..];
        let velocities = options.velocities.then(|| frames.velocities.slice(block));
        let energies = labels.then(|| frames.energies.slice(ndarray::s![first..(first + 2).min(count)]));
        writer.write(
            frames.positions.slice(block),
            velocities,
            energies,
            labels.then(|| frames.forces.slice(block)),
        )?;
    }
    writer.finish()
}

fn load(path: &Path) -> Dataset {
    read(path, &ReadOptions::default(), &mut |_| Ok(())).unwrap()
}

fn off(a: &Array3<f64>, b: &Array3<f64>) -> f64 {
    assert_eq!(a.dim(), b.dim());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn refused(result: Result<()>, parts: &[&str]) {
    let message = result.expect_err("this must be refused").to_string();
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

fn content(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|one| one.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_digit_comes_back() {
    let folder = TempDir::new().unwrap();
    let data = frames(5);
    for (name, labels) in
        [("a.npz", true), ("a.xyz", true), ("a.lammpstrj", true), ("b.dump", false), ("b.extxyz", false)]
    {
        for cell in [None, Some(CELL)] {
            let path = folder.path().join(name);
            save(&path, &data, &WriteOptions { velocities: true, cell, ..options(&data) }, labels).unwrap();
            let back = load(&path);
            assert_eq!((&back.species, &back.masses), (&data.species, &data.masses), "{name}");
            assert!(off(&back.positions, &data.positions) < 1e-12, "{name}");
            assert!(off(back.velocities.as_ref().unwrap(), &data.velocities) < 1e-12, "{name}");
            assert_eq!(back.source.periodic, cell.is_some() && !name.ends_with("npz"), "{name}");
            if labels {
                assert!(off(back.forces.as_ref().unwrap(), &data.forces) < 1e-12, "{name}");
            }
            if labels && !name.ends_with("lammpstrj") {
                let energies = back.energies.unwrap();
                assert!((&energies - &data.energies).iter().all(|d| d.abs() < 1e-9), "{name}");
            }
        }
    }
    // The bounding box of the tilted cell, as LAMMPS writes it: x from -3 to 10 + 4, y from 0 to 8 + 2.
    save(&folder.path().join("c.dump"), &data, &WriteOptions { cell: Some(CELL), ..options(&data) }, false)
        .unwrap();
    let text = std::fs::read_to_string(folder.path().join("c.dump")).unwrap();
    assert!(text.contains("xy xz yz pp pp pp\n-3 14 4\n0 10 -3\n0 9 2\n"), "{text}");
    // The same frames are the same bytes.
    let bytes = |name: &str| {
        save(&folder.path().join(name), &data, &options(&data), true).unwrap();
        std::fs::read(folder.path().join(name)).unwrap()
    };
    assert_eq!(bytes("d.npz"), bytes("e.npz"));
}

#[test]
fn formats_of_chemfiles_come_back() {
    let folder = TempDir::new().unwrap();
    let data = frames(3);
    // Extension, tolerance in angstrom, tolerance of velocities in angstrom/fs.
    for (extension, tolerance, velocity) in [
        ("pdb", 6e-4, None),
        ("gro", 6e-3, Some(6e-7)),
        ("mol2", 1e-3, None),
        ("sdf", 1e-3, None),
        ("cml", 1e-5, None),
        ("arc", 1e-5, None),
    ] {
        let path = folder.path().join(format!("a.{extension}"));
        for cell in [None, Some(CELL)] {
            let asked = WriteOptions { velocities: velocity.is_some(), cell, ..options(&data) };
            save(&path, &data, &asked, false).unwrap_or_else(|e| panic!("{extension}: {e}"));
            let back = load(&path);
            assert_eq!(back.len(), 3, "{extension}");
            assert!(
                off(&back.positions, &data.positions) < tolerance,
                "{extension}: {}",
                off(&back.positions, &data.positions)
            );
            if let Some(limit) = velocity {
                let error = off(back.velocities.as_ref().unwrap(), &data.velocities);
                assert!(error < limit, "{extension}: {error}");
            }
        }
    }
    // No elements in them, so they do not come back as a molecule; writing checks what is there.
    for extension in ["xtc", "trr", "dcd", "nc"] {
        save(&folder.path().join(format!("a.{extension}")), &data, &options(&data), false)
            .unwrap_or_else(|e| panic!("{extension}: {e}"));
    }
    let error =
        read(&folder.path().join("a.nc"), &ReadOptions::default(), &mut |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("hold no elements"), "{error}");
    // One frame only.
    let one = frames(1);
    for cell in [None, Some(CELL)] {
        let path = folder.path().join("a.data");
        save(&path, &one, &WriteOptions { velocities: true, cell, ..options(&one) }, false).unwrap();
        let back = load(&path);
        assert!(off(&back.positions, &one.positions) < 1e-9 && back.source.units.contains("real"));
        assert!(off(back.velocities.as_ref().unwrap(), &one.velocities) < 1e-9);
    }
    let path = folder.path().join("b.data");
    let expected = WriteOptions { frames_expected: Some(3), ..options(&data) };
    refused(save(&path, &data, &expected, false), &["one frame", "-n 1"]);
    refused(save(&path, &data, &options(&data), false), &["one frame", "-n 1"]);
    assert!(!path.exists());
}

#[test]
fn faults_leave_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let data = frames(4);
    let path = folder.path().join("old.xyz");
    std::fs::write(&path, "old").unwrap();
    let mut writer = Writer::create(&path, &options(&data)).unwrap();
    writer.write(data.positions.view(), None, None, None).unwrap();
    drop(writer);
    let mut poisoned = frames(4);
    poisoned.positions[[3, 1, 2]] = f64::NAN;
    refused(save(&path, &poisoned, &options(&data), false), &["frame 3, atom 1", "NaN"]);
    let mut writer = Writer::create(&path, &options(&data)).unwrap();
    assert!(writer.write(poisoned.positions.view(), None, None, None).is_err());
    refused(writer.write(data.positions.view(), None, None, None), &["failed before"]);
    refused(writer.finish(), &["failed before"]);
    refused(Writer::create(&path, &options(&data)).unwrap().finish(), &["no frame"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(content(&folder), ["old.xyz"]);

    let create =
        |name: &str, options: WriteOptions| Writer::create(&folder.path().join(name), &options).map(|_| ());
    let moving = || WriteOptions { velocities: true, ..options(&data) };
    for name in ["a.pdb", "a.xtc", "a.cml", "a.dcd"] {
        refused(create(name, moving()), &["cannot hold velocities", ".data"]);
    }
    refused(create("a.tape", moving()), &["'tape' is not known"]);
    refused(create("a.mmcif", options(&data)), &["not known"]);
    refused(create("a.tng", moving()), &["cannot be written"]);
    refused(create("none/a.xyz", moving()), &["cannot write in its folder"]);
    refused(create("", moving()), &["format"]);
    refused(create("a.xyz", WriteOptions { masses: vec![1.0], ..moving() }), &["1 masses for 3 atoms"]);
    let rotated = [[0.0, 10.0, 0.0], [10.0, 0.0, 0.0], [0.0, 0.0, 10.0]];
    refused(create("a.xyz", WriteOptions { cell: Some(rotated), ..moving() }), &["along x"]);
    let mut writer = Writer::create(&folder.path().join("a.xyz"), &moving()).unwrap();
    refused(writer.write(data.positions.view(), None, None, None), &["velocities were announced"]);
    std::fs::create_dir(folder.path().join("d.xyz")).unwrap();
    refused(create("d.xyz", moving()), &["no regular file"]);
    drop(writer);
    // Dropped before and after a frame; chemfiles' NetCDF minds the first.
    for name in ["a.nc", "a.xtc", "a.npz", "a.pdb"] {
        drop(Writer::create(&folder.path().join(name), &options(&data)).unwrap());
        let mut writer = Writer::create(&folder.path().join(name), &options(&data)).unwrap();
        writer.write(data.positions.view(), None, None, None).unwrap();
    }
    assert_eq!(content(&folder), ["d.xyz", "old.xyz"]);
    // A link goes on being one.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&path, folder.path().join("link.xyz")).unwrap();
        save(&folder.path().join("link.xyz"), &data, &options(&data), false).unwrap();
        assert_eq!(load(&path).len(), 4);
        assert!(folder.path().join("link.xyz").is_symlink());
    }
}

const FULL: [&str; 8] = ["a.npz", "a.xyz", "a.dump", "a.pdb", "a.gro", "a.xtc", "a.nc", "a.mol2"];

/// Runs as a process of its own in which no file may grow beyond a few kilobytes: see below.
#[test]
#[ignore = "started by full_disk with a limit on the size of files"]
fn full_disk_child() {
    let folder = PathBuf::from(std::env::var("BOLTZDRIFT_TEST_FOLDER").unwrap());
    let data = frames(4000);
    for name in FULL {
        let message = save(&folder.join(name), &data, &options(&data), false).unwrap_err().to_string();
        eprintln!("{message}");
        assert!(message.contains("cannot write") && !message.contains(".part"), "{name}: {message}");
        assert_eq!(std::fs::read_to_string(folder.join(name)).unwrap(), "old", "{name}");
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), FULL.len());
}

#[test]
#[cfg(unix)]
fn full_disk() {
    let folder = TempDir::new().unwrap();
    FULL.iter().for_each(|name| std::fs::write(folder.path().join(name), "old").unwrap());
    // Without the signal, writing beyond the limit is an error as on a full disk.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact full_disk_child --ignored --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env("BOLTZDRIFT_TEST_FOLDER", folder.path())
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert!(!text.contains("ZipWriter"), "{text}");
}

/// The command that runs LAMMPS, where there is one.
fn lammps() -> Option<String> {
    let lammps = std::env::var("LMP").unwrap_or_else(|_| "lmp".into());
    let found = Command::new(&lammps).arg("-h").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: no lmp here; name it in LMP");
    }
    found.then_some(lammps)
}

/// A molecule that drifts through the walls of a tilted cell, as LAMMPS itself writes it in four ways.
#[test]
fn lammps_dumps_are_whole() {
    let Some(lammps) = lammps() else { return };
    let folder = TempDir::new().unwrap();
    let input = "units metal\nboundary p p p\natom_style atomic\nregion box prism 1 11 2 10 3 12 4 -3 2\ncreate_box 2 box\n\
        create_atoms 2 single 9.5 2.5 3.8\ncreate_atoms 1 single 10.1 2.5 4.5\ncreate_atoms 1 single 9.5 3.2 3.1\n\
        mass 1 1.008\nmass 2 15.999\npair_style zero 4.0\npair_coeff * *\nvelocity all set 300 200 -500\nfix 1 all nve\ntimestep 0.001\n\
        dump a all custom 1 a.dump id type element x y z vx vy vz fx fy fz\ndump_modify a element H O units yes format float %20.15g\n\
        dump b all custom 1 b.dump id element xu yu zu\ndump_modify b element H O format float %20.15g\n\
        dump c all custom 1 c.dump id type xs ys zs ix iy iz\ndump_modify c format float %20.15g\ndump d all atom 1 d.dump\nrun 40\n";
    std::fs::write(folder.path().join("in.lmp"), input).unwrap();
    let output = Command::new(&lammps)
        .args(["-in", "in.lmp", "-log", "none"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let metal = Some(boltzdrift::units::UnitSystem::lammps("metal").unwrap());
    let types = vec!["H".to_owned(), "O".to_owned()];
    for (name, tolerance) in [("a", 1e-9), ("b", 1e-9), ("c", 1e-9), ("d", 1e-4)] {
        let options = ReadOptions {
            units: metal,
            types: if name == "b" { vec![] } else { types.clone() },
            ..Default::default()
        };
        let data = read(&folder.path().join(format!("{name}.dump")), &options, &mut |_| Ok(())).unwrap();
        assert_eq!((data.len(), data.species.clone()), (41, vec![8, 1, 1]), "{name}");
        for frame in 0..41 {
            for (atom, from_oxygen) in [(1, [0.6, 0.0, 0.7]), (2, [0.0, 0.7, -0.7])] {
                for (axis, expected) in from_oxygen.into_iter().enumerate() {
                    let found = data.positions[[frame, atom, axis]] - data.positions[[frame, 0, axis]];
                    assert!(
                        (found - expected).abs() < tolerance,
                        "{name}, frame {frame}: {found} {expected}"
                    );
                }
            }
        }
        if name == "a" {
            // 300 angstrom/ps
            assert!((data.velocities.unwrap()[[7, 1, 0]] - 0.3).abs() < 1e-12);
            assert!(data.forces.unwrap().iter().all(|&f| f == 0.0));
        }
    }
}

/// LAMMPS restarts from our data file and reads our dump: positions and velocities are what was written.
#[test]
fn lammps_reads_ours() {
    let Some(lammps) = lammps() else { return };
    let folder = TempDir::new().unwrap();
    let one = frames(1);
    for cell in [None, Some(CELL)] {
        let asked = WriteOptions { velocities: true, cell, ..options(&one) };
        save(&folder.path().join("seeds.data"), &one, &asked, false).unwrap();
        save(&folder.path().join("seeds.dump"), &one, &asked, true).unwrap();
        let (boundary, names) =
            if cell.is_some() { ("p p p", "wrapped no") } else { ("s s s", "wrapped yes") };
        let dump = "custom 1 NAME id type element x y z vx vy vz\ndump_modify NAME element H O units yes format float %20.15g";
        let fields = "x y z vx vy vz";
        let input = format!(
            "units real\nboundary {boundary}\natom_style full\nread_data seeds.data\npair_style zero 4.0\npair_coeff * *\n\
             neighbor 1.0 bin\ndump a all {}\nrun 0\nundump a\n\
             displace_atoms all random 0.1 0.1 0.1 1\nvelocity all set 0 0 0\n\
             read_dump seeds.dump 0 {fields} box yes {names}\ndump b all {}\nrun 0\n",
            dump.replace("NAME", "a").replacen("1 a", "1 out1.dump", 1),
            dump.replace("NAME", "b").replacen("1 b", "1 out2.dump", 1),
        );
        std::fs::write(folder.path().join("in.lmp"), &input).unwrap();
        let output = Command::new(&lammps)
            .args(["-in", "in.lmp", "-log", "none"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{input}\n{text}");
        for name in ["out1.dump", "out2.dump"] {
            let back = load(&folder.path().join(name));
            // Types are in the order of the symbols: H 1, O 2.
            assert_eq!(back.species, one.species);
            assert!(
                off(&back.positions, &one.positions) < 1e-9,
                "{name} {cell:?}: {}",
                off(&back.positions, &one.positions)
            );
            assert!(off(back.velocities.as_ref().unwrap(), &one.velocities) < 1e-9, "{name}");
        }
    }
}

#[test]
fn datasets_from_arrays() {
    let data = frames(4);
    let make = |positions: &Array3<f64>| {
        Dataset::from_arrays(data.species.clone(), positions.clone(), Some(data.forces.clone()), None, None)
    };
    let whole = make(&data.positions).unwrap();
    assert_eq!((whole.len(), whole.atoms(), whole.is_empty()), (4, 3, false));
    assert_eq!(whole.masses[0], elements::mass(8).unwrap());
    let part = whole.subset(&[2, 0]).unwrap();
    assert_eq!(
        (part.source.frames.clone(), part.positions[[1, 0, 0]]),
        (vec![2, 0], data.positions[[0, 0, 0]])
    );
    assert!(
        part.source.digest != whole.source.digest
            && whole.digest() == make(&data.positions).unwrap().source.digest
    );
    assert!(whole.subset(&[4]).is_err());
    // SHA-256 of: 1u64, [2], "R", 3u64, three zeros; from Python's hashlib.
    let helium = Dataset::from_arrays(vec![2], Array3::zeros((1, 1, 3)), None, None, None).unwrap();
    assert_eq!(helium.digest(), "15d76547900a5b7b4f4ada14030b441b675117561594acc18a597e9d794a1b15");
    let mut bad = data.positions.clone();
    bad[[2, 1, 0]] = f64::NAN;
    assert!(make(&bad).unwrap_err().to_string().contains("frame 2, atom 1"));
    let mut bad = data.positions.clone();
    for axis in 0..3 {
        bad[[3, 2, axis]] = bad[[3, 0, axis]] + 0.001;
    }
    assert!(make(&bad).unwrap_err().to_string().contains("atoms 0 and 2"));
    assert_eq!(make(&Array3::zeros((0, 3, 3))).unwrap_err().exit_code(), 2);
}
