//! Periodic cells and molecules made whole.
//!
//! The shortest image of a difference vector is found exactly, however skewed the cell: the periodic
//! cell vectors are reduced (Lagrange in two dimensions, Selling in three), and a vector is then
//! carried into the Voronoi cell, whose walls are given by sums of the reduced vectors.

use super::elements;
use crate::Result;

pub(super) type Vector = [f64; 3];

/// A bond is drawn up to this factor times the sum of the covalent radii.
pub(super) const BOND_FACTOR: f64 = 1.25;
/// A bond longer than this factor times the sum of the covalent radii draws a warning.
pub(super) const STRETCH_FACTOR: f64 = 1.6;

pub(super) fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn add(a: Vector, b: Vector, factor: f64) -> Vector {
    [a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2]]
}

/// The periodic directions of a cell, ready for shortest images.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    /// Normals of the walls of the Voronoi cell: every lattice vector whose half plane can bound it.
    walls: Vec<Vector>,
}

impl Cell {
    /// From the cell vectors as rows and which of them are periodic. Vectors of no length are not.
    pub fn new(rows: [Vector; 3], periodic: [bool; 3]) -> Self {
        let mut basis: Vec<Vector> =
            (0..3).filter(|&k| periodic[k] && dot(rows[k], rows[k]) > 1e-12).map(|k| rows[k]).collect();
        let walls = match basis.len() {
            3 => selling(&mut basis),
            2 => lagrange(basis[0], basis[1]),
            _ => basis,
        };
        Cell { walls: walls.into_iter().filter(|wall| dot(*wall, *wall) > 1e-12).collect() }
    }

    /// Whether any direction is periodic.
    pub fn is_periodic(&self) -> bool {
        !self.walls.is_empty()
    }

