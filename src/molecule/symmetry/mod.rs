//! The group of feasible permutations of equal atoms, each with its parity (Longuet-Higgins 1963).
//!
//! An operation is *feasible* where the molecule reaches the relabeled shape without breaking a bond or
//! turning a stiff center inside out. It is found from the bond graph and from what keeps its sign in
//! the data: rotations of methyl-like tops, flips of symmetric rings, swaps of equal branches, and mirror
//! images together with the permutations that restore every center. A chiral molecule has no mirror.
//!
//! The search takes every automorphism of the bond graph colored by species and keeps it if
//! (proper) all constraints keep their sign, or (mirror) all of them reverse.

mod constraints;
pub mod matching;
mod search;

use ndarray::{Array2, ArrayView2, ArrayView3};
use serde::{Deserialize, Serialize};

use super::bonds::Bonds;
use crate::{Error, Result};

/// More operations than this are refused: a sampler would list them all.
pub const LARGEST_GROUP: usize = 20_000;

/// One feasible operation: x'\[i\] = sign * x\[permutation\[i\]\], with sign = -1 for `mirror`, else 1.
///
/// Mirror is the inversion x -> -x through the origin: up to a rotation it is every reflection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SymmetryOperation {
    /// Atom of the old frame that stands at place i of the new one, (n).
    pub permutation: Vec<usize>,
    /// Whether the frame is also inverted.
    pub mirror: bool,
}

impl SymmetryOperation {
    /// First `self`, then `next`: x'' = next(self(x)), so that the permutation is self\[next\[i\]\].
    pub fn then(&self, next: &SymmetryOperation) -> SymmetryOperation {
        SymmetryOperation {
            permutation: next.permutation.iter().map(|&i| self.permutation[i]).collect(),
            mirror: self.mirror != next.mirror,
        }
    }

    /// The image of a frame (n, 3).
    pub fn apply(&self, positions: ArrayView2<f64>) -> Array2<f64> {
        let sign = if self.mirror { -1.0 } else { 1.0 };
        Array2::from_shape_fn(positions.dim(), |(i, k)| sign * positions[[self.permutation[i], k]])
    }
}

/// A group of feasible operations; the identity stands first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymmetryGroup {
    /// All operations, closed under composition: the proper ones first, each part in lexical order.
    pub operations: Vec<SymmetryOperation>,
}

impl SymmetryGroup {
    /// The group with only the identity.
    pub fn identity(atoms: usize) -> Self {
        SymmetryGroup {
            operations: vec![SymmetryOperation { permutation: (0..atoms).collect(), mirror: false }],
        }
    }

    /// The feasible operations of a molecule, from its bond graph and its frames (N, n, 3).
    ///
    /// The mirror image alone is an operation of every molecule without a stiff stereocenter: the energy
    /// of an isolated molecule does not know left from right.
    ///
    /// # Errors
    /// [`Error::Usage`] where the atom counts differ or there is no frame; [`Error::Unsupported`] where
    /// there are more than [`LARGEST_GROUP`] operations or the search takes too long. It never falls
    /// back to the identity.
    pub fn find(species: &[u8], positions: ArrayView3<f64>, bonds: &Bonds) -> Result<Self> {
        let (frames, atoms, _) = positions.dim();
        if atoms != species.len() || atoms != bonds.atoms() {
            return Err(Error::usage(format!(
                "{} species and {} atoms in the bond graph for {atoms} atoms; the counts must agree",
                species.len(),
                bonds.atoms()
            )));
        }
        if frames == 0 {
            return Err(Error::usage("symmetry needs at least one frame; the trajectory is empty"));
        }
        let colors = search::colors(species, bonds);
        let constraints = constraints::find(species, positions, bonds, &colors)?;
        let mut operations = Vec::new();
        for mirror in [false, true] {
            let permutations = search::permutations(bonds, &colors, &constraints, mirror, LARGEST_GROUP)?;
            operations.extend(
                permutations.into_iter().map(|permutation| SymmetryOperation { permutation, mirror }),
            );
            if operations.len() > LARGEST_GROUP {
                return Err(search::too_many(LARGEST_GROUP));
            }
        }
        operations.sort_by(|a, b| (a.mirror, &a.permutation).cmp(&(b.mirror, &b.permutation)));
        Ok(SymmetryGroup { operations })
    }

    /// Number of operations.
    pub fn order(&self) -> usize {
        self.operations.len()
    }

    /// Number of operations with a mirror image; 0 for a chiral molecule.
    pub fn mirrors(&self) -> usize {
        self.operations.iter().filter(|operation| operation.mirror).count()
    }

    /// The image of a frame (n, 3) under operation number `operation`.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no such operation or the frame has another number of atoms.
    pub fn apply(&self, operation: usize, positions: ArrayView2<f64>) -> Result<Array2<f64>> {
        let found = self.operations.get(operation).ok_or_else(|| {
            Error::usage(format!("operation {operation} of a group of {}; count from 0", self.order()))
        })?;
        if positions.dim() != (found.permutation.len(), 3) {
            return Err(Error::usage(format!(
                "a frame of shape {:?} for a symmetry group of {} atoms; give (n, 3)",
                positions.dim(),
                found.permutation.len()
            )));
        }
        Ok(found.apply(positions))
    }
}

#[cfg(test)]
mod tests;
