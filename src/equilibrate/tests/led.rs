//! Walks led by a field that is not the potential.

use ndarray::{ArrayView3, ArrayViewMut1, ArrayViewMut3};

use super::*;
use crate::equilibrate::checkpoint::LARGEST;
use crate::fit;
use crate::potential::Gdml;

/// A fit to frames of the diatomic molecule whose forces are those of another spring.
fn guide(stiffness: f64, length: f64) -> Gdml {
    let mut data = diatomic_frames(60);
    let mut forces = Array3::zeros(data.positions.dim());
    for (k, mut x) in data.positions.outer_iter_mut().enumerate() {
        let r = 0.8 + k as f64 / 60.0;
        x[[1, 0]] = r;
        let pull = -stiffness * (r - length);
        forces[[k, 1, 0]] = pull;
        forces[[k, 0, 0]] = -pull;
    }
    data.forces = Some(forces);
    let settings =
        fit::Settings { frames: 40, sigma: Some(2.0), ridge: Some(1e-9), plain: true, ..Default::default() };
    fit::fit(&data, &settings, &mut |_| Ok(())).unwrap().field
}

fn led_by(field: Gdml) -> Model {
    Model { led: Some(field), ..Model::new(spring) }
}

#[test]
fn a_guide_that_errs_leaves_the_distribution_exact() {
    let kelvin = 1000.0;
    let width = (BOLTZMANN * kelvin / STIFF).sqrt();
    let expected = diatomic_mean(0.5, 2.1, kelvin, |r| r);
    let square = diatomic_mean(0.5, 2.1, kelvin, |r| (r - LENGTH).powi(2));
    let pool =
        run(&diatomic_frames(100), &mut led_by(guide(0.8 * STIFF, LENGTH + 0.03)), small(kelvin)).unwrap();
    assert!(pool.report.guided && pool.report.converged, "{:?}", pool.report);
    // The guide's own distribution has another mean, by several times what is told apart below.
    assert!(0.03 > 3.0 * 4.5 * width / 2000.0_f64.sqrt() / 2.0_f64.sqrt());
    assert!(pool.report.acceptance < 0.95, "{}", pool.report.acceptance);
    let lengths = lengths(&pool);
    near(lengths.iter().copied(), expected, width);
    near(lengths.iter().map(|r| (r - LENGTH).powi(2)), square, 1.5 * square);
    let read = pool.report.configurational.unwrap();
    assert!((read.kelvin - kelvin).abs() < 5.0 * read.error, "{read:?}");
}

#[test]
fn a_guide_that_leads_astray_is_left() {
    let kelvin = 1000.0;
    let mut astray = led_by(guide(-STIFF, LENGTH));
    let pool = run(&diatomic_frames(100), &mut astray, small(kelvin)).unwrap();
    assert!(!pool.report.guided && pool.report.converged, "{:?}", pool.report);
    let width = (BOLTZMANN * kelvin / STIFF).sqrt();
    near(lengths(&pool).into_iter(), diatomic_mean(0.5, 2.1, kelvin, |r| r), width);
    // And as without one from where it was left: what is kept of the walk says so.
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("run.checkpoint");
    let data = diatomic_frames(100);
    let equilibration = Equilibration::new(&data, small(kelvin)).unwrap();
    let mut resumed = stopped_at(150, equilibration, &data, &mut astray, (&kept, 1000));
    let again = resumed.run(&mut astray, None, &mut |_| Continue::Yes).unwrap();
    assert_eq!((again.positions, again.report.guided), (pool.positions, false));
    assert!(again.report.warnings.iter().any(|said| said.contains("too far from it to lead")));
}

#[test]
fn threads_and_interruptions_change_no_bit_of_a_led_walk() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("run.checkpoint");
    let (data, settings) = (diatomic_frames(100), Settings { frames: 500, ..small(700.0) });
    let model = || led_by(guide(0.9 * STIFF, LENGTH));
    let whole = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&data, &mut model(), settings.clone()).unwrap())
    };
    let (one, three) = (whole(1), whole(3));
    assert_eq!(one.positions, three.positions);
    assert!(one.report.guided);
    let (own, all) = (one.report.own.total(), one.report.decisions.total());
    assert!(own > 0 && own < all / 8, "{own} of {all}");
    let mut equilibration = Equilibration::new(&data, settings.clone()).unwrap();
    for stop in [25, 70] {
        equilibration = stopped_at(stop, equilibration, &data, &mut model(), (&kept, 10));
    }
    let pool = equilibration.run(&mut model(), None, &mut |_| Continue::Yes).unwrap();
    assert_eq!((&pool.positions, &pool.energies), (&one.positions, &one.energies));
    assert_eq!(pool.report.quantities, one.report.quantities);
    // A potential that fails where it is to judge an end, in the warm-up and after it, loses that iteration alone.
    let mut equilibration = Equilibration::new(&data, settings).unwrap();
    for call in [17, 90] {
        equilibration = failed_at(call, equilibration, &data, model(), &kept);
    }
    let pool = equilibration.run(&mut model(), None, &mut |_| Continue::Yes).unwrap();
    assert_eq!((&pool.positions, &pool.energies), (&one.positions, &one.energies));
    assert_eq!(pool.report.quantities, one.report.quantities);
    // With a potential of the same identity that has lost its guide, the walk would be another one.
    let mut lost = Lost(model());
    let said = Equilibration::resume(&data, &Checkpoint::load(&kept).unwrap()).unwrap().run(
        &mut lost,
        None,
        &mut |_| Continue::Yes,
    );
    assert!(said.unwrap_err().to_string().contains("another potential"));
}

/// A potential that does not pass on its guide.
struct Lost(Model);

