//! Training on weighted frames.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "train")]

use boltzdrift::dataset::Dataset;
use boltzdrift::sampler::noise::{Purpose, Stream};
use boltzdrift::sampler::Sampler;
use boltzdrift::train::device;
use boltzdrift::train::{Continue, Method, Overrides, Settings, Trainer};
use ndarray::Array3;

/// Bent triatomics: the first 200 frames with an angle around 1.7, the others around 2.2.
fn water() -> Dataset {
    let mut stream = Stream::new(4, Purpose::Data, 0);
    let mut positions = Array3::zeros((400, 3, 3));
    for frame in 0..400 {
        let angle = if frame < 200 { 1.7 } else { 2.2 } + 0.05 * stream.normal();
        let (a, b) = (0.97 + 0.03 * stream.normal(), 0.97 + 0.03 * stream.normal());
        positions[[frame, 1, 0]] = a;
        positions[[frame, 2, 0]] = b * angle.cos();
        positions[[frame, 2, 1]] = b * angle.sin();
    }
    Dataset::from_arrays(vec![8, 1, 1], positions, None, None, None).unwrap()
}

fn trainer(data: &Dataset, method: Method, steps: usize, weights: Option<&[f64]>) -> Trainer {
    // A small network on one thread: two OpenMP threads that share their cores with other tests spin.
    device::use_threads(1);
    let given = Overrides {
        method: Some(method),
        steps: Some(steps),
        seed: Some(3),
        width: Some(64),
        depth: Some(2),
        batch: Some(128),
        ..Overrides::default()
    };
    let (device, _) = device::resolve("cpu".parse().unwrap()).unwrap();
    let mut trainer = Trainer::weighted(data, Settings::resolve(&given).unwrap(), device, weights).unwrap();
    trainer.run(None, &mut |_| Continue::Yes).unwrap();
    trainer
}

/// Mean H-H distance of samples.
fn spread(trainer: &Trainer) -> f64 {
    let samples = Sampler::new(trainer.export().unwrap()).unwrap().sample(1, 0, 500).unwrap();
    let distance = |frame: ndarray::ArrayView2<f64>| {
        (0..3).map(|c| (frame[[1, c]] - frame[[2, c]]).powi(2)).sum::<f64>().sqrt()
    };
    samples.outer_iter().map(distance).sum::<f64>() / 500.0
}

#[test]
fn the_sampler_learns_the_weighted_frames() {
    let data = water();
    let first: Vec<f64> = (0..400).map(|frame| if frame < 200 { 1.0 } else { 0.0 }).collect();
    let second: Vec<f64> = first.iter().map(|w| 1.0 - w).collect();
    for method in [Method::Sliced, Method::Drift] {
        let (a, b) = (
            spread(&trainer(&data, method, 400, Some(&first))),
            spread(&trainer(&data, method, 400, Some(&second))),
        );
        // 2 r sin(angle / 2) is 1.458 and 1.729.
        assert!((a - 1.458).abs() < 0.06 && (b - 1.729).abs() < 0.06, "{method}: {a} {b}");
    }
}

#[test]
fn a_checkpoint_knows_its_weights() {
    let data = water();
    let weights: Vec<f64> = (0..400).map(|frame| 1.0 + (frame % 3) as f64).collect();
    let other: Vec<f64> = weights.iter().map(|w| w + 0.5).collect();
    let (device, _) = device::resolve("cpu".parse().unwrap()).unwrap();
    let with = trainer(&data, Method::Sliced, 50, Some(&weights)).checkpoint().unwrap();
    let without = trainer(&data, Method::Sliced, 50, None).checkpoint().unwrap();
    assert!(without.state.weights_digest.is_none() && with.tensors != without.tensors);
    assert!(Trainer::resume_weighted(&data, &with, device, Some(&weights)).is_ok());
    assert!(Trainer::resume(&data, &without, device).is_ok());
    for (checkpoint, weights, word) in [
        (&with, Some(other.as_slice()), "with other weights"),
        (&with, None, "with weights"),
        (&without, Some(weights.as_slice()), "without weights"),
    ] {
        let said = Trainer::resume_weighted(&data, checkpoint, device, weights).unwrap_err().to_string();
        assert!(said.contains(word), "{said}");
    }
    let said =
        Trainer::weighted(&data, with.state.settings.clone(), device, Some(&[1.0])).unwrap_err().to_string();
    assert!(said.contains("1 weights for 400 frames"), "{said}");
}
