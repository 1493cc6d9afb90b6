//! A force field written and read again.

use ndarray::{Array2, Array3, Axis};

use super::*;
use crate::npz::Npz;
use crate::potential::evaluate;
use crate::sampler::noise::{Purpose, Stream};

const PERMUTATIONS: [[usize; 4]; 6] =
    [[0, 1, 2, 3], [0, 1, 3, 2], [0, 2, 1, 3], [0, 2, 3, 1], [0, 3, 1, 2], [0, 3, 2, 1]];

fn frames(count: usize, index: u64) -> Array3<f64> {
    let shape = [[0.0, 0.0, 0.3], [0.94, 0.0, 0.0], [-0.47, 0.81, 0.0], [-0.47, -0.81, 0.0]];
    let mut stream = Stream::new(5, Purpose::Data, index);
    Array3::from_shape_fn((count, 4, 3), |(_, atom, c)| shape[atom][c] + 0.1 * stream.normal())
}

/// A force field of ammonia from five frames, with arbitrary coefficients.
fn field() -> Gdml {
    let mut stream = Stream::new(5, Purpose::Data, 1);
    Gdml::new(Parts {
        species: vec![7, 1, 1, 1],
        permutations: PERMUTATIONS.iter().map(|p| p.to_vec()).collect(),
        orders: PERMUTATIONS.iter().map(|p| descriptor_order(p)).collect(),
        descriptors: inverse_distances(frames(5, 0).view()),
        weights: vec![1.0; 6],
        coefficients: Array2::from_shape_fn((5, 6), |_| 30.0 * stream.normal()),
        guide: None,
        sigma: 1.7,
        scale: 12.345_678_901_234_567,
        constant: -35_441.123_456_789,
        record: serde_json::json!({ "library_version": "test", "text": "\u{212b} \"quoted\"", "x": 0.1 }),
    })
    .unwrap()
}

#[test]
fn what_is_written_is_read_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ammonia.npz");
    let mut field = field();
    field.save(&path).unwrap();
    let mut read = Gdml::load(&path).unwrap();
    assert_eq!(read.parts(), field.parts());
    let x = frames(70, 2);
    let species = [7, 1, 1, 1];
    let (a, b) = (evaluate(&mut field, &species, x.view()), evaluate(&mut read, &species, x.view()));
    assert_eq!(a.unwrap(), b.unwrap());
    // Written again, the same bytes; without a record, none is read.
    let again = folder.path().join("again.npz");
    read.save(&again).unwrap();
    assert!(std::fs::read(&path).unwrap() == std::fs::read(&again).unwrap());
    let parts = Parts { record: serde_json::Value::Null, ..field.parts().clone() };
    Gdml::new(parts).unwrap().save(&again).unwrap();
    assert!(Gdml::load(&again).unwrap().parts().record.is_null());
}

/// Tiles of eight frames are taken four, two or one at a time: a frame's numbers are those it has alone.
#[test]
fn a_frame_has_the_same_numbers_whatever_is_beside_it() {
    let mut field = field();
    let (all, species) = (frames(70, 4), [7, 1, 1, 1]);
    let alone: Vec<_> = all
        .axis_chunks_iter(Axis(0), 1)
        .map(|frame| {
            let (energy, forces) = evaluate(&mut field, &species, frame).unwrap();
            (energy[0], forces.index_axis_move(Axis(0), 0))
        })
        .collect();
    for count in [1, 7, 8, 9, 16, 17, 24, 25, 31, 32, 33, 63, 70] {
        let some = all.slice(s![..count, .., ..]);
        let (energies, forces) = evaluate(&mut field, &species, some).unwrap();
        for (k, (energy, own)) in alone[..count].iter().enumerate() {
            assert_eq!((energies[k], forces.index_axis(Axis(0), k)), (*energy, own.view()), "{k} of {count}");
        }
    }
}

