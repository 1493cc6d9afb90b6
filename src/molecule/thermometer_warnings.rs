//! What is odd about a temperature reading, in words: what it suspects and why. It never changes a temperature.

use super::bonds::Bonds;
use super::run_warnings::run_warnings;
use super::thermometer::{vibrations, BondTemperature, ModeClass, Temperature, Thermometer};
use crate::dataset::elements::symbol;
use crate::dataset::Dataset;

/// Fewer independent stretches than this: the error itself is unsure.
pub(super) const FEW_STRETCHES: f64 = 20.0;
/// Relative deviation from a temperature that is worth a word.
pub(super) const TOLERANCE: f64 = 0.04;
/// Standard errors that count as a difference.
pub(super) const SIGMAS: f64 = 3.0;
/// The same where many readings are compared and the largest difference is looked at.
const SIGMAS_OF_MANY: f64 = 5.0;
/// Relative difference between stiff bonds that is worth a word: the shadow potential of a time step of a tenth
/// of the shortest period makes 10 %.
const BONDS_APART: f64 = 0.1;
/// The same for bends, and for torsions, against the stretches.
const BENDS_APART: f64 = 0.12;
const TORSIONS_APART: f64 = 0.25;
/// Energy drift over its spread that is worth a word.
const DRIFT: f64 = 0.3;
/// Relative deviation of the harmonic estimate of the energy spread that anharmonicity does not explain.
const SPREAD_APART: f64 = 0.35;

pub(super) fn warnings(found: &Thermometer, data: &Dataset, graph: &Bonds) -> Vec<String> {
    let (frames, bonds) = (data.positions.dim().0, graph.pairs.len());
    let mut warnings = Vec::new();
    match (&data.forces, found.configurational) {
        (None, _) => warnings.push("no forces: the configurational temperature was not measured".into()),
        (Some(_), None) => warnings.push(
            "the configurational temperature needs two frames and one bond; it was not measured".into(),
        ),
        _ => {}
    }
    let held = found.held;
    if held > 0 {
        warnings.push(format!(
            "{held} of {bonds} bonds are held at their length by a constraint: temperatures read too low, and stiff \
             modes cannot be learned"
        ));
    }
    if let Some(reading) = found.configurational {
        warnings.extend(short(reading, frames));
        if reading.kelvin <= 0.0 {
            warnings.push(format!(
                "the forces do not pull the bonds back ({:.0} K): check the sign and units of the forces and that \
                 they belong to these frames",
                reading.kelvin
            ));
        } else if held == 0 {
            warnings.extend(against_kinetic(reading, found));
            warnings.extend(bonds_apart(&found.bonds, &data.species));
            warnings.extend(classes_apart(found));
            warnings.extend(spread_apart(reading, found));
        }
    }
    warnings.extend(energies(found));
    if let Some(check) = &found.force_check {
        let kelvin = found.asked.or(found.configurational.map(|reading| reading.kelvin).filter(|t| *t > 0.0));
        warnings.extend(check.warning(data.source.periodic, &data.masses, kelvin));
    }
    warnings.extend(run_warnings(found, data.species.len(), vibrations(graph, &data.positions.view())));
    warnings
}

fn short(reading: Temperature, frames: usize) -> Option<String> {
    if reading.stretches < FEW_STRETCHES {
        return Some(format!(
            "{frames} frames are correlated over {:.0} and hold only {:.0} independent stretches: the reading of \
             {:.0} +- {:.0} K may be 20 % off; use a longer trajectory",
            reading.correlation, reading.stretches, reading.kelvin, reading.error
        ));
    }
    (reading.error > 0.1 * reading.kelvin.abs()).then(|| {
        format!(
            "{frames} frames: the reading of {:.0} +- {:.0} K may be 20 % off; use a longer trajectory",
            reading.kelvin, reading.error
        )
    })
}

fn against_kinetic(reading: Temperature, found: &Thermometer) -> Option<String> {
    let kinetic = found.kinetic?;
    let other = kinetic.internal;
    let level = reading.kelvin.max(other.kelvin);
    let error = SIGMAS * reading.error_at(level).hypot(other.error_at(level));
    let apart = (reading.kelvin - other.kelvin).abs() > error.max(2.0 * TOLERANCE * other.kelvin);
    apart.then(|| {
        format!(
            "positions and forces are at {:.0} K, velocities at {:.0} K (counting 3N - {}): a short run, not \
             equilibrated, wrong units, or forces of another potential",
            reading.kelvin, other.kelvin, kinetic.removed
        )
    })
}

