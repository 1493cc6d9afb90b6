//! Potentials in closed form: what a fit must find again.

use ndarray::{s, Array2, Array3};

use super::*;
use crate::analytic::{hydroxymethyl, water, Noise};
use crate::fit::choose::hold_out;

#[test]
fn the_closed_forms_are_their_own_gradients() {
    for molecule in [water(), hydroxymethyl()] {
        for frame in molecule.frames(800.0, 5, 3) {
            for (atom, force) in frame.forces.iter().enumerate() {
                for (c, force) in force.iter().enumerate() {
                    let at = |h: f64| {
                        let mut x = frame.x.clone();
                        x[atom][c] += h;
                        molecule.evaluate(&x).0
                    };
                    let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                    assert!((force + slope).abs() < 1e-5 * (1.0 + force.abs()), "{force} for {}", -slope);
                }
            }
        }
    }
}

#[test]
fn the_guide_is_the_fit_of_the_first_frames() {
    let molecule = hydroxymethyl();
    let data = dataset(&molecule, &molecule.frames(500.0, 1200, 1));
    let found = quiet(&data, &given(150)).unwrap();
    let (mut guide, cost) = crate::potential::Potential::guide(&found.field).unwrap();
    assert_eq!(cost, 40.0 / 150.0);
    // Frames are chosen one after the other, so that a fit to fewer has the first of them.
    let mut fewer = quiet(&data, &given(40)).unwrap().field;
    assert!(fewer.guide_field().is_none());
    let x = data.positions.slice(s![..50, .., ..]);
    let (own, of_fewer) = (evaluate(&mut guide, &data.species, x), evaluate(&mut fewer, &data.species, x));
    let ((e, f), (e_fewer, f_fewer)) = (own.unwrap(), of_fewer.unwrap());
    assert!(rms(&(&f - &f_fewer)) < 1e-6 * rms(&f), "{}", rms(&(&f - &f_fewer)));
    // The constant apart.
    let shift = e[0] - e_fewer[0];
    assert!((&e - &e_fewer - shift).iter().all(|d| d.abs() < 1e-5));
}

#[test]
fn more_frames_err_less_and_the_report_is_right() {
    let molecule = hydroxymethyl();
    let data = dataset(&molecule, &molecule.frames(500.0, 1200, 1));
    let fresh = dataset(&molecule, &molecule.frames(500.0, 500, 2));
    let mut before = f64::INFINITY;
    for frames in [25, 60, 140] {
        let mut found = quiet(&data, &given(frames)).unwrap();
        let (report, held_out) = (&found.report, found.report.held_out);
        assert_eq!((report.frames.len(), report.rows, report.permutations), (frames, 9 * frames, 2));
        assert_eq!((report.sigma, report.ridge, held_out.frames), (10.0, 1e-9, 120));
        assert_eq!(serde_json::from_value::<Report>(found.field.parts().record.clone()).unwrap(), {
            let mut kept = report.clone();
            kept.seconds = (0.0, 0.0);
            kept
        });
        assert!(held_out.force_rmse < 0.7 * before, "{frames}: {held_out:?} after {before}");
        before = held_out.force_rmse;

        // What is held out was not learned, and the errors are those on it.
        let rows = hold_out(data.len()).held_out;
        assert!(report.frames.iter().all(|frame| !rows.contains(frame)));
        assert_eq!(rows.len(), held_out.frames);
        let error = |data: &Dataset, field: &mut Gdml| {
            let (e, f) = evaluate(field, &data.species, data.positions.view()).unwrap();
            (rms(&(e - data.energies.as_ref().unwrap())), rms(&(f - data.forces.as_ref().unwrap())))
        };
        let (energy, force) = error(&data.subset(&rows).unwrap(), &mut found.field);
        approx::assert_relative_eq!(energy, held_out.energy_rmse.unwrap(), max_relative = 1e-9);
        approx::assert_relative_eq!(force, held_out.force_rmse, max_relative = 1e-9);
        // Frames of another trajectory see about the same errors: nothing was learned by heart.
        let (energy, force) = error(&fresh, &mut found.field);
        assert!(energy < 2.0 * held_out.energy_rmse.unwrap(), "{energy}: {held_out:?}");
        assert!(force < 2.0 * held_out.force_rmse, "{force}: {held_out:?}");
        assert!(held_out.energy_rmse.unwrap() < 0.2 * held_out.energy_spread.unwrap(), "{held_out:?}");
    }
    assert!(before < 0.03 * rms(data.forces.as_ref().unwrap()), "{before}");
}

