//! The NumPy reference on the same frames; `tests/goldens/make_fit_goldens.py` writes the numbers.

use ndarray::{s, Array1, Array3};
use serde_json::Value;

use super::super::system::{matrix, solve};
use super::*;

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn whole(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../tests/goldens/fit.json")).unwrap()
}

fn data(case: &Value) -> Dataset {
    let species: Vec<u8> = whole(&case["species"]).into_iter().map(|z| z as u8).collect();
    let energies = Array1::from_vec(numbers(&case["energies"]));
    let shape = (energies.len(), species.len(), 3);
    let cube = |name: &str| Array3::from_shape_vec(shape, numbers(&case[name])).unwrap();
    Dataset::from_arrays(species, cube("positions"), Some(cube("forces")), Some(energies), None).unwrap()
}

/// The fit to the first frames of a case, at the ridge of the reference, tested on the others.
fn fitted(case: &Value, data: &Dataset) -> (Gdml, HeldOut) {
    let learned = case["learned"].as_u64().unwrap() as usize;
    let permutations: Vec<Vec<usize>> = case["permutations"].as_array().unwrap().iter().map(whole).collect();
    let forces = data.forces.as_ref().unwrap();
    let problem = Problem {
        dataset: data,
        forces,
        orders: permutations.iter().map(|p| descriptor_order(p)).collect(),
        permutations,
        candidates: (0..learned).collect(),
        chosen: (0..learned).collect(),
        held_out: (learned..data.len()).collect(),
        scale: forces.slice(s![..learned, .., ..]).std(0.0),
    };
    let ones = vec![1.0; problem.distances()];
    let frames = problem.frames(learned, &ones).unwrap();
    let rows: usize = frames.iter().map(Frame::rank).sum();
    assert_eq!(rows, learned * (3 * data.atoms() - 6));
    // The reference's ridge is over the mean diagonal of all 3n rows of a frame; both have the same trace.
    let ridge = case["ridge"].as_f64().unwrap() * rows as f64 / (3 * data.atoms() * learned) as f64;
    let sigma = case["sigma"].as_f64().unwrap();
    let solution = solve(matrix(&frames, &problem.orders, sigma), &frames, ridge, problem.scale).unwrap();
    let (parts, held_out) = problem.judge(problem.parts(&frames, &solution, sigma, &ones)).unwrap();
    (Gdml::new(parts).unwrap(), held_out)
}

#[test]
fn energies_and_forces_are_those_of_the_reference() {
    for case in cases() {
        let data = data(&case);
        let (mut field, held_out) = fitted(&case, &data);
        let (energies, forces) = evaluate(&mut field, &data.species, data.positions.view()).unwrap();
        let (e, f) = (numbers(&case["expected_energies"]), numbers(&case["expected_forces"]));
        let name = &case["name"];
        let largest = f.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
        for (ours, theirs) in forces.iter().zip(&f) {
            assert!((ours - theirs).abs() < 1e-6 * largest, "{name}: force {ours} for {theirs}");
        }
        let mean = e.iter().sum::<f64>() / e.len() as f64;
        let spread = rms(&e.iter().map(|e| e - mean).collect::<Vec<_>>());
        for (ours, theirs) in energies.iter().zip(&e) {
            assert!((ours - theirs).abs() < 1e-6 * spread, "{name}: energy {ours} for {theirs}");
        }

        // The errors that are reported, from the reference's predictions.
        let learned = case["learned"].as_u64().unwrap() as usize;
        let (from, labels) = (learned * data.atoms() * 3, numbers(&case["forces"]));
        let off: Vec<f64> = f[from..].iter().zip(&labels[from..]).map(|(a, b)| a - b).collect();
        let absolute = off.iter().map(|d| d.abs()).sum::<f64>() / off.len() as f64;
        approx::assert_relative_eq!(held_out.force_rmse, rms(&off), max_relative = 1e-5);
        approx::assert_relative_eq!(held_out.force_mae, absolute, max_relative = 1e-5);
        approx::assert_relative_eq!(held_out.rms_force, rms(&labels[from..]), max_relative = 1e-12);
        let lengths = labels[from..].chunks(3).map(|f| f.iter().map(|f| f * f).sum::<f64>().sqrt());
        let mean_force = lengths.sum::<f64>() / ((labels.len() - from) / 3) as f64;
        approx::assert_relative_eq!(held_out.mean_force, mean_force, max_relative = 1e-12);
        let labels = numbers(&case["energies"]);
        let off: Vec<f64> = e[learned..].iter().zip(&labels[learned..]).map(|(a, b)| a - b).collect();
        approx::assert_relative_eq!(held_out.energy_rmse.unwrap(), rms(&off), max_relative = 1e-5);
        assert_eq!(held_out.frames, data.len() - learned);
    }
}

#[test]
fn permutations_left_out_are_seen() {
    let case = cases().into_iter().find(|case| case["name"] == "six permutations").unwrap();
    let data = data(&case);
    let mut fewer = case.clone();
    let turns = [0, 3, 4].map(|k| case["permutations"][k].clone());
    fewer["permutations"] = turns.to_vec().into();
    let (mut field, _) = fitted(&fewer, &data);
    let (_, forces) = evaluate(&mut field, &data.species, data.positions.view()).unwrap();
    let expected = numbers(&case["expected_forces"]);
    let off: Vec<f64> = forces.iter().zip(&expected).map(|(a, b)| a - b).collect();
    assert!(rms(&off) > 1e-4 * rms(&expected), "{}", rms(&off) / rms(&expected));
}
