//! Input that is extreme but valid works, or is refused with a reason: temperatures from 1e-3 to 1e5 K, 2 to 200 atoms, heavy
//! atoms, coordinates far from the origin, linear and planar molecules. Numbers that overflow are named where they arise.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod untrained;

use boltzdrift::dataset::Dataset;
use boltzdrift::equilibrate::{Continue, Equilibration, Settings};
use boltzdrift::potential::Potential;
use boltzdrift::sampler::noise::{Purpose, Stream};
use boltzdrift::sampler::placing::{place, Orientation};
use boltzdrift::sampler::velocities::maxwell;
use boltzdrift::sampler::Sampler;
use boltzdrift::units::{BOLTZMANN, ENERGY_TO_KINETIC};
use boltzdrift::{report, Error, Result};
use ndarray::{s, Array3, ArrayView3, ArrayViewMut1, ArrayViewMut3};

/// Name, atomic numbers, positions, degrees of freedom of its velocities.
type Shape = (&'static str, Vec<u8>, Vec<[f64; 3]>, usize);

fn shapes() -> Vec<Shape> {
    let line = |n: usize, step: f64| (0..n).map(|k| [step * k as f64, 0.0, 0.0]).collect::<Vec<_>>();
    // A chain of carbon with a hydrogen at each end.
    let mut polyyne = line(200, 1.28);
    (polyyne[0][0], polyyne[199][0]) = (0.22, 1.28 * 198.0 + 1.06);
    let mut chain = vec![6; 200];
    (chain[0], chain[199]) = (1, 1);
    // A zigzag of sulfur.
    let zigzag =
        (0..200).map(|k| [1.7 * f64::from(k), 0.6 * f64::from(k % 2), 0.3 * f64::from(k % 4 / 2)]).collect();
    vec![
        ("hydrogen", vec![1, 1], vec![[0.0; 3], [0.74, 0.0, 0.0]], 1),
        ("diuranium", vec![92, 92], vec![[0.0; 3], [2.43, 0.0, 0.0]], 1),
        ("hydrogen iodide", vec![53, 1], vec![[0.0; 3], [0.0, 1.61, 0.0]], 1),
        ("carbon dioxide", vec![8, 6, 8], vec![[-1.16, 0.0, 0.0], [0.0; 3], [1.16, 0.0, 0.0]], 4),
        ("water", vec![8, 1, 1], vec![[0.0; 3], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]], 3),
        ("polyyne", chain, polyyne, 595),
        ("sulfur chain", vec![16; 200], zigzag, 594),
    ]
}

/// Frames whose atoms move by about `width` angstrom, `shift` away from the origin.
fn data(shape: &Shape, frames: usize, width: f64, shift: f64) -> Dataset {
    let mut stream = Stream::new(5, Purpose::Data, 0);
    let x = Array3::from_shape_fn((frames, shape.1.len(), 3), |(_, i, c)| {
        shape.2[i][c] + width * stream.normal() + shift
    });
    Dataset::from_arrays(shape.1.clone(), x, None, None, None).unwrap()
}

/// Half of kT for every degree of freedom, at any temperature.
#[test]
fn velocities_have_their_temperature() {
    for shape in shapes() {
        let frames = if shape.1.len() > 100 { 40 } else { 4000 };
        // Exactly the shape: linear molecules are linear.
        let one = data(&shape, 1, 0.0, 0.0);
        let x = Array3::from_shape_fn((frames, shape.1.len(), 3), |(_, i, c)| one.positions[[0, i, c]]);
        for kelvin in [1e-3, 1.0, 300.0, 1e5] {
            let v = maxwell(&one.masses, &x, kelvin, 3, 0).unwrap();
            let energy: f64 = v.indexed_iter().map(|((_, i, _), v)| 0.5 * one.masses[i] * v * v).sum();
            let mean = energy / ENERGY_TO_KINETIC / frames as f64 / (BOLTZMANN * kelvin);
            // A sum of `3 frames / 2` gamma variables: five standard errors.
            let error = 5.0 * (0.5 * shape.3 as f64 / frames as f64).sqrt();
            assert!((mean - 0.5 * shape.3 as f64).abs() < error, "{} at {kelvin} K: {mean} kT", shape.0);
        }
    }
}

/// A spring between neighbors.
struct Springs(f64);

impl Potential for Springs {
    fn energies_forces(
        &mut self,
        species: &[u8],
        x: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        energies.fill(0.0);
        forces.fill(0.0);
        for frame in 0..x.dim().0 {
            for i in 1..species.len() {
                let d = [0, 1, 2].map(|c| x[[frame, i, c]] - x[[frame, i - 1, c]]);
                let r = d.iter().map(|d| d * d).sum::<f64>().sqrt();
                energies[frame] += 0.5 * self.0 * (r - 2.0) * (r - 2.0);
                for (c, d) in d.iter().enumerate() {
                    let f = self.0 * (r - 2.0) * d / r;
                    forces[[frame, i, c]] -= f;
                    forces[[frame, i - 1, c]] += f;
                }
            }
        }
        Ok(())
    }

