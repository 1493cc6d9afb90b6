use super::kinetic::kinetic_temperature;
use super::*;
use crate::molecule::samples::{noisy, Row, ETHANOL, WATER};
use crate::molecule::springs::Springs;
use crate::molecule::thermometer_classes;
use crate::sampler::noise::{Purpose, Stream};
use crate::units::ENERGY_TO_KINETIC;
use ndarray::{Array3, Axis};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// Frames and forces of atoms in independent harmonic wells, exactly canonical at `kelvin`.
fn wells(rows: &[Row], stiffness: f64, kelvin: f64, frames: usize) -> (Vec<u8>, Array3<f64>, Array3<f64>) {
    let width = (BOLTZMANN * kelvin / stiffness).sqrt();
    let (species, positions) = noisy(rows, frames, width, 11);
    let (_, rest) = noisy(rows, 1, 0.0, 0);
    let forces = (&rest - &positions) * stiffness;
    (species, positions, forces)
}

#[test]
fn reads_the_temperature_of_harmonic_wells() {
    for kelvin in [150.0, 500.0] {
        let (species, positions, forces) = wells(&WATER, 600.0, kelvin, 40_000);
        let bonds = Bonds::from_mean_distances(&species, positions.view()).unwrap();
        let (total, each) = configurational_temperature(positions.view(), forces.view(), &bonds).unwrap();
        assert!((total.kelvin - kelvin).abs() < 3.0 * total.error, "{total:?}");
        assert!(total.error < 0.03 * kelvin && each.len() == 2);
        for bond in each {
            assert!((bond.temperature.kelvin - kelvin).abs() < 4.0 * bond.temperature.error, "{bond:?}");
        }
    }
}

#[test]
fn equipartition_of_velocities() {
    let masses: [f64; 3] = [15.999, 1.008, 1.008];
    let positions = noisy(&WATER, 20_000, 0.05, 1).1;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
    let velocities = Array3::from_shape_fn((20_000, 3, 3), |(_, atom, _)| {
        let speed = (BOLTZMANN * 300.0 * ENERGY_TO_KINETIC / masses[atom]).sqrt();
        let normal: f64 = StandardNormal.sample(&mut rng);
        speed * normal
    });
    let kinetic = kinetic_temperature(positions.view(), velocities.view(), &masses).unwrap();
    assert!((kinetic.all.kelvin - 300.0).abs() < 3.0 * kinetic.all.error, "{kinetic:?}");
    assert!((kinetic.internal.kelvin - 300.0).abs() < 3.0 * kinetic.internal.error, "{kinetic:?}");
    assert!((kinetic.center_share - 1.0 / 3.0).abs() < 0.01 && kinetic.removed == 6);
    assert!((kinetic.turn_share - 1.0 / 3.0).abs() < 0.01);
    let spread = kinetic.spread.unwrap();
    assert!((spread.ratio - 1.0).abs() < 4.0 * spread.error && spread.error < 0.1, "{spread:?}");
}

#[test]
fn warns_of_known_thermostat_mistakes() {
    // Water: a thermostat that counts 9 degrees where 3 move heats to 3 times what was asked.
    let data = Springs::new(&WATER).canonical(450.0, 20_000, 1);
    let say = |asked| assess(&data, Some(asked)).unwrap().warnings.join("; ");
    assert!(say(450.0).is_empty(), "{}", say(450.0));
    assert!(say(150.0).contains("3N = 9"), "{}", say(150.0));
    assert!(say(225.0).contains("3N - 3 = 6"), "{}", say(225.0));
    assert!(say(1000.0).contains("another potential"), "{}", say(1000.0));
    assert!(assess(&data, Some(-1.0)).is_err() && assess(&data, Some(f64::NAN)).is_err());
    let blind = assess(&Dataset { forces: None, ..data.clone() }, None).unwrap();
    assert!(blind.configurational.is_none() && blind.warnings[0].contains("no forces"));
    let reversed = changed(&data, |_, f| -f);
    assert!(assess(&reversed, None).unwrap().warnings.join(";").contains("sign"));
    let (_, rigid) = noisy(&WATER, 50, 0.0, 1);
    let held = Dataset { positions: rigid.clone(), forces: Some(rigid), energies: None, ..data.clone() };
    assert!(assess(&held, None).unwrap().warnings.join(";").contains("2 of 2 bonds are held"));
    let short = data.positions.select(Axis(0), &[0]);
    let one = Bonds::from_mean_distances(&data.species, short.view()).unwrap();
    assert!(configurational_temperature(short.view(), short.view(), &one).is_err());
}

