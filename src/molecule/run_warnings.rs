//! The usual mistakes of a run, by what they leave in its frames: a thermostat that counts the wrong degrees of freedom,
//! one that is not canonical, a dump that began before the run was warm, a molecule that flies or spins.

use super::thermometer::{Kinetic, KineticSpread, Start, Temperature, Thermometer};
use super::thermometer_warnings::{FEW_STRETCHES, SIGMAS, TOLERANCE};

/// Independent stretches from which a wrong mean has a cause: within fewer, a molecule has not exchanged its energy with the
/// thermostat often enough.
const MANY_STRETCHES: f64 = 100.0;
/// The same for the kinetic energy where its variance is at least that share of a canonical ensemble's: the window has seen what
/// the thermostat does.
const SEEN: (f64, f64) = (50.0, 0.8);
/// The same for a lack of variance: what a slow thermostat adds to it is not seen in a short window.
const SPREAD_STRETCHES: f64 = 200.0;
/// Standard errors by which the beginning of a window is not like the rest (several beginnings are looked at), and the relative
/// difference that is worth a word.
const START: (f64, f64) = (5.0, 0.15);
/// The same where the rest has few stretches: then the change must widen the kinetic energies as well, to more than that share of
/// a canonical ensemble's variance.
const SHORT_START: (f64, f64, f64) = (4.0, 0.3, 1.15);
/// A shorter window, fs, says nothing of its thermostat.
const SHORTEST: f64 = 1e4;
/// Fewer stretches of the rest say nothing of its beginning.
const FEW_IN_REST: f64 = 10.0;
/// Standard errors by which the variance of the kinetic energy is not canonical.
const NARROW_SIGMAS: f64 = 4.0;
/// Relative lack of variance that is worth a word.
const NARROW: f64 = 0.2;
/// Kinetic energy of the motion, or the rotation, as a whole over its thermal value that is worth a word, and the normal
/// deviate of the chance that thermal motion has it.
const FLYING: (f64, f64) = (3.0, 4.0);

