use super::*;
use crate::dataset::{elements, Source};
use crate::molecule::samples::{noisy, Row, WATER};
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

fn dataset(species: Vec<u8>, positions: Array3<f64>, forces: Option<Array3<f64>>) -> Dataset {
    let masses = species.iter().map(|&z| elements::mass(z).unwrap()).collect();
    let frames = (0..positions.dim().0).collect();
    let source = Source {
        path: "test".into(),
        format: "test".into(),
        frames,
        atoms_in_file: species.len(),
        periodic: false,
        units: "angstrom".into(),
        digest: String::new(),
        warnings: Vec::new(),
    };
    Dataset { species, masses, positions, forces, energies: None, velocities: None, source }
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
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
    let velocities = Array3::from_shape_fn((20_000, 3, 3), |(_, atom, _)| {
        let speed = (BOLTZMANN * 300.0 * ENERGY_TO_KINETIC / masses[atom]).sqrt();
        let normal: f64 = StandardNormal.sample(&mut rng);
        speed * normal
    });
    let kinetic = kinetic_temperature(velocities.view(), &masses).unwrap();
    assert!((kinetic.all.kelvin - 300.0).abs() < 3.0 * kinetic.all.error, "{kinetic:?}");
    approx::assert_relative_eq!(kinetic.internal.kelvin, 3.0 * kinetic.all.kelvin, max_relative = 1e-12);
    assert!((kinetic.center_share - 1.0 / 3.0).abs() < 0.01 && kinetic.removed == 6);
}

#[test]
fn warns_of_known_thermostat_mistakes() {
    // Water: a thermostat that counts 9 degrees where 3 move heats to 3 times what was asked.
    let (species, positions, forces) = wells(&WATER, 600.0, 450.0, 20_000);
    let data = dataset(species.clone(), positions.clone(), Some(forces.clone()));
    let say = |asked| assess(&data, Some(asked)).unwrap().warnings.join("; ");
    assert!(say(450.0).is_empty(), "{}", say(450.0));
    assert!(say(150.0).contains("3N = 9"), "{}", say(150.0));
    assert!(say(225.0).contains("3N - 3 = 6"), "{}", say(225.0));
    assert!(say(1000.0).contains("another potential"), "{}", say(1000.0));
    assert!(assess(&data, Some(-1.0)).is_err() && assess(&data, Some(f64::NAN)).is_err());
    let blind = assess(&dataset(species.clone(), positions.clone(), None), None).unwrap();
    assert!(blind.configurational.is_none() && blind.warnings[0].contains("no forces"));
    let reversed = dataset(species.clone(), positions.clone(), Some(forces.mapv(|f| -f)));
    assert!(assess(&reversed, None).unwrap().warnings.join(";").contains("sign"));
    let (_, rigid) = noisy(&WATER, 50, 0.0, 1);
    let held = dataset(species, rigid.clone(), Some(rigid)).clone();
    assert!(assess(&held, None).unwrap().warnings.join(";").contains("2 of 2 bonds are held"));
    let short = data.positions.select(Axis(0), &[0]);
    let one = Bonds::from_mean_distances(&data.species, short.view()).unwrap();
    assert!(configurational_temperature(short.view(), short.view(), &one).is_err());
}
