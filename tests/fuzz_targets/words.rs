//! What a user writes: units, selections, settings.

use std::ffi::{c_void, CString};
use std::ptr::null_mut;

use boltzdrift::c_api::log::Progress;
use boltzdrift::c_api::{
    dataset as data_api, potential as potential_api, sampler as sampler_api, stages as stage_api,
};
use boltzdrift::dataset::{self, elements, Dataset, FrameSlice, ReadOptions};
use boltzdrift::potential::foreign::Descriptor;
use boltzdrift::potential::Spec;
use boltzdrift::sampler::Sampler;
use boltzdrift::units::{self, UnitSystem};

#[cfg(feature = "train")]
use super::file;
use super::given;
use crate::untrained;

const DIMENSIONS: [units::Dimension; 7] = [
    units::LENGTH,
    units::MASS,
    units::TIME,
    units::TEMPERATURE,
    units::ENERGY,
    units::FORCE,
    units::VELOCITY,
];

/// Units, quantities, slices of frames, names of potentials and elements: the first byte chooses which. A factor is a
/// positive number.
pub fn units(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (kind, dimension) = (first / 7 % 3, DIMENSIONS[usize::from(first % 7)]);
    match (kind, first % 7) {
        (0, _) => {
            if let Ok(factor) = units::parse_unit(text, dimension) {
                assert!(factor > 0.0 && factor.is_finite(), "{text}: {factor}");
            }
        }
        (1, _) => {
            if let Ok(value) = units::parse_quantity(text, dimension) {
                assert!(value.is_finite(), "{text}: {value}");
            }
        }
        (_, 0) => {
            let _ = UnitSystem::lammps(text);
        }
        (_, 1) => {
            let _ = text.parse::<FrameSlice>();
        }
        (_, 2) => {
            let _ = Spec::parse(text);
        }
        _ => {
            let _ = elements::number(text).map(elements::symbol);
        }
    }
}

const DUMP: &str =
    "ITEM: UNITS\nreal\nITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n4\nITEM: BOX BOUNDS ff ff ff\n-10 10\n-10 \
10\n-10 10\nITEM: ATOMS id element x y z q\n1 O 0 0 0 0.5\n2 H 0.96 0 0 1\n3 H 0 0.96 0 0\n4 He 5 5 5 0\n";

/// A selection of atoms of a dump.
pub fn selection(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let options = ReadOptions { selection: Some(text.to_owned()), ..ReadOptions::default() };
    if let Ok(data) = dataset::read(&given("a.dump", DUMP.as_bytes()), &options, &mut |_| Ok(())) {
        assert!(data.atoms() > 0 && data.atoms() <= 4);
    }
}

unsafe extern "C" fn stop(_: *mut c_void, _: *const Progress) -> i32 {
    1
}

/// A potential that is never there: the settings are looked at, and no work is done.
unsafe extern "C" fn absent(
    _: *mut c_void,
    _: usize,
    _: usize,
    _: *const i32,
    _: *const f64,
    _: *const f64,
    _: *mut f64,
    _: *mut f64,
) -> i32 {
    7
}

/// Settings as JSON, and of a training as TOML. No call may end with BZD_INTERNAL.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = CString::new(bytes) else { return };
    let dump = CString::new(given("a.dump", DUMP.as_bytes()).to_str().unwrap()).unwrap();
    // Calls only look at them, so one of each will do: making them takes longer than what is tested.
    thread_local! {
        static GIVEN: (Dataset, Sampler) =
            (super::records::water(), Sampler::new(untrained::water(0.03)).unwrap());
    }
    let (water, sampler) =
        GIVEN.with(|(water, sampler)| (std::ptr::from_ref(water), std::ptr::from_ref(sampler)));
    let description = Descriptor { evaluate: Some(absent), ..Descriptor::default() };
    let mut out = [0.0; 18];
    // SAFETY: every pointer is to a live object or array of the length that is said, or NULL where that is allowed.
    let statuses = unsafe {
        let (mut read, mut states, mut potential, mut fitted) =
            (null_mut(), null_mut(), null_mut(), null_mut());
        assert_eq!(potential_api::bzd_potential_from_callback(&raw const description, &raw mut potential), 0);
        let none = null_mut();
        let statuses = [
            data_api::bzd_dataset_read(dump.as_ptr(), text.as_ptr(), Some(stop), none, &raw mut read),
            stage_api::bzd_equilibrate(
                water,
                potential,
                text.as_ptr(),
                Some(stop),
                none,
                &raw mut states,
                null_mut(),
            ),
            sampler_api::bzd_sampler_refined(
                sampler,
                potential,
                0,
                0,
                2,
                text.as_ptr(),
                Some(stop),
                none,
                out.as_mut_ptr(),
                18,
                null_mut(),
                null_mut(),
            ),
            stage_api::bzd_fit(water, text.as_ptr(), Some(stop), none, &raw mut fitted),
        ];
        assert!(read.is_null() && states.is_null() && fitted.is_null());
        potential_api::bzd_potential_free(potential);
        statuses
    };
    assert!(statuses.iter().all(|status| *status != 0 && *status != 4), "{statuses:?}");
    #[cfg(feature = "train")]
    {
        use boltzdrift::train::{Overrides, Settings};
        for name in ["a.toml", "a.json"] {
            if let Ok(settings) = Overrides::read(&file(name, bytes)) {
                let _ = Settings::resolve(&settings);
            }
        }
    }
}
