//! What one call of each kernel costs: `cargo bench`, or `make bench`, which sets whole jobs beside their peers.
//! A word on the command line picks the kernels whose name holds it.
//!
//! No harness of a crate: criterion turns on features of crates that the library has too, and every test would then
//! build most of the dependencies a second time.
// A benchmark may stop where a test may.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use boltzdrift::dataset::{read, ReadOptions};
use boltzdrift::drift::kernel::{Field, Labels};
use boltzdrift::drift::sliced;
use boltzdrift::molecule::features::{distances, feature_forces, Projection};
use boltzdrift::potential::gdml::{inverse_distances, Parts};
use boltzdrift::potential::{evaluate, Gdml};
use boltzdrift::sampler::noise::{Purpose, Stream};
use boltzdrift::sampler::Sampler;
use boltzdrift::units::UnitSystem;
use ndarray::{Array3, ArrayView2};
use tch::Tensor;

#[path = "../tests/untrained/mod.rs"]
mod untrained;

/// Frames of ethanol, every coordinate spread by 0.05 angstrom.
fn frames(count: usize) -> Array3<f64> {
    let origin = untrained::ethanol().origin;
    let shape = ArrayView2::from_shape((9, 3), &origin).unwrap();
    let mut stream = Stream::new(1, Purpose::Data, 0);
    Array3::from_shape_fn((count, 9, 3), |(_, a, c)| shape[[a, c]] + 0.05 * stream.normal())
}

/// Prints the median time of `work` over some fifty rounds of at least a millisecond, and that of each of its
/// `elements`.
fn time(name: &str, elements: usize, mut work: impl FnMut()) {
    if std::env::args().skip(1).any(|word| !word.starts_with('-') && !name.contains(&word)) {
        return;
    }
    work();
    let start = Instant::now();
    work();
    let once = start.elapsed().as_secs_f64().max(1e-9);
    // `cargo test --benches` passes no --bench: then once is enough.
    let measured = std::env::args().any(|word| word == "--bench");
    let calls = (1e-3 / once).ceil().max(1.0) as usize;
    let rounds = if measured { (2.0 / (once * calls as f64)).clamp(5.0, 50.0) as usize } else { 1 };
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            (0..calls).for_each(|_| work());
            start.elapsed().as_secs_f64() / calls as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let median = times[rounds / 2];
    println!("{name:<40} {:>12.2} us {:>12.1} ns each", median * 1e6, median / elements as f64 * 1e9);
}

fn main() {
    sampling();
    features();
    fields();
    force_field();
    readers();
}

fn sampling() {
    let sampler = Sampler::new(untrained::ethanol()).unwrap();
    for count in [1, 32, 1_000, 100_000] {
        let mut out = vec![0.0; count * 27];
        time(&format!("sample, {count}"), count, || sampler.sample_into(0, 0, &mut out).unwrap());
    }
}

fn features() {
    let positions = frames(1_000);
    let forces = positions.mapv(|x| -x);
    time("pair distances, 1000 frames", 1_000, || {
        black_box(distances(positions.view()));
    });
    time("feature forces, 1000 frames", 1_000, || {
        black_box(feature_forces(positions.view(), forces.view(), Projection::Exact).unwrap());
    });
}

fn fields() {
    tch::set_num_threads(1);
    let mut stream = Stream::new(2, Purpose::Data, 0);
    let mut draw = |rows: i64, columns: i64| {
        let mut values = vec![0.0; (rows * columns) as usize];
        stream.normals(&mut values);
        Tensor::from_slice(&values).view([rows, columns])
    };
    let (x, y, force) = (draw(256, 36), draw(512, 36), draw(512, 36));
    let (px, py) = (draw(172, 512), draw(172, 512));
    let mut field = Field::plain(6.0);
    field.gamma = 0.1;
    let labels = Labels { force: Some(&force), energy: None };
    time("kernel drift, 256 x 512", 256, || {
        drop(black_box(field.drift(&x, &y, labels).unwrap()));
    });
    time("sliced drift, 172 lines of 512", 512, || {
        drop(black_box(sliced::targets(&px, &py).unwrap()));
    });
}

fn force_field() {
    let mut stream = Stream::new(3, Purpose::Data, 0);
    let descriptors = inverse_distances(frames(600).view());
    let species = untrained::ethanol().record.species;
    let parts = Parts {
        permutations: vec![(0..9).collect()],
        orders: vec![(0..36).collect()],
        coefficients: descriptors.mapv(|_| stream.normal()),
        guide: None,
        descriptors,
        weights: vec![1.0; 36],
        sigma: 20.0,
        scale: 1.0,
        constant: 0.0,
        record: serde_json::Value::Null,
        species: species.clone(),
    };
    let (mut field, positions) = (Gdml::new(parts).unwrap(), frames(1_024));
    time("force field of 600 centers, 1024 frames", 1_024, || {
        black_box(evaluate(&mut field, &species, positions.view()).unwrap());
    });
}

fn readers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.extxyz");
    let mut text = String::new();
    for frame in frames(2_000).outer_iter() {
        text += "9\nProperties=species:S:1:pos:R:3:forces:R:3 energy=0.5\n";
        for (symbol, x) in ["C", "C", "O", "H", "H", "H", "H", "H", "H"].iter().zip(frame.outer_iter()) {
            text += &format!("{symbol} {0:.8} {1:.8} {2:.8} {1:.8} {2:.8} {0:.8}\n", x[0], x[1], x[2]);
        }
    }
    std::fs::write(&path, text).unwrap();
    let options = ReadOptions { units: Some(UnitSystem::lammps("metal").unwrap()), ..ReadOptions::default() };
    time("read extended XYZ, 2000 frames", 2_000, || {
        black_box(read(&path, &options, &mut |_| Ok(())).unwrap());
    });
}
