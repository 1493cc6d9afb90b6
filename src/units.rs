//! One unit parser with dimensions, and the library's own units: angstrom, kcal/mol, femtosecond,
//! amu, kelvin (LAMMPS "real").
//!
//! A unit is written as factors joined by `*` and `/`, each with an optional integer power:
//! `kcal/mol/angstrom`, `eV/A`, `nm/ps`, `g/mol`. A quantity is a number followed by a unit: `500K`,
//! `0.5 fs`. Constants are the CODATA 2018 values (exact where the SI makes them so).

use crate::{Error, Result};

/// Boltzmann's constant in kcal/mol/K (CODATA 2018: 1.380649e-23 J/K * 6.02214076e23 / 4184).
pub const BOLTZMANN: f64 = 1.380_649e-23 * AVOGADRO / JOULES_PER_KCAL;
const AVOGADRO: f64 = 6.022_140_76e23;
const JOULES_PER_KCAL: f64 = 4184.0;
const ELEMENTARY_CHARGE: f64 = 1.602_176_634e-19;
const HARTREE: f64 = 4.359_744_722_207_1e-18;
const BOHR: f64 = 5.291_772_109_03e-11;
/// kcal/mol expressed in amu angstrom^2 / fs^2, so that acceleration = ENERGY_TO_KINETIC * force / mass.
pub const ENERGY_TO_KINETIC: f64 = 1e-4 * JOULES_PER_KCAL * 1e-3;

/// A dimension as powers of (length, mass, time, temperature). An amount (mol) is a pure number.
pub type Dimension = [i32; 4];
/// Dimension of a length.
pub const LENGTH: Dimension = [1, 0, 0, 0];
/// Dimension of a mass.
pub const MASS: Dimension = [0, 1, 0, 0];
/// Dimension of a time.
pub const TIME: Dimension = [0, 0, 1, 0];
/// Dimension of a temperature.
pub const TEMPERATURE: Dimension = [0, 0, 0, 1];
/// Dimension of an energy; "per mole" is a pure number here.
pub const ENERGY: Dimension = [2, 1, -2, 0];
/// Dimension of a force.
pub const FORCE: Dimension = [1, 1, -2, 0];
/// Dimension of a velocity.
pub const VELOCITY: Dimension = [1, 0, -1, 0];

/// The base units in SI: metre, kilogram, second, kelvin; a mole is a number of things.
fn symbol(name: &str) -> Option<(f64, Dimension)> {
    let unit = match name {
        "angstrom" | "angstroms" | "Angstrom" | "A" | "Ang" | "ang" | "Å" => (1e-10, LENGTH),
        "nm" | "nanometer" | "nanometre" => (1e-9, LENGTH),
        "pm" => (1e-12, LENGTH),
        "um" | "micrometer" | "micrometre" => (1e-6, LENGTH),
        "cm" | "centimeter" => (1e-2, LENGTH),
        "m" | "meter" | "metre" => (1.0, LENGTH),
        "bohr" | "Bohr" | "a0" => (BOHR, LENGTH),
        "fs" | "femtosecond" => (1e-15, TIME),
        "ps" | "picosecond" => (1e-12, TIME),
        "ns" | "nanosecond" => (1e-9, TIME),
        "us" | "microsecond" => (1e-6, TIME),
        "s" | "second" => (1.0, TIME),
        "amu" | "u" | "Da" | "dalton" => (1e-3 / AVOGADRO, MASS),
        "g" | "gram" => (1e-3, MASS),
        "kg" => (1.0, MASS),
        "pg" | "picogram" => (1e-15, MASS),
        "ag" | "attogram" => (1e-21, MASS),
        "K" | "kelvin" | "Kelvin" => (1.0, TEMPERATURE),
        "mK" => (1e-3, TEMPERATURE),
        "J" | "joule" => (1.0, ENERGY),
        "kJ" => (1e3, ENERGY),
        "cal" => (4.184, ENERGY),
        "kcal" => (JOULES_PER_KCAL, ENERGY),
        "eV" | "ev" => (ELEMENTARY_CHARGE, ENERGY),
        "meV" => (1e-3 * ELEMENTARY_CHARGE, ENERGY),
        "hartree" | "Hartree" | "Ha" | "Eh" => (HARTREE, ENERGY),
        "rydberg" | "Ry" => (0.5 * HARTREE, ENERGY),
        "erg" => (1e-7, ENERGY),
        "N" | "newton" => (1.0, FORCE),
        "dyne" | "dyn" => (1e-5, FORCE),
        "mol" | "mole" => (AVOGADRO, [0; 4]),
        "1" => (1.0, [0; 4]),
        _ => return None,
    };
    Some(unit)
}

