//! Sequences of calls of the C ABI: any order, any object, NULL where a pointer may be, wrong lengths, wild numbers. What
//! the header makes the caller promise is kept: arrays have the length that is said, objects are live.

use std::ffi::{c_char, c_void, CString};
use std::ptr::{null, null_mut};

use boltzdrift::c_api::log::Progress;
use boltzdrift::c_api::{self, dataset::*, label::*, potential::*, sampler::*, stages::*, units::*};
use boltzdrift::calls::potential::Handle;
use boltzdrift::dataset::Dataset;
use boltzdrift::potential::foreign::Descriptor;
use boltzdrift::sampler::Sampler;

use super::file;
use crate::untrained;

/// The input, taken piece by piece.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// Mostly small numbers, some of them wild.
    fn size(&mut self) -> usize {
        match self.byte() {
            small @ 0..=199 => usize::from(small % 20),
            200..=229 => usize::MAX >> (self.byte() % 64),
            _ => self.word() as usize,
        }
    }

    fn real(&mut self) -> f64 {
        match self.byte() {
            small @ 0..=199 => f64::from(small) / 50.0 - 1.0,
            200..=209 => f64::NAN,
            210..=219 => f64::INFINITY,
            220..=229 => -1e300,
            _ => f64::from_bits(self.word()),
        }
    }

    fn reals(&mut self, most: usize) -> Vec<f64> {
        (0..self.size().min(most)).map(|_| self.real()).collect()
    }

    fn integers(&mut self, most: usize) -> Vec<i32> {
        let one = |script: &mut Self| [1, 8, 6, 0, -1, 118, i32::MAX][usize::from(script.byte() % 7)];
        (0..self.size().min(most)).map(|_| one(self)).collect()
    }

    fn text(&mut self) -> CString {
        const WORDS: [&str; 12] = [
            "",
            "eV",
            "energy",
            "{}",
            "{\"temperature\": 300, \"time_step\": 0.5}",
            "{\"steps\": 1}",
            "[]",
            "real",
            "{\"temperature\": 300, \"chains\": 4, \"leapfrog\": 2, \"warmup\": 20}",
            "length",
            "gdml:none",
            "kcal/mol",
        ];
        match self.byte() {
            known @ 0..=199 => CString::new(WORDS[usize::from(known) % WORDS.len()]).unwrap(),
            _ => {
                let length = usize::from(self.byte() % 40);
                CString::new((0..length).map(|_| self.byte().max(1)).collect::<Vec<_>>()).unwrap()
            }
        }
    }

    /// The pointer, or now and then NULL.
    fn maybe<T>(&mut self, pointer: *mut T) -> *mut T {
        if self.byte() > 230 {
            null_mut()
        } else {
            pointer
        }
    }
}

/// Objects that a caller holds; each may be NULL.
struct Held {
    datasets: [*mut Dataset; 3],
    potentials: [*mut Handle; 2],
    samplers: [*mut Sampler; 2],
    /// What the potential does next.
    mood: Box<u8>,
}

unsafe extern "C" fn evaluate(
    mood: *mut c_void,
    systems: usize,
    atoms: usize,
    _: *const i32,
    positions: *const f64,
    _: *const f64,
    energies: *mut f64,
    forces: *mut f64,
) -> i32 {
    // SAFETY: the library gives arrays of these sizes; `mood` lives as long as the potential.
    let (mood, x, e, f) = unsafe {
        (
            *mood.cast::<u8>(),
            std::slice::from_raw_parts(positions, systems * atoms * 3),
            std::slice::from_raw_parts_mut(energies, systems),
            std::slice::from_raw_parts_mut(forces, systems * atoms * 3),
        )
    };
    if mood % 8 == 1 {
        return 3;
    }
    e.fill(if mood % 8 == 2 { f64::NAN } else { 0.0 });
    // A well that every atom lies in.
    f.iter_mut().zip(x).for_each(|(f, x)| *f = -x);
    i32::from(mood % 8 == 3)
}

unsafe extern "C" fn listen(left: *mut c_void, _: *const Progress) -> i32 {
    // SAFETY: the caller below passes a number that lives as long as the call.
    let left = unsafe { &mut *left.cast::<u8>() };
    *left = left.saturating_sub(1);
    i32::from(*left == 0)
}

