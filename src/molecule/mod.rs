//! One molecule's geometry: pair distances, their Jacobian and feature forces, bonds, dihedrals,
//! symmetry, the configurational thermometer, and the mean force of torsions.

pub mod bonds;
pub mod correlation;
pub mod dihedral;
mod energy_checks;
pub mod feature_cost;
pub mod features;
pub mod force_check;
#[cfg(feature = "train")]
mod gram;
#[cfg(feature = "train")]
mod gram_batch;
pub(crate) mod jacobi;
pub mod kinetic;
#[cfg(feature = "train")]
mod lanes;
mod least_squares;
pub mod mean_force;
#[cfg(feature = "train")]
pub mod metric;
pub mod rigid;
mod run_warnings;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
pub(crate) mod springs;
pub mod start;
pub mod superposition;
pub mod symmetry;
pub mod thermometer;
mod thermometer_classes;
mod thermometer_warnings;
mod torsion;
mod torsion_density;
mod torsion_series;
pub(crate) mod vector;
