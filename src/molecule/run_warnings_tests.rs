//! Exact ensembles, right ones and wrong ones: each mistake is named where it is made, and nowhere else.

use ndarray::{concatenate, s, Array1, Array3, Axis};

use crate::dataset::Dataset;
use crate::molecule::samples::{Row, CARBON_MONOXIDE, ETHANOL, WATER};
use crate::molecule::springs::Springs;
use crate::molecule::thermometer::{assess, Thermometer};
use crate::units::{BOLTZMANN, ENERGY_TO_KINETIC};

const KELVIN: f64 = 500.0;

/// Canonical frames with velocities of this temperature.
fn run(frames: usize, kelvin: f64, still: bool, seed: u64) -> Dataset {
    let springs = Springs::new(&ETHANOL);
    let mut data = springs.canonical(kelvin, frames, seed);
    springs.give_velocities(&mut data, kelvin, still, seed);
    data
}

fn found(data: &Dataset) -> Thermometer {
    assess(data, Some(KELVIN)).unwrap()
}

/// Every frame's velocities times its factor.
fn scaled(data: &Dataset, factor: impl Fn(usize, f64) -> f64) -> Dataset {
    let mut velocities = data.velocities.clone().unwrap();
    for (frame, mut rows) in velocities.outer_iter_mut().enumerate() {
        let energy: f64 = rows.outer_iter().zip(&data.masses).map(|(v, m)| m * v.dot(&v)).sum();
        let by = factor(frame, energy);
        rows.mapv_inplace(|v| v * by);
    }
    Dataset { velocities: Some(velocities), ..data.clone() }
}

#[test]
fn canonical_frames_are_not_suspected() {
    for seed in 0..24 {
        // The motion as a whole removed, as LAMMPS runs of one molecule do, or thermal, as a Langevin thermostat has it.
        let data = run(500, KELVIN, seed % 2 == 0, seed);
        let found = found(&data);
        assert!(found.warnings.is_empty(), "{seed}: {:?}", found.warnings);
        let kinetic = found.kinetic.unwrap();
        assert!((kinetic.internal.kelvin - KELVIN).abs() < 4.0 * kinetic.internal.error, "{kinetic:?}");
        assert!(kinetic.spread.is_some() && found.start.is_some() && kinetic.window.is_none());
    }
}

#[test]
fn the_velocities_alone_name_a_wrong_count_of_freedoms() {
    for (count, words) in [(24.0, "3N - 3 = 24"), (27.0, "3N = 27")] {
        for seed in 0..4 {
            let data = run(300, KELVIN * count / 21.0, true, seed);
            let blind = Dataset { forces: None, energies: None, ..data };
            let said = found(&blind).warnings.join("; ");
            assert!(said.contains("the velocities are at") && said.contains(words), "{seed}: {said}");
        }
    }
}

#[test]
fn a_thermostat_that_holds_the_temperature_is_named() {
    let words = "the kinetic energy scatters too little";
    for seed in 0..4 {
        let data = run(500, KELVIN, true, seed);
        let kinetic = found(&data).kinetic.unwrap();
        let mean: f64 = {
            let v = data.velocities.as_ref().unwrap();
            let energies = v
                .outer_iter()
                .map(|rows| rows.outer_iter().zip(&data.masses).map(|(v, m)| m * v.dot(&v)).sum::<f64>());
            energies.sum::<f64>() / data.len() as f64
        };
        // Each energy where the mean is: temp/rescale. Halfway there: a quarter of the variance.
        for (kept, ratio) in [(0.0, 0.0), (0.5, 0.25)] {
            let held = scaled(&data, |_, energy| ((mean + kept * (energy - mean)) / energy).sqrt());
            let found = found(&held);
            assert!(found.warnings.iter().any(|said| said.contains(words)), "{seed}: {:?}", found.warnings);
            let (held, free) = (found.kinetic.unwrap().spread.unwrap(), kinetic.spread.unwrap());
            approx::assert_relative_eq!(held.ratio, ratio * free.ratio, epsilon = 0.02);
        }
    }
    // Ten frames say nothing of a variance.
    let few = run(10, KELVIN, true, 1);
    assert!(found(&scaled(&few, |_, energy| energy.sqrt().recip())).kinetic.unwrap().spread.is_none());
}

/// Two runs one after the other.
fn joined(first: &Dataset, then: &Dataset) -> Dataset {
    let join = |a: &Array3<f64>, b: &Array3<f64>| concatenate![Axis(0), *a, *b];
    let both = |a: &Option<Array3<f64>>, b: &Option<Array3<f64>>| Some(join(a.as_ref()?, b.as_ref()?));
    Dataset {
        positions: join(&first.positions, &then.positions),
        forces: both(&first.forces, &then.forces),
        velocities: both(&first.velocities, &then.velocities),
        energies: None,
        ..first.clone()
    }
}

#[test]
fn a_cold_beginning_is_named_with_its_length() {
    for seed in 0..4 {
        let warm = run(900, KELVIN, true, seed);
        let cold = run(100, 250.0, true, 100 + seed);
        let whole = joined(&cold, &warm);
        let still = Dataset { velocities: None, ..whole.clone() };
        for (data, who) in [(&whole, "velocities"), (&still, "forces")] {
            let said = found(data).warnings.join("; ");
            assert!(said.contains("the first 100 frames are at 2"), "{who} {seed}: {said}");
            assert!(said.contains("--frames 100:"), "{who} {seed}: {said}");
        }
        // The other way round it is no beginning.
        let end = joined(&warm, &cold);
        assert!(!found(&end).warnings.iter().any(|said| said.contains("the first")), "{seed}");
    }
}

