//! Weights that repair the torsion populations of a biased window, from the forces alone.
//!
//! Turning the atoms on one side of a bond rigidly about it keeps volumes, so the torque
//! `tau = sum (a x (x_i - x_a)) . F_i` along the turn has the mean `<tau | phi> = -dF/dphi` whatever the
//! distribution of phi itself: F is the free energy that a long run would have, though the frames count the wells
//! wrongly. F is one Fourier series fitted to the torques of all rotatable bonds, and frame j gets the weight
//! `exp(-F(phi_j) / kT) / p_data(phi_j)`. It repairs populations of wells that the frames visit and cross between;
//! it repairs no stiff mode and finds no well that was never visited.
//!
//! The densities on both sides of the quotient are smoothed by the same von Mises kernel, so that the smoothing
//! cancels where the data is right. Couplings between bonds that share an atom are in F as long as the number of
//! coefficients stays below a twentieth of the frames; they form a tree, on which the density of several torsions
//! is exactly the product of pair densities over single ones.

use std::collections::HashMap;

use ndarray::{Array1, Array2, ArrayView3};
use serde::Serialize;

use super::bonds::Bonds;
use super::symmetry::{SymmetryGroup, SymmetryOperation};
use super::torsion::Torsion;
use super::torsion_density::{
    kernel, kernel_width, look_up, look_up_pair, marginals, pair_shares, populations, shares, CELLS,
};
use super::torsion_series::{fit, terms, Image, Term, HARMONICS};
use crate::dataset::Dataset;
use crate::units::BOLTZMANN;
use crate::{Error, Result};

/// Fewer frames cannot carry a mean force.
pub const FEWEST_FRAMES: usize = 100;
/// Effective share of the frames below which weights are refused.
pub const LEAST_EFFECTIVE: f64 = 0.05;
/// No frame counts more than this many times the average frame.
const LARGEST_WEIGHT: f64 = 20.0;
/// Frames for each coefficient of the series.
const FRAMES_PER_COEFFICIENT: usize = 20;
/// Frames expected under the kernel below which an angle counts as never visited.
const VISITED: f64 = 2.0;
/// A torsion that visits less of the circle than this stays in one well.
const ONE_WELL: f64 = 1.0 / 3.0;
/// Symmetry images of the frames that are looked at, at most.
const MOST_IMAGES: usize = 64;

/// One rotatable bond in the weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DihedralMeanForce {
    /// i-j-k-l around the bond j-k.
    pub atoms: [usize; 4],
    /// F of this torsion alone, kcal/mol: cos phi, sin phi, cos 2 phi, sin 2 phi, cos 3 phi, sin 3 phi.
    pub coefficients: [f64; 2 * HARMONICS],
    /// Shares of trans (beyond 120 degrees either way), gauche+ (0 to 120) and gauche- in the frames.
    pub in_data: [f64; 3],
    /// The same by the mean force, over the angles that the frames visit.
    pub by_mean_force: [f64; 3],
    /// The same of the weighted frames.
    pub weighted: [f64; 3],
    /// Why this bond was left as it is, if it was.
    pub left_alone: Option<String>,
}

/// Weights of frames, and where they come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TorsionalWeights {
    /// One weight per frame, (N), summing to 1; not serialized.
    #[serde(skip)]
    pub weights: Array1<f64>,
    /// Effective share of the frames: (sum w)^2 / (N sum w^2), 1 for equal weights.
    pub effective: f64,
    /// Frames whose weight was cut at 20 times the average.
    pub capped: usize,
    /// One entry per rotatable bond.
    pub dihedrals: Vec<DihedralMeanForce>,
    /// Pairs of `dihedrals` that are coupled in F.
    pub coupled: Vec<(usize, usize)>,
    /// Symmetry images that the fit averages over.
    pub images: usize,
}