/// The bond that is farthest from all of them together.
fn bonds_apart(bonds: &[BondTemperature], species: &[u8]) -> Option<String> {
    let usable = |bond: &&BondTemperature| {
        bond.temperature.kelvin.is_finite()
            && bond.temperature.error > 0.0
            && bond.temperature.stretches >= FEW_STRETCHES
    };
    let weight = |bond: &BondTemperature| bond.temperature.error.powi(-2);
    let all: f64 = bonds.iter().filter(usable).map(weight).sum();
    let sum: f64 = bonds.iter().filter(usable).map(|bond| weight(bond) * bond.temperature.kelvin).sum();
    let worst = bonds
        .iter()
        .filter(usable)
        .filter_map(|bond| {
            // Against the others without itself.
            let rest = all - weight(bond);
            let mean = (sum - weight(bond) * bond.temperature.kelvin) / rest;
            let apart = (bond.temperature.kelvin - mean).abs();
            let sigmas = apart / bond.temperature.error_at(mean).hypot(rest.sqrt().recip());
            (sigmas > SIGMAS_OF_MANY && apart > BONDS_APART * mean.abs()).then_some((bond, mean, sigmas))
        })
        .max_by(|a, b| a.2.total_cmp(&b.2))?;
    let (bond, mean, _) = worst;
    let name = |atom: usize| format!("{}{atom}", symbol(species.get(atom).copied().unwrap_or(0)));
    Some(format!(
        "bond {}-{} reads {:.0} +- {:.0} K, the others {mean:.0} K: stiff bonds at different temperatures, as where \
         the forces are of another potential than the run (recomputed labels), or the time step is too long; take \
         the forces of the run itself. Or the run is short: a molecule alone exchanges their energy in tens of picoseconds",
        name(bond.atoms.0),
        name(bond.atoms.1),
        bond.temperature.kelvin,
        bond.temperature.error
    ))
}

fn classes_apart(found: &Thermometer) -> Vec<String> {
    let read = |class| found.classes.iter().find(|one| one.class == class)?.temperature;
    let apart = |a: Temperature, b: Temperature, relative: f64| {
        let difference = (a.kelvin - b.kelvin).abs();
        difference > (SIGMAS_OF_MANY * a.error.hypot(b.error)).max(relative * b.kelvin.abs())
    };
    let (hydrogen, heavy) = (read(ModeClass::HydrogenStretches), read(ModeClass::HeavyStretches));
    let mut out = Vec::new();
    if let (Some(a), Some(b)) = (hydrogen, heavy) {
        if apart(a, b, BONDS_APART) {
            out.push(format!(
                "stretches with hydrogen read {:.0} +- {:.0} K, those of heavy atoms {:.0} +- {:.0} K: the forces are \
                 of another potential than the run, its time step is too long, or its modes are not equilibrated, as in a \
                 short run",
                a.kelvin, a.error, b.kelvin, b.error
            ));
        }
    }
    let stretches = match (hydrogen, heavy) {
        (Some(a), Some(b)) => Some(if a.error < b.error { a } else { b }),
        (one, other) => one.or(other),
    };
    for (class, relative) in [(ModeClass::Bends, BENDS_APART), (ModeClass::Torsions, TORSIONS_APART)] {
        if let (Some(soft), Some(stiff)) = (read(class), stretches) {
            if apart(soft, stiff, relative) {
                out.push(format!(
                    "{} read {:.0} +- {:.0} K, stretches {:.0} +- {:.0} K: the window is not equilibrated (cold or hot \
                     soft modes, a start that is still felt, a short run), or the forces are of another potential than the run",
                    class.name(),
                    soft.kelvin,
                    soft.error,
                    stiff.kelvin,
                    stiff.error
                ));
            }
        }
    }
    out
}

fn spread_apart(reading: Temperature, found: &Thermometer) -> Option<String> {
    let spread = found.energy_spread?.temperature;
    let difference = (spread.kelvin - reading.kelvin).abs();
    let known = spread.stretches >= FEW_STRETCHES;
    let limit = (SIGMAS_OF_MANY * spread.error.hypot(reading.error)).max(SPREAD_APART * reading.kelvin);
    (known && difference > limit).then(|| {
        format!(
            "the spread of the energies is that of harmonic vibrations at {:.0} +- {:.0} K, positions and forces are \
             at {:.0} K: energies and forces of different potentials, wrong units, or a run at constant energy",
            spread.kelvin, spread.error, reading.kelvin
        )
    })
}

fn energies(found: &Thermometer) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(drift) = found.energy_drift {
        if drift.change.abs() > (SIGMAS_OF_MANY * drift.error).max(DRIFT * drift.spread) {
            out.push(format!(
                "the energy changes by {:+.2} +- {:.2} kcal/mol from the first third of the frames to the last \
                 (spread {:.2}): not equilibrated, or a window too short for its slow motions; leave the start out, \
                 or run longer",
                drift.change, drift.error, drift.spread
            ));
        }
    }
    // Thermostat noise breaks the work too, and is named by its net force.
    let noisy = found.force_check.is_some_and(|check| !check.balanced());
    if let Some(work) = found.work.filter(|work| work.residual > work.limit && !noisy) {
        out.push(format!(
            "from frame to frame the energy changes by {:.3} kcal/mol, of which the forces' work leaves {:.3} \
             unexplained (right forces: at most {:.3}): energies and forces are of different potentials, or of \
             different frames",
            work.step, work.residual, work.limit
        ));
    }
    if let Some(spread) = found.energy_spread.map(|spread| spread.temperature) {
        if spread.stretches < FEW_STRETCHES
            && found.configurational.is_none_or(|reading| reading.stretches >= FEW_STRETCHES)
        {
            out.push(format!(
                "the energies are correlated over {:.0} frames: the window holds only {:.0} independent stretches of \
                 them; slow motions may be missing from it",
                spread.correlation, spread.stretches
            ));
        }
    }
    out
}
