//! What a feasible operation must keep: signs that never change in the data.
//!
//! - **Volume**: for every center with three or more neighbors and every three of these, the sign of the
//!   signed volume of their directions. Reversed by a mirror image. Planar centers have no sign.
//! - **Opposite**: for centers with four or more neighbors, which two stand opposite each other (square
//!   planar, bipyramidal and octahedral centers; nothing for tetrahedra).
//! - **Cis** and **Helix**: the signs of the cosine and sine of dihedrals about *stiff* axes. A helix sign
//!   is reversed by a mirror image.
//!
//! A sign counts only where it is the same in every frame and its mean is at least twice its spread (a
//! planar center or a turning top that a few frames happen to show on one side has none). Where one of several
//! equivalent signs (equal colors) is free, all of them are: one molecule's equal parts move alike, and
//! only so do the operations form a group.
//!
//! An axis is **stiff** where it is a double bond by its shape: shorter than 0.90 of the sum of the covalent
//! radii (C=C 0.87, C=N 0.84, amide C-N 0.89; C-C 0.99, conjugated C-C 0.95) *and* both ends planar with
//! three neighbors, or bent with two. Through linear atoms it goes on (allenes; the ends of an alkyne are
//! not short). That no turn was seen does not make an axis stiff: a methyl group that did not turn in a
//! short window still can, and an axis that did turn has no constant sign whatever its length.

use std::collections::{BTreeMap, HashMap};
use std::f64::consts::PI;

use ndarray::ArrayView3;

use crate::dataset::elements::covalent_radius;
use crate::molecule::bonds::Bonds;
use crate::molecule::dihedral::dihedral;
use crate::molecule::vector::{angle, between, cross, dot, norm};
use crate::Result;

/// Mean length over the sum of covalent radii below which a bond is double.
const SHORT: f64 = 0.90;
/// Mean angle above which two neighbors stand opposite each other.
const OPPOSITE: f64 = 0.75 * PI;
/// That near to it a single frame does not tell.
const UNCLEAR: f64 = 25.0 / 180.0 * PI;
/// Mean angle above which an atom with two neighbors is linear.
const LINEAR: f64 = 160.0 / 180.0 * PI;
/// Sum of the three mean angles above which an atom with three neighbors is planar (tetrahedral: 328).
const PLANAR: f64 = 350.0 / 180.0 * PI;
/// A sign's mean must be at least that, and [`SPREADS`] times its standard deviation.
const SMALLEST: f64 = 0.1;
const SPREADS: f64 = 2.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Volume,
    Opposite,
    Cis,
    Helix,
}

/// Kind and atoms in canonical order.
type Key = (Kind, [usize; 4]);

/// Signs over atoms that feasible operations keep.
pub(super) struct Constraints {
    list: Signed,
    signs: HashMap<Key, i8>,
}

impl Constraints {
    /// For each place in an order of atoms, the constraints whose last atom stands there.
    pub(super) fn by_last_place(&self, place: &[usize]) -> Vec<Vec<usize>> {
        let mut due = vec![Vec::new(); place.len()];
        for (k, ((_, atoms), _)) in self.list.iter().enumerate() {
            if let Some(last) = atoms.iter().map(|&atom| place[atom]).max() {
                due[last].push(k);
            }
        }
        due
    }

    /// Whether constraint k holds after the operation atom -> image\[atom\], mirrored or not.
    pub(super) fn holds(&self, k: usize, image: &[usize], mirror: bool) -> bool {
        let ((kind, atoms), sign) = self.list[k];
        let (key, parity) = canonical(kind, atoms.map(|atom| image[atom]));
        let flipped = mirror && matches!(kind, Kind::Volume | Kind::Helix);
        let there = self.signs.get(&key).map_or(0, |sign| sign * parity);
        there == if flipped { -sign } else { sign }
    }

