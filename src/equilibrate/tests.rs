//! Averages against quadrature, for potentials whose distribution is known.

mod drawn;
#[cfg(feature = "train")]
mod led;
mod models;

use std::f64::consts::PI;
use std::path::Path;

use ndarray::{s, Array3};

use models::*;

use super::hmc::{Batch, System};
use super::limits::Limits;
use super::*;
use crate::dataset::Dataset;
use crate::molecule::dihedral::dihedral;
use crate::potential::{Potential, Region};
use crate::sampler::noise::{Purpose, Stream};
use crate::units::BOLTZMANN;
use crate::{Error, Result};

fn small(kelvin: f64) -> Settings {
    Settings { chains: 64, leapfrog: 10, frames: 4000, warmup: 60, effective: 4000.0, ..Settings::at(kelvin) }
}

fn run(data: &Dataset, model: &mut Model, settings: Settings) -> Result<Pool> {
    Equilibration::new(data, settings)?.run(model, None, &mut |_| Continue::Yes)
}

/// Stopped at a look at its progress, and taken up again from its checkpoint.
fn stopped_at(
    look: usize,
    mut equilibration: Equilibration,
    data: &Dataset,
    model: &mut dyn Potential,
    (kept, every): (&Path, u64),
) -> Equilibration {
    let mut count = 0;
    let halt = equilibration.run(model, Some((kept, every)), &mut |_| {
        count += 1;
        if count == look {
            Continue::Stop
        } else {
            Continue::Yes
        }
    });
    assert!(matches!(halt, Err(Error::Interrupted(_))), "{halt:?}");
    Equilibration::resume(data, &Checkpoint::load(kept).unwrap()).unwrap()
}

/// The same at a call of the potential that fails.
fn failed_at(
    call: usize,
    mut equilibration: Equilibration,
    data: &Dataset,
    model: Model,
    kept: &Path,
) -> Equilibration {
    let error = equilibration
        .run(&mut FailsAt(model, call), Some((kept, 10_000)), &mut |_| Continue::Yes)
        .unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, Error::Potential { frame: 1, status: Some(3), .. }), "{said}");
    assert!(said.contains("it broke") && said.contains("run.checkpoint, to go on with"), "{said}");
    Equilibration::resume(data, &Checkpoint::load(kept).unwrap()).unwrap()
}

fn lengths(pool: &Pool) -> Vec<f64> {
    let row = |x: ndarray::ArrayView1<f64>| [x[0], x[1], x[2]];
    pool.positions.outer_iter().map(|x| distance(row(x.row(0)), row(x.row(1)))).collect()
}

/// That the mean of values, whose spread is `width`, is `expected` within 4.5 standard errors of 4000 draws
/// that count as half as many.
fn near(values: impl Iterator<Item = f64>, expected: f64, width: f64) {
    let values: Vec<f64> = values.collect();
    let found = values.iter().sum::<f64>() / values.len() as f64;
    let error = width / (values.len() as f64 / 2.0).sqrt();
    assert!((found - expected).abs() < 4.5 * error, "{found} for {expected} +- {error}");
}

#[test]
fn a_diatomic_molecule_is_exact_whatever_guides_it() {
    let kelvin = 1000.0;
    let width = (BOLTZMANN * kelvin / STIFF).sqrt();
    let expected = diatomic_mean(0.5, 2.1, kelvin, |r| r);
    let square = diatomic_mean(0.5, 2.1, kelvin, |r| (r - LENGTH).powi(2));
    for guide in [(1.0, false), (1.0, true), (0.7, true)] {
        let mut model = Model { guide, ..Model::new(spring) };
        let pool = run(&diatomic_frames(100), &mut model, small(kelvin)).unwrap();
        assert!(pool.report.converged && pool.report.warnings.is_empty(), "{:?}", pool.report.warnings);
        let lengths = lengths(&pool);
        near(lengths.iter().copied(), expected, width);
        near(lengths.iter().map(|r| (r - LENGTH).powi(2)), square, 1.5 * square);
        // The Jacobian moves the mean by 2 width^2 / r0 = 0.015, several times the error: it is seen.
        assert!((expected - LENGTH).abs() > 6.0 * width / 2000.0_f64.sqrt());
        let energy = &pool.report.quantities[0];
        let (e, deviation) = (0.5 * STIFF * square, 0.75 * BOLTZMANN * kelvin);
        assert!((energy.mean - e).abs() < 4.5 * deviation / energy.effective.sqrt(), "{energy:?} for {e}");
        let read = pool.report.configurational.unwrap();
        assert!((read.kelvin - kelvin).abs() < 5.0 * read.error, "{read:?}");
        for (frame, energy) in lengths.iter().zip(&pool.energies) {
            assert!((0.5 * STIFF * (frame - LENGTH).powi(2) - energy).abs() < 1e-9);
        }
    }
}

