//! The symmetric gradient-domain force field (sGDML; Chmiela et al., Nat. Commun. 9, 3887, 2018).
//!
//! A Matern-5/2 kernel on the inverse pair distances x, summed over training frames and permutations. With
//! d = q (x - X), n = |d|, q = sqrt 5 / sigma, e = 5 / (3 sigma^2) exp(-n) and w = d . A,
//! E = c + std / q * sum e (1 + n) w, and the forces are its exact negative gradient. The constant c (near
//! 7e5 kcal/mol for a small molecule) is added last, and x and X are counted from the mean of X: squares and
//! products of large numbers would cost digits of energies and forces.

use ndarray::parallel::prelude::*;
use ndarray::{s, Array1, Array2, Array3, ArrayView2, ArrayView3, ArrayViewMut1, ArrayViewMut3, Axis, Zip};

use super::Potential;
use crate::dataset::elements::symbol;
use crate::{Error, Result};

/// Frames that go through the matrix products together.
const BLOCK: usize = 32;

/// A fitted force field, in kcal/mol and angstrom.
#[derive(Debug, Clone)]
pub struct Gdml {
    species: Vec<u8>,
    /// Pairs (i, j), i > j, in the order of the descriptors.
    pairs: Vec<(usize, usize)>,
    /// Mean descriptor, (D).
    center: Array1<f64>,
    /// Descriptors X less their mean and coefficients A of the training frames under every permutation, (K, D, 2), interleaved: so
    /// strided, ndarray's products stay on the calling thread. Were they BLAS calls, the threads of OpenBLAS and
    /// of rayon would fight for the cores (5 s instead of 0.1 s on a busy machine).
    parts: Array3<f64>,
    /// |X|^2, (K).
    squares: Array1<f64>,
    /// X . A, (K).
    products: Array1<f64>,
    sigma: f64,
    scale: f64,
    constant: f64,
}