/// Weights under which the torsions of a data set follow their mean force at `kelvin`.
///
/// `group` symmetrizes: F and the data's density are averaged over its operations, as a sampler averages its samples.
///
/// # Errors
/// [`Error::Usage`] without forces, for fewer than [`FEWEST_FRAMES`] frames, a temperature that is no positive
/// number, or no rotatable bond whose wells the frames cross between; [`Error::Numeric`] where a torque is not
/// finite, or the effective share is below [`LEAST_EFFECTIVE`].
pub fn torsional_weights(
    dataset: &Dataset,
    bonds: &Bonds,
    group: Option<&SymmetryGroup>,
    kelvin: f64,
) -> Result<TorsionalWeights> {
    let file = dataset.source.name();
    if !(kelvin.is_finite() && kelvin > 0.0) {
        return Err(Error::usage(format!("temperature {kelvin} K; give a positive number")));
    }
    let forces = dataset.forces.as_ref().ok_or_else(|| {
        Error::usage(format!("{file}: weights by mean force need forces and there are none; dump them"))
    })?;
    let frames = dataset.positions.dim().0;
    if frames < FEWEST_FRAMES {
        return Err(Error::usage(format!(
            "{file}: {frames} frames are too few for a mean force; give at least {FEWEST_FRAMES}, better thousands"
        )));
    }
    let quads = bonds.rotatable(&dataset.species, dataset.positions.view());
    if quads.is_empty() {
        return Err(Error::usage(format!(
            "{file}: the molecule has no rotatable bond; train without weights by mean force"
        )));
    }
    let torsions: Vec<Torsion> = quads.iter().map(|&atoms| Torsion::new(bonds, atoms)).collect();
    let all = images(&dataset.positions.view(), &forces.view(), &torsions, group);
    if all.iter().any(|image| image.phi.iter().chain(&image.torque).any(|x| !x.is_finite())) {
        return Err(Error::Numeric(format!(
            "{file}: a torque about a bond is not finite; look for wild frames"
        )));
    }
    let width = kernel_width(frames);
    let smooth = kernel(width);
    let density = |column: usize| shares(all.iter().flat_map(|image| image.phi.column(column).into_iter()));
    let visited = |column: usize| {
        // The kernel covers 2.5 widths (sqrt 2 pi); shares are of one cell of 2 pi / CELLS.
        let cells = 2.5 * width * CELLS as f64 / (2.0 * std::f64::consts::PI);
        smooth.dot(&density(column)).mapv(|p| if p * cells * frames as f64 >= VISITED { 1.0 } else { 0.0 })
    };
    let masks: Vec<Array1<f64>> = (0..quads.len()).map(visited).collect();
    let reasons: Vec<Option<String>> = masks.iter().map(left_alone).collect();
    let used: Vec<usize> = (0..quads.len()).filter(|&d| reasons[d].is_none()).collect();
    if used.is_empty() {
        return Err(Error::usage(format!(
            "{file}: no rotatable bond can be reweighted: {}; give frames that cross barriers, or train without weights \
             by mean force",
            reasons.iter().flatten().next().map_or("none", String::as_str)
        )));
    }
    let kept: Vec<Image> = all
        .iter()
        .map(|image| Image {
            phi: image.phi.select(ndarray::Axis(1), &used),
            torque: image.torque.select(ndarray::Axis(1), &used),
        })
        .collect();
    let edges = forest(&used.iter().map(|&d| quads[d]).collect::<Vec<_>>());
    let (terms, joint) = terms(&kept, used.len(), &edges, frames / FRAMES_PER_COEFFICIENT);
    let edges = if joint { edges } else { Vec::new() };
    let coefficients = fit(&kept, &terms).ok_or_else(|| {
        Error::Numeric(format!(
            "{file}: the mean force has no solution; the torques are all alike or not finite"
        ))
    })?;
    let masks: Vec<Array1<f64>> = used.iter().map(|&d| masks[d].clone()).collect();
    let model = marginals(&terms, &coefficients, BOLTZMANN * kelvin, &masks, &edges);
    let quotient = |q: &Array1<f64>, p: Array1<f64>| (smooth.dot(q) / smooth.dot(&p)).mapv(f64::ln);
    let single: Vec<Array1<f64>> =
        used.iter().zip(&model.single).map(|(&d, q)| quotient(q, density(d))).collect();
    let pair: Vec<Array2<f64>> = edges
        .iter()
        .zip(&model.pair)
        .map(|(&(d, e), q)| {
            let p = pair_shares(kept.iter().flat_map(|image| {
                image.phi.column(d).into_iter().copied().zip(image.phi.column(e).into_iter().copied())
            }));
            (smooth.dot(q).dot(&smooth) / smooth.dot(&p).dot(&smooth)).mapv(f64::ln)
        })
        .collect();
    let raw = Array1::from_shape_fn(frames, |frame| {
        let weight = |image: &Image| {
            let phi = image.phi.row(frame);
            let one = |d: usize| look_up(&single[d], phi[d]);
            let alone: f64 = (0..used.len()).map(one).sum();
            let together: f64 = edges
                .iter()
                .zip(&pair)
                .map(|(&(d, e), table)| look_up_pair(table, phi[d], phi[e]) - one(d) - one(e))
                .sum();
            (alone + together).exp()
        };
        kept.iter().map(weight).sum::<f64>()
    });
    let (weights, capped) = cap(raw);
    let effective = 1.0 / (frames as f64 * weights.dot(&weights));
    // Not a number must fail too.
    if effective.is_nan() || effective < LEAST_EFFECTIVE {
        return Err(Error::Numeric(format!(
            "{file}: under the weights by mean force only {:.1} % of the frames count (limit {:.0} %): the window is too \
             far from equilibrium at {kelvin:.0} K; check the temperature, or give a longer trajectory",
            100.0 * effective,
            100.0 * LEAST_EFFECTIVE
        )));
    }
    let place = |d: usize| used.iter().position(|&u| u == d);
    let dihedrals = quads
        .iter()
        .enumerate()
        .map(|(d, &atoms)| {
            let phi = all[0].phi.column(d);
            let in_data = counted(phi.iter().map(|&phi| (phi, 1.0 / frames as f64)));
            DihedralMeanForce {
                atoms,
                coefficients: place(d).map_or([0.0; 2 * HARMONICS], |u| own(&terms, &coefficients, u)),
                in_data,
                by_mean_force: place(d).map_or(in_data, |u| populations(&model.single[u])),
                weighted: counted(phi.iter().copied().zip(weights.iter().copied())),
                left_alone: reasons[d].clone(),
            }
        })
        .collect();
    let coupled = edges.iter().map(|&(d, e)| (used[d], used[e])).collect();
    Ok(TorsionalWeights { weights, effective, capped, dihedrals, coupled, images: all.len() })
}

