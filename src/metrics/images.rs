//! Which internal coordinates are images of each other under a molecule's symmetry group.
//!
//! Averaging a histogram over all images of all frames pools the columns of each orbit: every image
//! comes equally often (orbit and stabilizer), so pooling is exact whatever the order of the group.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::molecule::symmetry::SymmetryGroup;

/// Orbits of items under the group, as lists of their indices; `image` gives an item's image under a permutation.
pub(super) fn orbits<T: Copy + Eq + Hash>(
    items: &[T],
    group: &SymmetryGroup,
    image: impl Fn(T, &[usize]) -> T,
) -> Vec<Vec<usize>> {
    let index: HashMap<T, usize> = items.iter().enumerate().map(|(k, &item)| (item, k)).collect();
    let mut seen = vec![false; items.len()];
    let mut orbits = Vec::new();
    for (start, &item) in items.iter().enumerate() {
        if seen[start] {
            continue;
        }
        let images = group.operations.iter().filter_map(|g| index.get(&image(item, &g.permutation)));
        let orbit: BTreeSet<usize> = images.copied().collect();
        orbit.iter().for_each(|&k| seen[k] = true);
        orbits.push(orbit.into_iter().collect());
    }
    orbits
}

/// The different images of a dihedral, each with the sign that its angle takes.
pub(super) fn dihedral_images(quad: [usize; 4], group: &SymmetryGroup) -> Vec<([usize; 4], f64)> {
    let images: BTreeSet<([usize; 4], bool)> = group
        .operations
        .iter()
        .map(|g| {
            let [i, j, k, l] = quad.map(|atom| g.permutation[atom]);
            ([i, j, k, l].min([l, k, j, i]), g.mirror)
        })
        .collect();
    images.into_iter().map(|(quad, mirror)| (quad, if mirror { -1.0 } else { 1.0 })).collect()
}
