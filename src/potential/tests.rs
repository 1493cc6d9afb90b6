use std::io::BufWriter;
use std::path::Path;

use ndarray::{array, Array2, Array3};
use npyz::WriterBuilder;

use super::*;

/// Writes arrays of f64, with their shapes, and strings.
fn write_npz(path: &Path, arrays: &[(&str, &[u64], Vec<f64>)]) {
    let file = BufWriter::new(std::fs::File::create(path).unwrap());
    let mut npz = npyz::npz::NpzWriter::new(file);
    for (name, shape, values) in arrays {
        let builder = npz.array::<f64>(name, Default::default()).unwrap().default_dtype().shape(shape);
        let mut writer = builder.begin_nd().unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
    }
}

type Arrays = Vec<(&'static str, &'static [u64], Vec<f64>)>;

/// A small model of water, two training frames, two permutations, in the 2018 layout.
fn water_model() -> Arrays {
    vec![
        ("z", &[3], vec![8.0, 1.0, 1.0]),
        ("Rt_desc", &[3, 2], vec![1.04, 1.02, 1.03, 1.06, 0.66, 0.64]),
        ("Rt_d_desc_alpha", &[2, 3, 1], vec![3.0, -2.0, 1.5, 0.5, 4.0, -1.0]),
        ("perms", &[2, 3], vec![0.0, 1.0, 2.0, 0.0, 2.0, 1.0]),
        ("tril_perms_lin", &[6], vec![0.0, 4.0, 1.0, 3.0, 2.0, 5.0]),
        ("sig", &[], vec![2.0]),
        ("c", &[], vec![-12.0]),
    ]
}

fn water_frames() -> Array3<f64> {
    array![
        [[0.0, 0.0, 0.0], [0.97, 0.02, 0.0], [-0.25, 0.93, 0.1]],
        [[0.1, 0.0, 0.2], [1.02, 0.1, 0.1], [-0.3, 0.9, 0.2]]
    ]
}

#[test]
fn forces_are_the_gradient_and_symmetric() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("water.npz");
    write_npz(&path, &water_model());
    let mut model = Gdml::load(&path).unwrap();
    let (species, frames) = ([8, 1, 1], water_frames());
    let (energies, forces) = evaluate(&mut model, &species, frames.view()).unwrap();
    let step = 1e-5;
    for (index, force) in forces.indexed_iter() {
        let (mut up, mut down) = (frames.clone(), frames.clone());
        up[index] += step;
        down[index] -= step;
        let up = evaluate(&mut model, &species, up.view()).unwrap().0[index.0];
        let down = evaluate(&mut model, &species, down.view()).unwrap().0[index.0];
        approx::assert_relative_eq!(*force, -(up - down) / (2.0 * step), epsilon = 1e-7, max_relative = 1e-6);
    }
    let swapped = frames.select(ndarray::Axis(1), &[0, 2, 1]);
    let images = evaluate(&mut model, &species, swapped.view()).unwrap().0;
    for (a, b) in energies.iter().zip(&images) {
        approx::assert_relative_eq!(a, b, max_relative = 1e-12);
    }
    assert!(evaluate(&mut model, &[1, 8, 1], frames.view()).unwrap_err().to_string().contains("O H H"));
}

#[test]
fn later_layout_and_units() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.npz");
    write_npz(&path, &water_model());
    let mut old = Gdml::load(&path).unwrap();
    // The later layout without tril_perms_lin, std = 2.
    let mut later = water_model();
    later[1].0 = "R_desc";
    later[2] = ("R_d_desc_alpha", &[2, 3], later[2].2.clone());
    later.retain(|(name, ..)| *name != "tril_perms_lin");
    later.push(("std", &[], vec![2.0]));
    let path = folder.path().join("later.npz");
    write_npz(&path, &later);
    let mut new = Gdml::load(&path).unwrap();
    let a = evaluate(&mut old, &[8, 1, 1], water_frames().view()).unwrap();
    let b = evaluate(&mut new, &[8, 1, 1], water_frames().view()).unwrap();
    for (a, b) in a.1.iter().zip(&b.1) {
        approx::assert_relative_eq!(2.0 * a, *b, max_relative = 1e-12);
    }
    approx::assert_relative_eq!(2.0 * (a.0[0] + 12.0), b.0[0] + 12.0, max_relative = 1e-12);
}

