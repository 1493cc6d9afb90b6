//! The C++ bridge: the calls for `include/boltzdrift.hpp`, which holds the classes that users see.
//!
//! C++ code that speaks this bridge is generated from the module below when the crate is built (`build.rs`), and compiled
//! into the caller's program. So nothing of a C++ compiler's ABI but plain C symbols passes the library's border.
//! Callbacks pass as C functions, which keep exceptions on the C++ side.
#![allow(unsafe_code)]

use std::ffi::c_void;

use cxx::{type_id, ExternType};

use crate::c_api::log::{ear, ProgressFunction};
use crate::calls::dataset::Arrays;
use crate::calls::potential::Handle;
use crate::calls::progress::Now;
use crate::calls::sampler::Draw;
use crate::calls::{self, guarded, Failure};
use crate::dataset::Dataset;
use crate::potential::foreign::{Descriptor, Foreign};
use crate::sampler::Sampler;
use crate::{Error, Result};

/// The caller's function for progress, and its first argument (`boltzdrift::bridge::Listener`).
#[repr(C)]
#[derive(Debug)]
pub struct Listener {
    function: Option<ProgressFunction>,
    user_data: *mut c_void,
}

// SAFETY: the C++ structure has these two members; it is passed by reference only.
unsafe impl ExternType for Listener {
    type Id = type_id!("boltzdrift::bridge::Listener");
    type Kind = cxx::kind::Trivial;
}

// SAFETY: bzd_potential_desc and Descriptor have one layout (a test compares them); passed by reference only.
unsafe impl ExternType for Descriptor {
    type Id = type_id!("bzd_potential_desc");
    type Kind = cxx::kind::Trivial;
}

#[cxx::bridge(namespace = "boltzdrift::bridge")]
#[allow(clippy::needless_lifetimes, clippy::too_many_arguments)]
mod ffi {
    /// Energies and forces stay in the caller's arrays; this says which samples.
    struct Range {
        seed: u64,
        first: u64,
        count: usize,
    }

    /// States and the report of their equilibration.
    struct Equilibrated {
        states: Box<Dataset>,
        report: String,
    }

    unsafe extern "C++" {
        include!("boltzdrift/listener.h");
        type Listener = super::Listener;
        #[namespace = ""]
        #[cxx_name = "bzd_potential_desc"]
        type Descriptor = crate::potential::foreign::Descriptor;
    }

