//! Bonds, dihedrals, symmetry, thermometer and force field against the NumPy reference implementation
//! (tests/goldens/make_goldens.py).
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashSet;

use approx::assert_relative_eq;
use boltzdrift::molecule::bonds::Bonds;
use boltzdrift::molecule::dihedral::{dihedral, harmonics};
use boltzdrift::molecule::symmetry::SymmetryGroup;
use boltzdrift::molecule::thermometer::configurational_temperature;
use boltzdrift::potential::gdml::Parts;
use boltzdrift::potential::{evaluate, Gdml};
use ndarray::{s, Array2, Array3};
use serde_json::Value;

fn golden(name: &str) -> Value {
    let path = format!("{}/tests/goldens/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

fn indices(value: &Value) -> Vec<usize> {
    numbers(value).into_iter().map(|x| x as usize).collect()
}

fn species(golden: &Value) -> Vec<u8> {
    numbers(&golden["species"]).into_iter().map(|z| z as u8).collect()
}

fn matrix(value: &Value) -> Array2<f64> {
    let rows = value.as_array().unwrap().len();
    let all = numbers(value);
    Array2::from_shape_vec((rows, all.len() / rows), all).unwrap()
}

fn frames(value: &Value) -> Array3<f64> {
    let (count, atoms) = (value.as_array().unwrap().len(), value[0].as_array().unwrap().len());
    Array3::from_shape_vec((count, atoms, 3), numbers(value)).unwrap()
}

#[test]
fn bonds_symmetry_and_thermometer() {
    let golden = golden("molecule");
    let (z, r, f) = (species(&golden), frames(&golden["positions"]), frames(&golden["forces"]));
    let bonds = Bonds::from_mean_distances(&z, r.view()).unwrap();
    let expected: Vec<(usize, usize)> = indices(&golden["bonds"]).chunks(2).map(|b| (b[0], b[1])).collect();
    assert_eq!(bonds.pairs, expected);
    let group = SymmetryGroup::find(&z, r.view(), &bonds).unwrap();
    // The reference lists rotations at even places and mirror images at odd ones.
    let expected: HashSet<(Vec<usize>, bool)> =
        indices(&golden["group"]).chunks(9).enumerate().map(|(k, p)| (p.to_vec(), k % 2 == 1)).collect();
    let found: HashSet<_> = group.operations.iter().map(|g| (g.permutation.clone(), g.mirror)).collect();
    assert_eq!(found, expected);
    let (total, each) = configurational_temperature(r.view(), f.view(), &bonds).unwrap();
    assert_relative_eq!(total.kelvin, golden["temperature"].as_f64().unwrap(), max_relative = 1e-6);
    // The reference's error of 20 fixed blocks is another estimate of the same; ours is tested on series with a
    // known correlation (molecule::correlation).
    assert!(total.error > 0.0 && total.correlation >= 1.0);
    assert_eq!(each.len(), 8);
}

#[test]
fn dihedrals_and_harmonics() {
    let golden = golden("molecule");
    let r = frames(&golden["positions"]);
    let quads: Vec<[usize; 4]> =
        indices(&golden["dihedrals"]).chunks(4).map(|q| [q[0], q[1], q[2], q[3]]).collect();
    let z = species(&golden);
    assert_eq!(Bonds::from_mean_distances(&z, r.view()).unwrap().rotatable(&z, r.view()), quads);
    for (k, &quad) in quads.iter().enumerate() {
        let phi = dihedral(r.view(), quad);
        for (found, expected) in phi.iter().zip(numbers(&golden["angles"][k])) {
            assert_relative_eq!(*found, expected, max_relative = 1e-9, epsilon = 1e-12);
        }
        let columns = harmonics(phi.slice(s![..5]), 3);
        assert_eq!(columns.dim(), (5, 6));
        for (found, expected) in columns.iter().zip(numbers(&golden["harmonics"][k])) {
            assert_relative_eq!(*found, expected, max_relative = 1e-9, epsilon = 1e-12);
        }
    }
}

#[test]
fn force_field() {
    let golden = golden("force_field");
    let number = |name: &str| golden[name].as_f64().unwrap();
    let (z, r) = (species(&golden), frames(&golden["positions"]));
    let (x, a) = (matrix(&golden["descriptors"]), matrix(&golden["coefficients"]));
    // The reference lists every frame under every permutation.
    let parts = Parts {
        species: z.clone(),
        permutations: vec![vec![0, 1, 2]],
        orders: vec![vec![0, 1, 2]],
        weights: vec![1.0; x.ncols()],
        descriptors: x,
        coefficients: a,
        guide: None,
        sigma: number("sigma"),
        scale: number("scale"),
        constant: number("constant"),
        record: Value::Null,
    };
    let mut field = Gdml::new(parts).unwrap();
    let (energies, forces) = evaluate(&mut field, &z, r.view()).unwrap();
    // The same model from a file of the later layout that counts in nm and kJ/mol.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/force_field.npz");
    let (same, images) = evaluate(&mut Gdml::load(path).unwrap(), &z, r.view()).unwrap();
    for (a, b) in energies.iter().zip(&same).chain(forces.iter().zip(&images)) {
        assert_relative_eq!(a, b, max_relative = 1e-9, epsilon = 1e-7);
    }
    for (found, expected) in energies.iter().zip(numbers(&golden["energies"])) {
        assert_relative_eq!(*found, expected, max_relative = 1e-9);
    }
    let scale = forces.iter().fold(0.0_f64, |a, f| a.max(f.abs()));
    for (found, expected) in forces.iter().zip(numbers(&golden["forces"])) {
        assert_relative_eq!(*found, expected, max_relative = 1e-6, epsilon = 1e-9 * scale);
    }
}
