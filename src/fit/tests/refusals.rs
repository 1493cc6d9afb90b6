//! What is refused, and what is said.

use ndarray::Array3;

use super::*;
use crate::analytic::{hydroxymethyl, water};

fn refused(data: &Dataset, settings: &Settings) -> Error {
    fit(data, settings, &mut |_| panic!("work began before the refusal")).unwrap_err()
}

fn small() -> Dataset {
    dataset(&water(), &water().frames(400.0, 40, 1))
}

#[test]
fn data_that_cannot_be_fitted() {
    let error = refused(&Dataset { forces: None, ..small() }, &given(10));
    assert!(error.exit_code() == 2 && error.to_string().contains("no forces"), "{error}");
    let error = refused(&small().subset(&(0..19).collect::<Vec<_>>()).unwrap(), &given(10));
    assert!(error.exit_code() == 2 && error.to_string().contains("19 frames are too few"), "{error}");
    assert!(error.to_string().contains("at least 20"), "{error}");
    let zero = Dataset { forces: Some(Array3::zeros((40, 3, 3))), ..small() };
    assert!(refused(&zero, &given(10)).to_string().contains("every force is zero"));
    // Two molecules.
    let one = small();
    let mut positions = Array3::zeros((40, 6, 3));
    positions.slice_mut(ndarray::s![.., ..3, ..]).assign(&one.positions);
    positions.slice_mut(ndarray::s![.., 3.., ..]).assign(&(&one.positions + 5.0));
    let forces = Some(Array3::ones((40, 6, 3)));
    let two =
        Dataset::from_arrays([one.species.clone(), one.species].concat(), positions, forces, None, None);
    let error = refused(&two.unwrap(), &given(10));
    assert!(error.exit_code() == 2 && error.to_string().contains("fragments"), "{error}");
}

#[test]
fn settings_out_of_range() {
    let data = small();
    for (settings, words) in [
        (Settings { sigma: Some(0.0), ..given(10) }, ["sigma = 0", "1e-3 to 1e6"]),
        (Settings { sigma: Some(f64::NAN), ..given(10) }, ["sigma = NaN", "1e-3 to 1e6"]),
        (Settings { ridge: Some(2.0), ..given(10) }, ["ridge = 2", "1e-16 to 1e0"]),
        (Settings { ridge: Some(-1e-9), ..given(10) }, ["ridge = -0.000000001", "1e-16 to 1e0"]),
        (given(1), ["1 frame", "at least 2"]),
    ] {
        let error = refused(&data, &settings);
        let said = error.to_string();
        assert!(error.exit_code() == 2 && words.iter().all(|word| said.contains(word)), "{said}");
    }
}

#[test]
fn a_matrix_that_does_not_fit_in_memory() {
    let molecule = hydroxymethyl();
    let data = dataset(&molecule, &molecule.frames(500.0, 400, 2));
    // Nine rows a frame: room for the matrix of 50 frames and no more.
    let memory = Some(8 * (9 * 50) * (9 * 50));
    let error = refused(&data, &Settings { memory, ..given(120) });
    let said = error.to_string();
    assert!(error.exit_code() == 2 && said.contains("120 frames") && said.contains("at most 50 "), "{said}");
    let found = quiet(&data, &Settings { memory, ..given(50) }).unwrap();
    assert_eq!(found.report.rows, 450);
    refused(&data, &Settings { memory, ..given(51) });
}

#[test]
fn frames_that_are_not_there_or_alike() {
    // A tenth is held out, and of the rest there are no more.
    let data = small();
    let found = quiet(&data, &given(1000)).unwrap();
    assert_eq!(found.report.frames.len() + found.report.held_out.frames, 40);
    // Only frames that differ are learned from: each of these stands there four times.
    let rows: Vec<usize> = (0..160).map(|k| k / 4).collect();
    let found = quiet(&data.subset(&rows).unwrap(), &given(1000)).unwrap();
    let mut learned: Vec<usize> = found.report.frames.iter().map(|frame| frame / 4).collect();
    learned.sort_unstable();
    learned.dedup();
    assert_eq!(learned.len(), found.report.frames.len());
}

#[test]
fn the_caller_may_stop_it() {
    let mut calls = 0;
    let settings = Settings { frames: 20, ..Settings::default() };
    let error = fit(&small(), &settings, &mut |_| {
        calls += 1;
        match calls {
            3 => Err(Error::Interrupted("enough".into())),
            _ => Ok(()),
        }
    });
    assert!(matches!(error, Err(Error::Interrupted(why)) if why == "enough") && calls == 3);
}
