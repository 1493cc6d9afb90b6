//! What is watched: the potential energy, and harmonics of every rotatable dihedral.
//!
//! The harmonics are averaged over the molecule's symmetry: a methyl group that has not turned by a third is
//! then not called unconverged, because its three places are the same state.

use std::collections::BTreeMap;

use ndarray::{s, Array1, Array2, ArrayView1, ArrayView3};

use super::diagnostics;
use crate::molecule::dihedral::dihedral;
use crate::molecule::symmetry::SymmetryGroup;

/// Which multiples of the angle are watched: the slow wells, and the threefold ones.
const MULTIPLES: [f64; 2] = [1.0, 3.0];

/// The distinct images of a dihedral: its atoms, and its shares in the mean of a cosine and of a sine.
type Images = Vec<([usize; 4], f64, f64)>;

/// The watched quantities of a molecule.
#[derive(Debug, Clone)]
pub(super) struct Monitor {
    names: Vec<String>,
    torsions: Vec<(Images, bool)>,
}

impl Monitor {
    /// The energy and the harmonics of these dihedrals.
    pub fn new(quads: &[[usize; 4]], group: &SymmetryGroup) -> Self {
        let mut names = vec!["energy".to_owned()];
        let mut torsions: Vec<(Images, bool)> = Vec::new();
        for &quad in quads {
            let images = images(quad, group);
            // A dihedral that symmetry maps to one already watched says nothing new.
            let seen = |known: &(Images, bool)| known.0.iter().any(|(atoms, ..)| same(*atoms, quad));
            if torsions.iter().any(seen) {
                continue;
            }
            // Mirror images take the sines away; only a chiral molecule keeps them.
            let sines = images.iter().any(|(_, _, odd)| odd.abs() > 1e-12);
            let atoms = quad.map(|atom| atom.to_string()).join("-");
            for multiple in ["", "3 "] {
                names.push(format!("cos {multiple}dihedral {atoms}"));
                if sines {
                    names.push(format!("sin {multiple}dihedral {atoms}"));
                }
            }
            torsions.push((images, sines));
        }
        Monitor { names, torsions }
    }

    /// The quantities' names; the energy stands first, the others are dihedrals'.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The quantities (Q, B) of states (B, n, 3) with energies (B).
    pub fn measure(&self, positions: ArrayView3<f64>, energies: ArrayView1<f64>) -> Array2<f64> {
        let mut out = Array2::zeros((self.names.len(), energies.len()));
        out.row_mut(0).assign(&energies);
        let mut row = 1;
        for (images, sines) in &self.torsions {
            let angles: Vec<Array1<f64>> =
                images.iter().map(|&(quad, ..)| dihedral(positions, quad)).collect();
            for multiple in MULTIPLES {
                for (&(_, even, odd), angles) in images.iter().zip(&angles) {
                    out.row_mut(row).zip_mut_with(angles, |sum, phi| *sum += even * (multiple * phi).cos());
                    if *sines {
                        out.row_mut(row + 1)
                            .zip_mut_with(angles, |sum, phi| *sum += odd * (multiple * phi).sin());
                    }
                }
                row += 1 + usize::from(*sines);
            }
        }
        out
    }
}

/// Dihedrals read backward are the same angle.
fn same(a: [usize; 4], b: [usize; 4]) -> bool {
    a == b || a == [b[3], b[2], b[1], b[0]]
}

/// Where the operations of the group take a dihedral; one with a mirror image changes its sign.
fn images(quad: [usize; 4], group: &SymmetryGroup) -> Images {
    let mut shares: BTreeMap<[usize; 4], (f64, f64)> = BTreeMap::new();
    for operation in &group.operations {
        let image = quad.map(|atom| operation.permutation[atom]);
        let image = image.min([image[3], image[2], image[1], image[0]]);
        let share = shares.entry(image).or_default();
        share.0 += 1.0;
        share.1 += if operation.mirror { -1.0 } else { 1.0 };
    }
    let order = group.order() as f64;
    shares.into_iter().map(|(quad, (even, odd))| (quad, even / order, odd / order)).collect()
}

/// Draws of every quantity, iteration by iteration. Single precision, which is far below their noise, with the
/// energies counted from one of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    /// Chains that are watched.
    pub chains: usize,
    /// What the energies are counted from, kcal/mol.
    pub origin: f64,
    /// (iterations, chains) of every quantity, row-major.
    pub draws: Vec<Vec<f32>>,
}

impl Series {
    pub fn new(quantities: usize, chains: usize, origin: f64) -> Self {
        Series { chains, origin, draws: vec![Vec::new(); quantities] }
    }

    /// Adds one iteration, (Q, chains).
    pub fn push(&mut self, measured: &Array2<f64>) {
        for (quantity, (draws, row)) in self.draws.iter_mut().zip(measured.outer_iter()).enumerate() {
            let origin = if quantity == 0 { self.origin } else { 0.0 };
            draws.extend(row.iter().map(|value| (value - origin) as f32));
        }
    }

    fn draws(&self, quantity: usize) -> Array2<f64> {
        let draws = &self.draws[quantity];
        let iterations = draws.len() / self.chains.max(1);
        Array2::from_shape_fn((iterations, self.chains), |(t, c)| f64::from(draws[t * self.chains + c]))
    }

    /// Split-R-hat of a quantity.
    pub fn r_hat(&self, quantity: usize) -> f64 {
        diagnostics::r_hat(self.draws(quantity).view())
    }

    /// Effective sample size of a quantity.
    pub fn effective(&self, quantity: usize) -> f64 {
        diagnostics::effective_size(self.draws(quantity).view())
    }

    /// Mean of a quantity; 0 before the first iteration.
    pub fn mean(&self, quantity: usize) -> f64 {
        let draws = &self.draws[quantity];
        let origin = if quantity == 0 { self.origin } else { 0.0 };
        origin + draws.iter().map(|&x| f64::from(x)).sum::<f64>() / draws.len().max(1) as f64
    }
}

/// The coldest chains of states (B, n, 3) where every `rungs`-th is one.
pub(super) fn coldest(positions: &ndarray::Array3<f64>, rungs: usize) -> ArrayView3<'_, f64> {
    positions.slice(s![..;rungs, .., ..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::molecule::bonds::Bonds;
    use crate::molecule::samples::{noisy, CHIRAL_METHYL, ETHANOL};

    #[test]
    fn harmonics_do_not_know_symmetry_images() {
        for (rows, count) in [(&ETHANOL[..], 1 + 2 * 2), (&CHIRAL_METHYL[..], 1 + 4)] {
            let (species, positions) = noisy(rows, 40, 0.03, 3);
            let bonds = Bonds::from_mean_distances(&species, positions.view()).unwrap();
            let group = SymmetryGroup::find(&species, positions.view(), &bonds).unwrap();
            let monitor = Monitor::new(&bonds.rotatable(&species, positions.view()), &group);
            assert_eq!(monitor.names().len(), count);
            let energies = Array1::zeros(40);
            let before = monitor.measure(positions.view(), energies.view());
            let mut moved = positions.clone();
            for (frame, mut state) in moved.outer_iter_mut().enumerate() {
                let image = group.apply(frame % group.order(), state.view()).unwrap();
                state.assign(&image);
            }
            let after = monitor.measure(moved.view(), energies.view());
            for (a, b) in before.iter().zip(&after) {
                assert!((a - b).abs() < 1e-9);
            }
            assert!(before.iter().any(|x| x.abs() > 0.1));
        }
    }
}
