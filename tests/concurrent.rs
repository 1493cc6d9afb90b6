//! Many threads in one process: a sampler that they share, potentials that are called from many threads at once, errors that
//! stay with their thread. `make check-threads` runs this under ThreadSanitizer, where it is about races; here, about bytes.
// A failed expectation is what a test is for; the C ABI is called as a foreign caller does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unsafe_code)]

mod untrained;

use std::ffi::{c_void, CStr, CString};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use boltzdrift::c_api::{self, dataset, label, log as log_api, potential, sampler, stages};
use boltzdrift::potential::foreign::{Descriptor, CONCURRENT};
use boltzdrift::sampler::Sampler;
use ndarray::{s, Array3};

const THREADS: usize = 8;
const COUNT: usize = 600;

/// A well in which every atom is held: E = sum x^2 / 2. Called from many threads at once; counts its calls.
unsafe extern "C" fn well(
    calls: *mut c_void,
    systems: usize,
    atoms: usize,
    _: *const i32,
    positions: *const f64,
    _: *const f64,
    energies: *mut f64,
    forces: *mut f64,
) -> i32 {
    // SAFETY: the library gives arrays of these sizes; the counter outlives the potential.
    let (calls, x, e, f) = unsafe {
        (
            &*calls.cast::<AtomicUsize>(),
            std::slice::from_raw_parts(positions, systems * atoms * 3),
            std::slice::from_raw_parts_mut(energies, systems),
            std::slice::from_raw_parts_mut(forces, systems * atoms * 3),
        )
    };
    calls.fetch_add(1, Ordering::Relaxed);
    for (energy, x) in e.iter_mut().zip(x.chunks(3 * atoms)) {
        *energy = x.iter().map(|x| 0.5 * x * x).sum();
    }
    f.iter_mut().zip(x).for_each(|(f, x)| *f = -x);
    0
}

unsafe extern "C" fn heard(lines: *mut c_void, _: i32, text: *const std::ffi::c_char) {
    // SAFETY: the text is NUL-terminated, the list outlives the logging.
    let (lines, text) = unsafe { (&*lines.cast::<Mutex<Vec<usize>>>(), CStr::from_ptr(text)) };
    lines.lock().unwrap().push(text.to_bytes().len());
}

fn drawn(sampler: &Sampler, thread: usize) -> Array3<f64> {
    // Each thread in pieces of another size.
    let mut x = Array3::zeros((COUNT, sampler.record().species.len(), 3));
    let piece = 40 + 30 * thread;
    for first in (0..COUNT).step_by(piece) {
        let count = piece.min(COUNT - first);
        x.slice_mut(s![first..first + count, .., ..])
            .assign(&sampler.sample(5, first as u64, count).unwrap());
    }
    x
}

#[test]
fn threads_share_a_sampler_and_concurrent_potentials() {
    let shared = Sampler::new(untrained::water(0.03)).unwrap();
    let wanted = shared.sample(5, 0, COUNT).unwrap();
    let speeds = shared.velocities(5, 0, &wanted, 300.0).unwrap();
    let (barrier, calls, lines) =
        (Barrier::new(THREADS), AtomicUsize::new(0), Mutex::new(Vec::<usize>::new()));
    let listener: *mut c_void = (&raw const lines).cast_mut().cast();
    // SAFETY: the listener outlives the threads, and is taken off after them.
    assert_eq!(unsafe { log_api::bzd_set_log(Some(heard), listener, 3) }, 0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (shared, wanted, speeds, barrier, calls) = (&shared, &wanted, &speeds, &barrier, &calls);
            scope.spawn(move || {
                barrier.wait();
                for _ in 0..2 {
                    let x = drawn(shared, thread);
                    assert!(x == *wanted && shared.velocities(5, 0, &x, 300.0).unwrap() == *speeds);
                    evaluated(&x, calls);
                    refused(thread);
                }
            });
        }
    });
    // SAFETY: nobody computes now.
    assert_eq!(unsafe { log_api::bzd_set_log(None, null_mut(), 0) }, 0);
    // 600 frames in batches of 50, twice: on their own, and as labels of a dataset in pieces of at most 256.
    let least = 2 * THREADS * 2 * COUNT / 50;
    assert!(calls.load(Ordering::Relaxed) >= least, "{calls:?}");
}

