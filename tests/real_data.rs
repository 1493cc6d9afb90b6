//! The figures and the thermometer on published MD17 frames, where these are at hand.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::PathBuf;
use std::time::Instant;

use boltzdrift::dataset::{elements, Dataset, Source};
use boltzdrift::metrics::{evaluate, Ensemble, Options};
use boltzdrift::molecule::bonds::Bonds;
use boltzdrift::molecule::mean_force::torsional_weights;
use boltzdrift::molecule::symmetry::SymmetryGroup;
use boltzdrift::report::{evaluation_table, inspect};
use ndarray::{Array3, Axis};

fn column(npz: &mut npyz::npz::NpzArchive<std::io::BufReader<std::fs::File>>, name: &str) -> Vec<f64> {
    match npz.by_name(name).unwrap().unwrap().try_data::<f64>() {
        Ok(data) => data.map(Result::unwrap).collect(),
        Err(single) => single.data::<f32>().unwrap().map(|x| f64::from(x.unwrap())).collect(),
    }
}

/// Frames of a file of the shared data; none where it is missing.
fn read(name: &str, species: &[u8]) -> Option<Dataset> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/md17").join(name);
    if !path.exists() {
        eprintln!("skipped: {name} is not here");
        return None;
    }
    let mut npz = npyz::npz::NpzArchive::open(&path).unwrap();
    let energies = column(&mut npz, "E");
    let shape = (energies.len(), species.len(), 3);
    let positions = Array3::from_shape_vec(shape, column(&mut npz, "R")).unwrap();
    let forces = Array3::from_shape_vec(shape, column(&mut npz, "F")).unwrap();
    let source = Source {
        path,
        format: "NumPy npz".into(),
        frames: (0..shape.0).collect(),
        atoms_in_file: species.len(),
        periodic: false,
        units: "angstrom, kcal/mol".into(),
        digest: String::new(),
        warnings: Vec::new(),
        keep: boltzdrift::dataset::Keep::Nowhere,
    };
    Some(Dataset {
        species: species.to_vec(),
        masses: species.iter().map(|&z| elements::mass(z).unwrap()).collect(),
        positions,
        forces: Some(forces),
        energies: Some(energies.into()),
        velocities: None,
        source,
    })
}

const ETHANOL: [u8; 9] = [6, 6, 8, 1, 1, 1, 1, 1, 1];

#[test]
fn ethanol_at_500_kelvin_is_at_643() {
    let Some(data) = read("ethanol_reference.npz", &ETHANOL) else { return };
    let found = inspect(&data, Some(500.0)).unwrap();
    eprintln!("{found}");
    let reading = found.thermometer.configurational.unwrap();
    assert!((reading.kelvin - 643.0).abs() < 3.0 * reading.error, "{reading:?}");
    assert!(found.warnings.iter().any(|warning| warning.contains("3N = 27")));
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    for one in &found.thermometer.classes {
        let reading = one.temperature.unwrap();
        assert!((reading.kelvin - 643.0).abs() < 3.0 * reading.error, "{one:?}");
    }
    let spread = found.thermometer.energy_spread.unwrap().temperature;
    assert!((spread.kelvin - 643.0).abs() < 0.1 * 643.0, "{spread:?}");
    assert_eq!(found.symmetry.unwrap().order, 6);
    assert_eq!(found.formula, "C2H6O");
}

#[test]
fn a_biased_window_against_the_whole_run() {
    let (Some(window), Some(data)) =
        (read("ethanol_first2000.npz", &ETHANOL), read("ethanol_reference.npz", &ETHANOL))
    else {
        return;
    };
    let start = Instant::now();
    let found = evaluate(&(&window).into(), &(&data).into(), &Options::default()).unwrap();
    eprintln!("{}\n{:.2} s", evaluation_table(&found), start.elapsed().as_secs_f64());
    assert!((found.figures.tvd - 0.066).abs() < 0.002, "{}", found.figures.tvd);
    assert!(found.floor.tvd < 0.015 && found.symmetry_order == Some(6));
    let many: Vec<usize> = (0..20_000).map(|k| k % 11_605).collect();
    let positions = data.positions.select(Axis(0), &many);
    let start = Instant::now();
    let samples = Ensemble { species: &ETHANOL, positions: positions.view(), energies: None };
    evaluate(&samples, &(&data).into(), &Options::default()).unwrap();
    eprintln!("20,000 samples against 11,605 frames: {:.2} s", start.elapsed().as_secs_f64());
}

