//! Feature forces (Eq. 31, Algorithm 3) against NumPy's batched pseudo-inverse: the same numbers, in how much of its time.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "train")]

use std::process::Command;
use std::time::Instant;

use boltzdrift::molecule::features::{feature_forces, Projection};
use boltzdrift::sampler::noise::{Purpose, Stream};
use ndarray::{Array2, Array3, Axis};

/// What a user would write, on one core: whole Jacobians, and `numpy.linalg.pinv` of all J^T J at once.
const NUMPY: &str = r#"
import sys, time
import numpy as np
R, F = np.load(sys.argv[1]), np.load(sys.argv[2])
start = time.perf_counter()
N, n, _ = R.shape
i, j = np.triu_indices(n, 1)
d = R[:, i] - R[:, j]
u = d / np.linalg.norm(d, axis=-1, keepdims=True)
J = np.zeros((N, len(i), n, 3))
k = np.arange(len(i))
J[:, k, i] = u
J[:, k, j] = -u
J = J.reshape(N, len(i), 3 * n)
A = np.einsum('npd,npe->nde', J, J)
G = np.einsum('npd,nde,ne->np', J, np.linalg.pinv(A, rcond=1e-10, hermitian=True), F.reshape(N, -1), optimize=True)
seconds = time.perf_counter() - start
np.save(sys.argv[3], G)
print(seconds)
"#;

#[test]
fn ten_times_as_fast_as_numpy_and_the_same() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".venv/bin/python");
    if !python.exists() {
        println!("skipped: no .venv/bin/python with NumPy; run make setup");
        return;
    }
    // Ethanol's size: nine atoms, spread as a molecule is, and moved by tenths of an angstrom.
    let mut stream = Stream::new(2, Purpose::Data, 0);
    let mean = Array2::from_shape_simple_fn((9, 3), || 1.5 * stream.normal());
    let mut positions = Array3::from_shape_simple_fn((4000, 9, 3), || 0.1 * stream.normal());
    positions.axis_iter_mut(Axis(0)).for_each(|mut frame| frame += &mean);
    let forces = Array3::from_shape_simple_fn((4000, 9, 3), || 15.0 * stream.normal());

    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    for (name, array) in [("r.npy", &positions), ("f.npy", &forces)] {
        use npyz::WriterBuilder;
        let file = std::fs::File::create(place(name)).unwrap();
        let shape = [4000, 9, 3];
        let mut writer =
            npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd().unwrap();
        writer.extend(array.iter().copied()).unwrap();
        writer.finish().unwrap();
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let (mut ours, mut theirs, mut g) = (f64::INFINITY, f64::INFINITY, None);
    for _ in 0..3 {
        let start = Instant::now();
        g = Some(
            pool.install(|| feature_forces(positions.view(), forces.view(), Projection::Exact).unwrap()),
        );
        ours = ours.min(start.elapsed().as_secs_f64());
        let run = Command::new(&python)
            .arg("-c")
            .arg(NUMPY)
            .args([place("r.npy"), place("f.npy"), place("g.npy")])
            .envs([("OPENBLAS_NUM_THREADS", "1"), ("OMP_NUM_THREADS", "1")])
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        theirs = theirs.min(String::from_utf8_lossy(&run.stdout).trim().parse::<f64>().unwrap());
    }
    let expected = npyz::NpyFile::new(std::fs::File::open(place("g.npy")).unwrap()).unwrap();
    let expected = expected.into_vec::<f64>().unwrap();
    let g = g.unwrap();
    let size = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
    let error = g.iter().zip(&expected).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
    println!(
        "feature forces of 4000 frames of 9 atoms on one core: {:.1} us a frame, NumPy {:.1} us, ratio {:.1}",
        ours / 4000.0 * 1e6,
        theirs / 4000.0 * 1e6,
        theirs / ours
    );
    assert!(error < 1e-8 * size, "{}", error / size);
    if std::env::var_os("LLVM_PROFILE_FILE").is_some() {
        println!("skipped: how fast it is, while make coverage counts every line");
        return;
    }
    assert!(theirs / ours > 10.0, "only {:.1} times as fast as NumPy", theirs / ours);
}
