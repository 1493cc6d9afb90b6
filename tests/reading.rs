//! Reading: every format against numbers worked out by hand, and every fault with its message.
// clippy allows these in #[test] functions only, not in their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use boltzdrift::dataset::{read, Dataset, Progress, ReadOptions};
use boltzdrift::units::UnitSystem;
use boltzdrift::{Error, Result};
use tempfile::TempDir;

const EV: f64 = 23.060_548;

fn put(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn load(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    read(path, options, &mut |_| Ok(()))
}

fn real() -> ReadOptions {
    ReadOptions { units: Some(UnitSystem::REAL), ..Default::default() }
}

fn metal() -> ReadOptions {
    ReadOptions { units: Some(UnitSystem::lammps("metal").unwrap()), ..Default::default() }
}

fn refused(result: Result<Dataset>, parts: &[&str]) {
    let message = result.expect_err("this must be refused").to_string();
    assert!(!message.contains('\n'), "{message}");
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

/// Water with the oxygen at `o`: O-H 0.96 angstrom along x and y.
fn water(o: [f64; 3]) -> [[f64; 3]; 3] {
    [o, [o[0] + 0.96, o[1], o[2]], [o[0], o[1] + 0.96, o[2]]]
}

/// A frame of a dump with columns `id element x y z fx fy fz`.
fn dump_frame(step: usize, bounds: &str, atoms: &str) -> String {
    let n = atoms.lines().count();
    format!("ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{n}\n{bounds}ITEM: ATOMS id element x y z fx fy fz\n{atoms}")
}

const BOX: &str = "ITEM: BOX BOUNDS ff ff ff\n-10 10\n-10 10\n-10 10\n";
const WATER: &str = "1 O 0 0 0 1 2 3\n2 H 0.96 0 0 -1 0 0\n3 H 0 0.96 0 0 -2 -3\n";

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-6 * (1.0 + b.abs()), "{a} is not {b}");
}

fn has_positions(dataset: &Dataset, frame: usize, expected: &[[f64; 3]]) {
    for (atom, row) in expected.iter().enumerate() {
        for (axis, value) in row.iter().enumerate() {
            near(dataset.positions[[frame, atom, axis]], *value);
        }
    }
}

#[test]
fn dump_units_ids_and_progress() {
    let folder = TempDir::new().unwrap();
    // Ids 7, 3, 12 of a group dump, in another order in each frame; the metal run declares its units.
    let one = dump_frame(0, BOX, "7 H 0.96 0 0 -1 0 0\n3 O 0 0 0 1 2 3\n12 H 0 0.96 0 0 -2 -3\n");
    let two = dump_frame(5, BOX, "12 H 0 0.97 0 0 -2 -3\n7 H 0.96 0 0 -1 0 0\n3 O 0 0 0 1 2 3\n");
    let path = put(&folder, "run.dump", format!("ITEM: UNITS\nmetal\n{one}{two}"));
    let mut calls: Vec<Progress> = Vec::new();
    let dataset = read(&path, &ReadOptions { need_forces: true, ..Default::default() }, &mut |progress| {
        calls.push(progress);
        Ok(())
    })
    .unwrap();
    assert_eq!((dataset.species.clone(), dataset.len(), dataset.atoms()), (vec![8, 1, 1], 2, 3));
    has_positions(&dataset, 0, &water([0.0; 3]));
    near(dataset.positions[[1, 2, 1]], 0.97);
    let forces = dataset.forces.as_ref().unwrap();
    near(forces[[1, 0, 2]], 3.0 * EV);
    near(forces[[0, 2, 1]], -2.0 * EV);
    assert!(dataset.source.units.contains("metal") && !dataset.source.periodic);
    assert_eq!(calls.last().unwrap(), &Progress { frames_done: 2, frames_total: Some(2) });
    assert!(load(&path, &metal()).is_ok());
    refused(load(&path, &real()), &["units metal", "leave the option out"]);
    let stopped = read(&path, &ReadOptions::default(), &mut |_| Err(Error::Interrupted("stop".into())));
    assert!(matches!(stopped, Err(Error::Interrupted(_))));
}