/// Size of the library's unit of that dimension, in SI.
fn internal(dimension: Dimension) -> f64 {
    if dimension[1] == 1 && dimension[2] == -2 {
        // Energies, forces and their like count in kcal/mol, not in amu angstrom^2 / fs^2.
        let energy = JOULES_PER_KCAL / AVOGADRO;
        return energy * 1e-10_f64.powi(dimension[0] - 2);
    }
    1e-10_f64.powi(dimension[0]) * (1e-3 / AVOGADRO).powi(dimension[1]) * 1e-15_f64.powi(dimension[2])
}

fn name_of(dimension: Dimension) -> &'static str {
    match dimension {
        LENGTH => "a length (angstrom, nm, bohr)",
        MASS => "a mass (amu, g/mol)",
        TIME => "a time (fs, ps)",
        TEMPERATURE => "a temperature (K)",
        ENERGY => "an energy (kcal/mol, kJ/mol, eV, hartree)",
        FORCE => "a force (kcal/mol/angstrom, eV/angstrom)",
        VELOCITY => "a velocity (angstrom/fs, nm/ps)",
        _ => "a quantity of another dimension",
    }
}

/// How many of the library's own units one `unit` is, for example 23.06 for `eV`.
///
/// # Errors
/// [`Error::Usage`] for an unknown unit or one of another dimension.
pub fn parse_unit(unit: &str, dimension: Dimension) -> Result<f64> {
    let wrong = |what: String| Error::usage(format!("unit '{unit}': {what}; give {}", name_of(dimension)));
    let (mut factor, mut found) = (1.0, [0; 4]);
    let (mut per_mole, mut macroscopic) = (false, None);
    let (mut sign, mut rest) = (1, unit.trim());
    if rest.is_empty() {
        return Err(wrong("it is empty".into()));
    }
    loop {
        let end = rest.find(['*', '/']).unwrap_or(rest.len());
        let token = rest[..end].trim();
        let (base, power) = match token.split_once('^') {
            Some((base, power)) => {
                let power = power.parse::<i32>().ok().filter(|power| power.abs() <= 9);
                (base.trim(), power.ok_or_else(|| wrong(format!("'{token}' has no small integer power")))?)
            }
            None => (token, 1),
        };
        let (size, powers) = symbol(base).ok_or_else(|| wrong(format!("'{base}' is not a known unit")))?;
        per_mole |= base.starts_with("mol");
        if matches!(base, "cal" | "kcal" | "kJ") {
            macroscopic = Some(base);
        }
        factor *= size.powi(sign * power);
        for (total, one) in found.iter_mut().zip(powers) {
            *total += sign * power * one;
        }
        if end == rest.len() {
            break;
        }
        sign = if rest.as_bytes()[end] == b'/' { -1 } else { 1 };
        rest = &rest[end + 1..];
    }
    if let (Some(base), false) = (macroscopic, per_mole) {
        return Err(wrong(format!("{base} is an energy of a molecule only per mole: {base}/mol")));
    }
    if found != dimension {
        return Err(wrong("it has another dimension".into()));
    }
    let factor = factor / internal(dimension);
    if !(factor.is_finite() && factor > 0.0) {
        return Err(wrong("its size is no number that a computer has".into()));
    }
    Ok(factor)
}

