//! The thermometer by classes of motion: stiff and soft modes must read the same.
//!
//! Fields for the hypervirial identity `<v . (-F)> = kT <div v>`:
//! - bend i-j-k, on an end atom: `v = r (theta - <theta>) e_theta`, `div v = 1 + (theta - <theta>) cot theta`;
//! - torsion: the smaller side turned rigidly about the bond by `f(phi)`, `div v = f'(phi)`, with f the mean torque
//!   in three harmonics. f is fitted on the other four fifths of the frames: fitted on the same ones, it would
//!   follow their noise and read too high.

use ndarray::{s, Array1, Array2, ArrayView3};
use serde::Serialize;

use super::bonds::{Bonds, LINEAR};
use super::dihedral::harmonics;
use super::least_squares::solve;
use super::thermometer::{bond_terms, constrained, ratio, BondTemperature, Temperature};
use super::torsion::Torsion;
use super::vector::{angle, at, between, dot, norm, Vector};

/// Harmonics of the mean torque.
const HARMONICS: usize = 3;
/// Parts for the cross-fit of the mean torque.
const FOLDS: usize = 5;
/// Fewer frames cannot carry a mean torque.
const FEWEST_FRAMES: usize = 100;
/// A class whose relative error is above this reads nothing.
const BLURRED: f64 = 0.4;

/// A class of motions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModeClass {
    /// Bonds with a hydrogen.
    HydrogenStretches,
    /// Bonds between heavier atoms.
    HeavyStretches,
    /// Bond angles.
    Bends,
    /// Rotations about bonds in no ring.
    Torsions,
}

impl ModeClass {
    /// The class in words.
    pub fn name(self) -> &'static str {
        match self {
            ModeClass::HydrogenStretches => "stretches with hydrogen",
            ModeClass::HeavyStretches => "stretches of heavy atoms",
            ModeClass::Bends => "bends",
            ModeClass::Torsions => "torsions",
        }
    }
}

/// What one class reads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassTemperature {
    /// The class.
    pub class: ModeClass,
    /// How many motions are in the reading.
    pub modes: usize,
    /// The reading; none where `why` says why.
    pub temperature: Option<Temperature>,
    /// Why there is no reading.
    pub why: Option<String>,
}

/// Sums of numerators and denominators, per frame.
struct Terms {
    modes: usize,
    numerator: Array1<f64>,
    denominator: Array1<f64>,
}

impl Terms {
    fn new(frames: usize) -> Self {
        Terms { modes: 0, numerator: Array1::zeros(frames), denominator: Array1::zeros(frames) }
    }

    fn add(&mut self, numerator: &Array1<f64>, denominator: &Array1<f64>) {
        self.modes += 1;
        self.numerator += numerator;
        self.denominator += denominator;
    }

    fn read(self, class: ModeClass, none: &str) -> ClassTemperature {
        let nothing =
            |why: String| ClassTemperature { class, modes: self.modes, temperature: None, why: Some(why) };
        if self.modes == 0 {
            return nothing(none.to_owned());
        }
        // Torques are no squares of normal numbers.
        let squares = if class == ModeClass::Torsions { 0.0 } else { self.modes as f64 };
        let reading = ratio(&self.numerator, &self.denominator, squares);
        if !(reading.kelvin.is_finite() && reading.error.is_finite()) {
            return nothing("a number is not finite".into());
        }
        if class == ModeClass::Torsions
            && (self.denominator.sum() <= 0.0 || reading.error > BLURRED * reading.kelvin.abs())
        {
            return nothing(format!(
                "the torques say too little ({:.0} +- {:.0} K): nearly free rotation, or too few frames",
                reading.kelvin, reading.error
            ));
        }
        ClassTemperature { class, modes: self.modes, temperature: Some(reading), why: None }
    }
}

