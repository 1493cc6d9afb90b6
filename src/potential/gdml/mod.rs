//! The symmetric gradient-domain force field (sGDML; Chmiela et al., Nat. Commun. 9, 3887, 2018).
//!
//! A Matern-5/2 kernel on the inverse pair distances x, summed over training frames and permutations. With
//! d = q (x - X), n = |d|, q = sqrt 5 / sigma, e = 5 / (3 sigma^2) exp(-n) and w = d . A,
//! E = c + std / q * sum e (1 + n) w, and the forces are its exact negative gradient. The constant c (near
//! 7e5 kcal/mol for a small molecule) is added last, and x and X are counted from the mean of X: squares and
//! products of large numbers would cost digits of energies and forces.
//!
//! Each distance may have a weight W, the same for all that symmetry makes equal: d = q W (x - X). With all weights one this
//! is sGDML.

mod distances;
mod file;
mod sums;

use ndarray::parallel::prelude::*;
use ndarray::{s, Array1, Array2, ArrayView3, ArrayViewMut1, ArrayViewMut3, Axis};
use sha2::{Digest, Sha256};

use self::distances::{Layout, Tile};
use self::sums::{Centers, LANES, ZERO};
use super::{Potential, Region};
use crate::dataset::elements::symbol;
use crate::{Error, Result};

/// Frames that one thread takes at a time.
pub(crate) const FRAMES: usize = 4 * LANES;
/// How far a state may leave the range of a descriptor: in parts of that range, and at least in parts of the mean
/// descriptor (a bond's range grows with the square root of the temperature, and a short window is often cold).
const MARGIN: f64 = 0.5;
const LEAST_MARGIN: f64 = 0.15;

/// Weights of distances that are taken; with others sums leave the range of a double.
const WEIGHTS: std::ops::RangeInclusive<f64> = 1e-6..=1e6;

/// What a force field is made of, in kcal/mol and angstrom.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// Atomic numbers, (n).
    pub species: Vec<u8>,
    /// Permutations of atoms, (P, n), the identity among them.
    pub permutations: Vec<Vec<usize>>,
    /// For each permutation, which descriptor stands where, (P, D).
    pub orders: Vec<Vec<usize>>,
    /// Inverse distances X of the training frames in 1/angstrom, (M, D) with D = n (n - 1) / 2 in the order
    /// (1,0), (2,0), (2,1), ...
    pub descriptors: Array2<f64>,
    /// Weights W of the inverse distances, (D); ones in sGDML.
    pub weights: Vec<f64>,
    /// Coefficients A, (M, D).
    pub coefficients: Array2<f64>,
    /// Coefficients of a fit to the first frames alone, (G, D) with G < M: a cheaper force field near this one. None in
    /// sGDML.
    pub guide: Option<Array2<f64>>,
    /// Length of the kernel, 1/angstrom.
    pub sigma: f64,
    /// Scale of energies and forces (sGDML's `std`).
    pub scale: f64,
    /// Constant of the energy, kcal/mol.
    pub constant: f64,
    /// How it was fitted, as JSON; null where that is not known.
    pub record: serde_json::Value,
}

/// A fitted force field.
#[derive(Debug, Clone)]
pub struct Gdml {
    parts: Parts,
    /// Pairs (i, j), i > j, in the order of the descriptors.
    pairs: Vec<(usize, usize)>,
    /// Mean descriptor, (D).
    center: Vec<f64>,
    centers: Centers,
}

impl Parts {
    /// Whether any weight differs from one: sGDML's own predictor knows no weights.
    pub fn weighted(&self) -> bool {
        self.weights.iter().any(|&weight| weight != 1.0)
    }
}

/// Which descriptor stands where once the atoms are permuted: number k is the pair (p\[i\], p\[j\]).
pub fn descriptor_order(permutation: &[usize]) -> Vec<usize> {
    let number = |i: usize, j: usize| i.max(j) * (i.max(j) - 1) / 2 + i.min(j);
    lower_pairs(permutation.len()).into_iter().map(|(i, j)| number(permutation[i], permutation[j])).collect()
}