/// Forces of a potential that the pool calls from many threads.
fn evaluated(x: &Array3<f64>, calls: &AtomicUsize) {
    let (species, n) = ([8, 1, 1], x.len());
    let x = x.as_slice().unwrap();
    let name = CString::new("well").unwrap();
    let description = Descriptor {
        evaluate: Some(well),
        user_data: std::ptr::from_ref(calls).cast_mut().cast(),
        name: name.as_ptr(),
        largest_batch: 50,
        flags: CONCURRENT,
        ..Descriptor::default()
    };
    let (mut energies, mut forces, mut labels) = (vec![0.0; COUNT], vec![0.0; n], vec![0.0; n]);
    // SAFETY: arrays have the lengths that are said, objects are freed once.
    unsafe {
        let (mut made, mut data) = (null_mut(), null_mut());
        assert_eq!(potential::bzd_potential_from_callback(&raw const description, &raw mut made), 0);
        let (e, f) = (energies.as_mut_ptr(), forces.as_mut_ptr());
        assert_eq!(potential::bzd_potential_evaluate(made, COUNT, 3, species.as_ptr(), x.as_ptr(), e, f), 0);
        let (none, place) = (null(), &raw mut data);
        assert_eq!(
            dataset::bzd_dataset_from_arrays(COUNT, 3, species.as_ptr(), x.as_ptr(), none, none, none, place),
            0
        );
        assert_eq!(label::bzd_dataset_label(data, made, None, null_mut()), 0);
        assert_eq!(dataset::bzd_dataset_forces(data, labels.as_mut_ptr(), n), 0);
        dataset::bzd_dataset_free(data);
        potential::bzd_potential_free(made);
    }
    assert!(forces.iter().zip(x).all(|(f, x)| *f == -x) && forces == labels);
}

/// A failure, whose message is this thread's.
fn refused(thread: usize) {
    let path = CString::new(format!("/no/such/{thread}")).unwrap();
    let mut none: *mut Sampler = null_mut();
    // SAFETY: the path is NUL-terminated; the message is valid until this thread's next failing call.
    let said = unsafe {
        assert_eq!(sampler::bzd_sampler_load(path.as_ptr(), &raw mut none), 2);
        CStr::from_ptr(c_api::bzd_last_error()).to_str().unwrap().to_owned()
    };
    assert!(none.is_null() && said.contains(&format!("/no/such/{thread}")), "{said}");
}

/// Equilibrations of several threads, each with many chains on the one pool: the same states.
#[test]
fn threads_equilibrate_alike() {
    let x = drawn(&Sampler::new(untrained::water(0.03)).unwrap(), 0);
    let calls = AtomicUsize::new(0);
    let states = || {
        let description = Descriptor {
            evaluate: Some(well),
            user_data: (&raw const calls).cast_mut().cast(),
            flags: CONCURRENT,
            largest_batch: 4,
            ..Descriptor::default()
        };
        let settings = CString::new(
            "{\"temperature\": 300, \"frames\": 60, \"chains\": 8, \"warmup\": 20, \"most_evaluations\": 4000, \
             \"accept_unconverged\": true, \"check_bonds\": false, \"ladder\": \"off\"}",
        )
        .unwrap();
        let (mut out, mut frames, mut atoms) = (Vec::new(), 0, 0);
        // SAFETY: arrays have the lengths that are said, objects are freed once.
        unsafe {
            let (mut made, mut data, mut pool) = (null_mut(), null_mut(), null_mut());
            assert_eq!(potential::bzd_potential_from_callback(&raw const description, &raw mut made), 0);
            let (species, none) = ([8, 1, 1], null());
            let place = &raw mut data;
            let x = x.as_ptr();
            assert_eq!(
                dataset::bzd_dataset_from_arrays(COUNT, 3, species.as_ptr(), x, none, none, none, place),
                0
            );
            let status = stages::bzd_equilibrate(
                data,
                made,
                settings.as_ptr(),
                None,
                null_mut(),
                &raw mut pool,
                null_mut(),
            );
            assert_eq!(status, 0, "{}", CStr::from_ptr(c_api::bzd_last_error()).to_string_lossy());
            assert_eq!(dataset::bzd_dataset_size(pool, &raw mut frames, &raw mut atoms), 0);
            out.resize(frames * atoms * 3, 0.0);
            assert_eq!(dataset::bzd_dataset_positions(pool, out.as_mut_ptr(), out.len()), 0);
            dataset::bzd_dataset_free(data);
            dataset::bzd_dataset_free(pool);
            potential::bzd_potential_free(made);
        }
        assert!(frames > 0 && atoms == 3);
        out
    };
    let wanted = states();
    std::thread::scope(|scope| {
        (0..3).for_each(|_| drop(scope.spawn(|| assert!(states() == wanted))));
    });
}
