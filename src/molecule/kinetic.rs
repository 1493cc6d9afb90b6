//! The kinetic thermometer: the temperature of the velocities, and whether they are those of a canonical ensemble.
//!
//! What moves and turns the molecule as a whole is projected out frame by frame, so that the reading is right whether
//! a run removes that motion or keeps it. In a canonical ensemble the kinetic energy K of f degrees of freedom has
//! the Gamma distribution: mean f kT / 2 and variance `2/f <K>^2`. Thermostats that hold the temperature at its value
//! (temp/rescale), or pull it there (temp/berendsen), and runs at constant energy have less of it.

use ndarray::{Array1, ArrayView3};
use serde::Serialize;

use super::correlation::standard_error;
use super::rigid::remove_rigid_motion;
use super::thermometer::{ratio, Temperature};
use crate::units::ENERGY_TO_KINETIC;
use crate::{Error, Result};

/// Fewer independent stretches of the kinetic energy say nothing of its variance.
const FEW_STRETCHES: f64 = 20.0;

/// Correlation of displacements and velocities above which frames follow each other closely enough to tell the time.
const SMALL_STEPS: f64 = 0.9;

/// The temperature of the velocities, counted in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Kinetic {
    /// Of the motion within the molecule, over 3N - `removed` degrees of freedom.
    pub internal: Temperature,
    /// Of all motion, over 3N.
    pub all: Temperature,
    /// Degrees of freedom of the motion as a whole: 6, 5 where all atoms are on one line, 3 for one atom.
    pub removed: usize,
    /// Share of the kinetic energy in the motion of the center of mass (3 / 3N where it is thermal).
    pub center_share: f64,
    /// Share of the kinetic energy in the rotation as a whole ((`removed` - 3) / 3N where it is thermal).
    pub turn_share: f64,
    /// Independent values in the window of the kinetic energy of the center of mass, and of the rotation: 1 where it is kept.
    pub whole_stretches: [f64; 2],
    /// The variance of the kinetic energy; none where the frames are too few to tell.
    pub spread: Option<KineticSpread>,
    /// Time from the first frame to the last, fs, as the velocities tell it; none where a step from frame to frame is too long
    /// for that.
    pub window: Option<f64>,
}

/// The variance of the kinetic energy within the molecule over that of a canonical ensemble, `2/f <K>^2`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KineticSpread {
    /// 1 in a canonical ensemble.
    pub ratio: f64,
    /// Its standard error: that of the series by blocking, or that of a canonical ensemble where it is larger.
    pub error: f64,
    /// Independent stretches in the window, of the kinetic energy or of its scatter, whichever has fewer.
    pub stretches: f64,
}

/// What the velocities say, and the kinetic energies behind it.
pub(super) struct Reading {
    pub kinetic: Kinetic,
    /// Kinetic energy within the molecule, kcal/mol, (N).
    pub energies: Array1<f64>,
    /// Half of its degrees of freedom, (N).
    pub halves: Array1<f64>,
}

/// Kinetic temperature of velocities (N, n, 3) in angstrom/fs at positions (N, n, 3) in angstrom, with masses (n) in amu.
///
/// # Errors
/// [`Error::Usage`] for fewer than two frames, or arrays of different shapes; [`Error::Numeric`] where a number is not
/// finite.
pub fn kinetic_temperature(
    positions: ArrayView3<f64>,
    velocities: ArrayView3<f64>,
    masses: &[f64],
) -> Result<Kinetic> {
    read(positions, velocities, masses).map(|reading| reading.kinetic)
}

