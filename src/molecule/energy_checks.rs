//! What the energies say of the frames: their spread, their drift, and whether the forces belong to them.

use ndarray::{Array1, ArrayView3};
use serde::Serialize;

use super::correlation::{standard_error, Correlated};
use super::thermometer::Temperature;
use super::vector::{at, dot, sub};
use crate::units::BOLTZMANN;

/// The temperature of harmonic vibrations with this spread of energy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EnergySpread {
    /// `std(U) / (kB sqrt(f / 2))`. Only harmonic molecules obey it: anharmonic ones read 10 to 20 % off.
    pub temperature: Temperature,
    /// Vibrations f: 3N - 6, or 3N - 5 for a linear molecule.
    pub vibrations: usize,
}

/// Energies of frame after frame against the work of the forces between them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WorkCheck {
    /// Root mean square energy difference of neighboring frames, kcal/mol.
    pub step: f64,
    /// Root mean square of that difference less the work `-(F1 + F2)/2 . dx` (trapezoid), kcal/mol.
    pub residual: f64,
    /// The residual that right forces could leave: three tenths of what the change of the forces over a step
    /// is worth, and the rounding of the energies, kcal/mol.
    pub limit: f64,
}

/// Change of the mean energy from the first third of the frames to the last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EnergyDrift {
    /// Last less first, kcal/mol.
    pub change: f64,
    /// Its standard error, kcal/mol.
    pub error: f64,
    /// Standard deviation of the energies, kcal/mol.
    pub spread: f64,
}

/// Largest change of the forces over a step, relative, for the steps to count as small; independent frames have 1.4.
const SMALL_STEP: f64 = 0.7;
/// Share of that change which right forces may leave unexplained: the trapezoid is exact but for anharmonicity.
const UNEXPLAINED: f64 = 0.3;
/// Digits that energies are taken to have: those of single precision.
const DIGITS: f64 = 2e-7;

/// The spread of energies (N), kcal/mol, of a molecule with that many vibrations; none for fewer than two
/// frames, no vibration, or energies that are all the same.
pub(super) fn energy_spread(energies: &Array1<f64>, vibrations: usize) -> Option<EnergySpread> {
    if energies.len() < 2 || vibrations == 0 {
        return None;
    }
    let mean = energies.sum() / energies.len() as f64;
    let squares = energies.mapv(|energy| (energy - mean).powi(2)).to_vec();
    let Correlated { mean: variance, error, correlation } = standard_error(&squares);
    let kelvin = variance.sqrt() / BOLTZMANN / (0.5 * vibrations as f64).sqrt();
    if !(kelvin > 0.0 && kelvin.is_finite()) {
        return None;
    }
    let temperature = Temperature {
        kelvin,
        error: 0.5 * kelvin * error / variance,
        correlation,
        stretches: energies.len() as f64 / correlation,
    };
    Some(EnergySpread { temperature, vibrations })
}

/// Energies against the forces' work, where the frames follow each other in small steps; else none.
pub(super) fn work_check(
    positions: &ArrayView3<f64>,
    forces: &ArrayView3<f64>,
    energies: &Array1<f64>,
) -> Option<WorkCheck> {
    let (frames, atoms, _) = positions.dim();
    if frames < 3 {
        return None;
    }
    let [mut step, mut residual, mut change, mut moved, mut force] = [0.0; 5];
    for frame in 1..frames {
        let mut mean = 0.0;
        for atom in 0..atoms {
            let dx = sub(at(positions, frame, atom), at(positions, frame - 1, atom));
            let (before, after) = (at(forces, frame - 1, atom), at(forces, frame, atom));
            mean -= 0.5 * (dot(before, dx) + dot(after, dx));
            let turn = sub(after, before);
            // Atom by atom: like errors, these add up as squares.
            change += (0.5 * dot(turn, dx)).powi(2);
            moved += dot(turn, turn);
            force += dot(after, after);
        }
        let rise = energies[frame] - energies[frame - 1];
        step += rise * rise;
        residual += (rise - mean).powi(2);
    }
    let root = |sum: f64| (sum / (frames - 1) as f64).sqrt();
    let largest = energies.iter().fold(0.0_f64, |most, energy| most.max(energy.abs()));
    let check = WorkCheck {
        step: root(step),
        residual: root(residual),
        limit: UNEXPLAINED * root(change) + DIGITS * largest + 1e-3,
    };
    (moved <= SMALL_STEP * SMALL_STEP * force && check.residual.is_finite()).then_some(check)
}

/// First third against last third of energies (N) in order of time; none for fewer than 30 frames.
pub(super) fn energy_drift(energies: &Array1<f64>) -> Option<EnergyDrift> {
    let third = energies.len() / 3;
    if third < 10 {
        return None;
    }
    let values = energies.to_vec();
    let (first, last) = (standard_error(&values[..third]), standard_error(&values[values.len() - third..]));
    let error = first.error.hypot(last.error);
    Some(EnergyDrift { change: last.mean - first.mean, error, spread: energies.std(0.0) })
}