#[test]
fn dump_types_and_selection() {
    let folder = TempDir::new().unwrap();
    let text = |types: [u8; 6]| {
        let mut text =
            format!("ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n6\n{BOX}ITEM: ATOMS id mol type x y z\n");
        for (k, kind) in types.iter().enumerate() {
            let x = water([0.0, 0.0, 4.0 * (k / 3) as f64])[k % 3];
            text += &format!("{} {} {kind} {} {} {}\n", k + 1, k / 3 + 1, x[0], x[1], x[2]);
        }
        text
    };
    let path = put(&folder, "two.lammpstrj", text([2, 1, 1, 2, 1, 1]));
    refused(load(&path, &real()), &["--types", "no element column"]);
    let typed = ReadOptions { types: vec!["H".into(), "O".into()], ..real() };
    refused(load(&path, &typed), &["not one molecule", "OH2 (atoms 0-2), OH2 (atoms 3-5)", "--select"]);
    for selection in ["index > 2", "[mol] == 2", "z > 2"] {
        let dataset =
            load(&path, &ReadOptions { selection: Some(selection.into()), ..typed.clone() }).unwrap();
        assert_eq!(
            (dataset.species.clone(), dataset.source.atoms_in_file),
            (vec![8, 1, 1], 6),
            "{selection}"
        );
        has_positions(&dataset, 0, &water([0.0, 0.0, 4.0]));
        assert!(dataset.forces.is_none());
    }
    let select = |text: &str| load(&path, &ReadOptions { selection: Some(text.into()), ..typed.clone() });
    refused(select("index > 7"), &["picks no atom"]);
    refused(select("index >"), &["selection 'index >'"]);
    refused(select("bonds: all"), &["not atoms"]);
    refused(select("all\0"), &["NUL"]);
    // Deep ones would overflow the stack, where hosts have small ones first.
    let nested = |depth: usize| format!("{}index > 2{}", "(".repeat(depth), ")".repeat(depth));
    refused(select(&nested(1001)), &["1001 operators", "ranges"]);
    refused(select(&format!("index > {}2", "-".repeat(50_000))), &["50000 operators"]);
    refused(select(&"not ".repeat(1001)), &["1001 operators"]);
    refused(select(&" ".repeat(70_000)), &["70000 characters"]);
    std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(1 << 20);
        small.spawn_scoped(scope, || select(&nested(1000)).unwrap()).unwrap().join().unwrap();
    });
    let need = ReadOptions { need_forces: true, selection: Some("index < 3".into()), ..typed.clone() };
    refused(load(&path, &need), &["frame 0", "no forces", "fx fy fz"]);
    let wrong = ReadOptions { types: vec!["H".into()], ..real() };
    refused(load(&path, &wrong), &["type 2", "--types names 1"]);
    let none = ReadOptions { types: vec!["Hx".into()], ..real() };
    refused(load(&path, &none), &["'Hx' is no element"]);
    // The molecule leaves the selected region in the second frame.
    let path = put(
        &folder,
        "moves.dump",
        text([2, 1, 1, 2, 1, 1]) + &text([2, 1, 1, 2, 1, 1]).replace(" 4\n", " 1.5\n"),
    );
    let moved = ReadOptions { selection: Some("z > 2".into()), ..typed };
    refused(load(&path, &moved), &["frame 1", "picks no atom"]);
}

