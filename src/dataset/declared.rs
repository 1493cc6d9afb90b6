//! The units of a file: what it declares, what the user says, and never a guess.

use super::ReadOptions;
use crate::units::{self, UnitSystem};
use crate::{Error, Result};

/// What a file says about its own units.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Declared {
    /// A LAMMPS unit style, or nothing.
    Lammps(Option<String>),
    /// Extended XYZ: angstrom by the format, energies and forces unnamed; whether it has any.
    Xyz {
        /// Whether there are energies or forces, whose unit must be named.
        labeled: bool,
        /// `energy_unit` of the comment line, as our own files have it.
        energy: Option<String>,
        /// `force_unit` of the comment line.
        force: Option<String>,
        /// `velocity_unit` of the comment line.
        velocity: Option<String>,
    },
    /// An npz with or without `r_unit` and `e_unit`; whether it has energies or forces.
    Npz {
        /// The unit of length it names.
        length: Option<String>,
        /// The unit of energy it names.
        energy: Option<String>,
        /// Whether there are energies or forces.
        labeled: bool,
    },
    /// chemfiles converts this format to angstrom and angstrom/ps.
    Angstrom,
}

impl Declared {
    /// Whether the file says all that there is to say, so that options meant for others need not be asked.
    fn is_enough(&self, options: &ReadOptions) -> bool {
        match self {
            Declared::Lammps(style) => style.is_some(),
            // Angstrom by the format: a unit style has nothing to add where there are no energies and forces.
            Declared::Xyz { labeled, energy, force, .. } => {
                energy.is_some() || force.is_some() || (!labeled && options.units.is_some())
            }
            Declared::Npz { length, energy, labeled } => length.is_some() && (energy.is_some() || !labeled),
            Declared::Angstrom => true,
        }
    }
}

/// How many of the library's units one of the file's is; absent where there is nothing to convert.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Units {
    pub length: f64,
    pub energy: Option<f64>,
    pub force: Option<f64>,
    pub velocity: Option<f64>,
    /// Whether masses of the file count in amu.
    pub amu: bool,
    pub text: String,
}

/// The LAMMPS styles that count masses in g/mol.
fn counts_in_amu(system: &UnitSystem) -> bool {
    ["real", "metal", "electron"]
        .iter()
        .any(|style| UnitSystem::lammps(style).is_ok_and(|one| one == *system))
}

fn agree(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs())
}