/// With weights, the energy term by term, and a file that a program without weights cannot take for its own.
#[test]
fn weights_are_kept_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weighted.npz");
    let weights = vec![0.4, 0.4, 2.5, 0.4, 2.5, 2.5];
    let mut field = Gdml::new(Parts { weights: weights.clone(), ..field().parts().clone() }).unwrap();
    assert_ne!(field.identity(), super::tests::field().identity());
    field.save(&path).unwrap();
    let read = Gdml::load(&path).unwrap();
    assert_eq!(read.parts(), field.parts());
    assert_eq!(read.identity(), field.identity());
    let mut file = Npz::open(&path).unwrap();
    assert!(!file.has("R_desc") && !file.has("R_d_desc_alpha") && !file.has("Rt_desc"));
    assert_eq!(file.numbers("desc_weights").unwrap().into_iter().collect::<Vec<_>>(), weights);

    // Weights beside arrays without weights are not one model: names of the same length, turned in the archive.
    for (old, new) in [("Rw_d", "Rt_d"), ("desc_weights", "no_such_name")] {
        let mut bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() - old.len() {
            if bytes[at..].starts_with(old.as_bytes()) {
                bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
            }
        }
        let turned = folder.path().join("turned.npz");
        std::fs::write(&turned, bytes).unwrap();
        let said = Gdml::load(&turned).unwrap_err().to_string();
        assert!(said.contains("'desc_weights'"), "{said}");
    }

    let state = frames(1, 9);
    let own = inverse_distances(state.view());
    let parts = field.parts().clone();
    let q = 5.0_f64.sqrt() / parts.sigma;
    let mut sum = 0.0;
    for m in 0..5 {
        for order in &parts.orders {
            let difference = |k: usize| own[[0, k]] - parts.descriptors[[m, order[k]]];
            let d: Vec<f64> = (0..6).map(|k| q * weights[k] * difference(k)).collect();
            let n = d.iter().map(|d| d * d).sum::<f64>().sqrt();
            let w: f64 = (0..6).map(|k| d[k] * parts.coefficients[[m, order[k]]]).sum();
            sum += 5.0 / (3.0 * parts.sigma * parts.sigma) * (-n).exp() * (1.0 + n) * w;
        }
    }
    let (energy, _) = evaluate(&mut field, &[7, 1, 1, 1], state.view()).unwrap();
    approx::assert_relative_eq!(energy[0] - parts.constant, parts.scale * sum / q, max_relative = 1e-9);
}

/// A guide is the field of the first frames with coefficients of its own.
#[test]
fn a_guide_is_kept_and_is_a_field() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guided.npz");
    let mut stream = Stream::new(5, Purpose::Data, 3);
    let coefficients = Array2::from_shape_fn((2, 6), |_| 30.0 * stream.normal());
    let with = |guide| Gdml::new(Parts { guide: Some(guide), ..field().parts().clone() });
    let led = with(coefficients.clone()).unwrap();
    assert_ne!(led.identity(), field().identity());
    led.save(&path).unwrap();
    let read = Gdml::load(&path).unwrap();
    assert_eq!((read.parts(), read.identity()), (led.parts(), led.identity()));
    let (mut guide, cost) = read.guide().unwrap();
    assert_eq!(cost, 0.4);
    let descriptors = field().parts().descriptors.slice(s![..2, ..]).to_owned();
    let mut direct = Gdml::new(Parts { descriptors, coefficients, ..field().parts().clone() }).unwrap();
    let x = frames(9, 4);
    let answers = [&mut guide, &mut direct].map(|field| evaluate(field, &[7, 1, 1, 1], x.view()).unwrap());
    assert_eq!(answers[0], answers[1]);
    assert!(guide.guide().is_none() && field().guide().is_none());
    for wrong in [(0, 6), (5, 6), (2, 5)] {
        let said = with(Array2::ones(wrong)).unwrap_err().to_string();
        assert!(said.contains("guide"), "{said}");
    }
    let mut wild = Array2::ones((2, 6));
    wild[[1, 1]] = f64::NAN;
    assert!(matches!(with(wild), Err(Error::Numeric(_))));
}

#[test]
fn a_turned_bit_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ammonia.npz");
    field().save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    // The last bit of one number, wherever that number's bytes lie in the archive.
    let number = field().parts().coefficients[[0, 0]].to_le_bytes();
    let place = bytes.windows(8).position(|window| window == number).expect("arrays are stored as they are");
    let mut turned = bytes.clone();
    turned[place] ^= 1;
    std::fs::write(&path, turned).unwrap();
    let said = Gdml::load(&path).unwrap_err().to_string();
    assert!(said.contains("R_d_desc_alpha") && said.contains("damaged"), "{said}");
}