    extern "Rust" {
        type Dataset;
        type Handle;
        type Sampler;

        fn last_status() -> i32;
        fn last_potential_status() -> i32;
        fn unit(unit: &str, quantity: &str) -> Result<f64>;
        fn lammps_units(style: &str, factors: &mut [f64]) -> Result<()>;

        fn dataset_read(path: &str, reading: &str, listener: &Listener) -> Result<Box<Dataset>>;
        fn dataset_from_arrays(
            species: &[i32],
            positions: &[f64],
            forces: &[f64],
            energies: &[f64],
            masses: &[f64],
        ) -> Result<Box<Dataset>>;
        fn dataset_frames(dataset: &Dataset) -> usize;
        fn dataset_species(dataset: &Dataset) -> Vec<i32>;
        unsafe fn dataset_masses<'a>(dataset: &'a Dataset) -> &'a [f64];
        unsafe fn dataset_positions<'a>(dataset: &'a Dataset) -> Result<&'a [f64]>;
        unsafe fn dataset_forces<'a>(dataset: &'a Dataset) -> Result<&'a [f64]>;
        unsafe fn dataset_energies<'a>(dataset: &'a Dataset) -> Result<&'a [f64]>;
        unsafe fn dataset_velocities<'a>(dataset: &'a Dataset) -> Result<&'a [f64]>;
        fn dataset_set_velocities(dataset: &mut Dataset, velocities: &[f64]) -> Result<()>;
        fn dataset_write(dataset: &Dataset, path: &str) -> Result<()>;
        fn dataset_inspect(dataset: &Dataset, kelvin: f64) -> Result<String>;
        fn dataset_label(dataset: &mut Dataset, potential: &mut Handle, listener: &Listener) -> Result<()>;
        fn dataset_labelled(dataset: &Dataset, potential: &Handle) -> Result<Box<Dataset>>;
        fn dataset_label_to(
            dataset: &Dataset,
            potential: &mut Handle,
            path: &str,
            settings: &str,
            listener: &Listener,
        ) -> Result<String>;
        fn evaluate(samples: &Dataset, reference: &Dataset) -> Result<String>;

        fn potential_open(spec: &str) -> Result<Box<Handle>>;
        /// The promises of `bzd_potential_desc` hold.
        unsafe fn potential_from_callback(description: &Descriptor) -> Result<Box<Handle>>;
        fn potential_evaluate(
            potential: &mut Handle,
            species: &[i32],
            positions: &[f64],
            energies: &mut [f64],
            forces: &mut [f64],
        ) -> Result<()>;
        fn potential_info(potential: &Handle) -> Result<String>;
        fn potential_save(potential: &Handle, path: &str) -> Result<()>;

        fn fit(dataset: &Dataset, settings: &str, listener: &Listener) -> Result<Box<Handle>>;
        fn equilibrate(
            dataset: &Dataset,
            potential: &mut Handle,
            settings: &str,
            listener: &Listener,
        ) -> Result<Equilibrated>;
        fn train(dataset: &Dataset, settings: &str, listener: &Listener) -> Result<Box<Sampler>>;

        fn sampler_load(path: &str) -> Result<Box<Sampler>>;
        fn sampler_save(sampler: &Sampler, path: &str) -> Result<()>;
        fn sampler_species(sampler: &Sampler) -> Vec<i32>;
        unsafe fn sampler_masses<'a>(sampler: &'a Sampler) -> &'a [f64];
        /// NaN where it records none.
        fn sampler_temperature(sampler: &Sampler) -> f64;
        fn sampler_bonds(sampler: &Sampler) -> Result<Vec<i32>>;
        fn sampler_info(sampler: &Sampler) -> Result<String>;
        fn sampler_sample(sampler: &Sampler, range: &Range, positions: &mut [f64]) -> Result<()>;
        fn sampler_refined(
            sampler: &Sampler,
            potential: &mut Handle,
            range: &Range,
            settings: &str,
            listener: &Listener,
            positions: &mut [f64],
            energies: &mut [f64],
        ) -> Result<String>;
        fn sampler_match(
            sampler: &Sampler,
            species: &[i32],
            positions: &[f64],
            bonds: &[i32],
            order: &mut [i32],
        ) -> Result<()>;
        fn sampler_place(
            sampler: &Sampler,
            range: &Range,
            masses: &[f64],
            onto: &[f64],
            orientation: i32,
            positions: &mut [f64],
        ) -> Result<()>;
        fn maxwell(
            masses: &[f64],
            range: &Range,
            kelvin: f64,
            positions: &[f64],
            velocities: &mut [f64],
        ) -> Result<()>;
    }
}

use ffi::{Equilibrated, Range};

type Answer<T> = std::result::Result<T, Failure>;

/// An empty array or string stands for one that was not given.
fn given<T>(array: &[T]) -> Option<&[T]> {
    (!array.is_empty()).then_some(array)
}

fn text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn hears(listener: &Listener) -> impl FnMut(Now) -> bool {
    // SAFETY: the C++ side keeps the function and its argument alive through the call that this is part of.
    unsafe { ear(listener.function, listener.user_data) }
}

fn draw(range: &Range) -> Draw {
    Draw { seed: range.seed, first: range.first, count: range.count }
}

fn last_status() -> i32 {
    calls::last_failure().status
}

fn last_potential_status() -> i32 {
    calls::last_failure().potential_status
}

fn unit(unit: &str, quantity: &str) -> Answer<f64> {
    guarded(|| calls::units::factor(unit, quantity))
}

fn lammps_units(style: &str, factors: &mut [f64]) -> Answer<()> {
    guarded(|| calls::units::lammps(style, factors))
}