/// Settles the units of a file.
///
/// # Errors
/// [`Error::Usage`] for units that are missing, unknown, or that contradict the file or each other.
pub(super) fn settle(declared: &Declared, options: &ReadOptions, path: &str) -> Result<Units> {
    let parse = |text: &Option<String>, dimension| {
        text.as_deref().map(|unit| units::parse_unit(unit, dimension)).transpose()
    };
    let length = parse(&options.length_unit, units::LENGTH)?;
    let energy = parse(&options.energy_unit, units::ENERGY)?;
    let force = parse(&options.force_unit, units::FORCE)?;
    let apart = length.or(energy).or(force).is_some();
    if options.units.is_some() && apart {
        return Err(Error::usage(
            "--units names every unit; leave out --length-unit, --energy-unit and --force-unit",
        ));
    }
    if options.units_where_undeclared && declared.is_enough(options) {
        return settle(declared, &ReadOptions::default(), path);
    }
    let contradiction = |what: &str| {
        Error::usage(format!(
            "{path}: the file declares {what}, the options another unit; leave the option out"
        ))
    };
    match declared {
        Declared::Lammps(Some(style)) => {
            let system = UnitSystem::lammps(style)?;
            if options
                .units
                .is_some_and(|given| !agree(given.force, system.force) || !agree(given.length, system.length))
                || length.is_some_and(|given| !agree(given, system.length))
                || energy.is_some_and(|given| !agree(given, system.energy))
                || force.is_some_and(|given| !agree(given, system.force))
            {
                return Err(contradiction(&format!("units {style}")));
            }
            Ok(from_system(&system, format!("LAMMPS {style}, declared by the file")))
        }
        Declared::Lammps(None) => {
            if let Some(system) = &options.units {
                return Ok(from_system(system, "as --units says".into()));
            }
            if let (Some(length), Some(energy)) = (length, energy) {
                let force = force.unwrap_or(energy / length);
                let text = "as --length-unit and --energy-unit say".into();
                return Ok(Units {
                    length,
                    energy: Some(energy),
                    force: Some(force),
                    velocity: None,
                    amu: false,
                    text,
                });
            }
            Err(Error::usage(format!(
                "{path}: the file does not declare its units; give --units with the style of the LAMMPS run, for \
                 example --units real, or write the dump with dump_modify units yes"
            )))
        }
        Declared::Xyz { labeled, energy: e_unit, force: f_unit, velocity: v_unit } => {
            let own_energy = parse(e_unit, units::ENERGY)?;
            let own_force = parse(f_unit, units::FORCE)?;
            let given_force = force.or(options.units.map(|given| given.force));
            if options.units.is_some_and(|given| !agree(given.length, 1.0)) {
                return Err(Error::usage(format!(
                    "{path}: extended XYZ counts in angstrom, --units does not; name the other units alone, for \
                     example --energy-unit hartree --force-unit hartree/bohr"
                )));
            }
            let length = length.unwrap_or(1.0);
            let given_energy = energy.or(options.units.map(|given| given.energy));
            for (own, given, name) in [(own_energy, given_energy, e_unit), (own_force, given_force, f_unit)] {
                if let (Some(own), Some(given), Some(name)) = (own, given, name) {
                    if !agree(own, given) {
                        return Err(contradiction(name));
                    }
                }
            }
            let energy = own_energy.or(given_energy);
            let force = own_force.or(given_force).or(energy.map(|energy| energy / length));
            if *labeled && force.is_none() {
                return Err(Error::usage(format!(
                    "{path}: the file does not say in what unit its energies and forces are; give --energy-unit, for \
                     example --energy-unit eV (forces in eV/angstrom), or --units metal"
                )));
            }
            let text = match (labeled, own_energy.or(own_force)) {
                (true, Some(_)) => {
                    "lengths in angstrom by the format, energies and forces declared by the file"
                }
                (true, None) => "lengths in angstrom by the format, energies and forces as the options say",
                (false, _) => "lengths in angstrom by the format",
            };
            let velocity = parse(v_unit, units::VELOCITY)?;
            Ok(Units { length, energy, force, velocity, amu: true, text: text.into() })
        }
        Declared::Npz { length: r_unit, energy: e_unit, labeled } => {
            let own_length = parse(r_unit, units::LENGTH)?;
            let own_energy = parse(e_unit, units::ENERGY)?;
            let given_length = length.or(options.units.map(|given| given.length));
            let given_energy = energy.or(options.units.map(|given| given.energy));
            for (own, given, name) in [(own_length, given_length, r_unit), (own_energy, given_energy, e_unit)]
            {
                if let (Some(own), Some(given), Some(name)) = (own, given, name) {
                    if !agree(own, given) {
                        return Err(contradiction(name));
                    }
                }
            }
            let missing = || {
                Error::usage(format!(
                    "{path}: the file does not declare its units (no r_unit and e_unit); give --units real for angstrom \
                     and kcal/mol (as MD17), or --length-unit and --energy-unit"
                ))
            };
            let length = own_length.or(given_length).ok_or_else(missing)?;
            let energy = own_energy.or(given_energy);
            if *labeled && energy.or(force).is_none() {
                return Err(missing());
            }
            let text = if own_length.is_some() && (own_energy.is_some() || !*labeled) {
                "declared by the file (r_unit, e_unit)".to_owned()
            } else {
                "as the options say".to_owned()
            };
            let force = force.or(energy.map(|energy| energy / length));
            // Velocities are only in files of our own, in r_unit per femtosecond.
            Ok(Units { length, energy, force, velocity: Some(length), amu: true, text })
        }
        Declared::Angstrom => {
            let given = length.or(options.units.map(|given| given.length));
            if given.is_some_and(|given| !agree(given, 1.0)) {
                return Err(Error::usage(format!(
                    "{path}: lengths of this format have their own unit and come in angstrom; leave the unit option out"
                )));
            }
            let text = "lengths in angstrom by the format".into();
            Ok(Units { length: 1.0, energy: None, force: None, velocity: Some(1e-3), amu: true, text })
        }
    }
}

fn from_system(system: &UnitSystem, text: String) -> Units {
    Units {
        length: system.length,
        energy: Some(system.energy),
        force: Some(system.force),
        velocity: Some(system.velocity),
        amu: counts_in_amu(system),
        text,
    }
}