/// The same frames with other forces, from (frame, atom, component) and force.
fn changed(data: &Dataset, change: impl Fn((usize, usize, usize), f64) -> f64) -> Dataset {
    let forces = data.forces.as_ref().unwrap();
    let other = Array3::from_shape_fn(forces.dim(), |at| change(at, forces[at]));
    Dataset { forces: Some(other), ..data.clone() }
}

fn warned(data: &Dataset) -> String {
    assess(data, None).unwrap().warnings.join("; ")
}

#[test]
fn every_class_reads_the_temperature_of_canonical_frames() {
    let springs = Springs::new(&ETHANOL);
    for seed in 0..8 {
        let data = springs.canonical(500.0, 4000, seed);
        let found = assess(&data, Some(500.0)).unwrap();
        assert!(found.warnings.is_empty(), "{seed}: {:?}", found.warnings);
        assert_eq!(found.classes.len(), 4);
        for one in &found.classes {
            // Nearly harmonic torsions of weak springs: their mean torque is weak too.
            let Some(reading) = one.temperature else {
                assert_eq!(one.class, ModeClass::Torsions, "{one:?}");
                continue;
            };
            assert!((reading.kelvin - 500.0).abs() < 4.0 * reading.error, "{seed}: {one:?}");
            assert!(reading.error < 100.0 && one.modes > 0);
        }
        let spread = found.energy_spread.unwrap();
        assert_eq!(spread.vibrations, 21);
        assert!(
            (spread.temperature.kelvin - 500.0).abs() < 4.0 * spread.temperature.error + 50.0,
            "{spread:?}"
        );
    }
    let torsions = |seed| {
        let found = assess(&springs.canonical(500.0, 40_000, seed), None).unwrap().classes[3].clone();
        found.temperature.unwrap_or_else(|| panic!("{found:?}"))
    };
    for reading in [torsions(1), torsions(2)] {
        assert!((reading.kelvin - 500.0).abs() < 4.0 * reading.error && reading.error < 60.0, "{reading:?}");
    }
}

#[test]
fn bend_field_has_its_divergence() {
    // v = r (theta - theta0) e_theta on atom 0 of the angle 0-1-2, by central differences.
    let frame = ndarray::arr3(&[[[0.9, 0.3, -0.2], [0.1, 0.0, 0.05], [-0.3, 1.1, 0.4]]]);
    let theta0 = 1.4;
    let field = |frame: &Array3<f64>, c: usize| {
        let theta = angle(&frame.view(), 0, [0, 1, 2]);
        let (direction, r) = thermometer_classes::opening(&frame.view(), 0, [0, 1, 2], theta);
        r * (theta - theta0) * direction[c]
    };
    let h = 1e-5;
    let divergence: f64 = (0..3)
        .map(|c| {
            let (mut up, mut down) = (frame.clone(), frame.clone());
            up[[0, 0, c]] += h;
            down[[0, 0, c]] -= h;
            (field(&up, c) - field(&down, c)) / (2.0 * h)
        })
        .sum();
    let theta = angle(&frame.view(), 0, [0, 1, 2]);
    approx::assert_relative_eq!(divergence, 1.0 + (theta - theta0) / theta.tan(), max_relative = 1e-6);
}