fn dataset_read(path: &str, reading: &str, listener: &Listener) -> Answer<Box<Dataset>> {
    guarded(|| Ok(Box::new(calls::dataset::read(path, text(reading), &mut hears(listener))?)))
}

fn dataset_from_arrays(
    species: &[i32],
    positions: &[f64],
    forces: &[f64],
    energies: &[f64],
    masses: &[f64],
) -> Answer<Box<Dataset>> {
    guarded(|| {
        let given = Arrays {
            frames: positions.len() / (3 * species.len()).max(1),
            species,
            positions,
            forces: given(forces),
            energies: given(energies),
            masses: given(masses),
        };
        Ok(Box::new(calls::dataset::from_arrays(&given)?))
    })
}

fn dataset_frames(dataset: &Dataset) -> usize {
    dataset.len()
}

fn dataset_species(dataset: &Dataset) -> Vec<i32> {
    dataset.species.iter().map(|&z| i32::from(z)).collect()
}

fn dataset_masses(dataset: &Dataset) -> &[f64] {
    &dataset.masses
}

/// The numbers of an array as they lie in memory.
fn whole<'a, D: ndarray::Dimension>(
    array: Option<&'a ndarray::Array<f64, D>>,
    what: &str,
) -> Result<&'a [f64]> {
    let array = array.ok_or_else(|| Error::Unsupported(format!("the frames have no {what}")))?;
    array.as_slice().ok_or_else(|| Error::Numeric(format!("the {what} do not lie frame by frame in memory")))
}

fn dataset_positions(dataset: &Dataset) -> Answer<&[f64]> {
    guarded(|| whole(Some(&dataset.positions), "positions"))
}

fn dataset_forces(dataset: &Dataset) -> Answer<&[f64]> {
    guarded(|| whole(dataset.forces.as_ref(), "forces"))
}

fn dataset_energies(dataset: &Dataset) -> Answer<&[f64]> {
    guarded(|| whole(dataset.energies.as_ref(), "energies"))
}

fn dataset_velocities(dataset: &Dataset) -> Answer<&[f64]> {
    guarded(|| whole(dataset.velocities.as_ref(), "velocities"))
}

fn dataset_set_velocities(dataset: &mut Dataset, velocities: &[f64]) -> Answer<()> {
    guarded(|| calls::dataset::set_velocities(dataset, velocities))
}

fn dataset_write(dataset: &Dataset, path: &str) -> Answer<()> {
    guarded(|| calls::dataset::write(dataset, path))
}

fn dataset_inspect(dataset: &Dataset, kelvin: f64) -> Answer<String> {
    guarded(|| calls::dataset::inspect(dataset, kelvin))
}

fn dataset_label(dataset: &mut Dataset, potential: &mut Handle, listener: &Listener) -> Answer<()> {
    guarded(|| calls::label::in_memory(dataset, potential, &mut hears(listener)))
}

fn dataset_labelled(dataset: &Dataset, potential: &Handle) -> Answer<Box<Dataset>> {
    guarded(|| Ok(Box::new(calls::label::done(dataset, potential)?)))
}

fn dataset_label_to(
    dataset: &Dataset,
    potential: &mut Handle,
    path: &str,
    settings: &str,
    listener: &Listener,
) -> Answer<String> {
    guarded(|| calls::label::to_file(dataset, potential, path, text(settings), &mut hears(listener)))
}

fn evaluate(samples: &Dataset, reference: &Dataset) -> Answer<String> {
    guarded(|| calls::dataset::evaluate(samples, reference))
}

fn potential_open(spec: &str) -> Answer<Box<Handle>> {
    guarded(|| Ok(Box::new(calls::potential::open(spec)?)))
}

/// # Safety
/// The promises of `bzd_potential_desc` hold.
unsafe fn potential_from_callback(description: &Descriptor) -> Answer<Box<Handle>> {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let made = unsafe { Descriptor::read(description).and_then(|own| Foreign::new(&own)) }?;
        Ok(Box::new(Handle::new(made)))
    })
}