    /// Whether constraint k is not broken in another molecule with these constraints, where its atom stands at
    /// image\[atom\]. A sign that the other molecule's frames do not show breaks nothing.
    pub(super) fn agrees(&self, k: usize, image: &[usize], other: &Constraints) -> bool {
        let ((kind, atoms), sign) = self.list[k];
        let (key, parity) = canonical(kind, atoms.map(|atom| image[atom]));
        other.signs.get(&key).is_none_or(|there| there * parity == sign)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
}

/// The canonical order of a constraint's atoms, and the sign that reordering brings.
fn canonical(kind: Kind, [a, b, c, d]: [usize; 4]) -> (Key, i8) {
    match kind {
        Kind::Volume => {
            let parity = if (b > c) ^ (b > d) ^ (c > d) { -1 } else { 1 };
            let mut rest = [b, c, d];
            rest.sort_unstable();
            ((kind, [a, rest[0], rest[1], rest[2]]), parity)
        }
        // Held as [center, one, other, other].
        Kind::Opposite => ((kind, [a, b.min(c), b.max(c), b.max(c)]), 1),
        Kind::Cis | Kind::Helix => ((kind, [a, b, c, d].min([d, c, b, a])), 1),
    }
}

/// The sign that a quantity has in every frame, 0 where it has none.
fn constant_sign(values: &[f64]) -> i8 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let spread = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    let stiff = mean.abs() >= SMALLEST && mean.abs() >= SPREADS * spread;
    if stiff && values.iter().all(|v| v * mean > 0.0) {
        if mean > 0.0 {
            1
        } else {
            -1
        }
    } else {
        0
    }
}

/// Constraints with their signs, 0 where free.
type Signed = Vec<(Key, i8)>;

/// Groups of constraints that are equivalent by color; one free sign frees its group.
struct Classes(BTreeMap<(Kind, Vec<usize>), Signed>);

impl Classes {
    fn add(&mut self, class: Vec<usize>, kind: Kind, atoms: [usize; 4], sign: i8) {
        let (key, parity) = canonical(kind, atoms);
        self.0.entry((kind, class)).or_default().push((key, sign * parity));
    }
}

/// All constraints of a molecule from its frames (N, n, 3); `colors` as every automorphism keeps them.
pub(super) fn find(
    species: &[u8],
    positions: ArrayView3<f64>,
    bonds: &Bonds,
    colors: &[usize],
) -> Result<Constraints> {
    let mut classes = Classes(BTreeMap::new());
    centers(&positions, bonds, colors, &mut classes);
    for (class, axes) in stiff_axes(species, &positions, bonds, colors)? {
        for axis in axes {
            torsions(&positions, bonds, colors, &class, axis, &mut classes);
        }
    }
    let mut list: Signed = Vec::new();
    for class in classes.0.into_values() {
        if class.iter().all(|&(_, sign)| sign != 0) {
            list.extend(class);
        }
    }
    list.sort_unstable();
    list.dedup();
    let signs = list.iter().copied().collect();
    Ok(Constraints { list, signs })
}

fn mean_angle(positions: &ArrayView3<f64>, atoms: [usize; 3]) -> f64 {
    let frames = positions.dim().0;
    (0..frames).map(|frame| angle(positions, frame, atoms)).sum::<f64>() / frames as f64
}

fn centers(positions: &ArrayView3<f64>, bonds: &Bonds, colors: &[usize], classes: &mut Classes) {
    let frames = positions.dim().0;
    for (center, around) in bonds.neighbors.iter().enumerate() {
        if around.len() < 3 {
            continue;
        }
        let across = |a: usize, b: usize| mean_angle(positions, [a, center, b]) > OPPOSITE;
        // One hot frame says it only where the angle is far from both.
        let unclear = |a: usize, b: usize| {
            frames == 1 && (mean_angle(positions, [a, center, b]) - OPPOSITE).abs() < UNCLEAR
        };
        let mut opposite = HashMap::new();
        for (k, &a) in around.iter().enumerate() {
            for &b in &around[k + 1..] {
                let is = around.len() > 3 && across(a, b);
                opposite.insert((a, b), is);
                if around.len() > 3 {
                    classes.add(
                        vec![colors[center]],
                        Kind::Opposite,
                        [center, a, b, b],
                        if unclear(a, b) {
                            0
                        } else if is {
                            1
                        } else {
                            -1
                        },
                    );
                }
            }
        }
        for (x, &a) in around.iter().enumerate() {
            for (y, &b) in around.iter().enumerate().skip(x + 1) {
                for &c in &around[y + 1..] {
                    let volumes: Vec<f64> = (0..frames)
                        .map(|frame| {
                            let [u, v, w] = [a, b, c].map(|atom| between(positions, frame, atom, center));
                            dot(u, cross(v, w)) / (norm(u) * norm(v) * norm(w))
                        })
                        .collect();
                    let pairs = [(a, b), (a, c), (b, c)].iter().filter(|&pair| opposite[pair]).count();
                    let mut class = vec![colors[a], colors[b], colors[c]];
                    class.sort_unstable();
                    class.extend([colors[center], pairs]);
                    classes.add(class, Kind::Volume, [center, a, b, c], constant_sign(&volumes));
                }
            }
        }
    }
}

