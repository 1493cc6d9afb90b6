//! A caller that answers, fails, forgets and counts.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ThreadId;

use ndarray::{Array1, Array3};

use super::*;
use crate::potential::evaluate;

/// What the function below is told, and what it has seen.
struct Caller {
    /// Frame, counted over all calls, at which it stops with this status.
    fails: Option<(usize, i32)>,
    /// Frame whose energy it forgets.
    forgets: Option<usize>,
    seen: AtomicUsize,
    calls: AtomicUsize,
    largest: AtomicUsize,
    thread: ThreadId,
    elsewhere: AtomicBool,
    destroyed: *const AtomicUsize,
}

impl Caller {
    fn new(destroyed: &AtomicUsize) -> Box<Caller> {
        Box::new(Caller {
            fails: None,
            forgets: None,
            seen: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            largest: AtomicUsize::new(0),
            thread: std::thread::current().id(),
            elsewhere: AtomicBool::new(false),
            destroyed,
        })
    }
}

/// A spring of constant 2 between every atom and the origin: energy is the sum of x^2, forces are -2 x.
unsafe extern "C" fn springs(
    user_data: *mut c_void,
    systems: usize,
    atoms: usize,
    species: *const i32,
    positions: *const f64,
    cells: *const f64,
    energies: *mut f64,
    forces: *mut f64,
) -> i32 {
    // SAFETY: the tests pass a Caller, and the library arrays of these sizes.
    unsafe {
        let caller = &*user_data.cast::<Caller>();
        assert!(cells.is_null() && *species == 8);
        caller.calls.fetch_add(1, Ordering::SeqCst);
        caller.largest.fetch_max(systems, Ordering::SeqCst);
        if std::thread::current().id() != caller.thread {
            caller.elsewhere.store(true, Ordering::SeqCst);
        }
        for k in 0..systems {
            let frame = caller.seen.fetch_add(1, Ordering::SeqCst);
            if let Some((_, status)) = caller.fails.filter(|(at, _)| *at == frame) {
                return status;
            }
            let row = 3 * atoms * k..3 * atoms * (k + 1);
            let mut energy = 0.0;
            for i in row {
                let x = *positions.add(i);
                energy += x * x;
                *forces.add(i) = -2.0 * x;
            }
            if caller.forgets != Some(frame) {
                *energies.add(k) = energy;
            }
        }
        0
    }
}

unsafe extern "C" fn destroy(user_data: *mut c_void) {
    // SAFETY: the Caller that the test boxed.
    unsafe {
        let caller = Box::from_raw(user_data.cast::<Caller>());
        (*caller.destroyed).fetch_add(1, Ordering::SeqCst);
    }
}

unsafe extern "C" fn last_error(_: *mut c_void) -> *const c_char {
    c"out of paper\nsecond line".as_ptr()
}

fn description(caller: Box<Caller>) -> Descriptor {
    Descriptor {
        evaluate: Some(springs),
        user_data: Box::into_raw(caller).cast(),
        destroy: Some(destroy),
        last_error: Some(last_error),
        name: c"springs".as_ptr(),
        ..Descriptor::default()
    }
}

fn open(description: &Descriptor) -> Result<Foreign> {
    // SAFETY: descriptions of these tests keep the promises.
    unsafe { Foreign::new(description) }
}

/// The Caller behind a potential.
fn caller(potential: &Foreign) -> &Caller {
    // SAFETY: alive as long as the potential.
    unsafe { &*potential.call.user_data.cast::<Caller>() }
}

fn frames(count: usize) -> Array3<f64> {
    Array3::from_shape_fn((count, 3, 3), |(k, a, c)| 0.1 * k as f64 + 0.7 * a as f64 - 0.3 * c as f64)
}

fn truth(x: &Array3<f64>) -> (Array1<f64>, Array3<f64>) {
    (x.outer_iter().map(|x| x.iter().fold(0.0, |sum, x| sum + x * x)).collect(), x.mapv(|x| -2.0 * x))
}

#[test]
fn answers_are_the_callers_to_the_bit() {
    let destroyed = AtomicUsize::new(0);
    let x = frames(70);
    for (largest, calls) in [(0, 1), (32, 3), (1, 70)] {
        let given = Descriptor { largest_batch: largest, ..description(Caller::new(&destroyed)) };
        let mut potential = open(&given).unwrap();
        assert_eq!(evaluate(&mut potential, &[8, 1, 1], x.view()).unwrap(), truth(&x));
        let seen = caller(&potential);
        assert_eq!((seen.calls.load(Ordering::SeqCst), seen.seen.load(Ordering::SeqCst)), (calls, 70));
        assert!(!seen.elsewhere.load(Ordering::SeqCst), "called on another thread");
    }
    assert_eq!(destroyed.load(Ordering::SeqCst), 3);
    // No frames, no call.
    let mut potential = open(&description(Caller::new(&destroyed))).unwrap();
    evaluate(&mut potential, &[8, 1, 1], frames(0).view()).unwrap();
    assert_eq!(caller(&potential).calls.load(Ordering::SeqCst), 0);
    assert!(potential
        .energies_forces(&[8], x.view(), Array1::zeros(70).view_mut(), x.clone().view_mut())
        .is_err());
}

