use std::collections::HashSet;

use super::*;
use crate::molecule::samples::*;

fn group_of(rows: &[Row], frames: usize, width: f64) -> SymmetryGroup {
    let (species, positions) = noisy(rows, frames, width, 7);
    let bonds = Bonds::from_mean_distances(&species, positions.view()).unwrap();
    let group = SymmetryGroup::find(&species, positions.view(), &bonds).unwrap();
    check_closed(&group, &species, &bonds);
    group
}

fn check_closed(group: &SymmetryGroup, species: &[u8], bonds: &Bonds) {
    let identity = SymmetryGroup::identity(species.len());
    assert_eq!(group.operations[0], identity.operations[0]);
    let set: HashSet<_> = group.operations.iter().cloned().collect();
    assert_eq!(set.len(), group.order());
    for a in &group.operations {
        for b in &group.operations {
            assert!(set.contains(&a.then(b)));
        }
        for (i, &p) in a.permutation.iter().enumerate() {
            assert_eq!(species[i], species[p]);
        }
        for &(i, j) in &bonds.pairs {
            assert!(bonds.bonded(a.permutation[i], a.permutation[j]));
        }
    }
}

#[test]
fn known_orders() {
    // (molecule, order, of these with a mirror image)
    let cases: [(&str, &[Row], usize, usize); 14] = [
        ("ethanol", &ETHANOL, 6, 3),
        ("toluene (G12)", &toluene(), 12, 6),
        ("benzene", &BENZENE, 24, 12),
        ("methane", &METHANE, 24, 12),
        ("water", &WATER, 4, 2),
        ("ammonia", &AMMONIA, 6, 3),
        ("carbon dioxide", &CO2, 4, 2),
        ("ethylene", &ETHYLENE, 8, 4),
        ("CHFClBr", &CHIRAL, 1, 0),
        ("CHFCl-CH3", &CHIRAL_METHYL, 3, 0),
        ("ethane (G36)", &ETHANE, 36, 18),
        ("allene", &ALLENE, 8, 4),
        ("propyne", &PROPYNE, 6, 3),
        ("hydrogen peroxide, one helix seen", &PEROXIDE, 4, 2),
    ];
    for (name, rows, order, mirrors) in cases {
        for frames in [30, 400] {
            let group = group_of(rows, frames, 0.04);
            assert_eq!((group.order(), group.mirrors()), (order, mirrors), "{name}, {frames} frames");
        }
    }
}

#[test]
fn one_and_two_atoms() {
    let helium: [Row; 1] = [(2, [0; 3], [0.0; 3])];
    let hydrogen: [Row; 2] = [(1, [0; 3], [0.0; 3]), (1, [0; 3], [0.74, 0.0, 0.0])];
    let fluoride: [Row; 2] = [(1, [0; 3], [0.0; 3]), (9, [0; 3], [0.92, 0.0, 0.0])];
    assert_eq!(group_of(&helium, 5, 0.02).order(), 2);
    assert_eq!(group_of(&hydrogen, 5, 0.02).order(), 4);
    assert_eq!(group_of(&fluoride, 5, 0.02).order(), 2);
}

#[test]
fn data_decides() {
    // Both helices of HOOH: still 4. Ammonia that inverts: all 6 permutations with both parities.
    for (rows, order) in [(&PEROXIDE, 4), (&AMMONIA, 12)] {
        let (species, mut positions) = noisy(rows, 100, 0.03, 3);
        positions.slice_mut(ndarray::s![50.., .., ..]).mapv_inplace(|x| -x);
        let bonds = Bonds::from_mean_distances(&species, positions.view()).unwrap();
        let group = SymmetryGroup::find(&species, positions.view(), &bonds).unwrap();
        check_closed(&group, &species, &bonds);
        assert_eq!(group.order(), order);
    }
}

#[test]
fn images_keep_what_the_energy_sees() {
    let (species, positions) = noisy(&ETHANOL, 20, 0.03, 5);
    let bonds = Bonds::from_mean_distances(&species, positions.view()).unwrap();
    let group = SymmetryGroup::find(&species, positions.view(), &bonds).unwrap();
    for operation in 0..group.order() {
        let mut images = positions.clone();
        for (mut image, frame) in images.outer_iter_mut().zip(positions.outer_iter()) {
            image.assign(&group.apply(operation, frame).unwrap());
        }
        // The group of the images is the same one.
        let again = SymmetryGroup::find(&species, images.view(), &bonds).unwrap();
        assert_eq!(again, group);
    }
    let first = &group.operations[1];
    let composed = first.then(&group.operations[4]);
    let twice = group.operations[4].apply(first.apply(positions.index_axis(ndarray::Axis(0), 0)).view());
    assert_eq!(composed.apply(positions.index_axis(ndarray::Axis(0), 0)), twice);
    assert!(group.apply(6, positions.index_axis(ndarray::Axis(0), 0)).is_err());
    assert!(group.apply(0, ndarray::Array2::zeros((3, 3)).view()).is_err());
}

#[test]
fn too_many_operations_is_an_error() {
    // Nine equal neighbors in a plane-less graph: 9! automorphisms, no constraint on a star of two-atom bonds.
    let edges: Vec<(usize, usize)> = (1..10).map(|leaf| (0, leaf)).collect();
    let bonds = Bonds::from_pairs(10, &edges).unwrap();
    let mut species = vec![1; 10];
    species[0] = 92;
    let (_, positions) = noisy(&ETHANE, 40, 1.0, 1);
    let positions =
        ndarray::concatenate![ndarray::Axis(1), positions, positions.slice(ndarray::s![.., ..2, ..])];
    let mut spread = positions;
    spread.indexed_iter_mut().for_each(|((frame, atom, k), x)| *x += ((frame * 7 + atom * 3 + k) % 5) as f64);
    let message = SymmetryGroup::find(&species, spread.view(), &bonds).unwrap_err().to_string();
    assert!(message.contains("more than 20000"), "{message}");
}
