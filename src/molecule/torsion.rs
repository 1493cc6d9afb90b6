//! Rotation of a part of a molecule about a bond, and the generalized force along it.

use ndarray::{Array1, ArrayView3};

use super::bonds::Bonds;
use super::dihedral::dihedral;
use super::symmetry::SymmetryOperation;
use super::vector::{at, between, cross, dot, norm, sub};

/// A rotatable bond: its dihedral, and the atoms on one side that turn about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Torsion {
    /// i-j-k-l around the bond j-k.
    pub atoms: [usize; 4],
    /// The atoms that turn, ascending: the smaller side.
    turning: Vec<usize>,
    /// Whether that is the side of l; turning the side of i about j-k lowers the dihedral.
    far_side: bool,
}

impl Torsion {
    /// The torsion of a dihedral of [`Bonds::rotatable`], whose middle bond is in no ring.
    pub fn new(bonds: &Bonds, atoms: [usize; 4]) -> Self {
        let [_, j, k, _] = atoms;
        let (near, far) = (side(bonds, j, k), side(bonds, k, j));
        // In a molecule without net torque both sides feel the same; fewer atoms carry less noise.
        let far_side = far.len() <= near.len();
        Torsion { atoms, turning: if far_side { far } else { near }, far_side }
    }

    /// Dihedral (N), radians, and torque -dU/dphi (N), kcal/mol, of positions and forces (N, n, 3).
    pub fn measure(
        &self,
        positions: &ArrayView3<f64>,
        forces: &ArrayView3<f64>,
    ) -> (Array1<f64>, Array1<f64>) {
        let [_, j, k, _] = self.atoms;
        let sign = if self.far_side { 1.0 } else { -1.0 };
        let torque = |frame| {
            let axis = between(positions, frame, k, j);
            let base = at(positions, frame, k);
            let about = |&atom: &usize| {
                dot(cross(axis, sub(at(positions, frame, atom), base)), at(forces, frame, atom))
            };
            sign * self.turning.iter().map(about).sum::<f64>() / norm(axis)
        };
        (dihedral(*positions, self.atoms), Array1::from_shape_fn(positions.dim().0, torque))
    }

    /// The torsion at whose atoms this one's stand in the image of a frame, before any change of sign.
    pub fn image(&self, operation: &SymmetryOperation) -> Self {
        let mut turning: Vec<usize> = self.turning.iter().map(|&atom| operation.permutation[atom]).collect();
        turning.sort_unstable();
        Torsion { atoms: self.atoms.map(|atom| operation.permutation[atom]), turning, ..*self }
    }
}

/// Atoms reached from `start` without the bond to `other`, less `start` itself, ascending.
fn side(bonds: &Bonds, start: usize, other: usize) -> Vec<usize> {
    let mut found = vec![start];
    let mut next = 0;
    while next < found.len() {
        for &atom in &bonds.neighbors[found[next]] {
            if !(found.contains(&atom) || found[next] == start && atom == other) {
                found.push(atom);
            }
        }
        next += 1;
    }
    found.remove(0);
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::molecule::samples::{noisy, ETHANOL};
    use approx::assert_relative_eq;

    /// A potential of pair distances, (E, F).
    fn springs(frame: &ndarray::Array3<f64>) -> (f64, ndarray::Array3<f64>) {
        let mut forces = ndarray::Array3::zeros(frame.dim());
        let mut energy = 0.0;
        for i in 0..9 {
            for j in 0..i {
                let d = between(&frame.view(), 0, i, j);
                let (r, stiffness) = (norm(d), 10.0 + (i * j) as f64);
                energy += 0.5 * stiffness * (r - 1.7).powi(2);
                for c in 0..3 {
                    forces[[0, i, c]] -= stiffness * (r - 1.7) * d[c] / r;
                    forces[[0, j, c]] += stiffness * (r - 1.7) * d[c] / r;
                }
            }
        }
        (energy, forces)
    }

    #[test]
    fn torque_is_the_slope_of_a_rigid_rotation() {
        let (species, frame) = noisy(&ETHANOL, 1, 0.05, 4);
        let bonds = Bonds::from_mean_distances(&species, frame.view()).unwrap();
        for atoms in bonds.rotatable(&species, frame.view()) {
            // Both sides, named by reading the dihedral forward and backward with the far side turning.
            let [i, j, k, l] = atoms;
            for (atoms, far_side) in [(atoms, true), ([l, k, j, i], true), (atoms, false)] {
                let turning = if far_side {
                    side(&bonds, atoms[2], atoms[1])
                } else {
                    side(&bonds, atoms[1], atoms[2])
                };
                let torsion = Torsion { atoms, turning, far_side };
                let (phi, torque) = torsion.measure(&frame.view(), &springs(&frame).1.view());
                // Rodrigues' rotation of the turning atoms by +-h about the bond.
                let turned = |angle: f64| {
                    let mut out = frame.clone();
                    let axis = between(&frame.view(), 0, atoms[2], atoms[1]);
                    let unit = axis.map(|c| c / norm(axis));
                    let base = at(&frame.view(), 0, atoms[2]);
                    for &atom in &torsion.turning {
                        let v = sub(at(&frame.view(), 0, atom), base);
                        let w = cross(unit, v);
                        for c in 0..3 {
                            let along = unit[c] * dot(unit, v) * (1.0 - angle.cos());
                            out[[0, atom, c]] = base[c] + v[c] * angle.cos() + w[c] * angle.sin() + along;
                        }
                    }
                    out
                };
                let h = 1e-4;
                let (up, down) = (turned(h), turned(-h));
                let rise = dihedral(up.view(), atoms)[0] - phi[0];
                assert_relative_eq!(rise, if far_side { h } else { -h }, max_relative = 1e-6);
                let slope = (springs(&up).0 - springs(&down).0) / (2.0 * rise);
                assert_relative_eq!(torque[0], -slope, max_relative = 1e-5);
            }
        }
        let small = Torsion::new(&bonds, [5, 0, 1, 2]);
        assert_eq!((small.turning.clone(), small.far_side), (vec![5, 6, 7], false));
    }
}
