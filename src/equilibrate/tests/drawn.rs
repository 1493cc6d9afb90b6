//! Samples that are drawn again where they are no states, then refined.

use ndarray::ArrayView2;

use super::*;
use crate::dataset::elements::covalent_radius;
use crate::molecule::symmetry::SymmetryOperation;
use crate::sampler::file::Shape;
use crate::sampler::network::Layer;
use crate::sampler::{Model as Network, Record, Sampler, FORMAT_VERSION};

/// Water with normal noise of about this width on every coordinate.
fn sampler(width: f32, bond: f64) -> Sampler {
    let mut stream = Stream::new(3, Purpose::Weights, 0);
    let mut weight = vec![0.0_f32; 4 * 9];
    stream.normals(&mut weight);
    weight.iter_mut().for_each(|w| *w *= 0.5 * width);
    Sampler::new(Network {
        record: Record {
            format_version: FORMAT_VERSION,
            library_version: "test".into(),
            species: vec![8, 1, 1],
            masses: vec![15.999, 1.008, 1.008],
            temperature: Some(600.0),
            length_unit: "angstrom".into(),
            symmetry: vec![
                SymmetryOperation { permutation: vec![0, 1, 2], mirror: false },
                SymmetryOperation { permutation: vec![0, 2, 1], mirror: true },
            ],
            bonds: vec![[0, 1], [0, 2]],
            network: Shape { noise: 4, width: 9, depth: 0, activation: "silu".into() },
            training: serde_json::Value::Null,
            data_digest: String::new(),
            data_frames: 0,
            figures: serde_json::Value::Null,
            calibration: serde_json::Value::Null,
        },
        layers: vec![Layer { inputs: 4, outputs: 9, weight, bias: vec![0.0; 9] }],
        origin: vec![0.0, 0.0, 0.0, bond, 0.0, 0.0, -0.25 * bond, 0.97 * bond, 0.0],
        scale: 1.0,
    })
    .unwrap()
}

fn water(x: &[[f64; 3]]) -> f64 {
    let stretch = |k: usize| 300.0 * (distance(x[0], x[k]) - 0.97).powi(2);
    stretch(1) + stretch(2) + 40.0 * (angle(x[1], x[0], x[2]) - 1.82).powi(2)
}

/// No answer for a bond over 1.2 angstrom.
fn short_sighted(x: &[[f64; 3]]) -> f64 {
    if distance(x[0], x[1]).max(distance(x[0], x[2])) > 1.2 {
        return f64::NAN;
    }
    water(x)
}

fn settings(first: u64, iterations: usize) -> RefineSettings {
    RefineSettings { temperature: 600.0, iterations, time_step: 0.5, leapfrog: 8, seed: 5, first }
}

fn bonds(x: ArrayView2<f64>) -> [f64; 2] {
    let row = |k: usize| [x[[k, 0]], x[[k, 1]], x[[k, 2]]];
    [1, 2].map(|k| distance(row(0), row(k)))
}

/// First draws that pass, and how many did not.
fn by_hand(sampler: &Sampler, count: usize, good: impl Fn(ArrayView2<f64>) -> bool) -> (Array3<f64>, u64) {
    let mut positions = sampler.sample(5, 0, count).unwrap();
    let mut again = 0;
    for (k, mut x) in positions.outer_iter_mut().enumerate() {
        for attempt in 0.. {
            if good(x.view()) {
                break;
            }
            again += 1;
            x.assign(&sampler.redraw(5, k as u64, attempt).unwrap());
        }
    }
    (positions, again)
}