#[test]
fn malformed_files_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.npz");
    let check = |change: &dyn Fn(&mut Arrays), message: &str| {
        let mut arrays = water_model();
        change(&mut arrays);
        write_npz(&path, &arrays);
        let error = Gdml::load(&path).unwrap_err().to_string();
        assert!(error.contains(message) && !error.contains('\n'), "{error} lacks {message}");
    };
    for name in ["z", "Rt_d_desc_alpha", "perms", "sig", "c"] {
        check(&|arrays| arrays.retain(|(one, ..)| *one != name), &format!("'{name}' is missing"));
    }
    check(&|arrays| arrays[0].2[1] = 200.0, "atomic numbers");
    check(&|arrays| arrays[1].2[1] = f64::NAN, "not finite");
    check(&|arrays| arrays[3].2 = vec![1.0, 0.0, 2.0, 0.0, 2.0, 1.0], "no permutation of equal atoms");
    check(&|arrays| arrays[4].2[0] = 1.0, "does not permute the pairs");
    check(&|arrays| arrays[4] = ("tril_perms_lin", &[2], vec![0.0, 1.0]), "has 2 numbers");
    check(&|arrays| arrays[1] = ("Rt_desc", &[2, 3], vec![1.0; 6]), "need 3 pairs");
    check(&|arrays| arrays[5].2[0] = 0.0, "sigma");
    check(&|arrays| arrays.push(("lattice", &[1], vec![1.0])), "periodic cell");
    std::fs::write(&path, b"not a zip").unwrap();
    assert!(Gdml::load(&path).unwrap_err().to_string().contains("not a NumPy .npz"));
    assert!(Gdml::load(folder.path().join("none.npz")).unwrap_err().to_string().contains("cannot open"));
}

#[test]
fn specs() {
    assert_eq!(Spec::parse("gdml:a:b.npz").unwrap(), Spec::Gdml("a:b.npz".into()));
    for bad in ["gdml:", "amber:x", "x", ""] {
        let error = Spec::parse(bad).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("gdml:FILE"), "{error}");
    }
}

struct Broken;

impl Potential for Broken {
    fn energies_forces(
        &mut self,
        _: &[u8],
        positions: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        energies.fill(0.0);
        forces.fill(0.0);
        forces[[positions.dim().0 - 1, 1, 2]] = f64::NAN;
        Ok(())
    }

    fn name(&self) -> String {
        "broken".into()
    }
}

#[test]
fn a_number_that_is_not_finite_names_its_frame() {
    let error = evaluate(&mut Broken, &[8, 1, 1], water_frames().view()).unwrap_err().to_string();
    assert!(error.contains("broken") && error.contains("frame 1: the force on atom 1"), "{error}");
    let mut frames = water_frames();
    frames[[0, 2, 1]] = f64::INFINITY;
    let error = evaluate(&mut Broken, &[8, 1, 1], frames.view()).unwrap_err().to_string();
    assert!(error.contains("frame 0") && error.contains("position"), "{error}");
    let coinciding = Gdml::new(gdml::Parts {
        species: vec![1, 1],
        permutations: vec![vec![0, 1]],
        orders: vec![vec![0]],
        descriptors: Array2::ones((1, 1)),
        weights: vec![1.0],
        coefficients: Array2::ones((1, 1)),
        guide: None,
        sigma: 1.0,
        scale: 1.0,
        constant: 0.0,
        record: serde_json::Value::Null,
    });
    let zero = Array3::zeros((1, 2, 3));
    assert!(evaluate(&mut coinciding.unwrap(), &[1, 1], zero.view()).is_err());
}