/// Warnings of a run of so many atoms, `moving` of whose degrees of freedom are within the molecule where velocities do not
/// tell.
pub(super) fn run_warnings(found: &Thermometer, atoms: usize, moving: usize) -> Vec<String> {
    let mut out = Vec::new();
    // Constraints take degrees of freedom away that are not counted here.
    if found.held == 0 {
        out.extend(found.asked.and_then(|asked| off_the_asked(found, asked, atoms, moving)));
        if !is_brief(found) {
            let spread = found.kinetic.and_then(|kinetic| kinetic.spread);
            out.extend(found.start.and_then(|start| cold_start(start, spread)));
            out.extend(found.kinetic.and_then(narrow));
        }
    }
    if let Some(kinetic) = found.kinetic.filter(|_| atoms > 1) {
        let [center, turn] = kinetic.whole_stretches;
        let all = 3.0 * atoms as f64;
        let whole = kinetic.removed as f64;
        let within = (1.0 - kinetic.center_share - kinetic.turn_share) / (all - whole);
        for (share, freedoms, stretches, does, what) in [
            (kinetic.center_share, 3.0, center, "flies", "motion of its center of mass"),
            (kinetic.turn_share, whole - 3.0, turn, "spins", "rotation as a whole"),
        ] {
            let thermal = freedoms / all;
            if share > FLYING.0.max(largest_mean_square(freedoms * stretches)) * freedoms * within {
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

/// Whether the window is known to be too short for its thermostat, whatever its frames say.
fn is_brief(found: &Thermometer) -> bool {
    found.kinetic.and_then(|kinetic| kinetic.window).is_some_and(|window| window < SHORTEST)
}

/// The sharper of the two readings where it is off the asked temperature. Whether they agree is another warning.
fn off_the_asked(found: &Thermometer, asked: f64, atoms: usize, moving: usize) -> Option<String> {
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
    let stretches = kinetic.map_or(reading.stretches, |kinetic| kinetic.stretches);
    let told = match found.kinetic.and_then(|kinetic| kinetic.spread) {
        Some(spread) => stretches >= SEEN.0 && spread.ratio >= SEEN.1,
        None => kinetic.is_none() && stretches >= MANY_STRETCHES,
    } && !is_brief(found);
    let moving = found.kinetic.map_or(moving, |kinetic| 3 * atoms - kinetic.removed);
    (off >= (SIGMAS * reading.error_at(asked)).max(TOLERANCE * asked)).then(|| {
        let why = match suspicion(reading, asked, 3 * atoms, moving) {
            Some(_) if !told => format!(
                "the run is too short ({stretches:.0} independent stretches of time) to tell a wrong thermostat from chance; run \
                 longer"
            ),
            Some(mistake) => mistake,
            None => "the run is short or not equilibrated, its thermostat is off, or the forces are of another potential \
                     than the frames"
                .to_owned(),
        };
        format!("{who} at {:.0} +- {:.0} K, asked {asked:.0} K: {why}", reading.kelvin, reading.error)
    })
}

/// Whether a reading is `expected` within its error and 3 %.
fn near(reading: Temperature, expected: f64) -> bool {
    (reading.kelvin - expected).abs() < (SIGMAS * reading.error_at(expected)).max(0.03 * expected)
}

/// The mistake of a thermostat that is known by its ratio: it counts more of `all` degrees of freedom than the `moving`.
fn suspicion(reading: Temperature, asked: f64, all: usize, moving: usize) -> Option<String> {
    let counted = |count: usize| asked * count as f64 / moving as f64;
    let off = |count: usize| (reading.kelvin - counted(count)).abs();
    let removed = all - moving;
    let how = format!(
        " (LAMMPS: compute_modify thermo_temp extra/dof {removed} and fix_modify ID temp thermo_temp)"
    );
    // Both can be near: the nearer is named.
    let (name, count, how) = [("3N", all, ""), ("3N - 3", all.saturating_sub(3), how.as_str())]
        .into_iter()
        .filter(|(_, count, _)| moving > 0 && *count > moving && near(reading, counted(*count)))
        .min_by(|a, b| off(a.1).total_cmp(&off(b.1)))?;
    Some(format!(
        "{0:.0} K is what a thermostat that counts {name} = {count} degrees of freedom gives where {moving} move; use {0:.0} K, \
         or remove {removed} in the thermostat{how} and run again. A run that is short for its thermostat is off as well",
        counted(count)
    ))
}

/// The mean of so many squared normal numbers that chance exceeds with the probability of the deviate in [`FLYING`]
/// (Wilson and Hilferty, PNAS 17, 684, 1931).
fn largest_mean_square(count: f64) -> f64 {
    let variance = 2.0 / (9.0 * count);
    (1.0 - variance + FLYING.1 * variance.sqrt()).powi(3)
}

/// A beginning that is not like the rest; with the variance of the kinetic energies, where it is known.
fn cold_start(start: Start, spread: Option<KineticSpread>) -> Option<String> {
    let Start { frames, kelvin, rest, .. } = start;
    let off = |(sigmas, apart): (f64, f64)| {
        start.deviates().abs() > sigmas && (kelvin - rest.kelvin).abs() > apart * rest.kelvin
    };
    let or_short = if rest.stretches >= MANY_STRETCHES {
        off(START).then_some("")?
    } else {
        let (sigmas, apart, widened) = SHORT_START;
        let wide = spread.is_none_or(|spread| spread.ratio > widened);
        (rest.stretches >= FEW_IN_REST && wide && off((sigmas, apart)))
            .then_some(", or the run is short for its thermostat")?
    };
    Some(format!(
        "the first {frames} frames are at {kelvin:.0} +- {:.0} K, the rest at {:.0} +- {:.0} K: the run was not \
         equilibrated when these frames were written{or_short}; leave them out (--frames {frames}:, or more), or run \
         longer before the first frame",
        start.error, rest.kelvin, rest.error
    ))
}

/// Kinetic energies that scatter too little.
fn narrow(kinetic: Kinetic) -> Option<String> {
    let spread = kinetic.spread.filter(|spread| spread.stretches >= SPREAD_STRETCHES)?;
    (1.0 - spread.ratio > (NARROW_SIGMAS * spread.error).max(NARROW)).then(|| {
        format!(
            "the kinetic energy scatters too little: its variance is {:.2} +- {:.2} of that of a canonical ensemble. \
             The thermostat holds the temperature instead (LAMMPS temp/berendsen, temp/rescale), or there is none (nve), or \
             the run is shorter than its thermostat takes; potential energies are off as well. Run with one that is canonical \
             (LAMMPS temp/csvr, ASE Langevin)",
            spread.ratio, spread.error
        )
    })
}

#[cfg(test)]
#[path = "run_warnings_tests.rs"]
mod tests;