#[test]
fn dump_boxes() {
    let folder = TempDir::new().unwrap();
    // Edges (10, 0, 0), (4, 8, 0), (-3, 2, 9) with the origin at (1, 2, 3). LAMMPS writes the bounding box:
    // xlo + min(0, xy, xz, xy + xz) = 1 - 3, xhi + max = 11 + 4, ylo + min(0, yz) = 2, yhi + max = 10 + 2.
    let tilted = "ITEM: BOX BOUNDS xy xz yz pp pp pp\n-2 15 4\n2 12 -3\n3 12 2\n";
    let edges = [[10.0, 0.0, 0.0], [4.0, 8.0, 0.0], [-3.0, 2.0, 9.0]];
    // The molecule sits at the fractional place (0.97, 0.5, 0.02), its atoms pushed through the walls.
    let o = [1.0 + 9.7 + 2.0 - 0.06, 2.0 + 4.0 + 0.04, 3.0 + 0.18];
    let whole = water(o);
    let image = |atom: usize, shift: [f64; 3]| -> [f64; 3] {
        std::array::from_fn(|k| whole[atom][k] + (0..3).map(|e| shift[e] * edges[e][k]).sum::<f64>())
    };
    let frame = |h1: [f64; 3], h2: [f64; 3]| {
        let rows = [o, h1, h2].map(|x| format!("{} {} {}", x[0], x[1], x[2]));
        let atoms = format!("1 O {} 0 0 0\n2 H {} 0 0 0\n3 H {} 0 0 0\n", rows[0], rows[1], rows[2]);
        dump_frame(0, tilted, &atoms)
    };
    let frames = [
        frame(image(1, [-1.0, 0.0, 0.0]), whole[2]),
        frame(image(1, [-1.0, 1.0, 1.0]), image(2, [2.0, -1.0, -1.0])),
    ];
    let path = put(&folder, "tilted.dump", frames.concat());
    let dataset = load(&path, &real()).unwrap();
    has_positions(&dataset, 0, &whole);
    has_positions(&dataset, 1, &whole);
    assert!(dataset.source.periodic && dataset.source.warnings.is_empty());

    // Scaled coordinates in the same box: fractions solve x = origin + a s1 + b s2 + c s3.
    let scale = |x: [f64; 3]| {
        let s3 = (x[2] - 3.0) / 9.0;
        let s2 = (x[1] - 2.0 - 2.0 * s3) / 8.0;
        [(x[0] - 1.0 - 4.0 * s2 + 3.0 * s3) / 10.0, s2, s3]
    };
    let mut text = format!(
        "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n3\n{tilted}ITEM: ATOMS id element xs ys zs ix iy iz\n"
    );
    for (k, name) in ["O", "H", "H"].iter().enumerate() {
        let s = scale(whole[k]);
        let wrapped = s.map(|part| part - part.floor());
        let images = s.map(f64::floor);
        text += &format!(
            "{} {name} {:.15} {:.15} {:.15} {} {} {}\n",
            k + 1,
            wrapped[0],
            wrapped[1],
            wrapped[2],
            images[0],
            images[1],
            images[2]
        );
    }
    let dataset = load(&put(&folder, "scaled.dump", &text), &real()).unwrap();
    has_positions(&dataset, 0, &whole);
    let unwrapped = text.replace("xs ys zs ix iy iz", "xsu ysu zsu q1 q2 q3");
    assert!(load(&put(&folder, "xsu.dump", unwrapped), &real()).is_ok());

    // Orthogonal box, one direction open: the atom beyond the open wall is another fragment.
    let flags = |flags: &str| format!("ITEM: BOX BOUNDS {flags}\n0 10\n0 10\n0 10\n");
    let split = "1 O 9.9 5 5 0 0 0\n2 H 0.86 5 5 0 0 0\n3 H 9.9 5.96 5 0 0 0\n";
    let dataset = load(&put(&folder, "p.dump", dump_frame(0, &flags("pp ff ss"), split)), &real()).unwrap();
    has_positions(&dataset, 0, &water([9.9, 5.0, 5.0]));
    let path = put(&folder, "f.dump", dump_frame(0, &flags("ff pp pp"), split));
    refused(load(&path, &real()), &["not one molecule", "H (atom 1)"]);
    // A tilt so small that chemfiles takes the box for a rotated orthogonal one.
    let tiny = "ITEM: BOX BOUNDS xy xz yz pp pp pp\n0 10.0001 0.0001\n0 10 0\n0 10 0\n";
    has_positions(
        &load(&put(&folder, "t.dump", dump_frame(0, tiny, split)), &real()).unwrap(),
        0,
        &water([9.9, 5.0, 5.0]),
    );
}