/// The readings of all four classes, positions and forces (N, n, 3), from the readings of the bonds.
pub(super) fn classes(
    species: &[u8],
    positions: &ArrayView3<f64>,
    forces: &ArrayView3<f64>,
    bonds: &Bonds,
    each: &[BondTemperature],
) -> Vec<ClassTemperature> {
    let frames = positions.dim().0;
    let [mut hydrogen, mut heavy, mut bends, mut torsions] = [(); 4].map(|()| Terms::new(frames));
    for bond in each.iter().filter(|bond| !constrained(bond)) {
        let (i, j) = bond.atoms;
        let [numerator, denominator, _] = bond_terms(positions, forces, i, j);
        let class = if species[i] == 1 || species[j] == 1 { &mut hydrogen } else { &mut heavy };
        class.add(&numerator, &denominator);
    }
    for triple in bonds.angles() {
        if let Some((numerator, denominator)) = bend_terms(positions, forces, triple) {
            bends.add(&numerator, &denominator);
        }
    }
    let few = frames < FEWEST_FRAMES;
    if !few {
        for atoms in bonds.rotatable(species, *positions) {
            let (phi, torque) = Torsion::new(bonds, atoms).measure(positions, forces);
            if let Some((numerator, denominator)) = torsion_terms(&phi, &torque) {
                torsions.add(&numerator, &denominator);
            }
        }
    }
    let no_torsion =
        if few { "fewer than 100 frames carry no mean torque" } else { "no bond outside a ring turns" };
    vec![
        hydrogen.read(ModeClass::HydrogenStretches, "no such bond, or all are constrained"),
        heavy.read(ModeClass::HeavyStretches, "no such bond, or all are constrained"),
        bends.read(ModeClass::Bends, "no angle but linear or constrained ones"),
        torsions.read(ModeClass::Torsions, no_torsion),
    ]
}

/// Direction in which atom i of the angle i-j-k opens it, a unit vector, and its distance from j.
pub(super) fn opening(
    positions: &ArrayView3<f64>,
    frame: usize,
    [i, j, k]: [usize; 3],
    theta: f64,
) -> (Vector, f64) {
    let (u, w) = (between(positions, frame, i, j), between(positions, frame, k, j));
    let (r, s) = (norm(u), norm(w));
    let (sine, cosine) = theta.sin_cos();
    (std::array::from_fn(|c| (cosine * u[c] / r - w[c] / s) / sine), r)
}

/// Numerator and denominator of a bend over both ends; none where it is linear on average or held fast.
fn bend_terms(
    positions: &ArrayView3<f64>,
    forces: &ArrayView3<f64>,
    [i, j, k]: [usize; 3],
) -> Option<(Array1<f64>, Array1<f64>)> {
    let frames = positions.dim().0;
    let theta = Array1::from_shape_fn(frames, |frame| angle(positions, frame, [i, j, k]));
    let mean = theta.sum() / frames as f64;
    if mean > LINEAR || theta.std(0.0) < 2e-3 {
        return None;
    }
    let numerator = Array1::from_shape_fn(frames, |frame| {
        let along = |ends: [usize; 3]| {
            let (direction, r) = opening(positions, frame, ends, theta[frame]);
            r * dot(at(forces, frame, ends[0]), direction)
        };
        -(theta[frame] - mean) * (along([i, j, k]) + along([k, j, i]))
    });
    let denominator = theta.mapv(|theta| 2.0 * (1.0 + (theta - mean) / theta.tan()));
    Some((numerator, denominator))
}

/// Numerator and denominator of a torsion, with the mean torque of the other folds as the field.
fn torsion_terms(phi: &Array1<f64>, torque: &Array1<f64>) -> Option<(Array1<f64>, Array1<f64>)> {
    let frames = phi.len();
    let columns = harmonics(phi.view(), HARMONICS);
    let edge = |fold: usize| fold * frames / FOLDS;
    let folds: Vec<(Array2<f64>, Array1<f64>)> = (0..FOLDS)
        .map(|fold| {
            let part = s![edge(fold)..edge(fold + 1), ..];
            let x = columns.slice(part);
            (x.t().dot(&x), x.t().dot(&torque.slice(s![edge(fold)..edge(fold + 1)])))
        })
        .collect();
    let (mut numerator, mut denominator) = (Array1::zeros(frames), Array1::zeros(frames));
    for fold in 0..FOLDS {
        let mut matrix = Array2::zeros((2 * HARMONICS, 2 * HARMONICS));
        let mut right = Array1::zeros(2 * HARMONICS);
        for (_, (a, b)) in folds.iter().enumerate().filter(|&(other, _)| other != fold) {
            matrix += a;
            right += b;
        }
        let field = solve(&matrix, &right, 1e-6)?;
        for frame in edge(fold)..edge(fold + 1) {
            let row = columns.row(frame);
            numerator[frame] = torque[frame] * field.dot(&row);
            // d/dphi (a cos k phi + b sin k phi) = k (b cos k phi - a sin k phi)
            denominator[frame] = -(0..HARMONICS)
                .map(|k| {
                    let (cosine, sine) = (row[2 * k], row[2 * k + 1]);
                    (k + 1) as f64 * (field[2 * k + 1] * cosine - field[2 * k] * sine)
                })
                .sum::<f64>();
        }
    }
    Some((numerator, denominator))
}
