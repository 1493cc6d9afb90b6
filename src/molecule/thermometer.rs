//! The configurational thermometer: which temperature the positions and forces are at.
//!
//! Hypervirial theorem: `<v . (-F)> = kT <div v>` for any vector field v. With `v = (r - <r>) u` on one atom of
//! a bond (u its direction), `div v = 1 + 2 (r - <r>) / r`. Numerator and denominator are summed over both
//! ends of every bond. It reads; it never sets a temperature.
//!
//! Errors are those of the linearized ratio: of the mean of `numerator - kT denominator`, by blocking
//! ([`standard_error`]), so that they respect the correlation of frames in order of time; at least those of as many squared
//! normal numbers as are read, `kT sqrt(2 / count)`, since few frames know their own scatter badly.

use ndarray::{Array1, ArrayView3};
use serde::Serialize;

use super::bonds::{Bonds, LINEAR};
use super::correlation::{standard_error, Correlated};
use super::energy_checks::{energy_drift, energy_spread, work_check};
pub use super::energy_checks::{EnergyDrift, EnergySpread, WorkCheck};
use super::force_check::ForceCheck;
use super::kinetic;
pub use super::kinetic::{Kinetic, KineticSpread};
use super::start::start;
pub use super::start::Start;
use super::thermometer_classes::classes;
pub use super::thermometer_classes::{ClassTemperature, ModeClass};
use super::thermometer_warnings::warnings;
use super::vector::{angle, between, dot, norm};
use crate::dataset::Dataset;
use crate::units::BOLTZMANN;
use crate::{Error, Result};

/// Relative width below which a bond counts as held at its length by a constraint.
const RIGID: f64 = 2e-3;

/// A temperature with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Temperature {
    /// The temperature in K.
    pub kelvin: f64,
    /// Its standard error in K, by blocking.
    pub error: f64,
    /// Correlation length of what was averaged, in frames: 1 for independent frames.
    pub correlation: f64,
    /// Independent stretches in the window: frames over correlation length. Below 20 the error itself is unsure.
    pub stretches: f64,
}

impl Temperature {
    /// The standard error in K, were the temperature `kelvin`: a reading that is low by chance has a low error too.
    pub(super) fn error_at(&self, kelvin: f64) -> f64 {
        let scale = kelvin / self.kelvin.abs();
        if scale > 1.0 && scale.is_finite() {
            self.error * scale
        } else {
            self.error
        }
    }
}

/// What one bond alone reads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BondTemperature {
    /// The bond.
    pub atoms: (usize, usize),
    /// Its reading, over both ends.
    pub temperature: Temperature,
    /// Standard deviation of the bond's length over its mean.
    pub relative_width: f64,
}

/// What the frames say about their temperature.
#[derive(Debug, Clone, Serialize)]
pub struct Thermometer {
    /// The temperature that was asked for, K.
    pub asked: Option<f64>,
    /// The reading from positions and forces; none without forces or bonds.
    pub configurational: Option<Temperature>,
    /// The same, bond by bond.
    pub bonds: Vec<BondTemperature>,
    /// The readings of stretches, bends and torsions apart; empty without forces.
    pub classes: Vec<ClassTemperature>,
    /// The reading from velocities, where there are any.
    pub kinetic: Option<Kinetic>,
    /// The beginning of the window that is farthest from the rest, by velocities or by positions and forces.
    pub start: Option<Start>,
    /// Bonds that a constraint holds at their length.
    pub held: usize,
    /// A rough reading from the spread of the energies, where there are any.
    pub energy_spread: Option<EnergySpread>,
    /// Change of the mean energy over the window.
    pub energy_drift: Option<EnergyDrift>,
    /// Energies against the work of the forces, where the frames follow each other in small steps.
    pub work: Option<WorkCheck>,
    /// Net force and torque.
    #[serde(skip)]
    pub force_check: Option<ForceCheck>,
    /// Things the user should know, one line each.
    pub warnings: Vec<String>,
}