#[test]
fn a_cold_window_is_called_one() {
    let Some(data) = read("ethanol_first2000.npz", &ETHANOL) else { return };
    let found = inspect(&data, None).unwrap();
    assert!(
        found.warnings.iter().any(|warning| warning.contains("not equilibrated")),
        "{:?}",
        found.warnings
    );
    // In time order, 0.5 fs apart: the energies are the work of the forces.
    let work = found.thermometer.work.unwrap();
    assert!(work.residual < work.limit && work.residual < 0.05 * work.step, "{work:?}");
}

#[test]
fn mean_force_repairs_the_hydroxyl_of_an_early_window() {
    let Some(data) = read("ethanol_reference.npz", &ETHANOL) else { return };
    let mut npz = npyz::npz::NpzArchive::open(&data.source.path).unwrap();
    let index: Vec<i64> =
        npz.by_name("index").unwrap().unwrap().data::<i64>().unwrap().map(Result::unwrap).collect();
    let early: Vec<usize> = (0..index.len()).filter(|&k| (0..30_000).contains(&index[k])).collect();
    assert_eq!(early.len(), 516);
    let window = data.subset(&early).unwrap();
    let bonds = Bonds::from_mean_distances(&window.species, window.positions.view()).unwrap();
    let group = SymmetryGroup::find(&window.species, window.positions.view(), &bonds).unwrap();
    for (set, kelvin) in [(&window, 643.0), (&data, 643.0)] {
        let start = Instant::now();
        let found = torsional_weights(set, &bonds, Some(&group), kelvin).unwrap();
        eprintln!(
            "{} frames: effective {:.3}, capped {}, coupled {:?}, {:.2} s",
            set.len(),
            found.effective,
            found.capped,
            found.coupled,
            start.elapsed().as_secs_f64()
        );
        for one in &found.dihedrals {
            eprintln!("{one:?}");
        }
        let hydroxyl = found.dihedrals.iter().find(|one| one.atoms.contains(&8)).unwrap();
        if set.len() == 516 {
            // The whole run counts 0.30; 516 frames carry a few hundredths of error.
            assert!((hydroxyl.in_data[0] - 0.12).abs() < 0.01, "{hydroxyl:?}");
            assert!((hydroxyl.weighted[0] - 0.33).abs() < 0.05, "{hydroxyl:?}");
            assert!(found.effective > 0.6, "{}", found.effective);
        } else {
            assert!((hydroxyl.weighted[0] - 0.33).abs() < 0.05 && found.effective > 0.9, "{hydroxyl:?}");
        }
    }
}

#[test]
fn aspirin() {
    let species: Vec<u8> = [vec![6; 7], vec![8; 3], vec![6], vec![6], vec![8], vec![1; 8]].concat();
    let Some(data) = read("aspirin_sampled.npz", &species) else { return };
    let start = Instant::now();
    let found = inspect(&data, Some(500.0)).unwrap();
    eprintln!("{found}{:.2} s", start.elapsed().as_secs_f64());
    assert_eq!(found.formula, "C9H8O4");
    assert_eq!((found.rings.len(), found.symmetry.unwrap().order), (1, 6));
    let start = Instant::now();
    let half = data.positions.slice(ndarray::s![..;2, .., ..]);
    let samples = Ensemble { species: &species, positions: half, energies: None };
    evaluate(&samples, &(&data).into(), &Options::default()).unwrap();
    eprintln!("4,817 aspirin frames against 9,633: {:.2} s", start.elapsed().as_secs_f64());
}