/// A file of kilobytes may not ask for gigabytes: 9 MB of zeros in single bytes are 72 MB of numbers.
#[test]
fn arrays_packed_out_of_proportion_are_refused() {
    use npyz::zip::{write::FileOptions, CompressionMethod, ZipWriter};
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.npz");
    let write = |kind, count: usize| {
        let mut zip = ZipWriter::new(std::fs::File::create(&path).unwrap());
        zip.start_file("zeros.npy", FileOptions::default().compression_method(kind)).unwrap();
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({count},), }}\n");
        zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
        zip.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        zip.write_all(header.as_bytes()).unwrap();
        zip.write_all(&vec![0; count]).unwrap();
        zip.finish().unwrap();
        crate::npz::Npz::open(&path).unwrap().numbers("zeros")
    };
    let refusal = write(CompressionMethod::Deflated, 9_000_000).unwrap_err().to_string();
    assert!(refusal.contains("array 'zeros' is packed more than 64 to 1"), "{refusal}");
    let refusal = write(CompressionMethod::Deflated, 100_000_000).unwrap_err().to_string();
    assert!(refusal.contains("array 'zeros' is packed more than 64 to 1"), "{refusal}");
    // A header that claims 4 GB, in a file of some bytes.
    let mut zip = ZipWriter::new(std::fs::File::create(&path).unwrap());
    zip.start_file("zeros.npy", FileOptions::default()).unwrap();
    zip.write_all(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr': '|u1', }").unwrap();
    zip.finish().unwrap();
    let refusal = crate::npz::Npz::open(&path).unwrap().numbers("zeros").unwrap_err().to_string();
    assert!(refusal.contains("array 'zeros' has no NumPy header"), "{refusal}");
    // As many without packing, and fewer with it, are taken.
    assert_eq!(write(CompressionMethod::Stored, 9_000_000).unwrap().len(), 9_000_000);
    assert_eq!(write(CompressionMethod::Deflated, 8_000_000).unwrap().len(), 8_000_000);
}

#[test]
fn published_ethanol_model_on_real_frames() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let (model, data) = (root.join("sgdml/ethanol.npz"), root.join("md17/ethanol_reference.npz"));
    if !model.exists() || !data.exists() {
        eprintln!("skipped: the published ethanol model and frames are not here");
        return;
    }
    let mut npz = crate::npz::Npz::open(&data).unwrap();
    let frames = |array: ndarray::ArrayD<f64>| array.into_dimensionality::<ndarray::Ix3>().unwrap();
    let (r, f) = (frames(npz.numbers("R").unwrap()), frames(npz.numbers("F").unwrap()));
    let e = npz.numbers("E").unwrap();
    let first = ndarray::s![..200, .., ..];
    let mut model = Spec::parse(&format!("gdml:{}", model.display())).unwrap().open().unwrap();
    let species = [6, 6, 8, 1, 1, 1, 1, 1, 1];
    let (energies, forces) = evaluate(&mut *model, &species, r.slice(first)).unwrap();
    let mae = (&forces - &f.slice(first)).mapv(f64::abs).mean().unwrap();
    let squares: f64 = energies.iter().zip(&e).map(|(a, b)| (a - b).powi(2)).sum();
    let rms = (squares / 200.0).sqrt();
    eprintln!("force MAE {mae:.4} kcal/mol/A, energy error (rms) {rms:.4} kcal/mol");
    // The NumPy reference on the same frames.
    approx::assert_relative_eq!(mae, 0.348_693_142_2, max_relative = 1e-6);
    approx::assert_relative_eq!(rms, 0.091_939_5, max_relative = 1e-4);
    // The same sums by differences in extended precision (the NumPy reference itself is off by 2e-5 here).
    assert!((energies[0] + 97_195.619_475_973).abs() < 5e-6, "{}", energies[0]);
    assert!((forces[[0, 2, 1]] - 8.293_664_722_910_56).abs() < 1e-5, "{}", forces[[0, 2, 1]]);
    assert!((forces[[3, 2, 1]] + 3.381_064_562_516_49).abs() < 1e-5, "{}", forces[[3, 2, 1]]);
    let start = std::time::Instant::now();
    evaluate(&mut *model, &species, r.slice(ndarray::s![..2000, .., ..])).unwrap();
    eprintln!("2000 frames in {:.3} s", start.elapsed().as_secs_f64());
    let start = std::time::Instant::now();
    let many = r.slice(ndarray::s![..10_000, .., ..]);
    evaluate(&mut *model, &species, many).unwrap();
    eprintln!("{:.0} frames a second", 1e4 / start.elapsed().as_secs_f64());
}