/// Pairs (i, j), i > j, row by row: the order of the descriptors.
pub fn lower_pairs(atoms: usize) -> Vec<(usize, usize)> {
    (0..atoms).flat_map(|i| (0..i).map(move |j| (i, j))).collect()
}

/// Inverse distances of all pairs in 1/angstrom, (N, D), for positions (N, n, 3).
pub fn inverse_distances(positions: ArrayView3<f64>) -> Array2<f64> {
    let (frames, atoms, _) = positions.dim();
    let pairs = lower_pairs(atoms);
    Array2::from_shape_fn((frames, pairs.len()), |(frame, k)| {
        let (i, j) = pairs[k];
        let square: f64 = (0..3).map(|c| (positions[[frame, i, c]] - positions[[frame, j, c]]).powi(2)).sum();
        1.0 / square.sqrt()
    })
}

impl Gdml {
    /// A force field from its parts.
    ///
    /// # Errors
    /// [`Error::Usage`] where shapes do not agree or a permutation is none; [`Error::Numeric`] where a number is
    /// not finite or sigma not positive.
    pub fn new(parts: Parts) -> Result<Self> {
        let Parts { species, permutations, orders, descriptors, coefficients, .. } = &parts;
        let pairs = lower_pairs(species.len());
        if descriptors.dim() != coefficients.dim() || descriptors.ncols() != pairs.len() || pairs.is_empty() {
            return Err(Error::usage(format!(
                "descriptors {:?} and coefficients {:?} for {} atoms; both must be (frames, {})",
                descriptors.dim(),
                coefficients.dim(),
                species.len(),
                pairs.len()
            )));
        }
        let shuffles = |row: &Vec<usize>, size: usize| {
            let mut sorted = row.clone();
            sorted.sort_unstable();
            sorted.into_iter().eq(0..size)
        };
        if permutations.is_empty()
            || permutations.len() != orders.len()
            || !permutations.iter().all(|row| shuffles(row, species.len()))
            || !orders.iter().all(|row| shuffles(row, pairs.len()))
        {
            return Err(Error::usage(format!(
                "{} permutations of atoms and {} of pairs; every row must hold each index once, and there must be \
                 one of each",
                permutations.len(),
                orders.len()
            )));
        }
        let weights = &parts.weights;
        let symmetric = |order: &Vec<usize>| order.iter().zip(weights).all(|(&k, w)| weights[k] == *w);
        if weights.len() != pairs.len()
            || !weights.iter().all(|w| WEIGHTS.contains(w))
            || !orders.iter().all(symmetric)
        {
            return Err(Error::usage(format!(
                "{} weights for {} distances; there must be one for each, of {:e} to {:e}, and the same for all that a \
                 permutation puts in each other's place",
                weights.len(),
                pairs.len(),
                WEIGHTS.start(),
                WEIGHTS.end()
            )));
        }
        let guide = parts.guide.as_ref();
        if let Some(guide) =
            guide.filter(|g| g.ncols() != pairs.len() || !(1..descriptors.nrows()).contains(&g.nrows()))
        {
            return Err(Error::usage(format!(
                "coefficients {:?} of a guide for {} frames; give fewer frames than those, of {} distances",
                guide.dim(),
                descriptors.nrows(),
                pairs.len()
            )));
        }
        let finite = descriptors.iter().chain(coefficients).chain(guide.into_iter().flatten()).chain([
            &parts.sigma,
            &parts.scale,
            &parts.constant,
        ]);
        if descriptors.is_empty() || parts.sigma <= 0.0 || !finite.into_iter().all(|v| v.is_finite()) {
            return Err(Error::Numeric(
                "the force field is empty, has a number that is not finite, or its sigma is not positive; fit it \
                 again"
                    .into(),
            ));
        }
        // Mean over the frames under every permutation.
        let mean = descriptors.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(pairs.len()));
        let over = |k: usize| orders.iter().map(|order| mean[order[k]]).sum::<f64>() / orders.len() as f64;
        let center: Vec<f64> = (0..pairs.len()).map(over).collect();
        let images = descriptors.outer_iter().zip(coefficients.outer_iter()).flat_map(|(x, a)| {
            orders.iter().map(move |order| {
                [order.iter().map(|&k| x[k]).collect::<Vec<f64>>(), order.iter().map(|&k| a[k]).collect()]
            })
        });
        let images = images.map(|[mut x, a]| {
            x.iter_mut().zip(&center).zip(weights).for_each(|((x, center), w)| *x = w * (*x - center));
            [x, a]
        });
        let centers = Centers::new(pairs.len(), parts.sigma, images);
        Ok(Gdml { pairs, center, centers, parts })
    }

    /// What it is made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Atomic numbers, (n).
    pub fn species(&self) -> &[u8] {
        &self.parts.species
    }

    /// The region in which it may be trusted: every inverse distance within the range of the training frames
    /// under all permutations, widened on either side by half that range, or 15 % of its middle if that is more.
    ///
    /// # Errors
    /// As [`Region::new`].
    pub fn trusted_region(&self) -> Result<Region> {
        let x = &self.parts.descriptors;
        let own: Vec<(f64, f64)> = x
            .columns()
            .into_iter()
            .map(|column| column.iter().fold((f64::INFINITY, 0.0), |(a, b), &v| (v.min(a), v.max(b))))
            .collect();
        let ranges = self.pairs.iter().enumerate().map(|(k, &(i, j))| {
            let images = self.parts.orders.iter().map(|order| own[order[k]]);
            let (low, high) = images.fold((f64::INFINITY, 0.0_f64), |(a, b), (c, d)| (a.min(c), b.max(d)));
            let margin = (MARGIN * (high - low)).max(LEAST_MARGIN * 0.5 * (low + high));
            // Half the lowest is twice the longest distance: a bound for molecules that hardly move.
            (i, j, (low - margin).max(0.5 * low), high + margin)
        });
        Region::new(self.parts.species.len(), ranges.collect())
    }

    /// The cheaper force field near this one, where it has one.
    pub fn guide_field(&self) -> Option<Gdml> {
        let own = &self.parts;
        let coefficients = own.guide.clone()?;
        let parts = Parts {
            species: own.species.clone(),
            permutations: own.permutations.clone(),
            orders: own.orders.clone(),
            descriptors: own.descriptors.slice(s![..coefficients.nrows(), ..]).to_owned(),
            weights: own.weights.clone(),
            coefficients,
            guide: None,
            sigma: own.sigma,
            scale: own.scale,
            constant: own.constant,
            record: serde_json::Value::Null,
        };
        // They were checked with the whole.
        Gdml::new(parts).ok()
    }

    /// Energies and forces of a few frames, by the calling thread alone.
    pub(crate) fn chunk(
        &self,
        positions: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) {
        let (frames, width) = (positions.dim().0, self.pairs.len());
        let layout = Layout {
            pairs: &self.pairs,
            center: &self.center,
            weights: &self.parts.weights,
            q: 5.0_f64.sqrt() / self.parts.sigma,
            scale: self.parts.scale,
        };
        let count = frames.div_ceil(LANES);
        let mut x = vec![ZERO; count * width];
        let mut tiles: Vec<Tile> = (0..count).map(|_| Tile::new(self.parts.species.len())).collect();
        let mut sums: Vec<_> = (0..count).map(|_| self.centers.room()).collect();
        let some = positions.axis_chunks_iter(Axis(0), LANES);
        for ((tile, positions), x) in tiles.iter_mut().zip(some).zip(x.chunks_exact_mut(width)) {
            tile.take(layout, positions, x);
        }
        self.centers.add_up(&x, &mut sums);
        let (some, x) = (forces.axis_chunks_iter_mut(Axis(0), LANES), x.chunks_exact(width));
        for (((tile, sums), forces), x) in tiles.iter_mut().zip(&sums).zip(some).zip(x) {
            tile.give(layout, x, sums, forces);
        }
        for (frame, energy) in energies.iter_mut().enumerate() {
            let sum = sums[frame / LANES].energy[frame % LANES];
            *energy = self.parts.constant + self.parts.scale * sum / layout.q;
        }
    }

    fn check(&self, species: &[u8], positions: ArrayView3<f64>, forces: &ArrayViewMut3<f64>) -> Result<()> {
        if species != self.parts.species {
            let names = |list: &[u8]| list.iter().map(|&z| symbol(z)).collect::<Vec<_>>().join(" ");
            return Err(Error::usage(format!(
                "the force field is for {}, the frames have {}; use the same atoms in the same order",
                names(&self.parts.species),
                names(species)
            )));
        }
        if positions.dim() != (positions.dim().0, species.len(), 3) || forces.dim() != positions.dim() {
            return Err(Error::usage("positions and forces must be (B, n, 3), of equal B"));
        }
        Ok(())
    }
}