#[test]
fn the_search_is_no_worse_than_any_it_tried() {
    let molecule = hydroxymethyl();
    let data = dataset(&molecule, &molecule.frames(500.0, 600, 4));
    let mut tried = Vec::new();
    let mut solving = Vec::new();
    let found = fit(&data, &Settings { frames: 50, plain: true, ..Settings::default() }, &mut |step| {
        match step {
            Progress::Tried { sigma, ridge, force_rmse } => tried.push((sigma, ridge, force_rmse)),
            Progress::Solving { rows, bytes } => solving.push((rows, bytes)),
            Progress::Weighed { .. } => panic!("no weights were asked for"),
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(solving, [(450, 8 * 450 * 450)]);
    let least = tried.iter().map(|one| one.2).fold(f64::INFINITY, f64::min);
    let report = &found.report;
    let own = tried.iter().find(|one| (one.0, one.1) == (report.sigma, report.ridge)).unwrap();
    assert!(tried.len() > 8 && own.2 <= 1.03 * least, "{own:?} of {tried:?}");
    // All frames took part in the search here, so the fit is the one tried.
    approx::assert_relative_eq!(report.held_out.force_rmse, own.2, max_relative = 1e-9);
    // One of the two given, only the other is looked for.
    let mut lengths = Vec::new();
    fit(&data, &Settings { frames: 30, sigma: Some(7.5), ..Settings::default() }, &mut |step| {
        if let Progress::Tried { sigma, .. } = step {
            lengths.push(sigma);
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(lengths, [7.5; 4]);
}

#[test]
fn moved_turned_mirrored_and_permuted_frames() {
    let molecule = hydroxymethyl();
    let data = dataset(&molecule, &molecule.frames(500.0, 300, 5));
    let mut field = quiet(&data, &given(40)).unwrap().field;
    let x = data.positions.slice(s![..20, .., ..]).to_owned();
    let (energies, forces) = evaluate(&mut field, &data.species, x.view()).unwrap();
    let same = |what: &str, images: &Array3<f64>, back: &dyn Fn(&Array3<f64>) -> Array3<f64>| {
        let (e, f) = evaluate(&mut field.clone(), &data.species, images.view()).unwrap();
        let (e, f) = (rms(&(e - &energies)), rms(&(back(&f) - &forces)));
        assert!(e < 1e-8 && f < 1e-7, "{what}: {e:e} and {f:e}");
    };
    let (a, b) = (0.6_f64, 1.1_f64);
    let turn: Array2<f64> =
        ndarray::arr2(&[[a.cos(), a.sin(), 0.0], [-a.sin(), a.cos(), 0.0], [0.0, 0.0, 1.0]])
            .dot(&ndarray::arr2(&[[1.0, 0.0, 0.0], [0.0, b.cos(), b.sin()], [0.0, -b.sin(), b.cos()]]));
    let times = |x: &Array3<f64>, m: &Array2<f64>| {
        let flat = x.view().into_shape_with_order((100, 3)).unwrap().dot(m);
        flat.into_shape_with_order((20, 5, 3)).unwrap()
    };
    same("turned", &(times(&x, &turn) + 3.0), &|f| times(f, &turn.t().to_owned()));
    same("mirrored", &-&x, &|f| -f);
    let swap = [0, 1, 2, 4, 3];
    same("swapped", &x.select(Axis(1), &swap), &|f| f.select(Axis(1), &swap));
    // Another swap is no symmetry: it must be told apart.
    let other = x.select(Axis(1), &[0, 1, 3, 2, 4]);
    let (e, _) = evaluate(&mut field, &data.species, other.view()).unwrap();
    assert!(rms(&(e - &energies)) > 1.0);
}

/// Frames of two or three shapes on springs between all atoms, in a plane or on a line where asked.
fn springs(species: &[u8], shape: &[[f64; 3]], axes: usize) -> Dataset {
    let (count, atoms) = (60, species.len());
    let mut noise = Noise(11);
    let mut positions = Array3::zeros((count, atoms, 3));
    let mut forces = Array3::zeros((count, atoms, 3));
    let distance = |a: &[f64], b: &[f64]| (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>().sqrt();
    for frame in 0..count {
        for atom in 0..atoms {
            for c in 0..axes {
                positions[[frame, atom, c]] = shape[atom][c] + 0.04 * noise.normal();
            }
        }
        for i in 0..atoms {
            for j in 0..i {
                let d: Vec<f64> =
                    (0..3).map(|c| positions[[frame, i, c]] - positions[[frame, j, c]]).collect();
                let r = distance(&d, &[0.0; 3]);
                let pull = -300.0 * (r - distance(&shape[i], &shape[j])) / r;
                for c in 0..3 {
                    forces[[frame, i, c]] += pull * d[c];
                    forces[[frame, j, c]] -= pull * d[c];
                }
            }
        }
    }
    Dataset::from_arrays(species.to_vec(), positions, Some(forces), None, None).unwrap()
}

#[test]
fn lines_and_planes_have_fewer_rows_and_no_net_force() {
    let line = [[0.0; 3], [1.16, 0.0, 0.0], [-1.16, 0.0, 0.0]];
    let plane = [[0.0; 3], [1.2, 0.0, 0.0], [-0.6, 0.94, 0.0], [-0.6, -0.94, 0.0]];
    // On a line only stretches are seen, 2 of 3 atoms; in a plane 2n - 3 distances move; two atoms have one.
    for (species, shape, axes, rank) in [
        (vec![6_u8, 8, 8], line.to_vec(), 1, 2),
        (vec![6, 8, 1, 1], plane.to_vec(), 2, 5),
        (vec![1, 17], vec![[0.0; 3], [1.27, 0.0, 0.0]], 3, 1),
    ] {
        let data = springs(&species, &shape, axes);
        let mut found = quiet(&data, &given(40)).unwrap();
        assert_eq!(found.report.rows, 40 * rank, "{species:?}");
        let held_out = found.report.held_out;
        assert!(held_out.force_rmse < 0.04 * held_out.rms_force, "{species:?}: {held_out:?}");
        assert!(held_out.energy_rmse.is_none() && held_out.energy_spread.is_none());
        let (_, forces) = evaluate(&mut found.field, &species, data.positions.view()).unwrap();
        for (x, f) in data.positions.outer_iter().zip(forces.outer_iter()) {
            let scale = rms(f) + 1.0;
            for c in 0..3 {
                assert!(f.column(c).sum().abs() < 1e-9 * scale, "{species:?}: net force");
                let (a, b) = ((c + 1) % 3, (c + 2) % 3);
                let torque: f64 =
                    x.outer_iter().zip(f.outer_iter()).map(|(x, f)| x[a] * f[b] - x[b] * f[a]).sum();
                assert!(torque.abs() < 1e-9 * scale, "{species:?}: torque {torque}");
            }
        }
    }
}

#[test]
fn the_same_bytes_again_on_any_number_of_threads() {
    let molecule = hydroxymethyl();
    let data = dataset(&molecule, &molecule.frames(500.0, 300, 6));
    let folder = tempfile::tempdir().unwrap();
    let bytes = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let settings = Settings { frames: 40, ridge: Some(1e-9), ..Settings::default() };
        let found = pool.install(|| quiet(&data, &settings).unwrap());
        let path = folder.path().join("field.npz");
        found.field.save(&path).unwrap();
        std::fs::read(&path).unwrap()
    };
    let one = bytes(1);
    assert!(one == bytes(1), "a second fit differs");
    assert!(one == bytes(3), "a fit with three threads differs");
}