    fn name(&self) -> String {
        "springs".into()
    }
}

/// A stiff spring has kT / 2, from 1e-3 to 1e5 K. The correction of r^2 dr is (kT / (2 k r0^2))-fold.
#[test]
fn equilibrated_states_have_their_temperature() {
    let shape = ("dimer", vec![53, 53], vec![[0.0; 3], [2.0, 0.0, 0.0]], 1);
    for kelvin in [1e-3, 1.0, 1e5] {
        // The same width of 0.01 angstrom, whatever the temperature.
        let kt = BOLTZMANN * kelvin;
        let mut settings =
            Settings { chains: 64, frames: 2000, effective: 1000.0, warmup: 60, ..Settings::at(kelvin) };
        settings.time_step = 1.0;
        let mut run = Equilibration::new(&data(&shape, 50, 0.005, 0.0), settings).unwrap();
        match run.run(&mut Springs(kt / 1e-4), None, &mut |_| Continue::Yes) {
            Ok(pool) => {
                let mean = pool.energies.mean().unwrap() / kt;
                assert!((mean - 0.5).abs() < 5.0 * (0.5_f64 / 1000.0).sqrt(), "{kelvin} K: {mean} kT");
            }
            // Thermal motion too slow or too fast for the time steps there are: said, with the reason.
            Err(error) => {
                let said = error.to_string();
                assert!(matches!(error, Error::Numeric(_)) && kelvin != 1.0, "{kelvin} K: {said}");
                assert!(said.contains("accepted") || said.contains("converge"), "{kelvin} K: {said}");
            }
        }
    }
}

/// What `inspect` says does not depend on where the molecule is; where no number can hold the bonds, it is refused.
#[test]
fn far_from_the_origin() {
    for shape in shapes() {
        let near = report::inspect(&data(&shape, 30, 0.01, 0.0), Some(300.0)).unwrap();
        for shift in [1e3, 1e6] {
            let far = report::inspect(&data(&shape, 30, 0.01, shift), Some(300.0)).unwrap();
            let [a, b] = [&near, &far].map(|one| serde_json::to_value(one).unwrap());
            assert_eq!(a["bonds"], b["bonds"], "{} at {shift}", shape.0);
            assert_eq!(a["symmetry"], b["symmetry"], "{} at {shift}", shape.0);
        }
    }
    // So far that atoms coincide, and so wide that squares overflow.
    let wild = |value: f64| {
        let x = Array3::from_shape_fn((20, 2, 3), |(k, i, _)| value * (1.0 + i as f64) + k as f64);
        Dataset::from_arrays(vec![1, 1], x, None, None, None)
            .and_then(|data| report::inspect(&data, None).map(|_| ()))
    };
    for value in [1e18, 1e155, 1e300] {
        let said = wild(value).map(|()| String::new()).unwrap_or_else(|error| error.to_string());
        assert!(!said.contains("NaN") && !said.contains("panic"), "{value}: {said}");
    }
    // A sample is put onto a molecule that is a million angstrom away.
    let sampler = Sampler::new(untrained::ethanol()).unwrap();
    let (masses, mut x) = (sampler.record().masses.clone(), sampler.sample(0, 0, 2).unwrap());
    let onto = x.mapv(|x| x + 1e6);
    for orientation in [Orientation::Keep, Orientation::Random] {
        place(&masses, onto.view(), orientation, 0, 0, x.view_mut()).unwrap();
        let total: f64 = masses.iter().sum();
        for (moved, target) in x.outer_iter().zip(onto.outer_iter()) {
            for c in 0..3 {
                let center = |x: ndarray::ArrayView2<f64>| {
                    x.slice(s![.., c]).iter().zip(&masses).map(|(x, m)| (x - 1e6) * m).sum::<f64>() / total
                };
                assert!((center(moved) - center(target)).abs() < 1e-8);
            }
        }
    }
}

/// A network that overflows says which sample.
#[test]
fn samples_that_overflow_are_named() {
    let mut model = untrained::water(0.03);
    model.layers.iter_mut().for_each(|layer| layer.weight.fill(f32::MAX));
    let error = Sampler::new(model).unwrap().sample(9, 40, 3).unwrap_err();
    assert!(matches!(error, Error::Numeric(_)), "{error}");
    assert!(error.to_string().contains("sample 4") && error.to_string().contains("seed 9"), "{error}");
}

#[cfg(feature = "train")]
mod training {
    use super::*;
    use boltzdrift::train::checkpoint::Checkpoint;
    use boltzdrift::train::{self, device, Overrides, Trainer};

