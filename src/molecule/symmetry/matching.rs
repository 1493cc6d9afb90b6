//! Which atom of one molecule is which atom of another that numbers them otherwise.

use ndarray::{ArrayView2, ArrayView3, Axis};

use super::constraints::{self, Constraints};
use super::search::{self, Graph};
use crate::dataset::elements::formula;
use crate::molecule::bonds::Bonds;
use crate::{Error, Result};

/// A molecule: atomic numbers (n), bonds, and frames (N, n, 3) in angstrom that show which centers keep their handedness.
#[derive(Debug, Clone, Copy)]
pub struct Molecule<'a> {
    /// Atomic numbers, (n).
    pub species: &'a [u8],
    /// Its bonds.
    pub bonds: &'a Bonds,
    /// Frames, (N, n, 3).
    pub positions: ArrayView3<'a, f64>,
}

/// For every atom of `model` its atom in `other`, which is one frame (n, 3): species, bonds, the handedness of stiff
/// centers and the sides of stiff double bonds are the same. The other's own order is taken where it fits.
///
/// # Errors
/// [`Error::Usage`] with both formulas or bond counts where the molecules differ, and where only the mirror image or
/// another stereoisomer would fit; [`Error::Unsupported`] where the search takes too long.
pub fn find(
    model: Molecule,
    species: &[u8],
    positions: ArrayView2<f64>,
    bonds: &Bonds,
) -> Result<Vec<usize>> {
    let atoms = model.species.len();
    let sorted = |species: &[u8]| {
        let mut all = species.to_vec();
        all.sort_unstable();
        all
    };
    if sorted(species) != sorted(model.species) {
        return Err(Error::usage(format!(
            "the molecule is {}, but the sampler is for {}; give its atoms alone, with their elements",
            formula(species),
            formula(model.species)
        )));
    }
    if positions.dim() != (atoms, 3) || bonds.atoms() != atoms || model.bonds.atoms() != atoms {
        return Err(Error::usage(format!(
            "positions of shape {:?} for {atoms} atoms; give (n, 3)",
            positions.dim()
        )));
    }
    let both = union(model, species, bonds)?;
    let (ours, theirs) = both.split_at(atoms);
    let frame = positions.insert_axis(Axis(0));
    let kept = constraints::find(model.species, model.positions, model.bonds, ours)?;
    let seen = constraints::find(species, frame, bonds, theirs)?;
    let (from, to) = (Graph { bonds: model.bonds, colors: ours }, Graph { bonds, colors: theirs });
    let same_bonds = bonds.pairs.len() == model.bonds.pairs.len();
    let agrees = |k: usize, image: &[usize]| kept.agrees(k, image, &seen);
    let own: Vec<usize> = (0..atoms).collect();
    if same_bonds && ours == theirs && bonds.pairs == model.bonds.pairs && all_hold(&kept, &own, &agrees) {
        return Ok(own);
    }
    let first = |holds: &dyn Fn(usize, &[usize]) -> bool| -> Result<Option<Vec<usize>>> {
        match same_bonds {
            true => Ok(search::maps(from, to, &kept, holds, 1)?.pop()),
            false => Ok(None),
        }
    };
    if let Some(order) = first(&agrees)? {
        return Ok(order);
    }
    Err(match first(&|_, _| true)? {
        Some(_) => Error::usage(format!(
            "the molecule {} is another stereoisomer of the sampler's: a center or a double bond has its neighbors the \
             other way round; start from the right isomer",
            formula(species)
        )),
        None => Error::usage(format!(
            "the bonds of the molecule {} are not those of the sampler: it has {}, the sampler has {}; give its bonds, or \
             positions that are whole and near its equilibrium",
            formula(species),
            shown(bonds),
            shown(model.bonds)
        )),
    })
}

fn all_hold(kept: &Constraints, image: &[usize], holds: &dyn Fn(usize, &[usize]) -> bool) -> bool {
    (0..kept.len()).all(|k| holds(k, image))
}

/// Colors of both molecules' atoms that every map keeps: those of the two as one graph.
fn union(model: Molecule, species: &[u8], bonds: &Bonds) -> Result<Vec<usize>> {
    let atoms = model.species.len();
    let all: Vec<u8> = model.species.iter().chain(species).copied().collect();
    let shifted = bonds.pairs.iter().map(|&(i, j)| (i + atoms, j + atoms));
    let pairs: Vec<_> = model.bonds.pairs.iter().copied().chain(shifted).collect();
    Ok(search::colors(&all, &Bonds::from_pairs(2 * atoms, &pairs)?))
}