#[test]
fn dump_faults() {
    let folder = TempDir::new().unwrap();
    let case =
        |name: &str, text: &str, parts: &[&str]| refused(load(&put(&folder, name, text), &real()), parts);
    let good = dump_frame(0, BOX, WATER);
    refused(load(&put(&folder, "a.dump", &good), &ReadOptions::default()), &["--units real"]);
    let cut = format!("{good}{}", &good[..good.len() - 9]);
    case("b.dump", &cut, &["frame 1", "cut short", "1 whole frames", "--frames :1"]);
    let saved = ReadOptions { frames: ":1".parse().unwrap(), ..real() };
    assert_eq!(load(&folder.path().join("b.dump"), &saved).unwrap().len(), 1);
    case(
        "c.dump",
        &format!("{good}{}", good.replace("0.96 0 0", "nan 0 0")),
        &["frame 1, atom 1", "position", "nan"],
    );
    case("d.dump", &good.replace("-1 0 0", "-1 inf 0"), &["frame 0, atom 1", "force fy", "inf"]);
    case("e.dump", &good.replace("-1 0 0", "-1 x 0"), &["atom 1", "not a number"]);
    case("f.dump", &good.replace("3 H", "2 H"), &["two atoms have id 2"]);
    case("g.dump", &format!("{good}{}", good.replace("3 H", "4 H")), &["frame 1", "ids differ"]);
    case("h.dump", &format!("{good}{}", good.replace("3 H", "3 O")), &["frame 1, atom 2", "it is O", "H"]);
    case(
        "i.dump",
        &format!("{good}{}", dump_frame(1, BOX, "1 O 0 0 0 1 2 3\n2 H 0.96 0 0 -1 0 0\n")),
        &["frame 1", "2 atoms", "3"],
    );
    case(
        "j.dump",
        &good.replace("3 H 0 0.96 0", "3 H 0.96 0.001 0"),
        &["atom 1", "atom 2", "0.0010 angstrom"],
    );
    let bare = good.replace(" fx fy fz", " a b c");
    case("k.dump", &format!("{good}{bare}"), &["frame 1", "no forces"]);
    case("l.dump", &format!("{bare}{good}"), &["frame 1", "has forces"]);
    case("m.dump", &good.replace("x y z fx", "a b c fx"), &["no positions"]);
    case("n.dump", &good.replace("\n3\nITEM: BOX", "\n0\nITEM: BOX"), &["number of atoms"]);
    case("o.dump", &good.replace("\n3\nITEM: BOX", "\n999999999999\nITEM: BOX"), &["cut short"]);
    case("p.dump", &good.replace("BOX BOUNDS ff", "BOX BOUNDS abc origin"), &["general triclinic"]);
    case("q.dump", &good.replace("1 O", "1 Qq"), &["element 'Qq'"]);
    case("r.dump", "", &["empty"]);
    case("s.dump", &good.replace("fy fz", "fx fz"), &["fx stands there twice"]);
    let lj = format!("ITEM: UNITS\nlj\n{good}");
    refused(load(&put(&folder, "t.dump", lj), &ReadOptions::default()), &["reduced units"]);
    let beyond = ReadOptions { frames: "5:".parse().unwrap(), ..real() };
    refused(load(&folder.path().join("a.dump"), &beyond), &["frame 5", "1 frames"]);
    refused(load(folder.path(), &real()), &["directory"]);
    refused(load(&folder.path().join("no.dump"), &real()), &["no.dump", "cannot open"]);
    refused(load(&put(&folder, "x.what", WATER), &real()), &["--input-format"]);
    let unknown = ReadOptions { format: Some("tape".into()), ..real() };
    refused(load(&folder.path().join("a.dump"), &unknown), &["format 'tape' is not known"]);
    refused(load(&put(&folder, "z.xyz", b"\x1f\x8b\x08\x00"), &real()), &["compressed"]);
    // A hydrogen flies away in the second frame: told, not refused.
    let torn = format!("{good}{}", good.replace("0 0.96 0", "0 4.96 0"));
    let warnings = load(&put(&folder, "u.dump", torn), &real()).unwrap().source.warnings;
    assert!(warnings[0].contains("in 1 of 2 frames") && warnings[0].contains("4.96"), "{warnings:?}");
    let no_id = good.replace("id element", "serial element");
    assert!(
        load(&put(&folder, "v.dump", no_id), &real()).unwrap().source.warnings[0].contains("no id column")
    );
}

/// As ASE 3.29 writes water with a calculator's results.
const ASE: &str = "3\nLattice=\"12.0 0.0 0.0 0.0 12.0 0.0 0.0 0.0 12.0\" Properties=species:S:1:pos:R:3:momenta:R:3:forces:R:3 \
energy=-2.5 free_energy=-2.4 note=\"a \\\"b\\\" energy=7\" pbc=\"T T T\"\nO 11.9 5 5 0 0 0 0.1 0.2 0.3\nH 0.86 5 5 0 0 0 -0.1 0 0\nH 11.9 5.96 5 0 0 0 0 -0.2 -0.3\n";