pub(super) fn read(
    positions: ArrayView3<f64>,
    velocities: ArrayView3<f64>,
    masses: &[f64],
) -> Result<Reading> {
    let (frames, atoms, _) = velocities.dim();
    if frames < 2 || atoms != masses.len() || atoms == 0 || positions.dim() != velocities.dim() {
        return Err(Error::usage(format!(
            "the kinetic temperature needs two frames and a mass per atom, here {frames} frames of {atoms} atoms, \
             positions {:?} and {} masses",
            positions.dim(),
            masses.len()
        )));
    }
    let total_mass: f64 = masses.iter().sum();
    let energy = |v: &ndarray::ArrayView2<f64>| {
        let each = v.outer_iter().zip(masses).map(|(v, mass)| 0.5 * mass * v.dot(&v));
        each.sum::<f64>() / ENERGY_TO_KINETIC
    };
    let (mut all, mut internal, mut halves) =
        (Array1::zeros(frames), Array1::zeros(frames), Array1::zeros(frames));
    let (mut center, mut turning, mut removed) = (Array1::zeros(frames), Array1::zeros(frames), 0);
    for (frame, (x, v)) in positions.outer_iter().zip(velocities.outer_iter()).enumerate() {
        let momenta = v.outer_iter().zip(masses).map(|(v, &mass)| v.to_owned() * mass);
        let momentum = momenta.fold(Array1::<f64>::zeros(3), |sum, p| sum + p);
        center[frame] = 0.5 * momentum.dot(&momentum) / total_mass / ENERGY_TO_KINETIC;
        let mut rest = v.to_owned();
        let whole = remove_rigid_motion(masses, x, rest.view_mut());
        all[frame] = energy(&v);
        // One atom has no internal motion; its reading then counts all three.
        internal[frame] = if atoms == 1 { all[frame] } else { energy(&rest.view()) };
        turning[frame] = if atoms == 1 { 0.0 } else { all[frame] - center[frame] - internal[frame] };
        halves[frame] = 0.5 * if atoms == 1 { 3 } else { 3 * atoms - whole } as f64;
        removed = removed.max(whole);
    }
    let sum = all.sum();
    let share = |part: f64| if sum > 0.0 { part / sum } else { 0.0 };
    let freedoms = 2.0 * halves.sum() / frames as f64;
    let kinetic = Kinetic {
        internal: ratio(&internal, &halves, freedoms),
        all: ratio(&all, &Array1::from_elem(frames, 1.5 * atoms as f64), 3.0 * atoms as f64),
        removed,
        center_share: share(center.sum()),
        turn_share: share(turning.sum().max(0.0)),
        whole_stretches: [independent(&center, 3.0), independent(&turning, removed as f64 - 3.0)],
        spread: spread(&internal, freedoms),
        window: window(positions, velocities, masses),
    };
    if !(kinetic.all.kelvin.is_finite() && kinetic.internal.kelvin.is_finite()) {
        return Err(Error::Numeric("a velocity is not finite; remove the frame".into()));
    }
    Ok(Reading { kinetic, energies: internal, halves })
}

/// The time of a window in fs, where displacements from frame to frame are those of the mean velocities at both ends.
fn window(positions: ArrayView3<f64>, velocities: ArrayView3<f64>, masses: &[f64]) -> Option<f64> {
    let (mut moved, mut along, mut flown) = (0.0, 0.0, 0.0);
    let (frames, atoms, _) = positions.dim();
    for frame in 1..frames {
        for (atom, mass) in (0..atoms).zip(masses) {
            for c in 0..3 {
                let d = positions[[frame, atom, c]] - positions[[frame - 1, atom, c]];
                let v = 0.5 * (velocities[[frame, atom, c]] + velocities[[frame - 1, atom, c]]);
                moved += mass * d * d;
                along += mass * d * v;
                flown += mass * v * v;
            }
        }
    }
    (along > SMALL_STEPS * (moved * flown).sqrt()).then(|| along / flown * (frames - 1) as f64)
}

/// How many independent values kinetic energies (N) of that many degrees of freedom are worth, 1 or more: not more than their
/// correlation says, and in proportion fewer where they scatter less than a canonical ensemble does.
fn independent(energies: &Array1<f64>, freedoms: f64) -> f64 {
    let mean = energies.sum() / energies.len() as f64;
    let visited = energies.var(0.0) / (2.0 / freedoms * mean * mean);
    let stretches = energies.len() as f64 / standard_error(&energies.to_vec()).correlation;
    // A NaN, of energies that are all zero, ends as 1.
    (stretches * visited.min(1.0)).max(1.0)
}

/// The variance of kinetic energies (N) of that many degrees of freedom.
fn spread(energies: &Array1<f64>, freedoms: f64) -> Option<KineticSpread> {
    let frames = energies.len() as f64;
    let first = standard_error(&energies.to_vec());
    let squares: Vec<f64> = energies.iter().map(|energy| (energy - first.mean).powi(2)).collect();
    let second = standard_error(&squares);
    let canonical = 2.0 / freedoms * first.mean * first.mean;
    let stretches = frames / first.correlation.max(second.correlation);
    if stretches < FEW_STRETCHES || canonical.is_nan() || canonical <= 0.0 {
        return None;
    }
    // The mean of the same frames takes its own error out of the variance.
    let scale = canonical * (1.0 - first.correlation / frames);
    // Fourth moment of the Gamma distribution: the variance of (K - <K>)^2 is (2 + 12/f) times the variance squared.
    let expected = ((2.0 + 12.0 / freedoms) * second.correlation / frames).sqrt();
    let found =
        KineticSpread { ratio: second.mean / scale, error: (second.error / scale).max(expected), stretches };
    (found.ratio.is_finite() && found.error.is_finite()).then_some(found)
}
