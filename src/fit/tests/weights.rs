//! Weights of the distances: the slopes they are found by, and what they are worth.

use ndarray::s;

use super::super::weights::{classes, Search};
use super::*;
use crate::analytic::{hydroxymethyl, water};

fn weighted(frames: usize) -> Settings {
    Settings { plain: false, ..given(frames) }
}

#[test]
fn slopes_are_those_of_the_objective() {
    let molecule = hydroxymethyl();
    let all = dataset(&molecule, &molecule.frames(500.0, 120, 21));
    let without = Dataset { energies: None, ..all.clone() };
    for data in [all, without] {
        let problem = Problem::new(&data, &weighted(30)).unwrap();
        let mut search = Search::new(&problem, 10.0, 1e-7).unwrap().unwrap();
        let classes = classes(&problem.orders, problem.distances());
        let number = classes.iter().max().unwrap() + 1;
        // Two hydrogens are alike: their distances to the three other atoms are.
        assert_eq!((problem.distances(), number), (10, 7));
        let start: Vec<f64> = (0..number).map(|k| 0.25 * (k as f64 - 3.0)).collect();
        let of = |logarithms: &[f64]| -> Vec<f64> { classes.iter().map(|&k| logarithms[k].exp()).collect() };
        let found = search.error(&of(&start)).unwrap();
        assert_eq!(found.energy_rmse.is_some(), data.energies.is_some());
        for k in 0..number {
            let own: f64 = classes.iter().zip(&found.slopes).filter(|(c, _)| **c == k).map(|(_, s)| s).sum();
            let mut at = |h: f64| {
                let mut moved = start.clone();
                moved[k] += h;
                search.error(&of(&moved)).unwrap().objective
            };
            let expected = (at(1e-4) - at(-1e-4)) / 2e-4;
            assert!((own - expected).abs() < 1e-4 * (0.1 + expected.abs()), "{k}: {own} for {expected}");
        }
    }
}

#[test]
fn one_weight_for_all_is_a_shorter_kernel() {
    let molecule = water();
    let data = dataset(&molecule, &molecule.frames(500.0, 80, 22));
    let plain = quiet(&data, &Settings { sigma: Some(4.0), ..given(20) }).unwrap();
    let problem = Problem::new(&data, &Settings { sigma: Some(8.0), ..given(20) }).unwrap();
    let twice = vec![2.0; problem.distances()];
    let frames = problem.frames(20, &twice).unwrap();
    let (parts, ridge) = problem.raised(&frames, (8.0, 1e-9), &twice, log::Level::Warn).unwrap();
    let (parts, held_out) = problem.judge(parts).unwrap();
    assert_eq!(ridge, 1e-9);
    approx::assert_relative_eq!(held_out.force_rmse, plain.report.held_out.force_rmse, max_relative = 1e-6);
    let mut fields = [plain.field, Gdml::new(parts).unwrap()];
    let [a, b] =
        fields.each_mut().map(|field| evaluate(field, &data.species, data.positions.view()).unwrap());
    let largest = rms(&a.1);
    assert!(a.1.iter().zip(&b.1).all(|(a, b)| (a - b).abs() < 1e-6 * largest));
    assert!(a.0.iter().zip(&b.0).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn weights_err_less_on_another_trajectory() {
    let molecule = hydroxymethyl();
    let data = dataset(&molecule, &molecule.frames(500.0, 800, 23));
    let fresh = dataset(&molecule, &molecule.frames(500.0, 500, 24));
    let error = |settings: &Settings| {
        let mut found = quiet(&data, settings).unwrap();
        let (e, f) = evaluate(&mut found.field, &data.species, fresh.positions.view()).unwrap();
        let error =
            (rms(&(e - fresh.energies.as_ref().unwrap())), rms(&(f - fresh.forces.as_ref().unwrap())));
        (error, found)
    };
    let (plain, one) = error(&given(60));
    let (own, mut found) = error(&weighted(60));
    assert!(own.0 < 0.8 * plain.0 && own.1 < 0.8 * plain.1, "{own:?} with weights, {plain:?} without");
    assert_eq!(one.report.weights, [1.0, 1.0]);
    let [least, most] = found.report.weights;
    assert!(least > 0.0 && most > 1.5 * least, "{least} to {most}");
    let parts = found.field.parts().clone();
    assert!(parts.weighted() && !one.field.parts().weighted());

    // The forces are the energy's own slopes.
    let x = fresh.positions.slice(s![..1, .., ..]).to_owned();
    let (_, forces) = evaluate(&mut found.field, &data.species, x.view()).unwrap();
    for atom in 0..data.atoms() {
        for c in 0..3 {
            let mut at = |h: f64| {
                let mut x = x.clone();
                x[[0, atom, c]] += h;
                evaluate(&mut found.field, &data.species, x.view()).unwrap().0[0]
            };
            let expected = -(at(1e-4) - at(-1e-4)) / 2e-4;
            let own = forces[[0, atom, c]];
            assert!((own - expected).abs() < 1e-3 * (1.0 + expected.abs()), "{own} for {expected}");
        }
    }
    // Both hydrogens may be in each other's place.
    let swapped = x.select(Axis(1), &[0, 1, 2, 4, 3]);
    let of = |x: &Array3<f64>| evaluate(&mut found.field.clone(), &data.species, x.view()).unwrap().0[0];
    assert!((of(&x) - of(&swapped)).abs() < 1e-8);

    // Weights that break the symmetry are refused, as are others that make no sense.
    let first = |value: f64| {
        let mut parts = parts.clone();
        parts.weights[9] = value;
        Gdml::new(parts)
    };
    assert!(first(parts.weights[9]).is_ok());
    for bad in [0.0, -1.0, 1e9, f64::NAN, f64::INFINITY] {
        assert!(first(bad).is_err());
    }
    let mut broken = parts.clone();
    let moved = (0..10).find(|&k| broken.orders[1][k] != k).unwrap();
    broken.weights[moved] *= 1.1;
    assert!(Gdml::new(broken).unwrap_err().to_string().contains("permutation"));
    let mut short = parts;
    short.weights.pop();
    assert!(Gdml::new(short).is_err());
}

/// Frames of which all but a few are the same: errors of zero are no reason to refuse a fit.
#[test]
fn frames_that_are_mostly_alike_are_fitted() {
    let molecule = water();
    let rows: Vec<usize> = (0..200).map(|k| if k % 25 == 0 { k / 25 } else { 29 }).collect();
    let data = dataset(&molecule, &molecule.frames(500.0, 30, 26)).subset(&rows).unwrap();
    let plain = quiet(&data, &given(20)).unwrap();
    let own = quiet(&data, &weighted(20)).unwrap();
    assert_eq!(own.report.frames, plain.report.frames);
    assert!(own.report.weights[0] > 0.0);
}

#[test]
fn too_few_frames_to_tell_leave_all_weights_at_one() {
    let molecule = water();
    let data = dataset(&molecule, &molecule.frames(500.0, FEWEST_FRAMES, 25));
    let found = quiet(&data, &weighted(FEWEST_FRAMES)).unwrap();
    assert_eq!(found.report.weights, [1.0, 1.0]);
}