    fn settings(text: &str) -> train::Settings {
        train::Settings::resolve(&toml::from_str::<Overrides>(text).unwrap()).unwrap()
    }

    const SMALL: &str = "width = 24\ndepth = 1\nnoise = 8\nbatch = 16\nlines = 4\ntorsion_lines = 2\n";

    /// Any shape trains and draws. Two hundred atoms would take an hour; six hundred do not fit, which is said at once.
    #[test]
    fn any_shape_trains() {
        let cpu = device::resolve("cpu".parse().unwrap()).unwrap().0;
        let zigzag =
            |n: u32| (0..n).map(|k| [1.7 * f64::from(k), 0.6 * f64::from(k % 2), 0.3]).collect::<Vec<_>>();
        let large = ("sulfur chain", vec![16; 600], zigzag(600), 1794);
        let error = Trainer::new(&data(&large, 10, 0.01, 0.0), settings(SMALL), cpu).unwrap_err();
        assert!(error.to_string().contains("600 atoms") && error.to_string().contains("GB"), "{error}");
        let mut all = shapes();
        all.truncate(5);
        all.push(("shorter sulfur chain", vec![16; 30], zigzag(30), 84));
        for shape in all {
            let steps = if shape.1.len() > 10 { 2 } else { 60 };
            for (width, shift) in [(0.01, 0.0), (1e-4, 0.0), (0.01, 1e4)] {
                let data = data(&shape, 40, width, shift);
                let settings = settings(&format!("{SMALL}steps = {steps}\n"));
                let mut trainer = Trainer::new(&data, settings, cpu).unwrap();
                trainer.run(None, &mut |_| train::Continue::Yes).unwrap();
                let drawn = Sampler::new(trainer.export().unwrap()).unwrap().sample(0, 0, 20).unwrap();
                let farthest = drawn.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
                assert!(farthest < 300.0, "{}: {farthest}", shape.0);
            }
        }
    }

    /// A loss that is no number ends the training with the step, and the last good checkpoint stays as it is.
    #[test]
    fn a_training_that_diverges_keeps_the_last_good_state() {
        let cpu = device::resolve("cpu".parse().unwrap()).unwrap().0;
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("kept.checkpoint");
        let data = data(&shapes()[4], 100, 0.02, 0.0);
        let mut trainer = Trainer::new(&data, settings(&format!("{SMALL}steps = 100\n")), cpu).unwrap();
        let ended = trainer.run(Some((&path, 50)), &mut |now| match now.step {
            50 => train::Continue::Stop,
            _ => train::Continue::Yes,
        });
        assert!(matches!(ended, Err(Error::Interrupted(_))));
        let good = std::fs::read(&path).unwrap();
        // The weights overflow in the next steps.
        let mut state = Checkpoint::load(&path).unwrap();
        state.tensors[0].fill(1e30);
        let Checkpoint { state, tensors } = state;
        let wild = Checkpoint::new(state.settings, state.data_digest, state.step, 0.0, state.losses, tensors);
        let mut trainer = Trainer::resume(&data, &wild, cpu).unwrap();
        let error = trainer.run(Some((&path, 50)), &mut |_| train::Continue::Yes).unwrap_err();
        assert!(matches!(error, Error::Numeric(_)), "{error}");
        let said = error.to_string();
        assert!(
            said.contains("diverged") && said.contains("step 100") && said.contains("kept.checkpoint"),
            "{said}"
        );
        assert!(std::fs::read(&path).unwrap() == good);
        // Weights that are not finite are never saved, though the loss before them was.
        let mut poisoned = wild;
        poisoned.tensors[2][0] = f32::NAN;
        assert!(Trainer::resume(&data, &poisoned, cpu).unwrap().checkpoint().is_err());
    }

    /// What says other sizes than it has is refused before any of them is made.
    #[test]
    fn a_checkpoint_of_other_sizes_is_refused() {
        let cpu = device::resolve("cpu".parse().unwrap()).unwrap().0;
        let data = data(&shapes()[4], 100, 0.02, 0.0);
        let trainer = Trainer::new(&data, settings(SMALL), cpu).unwrap();
        let good = trainer.checkpoint().unwrap();
        type Change = fn(&mut train::Settings);
        let changes: [Change; 4] = [
            |settings| settings.width = usize::MAX / 2,
            |settings| settings.depth = 1 << 40,
            |settings| settings.noise = 9,
            |settings| settings.batch = 1 << 60,
        ];
        for change in changes {
            let mut settings = good.state.settings.clone();
            change(&mut settings);
            let digest = good.state.data_digest.clone();
            let forged = Checkpoint::new(settings, digest, 0, 0.0, Vec::new(), good.tensors.clone());
            let error = Trainer::resume(&data, &forged, cpu).unwrap_err();
            assert!(error.to_string().contains("does not fit its own settings"), "{error}");
        }
    }
}