fn shown(bonds: &Bonds) -> String {
    let pairs: Vec<String> = bonds.pairs.iter().take(40).map(|(i, j)| format!("{i}-{j}")).collect();
    format!("{} bonds ({})", bonds.pairs.len(), pairs.join(" "))
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::seq::SliceRandom;
    use rand::SeedableRng;

    use super::*;
    use crate::molecule::samples::*;
    use crate::molecule::vector::{cross, dot, sub};

    /// A molecule, renumbered: atom k of the other is atom `shuffle[k]`.
    fn matched(rows: &[Row], shuffle: &[usize], mirror: bool) -> Result<Vec<usize>> {
        let (species, frames) = noisy(rows, 50, 0.03, 3);
        let bonds = Bonds::from_mean_distances(&species, frames.view()).unwrap();
        let sign = if mirror { -1.0 } else { 1.0 };
        let (_, other) = noisy(rows, 1, 0.03, 9);
        let other = Array2::from_shape_fn((rows.len(), 3), |(k, c)| sign * other[[0, shuffle[k], c]]);
        let theirs: Vec<u8> = shuffle.iter().map(|&atom| species[atom]).collect();
        let found = Bonds::from_mean_distances(&theirs, other.view().insert_axis(Axis(0))).unwrap();
        let model = Molecule { species: &species, bonds: &bonds, positions: frames.view() };
        let order = find(model, &theirs, other.view(), &found)?;
        for (i, &there) in order.iter().enumerate() {
            assert_eq!(species[i], theirs[there]);
        }
        for &(i, j) in &bonds.pairs {
            assert!(found.bonded(order[i], order[j]));
        }
        Ok(order)
    }

    #[test]
    fn any_order_is_found_and_the_own_one_is_kept() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        for rows in [&ETHANOL[..], &BENZENE, &toluene(), &CHIRAL_METHYL, &ALLENE, &CO2, &WATER] {
            let mut shuffle: Vec<usize> = (0..rows.len()).collect();
            assert_eq!(matched(rows, &shuffle, false).unwrap(), shuffle);
            for _ in 0..10 {
                shuffle.shuffle(&mut rng);
                matched(rows, &shuffle, false).unwrap();
            }
        }
    }

    #[test]
    fn hydrogens_of_a_prochiral_center_are_told_apart_by_their_side() {
        // Ethanol's CH2: swapping its two hydrogens is undone; the volume of C, O, H, H about the carbon keeps its sign.
        let order = matched(&ETHANOL, &[0, 1, 2, 4, 3, 5, 6, 7, 8], false).unwrap();
        assert_eq!(order[3..5], [4, 3]);
        let order = matched(&ETHANOL, &[0, 1, 2, 3, 4, 5, 6, 7, 8], true).unwrap();
        let (_, frame) = noisy(&ETHANOL, 1, 0.03, 9);
        let at = |atom: usize| [0, 1, 2].map(|c| -frame[[0, order[atom], c]]);
        let volume = |x: &dyn Fn(usize) -> [f64; 3]| {
            let [a, b, c] = [0, 2, 3].map(|atom| sub(x(atom), x(1)));
            dot(a, cross(b, c))
        };
        let model = |atom: usize| [0, 1, 2].map(|c| frame[[0, atom, c]]);
        assert!(volume(&at) * volume(&model) > 0.0);
    }

    #[test]
    fn a_hot_molecule_is_no_other_stereoisomer() {
        // Ethanol with C-C-O opened to 142 degrees, as happens at 500 K: the carbon is a tetrahedron all the same.
        let (species, frames) = noisy(&ETHANOL, 50, 0.03, 3);
        let bonds = Bonds::from_mean_distances(&species, frames.view()).unwrap();
        let model = Molecule { species: &species, bonds: &bonds, positions: frames.view() };
        let mut rows = ETHANOL;
        rows[2].2[1] = 142.0;
        let (_, hot) = noisy(&rows, 1, 1e-6, 9);
        let order = find(model, &species, hot.index_axis(Axis(0), 0), &bonds).unwrap();
        assert_eq!(order, (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn what_does_not_match_is_said() {
        let said = |result: Result<Vec<usize>>| result.unwrap_err().to_string();
        let text = said(matched(&CHIRAL, &[0, 1, 2, 3, 4], true));
        assert!(text.contains("stereoisomer"), "{text}");
        let (species, frames) = noisy(&ETHANOL, 5, 0.03, 3);
        let bonds = Bonds::from_mean_distances(&species, frames.view()).unwrap();
        let model = Molecule { species: &species, bonds: &bonds, positions: frames.view() };
        let (water, x) = noisy(&WATER, 1, 0.03, 3);
        let wet = Bonds::from_mean_distances(&water, x.view()).unwrap();
        let text = said(find(model, &water, x.index_axis(Axis(0), 0), &wet));
        assert!(text.contains("H2O") && text.contains("C2H6O"), "{text}");
        // Dimethyl ether has ethanol's formula.
        let ether =
            Bonds::from_pairs(9, &[(0, 2), (1, 2), (0, 3), (0, 4), (0, 5), (1, 6), (1, 7), (1, 8)]).unwrap();
        let text = said(find(model, &species, frames.index_axis(Axis(0), 0), &ether));
        assert!(text.contains("8 bonds (0-2 0-3") && text.contains("0-1"), "{text}");
    }
}
