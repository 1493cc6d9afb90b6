use std::f64::consts::PI;

use super::*;
use crate::dataset::{elements, Source};
use crate::molecule::samples::{build, Row, PEROXIDE};
use crate::molecule::vector::{between, cross, dot, norm};
use crate::sampler::noise::{Purpose, Stream};
use ndarray::Array3;

const KELVIN: f64 = 500.0;

/// V = k1 cos phi + k3 cos 3 phi and its slope, kcal/mol.
fn potential(phi: f64) -> (f64, f64) {
    let (k1, k3) = (0.8, 0.6);
    (k1 * phi.cos() + k3 * (3.0 * phi).cos(), -k1 * phi.sin() - 3.0 * k3 * (3.0 * phi).sin())
}

fn dataset(species: Vec<u8>, positions: Array3<f64>, forces: Array3<f64>) -> Dataset {
    let masses = species.iter().map(|&z| elements::mass(z).unwrap()).collect();
    let source = Source {
        path: "chain".into(),
        format: "test".into(),
        frames: (0..positions.dim().0).collect(),
        atoms_in_file: species.len(),
        periodic: false,
        units: "angstrom".into(),
        digest: String::new(),
        warnings: Vec::new(),
        keep: crate::dataset::Keep::Nowhere,
    };
    Dataset { species, masses, positions, forces: Some(forces), energies: None, velocities: None, source }
}

/// A stiff H-O-O-H whose dihedral has density proportional to `density(phi)` at most 1 and whose forces are those
/// of the potential, with noise of other modes.
fn chain(frames: usize, seed: u64, density: impl Fn(f64) -> f64) -> Dataset {
    let mut stream = Stream::new(seed, Purpose::Data, 0);
    let mut positions = Array3::zeros((frames, 4, 3));
    let mut forces = Array3::zeros((frames, 4, 3));
    for frame in 0..frames {
        let phi = loop {
            let phi = PI * (2.0 * stream.uniform() - 1.0);
            if stream.uniform() < density(phi) {
                break phi;
            }
        };
        let mut rows: Vec<Row> = PEROXIDE.to_vec();
        rows[2].2[1] += 4.0 * stream.normal();
        rows[3].2[1] += 4.0 * stream.normal();
        rows[3].2[2] = phi.to_degrees();
        for (atom, at) in build(&rows).into_iter().enumerate() {
            for k in 0..3 {
                positions[[frame, atom, k]] = at[k];
            }
        }
        // F = -V' grad phi: the gradient at an end of p-q-r-s is along the normal of its plane, b / (n . n).
        let view = positions.view();
        let (a, b, c) =
            (between(&view, frame, 0, 2), between(&view, frame, 1, 0), between(&view, frame, 3, 1));
        let (n1, n2) = (cross(a, b), cross(b, c));
        let slope = potential(phi).1;
        let rough = 3.0 * stream.normal();
        for k in 0..3 {
            let near = -norm(b) * n1[k] / dot(n1, n1);
            let far = norm(b) * n2[k] / dot(n2, n2);
            // A torque that averages to nothing at every phi stands for the other modes.
            forces[[frame, 2, k]] = -slope * near + rough * near;
            forces[[frame, 3, k]] = -slope * far + rough * far;
        }
    }
    dataset(PEROXIDE.iter().map(|row| row.0).collect(), positions, forces)
}

/// Shares of twelve parts of the circle by quadrature.
fn exact() -> Vec<f64> {
    let weight = |phi: f64| (-potential(phi).0 / (BOLTZMANN * KELVIN)).exp();
    let part = |k: usize| -> f64 {
        (0..100).map(|j| weight(-PI + (k as f64 + (f64::from(j) + 0.5) / 100.0) * PI / 6.0)).sum()
    };
    let parts: Vec<f64> = (0..12).map(part).collect();
    let sum: f64 = parts.iter().sum();
    parts.iter().map(|part| part / sum).collect()
}

fn histogram(phi: &Array1<f64>, weights: &Array1<f64>) -> Vec<f64> {
    let mut out = vec![0.0; 12];
    for (phi, weight) in phi.iter().zip(weights) {
        out[(((phi + PI) / (PI / 6.0)) as usize).min(11)] += weight;
    }
    out
}

fn variation(a: &[f64], b: &[f64]) -> f64 {
    0.5 * a.iter().zip(b).map(|(x, y)| (x - y).abs()).sum::<f64>()
}