/// A chain of atoms from one end of an axis to the other; all but the ends are linear.
type Axis = Vec<usize>;

/// Axes whose whole class is stiff, by class (colors of the ends, length).
fn stiff_axes(
    species: &[u8],
    positions: &ArrayView3<f64>,
    bonds: &Bonds,
    colors: &[usize],
) -> Result<BTreeMap<Vec<usize>, Vec<Axis>>> {
    let radii = species.iter().map(|&z| covalent_radius(z)).collect::<Result<Vec<_>>>()?;
    let frames = positions.dim().0;
    let linear: Vec<bool> = (0..bonds.atoms())
        .map(|j| matches!(bonds.neighbors[j][..], [i, k] if mean_angle(positions, [i, j, k]) > LINEAR))
        .collect();
    let flat = |j: usize| match bonds.neighbors[j][..] {
        [_, _] => !linear[j],
        [a, b, c] => {
            let around: f64 =
                [[a, j, b], [a, j, c], [b, j, c]].map(|t| mean_angle(positions, t)).iter().sum();
            around > PLANAR
        }
        _ => false,
    };
    let short = |i: usize, j: usize| {
        let length = (0..frames).map(|frame| norm(between(positions, frame, i, j))).sum::<f64>();
        length / (frames as f64) < SHORT * (radii[i] + radii[j])
    };
    let mut classes: BTreeMap<Vec<usize>, (Vec<Axis>, bool)> = BTreeMap::new();
    for start in (0..bonds.atoms()).filter(|&atom| !linear[atom] && bonds.neighbors[atom].len() > 1) {
        for &first in &bonds.neighbors[start] {
            let mut axis = vec![start, first];
            let mut end = first;
            while linear[end] && axis.len() <= bonds.atoms() {
                let before = axis[axis.len() - 2];
                let Some(&next) = bonds.neighbors[end].iter().find(|&&next| next != before) else { break };
                axis.push(next);
                end = next;
            }
            if start >= end || linear[end] || bonds.neighbors[end].len() < 2 {
                continue;
            }
            let stiff = flat(start) && flat(end) && axis.windows(2).all(|pair| short(pair[0], pair[1]));
            let (low, high) = (colors[start].min(colors[end]), colors[start].max(colors[end]));
            let (axes, all) =
                classes.entry(vec![low, high, axis.len()]).or_insert_with(|| (Vec::new(), true));
            axes.push(axis);
            *all &= stiff;
        }
    }
    let stiff = classes.into_iter().filter(|(_, (_, all))| *all);
    Ok(stiff.map(|(class, (axes, _))| (class, axes)).collect())
}

fn torsions(
    positions: &ArrayView3<f64>,
    bonds: &Bonds,
    colors: &[usize],
    class: &[usize],
    axis: Axis,
    classes: &mut Classes,
) {
    let (j, k) = (axis[0], axis[axis.len() - 1]);
    for &i in bonds.neighbors[j].iter().filter(|&&i| i != axis[1]) {
        for &l in bonds.neighbors[k].iter().filter(|&&l| l != axis[axis.len() - 2] && l != i) {
            if i == k || l == j {
                continue;
            }
            let phi = dihedral(positions.view(), [i, j, k, l]);
            let palette = [i, j, k, l].map(|atom| colors[atom]);
            let [a, b, c, d] = palette;
            let mut class = class.to_vec();
            class.extend(palette.min([d, c, b, a]));
            let cosine = constant_sign(&phi.iter().map(|phi| phi.cos()).collect::<Vec<_>>());
            let sine = constant_sign(&phi.iter().map(|phi| phi.sin()).collect::<Vec<_>>());
            classes.add(class.clone(), Kind::Cis, [i, j, k, l], cosine);
            classes.add(class, Kind::Helix, [i, j, k, l], sine);
        }
    }
}
