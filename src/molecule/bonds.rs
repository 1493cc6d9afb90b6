//! The bond graph of a molecule, from the mean distances of its atoms.

use std::collections::VecDeque;

use ndarray::ArrayView3;
use serde::Serialize;

use super::features::pairs;
use super::vector::{angle, between, norm};
use crate::dataset::elements::{covalent_radius, symbol};
use crate::{Error, Result};

/// Two atoms are bonded where their mean distance is below this times the sum of their covalent radii.
pub const BOND_FACTOR: f64 = 1.25;
/// An angle whose mean is above this (160 degrees) counts as linear: no dihedral is defined over it.
pub(super) const LINEAR: f64 = 160.0 / 180.0 * std::f64::consts::PI;

/// Which atoms are bonded to which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bonds {
    /// Bonded pairs (i, j), i < j, in row-major order.
    pub pairs: Vec<(usize, usize)>,
    /// Bonded atoms of every atom, ascending.
    #[serde(skip)]
    pub neighbors: Vec<Vec<usize>>,
}

impl Bonds {
    /// Bonds from the mean distance of every pair over all frames (N, n, 3), angstrom: the reference's
    /// `mean_bonds` with factor [`BOND_FACTOR`].
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no frame, the atom counts differ, or an element has no radius.
    pub fn from_mean_distances(species: &[u8], positions: ArrayView3<f64>) -> Result<Self> {
        let (frames, atoms, _) = positions.dim();
        if atoms != species.len() {
            return Err(Error::usage(format!(
                "{} species for {atoms} atoms; give one atomic number per atom",
                species.len()
            )));
        }
        if frames == 0 {
            return Err(Error::usage("bonds need at least one frame; the trajectory is empty"));
        }
        let radii = species.iter().map(|&z| covalent_radius(z)).collect::<Result<Vec<_>>>()?;
        let mut bonded = Vec::new();
        for (i, j) in pairs(atoms) {
            let sum: f64 = (0..frames).map(|frame| norm(between(&positions, frame, i, j))).sum();
            if sum / (frames as f64) < BOND_FACTOR * (radii[i] + radii[j]) {
                bonded.push((i, j));
            }
        }
        Bonds::from_pairs(atoms, &bonded)
    }

    /// A graph from its pairs, in any order.
    ///
    /// # Errors
    /// [`Error::Usage`] where a pair names an atom twice or one that does not exist.
    pub fn from_pairs(atoms: usize, bonded: &[(usize, usize)]) -> Result<Self> {
        let mut pairs: Vec<_> = bonded.iter().map(|&(i, j)| (i.min(j), i.max(j))).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut neighbors = vec![Vec::new(); atoms];
        for &(i, j) in &pairs {
            if i == j || j >= atoms {
                return Err(Error::usage(format!("bond {i}-{j} does not join two of the {atoms} atoms")));
            }
            neighbors[i].push(j);
            neighbors[j].push(i);
        }
        neighbors.iter_mut().for_each(|list: &mut Vec<usize>| list.sort_unstable());
        Ok(Bonds { pairs, neighbors })
    }

    /// Number of atoms.
    pub fn atoms(&self) -> usize {
        self.neighbors.len()
    }

    /// Whether i and j are bonded.
    pub fn bonded(&self, i: usize, j: usize) -> bool {
        self.neighbors[i].binary_search(&j).is_ok()
    }

    /// The connected fragments, each ascending, by first atom.
    pub fn fragments(&self) -> Vec<Vec<usize>> {
        let mut seen = vec![false; self.atoms()];
        let mut fragments = Vec::new();
        for start in 0..self.atoms() {
            if seen[start] {
                continue;
            }
            seen[start] = true;
            let mut fragment = vec![start];
            let mut next = 0;
            while next < fragment.len() {
                for &j in &self.neighbors[fragment[next]] {
                    if !seen[j] {
                        seen[j] = true;
                        fragment.push(j);
                    }
                }
                next += 1;
            }
            fragment.sort_unstable();
            fragments.push(fragment);
        }
        fragments
    }

    /// That the atoms are one molecule.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the fragments where they are not.
    pub fn require_connected(&self, species: &[u8]) -> Result<()> {
        let fragments = self.fragments();
        if fragments.len() <= 1 {
            return Ok(());
        }
        let shown: Vec<String> = fragments
            .iter()
            .take(4)
            .map(|fragment| {
                let atoms: Vec<String> = fragment
                    .iter()
                    .take(6)
                    .map(|&i| format!("{}{i}", symbol(species.get(i).copied().unwrap_or(0))))
                    .collect();
                let dots = if fragment.len() > 6 { " ..." } else { "" };
                format!("[{}{dots}]", atoms.join(" "))
            })
            .collect();
        let dots = if fragments.len() > 4 { " ..." } else { "" };
        Err(Error::usage(format!(
            "the atoms are {} separate fragments, not one molecule: {}{dots}; select the atoms of one molecule, \
             and check the units and that molecules are whole",
            fragments.len(),
            shown.join(" ")
        )))
    }

    /// All bonded triples [i, j, k], i < k, around their middle atom j.
    pub fn angles(&self) -> Vec<[usize; 3]> {
        let mut angles = Vec::new();
        for (j, around) in self.neighbors.iter().enumerate() {
            for (a, &i) in around.iter().enumerate() {
                angles.extend(around[a + 1..].iter().map(|&k| [i, j, k]));
            }
        }
        angles
    }

