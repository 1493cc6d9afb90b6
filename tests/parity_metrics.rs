//! The figures against the NumPy reference implementation (tests/goldens/make_goldens.py).
#![allow(clippy::unwrap_used, missing_docs)]

use approx::assert_relative_eq;
use boltzdrift::metrics::{evaluate, Ensemble, Evaluation, Options};
use ndarray::{Array1, Array3};
use serde_json::Value;

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/metrics.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

fn frames(value: &Value) -> Array3<f64> {
    let (count, atoms) = (value.as_array().unwrap().len(), value[0].as_array().unwrap().len());
    Array3::from_shape_vec((count, atoms, 3), numbers(value)).unwrap()
}

fn species(golden: &Value) -> Vec<u8> {
    numbers(&golden["species"]).into_iter().map(|z| z as u8).collect()
}

fn evaluation(golden: &Value, options: &Options) -> Evaluation {
    let species = species(golden);
    let (a, b) = (frames(&golden["samples"]), frames(&golden["reference"]));
    let energies = ["sample_energies", "reference_energies"].map(|name| Array1::from(numbers(&golden[name])));
    let samples = Ensemble { species: &species, positions: a.view(), energies: Some(energies[0].view()) };
    let reference = Ensemble { species: &species, positions: b.view(), energies: Some(energies[1].view()) };
    evaluate(&samples, &reference, options).unwrap()
}

/// Every number of `expected` stands in `found` under the same name.
fn compare(name: &str, expected: &Value, found: &Value) {
    match expected {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| compare(&format!("{name}.{key}"), value, &found[key]))
        }
        _ => {
            let (a, b) = (expected.as_f64().unwrap(), found.as_f64().unwrap_or(f64::NAN));
            assert!((a - b).abs() <= 1e-6 * a.abs().max(1e-9), "{name}: {b}, the reference has {a}");
        }
    }
}

#[test]
fn all_figures_are_the_references() {
    let golden = golden();
    let found = evaluation(&golden, &Options::default());
    assert_eq!(found.symmetry_order, Some(6));
    let json = serde_json::to_value(&found).unwrap();
    let Value::Object(expected) = &golden["expected"] else { unreachable!("an object") };
    assert!(expected.len() >= 17);
    for (name, value) in expected {
        if let "dihedral_tvd" | "dihedral_tvd_sym" = name.as_str() {
            let each = numbers(value);
            let mean = each.iter().sum::<f64>() / each.len() as f64;
            assert_relative_eq!(json[name].as_f64().unwrap(), mean, max_relative = 1e-9);
            for (one, expected) in found.figures.dihedrals.iter().zip(&each) {
                let value = if name.ends_with("sym") { one.tvd_sym.unwrap() } else { one.tvd };
                assert_relative_eq!(value, *expected, max_relative = 1e-9);
            }
        } else {
            compare(name, value, &json[name]);
        }
        assert!(!json[format!("floor_{name}")].is_null(), "no floor for {name}");
    }
}

#[test]
fn the_floor_depends_on_the_seed_only() {
    let golden = golden();
    let first = evaluation(&golden, &Options::default());
    assert_eq!(first, evaluation(&golden, &Options::default()));
    let other = evaluation(&golden, &Options { seed: 1, ..Options::default() });
    assert_eq!(first.figures, other.figures);
    assert_ne!(first.floor, other.floor);
    let plain = evaluation(&golden, &Options { symmetry: false, ..Options::default() });
    assert_eq!((plain.symmetry_order, plain.figures.pair_tvd_sym), (None, None));
    assert_eq!(plain.figures.pair_tvd, first.figures.pair_tvd);
}

#[test]
fn symmetrized_figures_do_not_see_which_image_a_sample_is() {
    let golden = golden();
    let species = species(&golden);
    let (a, b) = (frames(&golden["samples"]), frames(&golden["reference"]));
    let mut images = a.clone();
    // Every second sample with its methyl group turned, every third mirrored with the permutation that goes with it.
    let (turn, odd) = ([0, 1, 2, 3, 4, 6, 7, 5, 8], [0, 1, 2, 4, 3, 5, 7, 6, 8]);
    for (frame, mut image) in images.outer_iter_mut().enumerate() {
        if frame % 2 == 0 {
            image.assign(&image.select(ndarray::Axis(0), &turn));
        }
        if frame % 3 == 0 {
            image.assign(&image.select(ndarray::Axis(0), &odd).mapv(|x| -x));
        }
    }
    let reference = Ensemble { species: &species, positions: b.view(), energies: None };
    let of = |positions: &Array3<f64>| {
        let samples = Ensemble { species: &species, positions: positions.view(), energies: None };
        evaluate(&samples, &reference, &Options::default()).unwrap().figures
    };
    let (one, other) = (of(&a), of(&images));
    assert!((one.pair_tvd - other.pair_tvd).abs() > 1e-3);
    for (x, y) in [
        (one.pair_tvd_sym, other.pair_tvd_sym),
        (one.angle_tvd_sym, other.angle_tvd_sym),
        (one.dihedral_tvd_sym, other.dihedral_tvd_sym),
        (one.bond_sigma_sym, other.bond_sigma_sym),
    ] {
        assert_relative_eq!(x.unwrap(), y.unwrap(), max_relative = 1e-9);
    }
}

#[test]
fn wrong_input_is_named() {
    let golden = golden();
    let species = species(&golden);
    let (a, b) = (frames(&golden["samples"]), frames(&golden["reference"]));
    let reference = Ensemble { species: &species, positions: b.view(), energies: None };
    let message = |samples: &Ensemble, reference: &Ensemble| {
        evaluate(samples, reference, &Options::default()).unwrap_err().to_string()
    };
    let good = Ensemble { species: &species, positions: a.view(), energies: None };
    let mut others = species.clone();
    others.swap(0, 2);
    assert!(message(&Ensemble { species: &others, ..good }, &reference).contains("elements differ"));
    let one = Ensemble { positions: a.slice(ndarray::s![..1, .., ..]), ..good };
    assert!(message(&one, &reference).contains("samples: 1 frame(s)"));
    assert!(message(&good, &one).contains("reference: 1 frame(s)"));
    let fewer =
        Ensemble { species: &species[..8], positions: a.slice(ndarray::s![.., ..8, ..]), energies: None };
    assert!(message(&fewer, &reference).contains("8 atoms"));
    let mut broken = a.clone();
    broken[[7, 2, 1]] = f64::NAN;
    let broken = Ensemble { positions: broken.view(), ..good };
    assert!(message(&broken, &reference).contains("samples: frame 7"));
    let energies = Array1::from_elem(70, f64::INFINITY);
    let hot = Ensemble { energies: Some(energies.view()), ..good };
    assert!(message(&hot, &reference).contains("energy of frame 0"));
    let frozen = Array3::from_shape_fn((6, 9, 3), |(_, atom, k)| b[[0, atom, k]]);
    let frozen = Ensemble { positions: frozen.view(), ..good };
    assert!(message(&good, &frozen).contains("does not vary"));
}