#[test]
fn names_the_noise_of_a_langevin_thermostat() {
    let data = Springs::new(&ETHANOL).canonical(500.0, 4000, 3);
    // LAMMPS: random forces of variance 2 m kT / (damp dt), here damp 100 fs and dt 0.5 fs.
    let mut stream = Stream::new(5, Purpose::Data, 0);
    let noise = Array3::from_shape_fn(data.positions.dim(), |(_, atom, _)| {
        (2.0 * data.masses[atom] * BOLTZMANN * 500.0 / ENERGY_TO_KINETIC / 50.0).sqrt() * stream.normal()
    });
    let noisy = changed(&data, |at, f| f + noise[at]);
    let found = assess(&noisy, Some(500.0)).unwrap();
    let said = found.warnings.join("; ");
    assert!(said.contains("fix langevin") && said.contains("fit") | said.contains("look like"), "{said}");
    let product: f64 = said.split("about ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((product - 50.0).abs() < 2.0, "{said}");
    // The reading is right, and blurred.
    let (calm, blurred) =
        (assess(&data, None).unwrap().configurational.unwrap(), found.configurational.unwrap());
    assert!((blurred.kelvin - 500.0).abs() < 4.0 * blurred.error && blurred.error > 1.1 * calm.error);
    // Noise of equal size on every atom is no thermostat's.
    let alike = changed(&data, |at, f| f + noise[at] / data.masses[at.1].sqrt());
    assert!(!assess(&alike, None).unwrap().force_check.unwrap().like_noise());
}

#[test]
fn suspects_forces_of_another_potential() {
    let springs = Springs::new(&ETHANOL);
    let data = springs.canonical(500.0, 4000, 3);
    // The O-H bond 2-8 a third stiffer than in the run.
    let view = data.positions.view();
    let extra = |frame: usize| {
        let d = between(&view, frame, 8, 2);
        let r = norm(d);
        d.map(|c| -200.0 * (r - 0.97) * c / r)
    };
    let other = changed(&data, |(frame, atom, c), f| match atom {
        8 => f + extra(frame)[c],
        2 => f - extra(frame)[c],
        _ => f,
    });
    assert!(warned(&other).contains("bond O2-H8 reads"), "{}", warned(&other));
    // Time order: the work of the forces is the change of the energy, at any usual step.
    for dt in [0.25, 0.5, 1.0] {
        let run = springs.trajectory(500.0, 2000, dt, 4);
        let work = assess(&run, None).unwrap().work.unwrap();
        assert!(work.residual < 0.5 * work.limit, "{dt}: {work:?}");
        let scaled = Dataset { energies: run.energies.as_ref().map(|e| e * 0.7), ..run.clone() };
        assert!(warned(&scaled).contains("unexplained"), "{dt}: {}", warned(&scaled));
    }
    // Frames that do not follow each other have no work between them.
    assert!(assess(&data, None).unwrap().work.is_none());
}

#[test]
fn suspects_a_window_that_is_not_equilibrated() {
    let springs = Springs::new(&ETHANOL);
    let (mut cold, warm) = (springs.canonical(300.0, 2000, 1), springs.canonical(500.0, 4000, 2));
    let join = |a: &Array3<f64>, b: &Array3<f64>| ndarray::concatenate![Axis(0), *a, *b];
    cold.positions = join(&cold.positions, &warm.positions);
    cold.forces = Some(join(cold.forces.as_ref().unwrap(), warm.forces.as_ref().unwrap()));
    cold.energies = Some(ndarray::concatenate![
        Axis(0),
        *cold.energies.as_ref().unwrap(),
        *warm.energies.as_ref().unwrap()
    ]);
    assert!(warned(&cold).contains("first third"), "{}", warned(&cold));
    // Bends too soft for the forces: as after a start from a minimum, before the soft modes are warm.
    let few = springs.trajectory(500.0, 60, 0.5, 3);
    assert!(warned(&few).contains("independent stretches"), "{}", warned(&few));
    let mixed = changed(&warm, |_, f| f);
    let bonds = Bonds::from_mean_distances(&warm.species, warm.positions.view()).unwrap();
    let soft = mixed.forces.as_ref().map(|forces| {
        // Half of every force across the bonds of the hydrogens of the methyl group is taken away.
        let mut forces = forces.clone();
        for frame in 0..forces.dim().0 {
            for atom in [5, 6, 7] {
                let u = between(&warm.positions.view(), frame, atom, 0);
                let f = [0, 1, 2].map(|c| forces[[frame, atom, c]]);
                let along = dot(f, u) / dot(u, u);
                for c in 0..3 {
                    forces[[frame, atom, c]] = 0.5 * (f[c] + along * u[c]);
                    forces[[frame, atom, c]] += 0.5 * along * u[c];
                    forces[[frame, 0, c]] += f[c] - forces[[frame, atom, c]];
                }
            }
        }
        forces
    });
    assert_eq!(bonds.pairs.len(), 8);
    let soft = Dataset { forces: soft, ..warm };
    assert!(warned(&soft).contains("bends read"), "{}", warned(&soft));
}
