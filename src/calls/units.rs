//! Units by name.

use super::arrays::same_length;
use crate::units::{parse_unit, UnitSystem, ENERGY, FORCE, LENGTH, MASS, TEMPERATURE, TIME, VELOCITY};
use crate::{Error, Result};

/// How many of the library's own units one `unit` of that quantity is.
pub(crate) fn factor(unit: &str, quantity: &str) -> Result<f64> {
    let known = [
        ("length", LENGTH),
        ("energy", ENERGY),
        ("force", FORCE),
        ("time", TIME),
        ("mass", MASS),
        ("velocity", VELOCITY),
        ("temperature", TEMPERATURE),
    ];
    let found = known.iter().find(|(name, _)| *name == quantity);
    let (_, dimension) = found.ok_or_else(|| {
        let names = known.map(|(name, _)| name).join(", ");
        Error::usage(format!("quantity '{}': give one of {names}", quantity.escape_debug()))
    })?;
    parse_unit(unit, *dimension)
}

/// The units of a LAMMPS style: length, energy, time, force, velocity.
pub(crate) fn lammps(style: &str, factors: &mut [f64]) -> Result<()> {
    same_length(factors.len(), 5, "factors")?;
    let UnitSystem { length, energy, time, force, velocity } = UnitSystem::lammps(style)?;
    factors.copy_from_slice(&[length, energy, time, force, velocity]);
    Ok(())
}
