//! What is odd about a temperature reading, in words.

use super::thermometer::{constrained, Temperature, Thermometer};

/// Fewer frames than this: block errors are too small.
const SHORT_WINDOW: usize = 1000;
/// Relative deviation from the asked temperature that is worth a word.
const TOLERANCE: f64 = 0.04;
/// Standard errors that count as a difference.
const SIGMAS: f64 = 3.0;

/// Whether a reading is `expected` within its error and 3 %.
fn near(reading: Temperature, expected: f64) -> bool {
    (reading.kelvin - expected).abs() < (2.0 * reading.error).max(0.03 * expected)
}

pub(super) fn warnings(found: &Thermometer, frames: usize, atoms: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    let held = found.bonds.iter().filter(|bond| constrained(bond)).count();
    if held > 0 {
        warnings.push(format!(
            "{held} of {} bonds are held at their length by a constraint: the configurational temperature reads \
             too low, and stiff modes cannot be learned",
            found.bonds.len()
        ));
    }
    if let Some(reading) = found.configurational {
        if frames < SHORT_WINDOW || reading.error > 0.1 * reading.kelvin.abs() {
            warnings.push(format!(
                "{frames} frames: the reading of {:.0} +- {:.0} K may be 20 % off; use a longer trajectory",
                reading.kelvin, reading.error
            ));
        }
        if reading.kelvin <= 0.0 {
            warnings.push(format!(
                "the forces do not pull the bonds back ({:.0} K): check the sign and units of the forces and that \
                 they belong to these frames",
                reading.kelvin
            ));
        } else if let Some(asked) = found.asked {
            if held == 0 {
                warnings.extend(against_asked(reading, asked, atoms));
            }
        }
        if let Some(kinetic) = found.kinetic {
            let (a, b) = (reading, kinetic.internal);
            let error = SIGMAS * a.error.hypot(b.error);
            if held == 0 && (a.kelvin - b.kelvin).abs() > error.max(2.0 * TOLERANCE * b.kelvin) {
                warnings.push(format!(
                    "positions and forces are at {:.0} K, velocities at {:.0} K (counting 3N - {}): not \
                     equilibrated, wrong units, or forces of another potential",
                    a.kelvin, b.kelvin, kinetic.removed
                ));
            }
        }
    }
    if let Some(kinetic) = found.kinetic {
        let thermal = 1.0 / atoms as f64;
        if atoms > 1 && kinetic.center_share > 3.0 * thermal {
            warnings.push(format!(
                "the molecule flies: {:.0} % of the kinetic energy is in its center of mass",
                100.0 * kinetic.center_share
            ));
        }
    }
    warnings
}

/// The reading against the asked temperature, with the thermostat mistakes that are known by their ratio.
fn against_asked(reading: Temperature, asked: f64, atoms: usize) -> Option<String> {
    let difference = (reading.kelvin - asked).abs();
    if difference < (SIGMAS * reading.error).max(TOLERANCE * asked) {
        return None;
    }
    let said =
        format!("the frames are at {:.0} +- {:.0} K, asked {asked:.0} K", reading.kelvin, reading.error);
    let freedoms = 3.0 * atoms as f64;
    let counted = |freedoms_counted: f64| asked * freedoms_counted / (freedoms - 6.0);
    let all = atoms > 2 && near(reading, counted(freedoms));
    let but_center = atoms > 2 && near(reading, counted(freedoms - 3.0));
    // Both can be near: name the nearer.
    let nearer_all =
        (reading.kelvin - counted(freedoms)).abs() <= (reading.kelvin - counted(freedoms - 3.0)).abs();
    let why = if all && (nearer_all || !but_center) {
        format!(
            "{:.0} K is what a thermostat that counts 3N = {freedoms} degrees of freedom gives where {} move; \
             use {:.0} K, or remove 6 in the thermostat and run again",
            counted(freedoms),
            freedoms - 6.0,
            counted(freedoms)
        )
    } else if but_center {
        format!(
            "{:.0} K is what a thermostat that counts 3N - 3 = {} degrees of freedom gives where {} move; use \
             {:.0} K, or remove 6 in the thermostat and run again",
            counted(freedoms - 3.0),
            freedoms - 3.0,
            freedoms - 6.0,
            counted(freedoms - 3.0)
        )
    } else {
        "the run is short or not equilibrated, its thermostat is off, or the forces are of another potential than \
         the frames"
            .to_owned()
    };
    Some(format!("{said}: {why}"))
}