#[test]
fn a_region_confines_and_a_hole_is_never_entered() {
    let kelvin = 1000.0;
    let region = Region::new(2, vec![(0, 1, 1.0 / 1.35, 1.0 / 1.2)]).unwrap();
    let mut confined = Model { region: Some(region), ..Model::new(spring) };
    let pool = run(&diatomic_frames(100), &mut confined, small(kelvin)).unwrap();
    assert!(pool.report.decisions.outside > 0 && pool.report.decisions.not_finite == 0);
    let found = lengths(&pool);
    assert!(found.iter().all(|r| (1.2..=1.35).contains(r)));
    near(found.iter().copied(), diatomic_mean(1.2, 1.35, kelvin, |r| r), 0.15 / 12.0_f64.sqrt());

    // The trajectory meets NaN within and at its end; what remains is the distribution below the hole.
    let pool = run(&diatomic_frames(100), &mut Model::new(spring_with_a_hole), small(kelvin)).unwrap();
    assert!(pool.report.decisions.not_finite > 0 && pool.report.decisions.outside == 0);
    let found = lengths(&pool);
    assert!(found.iter().all(|r| *r <= 1.35));
    near(found.iter().copied(), diatomic_mean(0.5, 1.35, kelvin, |r| r), 0.05);
}

#[test]
fn starts_that_are_not_allowed_are_dropped_or_refused() {
    let mut data = diatomic_frames(100);
    data.positions[[0, 1, 0]] = 1.5;
    data.positions[[7, 1, 0]] = 1.1;
    let region = Region::new(2, vec![(0, 1, 1.0 / 1.4, 1.0 / 1.2)]).unwrap();
    let mut model = Model { region: Some(region), ..Model::new(spring) };
    let pool = run(&data, &mut model, small(500.0)).unwrap();
    assert_eq!((pool.report.starts.outside, pool.report.starts.examined), (2, 100));
    assert!(pool.report.warnings[0].contains("2 of 100"), "{:?}", pool.report.warnings);
    model.region = Some(Region::new(2, vec![(0, 1, 0.3, 0.4)]).unwrap());
    let message = run(&data, &mut model, small(500.0)).unwrap_err().to_string();
    assert!(message.contains("none of 100") && message.contains("atoms 0 and 1"), "{message}");
    // Without a region, a bond that is far from its mean is no start.
    data.positions[[3, 1, 0]] = 2.4;
    let settings = Settings { chains: 100, ..small(500.0) };
    let pool = run(&data, &mut Model::new(spring), settings).unwrap();
    assert_eq!((pool.report.starts.outside, pool.report.starts.broken), (0, 1));
}

#[test]
fn energy_is_shared_equally_and_the_center_stays() {
    let (chains, kelvin) = (400, 300.0);
    let system =
        System { species: vec![6; 4], masses: vec![12.0, 1.0, 16.0, 35.0], limits: Limits::default() };
    let mut batch = Batch::new(Array3::zeros((chains, 4, 3)), &vec![kelvin; chains]);
    let mut model = Model::new(cloud);
    batch.prepare(&system.species, &mut model).unwrap();
    let (mut decisions, mut energies) = (Decisions::default(), Vec::new());
    for t in 0..120 {
        let mut streams: Vec<Stream> =
            (0..chains as u64).map(|c| Stream::new(4, Purpose::Walk, t << 20 | c)).collect();
        let steps = hmc::length(10, &mut Stream::new(4, Purpose::Schedule, t));
        assert!((5..=15).contains(&steps));
        batch
            .iterate(&system, &mut model, None, (2.0, steps), &mut streams, |_, one| decisions.add(one))
            .unwrap();
        if t >= 40 && t % 4 == 0 {
            energies.extend(batch.energies.iter().map(|e| e / (BOLTZMANN * kelvin)));
        }
    }
    assert_eq!(decisions.total(), 120 * chains as u64);
    assert!(decisions.acceptance() > 0.8, "{decisions:?}");
    // 9 quadratic degrees of freedom: mean 4.5 kT, variance 4.5 (kT)^2.
    let count = energies.len() as f64;
    let mean = energies.iter().sum::<f64>() / count;
    let variance = energies.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / count;
    assert!((mean - 4.5).abs() < 4.5 * (4.5 / (count / 4.0)).sqrt(), "{mean}");
    assert!((variance - 4.5).abs() < 0.5, "{variance}");
    for x in batch.positions.outer_iter() {
        for column in x.columns() {
            let center: f64 = column.iter().zip(&system.masses).map(|(x, m)| x * m).sum();
            assert!(center.abs() < 1e-9);
        }
    }
}