#[test]
fn a_concurrent_potential_is_called_from_the_pool() {
    let destroyed = AtomicUsize::new(0);
    let given = Descriptor { flags: CONCURRENT, largest_batch: 9, ..description(Caller::new(&destroyed)) };
    let mut potential = open(&given).unwrap();
    let x = frames(200);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let found = pool.install(|| evaluate(&mut potential, &[8, 1, 1], x.view())).unwrap();
    assert_eq!(found, truth(&x));
    let seen = caller(&potential);
    assert!(seen.elsewhere.load(Ordering::SeqCst) && seen.largest.load(Ordering::SeqCst) <= 9);
}

#[test]
fn units_are_converted_once_at_the_border() {
    let destroyed = AtomicUsize::new(0);
    let given = Descriptor {
        length_unit: c"nm".as_ptr(),
        energy_unit: c"kJ/mol".as_ptr(),
        ..description(Caller::new(&destroyed))
    };
    let mut potential = open(&given).unwrap();
    let x = frames(5);
    let (energies, forces) = evaluate(&mut potential, &[8, 1, 1], x.view()).unwrap();
    // x is 0.1 x nm there; an energy of 1 kJ/mol is 1/4.184 kcal/mol, a force of 1 kJ/mol/nm a tenth of that.
    let (e, f) = truth(&x.mapv(|x| 0.1 * x));
    let near = |a: f64, b: f64| (a - b).abs() < 1e-14 * (1.0 + b.abs());
    assert!(energies.iter().zip(&e).all(|(a, b)| near(*a, b / 4.184)), "{energies}");
    assert!(forces.iter().zip(&f).all(|(a, b)| near(*a, 0.1 * b / 4.184)));
    let wrong = Descriptor { length_unit: c"parsec".as_ptr(), ..description(Caller::new(&destroyed)) };
    assert!(open(&wrong).unwrap_err().to_string().contains("parsec"));
    assert_eq!(destroyed.load(Ordering::SeqCst), 1, "destroyed where it is refused");
}

#[test]
fn failures_name_the_frame_and_keep_the_status() {
    let destroyed = AtomicUsize::new(0);
    for (largest, flags) in [(0, 0), (4, 0), (1, CONCURRENT)] {
        let mut own = Caller::new(&destroyed);
        own.fails = Some((13, 77));
        let given = Descriptor { largest_batch: largest, flags, ..description(own) };
        let mut potential = open(&given).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let error = pool.install(|| evaluate(&mut potential, &[8, 1, 1], frames(20).view())).unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, Error::Potential { frame: 13, status: Some(77), .. }), "{said}");
        assert!(
            said.contains("springs") && said.contains("out of paper") && !said.contains("second"),
            "{said}"
        );
    }
    let mut own = Caller::new(&destroyed);
    own.forgets = Some(6);
    let mut potential = open(&description(own)).unwrap();
    let error = evaluate(&mut potential, &[8, 1, 1], frames(20).view()).unwrap_err();
    assert!(matches!(error, Error::Potential { frame: 6, status: None, .. }), "{error}");
    // A NaN of the caller's is no forgotten number, and is found all the same.
    let mut potential = open(&description(Caller::new(&destroyed))).unwrap();
    let mut x = frames(20);
    x[[4, 1, 1]] = 1e300;
    let error = evaluate(&mut potential, &[8, 1, 1], x.view()).unwrap_err();
    assert!(error.to_string().contains("frame 4: the energy is not finite"), "{error}");
}

#[test]
fn descriptions_of_every_size_are_read() {
    let destroyed = AtomicUsize::new(0);
    let given = Descriptor { flags: 99, reserved: 5, ..description(Caller::new(&destroyed)) };
    // A caller whose structure ended before `largest_batch` never set what follows.
    let small = Descriptor { struct_size: std::mem::offset_of!(Descriptor, largest_batch), ..given };
    // SAFETY: a whole descriptor.
    let own = unsafe { Descriptor::read(&raw const small) }.unwrap();
    assert_eq!((own.flags, own.reserved, own.largest_batch), (0, 0, 0));
    assert_eq!(open(&own).unwrap().name(), "springs");
    for size in [0, 8, 28, 5000] {
        let wrong = Descriptor { struct_size: size, ..given };
        // SAFETY: as above; nothing past the size is read.
        let error = unsafe { Descriptor::read(&raw const wrong) }.unwrap_err().to_string();
        assert!(error.contains("struct_size"), "{error}");
    }
    // SAFETY: NULL is refused.
    assert!(unsafe { Descriptor::read(std::ptr::null()) }.is_err());
    let unknown = Descriptor { flags: 99, ..description(Caller::new(&destroyed)) };
    assert!(open(&unknown).unwrap_err().to_string().contains("flags 99"));
    assert_eq!(destroyed.load(Ordering::SeqCst), 2);
    assert!(open(&Descriptor::default()).unwrap_err().to_string().contains("evaluate"));
}
