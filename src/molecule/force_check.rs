//! Net force and torque: zero for an isolated molecule, and what a deviation looks like.

use ndarray::ArrayView3;
use serde::Serialize;

use super::vector::{at, cross, dot, norm, sub};
use crate::units::{BOLTZMANN, ENERGY_TO_KINETIC};

/// Net force or torque over the forces themselves, above which the forces are not a lone molecule's.
const NET_LIMIT: f64 = 0.01;
/// Relative deviation of the net torque from that of noise in proportion to the masses that still fits it.
const ALIKE: f64 = 0.2;

/// Net force and torque of the frames; both vanish for an isolated molecule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ForceCheck {
    /// Mean length of the force on an atom, kcal/mol/angstrom.
    pub mean_force: f64,
    /// Root mean square of the net force on a frame, kcal/mol/angstrom.
    pub net_force: f64,
    /// Root mean square of the net torque about the centroid, kcal/mol.
    pub net_torque: f64,
    /// Net torque over what random forces with variances in proportion to the masses, and this net force,
    /// would give: 1 for the noise of a Langevin thermostat. None without a net force.
    pub noise_ratio: Option<f64>,
}

impl ForceCheck {
    /// Checks positions and forces (N, n, 3), angstrom and kcal/mol/angstrom, of atoms of these masses (n).
    pub fn new(positions: ArrayView3<f64>, forces: ArrayView3<f64>, masses: &[f64]) -> Self {
        let (frames, atoms, _) = positions.dim();
        let (mut length, mut net, mut torque, mut inertia) = (0.0, 0.0, 0.0, 0.0);
        for frame in 0..frames {
            let center: [f64; 3] = std::array::from_fn(|k| {
                (0..atoms).map(|atom| positions[[frame, atom, k]]).sum::<f64>() / atoms as f64
            });
            let (mut sum, mut turn) = ([0.0; 3], [0.0; 3]);
            for (atom, mass) in masses.iter().enumerate().take(atoms) {
                let (force, arm) = (at(&forces, frame, atom), sub(at(&positions, frame, atom), center));
                let moment = cross(arm, force);
                length += norm(force);
                inertia += mass * dot(arm, arm);
                for k in 0..3 {
                    sum[k] += force[k];
                    turn[k] += moment[k];
                }
            }
            net += dot(sum, sum);
            torque += dot(turn, turn);
        }
        let count = frames as f64;
        // Variance c m per component: <|sum|^2> = 3 c M, <|torque|^2> = 2 c sum m |arm|^2.
        let mass: f64 = masses.iter().sum();
        let expected = net * 2.0 * (inertia / count) / (3.0 * mass);
        ForceCheck {
            mean_force: length / (count * atoms as f64),
            net_force: (net / count).sqrt(),
            net_torque: (torque / count).sqrt(),
            noise_ratio: (expected > 0.0).then(|| (torque / expected).sqrt()),
        }
    }

    /// Whether force and torque sum to zero.
    pub fn balanced(&self) -> bool {
        self.net_force <= NET_LIMIT * self.mean_force && self.net_torque <= 3.0 * NET_LIMIT * self.mean_force
    }

    /// Whether the net force and torque look like a Langevin thermostat's noise, the only usual cause that
    /// pulls at every atom in proportion to the root of its mass.
    pub fn like_noise(&self) -> bool {
        !self.balanced()
            && self.net_force > NET_LIMIT * self.mean_force
            && self.noise_ratio.is_some_and(|ratio| (ratio - 1.0).abs() < ALIKE)
    }

    /// What is wrong, if anything. `kelvin` is the temperature as far as known.
    pub(super) fn warning(&self, periodic: bool, masses: &[f64], kelvin: Option<f64>) -> Option<String> {
        if self.mean_force == 0.0 {
            return Some("every force is zero: the file declares forces it does not hold".into());
        }
        if self.balanced() {
            return None;
        }
        let said = format!(
            "the forces do not sum to zero (net force {:.2}, net torque {:.2}, mean force {:.1})",
            self.net_force, self.net_torque, self.mean_force
        );
        if self.like_noise() {
            // <|net|^2> = 3 M 2 kT / (damp dt), kT in kcal/mol, brought to fs by kcal/mol = amu A^2/fs^2 * c.
            let mass: f64 = masses.iter().sum();
            let fits = kelvin.map_or_else(String::new, |kelvin| {
                let product = 6.0 * mass * BOLTZMANN * kelvin / ENERGY_TO_KINETIC / self.net_force.powi(2);
                format!(", here with damp x timestep of about {product:.2} fs^2")
            });
            return Some(format!(
                "{said}, and look like thermostat noise: random forces that grow with the atoms' masses, as LAMMPS \
                 fix langevin adds to the forces it dumps{fits}. The temperature stays right but blurred; learn no \
                 forces from this file: recompute them with rerun, or dump them under fix temp/csvr"
            ));
        }
        if self.net_force <= NET_LIMIT * self.mean_force {
            return Some(format!(
                "{said}: thermostat noise whose sum is removed (fix langevin with zero yes), angular constraints, or \
                 an outer field"
            ));
        }
        let who = if periodic { "surroundings in the cell" } else { "another molecule or an outer field" };
        Some(format!(
            "{said}: thermostat noise (fix langevin adds it to dumped forces), constraints, rough forces, or {who}"
        ))
    }
}
