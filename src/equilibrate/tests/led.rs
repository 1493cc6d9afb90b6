//! Walks led by a field that is not the potential.

use super::*;
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
    let mut equilibration = Equilibration::new(&data, small(kelvin)).unwrap();
    let mut count = 0;
    let halt = equilibration.run(&mut astray, Some((&kept, 1000)), &mut |_| {
        count += 1;
        if count == 150 {
            Continue::Stop
        } else {
            Continue::Yes
        }
    });
    assert!(matches!(halt, Err(Error::Interrupted(_))), "{halt:?}");
    let mut resumed = Equilibration::resume(&data, &Checkpoint::load(&kept).unwrap()).unwrap();
    let again = resumed.run(&mut astray, None, &mut |_| Continue::Yes).unwrap();
    assert_eq!((again.positions, again.report.guided), (pool.positions, false));
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
    let mut equilibration = Equilibration::new(&data, settings).unwrap();
    for stop in [25, 70] {
        let mut count = 0;
        let halt = equilibration.run(&mut model(), Some((&kept, 10)), &mut |_| {
            count += 1;
            if count == stop {
                Continue::Stop
            } else {
                Continue::Yes
            }
        });
        assert!(matches!(halt, Err(Error::Interrupted(_))), "{halt:?}");
        equilibration = Equilibration::resume(&data, &Checkpoint::load(&kept).unwrap()).unwrap();
    }
    let pool = equilibration.run(&mut model(), None, &mut |_| Continue::Yes).unwrap();
    assert_eq!((&pool.positions, &pool.energies), (&one.positions, &one.energies));
    assert_eq!(pool.report.quantities, one.report.quantities);
}
