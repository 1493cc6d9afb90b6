//! The usual mistakes of a run, by what they leave in its frames: a thermostat that counts the wrong degrees of freedom,
//! one that is not canonical, a dump that began before the run was warm, a molecule that flies or spins.

use super::thermometer::{Kinetic, Start, Temperature, Thermometer};
use super::thermometer_warnings::{FEW_STRETCHES, SIGMAS, TOLERANCE};

/// Standard errors by which the beginning of a window is not like the rest: several beginnings are looked at.
const START_SIGMAS: f64 = 4.0;
/// Relative difference of the beginning that is worth a word.
const START_APART: f64 = 0.15;
/// Standard errors by which the variance of the kinetic energy is not canonical.
const NARROW_SIGMAS: f64 = 4.0;
/// Relative lack of variance that is worth a word.
const NARROW: f64 = 0.2;
/// Kinetic energy of the motion, or the rotation, as a whole over its thermal value that is worth a word.
const FLYING: f64 = 3.0;

pub(super) fn run_warnings(found: &Thermometer, atoms: usize) -> Vec<String> {
    let mut out = Vec::new();
    // Constraints take degrees of freedom away that are not counted here.
    if found.held == 0 {
        out.extend(found.asked.and_then(|asked| off_the_asked(found, asked, atoms)));
        out.extend(found.start.and_then(cold_start));
        out.extend(found.kinetic.and_then(narrow));
    }
    if let Some(kinetic) = found.kinetic.filter(|_| atoms > 1) {
        let thermal = 1.0 / atoms as f64;
        for (share, does, what) in [
            (kinetic.center_share, "flies", "motion of its center of mass"),
            (kinetic.turn_share, "spins", "rotation as a whole"),
        ] {
            if share > FLYING * thermal {
                out.push(format!(
                    "the molecule {does}: {:.0} % of the kinetic energy is in the {what}, {:.0} % would be thermal; \
                     take it out as the run goes on (LAMMPS: fix momentum)",
                    100.0 * share,
                    100.0 * thermal
                ));
            }
        }
    }
    out
}

/// The sharper of the two readings where it is off the asked temperature. Whether they agree is another warning.
fn off_the_asked(found: &Thermometer, asked: f64, atoms: usize) -> Option<String> {
    let kinetic = found.kinetic.map(|kinetic| kinetic.internal);
    let readings = [
        ("the frames are", found.configurational),
        ("the velocities are", kinetic.filter(|reading| reading.stretches >= FEW_STRETCHES)),
    ];
    let (who, reading) = readings
        .into_iter()
        .filter_map(|(who, reading)| Some((who, reading.filter(|reading| reading.kelvin > 0.0)?)))
        .min_by(|a, b| a.1.error.total_cmp(&b.1.error))?;
    let off = (reading.kelvin - asked).abs();
    (off >= (SIGMAS * reading.error).max(TOLERANCE * asked)).then(|| {
        format!(
            "{who} at {:.0} +- {:.0} K, asked {asked:.0} K: {}",
            reading.kelvin,
            reading.error,
            suspicion(reading, asked, atoms)
        )
    })
}

/// Whether a reading is `expected` within its error and 3 %.
fn near(reading: Temperature, expected: f64) -> bool {
    (reading.kelvin - expected).abs() < (SIGMAS * reading.error).max(0.03 * expected)
}

/// The thermostat mistakes that are known by their ratio.
fn suspicion(reading: Temperature, asked: f64, atoms: usize) -> String {
    let freedoms = 3.0 * atoms as f64;
    let counted = |count: f64| asked * count / (freedoms - 6.0);
    let off = |count: f64| (reading.kelvin - counted(count)).abs();
    // Both can be near: the nearer is named.
    let known = [
        ("3N", freedoms, ""),
        (
            "3N - 3",
            freedoms - 3.0,
            " (LAMMPS: compute_modify thermo_temp extra/dof 6 and \
                  fix_modify ID temp thermo_temp)",
        ),
    ];
    let likely = known
        .into_iter()
        .filter(|(_, count, _)| atoms > 2 && near(reading, counted(*count)))
        .min_by(|a, b| off(a.1).total_cmp(&off(b.1)));
    match likely {
        Some((name, count, how)) => format!(
            "{0:.0} K is what a thermostat that counts {name} = {count} degrees of freedom gives where {1} move; \
             use {0:.0} K, or remove 6 in the thermostat{how} and run again",
            counted(count),
            freedoms - 6.0
        ),
        None => "the run is short or not equilibrated, its thermostat is off, or the forces are of another potential \
                 than the frames"
            .to_owned(),
    }
}

/// A beginning that is not like the rest.
fn cold_start(start: Start) -> Option<String> {
    let Start { frames, kelvin, rest, .. } = start;
    let apart = (kelvin - rest.kelvin).abs() > START_APART * rest.kelvin;
    (start.deviates().abs() > START_SIGMAS && apart).then(|| {
        format!(
            "the first {frames} frames are at {kelvin:.0} +- {:.0} K, the rest at {:.0} +- {:.0} K: the run was not \
             equilibrated when these frames were written; leave them out (--frames {frames}:, or more), or run longer \
             before the first frame",
            start.error, rest.kelvin, rest.error
        )
    })
}

/// Kinetic energies that scatter too little.
fn narrow(kinetic: Kinetic) -> Option<String> {
    let spread = kinetic.spread?;
    (1.0 - spread.ratio > (NARROW_SIGMAS * spread.error).max(NARROW)).then(|| {
        format!(
            "the kinetic energy scatters too little: its variance is {:.2} +- {:.2} of that of a canonical ensemble. \
             The thermostat holds the temperature instead (LAMMPS temp/berendsen, temp/rescale), or there is none (nve); \
             potential energies are off as well. Run with one that is canonical (LAMMPS temp/csvr, ASE Langevin)",
            spread.ratio, spread.error
        )
    })
}

#[cfg(test)]
#[path = "run_warnings_tests.rs"]
mod tests;
