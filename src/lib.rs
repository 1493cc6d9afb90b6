//! boltzdrift learns a **one-step Boltzmann sampler** of a molecule from a molecular dynamics
//! trajectory with forces, and hands equilibrated states to molecular dynamics codes.
//!
//! The data's way through the crate, each room using only rooms before it:
//!
//! [`units`], [`error`] → [`dataset`] (frames in and out) → [`molecule`] (bonds, symmetry, pair
//! distances, feature forces, thermometer) → [`potential`] (energies and forces of many frames) → [`label`]
//! (the same for a whole trajectory, kept as it grows) → [`sampler`] (the exported file and its torch-free
//! inference) → [`equilibrate`] (states at a temperature, by Monte Carlo) → `fit` (a force field from force
//! labels) → `calibrate` (fit and equilibration as stages) → `drift` (the drifting fields) → `ranks` (processes that
//! compute together) → `generator`, `train` (these six need the feature `train`, as does `cuda`, what they and sampling do on a CUDA device) → [`metrics`] (samples against a reference) → `paper` (the rows of the
//! paper's tables) → [`report`] (what
//! the user reads) → [`calls`] (what foreign callers may ask) → [`c_api`] and `cxx_api`, its skins for C and C++. A potential on libtorch asks
//! `train` where to run.
//!
//! Units everywhere inside: angstrom, kcal/mol, femtosecond, amu, kelvin. Arrays of positions,
//! velocities and forces are `(frames, atoms, 3)`, row-major.

// ndarray's matrix products call OpenBLAS in this build; this links it.
#[cfg(feature = "train")]
extern crate openblas_src as _;

mod aligned;
#[cfg(all(test, feature = "train"))]
#[path = "../tests/analytic/mod.rs"]
mod analytic;
pub mod c_api;
#[cfg(feature = "train")]
pub mod calibrate;
pub mod calls;
#[cfg(feature = "train")]
pub mod cuda;
mod cxx_api;
pub mod dataset;
#[cfg(feature = "train")]
pub mod drift;
pub mod equilibrate;
pub mod error;
mod files;
#[cfg(feature = "train")]
pub mod fit;
#[cfg(feature = "train")]
pub mod generator;
pub mod label;
pub mod metrics;
pub mod molecule;
mod npz;
mod npz_out;
#[cfg(feature = "train")]
pub mod paper;
pub mod potential;
pub mod ranks;
pub mod report;
pub mod sampler;
#[cfg(feature = "train")]
pub mod train;
pub mod units;
mod vector_exp;

pub use error::{Error, Result};

/// Version of this library, as in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
