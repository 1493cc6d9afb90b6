//! Trajectories and force fields.

use std::io::Write as _;

use boltzdrift::dataset::{self, Dataset, ReadOptions};
use boltzdrift::potential::{self, Gdml, Potential};
use boltzdrift::report;
use boltzdrift::units::UnitSystem;
use ndarray::Array3;

use super::file;

fn finite(data: &Dataset) {
    let all = [Some(&data.positions), data.forces.as_ref(), data.velocities.as_ref()];
    assert!(all.into_iter().flatten().flatten().all(|value| value.is_finite()));
    assert!(data.energies.iter().flatten().all(|value| value.is_finite()));
    assert_eq!(data.positions.dim(), (data.len(), data.species.len(), 3));
    assert!(data.masses.len() == data.species.len() && data.masses.iter().all(|m| *m > 0.0));
}

/// Reads a trajectory; what comes in has finite numbers and one shape.
fn read(name: &str, bytes: &[u8], options: &ReadOptions) {
    if let Ok(data) = dataset::read(&file(name, bytes), options, &mut |_| Ok(())) {
        finite(&data);
        // What is looked at first: bonds, symmetry, thermometer. Larger molecules take longer, which is no fault.
        if data.atoms() <= 9 && data.len() <= 12 {
            let _ = report::inspect(&data, Some(300.0));
        }
    }
}

/// Units, and elements for the types.
fn options() -> ReadOptions {
    let types = ["C", "H", "O"].map(str::to_owned).to_vec();
    ReadOptions { units: Some(UnitSystem::REAL), types, ..ReadOptions::default() }
}

/// An extended XYZ file.
pub fn xyz(bytes: &[u8]) {
    read("a.xyz", bytes, &ReadOptions { types: Vec::new(), ..options() });
}

/// A LAMMPS dump.
pub fn dump(bytes: &[u8]) {
    read("a.lammpstrj", bytes, &ReadOptions { format: Some("LAMMPS".into()), ..options() });
}

/// What chemfiles reads by itself; the first byte chooses the format.
pub fn other(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let formats = ["PDB", "GRO", "LAMMPS Data"];
    let format = formats[usize::from(*first) % formats.len()];
    let types = if format == "LAMMPS Data" { options().types } else { Vec::new() };
    let units = if format == "LAMMPS Data" { Some(UnitSystem::REAL) } else { None };
    read(
        "a.file",
        bytes,
        &ReadOptions { format: Some(format.into()), types, units, ..ReadOptions::default() },
    );
}

/// A zip: of members that the input spells out, which have right checksums, or the input itself.
pub fn zipped(bytes: &[u8], names: &[&str]) -> Vec<u8> {
    use npyz::zip::{write::FileOptions, CompressionMethod, ZipWriter};
    let Some((&first, mut rest)) = bytes.split_first() else { return Vec::new() };
    if first == b'P' {
        return bytes.to_vec();
    }
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let kind = [CompressionMethod::Stored, CompressionMethod::Deflated][usize::from(first & 1)];
    // A member is the number of its name, its length in two bytes, and its bytes.
    while let [name, low, high, more @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(more.len());
        let name = names[usize::from(*name) % names.len()];
        let options = FileOptions::default().compression_method(kind);
        if zip.start_file(format!("{name}.npy"), options).is_ok() {
            zip.write_all(&more[..length]).unwrap();
        }
        rest = &more[length..];
    }
    zip.finish().unwrap().into_inner()
}

/// Names of arrays of a trajectory; [`super::seeds`] counts on their order.
pub const ARRAYS: [&str; 7] = ["R", "z", "F", "E", "V", "r_unit", "e_unit"];

/// An MD17 or sGDML data set.
pub fn npz(bytes: &[u8]) {
    read("a.npz", &zipped(bytes, &ARRAYS), &ReadOptions { types: Vec::new(), ..options() });
}

/// Names of arrays of a force field; [`super::seeds`] counts on their order.
pub const PARTS: [&str; 18] = [
    "z",
    "R_desc",
    "R_d_desc_alpha",
    "perms",
    "tril_perms_lin",
    "sig",
    "std",
    "c",
    "r_unit",
    "e_unit",
    "boltzdrift",
    "lattice",
    "Rt_desc",
    "Rt_d_desc_alpha",
    "Rw_desc",
    "Rw_d_desc_alpha",
    "desc_weights",
    "guide_d_desc_alpha",
];

/// An sGDML force field: what opens answers, with numbers or with an error.
pub fn gdml(bytes: &[u8]) {
    let Ok(mut field) = Gdml::load(file("field.npz", &zipped(bytes, &PARTS))) else { return };
    let species = field.species().to_vec();
    if species.len() > 12 {
        return;
    }
    let frames = Array3::from_shape_fn((2, species.len(), 3), |(k, atom, axis)| {
        (1.3 * (atom as f64) + 0.7 * (axis as f64) + 0.1 * k as f64).sin() * 2.0 + atom as f64
    });
    if let Ok((energies, forces)) = potential::evaluate(&mut field, &species, frames.view()) {
        assert!(energies.iter().chain(&forces).all(|value| value.is_finite()));
    }
    if let Some((mut guide, cost)) = field.guide() {
        assert!(cost > 0.0 && cost < 1.0);
        let _ = potential::evaluate(&mut guide, &species, frames.view());
    }
}