#[test]
fn a_stuck_dihedral_raises_a_ladder_that_frees_it() {
    let kelvin = 300.0;
    let settings = Settings {
        frames: 2000,
        effective: 1000.0,
        hottest: 8.0,
        r_hat: 1.05,
        most_evaluations: 3_000_000,
        ..small(kelvin)
    };
    let data = chain_frames(100);
    let off = Settings { ladder: Ladder::Off, most_evaluations: 200_000, ..settings.clone() };
    // By itself no chain leaves its well, and the run knows only that nothing moves: start some in the other.
    let mut both = data.clone();
    for mut x in both.positions.outer_iter_mut().step_by(3) {
        let y = x[[0, 1]];
        x[[3, 1]] = y;
    }
    let message = run(&both, &mut Model::new(chain), off.clone()).unwrap_err().to_string();
    assert!(message.contains("cos dihedral 0-1-2-3") && message.contains("--ladder on"), "{message}");
    let taken = run(&both, &mut Model::new(chain), Settings { accept_unconverged: true, ..off }).unwrap();
    assert!(!taken.report.converged && taken.report.warnings[0].contains("not equilibrated"));

    let pool = run(&both, &mut Model::new(chain), settings).unwrap();
    let ladder = pool.report.ladder.as_ref().unwrap();
    assert!(ladder.reason.contains("does not mix") && ladder.temperatures.len() >= 3, "{ladder:?}");
    assert!(ladder.exchanges.iter().all(|share| *share > 0.1), "{ladder:?}");
    let weight = |phi: f64| (-torsion(phi) / (BOLTZMANN * kelvin)).exp();
    let trans = mean(-PI, PI, weight, |phi| f64::from(u8::from(phi.abs() > PI / 2.0)));
    let cosine = mean(-PI, PI, weight, f64::cos);
    let angles = dihedral(pool.positions.view(), [0, 1, 2, 3]);
    let found = angles.iter().filter(|phi| phi.abs() > PI / 2.0).count() as f64 / angles.len() as f64;
    let watched = &pool.report.quantities[1];
    assert_eq!(watched.name, "cos dihedral 0-1-2-3");
    let error = (trans * (1.0 - trans) / watched.effective.min(2000.0)).sqrt();
    assert!((found - trans).abs() < 4.5 * error, "{found} for {trans} +- {error}");
    assert!((watched.mean - cosine).abs() < 4.5 / watched.effective.sqrt(), "{watched:?} for {cosine}");
}