fn potential_evaluate(
    potential: &mut Handle,
    species: &[i32],
    positions: &[f64],
    energies: &mut [f64],
    forces: &mut [f64],
) -> Answer<()> {
    guarded(|| calls::potential::evaluate(potential, species, positions, energies, forces))
}

fn potential_info(potential: &Handle) -> Answer<String> {
    guarded(|| calls::potential::info(potential))
}

fn potential_save(potential: &Handle, path: &str) -> Answer<()> {
    guarded(|| calls::potential::save(potential, path))
}

fn fit(dataset: &Dataset, settings: &str, listener: &Listener) -> Answer<Box<Handle>> {
    guarded(|| Ok(Box::new(calls::stages::fit(dataset, text(settings), &mut hears(listener))?)))
}

fn equilibrate(
    dataset: &Dataset,
    potential: &mut Handle,
    settings: &str,
    listener: &Listener,
) -> Answer<Equilibrated> {
    guarded(|| {
        let (states, report) =
            calls::stages::equilibrate(dataset, potential, text(settings), &mut hears(listener))?;
        Ok(Equilibrated { states: Box::new(states), report })
    })
}

fn train(dataset: &Dataset, settings: &str, listener: &Listener) -> Answer<Box<Sampler>> {
    guarded(|| Ok(Box::new(calls::stages::train(dataset, text(settings), &mut hears(listener))?)))
}

fn sampler_load(path: &str) -> Answer<Box<Sampler>> {
    guarded(|| Ok(Box::new(Sampler::load(path)?)))
}

fn sampler_save(sampler: &Sampler, path: &str) -> Answer<()> {
    guarded(|| sampler.model().save(std::path::Path::new(path)))
}

fn sampler_species(sampler: &Sampler) -> Vec<i32> {
    sampler.record().species.iter().map(|&z| i32::from(z)).collect()
}

fn sampler_masses(sampler: &Sampler) -> &[f64] {
    &sampler.record().masses
}

fn sampler_temperature(sampler: &Sampler) -> f64 {
    sampler.record().temperature.unwrap_or(f64::NAN)
}

fn sampler_bonds(sampler: &Sampler) -> Answer<Vec<i32>> {
    guarded(|| calls::sampler::bonds(sampler))
}

fn sampler_info(sampler: &Sampler) -> Answer<String> {
    guarded(|| calls::json(sampler.record()))
}

fn sampler_sample(sampler: &Sampler, range: &Range, positions: &mut [f64]) -> Answer<()> {
    guarded(|| calls::sampler::sample(sampler, range.seed, range.first, range.count, positions))
}

fn sampler_refined(
    sampler: &Sampler,
    potential: &mut Handle,
    range: &Range,
    settings: &str,
    listener: &Listener,
    positions: &mut [f64],
    energies: &mut [f64],
) -> Answer<String> {
    guarded(|| {
        let mut ear = hears(listener);
        let settings = text(settings);
        calls::sampler::refined(
            sampler,
            potential,
            draw(range),
            settings,
            &mut ear,
            positions,
            Some(energies),
        )
    })
}

fn sampler_match(
    sampler: &Sampler,
    species: &[i32],
    positions: &[f64],
    bonds: &[i32],
    order: &mut [i32],
) -> Answer<()> {
    guarded(|| calls::sampler::matched(sampler, species, positions, given(bonds), order))
}

fn sampler_place(
    sampler: &Sampler,
    range: &Range,
    masses: &[f64],
    onto: &[f64],
    orientation: i32,
    positions: &mut [f64],
) -> Answer<()> {
    guarded(|| calls::sampler::place(sampler, draw(range), given(masses), onto, orientation, positions))
}

fn maxwell(
    masses: &[f64],
    range: &Range,
    kelvin: f64,
    positions: &[f64],
    velocities: &mut [f64],
) -> Answer<()> {
    guarded(|| calls::sampler::maxwell(masses, draw(range), kelvin, positions, velocities))
}