/// A number with its unit, for example `500K`, in the library's own units.
///
/// # Errors
/// [`Error::Usage`] where the number is missing or not finite, or the unit is missing or wrong.
pub fn parse_quantity(text: &str, dimension: Dimension) -> Result<f64> {
    let text = text.trim();
    // The longest prefix that is a number; `1e3K` has its `e` inside, `1eV` does not.
    let split = (1..=text.len())
        .rev()
        .filter(|&end| text.is_char_boundary(end))
        .find(|&end| text[..end].trim().parse::<f64>().is_ok_and(f64::is_finite));
    let Some(split) = split else {
        return Err(Error::usage(format!("'{text}' is no number with a unit; give {}", name_of(dimension))));
    };
    let (number, unit) = (text[..split].trim(), text[split..].trim());
    if unit.is_empty() {
        return Err(Error::usage(format!("'{text}' has no unit; give {}", name_of(dimension))));
    }
    let number: f64 = number.parse().map_err(|_| Error::usage(format!("'{number}' is no number")))?;
    let value = number * parse_unit(unit, dimension)?;
    if !value.is_finite() {
        return Err(Error::usage(format!(
            "'{text}' is larger than a number can be; give {}",
            name_of(dimension)
        )));
    }
    Ok(value)
}

/// The units of a file, each as how many of the library's own units one of the file's is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnitSystem {
    /// Angstroms per unit of length.
    pub length: f64,
    /// kcal/mol per unit of energy.
    pub energy: f64,
    /// Femtoseconds per unit of time.
    pub time: f64,
    /// kcal/mol/angstrom per unit of force. For LAMMPS `metal` and `real` this is energy / length.
    pub force: f64,
    /// Angstrom/fs per unit of velocity.
    pub velocity: f64,
}

impl UnitSystem {
    /// The library's own: LAMMPS `real`.
    pub const REAL: UnitSystem =
        UnitSystem { length: 1.0, energy: 1.0, time: 1.0, force: 1.0, velocity: 1.0 };