/// Angles and torques of the torsions in every symmetry image of the frames; images that are alike count once.
fn images(
    positions: &ArrayView3<f64>,
    forces: &ArrayView3<f64>,
    torsions: &[Torsion],
    group: Option<&SymmetryGroup>,
) -> Vec<Image> {
    let identity = SymmetryGroup::identity(positions.dim().1);
    let operations = &group.unwrap_or(&identity).operations;
    let mut seen: Vec<(Vec<Torsion>, bool)> = Vec::new();
    for operation in operations.iter().step_by(operations.len().div_ceil(MOST_IMAGES).max(1)) {
        let SymmetryOperation { mirror, .. } = *operation;
        let image = (torsions.iter().map(|torsion| torsion.image(operation)).collect(), mirror);
        if !seen.contains(&image) {
            seen.push(image);
        }
    }
    let mut measured: HashMap<Torsion, (Array1<f64>, Array1<f64>)> = HashMap::new();
    seen.iter()
        .map(|(torsions, mirror)| {
            let sign = if *mirror { -1.0 } else { 1.0 };
            let shape = (positions.dim().0, torsions.len());
            let mut image = Image { phi: Array2::zeros(shape), torque: Array2::zeros(shape) };
            for (column, torsion) in torsions.iter().enumerate() {
                let (phi, torque) =
                    measured.entry(torsion.clone()).or_insert_with(|| torsion.measure(positions, forces));
                image.phi.column_mut(column).assign(&(&*phi * sign));
                image.torque.column_mut(column).assign(&(&*torque * sign));
            }
            image
        })
        .collect()
}

/// Why a torsion that visits these cells has no populations that its mean force could repair, if it has none.
fn left_alone(visited: &Array1<f64>) -> Option<String> {
    let edges = (0..CELLS).filter(|&cell| visited[cell] != visited[(cell + 1) % CELLS]).count();
    if edges > 2 {
        return Some("its wells are apart: no frame crosses the barriers between them".into());
    }
    (visited.sum() < ONE_WELL * CELLS as f64).then(|| "it stays in one well".into())
}

/// Pairs of torsions whose bonds share an atom, without those that would close a circle.
fn forest(quads: &[[usize; 4]]) -> Vec<(usize, usize)> {
    let mut tree: Vec<usize> = (0..quads.len()).collect();
    let mut edges = Vec::new();
    for d in 0..quads.len() {
        for e in d + 1..quads.len() {
            let share = [quads[d][1], quads[d][2]].iter().any(|atom| quads[e][1..3].contains(atom));
            if share && tree[d] != tree[e] {
                let (from, to) = (tree[e], tree[d]);
                tree.iter_mut().filter(|one| **one == from).for_each(|one| *one = to);
                edges.push((d, e));
            }
        }
    }
    edges
}

/// Weights cut at [`LARGEST_WEIGHT`] times the average, summing to 1, and how many were cut.
fn cap(raw: Array1<f64>) -> (Array1<f64>, usize) {
    let limit = LARGEST_WEIGHT * raw.sum() / raw.len() as f64;
    let capped = raw.iter().filter(|&&w| w > limit).count();
    let cut = raw.mapv(|w| w.min(limit));
    let sum = cut.sum();
    (cut / sum, capped)
}

/// Shares of trans, gauche+ and gauche- of weighted angles.
fn counted(angles: impl Iterator<Item = (f64, f64)>) -> [f64; 3] {
    let third = 2.0 * std::f64::consts::PI / 3.0;
    let mut out = [0.0; 3];
    for (phi, weight) in angles {
        let well = if phi.abs() > third {
            0
        } else if phi >= 0.0 {
            1
        } else {
            2
        };
        out[well] += weight;
    }
    out
}

/// Coefficients of one torsion's own waves.
fn own(terms: &[Term], coefficients: &Array1<f64>, torsion: usize) -> [f64; 2 * HARMONICS] {
    let mut out = [0.0; 2 * HARMONICS];
    for (term, &coefficient) in terms.iter().zip(coefficients) {
        if term.1.is_none() && term.0.torsion == torsion {
            out[2 * (term.0.k - 1) + usize::from(term.0.sine)] = coefficient;
        }
    }
    out
}

#[cfg(test)]
#[path = "mean_force_tests.rs"]
mod tests;