#[test]
fn extended_xyz() {
    let folder = TempDir::new().unwrap();
    let path = put(&folder, "ase.xyz", ASE);
    refused(load(&path, &ReadOptions::default()), &["--energy-unit"]);
    let ev = ReadOptions { energy_unit: Some("eV".into()), ..Default::default() };
    for options in [&metal(), &ev] {
        let dataset = load(&path, options).unwrap();
        has_positions(&dataset, 0, &water([11.9, 5.0, 5.0]));
        near(dataset.energies.as_ref().unwrap()[0], -2.5 * EV);
        near(dataset.forces.as_ref().unwrap()[[0, 2, 2]], -0.3 * EV);
        assert!(dataset.velocities.is_none() && dataset.source.warnings[0].contains("momenta"));
    }
    let both = ReadOptions { energy_unit: Some("eV".into()), ..metal() };
    refused(load(&path, &both), &["--units names every unit"]);
    let electron = ReadOptions { units: Some(UnitSystem::lammps("electron").unwrap()), ..Default::default() };
    refused(load(&path, &electron), &["angstrom"]);
    // Other columns first: chemfiles alone would drop the forces. A left-handed lattice: chemfiles alone refuses it.
    let turned = "3\nProperties=id:I:1:force:R:3:pos:R:3:species:S:1 Lattice='0 12 0 12 0 0 0 0 12' energy=1\n1 1 2 3 0 0 11.9 O\n\
                  2 0 0 0 0.96 0 -0.1 H\n3 4 5 6 0 0.96 11.9 H\n";
    let dataset = load(&put(&folder, "turned.extxyz", turned), &ev).unwrap();
    has_positions(&dataset, 0, &[[0.0, 0.0, 11.9], [0.96, 0.0, 11.9], [0.0, 0.96, 11.9]]);
    near(dataset.forces.as_ref().unwrap()[[0, 2, 0]], 4.0 * EV);
    // The flag pbc switches the lattice off.
    let open = ASE.replace("T T T", "F F F");
    refused(load(&put(&folder, "open.xyz", open), &ev), &["not one molecule"]);
    // Plain XYZ needs no units, and its comment may be anything.
    let plain = "3\n\"anything = goes, energy=5\nO 0 0 0\nH 0.96 0 0\nH 0 0.96 0\n\n";
    let dataset = load(&put(&folder, "plain.xyz", plain.repeat(4)), &ReadOptions::default()).unwrap();
    assert_eq!((dataset.len(), dataset.energies.is_some()), (4, false));
    let every = ReadOptions { frames: "1:4:2".parse().unwrap(), ..Default::default() };
    assert_eq!(load(&folder.path().join("plain.xyz"), &every).unwrap().source.frames, [1, 3]);

    let case = |name: &str, text: &str, parts: &[&str]| refused(load(&put(&folder, name, text), &ev), parts);
    case("a.xyz", &ASE[..ASE.len() - 14], &["cut short"]);
    case("b.xyz", &format!("{ASE}{}", &ASE[..ASE.len() - 40]), &["frame 1", "--frames :1"]);
    case("c.xyz", &ASE.replace("-2.5", "nan"), &["energy", "nan"]);
    case("d.xyz", &ASE.replace("H 0.86", "D1 0.86"), &["atom 1", "'D1' is no element"]);
    case("e.xyz", &ASE.replace("-0.1 0 0", "-0.1 NaN 0"), &["atom 1", "the force"]);
    case("f.xyz", &ASE.replace("forces:R:3", "forces:R:2"), &["columns"]);
    case("g.xyz", &ASE.replace("12.0\" Prop", "inf\" Prop"), &["Lattice"]);
    case(
        "h.xyz",
        &format!("{ASE}{}", ASE.replace("energy=-2.5 free_energy=-2.4", "")),
        &["frame 1", "no energy"],
    );
    case("i.xyz", "zero\n", &["number of atoms"]);
    case("j.xyz", "0\n\n", &["no atoms"]);
    case("k.xyz", "\n\n", &["no frames"]);
    let own = ASE.replace("energy=", "energy_unit=kcal/mol energy=");
    refused(load(&put(&folder, "l.xyz", own), &ev), &["declares kcal/mol"]);
}

/// Several files, one set of options: these are for the files that declare nothing, whatever the others declare.
#[test]
fn units_where_undeclared() {
    let folder = TempDir::new().unwrap();
    let one_of = |options: ReadOptions| ReadOptions { units_where_undeclared: true, ..options };
    let bare = dump_frame(0, BOX, WATER);
    let declared = put(&folder, "declared.lammpstrj", format!("ITEM: UNITS\nmetal\n{bare}"));
    let bare = put(&folder, "bare.lammpstrj", bare);
    refused(load(&declared, &real()), &["declares units metal"]);
    let force =
        |path: &Path, options: ReadOptions| load(path, &one_of(options)).unwrap().forces.unwrap()[[0, 0, 0]];
    near(force(&declared, real()), EV);
    near(force(&declared, ReadOptions { energy_unit: Some("hartree".into()), ..Default::default() }), EV);
    near(force(&bare, real()), 1.0);
    near(force(&bare, metal()), EV);
    refused(load(&bare, &one_of(ReadOptions::default())), &["--units real"]);
    // A file that names its energies alone: forces are in what it names, never in what is meant for another file.
    let named = put(&folder, "named.xyz", ASE.replace("energy=", "energy_unit=eV energy="));
    near(load(&named, &one_of(real())).unwrap().forces.unwrap()[[0, 0, 2]], 0.3 * EV);
    let silent = put(&folder, "silent.xyz", ASE);
    near(load(&silent, &one_of(real())).unwrap().forces.unwrap()[[0, 0, 2]], 0.3);
    // Lengths of plain XYZ are angstrom, and there is nothing else in it.
    let plain = put(&folder, "plain.xyz", "3\n\nO 0 0 0\nH 0.96 0 0\nH 0 0.96 0\n");
    let electron = ReadOptions { units: Some(UnitSystem::lammps("electron").unwrap()), ..Default::default() };
    refused(load(&plain, &electron), &["angstrom"]);
    has_positions(&load(&plain, &one_of(electron)).unwrap(), 0, &water([0.0; 3]));
    // Two ways to name units stay one too many.
    let both = ReadOptions { energy_unit: Some("eV".into()), ..metal() };
    refused(load(&declared, &one_of(both)), &["--units names every unit"]);
}