#[test]
fn motion_as_a_whole_is_told_from_heat() {
    let data = run(200, KELVIN, true, 7);
    let mut moving = data.clone();
    let velocities = moving.velocities.as_mut().unwrap();
    velocities.slice_mut(s![.., .., 0]).mapv_inplace(|v| v + 0.02);
    let reading = found(&moving);
    assert!(reading.warnings.len() == 1 && reading.warnings[0].contains("flies"), "{:?}", reading.warnings);
    let mut turning = data.clone();
    let velocities = turning.velocities.as_mut().unwrap();
    for frame in 0..200 {
        let x = data.positions.index_axis(Axis(0), frame);
        let masses = Array1::from(data.masses.clone());
        let center = masses.dot(&x) / masses.sum();
        for atom in 0..9 {
            velocities[[frame, atom, 0]] -= 0.02 * (x[[atom, 1]] - center[1]);
            velocities[[frame, atom, 1]] += 0.02 * (x[[atom, 0]] - center[0]);
        }
    }
    let reading = found(&turning);
    assert!(reading.warnings.len() == 1 && reading.warnings[0].contains("spins"), "{:?}", reading.warnings);
    let (one, other) = (found(&data).kinetic.unwrap(), reading.kinetic.unwrap());
    approx::assert_relative_eq!(one.internal.kelvin, other.internal.kelvin, max_relative = 1e-9);
}

#[test]
fn a_run_that_is_short_for_its_thermostat_is_not_accused() {
    // The first picoseconds of right runs: each at the total energy that it began with.
    let springs = Springs::new(&ETHANOL);
    for seed in 0..12 {
        let run = springs.trajectory(KELVIN, 4000, 0.5, seed);
        for frames in [1000, 2000, 4000] {
            let part = |all: &Array3<f64>| all.slice(s![..frames;4, .., ..]).to_owned();
            let window = Dataset {
                positions: part(&run.positions),
                forces: run.forces.as_ref().map(part),
                velocities: run.velocities.as_ref().map(part),
                energies: None,
                ..run.clone()
            };
            let found = found(&window);
            let told = found.kinetic.unwrap().window.unwrap();
            assert!((told / (0.5 * (frames - 4) as f64) - 1.0).abs() < 0.1, "{told} fs");
            for said in found.warnings {
                for mistake in
                    ["scatters too little", "degrees of freedom gives", "when these frames", "flies", "spins"]
                {
                    assert!(!said.contains(mistake), "{seed}, {frames}: {said}");
                }
            }
        }
    }
}

/// Warnings of canonical frames of a small molecule that were asked to be at some temperature.
fn of_few_atoms(rows: &[Row], frames: usize, asked: f64, seed: u64) -> String {
    let springs = Springs::new(rows);
    let mut data = springs.canonical(KELVIN, frames, seed);
    springs.give_velocities(&mut data, KELVIN, seed.is_multiple_of(2), seed);
    assess(&data, Some(asked)).unwrap().warnings.join("; ")
}

#[test]
fn molecules_of_two_and_three_atoms_know_their_errors() {
    let (mut wrong, mut all) = (Vec::new(), 0);
    for rows in [&CARBON_MONOXIDE[..], &WATER[..]] {
        for frames in [60, 100, 200] {
            for seed in 0..60 {
                let said = of_few_atoms(rows, frames, KELVIN, seed);
                all += 1;
                if ["asked", "velocities at", "scatters", "first", "flies", "spins"]
                    .iter()
                    .any(|word| said.contains(word))
                {
                    wrong.push(said);
                }
            }
        }
    }
    // Three standard errors of two readings, with the heavy tails of few squares: one in 100.
    assert!(wrong.len() <= 4, "{} of {all}: {wrong:#?}", wrong.len());
}

#[test]
fn freedoms_are_counted_right_in_molecules_of_two_atoms() {
    // One vibration moves: a thermostat that counts 3 of 3N - 3 heats to three times what is asked.
    for (count, words) in [(3.0, "3N - 3 = 3 degrees of freedom gives where 1 move"), (6.0, "3N = 6")] {
        for seed in 0..4 {
            let said = of_few_atoms(&CARBON_MONOXIDE, 2000, KELVIN / count, seed);
            assert!(said.contains(words), "{seed}: {said}");
        }
    }
    let said = of_few_atoms(&CARBON_MONOXIDE, 2000, KELVIN / 3.0, 1);
    assert!(
        said.contains("remove 5 in the thermostat (LAMMPS: compute_modify thermo_temp extra/dof 5"),
        "{said}"
    );
}

#[test]
fn motion_that_is_kept_is_one_value_and_not_many() {
    // A center of mass that nothing stops keeps the energy it drew: four times the mean is one in 140.
    let data = run(200, KELVIN, true, 7);
    let total: f64 = data.masses.iter().sum();
    let thermal = (BOLTZMANN * KELVIN * ENERGY_TO_KINETIC / total).sqrt();
    let moving = |times: f64| {
        let mut moving = data.clone();
        let velocities = moving.velocities.as_mut().unwrap();
        velocities.slice_mut(s![.., .., 0]).mapv_inplace(|v| v + (3.0 * times).sqrt() * thermal);
        found(&moving).warnings.join("; ")
    };
    assert_eq!(moving(4.0), "");
    assert!(moving(12.0).contains("flies"), "{}", moving(12.0));
}