#[test]
fn threads_and_interruptions_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("run.checkpoint");
    let settings = Settings {
        frames: 500,
        hottest: 8.0,
        ladder: Ladder::On,
        most_evaluations: 150_000,
        accept_unconverged: true,
        seed: 3,
        ..small(298.15)
    };
    let data = chain_frames(100);
    let whole = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&data, &mut Model::new(chain), settings.clone()).unwrap())
    };
    let (one, three) = (whole(1), whole(3));
    assert_eq!(one.positions, three.positions);
    // Stopped in the warm-up and in the production.
    let mut equilibration = Equilibration::new(&data, settings.clone()).unwrap();
    for stop in [25, 90] {
        equilibration = stopped_at(stop, equilibration, &data, &mut Model::new(chain), (&kept, 10));
        assert_eq!(Checkpoint::load(&kept).unwrap().settings(), &settings);
    }
    let pool = equilibration.run(&mut Model::new(chain), None, &mut |_| Continue::Yes).unwrap();
    assert_eq!((&pool.positions, &pool.energies), (&one.positions, &one.energies));
    assert_eq!(pool.report.quantities, one.report.quantities);
    // A potential that fails loses the iteration that it cut off, and no more.
    let mut equilibration = Equilibration::new(&data, settings.clone()).unwrap();
    for call in [123, 456] {
        equilibration = failed_at(call, equilibration, &data, Model::new(chain), &kept);
    }
    let pool = equilibration.run(&mut Model::new(chain), None, &mut |_| Continue::Yes).unwrap();
    assert_eq!((&pool.positions, &pool.energies), (&one.positions, &one.energies));

    let checkpoint = Checkpoint::load(&kept).unwrap();
    assert!(Equilibration::resume(&chain_frames(99), &checkpoint).is_err());
    // Another potential of the same name.
    let mut other = Model { guide: (0.5, false), ..Model::new(chain) };
    let mut equilibration = Equilibration::resume(&data, &checkpoint).unwrap();
    let refused = equilibration.run(&mut other, None, &mut |_| Continue::Yes).unwrap_err().to_string();
    assert!(refused.contains("another potential"), "{refused}");
    let mut bytes = std::fs::read(&kept).unwrap();
    let end = bytes.len() - 9;
    bytes[end] ^= 1;
    std::fs::write(&kept, bytes).unwrap();
    assert!(Checkpoint::load(&kept).unwrap_err().to_string().contains("digest"));
}

#[test]
fn forces_that_are_no_gradient_are_refused() {
    let mut wrong = Model { guide: (-1.0, false), ..Model::new(|x| 400.0 * spring(x)) };
    let settings = Settings { time_step: 1.0, ..small(50.0) };
    let message = run(&diatomic_frames(50), &mut wrong, settings).unwrap_err().to_string();
    assert!(message.contains("not the gradient") || message.contains("may be trusted"), "{message}");
}

#[test]
fn refined_samples_do_not_know_their_neighbors() {
    let kelvin = 600.0;
    let data = diatomic_frames(3000);
    let settings = RefineSettings {
        temperature: kelvin,
        iterations: 5,
        time_step: 1.5,
        leapfrog: 10,
        seed: 8,
        first: 100,
    };
    let refined = |rows: std::ops::Range<usize>| {
        let settings = RefineSettings { first: 100 + rows.start as u64, ..settings.clone() };
        let part = data.positions.slice(s![rows, .., ..]);
        refine(&mut Model::new(spring), &data.species, &data.masses, part, &settings, &mut |_| Ok(()))
            .unwrap()
    };
    let all = refined(0..3000);
    let (a, b) = (refined(0..10), refined(10..64));
    assert_eq!(all.positions.slice(s![..10, .., ..]), a.positions);
    assert_eq!(all.positions.slice(s![10..64, .., ..]), b.positions);
    assert_eq!(all.energies_after.slice(s![10..64]), b.energies_after);
    assert_eq!(all.decisions.total(), 15_000);
    // The frames are far too cold (a width of 0.02); five proposals make them warm.
    let expected = diatomic_mean(0.5, 2.1, kelvin, |r| 0.5 * STIFF * (r - LENGTH).powi(2));
    assert!(all.energies_before.sum() / 3000.0 < 0.1 * expected);
    near(all.energies_after.iter().copied(), expected, 0.75 * BOLTZMANN * kelvin);

    let mut bad = data.positions.slice(s![..3, .., ..]).to_owned();
    bad[[2, 0, 0]] = f64::NAN;
    let message =
        refine(&mut Model::new(spring), &data.species, &data.masses, bad.view(), &settings, &mut |_| Ok(()));
    assert!(message.unwrap_err().to_string().contains("sample 102"));
    let region = Region::new(2, vec![(0, 1, 0.3, 0.4)]).unwrap();
    let mut model = Model { region: Some(region), ..Model::new(spring) };
    let message =
        refine(&mut model, &data.species, &data.masses, data.positions.view(), &settings, &mut |_| Ok(()));
    assert!(message.unwrap_err().to_string().contains("sample 100"));
}
