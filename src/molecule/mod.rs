//! One molecule's geometry: pair distances, their Jacobian and feature forces, bonds, dihedrals,
//! symmetry, and the configurational thermometer.

pub mod features;