    /// A LAMMPS unit style by name: `real`, `metal`, `si`, `cgs`, `electron`, `micro`, `nano`.
    ///
    /// # Errors
    /// [`Error::Usage`] for `lj` (reduced units have no kelvin or angstrom) and for unknown names.
    pub fn lammps(style: &str) -> Result<Self> {
        let (length, energy, time, force) = match style {
            "real" => ("angstrom", "kcal/mol", "fs", "kcal/mol/angstrom"),
            "metal" => ("angstrom", "eV", "ps", "eV/angstrom"),
            "si" => ("m", "J", "s", "N"),
            "cgs" => ("cm", "erg", "s", "dyne"),
            "electron" => ("bohr", "hartree", "fs", "hartree/bohr"),
            "micro" => ("um", "pg*um^2/us^2", "us", "pg*um/us^2"),
            "nano" => ("nm", "ag*nm^2/ns^2", "ns", "ag*nm/ns^2"),
            "lj" => return Err(Error::usage(
                "units 'lj': reduced units have no angstrom and no kelvin; write the trajectory in real or \
                     metal units",
            )),
            _ => {
                return Err(Error::usage(format!(
                    "units '{style}' are not known; give real, metal, si, cgs, electron, micro or nano"
                )))
            }
        };
        let (length, time) = (parse_unit(length, LENGTH)?, parse_unit(time, TIME)?);
        // LAMMPS counts the velocities of `electron` in bohr per 1.03275e-15 s, of the others in length / time.
        let velocity = if style == "electron" { length / 1.032_75 } else { length / time };
        let (energy, force) = (parse_unit(energy, ENERGY)?, parse_unit(force, FORCE)?);
        Ok(UnitSystem { length, energy, time, force, velocity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn published_conversions() {
        // NIST: 1 eV = 23.060548 kcal/mol, 1 hartree = 627.509474 kcal/mol, 1 bohr = 0.529177210903 angstrom.
        assert_relative_eq!(parse_unit("eV", ENERGY).unwrap(), 23.060_548, max_relative = 1e-7);
        assert_relative_eq!(parse_unit("hartree", ENERGY).unwrap(), 627.509_474, max_relative = 1e-8);
        assert_relative_eq!(parse_unit("kJ/mol", ENERGY).unwrap(), 1.0 / 4.184, max_relative = 1e-12);
        assert_relative_eq!(parse_unit("bohr", LENGTH).unwrap(), 0.529_177_210_903, max_relative = 1e-12);
        assert_relative_eq!(
            parse_unit("hartree/bohr", FORCE).unwrap(),
            627.509_474 / 0.529_177_210_9,
            max_relative = 1e-8
        );
        assert_relative_eq!(parse_unit("nm/ps", VELOCITY).unwrap(), 0.01, max_relative = 1e-12);
        assert_relative_eq!(parse_unit("g/mol", MASS).unwrap(), 1.0, max_relative = 1e-12);
        assert_relative_eq!(BOLTZMANN, 0.001_987_204_26, max_relative = 1e-8);
        assert_relative_eq!(parse_unit("kcal/mol/angstrom", FORCE).unwrap(), 1.0, max_relative = 1e-12);
        // LAMMPS real: acceleration = 4.184e-4 * force / mass in angstrom / fs^2.
        assert_relative_eq!(ENERGY_TO_KINETIC, 4.184e-4, max_relative = 1e-12);
    }

    #[test]
    fn quantities() {
        assert_relative_eq!(parse_quantity("500K", TEMPERATURE).unwrap(), 500.0);
        assert_relative_eq!(parse_quantity(" 1e3 K ", TEMPERATURE).unwrap(), 1000.0);
        assert_relative_eq!(parse_quantity("1eV", ENERGY).unwrap(), 23.060_548, max_relative = 1e-7);
        assert_relative_eq!(parse_quantity("0.5 fs", TIME).unwrap(), 0.5, max_relative = 1e-12);
        for bad in [
            "500",
            "K",
            "",
            "five K",
            "500 furlong",
            "500 eV",
            "nan K",
            "inf K",
            "500K^x",
            "5 K/",
            "5 /K",
            "5 kcal",
        ] {
            let error = parse_quantity(bad, TEMPERATURE).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad}: {error}");
        }
    }

    #[test]
    fn lammps_styles() {
        assert_relative_eq!(UnitSystem::lammps("metal").unwrap().force, 23.060_548, max_relative = 1e-7);
        assert_relative_eq!(UnitSystem::lammps("real").unwrap().energy, 1.0, max_relative = 1e-12);
        assert_relative_eq!(UnitSystem::lammps("si").unwrap().length, 1e10, max_relative = 1e-12);
        // 1 ag nm^2/ns^2 = 1e-21 kg * 1e-18 m^2 / 1e-18 s^2 = 1e-21 J = 0.1439 kcal/mol
        assert_relative_eq!(UnitSystem::lammps("nano").unwrap().energy, 0.143_932_6, max_relative = 1e-6);
        assert!(parse_unit("kcal", ENERGY).unwrap_err().to_string().contains("kcal/mol"));
        // Factors that go past the range of a double on their way, and quantities that do.
        let under = "m*pm^9*pm^9*pm^9/pm^9/pm^9/pm^9";
        for unit in [under, "m/pm^9/pm^9/pm^9*pm^9*pm^9*pm^9"] {
            assert!(parse_unit(unit, LENGTH).unwrap_err().to_string().contains("size"), "{unit}");
        }
        assert_eq!(parse_quantity("1e308 m", LENGTH).unwrap_err().exit_code(), 2);
        assert!(UnitSystem::lammps("lj").unwrap_err().to_string().contains("reduced"));
        assert!(UnitSystem::lammps("imperial").is_err());
    }
}