fn chunk_of(positions: ArrayView3<'_, f64>, number: usize) -> ArrayView3<'_, f64> {
    let frames = positions.dim().0;
    positions.slice_move(s![number * FRAMES..frames.min((number + 1) * FRAMES), .., ..])
}

impl Potential for Gdml {
    fn energies_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        self.check(species, positions, &forces)?;
        if energies.len() != positions.dim().0 {
            return Err(Error::usage("energies must be (B), one for each frame"));
        }
        let field = &*self;
        energies
            .axis_chunks_iter_mut(Axis(0), FRAMES)
            .into_par_iter()
            .zip(forces.axis_chunks_iter_mut(Axis(0), FRAMES).into_par_iter())
            .enumerate()
            .for_each(|(k, (energies, forces))| field.chunk(chunk_of(positions, k), energies, forces));
        Ok(())
    }

    fn region(&self) -> Option<Region> {
        // Its parts were checked: the ranges are positive and finite.
        self.trusted_region().ok()
    }

    fn name(&self) -> String {
        let centers = self.parts.descriptors.nrows();
        format!(
            "gdml ({} atoms, {centers} frames, {} permutations)",
            self.parts.species.len(),
            self.parts.orders.len()
        )
    }

    fn identity(&self) -> String {
        let Parts { species, permutations, descriptors, coefficients, sigma, scale, constant, .. } =
            &self.parts;
        let mut hash = Sha256::new();
        hash.update("gdml");
        hash.update((species.len() as u64).to_le_bytes());
        hash.update(species);
        permutations.iter().flatten().for_each(|&atom| hash.update((atom as u64).to_le_bytes()));
        let numbers = descriptors.iter().chain(coefficients).chain([sigma, scale, constant]);
        numbers.for_each(|number| hash.update(number.to_le_bytes()));
        if let Some(guide) = &self.parts.guide {
            hash.update("guide");
            guide.iter().for_each(|number| hash.update(number.to_le_bytes()));
        }
        if self.parts.weighted() {
            self.parts.weights.iter().for_each(|weight| hash.update(weight.to_le_bytes()));
        }
        format!("{:x}", hash.finalize())
    }

    fn fit_report(&self) -> Option<&serde_json::Value> {
        Some(&self.parts.record).filter(|record| !record.is_null())
    }

    fn guide(&self) -> Option<(Gdml, f64)> {
        let guide = self.guide_field()?;
        let cost = guide.parts.descriptors.nrows() as f64 / self.parts.descriptors.nrows() as f64;
        Some((guide, cost))
    }

    fn save(&self, path: &std::path::Path) -> Result<()> {
        Gdml::save(self, path)
    }
}

#[cfg(test)]
mod tests;