impl Gdml {
    /// A force field from its parts: descriptors X and coefficients A, (K, D) with D = n (n - 1) / 2 in the
    /// order (1,0), (2,0), (2,1), ..., already repeated for every permutation; kernel length sigma; scale of
    /// energies and forces (sGDML's `std`); constant of the energy in kcal/mol.
    ///
    /// # Errors
    /// [`Error::Usage`] where shapes do not agree, [`Error::Numeric`] where a number is not finite or
    /// sigma not positive.
    pub fn new(
        species: Vec<u8>,
        descriptors: Array2<f64>,
        coefficients: Array2<f64>,
        sigma: f64,
        scale: f64,
        constant: f64,
    ) -> Result<Self> {
        let pairs: Vec<_> = (0..species.len()).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
        if descriptors.dim() != coefficients.dim() || descriptors.ncols() != pairs.len() || pairs.is_empty() {
            return Err(Error::usage(format!(
                "descriptors {:?} and coefficients {:?} for {} atoms; both must be (frames, {})",
                descriptors.dim(),
                coefficients.dim(),
                species.len(),
                pairs.len()
            )));
        }
        let finite = descriptors.iter().chain(&coefficients).chain([&sigma, &scale, &constant]);
        if descriptors.is_empty() || sigma <= 0.0 || !finite.into_iter().all(|v| v.is_finite()) {
            return Err(Error::Numeric(
                "the force field is empty, has a number that is not finite, or its sigma is not positive; fit it \
                 again"
                    .into(),
            ));
        }
        let center = descriptors.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(pairs.len()));
        let descriptors = descriptors - &center;
        let squares = (&descriptors * &descriptors).sum_axis(Axis(1));
        let products = (&descriptors * &coefficients).sum_axis(Axis(1));
        let parts = ndarray::stack![Axis(2), descriptors, coefficients].as_standard_layout().into_owned();
        Ok(Gdml { species, pairs, center, parts, squares, products, sigma, scale, constant })
    }

    /// Atomic numbers, (n).
    pub fn species(&self) -> &[u8] {
        &self.species
    }

    fn descriptors(&self) -> ArrayView2<'_, f64> {
        self.parts.index_axis(Axis(2), 0)
    }

    fn coefficients(&self) -> ArrayView2<'_, f64> {
        self.parts.index_axis(Axis(2), 1)
    }

    /// Energies and forces of one block of frames.
    fn block(
        &self,
        positions: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) {
        let q = 5.0_f64.sqrt() / self.sigma;
        let amplitude = 5.0 / (3.0 * self.sigma * self.sigma);
        let frames = positions.dim().0;
        let inverses = Array2::from_shape_fn((frames, self.pairs.len()), |(frame, k)| {
            let (i, j) = self.pairs[k];
            let squared: f64 =
                (0..3).map(|c| (positions[[frame, i, c]] - positions[[frame, j, c]]).powi(2)).sum();
            1.0 / squared.sqrt()
        });
        let x = &inverses - &self.center;
        // (frames, K): first x . X and x . A, then e w and e (1 + n) in their place.
        let mut left = x.dot(&self.descriptors().t());
        let mut right = x.dot(&self.coefficients().t());
        let mut sums = Array1::<f64>::zeros(frames);
        for frame in 0..frames {
            let own = x.row(frame).dot(&x.row(frame));
            let (mut energy, mut sum) = (0.0, 0.0);
            Zip::from(left.row_mut(frame))
                .and(right.row_mut(frame))
                .and(&self.squares)
                .and(&self.products)
                .for_each(|left, right, &square, &product| {
                    // f64::max would hide a NaN, so compare by hand.
                    let squared = own + square - 2.0 * *left;
                    let n = q * if squared < 0.0 { 0.0 } else { squared.sqrt() };
                    let w = q * (*right - product);
                    let e = amplitude * (-n).exp();
                    let en = e * (1.0 + n);
                    energy += en * w;
                    sum += e * w;
                    *left = e * w;
                    *right = en;
                });
            energies[frame] = self.constant + self.scale * energy / q;
            sums[frame] = sum;
        }
        let pull = left.dot(&self.descriptors());
        let push = right.dot(&self.coefficients());
        forces.fill(0.0);
        for frame in 0..frames {
            for (k, &(i, j)) in self.pairs.iter().enumerate() {
                let inverse = inverses[[frame, k]];
                let slope =
                    self.scale * (q * (sums[frame] * x[[frame, k]] - pull[[frame, k]]) - push[[frame, k]]);
                let factor = slope * inverse.powi(3);
                for c in 0..3 {
                    let f = factor * (positions[[frame, i, c]] - positions[[frame, j, c]]);
                    forces[[frame, i, c]] -= f;
                    forces[[frame, j, c]] += f;
                }
            }
        }
    }
}

impl Potential for Gdml {
    fn energies_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        if species != self.species {
            let names = |list: &[u8]| list.iter().map(|&z| symbol(z)).collect::<Vec<_>>().join(" ");
            return Err(Error::usage(format!(
                "the force field is for {}, the frames have {}; use the same atoms in the same order",
                names(&self.species),
                names(species)
            )));
        }
        let frames = positions.dim().0;
        if positions.dim() != (frames, species.len(), 3)
            || forces.dim() != positions.dim()
            || energies.len() != frames
        {
            return Err(Error::usage("positions and forces must be (B, n, 3) and energies (B), of equal B"));
        }
        let blocks: Vec<usize> = (0..frames.div_ceil(BLOCK)).collect();
        let field = &*self;
        energies
            .axis_chunks_iter_mut(Axis(0), BLOCK)
            .into_par_iter()
            .zip(forces.axis_chunks_iter_mut(Axis(0), BLOCK).into_par_iter())
            .zip(blocks.into_par_iter())
            .for_each(|((energies, forces), block)| {
                let end = frames.min((block + 1) * BLOCK);
                field.block(positions.slice(s![block * BLOCK..end, .., ..]), energies, forces);
            });
        Ok(())
    }

    fn name(&self) -> String {
        format!("gdml ({} atoms, {} kernel centers)", self.species.len(), self.parts.dim().0)
    }
}