impl Held {
    fn step(&mut self, script: &mut Script) -> i32 {
        let (d, p, s) = (script.byte() % 3, script.byte() % 2, script.byte() % 2);
        let (d, p, s) = (usize::from(d), usize::from(p), usize::from(s));
        let (data, potential, sampler) = (self.datasets[d], self.potentials[p], self.samplers[s]);
        *self.mood = script.byte();
        let mut left = 1 + script.byte() % 4;
        let ear = (&raw mut left).cast::<c_void>();
        let (mut count, mut kelvin) = (0_usize, 0.0);
        let mut json: *mut c_char = null_mut();
        // SAFETY: arrays have the lengths that are said, objects are live or NULL, and places are valid for a write.
        let status = unsafe {
            match script.byte() % 28 {
                0 => {
                    let (species, x) = (script.integers(9), script.reals(120));
                    let frames = x.len().checked_div(3 * species.len()).unwrap_or(0);
                    let frames = if script.byte() > 240 { usize::MAX / 3 } else { frames };
                    // A wild number of frames comes with NULL alone: no array is that long.
                    let wild = frames.saturating_mul(3 * species.len().max(1)) > x.len();
                    let x_pointer =
                        if wild { null() } else { script.maybe(x.as_ptr().cast_mut()).cast_const() };
                    bzd_dataset_free(data);
                    let (species, count) = (script.maybe(species.as_ptr().cast_mut()), species.len());
                    let forces = if wild || script.byte() < 128 { null() } else { x.as_ptr() };
                    let place = &raw mut self.datasets[d];
                    bzd_dataset_from_arrays(frames, count, species, x_pointer, forces, null(), null(), place)
                }
                1 => {
                    bzd_dataset_free(data);
                    self.datasets[d] = null_mut();
                    0
                }
                2 => bzd_dataset_size(data, script.maybe(&raw mut count), script.maybe(&raw mut count)),
                3 => {
                    let mut room = vec![0; script.size().min(64)];
                    bzd_dataset_species(data, script.maybe(room.as_mut_ptr()), room.len())
                }
                4 => {
                    let mut room = vec![0.0; script.size().min(64)];
                    let length = room.len();
                    let place = script.maybe(room.as_mut_ptr());
                    match script.byte() % 5 {
                        0 => bzd_dataset_masses(data, place, length),
                        1 => bzd_dataset_positions(data, place, length),
                        2 => bzd_dataset_forces(data, place, length),
                        3 => bzd_dataset_energies(data, place, length),
                        _ => bzd_dataset_velocities(data, place, length),
                    }
                }
                5 => {
                    let given = script.reals(120);
                    bzd_dataset_set_velocities(data, given.as_ptr(), given.len())
                }
                6 => bzd_dataset_inspect(data, script.real(), script.maybe(&raw mut json)),
                7 => bzd_dataset_label(data, potential, Some(listen), ear),
                8 => {
                    let other = self.datasets[usize::from(script.byte() % 3)];
                    bzd_evaluate(data, other, script.maybe(&raw mut json))
                }
                9 | 10 => {
                    let unit = script.text();
                    let description = Descriptor {
                        struct_size: if script.byte() > 240 {
                            script.size().max(8)
                        } else {
                            size_of::<Descriptor>()
                        },
                        evaluate: if script.byte() > 240 { None } else { Some(evaluate) },
                        user_data: (&raw mut *self.mood).cast(),
                        length_unit: if script.byte() > 200 { unit.as_ptr() } else { null() },
                        largest_batch: script.size(),
                        flags: u32::from(script.byte() % 3),
                        ..Descriptor::default()
                    };
                    // Only what is there may be said to be there.
                    if description.struct_size > size_of::<Descriptor>() && description.struct_size <= 4096 {
                        return 1;
                    }
                    bzd_potential_free(potential);
                    bzd_potential_from_callback(&raw const description, &raw mut self.potentials[p])
                }
                11 => {
                    bzd_potential_free(potential);
                    let spec = script.text();
                    bzd_potential_open(spec.as_ptr(), &raw mut self.potentials[p])
                }
                12 => {
                    let (species, x) = (script.integers(9), script.reals(60));
                    let frames = x.len().checked_div(3 * species.len()).unwrap_or(0);
                    let (mut e, mut f) = (vec![0.0; frames], vec![0.0; x.len()]);
                    let forces = script.maybe(f.as_mut_ptr());
                    bzd_potential_evaluate(
                        potential,
                        frames,
                        species.len(),
                        species.as_ptr(),
                        x.as_ptr(),
                        e.as_mut_ptr(),
                        forces,
                    )
                }
                13 => bzd_potential_info(potential, script.maybe(&raw mut json)),
                14 => {
                    let path = CString::new(file("saved.npz", b"").to_str().unwrap()).unwrap();
                    bzd_potential_save(potential, script.maybe(path.as_ptr().cast_mut()))
                }
                15 => {
                    let (settings, target) = (script.text(), usize::from(script.byte() % 3));
                    if target == d {
                        return 1;
                    }
                    bzd_dataset_free(self.datasets[target]);
                    let place = &raw mut self.datasets[target];
                    bzd_equilibrate(
                        data,
                        potential,
                        settings.as_ptr(),
                        Some(listen),
                        ear,
                        place,
                        &raw mut json,
                    )
                }
                16 => {
                    bzd_sampler_free(sampler);
                    let path = CString::new(file("loaded.safetensors", script.0).to_str().unwrap()).unwrap();
                    bzd_sampler_load(script.maybe(path.as_ptr().cast_mut()), &raw mut self.samplers[s])
                }
                17 => {
                    bzd_sampler_free(sampler);
                    self.samplers[s] = Box::into_raw(Box::new(Sampler::new(untrained::water(0.03)).unwrap()));
                    0
                }
                18 => bzd_sampler_temperature(sampler, script.maybe(&raw mut kelvin)),
                19 => {
                    let mut room = vec![0; script.size().min(20)];
                    let pairs = script.maybe(room.as_mut_ptr());
                    bzd_sampler_bonds(sampler, script.maybe(&raw mut count), pairs, room.len())
                }
                20 => bzd_sampler_info(sampler, script.maybe(&raw mut json)),
                21 => {
                    let (seed, first, count) = (script.word(), script.word(), script.size());
                    let mut room = vec![0.0; script.size().min(90)];
                    bzd_sampler_sample(
                        sampler,
                        seed,
                        first,
                        count,
                        script.maybe(room.as_mut_ptr()),
                        room.len(),
                    )
                }
                22 => {
                    let (settings, count) = (script.text(), script.size());
                    let mut room = vec![0.0; script.size().min(90)];
                    // No energies: an array as long as a wild count is none.
                    bzd_sampler_refined(
                        sampler,
                        potential,
                        script.word(),
                        script.word(),
                        count,
                        settings.as_ptr(),
                        Some(listen),
                        ear,
                        room.as_mut_ptr(),
                        room.len(),
                        null_mut(),
                        script.maybe(&raw mut json),
                    )
                }
                23 => {
                    let x = script.reals(90);
                    let mut v = vec![0.0; x.len()];
                    let (seed, first, kelvin) = (script.word(), script.word(), script.real());
                    bzd_sampler_velocities(sampler, seed, first, kelvin, x.as_ptr(), v.as_mut_ptr(), v.len())
                }
                24 => {
                    let (masses, x) = (script.reals(9), script.reals(90));
                    let mut v = vec![0.0; x.len()];
                    let (seed, first, kelvin) = (script.word(), script.word(), script.real());
                    bzd_maxwell_velocities(
                        masses.len(),
                        masses.as_ptr(),
                        seed,
                        first,
                        kelvin,
                        x.as_ptr(),
                        v.as_mut_ptr(),
                        v.len(),
                    )
                }
                25 => {
                    let (species, bonds) = (script.integers(9), script.integers(20));
                    let x: Vec<f64> = (0..3 * species.len()).map(|_| script.real()).collect();
                    let mut order = vec![0; script.size().min(9)];
                    let pairs = script.maybe(bonds.as_ptr().cast_mut());
                    bzd_sampler_match(
                        sampler,
                        species.len(),
                        species.as_ptr(),
                        x.as_ptr(),
                        bonds.len() / 2,
                        pairs,
                        order.as_mut_ptr(),
                        order.len(),
                    )
                }
                26 => {
                    let onto = script.reals(90);
                    let mut x = vec![0.5; onto.len()];
                    let (seed, first, count) = (script.word(), script.word(), script.size());
                    let orientation = i32::from(script.byte() % 3);
                    let place = script.maybe(x.as_mut_ptr());
                    bzd_sampler_place(
                        sampler,
                        seed,
                        first,
                        count,
                        null(),
                        onto.as_ptr(),
                        orientation,
                        place,
                        onto.len(),
                    )
                }
                _ => {
                    let (unit, quantity) = (script.text(), script.text());
                    let mut factors = vec![0.0; script.size().min(7)];
                    let _ = bzd_lammps_units(unit.as_ptr(), factors.as_mut_ptr(), factors.len());
                    bzd_unit(unit.as_ptr(), quantity.as_ptr(), script.maybe(&raw mut kelvin))
                }
            }
        };
        if !json.is_null() {
            // SAFETY: the library's string, NUL-terminated and freed once.
            unsafe {
                let text = std::ffi::CStr::from_ptr(json).to_str().unwrap();
                assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
                c_api::bzd_string_free(json);
            }
        }
        status
    }
}

/// Calls until the input is used up. No call may end with BZD_INTERNAL, and a failed one has a message in one line.
pub fn calls(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut held = Held {
        datasets: [null_mut(); 3],
        potentials: [null_mut(); 2],
        samplers: [null_mut(); 2],
        mood: Box::new(0),
    };
    for _ in 0..40 {
        if script.0.is_empty() {
            break;
        }
        let status = held.step(&mut script);
        // SAFETY: the message is valid until the next failing call.
        let said =
            unsafe { std::ffi::CStr::from_ptr(c_api::bzd_last_error()) }.to_string_lossy().into_owned();
        assert!((0..=6).contains(&status) && status != 4, "{status}: {said}");
        assert!(!said.contains('\n'), "{said}");
    }
    // SAFETY: each object is live or NULL, and freed once.
    unsafe {
        held.datasets.into_iter().for_each(|data| bzd_dataset_free(data));
        held.potentials.into_iter().for_each(|potential| bzd_potential_free(potential));
        held.samplers.into_iter().for_each(|sampler| bzd_sampler_free(sampler));
    }
}