/// An `.npy` of version 1.0.
fn npy(kind: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn npz(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    use npyz::zip::{write::FileOptions, ZipWriter};
    use std::io::Write;
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, data) in members {
        zip.start_file(format!("{name}.npy"), FileOptions::default()).unwrap();
        zip.write_all(data).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn f64s(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn unicode(text: &str) -> Vec<u8> {
    let data: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    npy(&format!("<U{}", text.len()), false, "()", &data)
}

#[test]
fn npz_files() {
    let folder = TempDir::new().unwrap();
    let two: Vec<f64> = [water([0.0; 3]), water([1.0, 2.0, 3.0])].concat().concat();
    let forces: Vec<f64> = (0..18).map(f64::from).collect();
    let r = ("R", npy("<f8", false, "(2, 3, 3)", &f64s(&two)));
    let z = ("z", npy("|u1", false, "(3,)", &[8, 1, 1]));
    let e = ("E", npy("<f8", false, "(2, 1)", &f64s(&[-1.0, -2.0])));
    let f = ("F", npy("<f8", false, "(2, 3, 3)", &f64s(&forces)));
    let full = npz(&[r.clone(), z.clone(), e.clone(), f.clone()]);
    let path = put(&folder, "md17.npz", &full);
    refused(load(&path, &ReadOptions::default()), &["--units real", "r_unit"]);
    let dataset = load(&path, &real()).unwrap();
    has_positions(&dataset, 1, &water([1.0, 2.0, 3.0]));
    near(dataset.forces.as_ref().unwrap()[[1, 2, 0]], 15.0);
    near(dataset.energies.as_ref().unwrap()[1], -2.0);
    let slice = ReadOptions { frames: "1:".parse().unwrap(), ..real() };
    assert_eq!(load(&path, &slice).unwrap().source.frames, [1]);

    // sGDML names its units; big-endian, Fortran order, single precision, int64 charges, rMD17's names.
    let column_major: Vec<usize> = (0..3)
        .flat_map(|axis| (0..3).flat_map(move |atom| (0..2).map(move |frame| (frame * 3 + atom) * 3 + axis)))
        .collect();
    let big: Vec<u8> = column_major.iter().flat_map(|&k| (two[k] as f32).to_be_bytes()).collect();
    let numbers: Vec<u8> = [8i64, 1, 1].iter().flat_map(|z| z.to_le_bytes()).collect();
    let other = npz(&[
        ("coords", npy(">f4", true, "(2, 3, 3)", &big)),
        ("nuclear_charges", npy("<i8", false, "(3,)", &numbers)),
        ("forces", f.1.clone()),
        ("energies", npy("<f8", false, "(2,)", &f64s(&[1.0, 2.0]))),
        ("r_unit", unicode("Ang")),
        ("e_unit", unicode("eV")),
    ]);
    let path = put(&folder, "other.npz", other);
    let dataset = load(&path, &ReadOptions::default()).unwrap();
    has_positions(&dataset, 1, &water([1.0, 2.0, 3.0]));
    near(dataset.forces.as_ref().unwrap()[[0, 2, 2]], 8.0 * EV);
    assert_eq!(dataset.species, [8, 1, 1]);
    refused(load(&path, &real()), &["declares eV"]);

    let case = |members: &[(&str, Vec<u8>)], parts: &[&str]| {
        refused(load(&put(&folder, "bad.npz", npz(members)), &real()), parts);
    };
    case(std::slice::from_ref(&r), &["no R and z"]);
    case(
        &[r.clone(), ("z", npy("|u1", false, "(2,)", &[8, 1]))],
        &["(2, 3, 3)".replace('(', "[").replace(')', "]").as_str(), "[2]"],
    );
    case(&[r.clone(), ("z", npy("|u1", false, "(3,)", &[8, 1, 0]))], &["z[2] is 0"]);
    case(
        &[r.clone(), z.clone(), ("F", npy("<f8", false, "(1, 3, 3)", &f64s(&forces[..9])))],
        &["F of shape [1, 3, 3]"],
    );
    case(&[r.clone(), z.clone(), ("E", npy("<f8", false, "(3,)", &f64s(&[0.0; 3])))], &["E of shape [3]"]);
    case(&[("R", npy("<f8", false, "(2000000000, 3, 3)", &f64s(&two))), z.clone()], &["does not fill"]);
    case(&[("R", npy("<f8", false, "(4611686018427387904, 4, 3)", &[])), z.clone()], &["does not fill"]);
    case(&[("R", npy("|O", false, "(2, 3, 3)", b"x")), z.clone()], &["R"]);
    // 72 MB of zeros in 70 kB.
    let zeros = npy("<f8", false, "(1000000, 3, 3)", &vec![0; 72_000_000]);
    case(&[("R", zeros), z.clone()], &["array R is packed more than 64 to 1", "numpy.savez"]);
    case(&[("R", npy("<f2", false, "(2, 3, 3)", &[0; 36])), z.clone()], &["float32"]);
    let mut poisoned = two.clone();
    poisoned[13] = f64::NAN;
    case(
        &[("R", npy("<f8", false, "(2, 3, 3)", &f64s(&poisoned))), z.clone()],
        &["frame 1, atom 1", "R is not a finite"],
    );
    case(
        &[r.clone(), z.clone(), ("E", npy("<f8", false, "(2,)", &f64s(&[0.0, f64::INFINITY])))],
        &["frame 1", "energy is inf"],
    );
    case(&[("R", npy("<f8", false, "(0, 3, 3)", &[])), z.clone()], &["no frames"]);
    refused(load(&put(&folder, "cut.npz", &full[..full.len() - 30]), &real()), &["cut short"]);
    // A megabyte of zeros in a member that claims far more than deflate can pack.
    let select = ReadOptions { selection: Some("index < 2".into()), ..real() };
    refused(load(&put(&folder, "s.npz", &full), &select), &["--select"]);
}

#[test]
fn other_formats() {
    let folder = TempDir::new().unwrap();
    let pdb = "CRYST1   12.000   12.000   12.000  90.00  90.00  90.00 P 1           1\n\
        HETATM    1  O   HOH A   1      11.900   5.000   5.000  1.00  0.00           O  \n\
        HETATM    2  H   HOH A   1       0.860   5.000   5.000  1.00  0.00           H  \n\
        HETATM    3  H   HOH A   1      11.900   5.960   5.000  1.00  0.00           H  \nEND\n";
    let dataset = load(&put(&folder, "w.pdb", pdb), &ReadOptions::default()).unwrap();
    has_positions(&dataset, 0, &water([11.9, 5.0, 5.0]));
    assert!(dataset.source.periodic && dataset.velocities.is_none());
    let gro = "water\n3\n    1HOH      O    1   0.000   0.000   0.000\n    1HOH      H    2   0.096   0.000   0.000\n    1HOH      H    3   0.000   0.096   0.000\n   3.0 3.0 3.0\n";
    let dataset = load(&put(&folder, "w.gro", gro), &ReadOptions::default()).unwrap();
    has_positions(&dataset, 0, &water([0.0; 3]));
    assert!(dataset.velocities.is_none(), "chemfiles' zeros are no velocities");
    let nm = ReadOptions { length_unit: Some("nm".into()), ..Default::default() };
    refused(load(&folder.path().join("w.gro"), &nm), &["angstrom", "leave the unit option out"]);
    refused(
        load(&put(&folder, "x.gro", gro.replace("     O ", "    OW ")), &ReadOptions::default()),
        &["'OW'", "no element"],
    );
    // What would take chemfiles down. After the last model of an NMR structure, and a frame of bonds alone.
    let bonds = "CONECT    1    2    3\n";
    let model = pdb.replace("END\n", "ENDMDL\n");
    let nmr = put(&folder, "nmr.pdb", format!("{model}{bonds}END\n"));
    refused(load(&nmr, &ReadOptions::default()), &["nmr.pdb", "CONECT comes before the atoms", "line"]);
    let helix = format!("{:<38} 0{:>32}", "HELIX    1  A GLY A   86  GLY A   94", 9);
    let odd = put(&folder, "odd.pdb", format!("{helix}\n{pdb}"));
    refused(load(&odd, &ReadOptions::default()), &["line 1: a HELIX of class 0"]);
    let many = gro.replacen("\n3\n", "\n2000000000\n", 1);
    refused(load(&put(&folder, "many.gro", &many), &ReadOptions::default()), &["2000000000 atoms are more"]);
    refused(load(&put(&folder, "two.gro", format!("{gro}{many}")), &ReadOptions::default()), &["frame 1"]);
    refused(load(&put(&folder, "bad.pdb", b"\xff\xfe"), &ReadOptions::default()), &["bad.pdb"]);
    // A LAMMPS data file as write_data leaves it.
    let data = "LAMMPS data file via write_data, version 22 Jul 2025, timestep = 0, units = metal\n\n3 atoms\n2 atom types\n\n0 12 xlo xhi\n0 12 ylo yhi\n\
        0 12 zlo zhi\n\nMasses\n\n1 1.008\n2 15.999\n\nAtoms # charge\n\n2 1 0.4 5.96 5 5 0 0 0\n1 2 -0.8 5 5 5 0 0 0\n3 1 0.4 5 5.96 5 0 0 0\n\nVelocities\n\n1 1 0 0\n2 0 2 0\n3 0 0 3\n";
    let types = ReadOptions { types: vec!["H".into(), "O".into()], ..Default::default() };
    let dataset = load(&put(&folder, "w.data", data), &types).unwrap();
    has_positions(&dataset, 0, &water([5.0; 3]));
    near(dataset.velocities.unwrap()[[0, 2, 2]], 3e-3);
    // chemfiles would never come back from the first, and take 24 GB for the second.
    let case = |bad: String, words: &[&str]| refused(load(&put(&folder, "bad.data", bad), &types), words);
    case(data.replace("Masses", "types"), &["bad.data", "'types'"]);
    case(data.replace("Masses", "\x0bMasses"), &["bad.data", "Masses", "no line of a header"]);
    case(data.replace("3 atoms", "1000000000 atoms"), &["1000000000 atoms", "lines follow"]);
    // And write the velocities of atoms that are not there where others' memory is.
    for id in ["0", "4", "-1", "99999999999"] {
        let bad = data.replace("\n3 0 0 3", &format!("\n{id} 0 0 3"));
        case(bad, &["bad.data", &format!("'{id} 0 0 3' is of no atom")]);
    }
    let (start, end) = data.split_at(data.find("Atoms").unwrap());
    let (atoms, velocities) = end.split_at(end.find("Velocities").unwrap());
    case(format!("{start}{velocities}\n{atoms}"), &["'1 1 0 0' is of no atom"]);
}

/// Whatever is cut off or turned over, reading comes back with an answer.
#[test]
fn damaged_files_never_panic() {
    let folder = TempDir::new().unwrap();
    let r = npy("<f8", false, "(1, 3, 3)", &f64s(&water([0.0; 3]).concat()));
    let files = [
        ("a.npz", npz(&[("R", r), ("z", npy("|u1", false, "(3,)", &[8, 1, 1])), ("r_unit", unicode("Ang"))])),
        ("a.dump", format!("ITEM: UNITS\nreal\n{}", dump_frame(0, BOX, WATER)).repeat(2).into_bytes()),
        ("a.xyz", ASE.repeat(2).into_bytes()),
    ];
    let options = ReadOptions { energy_unit: Some("kcal/mol".into()), ..Default::default() };
    for (name, content) in files {
        let path = folder.path().join(name);
        for length in 0..content.len() {
            std::fs::write(&path, &content[..length]).unwrap();
            let _ = load(&path, &options);
        }
        for at in 0..content.len() {
            let mut damaged = content.clone();
            damaged[at] = damaged[at].wrapping_mul(31).wrapping_add(at as u8);
            std::fs::write(&path, &damaged).unwrap();
            let _ = load(&path, &options);
        }
        std::fs::write(&path, &content).unwrap();
        load(&path, &options).unwrap();
    }
}

#[test]
fn real_md17_frames() {
    let path = Path::new("../shared/data/md17/ethanol_first2000.npz");
    if !path.exists() {
        println!("skipped: no MD17 data here");
        return;
    }
    let dataset = load(path, &ReadOptions { need_forces: true, ..real() }).unwrap();
    assert_eq!((dataset.len(), dataset.species), (2000, vec![6, 6, 8, 1, 1, 1, 1, 1, 1]));
    assert!(dataset.source.warnings.is_empty(), "{:?}", dataset.source.warnings);
}