/// Per-frame numerator and denominator of the hypervirial identity over both ends of one bond.
pub(super) fn bond_terms(
    positions: &ArrayView3<f64>,
    forces: &ArrayView3<f64>,
    i: usize,
    j: usize,
) -> [Array1<f64>; 3] {
    let frames = positions.dim().0;
    let lengths = Array1::from_shape_fn(frames, |frame| norm(between(positions, frame, i, j)));
    let mean = lengths.sum() / frames as f64;
    let numerator = Array1::from_shape_fn(frames, |frame| {
        let u = between(positions, frame, i, j);
        // F_i . u / r at one end and F_j . (-u) / r at the other
        let along = dot(between(forces, frame, i, j), u) / lengths[frame];
        -along * (lengths[frame] - mean)
    });
    let denominator = lengths.mapv(|r| 2.0 * (1.0 + 2.0 * (r - mean) / r));
    [numerator, denominator, lengths]
}

/// Per-frame numerator and denominator summed over all bonds, and what each of these reads.
fn bond_sums(
    positions: &ArrayView3<f64>,
    forces: &ArrayView3<f64>,
    bonds: &Bonds,
) -> ([Array1<f64>; 2], Vec<BondTemperature>) {
    let frames = positions.dim().0;
    let mut sums = [Array1::zeros(frames), Array1::zeros(frames)];
    let read = |&(i, j): &(usize, usize)| {
        let [top, bottom, lengths] = bond_terms(positions, forces, i, j);
        let (temperature, relative_width) = (ratio(&top, &bottom, 1.0), relative_width(&lengths));
        sums[0] += &top;
        sums[1] += &bottom;
        BondTemperature { atoms: (i, j), temperature, relative_width }
    };
    let each = bonds.pairs.iter().map(read).collect();
    (sums, each)
}

/// Ratio of means over kB, with the standard error of its linearization. The numerator of a frame is a sum of `squares`
/// squared normal numbers, 0 where that is not known.
pub(super) fn ratio(numerator: &Array1<f64>, denominator: &Array1<f64>, squares: f64) -> Temperature {
    let frames = numerator.len() as f64;
    let quotient = numerator.sum() / denominator.sum();
    let residual: Vec<f64> = numerator.iter().zip(denominator).map(|(n, d)| n - quotient * d).collect();
    let Correlated { error, correlation, .. } = standard_error(&residual);
    let kelvin = quotient / BOLTZMANN;
    let least =
        if squares > 0.0 { kelvin.abs() * (2.0 * correlation / squares / frames).sqrt() } else { 0.0 };
    // Not `max`: it would hide a NaN.
    let error = error / (denominator.sum() / frames).abs() / BOLTZMANN;
    Temperature {
        kelvin,
        error: if error < least { least } else { error },
        correlation,
        stretches: frames / correlation,
    }
}

/// Configurational temperature of frames (N, n, 3), angstrom and kcal/mol/angstrom, and that of every bond.
///
/// # Errors
/// [`Error::Usage`] for fewer than two frames, no bonds, or arrays of different shapes;
/// [`Error::Numeric`] where a number is not finite.
pub fn configurational_temperature(
    positions: ArrayView3<f64>,
    forces: ArrayView3<f64>,
    bonds: &Bonds,
) -> Result<(Temperature, Vec<BondTemperature>)> {
    let frames = positions.dim().0;
    if positions.dim() != forces.dim() || positions.dim().1 != bonds.atoms() {
        return Err(Error::usage(format!(
            "positions {:?}, forces {:?} and a bond graph of {} atoms; the shapes must agree",
            positions.dim(),
            forces.dim(),
            bonds.atoms()
        )));
    }
    if frames < 2 || bonds.pairs.is_empty() {
        return Err(Error::usage(format!(
            "the configurational temperature needs at least two frames and one bond, here {frames} and {}",
            bonds.pairs.len()
        )));
    }
    let ([numerator, denominator], each) = bond_sums(&positions, &forces, bonds);
    let total = ratio(&numerator, &denominator, bonds.pairs.len() as f64);
    if !(total.kelvin.is_finite() && total.error.is_finite()) {
        return Err(Error::Numeric(
            "the configurational temperature is not finite; a position or force is not, or two bonded atoms \
             coincide"
                .into(),
        ));
    }
    Ok((total, each))
}