#[test]
fn as_many_as_asked_for_come_back_with_the_right_counts() {
    let (sampler, count) = (sampler(0.2, 0.97), 400);
    let none = Redrawn::default();
    // Without a region: 0.5 to 1.6 times the sum of covalent radii.
    let radii = covalent_radius(8).unwrap() + covalent_radius(1).unwrap();
    assert!((radii - 0.97).abs() < 0.15, "{radii}");
    let low_high = 0.5 * radii..=1.6 * radii;
    let (expected, again) = by_hand(&sampler, count, |x| bonds(x).iter().all(|r| low_high.contains(r)));
    let found = seeds(&sampler, &mut Model::new(water), &settings(0, 0), count, &mut |_| Ok(())).unwrap();
    assert_eq!((&found.refined.positions, found.redrawn), (&expected, Redrawn { broken: again, ..none }));
    assert!((10..count as u64).contains(&again) && found.redrawn.total() == again, "{again}");
    // No iteration only judges: energies are those of the draws, before and after.
    assert_eq!(found.refined.energies_before, found.refined.energies_after);
    assert_eq!(found.refined.decisions.total(), 0);
    for (x, energy) in expected.outer_iter().zip(&found.refined.energies_before) {
        let rows: Vec<[f64; 3]> = x.outer_iter().map(|x| [x[0], x[1], x[2]]).collect();
        assert!((water(&rows) - energy).abs() < 1e-12);
    }

    let region = Region::new(3, vec![(0, 1, 1.0 / 1.3, 1.0 / 0.7), (0, 2, 1.0 / 1.3, 1.0 / 0.7)]).unwrap();
    let mut model = Model { region: Some(region), ..Model::new(water) };
    let (expected, again) = by_hand(&sampler, count, |x| bonds(x).iter().all(|r| (0.7..=1.3).contains(r)));
    let found = seeds(&sampler, &mut model, &settings(0, 0), count, &mut |_| Ok(())).unwrap();
    assert_eq!((&found.refined.positions, found.redrawn), (&expected, Redrawn { outside: again, ..none }));

    let (expected, _) =
        by_hand(&sampler, count, |x| bonds(x).iter().all(|r| (0.5 * radii..=1.2).contains(r)));
    let found =
        seeds(&sampler, &mut Model::new(short_sighted), &settings(0, 0), count, &mut |_| Ok(())).unwrap();
    assert_eq!(found.refined.positions, expected);
    assert!(
        found.redrawn.broken > 0 && found.redrawn.not_finite > found.redrawn.broken,
        "{:?}",
        found.redrawn
    );
    // Refined, they stay states, and come nearer to the mean energy of three modes.
    let refined =
        seeds(&sampler, &mut Model::new(short_sighted), &settings(0, 5), count, &mut |_| Ok(())).unwrap();
    assert_eq!((refined.refined.positions.dim(), refined.redrawn), ((count, 3, 3), found.redrawn));
    assert_eq!(refined.refined.energies_before, found.refined.energies_after);
    assert_eq!(refined.refined.decisions.total(), 5 * count as u64);
    let off =
        |energies: &ndarray::Array1<f64>| (energies.sum() / count as f64 / (BOLTZMANN * 600.0) - 1.5).abs();
    let (before, after) = (off(&refined.refined.energies_before), off(&refined.refined.energies_after));
    assert!(before > 2.0 && after < 0.5 * before, "{before} to {after} kT");
}

#[test]
fn parts_of_an_ensemble_are_the_ensemble() {
    let sampler = sampler(0.25, 0.97);
    let part = |first: u64, count: usize| {
        seeds(&sampler, &mut Model::new(water), &settings(first, 3), count, &mut |_| Ok(())).unwrap()
    };
    let (all, a, b) = (part(0, 60), part(0, 7), part(7, 53));
    assert!(a.redrawn.total() > 0 && b.redrawn.total() > 0, "{:?} {:?}", a.redrawn, b.redrawn);
    assert_eq!(all.refined.positions.slice(s![..7, .., ..]), a.refined.positions);
    assert_eq!(all.refined.positions.slice(s![7.., .., ..]), b.refined.positions);
    assert_eq!(all.refined.energies_after.slice(s![7..]), b.refined.energies_after);
    let mut sum = a.redrawn;
    sum.add(&b.redrawn);
    assert_eq!(all.redrawn, sum);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one.install(|| part(0, 60)).refined.positions, all.refined.positions);
}

#[test]
fn a_sampler_that_never_gives_a_state_is_an_error() {
    let broken = sampler(0.01, 3.0);
    let error = seeds(&broken, &mut Model::new(water), &settings(7, 2), 4, &mut |_| Ok(())).unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, Error::Numeric(_)), "{said}");
    // The first draw and a hundred more, four times.
    for word in ["4 of 4 samples", "number 7", "100 draws", "404 with a broken bond", "0 outside"] {
        assert!(said.contains(word), "'{said}' does not say '{word}'");
    }
}

/// Energies so large that a double holds them to 0.03 kcal/mol only.
fn huge(x: &[[f64; 3]]) -> f64 {
    water(x) + 2e14
}

#[test]
fn energies_whose_rounding_hides_kt_are_refused() {
    let sampler = sampler(0.02, 0.97);
    let of =
        |iterations| seeds(&sampler, &mut Model::new(huge), &settings(7, iterations), 3, &mut |_| Ok(()));
    let said = of(2).unwrap_err().to_string();
    for words in ["sample 7 cannot be refined", "2.00e14 kcal/mol", "kT = 1.19 kcal/mol", "overlap"] {
        assert!(said.contains(words), "'{said}' does not say '{words}'");
    }
    // Without a step there is no test to be spoilt.
    of(0).unwrap();
}