    /// The shortest vector that differs from `d` by lattice vectors.
    pub fn shortest(&self, mut d: Vector) -> Vector {
        // Each round shortens d; the bound only guards against a lattice of NaN or of no volume.
        for _ in 0..1000 {
            let mut moved = false;
            for &wall in &self.walls {
                let images = (dot(d, wall) / dot(wall, wall)).round();
                // Half-way cases are left alone, else the rounding error could carry d to and fro.
                if images != 0.0 && (dot(d, wall) / dot(wall, wall)).abs() > 0.5 + 1e-9 {
                    d = add(d, wall, -images);
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        d
    }
}

/// Walls of a planar lattice.
fn lagrange(mut a: Vector, mut b: Vector) -> Vec<Vector> {
    for _ in 0..1000 {
        if dot(b, b) < dot(a, a) {
            (a, b) = (b, a);
        }
        let images = (dot(a, b) / dot(a, a)).round();
        if images == 0.0 {
            break;
        }
        b = add(b, a, -images);
    }
    vec![a, b, add(a, b, 1.0), add(a, b, -1.0)]
}

/// Walls of a lattice in space: the seven sums of an obtuse superbase.
fn selling(basis: &mut [Vector]) -> Vec<Vector> {
    let sum = add(add(basis[0], basis[1], 1.0), basis[2], 1.0);
    let mut superbase = [basis[0], basis[1], basis[2], [-sum[0], -sum[1], -sum[2]]];
    let scale = superbase.iter().map(|v| dot(*v, *v)).fold(0.0, f64::max);
    for _ in 0..1000 {
        let acute = (0..4)
            .flat_map(|i| (i + 1..4).map(move |j| (i, j)))
            .find(|&(i, j)| dot(superbase[i], superbase[j]) > 1e-12 * scale);
        let Some((i, j)) = acute else { break };
        let vector = superbase[i];
        for (k, other) in superbase.iter_mut().enumerate() {
            if k != i && k != j {
                *other = add(*other, vector, 1.0);
            }
        }
        superbase[i] = [-vector[0], -vector[1], -vector[2]];
    }
    let [a, b, c, _] = superbase;
    vec![a, b, c, add(a, b, 1.0), add(a, c, 1.0), add(b, c, 1.0), add(add(a, b, 1.0), c, 1.0)]
}

/// The bonds of a molecule and the order in which to place its atoms.
#[derive(Debug, Clone)]
pub(super) struct Skeleton {
    /// (known atom, atom to place), in the order of placing.
    pub tree: Vec<(usize, usize)>,
    /// Every bond with the length from which on it draws a warning.
    pub bonds: Vec<(usize, usize, f64)>,
}

impl Skeleton {
    /// Finds the bonds of a frame, in angstrom.
    ///
    /// # Errors
    /// The list of fragments where the atoms are not one molecule.
    pub fn find(
        species: &[u8],
        positions: &[Vector],
        cell: &Cell,
    ) -> Result<std::result::Result<Self, String>> {
        let atoms = species.len();
        let radii = species.iter().map(|&z| elements::covalent_radius(z)).collect::<Result<Vec<_>>>()?;
        let (mut bonds, mut neighbors) = (Vec::new(), vec![Vec::new(); atoms]);
        let reach = 2.0 * BOND_FACTOR * radii.iter().copied().fold(0.0, f64::max);
        for i in 0..atoms {
            for j in i + 1..atoms {
                let d = cell.shortest(add(positions[j], positions[i], -1.0));
                if d[0].abs() > reach || d[1].abs() > reach {
                    continue;
                }
                let sum = radii[i] + radii[j];
                if dot(d, d).sqrt() < BOND_FACTOR * sum {
                    bonds.push((i, j, STRETCH_FACTOR * sum));
                    neighbors[i].push(j);
                    neighbors[j].push(i);
                }
            }
        }
        let (mut tree, mut fragments) = (Vec::new(), Vec::new());
        let mut seen = vec![false; atoms];
        for root in 0..atoms {
            if seen[root] {
                continue;
            }
            seen[root] = true;
            let mut fragment = vec![root];
            let mut next = 0;
            while next < fragment.len() {
                let known = fragment[next];
                next += 1;
                for &other in &neighbors[known] {
                    if !seen[other] {
                        seen[other] = true;
                        tree.push((known, other));
                        fragment.push(other);
                    }
                }
            }
            fragments.push(fragment);
        }
        if fragments.len() > 1 {
            return Ok(Err(describe(&fragments, species)));
        }
        Ok(Ok(Skeleton { tree, bonds }))
    }

    /// Moves atoms by lattice vectors until every bond of the tree is its shortest image. The first
    /// atom stays where it is, and so does every atom of a molecule that is whole already.
    pub fn make_whole(&self, positions: &mut [Vector], cell: &Cell) {
        if !cell.is_periodic() {
            return;
        }
        for &(known, other) in &self.tree {
            let d = add(positions[other], positions[known], -1.0);
            let short = cell.shortest(d);
            if short != d {
                positions[other] = add(positions[known], short, 1.0);
            }
        }
    }

    /// The first bond that is too long to be one, with its length.
    pub fn torn(&self, positions: &[Vector]) -> Option<(usize, usize, f64)> {
        self.bonds.iter().find_map(|&(i, j, limit)| {
            let d = add(positions[j], positions[i], -1.0);
            let length = dot(d, d).sqrt();
            (length > limit).then_some((i, j, length))
        })
    }
}

/// Fragments by formula and first atoms, for example `C2OH6 (atoms 0-8), OH2 (atoms 9-11)`.
fn describe(fragments: &[Vec<usize>], species: &[u8]) -> String {
    let mut parts: Vec<String> = fragments
        .iter()
        .take(4)
        .map(|fragment| {
            let mut counts = std::collections::BTreeMap::new();
            fragment.iter().for_each(|&k| *counts.entry(species[k]).or_insert(0usize) += 1);
            let formula: String = counts
                .iter()
                .rev()
                .map(|(&z, &n)| {
                    if n == 1 {
                        elements::symbol(z).to_owned()
                    } else {
                        format!("{}{n}", elements::symbol(z))
                    }
                })
                .collect();
            let (first, last) =
                (fragment.iter().min().copied().unwrap_or(0), fragment.iter().max().copied().unwrap_or(0));
            if fragment.len() == 1 {
                format!("{formula} (atom {first})")
            } else if last - first + 1 == fragment.len() {
                format!("{formula} (atoms {first}-{last})")
            } else {
                format!("{formula} ({} atoms among {first}-{last})", fragment.len())
            }
        })
        .collect();
    if fragments.len() > 4 {
        parts.push(format!("and {} more", fragments.len() - 4));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shortest image by trying every image within 15 cells.
    fn brute(rows: [Vector; 3], periodic: [bool; 3], d: Vector) -> f64 {
        let range = |on: bool| if on { -15..=15 } else { 0..=0 };
        let mut best = f64::INFINITY;
        for i in range(periodic[0]) {
            for j in range(periodic[1]) {
                for k in range(periodic[2]) {
                    let image =
                        add(add(add(d, rows[0], f64::from(i)), rows[1], f64::from(j)), rows[2], f64::from(k));
                    best = best.min(dot(image, image).sqrt());
                }
            }
        }
        best
    }

    #[test]
    fn shortest_images_in_skewed_cells() {
        let cells = [
            [[10.0, 0.0, 0.0], [0.0, 12.0, 0.0], [0.0, 0.0, 9.0]],
            [[10.0, 0.0, 0.0], [4.9, 8.0, 0.0], [-4.8, 3.9, 9.0]],
            [[10.0, 0.0, 0.0], [14.0, 6.0, 0.0], [9.0, -11.0, 5.0]],
        ];
        for rows in cells {
            for periodic in
                [[true; 3], [true, true, false], [false, true, true], [false, false, true], [false; 3]]
            {
                let cell = Cell::new(rows, periodic);
                for k in 0..60 {
                    let k = f64::from(k);
                    let d = [(k * 1.7).sin() * 8.0, (k * 2.3).cos() * 8.0, (k * 0.9).sin() * 7.0];
                    let short = cell.shortest(d);
                    let (found, expected) = (dot(short, short).sqrt(), brute(rows, periodic, d));
                    assert!(
                        (found - expected).abs() < 1e-9,
                        "{rows:?} {periodic:?} {d:?}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn fragments_are_named() {
        let positions = [[0.0; 3], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0], [5.0, 0.0, 0.0]];
        let fragments = Skeleton::find(&[8, 1, 1, 2], &positions, &Cell::default()).unwrap().unwrap_err();
        assert_eq!(fragments, "OH2 (atoms 0-2), He (atom 3)");
        // Across the wall of a cell of 5.96 angstrom the helium is 0.96 from the oxygen... and bonded there.
        assert!(Skeleton::find(&[8, 1, 1], &positions[..3], &Cell::default()).unwrap().is_ok());
    }
}