impl Potential for Lost {
    fn energies_forces(
        &mut self,
        species: &[u8],
        x: ArrayView3<f64>,
        energies: ArrayViewMut1<f64>,
        forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        self.0.energies_forces(species, x, energies, forces)
    }

    fn name(&self) -> String {
        self.0.name()
    }

    fn identity(&self) -> String {
        self.0.identity()
    }
}

/// What a guide's trajectories leave behind does not enter those of the potential.
#[test]
fn the_potentials_own_trajectories_begin_with_its_own_forces() {
    let data = diatomic_frames(40);
    let system =
        System { species: data.species.clone(), masses: data.masses.clone(), limits: Limits::default() };
    let mut model = led_by(guide(0.5 * STIFF, LENGTH + 0.05));
    let led = guided::Guide::of(&model, &data.species).unwrap();
    let streams = |t: u64| -> Vec<Stream> {
        (0..40).map(|chain| Stream::new(4, Purpose::Walk, t << 20 | chain)).collect()
    };
    let kelvins = vec![900.0; 40];
    let mut batch = Batch::new(data.positions.clone(), &kelvins);
    batch.prepare(&system.species, &mut model).unwrap();
    let mut taken = 0;
    let count = |_, one: &Decisions| taken += one.accepted;
    batch.iterate(&system, &mut model, Some(&led), (1.5, 9), &mut streams(0), count).unwrap();
    assert!(taken > 10 && !batch.fresh);
    let mut other = Batch::new(batch.positions.clone(), &kelvins);
    other.prepare(&system.species, &mut model).unwrap();
    for batch in [&mut batch, &mut other] {
        batch.iterate(&system, &mut model, None, (1.5, 9), &mut streams(1), |_, _| ()).unwrap();
    }
    assert_eq!(batch.positions, other.positions);
    assert!(batch.fresh);
}

#[test]
fn a_guide_leads_a_ladder() {
    let kelvin = 300.0;
    let settings = Settings {
        frames: 2000,
        effective: 1000.0,
        hottest: 8.0,
        r_hat: 1.05,
        ladder: Ladder::On,
        most_evaluations: 3_000_000,
        ..small(kelvin)
    };
    let data = chain_frames(100);
    // Hot states, which have crossed the barrier, are what the guide is a fit to.
    let hot = Settings {
        accept_unconverged: true,
        most_evaluations: 200_000,
        ladder: Ladder::Off,
        ..small(1200.0)
    };
    let hot = run(&data, &mut Model::new(chain), Settings { frames: 400, ..hot }).unwrap();
    let learned =
        Dataset::from_arrays(data.species.clone(), hot.positions, Some(hot.forces), Some(hot.energies), None);
    let given = fit::Settings { frames: 150, ..Default::default() };
    let field = fit::fit(&learned.unwrap(), &given, &mut |_| Ok(())).unwrap().field;
    let mut model = Model { led: Some(field), ..Model::new(chain) };
    let pool = run(&data, &mut model, settings.clone()).unwrap();
    assert!(pool.report.guided && pool.report.converged && pool.report.ladder.is_some(), "{:?}", pool.report);
    let weight = |phi: f64| (-torsion(phi) / (BOLTZMANN * kelvin)).exp();
    let cosine = mean(-PI, PI, weight, f64::cos);
    let watched = &pool.report.quantities[1];
    assert!((watched.mean - cosine).abs() < 4.5 / watched.effective.sqrt(), "{watched:?} for {cosine}");

    // Stopped on the ladder, in its warm-up, and resumed.
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("run.checkpoint");
    let equilibration = Equilibration::new(&data, settings).unwrap();
    let mut resumed = stopped_at(40, equilibration, &data, &mut model, (&kept, 1000));
    let again = resumed.run(&mut model, None, &mut |_| Continue::Yes).unwrap();
    assert_eq!(again.positions, pool.positions);
}

/// An end that the potential has no answer for is no state, wherever the guide leads.
#[test]
fn a_guide_into_a_hole_is_not_followed() {
    let kelvin = 1000.0;
    let mut holed = Model { led: Some(guide(STIFF, LENGTH)), ..Model::new(spring_with_a_hole) };
    let pool = run(&diatomic_frames(100), &mut holed, small(kelvin)).unwrap();
    assert!(pool.report.guided && pool.report.converged, "{:?}", pool.report);
    assert!(pool.report.decisions.not_finite > 0, "{:?}", pool.report.decisions);
    let width = (BOLTZMANN * kelvin / STIFF).sqrt();
    assert!(pool.energies.iter().all(|energy| energy.is_finite()));
    assert!(lengths(&pool).iter().all(|&r| r <= 1.35));
    near(lengths(&pool).into_iter(), diatomic_mean(0.5, 1.35, kelvin, |r| r), width);
}

/// A draw of ten steps takes the potential ten evaluations, and some three where a guide of a fifth of the cost leads: that many
/// more draws are to have room in a checkpoint, with four bytes each.
#[test]
fn the_room_of_a_led_run_is_that_of_more_draws() {
    let data = diatomic_frames(40);
    let settings = Settings { most_evaluations: LARGEST / 4 * 6, ..small(700.0) };
    let begun = |model: &mut Model| {
        let mut run = Equilibration::new(&data, settings.clone()).unwrap();
        run.run(model, None, &mut |_| Continue::Stop).map(|_| ()).unwrap_err()
    };
    assert!(matches!(begun(&mut Model::new(spring)), Error::Interrupted(_)));
    let refused = begun(&mut led_by(guide(STIFF, LENGTH)));
    assert!(matches!(refused, Error::Usage(_)) && refused.to_string().contains("ask for fewer"), "{refused}");
}