    /// Rings: for every bond in a cycle, a shortest cycle through it, each once. Atoms in ring order, from
    /// the lowest, toward its lower neighbor.
    pub fn rings(&self) -> Vec<Vec<usize>> {
        let mut rings: Vec<Vec<usize>> =
            self.pairs.iter().filter_map(|&(i, j)| self.shortest_cycle(i, j)).map(canonical_ring).collect();
        rings.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        rings.dedup();
        rings
    }

    /// Whether bond i-j is part of a cycle.
    pub fn in_ring(&self, i: usize, j: usize) -> bool {
        self.shortest_cycle(i, j).is_some()
    }

    /// Shortest way from i to j that does not use the bond i-j.
    fn shortest_cycle(&self, i: usize, j: usize) -> Option<Vec<usize>> {
        let mut parent = vec![usize::MAX; self.atoms()];
        parent[i] = i;
        let mut queue = VecDeque::from([i]);
        while let Some(atom) = queue.pop_front() {
            for &next in &self.neighbors[atom] {
                if parent[next] != usize::MAX || (atom == i && next == j) {
                    continue;
                }
                parent[next] = atom;
                if next == j {
                    let mut path = vec![j];
                    let mut at = j;
                    while at != i {
                        at = parent[at];
                        path.push(at);
                    }
                    return Some(path);
                }
                queue.push_back(next);
            }
        }
        None
    }

    /// One dihedral [i, j, k, l] per rotatable bond j-k (j < k): a bond in no ring whose two ends have
    /// another neighbor each that is not in line with it in the data (mean angle up to 160 degrees).
    ///
    /// i and l are the lowest-numbered heavy neighbors, else the lowest-numbered hydrogens. Double bonds are
    /// among them: their dihedral is well defined, it only does not turn.
    pub fn rotatable(&self, species: &[u8], positions: ArrayView3<f64>) -> Vec<[usize; 4]> {
        let frames = positions.dim().0;
        let bent = |i: usize, j: usize, k: usize| {
            let sum: f64 = (0..frames).map(|frame| angle(&positions, frame, [i, j, k])).sum();
            sum / (frames as f64) <= LINEAR
        };
        let end = |j: usize, k: usize| {
            let others = self.neighbors[j].iter().copied().filter(|&i| i != k && bent(i, j, k));
            others.min_by_key(|&i| (species[i] == 1, i))
        };
        let acyclic = self.pairs.iter().filter(|&&(j, k)| !self.in_ring(j, k));
        acyclic.filter_map(|&(j, k)| Some([end(j, k)?, j, k, end(k, j)?])).collect()
    }
}

/// The ring from its lowest atom toward the lower of that atom's two neighbors.
fn canonical_ring(mut ring: Vec<usize>) -> Vec<usize> {
    let first = ring.iter().enumerate().min_by_key(|&(_, &atom)| atom).map_or(0, |(k, _)| k);
    ring.rotate_left(first);
    if ring.len() > 2 && ring[1] > ring[ring.len() - 1] {
        ring[1..].reverse();
    }
    ring
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::molecule::samples::{noisy, BENZENE, ETHANOL, PROPYNE};

    #[test]
    fn ethanol_graph() {
        let (species, positions) = noisy(&ETHANOL, 50, 0.03, 1);
        let bonds = Bonds::from_mean_distances(&species, positions.view()).unwrap();
        assert_eq!(bonds.pairs, [(0, 1), (0, 5), (0, 6), (0, 7), (1, 2), (1, 3), (1, 4), (2, 8)]);
        assert!(bonds.require_connected(&species).is_ok() && bonds.rings().is_empty());
        assert_eq!(bonds.angles().len(), 6 + 6 + 1);
        assert_eq!(bonds.rotatable(&species, positions.view()), [[5, 0, 1, 2], [0, 1, 2, 8]]);
    }

    #[test]
    fn rings_and_linear_chains() {
        let (species, positions) = noisy(&BENZENE, 50, 0.03, 1);
        let bonds = Bonds::from_mean_distances(&species, positions.view()).unwrap();
        assert_eq!(bonds.rings(), [vec![0, 1, 2, 3, 4, 5]]);
        assert!(bonds.rotatable(&species, positions.view()).is_empty());
        let (species, positions) = noisy(&PROPYNE, 50, 0.03, 1);
        let bonds = Bonds::from_mean_distances(&species, positions.view()).unwrap();
        assert_eq!(bonds.pairs.len(), 6);
        assert!(bonds.rotatable(&species, positions.view()).is_empty());
        // naphthalene's ten carbons: two rings that share a bond
        let edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0), (4, 6), (6, 7), (7, 8), (8, 9), (9, 5)];
        let bonds = Bonds::from_pairs(10, &edges).unwrap();
        assert_eq!(bonds.rings(), [vec![0, 1, 2, 3, 4, 5], vec![4, 5, 9, 8, 7, 6]]);
    }

    #[test]
    fn bad_inputs_say_what_to_do() {
        let bonds = Bonds::from_pairs(4, &[(0, 1), (3, 2)]).unwrap();
        let message = bonds.require_connected(&[8, 1, 8, 1]).unwrap_err().to_string();
        assert!(message.contains("2 separate fragments") && message.contains("[O0 H1] [O2 H3]"), "{message}");
        assert!(Bonds::from_pairs(2, &[(0, 2)]).is_err() && Bonds::from_pairs(2, &[(1, 1)]).is_err());
        let empty = ndarray::Array3::zeros((0, 2, 3));
        assert!(Bonds::from_mean_distances(&[1, 1], empty.view()).is_err());
        assert!(Bonds::from_mean_distances(&[1], ndarray::Array3::zeros((1, 2, 3)).view()).is_err());
    }
}