#[test]
fn fields_of_the_same_name_are_told_apart() {
    let one = field();
    let mut parts = one.parts().clone();
    parts.coefficients[[4, 5]] += 1e-9;
    let other = Gdml::new(parts).unwrap();
    assert_eq!(one.name(), other.name());
    assert_ne!(one.identity(), other.identity());
    assert_eq!(one.identity(), field().identity());
}

/// The arrays as sGDML reads them: `np.tile(R_desc.T, P)[:, tril_perms_lin]`, number k P + p of which is
/// descriptor k of permutation p; and its energy, term by term.
#[test]
fn the_layout_is_that_of_sgdml() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ammonia.npz");
    let mut field = field();
    field.save(&path).unwrap();
    let mut file = Npz::open(&path).unwrap();
    let mut get = |name: &str| file.numbers(name).unwrap();
    let (x, a) = (get("R_desc"), get("R_d_desc_alpha"));
    assert_eq!((x.shape(), a.shape()), (&[6, 5][..], &[5, 6][..]));
    let (perms, linear) = (get("perms"), get("tril_perms_lin"));
    assert_eq!((perms.shape(), linear.shape()), (&[6, 4][..], &[36][..]));
    assert_eq!(get("z").as_slice().unwrap(), [7.0, 1.0, 1.0, 1.0]);
    let scalar = ["sig", "std", "c"].map(|name| get(name).sum());
    assert_eq!(get("sig").ndim(), 0);
    let at = |of: &dyn Fn(usize, usize) -> f64, m: usize, p: usize, k: usize| {
        let number = linear[[k * 6 + p]] as usize;
        // Column `number` of P copies side by side.
        of(m, number % 6)
    };
    // Descriptors of the frames whose atoms were put in the order of a permutation.
    let learned = frames(5, 0);
    for (p, permutation) in PERMUTATIONS.iter().enumerate() {
        assert_eq!((0..4).map(|i| perms[[p, i]] as usize).collect::<Vec<_>>(), permutation);
        let moved = learned.select(Axis(1), permutation);
        for m in 0..5 {
            let mut k = 0;
            for i in 0..4 {
                for j in 0..i {
                    let square: f64 = (0..3).map(|c| (moved[[m, i, c]] - moved[[m, j, c]]).powi(2)).sum();
                    let expected = 1.0 / square.sqrt();
                    approx::assert_relative_eq!(
                        at(&|m, k| x[[k, m]], m, p, k),
                        expected,
                        max_relative = 1e-12
                    );
                    // Each copy has a column of its own, so that no two are the same.
                    assert_eq!(linear[[k * 6 + p]] as usize / 6, p);
                    k += 1;
                }
            }
        }
    }
    let [sigma, std, c] = scalar;
    let state = frames(1, 9);
    let own = inverse_distances(state.view());
    let q = 5.0_f64.sqrt() / sigma;
    let mut sum = 0.0;
    for m in 0..5 {
        for p in 0..6 {
            let d: Vec<f64> = (0..6).map(|k| q * (own[[0, k]] - at(&|m, k| x[[k, m]], m, p, k))).collect();
            let n = d.iter().map(|d| d * d).sum::<f64>().sqrt();
            let w: f64 = (0..6).map(|k| d[k] * at(&|m, k| a[[m, k]], m, p, k)).sum();
            sum += 5.0 / (3.0 * sigma * sigma) * (-n).exp() * (1.0 + n) * w;
        }
    }
    let (energy, _) = evaluate(&mut field, &[7, 1, 1, 1], state.view()).unwrap();
    approx::assert_relative_eq!(energy[0] - c, std * sum / q, max_relative = 1e-9);
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_the_old_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("no/such/field.npz");
    let said = field().save(&nowhere).unwrap_err().to_string();
    assert!(said.contains("no/such/field.npz") && !said.contains('\n'), "{said}");
    let said = field().save(folder.path()).unwrap_err().to_string();
    assert!(said.contains(&folder.path().display().to_string()) && said.contains("folder"), "{said}");
    // A file cut short, as an interrupted copy leaves it, is named too.
    let path = folder.path().join("short.npz");
    field().save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 100, bytes.len() / 2, bytes.len() - 30] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let said = Gdml::load(&path).unwrap_err().to_string();
        assert!(said.contains("short.npz"), "{length} bytes: {said}");
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["short.npz"]);
}
