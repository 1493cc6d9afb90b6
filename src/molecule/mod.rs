//! One molecule's geometry: pair distances, their Jacobian and feature forces, bonds, dihedrals,
//! symmetry, and the configurational thermometer.

pub mod bonds;
pub mod dihedral;
pub mod features;
#[cfg(test)]
pub(crate) mod samples;
pub mod symmetry;
pub mod thermometer;
mod thermometer_warnings;
pub(crate) mod vector;