#[test]
fn weights_bring_back_the_boltzmann_distribution() {
    for seed in [1, 2, 3] {
        let data = chain(6000, seed, |phi| 0.55 + 0.35 * phi.cos() - 0.1 * (2.0 * phi).sin());
        let bonds = Bonds::from_mean_distances(&data.species, data.positions.view()).unwrap();
        let found = torsional_weights(&data, &bonds, None, KELVIN).unwrap();
        let phi = super::super::dihedral::dihedral(data.positions.view(), found.dihedrals[0].atoms);
        let equal = Array1::from_elem(6000, 1.0 / 6000.0);
        let (before, after) = (
            variation(&histogram(&phi, &equal), &exact()),
            variation(&histogram(&phi, &found.weights), &exact()),
        );
        assert!(before > 0.3 && after < 0.05, "{before} {after}");
        let own = &found.dihedrals[0];
        assert!(
            (own.coefficients[0] - 0.8).abs() < 0.15 && (own.coefficients[4] - 0.6).abs() < 0.1,
            "{own:?}"
        );
        let thirds = exact();
        let trans = thirds[..2].iter().chain(&thirds[10..]).sum::<f64>();
        assert!((own.weighted[0] - trans).abs() < 0.04 && (own.by_mean_force[0] - trans).abs() < 0.04);
        assert!(found.effective > 0.2 && found.effective < 0.8 && found.capped == 0);
        assert!((found.weights.sum() - 1.0).abs() < 1e-12 && found.coupled.is_empty());
        // The mirror image and the swap of the equal ends: sines are gone, and gauche+ is gauche-.
        let group = SymmetryGroup::find(&data.species, data.positions.view(), &bonds).unwrap();
        let found = torsional_weights(&data, &bonds, Some(&group), KELVIN).unwrap();
        let own = &found.dihedrals[0];
        assert!(found.images >= 2 && own.coefficients[1] == 0.0 && own.coefficients[5] == 0.0);
        assert!((own.by_mean_force[1] - own.by_mean_force[2]).abs() < 1e-12);
    }
}

#[test]
fn right_data_keeps_nearly_equal_weights() {
    let thermal = BOLTZMANN * KELVIN;
    let data = chain(6000, 5, |phi| ((-1.4 - potential(phi).0) / thermal).exp());
    let bonds = Bonds::from_mean_distances(&data.species, data.positions.view()).unwrap();
    let found = torsional_weights(&data, &bonds, None, KELVIN).unwrap();
    assert!(found.effective > 0.96, "{}", found.effective);
}

#[test]
fn refusals_say_what_to_do() {
    let say = |data: &Dataset, kelvin: f64| {
        let bonds = Bonds::from_mean_distances(&data.species, data.positions.view()).unwrap();
        torsional_weights(data, &bonds, None, kelvin).unwrap_err().to_string()
    };
    let data = chain(400, 1, |_| 1.0);
    assert!(say(&data, 0.0).contains("positive") && say(&data, f64::NAN).contains("positive"));
    // All but one in fifty stand where a cold molecule never is.
    let away = chain(3000, 1, |phi| if phi.abs() < 2.0 { 1.0 } else { 0.03 });
    assert!(say(&away, 60.0).contains("% of the frames count"));
    let mut blind = data.clone();
    blind.forces = None;
    assert!(say(&blind, 500.0).contains("need forces"));
    let apart = chain(400, 1, |phi| if (phi.abs() - 1.5).abs() < 0.3 { 1.0 } else { 0.0 });
    assert!(say(&apart, 500.0).contains("wells are apart"));
    let narrow = chain(400, 1, |phi| if (phi - 1.5).abs() < 0.3 { 1.0 } else { 0.0 });
    assert!(say(&narrow, 500.0).contains("one well"));
    assert!(say(&chain(50, 1, |_| 1.0), 500.0).contains("too few"));
    let mut water = chain(200, 1, |_| 1.0);
    water.species = vec![8, 1, 1];
    water.positions = water.positions.select(ndarray::Axis(1), &[0, 2, 2]);
    water.positions.slice_mut(ndarray::s![.., 2, 0]).mapv_inplace(|x| x - 1.5);
    assert!(say(&water, 500.0).contains("no rotatable bond"));
}