/// Reads the temperature of a data set and says what is odd about it.
///
/// # Errors
/// As [`configurational_temperature`]; missing forces, bonds or velocities are no error but leave the
/// reading empty, with a warning.
pub fn assess(dataset: &Dataset, asked: Option<f64>) -> Result<Thermometer> {
    if let Some(asked) = asked.filter(|asked| !(asked.is_finite() && *asked > 0.0)) {
        return Err(Error::usage(format!("temperature {asked} K; give a positive number")));
    }
    let positions = dataset.positions.view();
    let frames = positions.dim().0;
    let bonds = Bonds::from_mean_distances(&dataset.species, positions)?;
    let mut found = Thermometer {
        asked,
        configurational: None,
        bonds: Vec::new(),
        classes: Vec::new(),
        kinetic: None,
        start: None,
        held: bonds.pairs.iter().filter(|pair| frames >= 2 && width(&positions, **pair) < RIGID).count(),
        energy_spread: None,
        energy_drift: None,
        work: None,
        force_check: None,
        warnings: Vec::new(),
    };
    if let Some(forces) = dataset.forces.as_ref().map(|forces| forces.view()) {
        found.force_check = Some(ForceCheck::new(positions, forces, &dataset.masses));
        if frames >= 2 && !bonds.pairs.is_empty() {
            let (total, each) = configurational_temperature(positions, forces, &bonds)?;
            found.configurational = Some(total);
            found.classes = classes(&dataset.species, &positions, &forces, &bonds, &each);
            found.bonds = each;
            let ([numerator, denominator], _) = bond_sums(&positions, &forces, &bonds);
            found.start = start(&numerator, &denominator, bonds.pairs.len() as f64);
        }
        found.work = dataset.energies.as_ref().and_then(|e| work_check(&positions, &forces, e));
    }
    if let Some(velocities) = dataset.velocities.as_ref().filter(|_| frames >= 2) {
        let reading = kinetic::read(positions, velocities.view(), &dataset.masses)?;
        found.kinetic = Some(reading.kinetic);
        let squares = 2.0 * reading.halves.sum() / frames as f64;
        let starts = [found.start, start(&reading.energies, &reading.halves, squares)];
        let clearer = |a: &Start, b: &Start| a.deviates().abs().total_cmp(&b.deviates().abs());
        found.start = starts.into_iter().flatten().max_by(clearer);
    }
    if let Some(energies) = &dataset.energies {
        found.energy_spread = energy_spread(energies, vibrations(&bonds, &positions));
        found.energy_drift = energy_drift(energies);
    }
    found.warnings = warnings(&found, dataset, &bonds);
    Ok(found)
}

/// Vibrations of a molecule: 3N - 6, or 3N - 5 where it is linear.
pub(super) fn vibrations(bonds: &Bonds, positions: &ArrayView3<f64>) -> usize {
    let frames = positions.dim().0;
    let straight = |triple: &[usize; 3]| {
        (0..frames).map(|frame| angle(positions, frame, *triple)).sum::<f64>() > LINEAR * frames as f64
    };
    let whole = if bonds.angles().iter().all(straight) { 5 } else { 6 };
    (3 * bonds.atoms()).saturating_sub(whole)
}

/// Standard deviation of a bond's length over its mean.
fn width(positions: &ArrayView3<f64>, (i, j): (usize, usize)) -> f64 {
    relative_width(&Array1::from_shape_fn(positions.dim().0, |frame| norm(between(positions, frame, i, j))))
}

fn relative_width(lengths: &Array1<f64>) -> f64 {
    lengths.std(0.0) / (lengths.sum() / lengths.len() as f64)
}

/// Whether a bond is held at its length.
pub(super) fn constrained(bond: &BondTemperature) -> bool {
    bond.relative_width < RIGID
}

#[cfg(test)]
#[path = "thermometer_tests.rs"]
mod tests;
