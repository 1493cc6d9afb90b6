//! The distributions behind the figures, as a reader sees them: densities with their standard errors.
//!
//! Errors come from stretches of consecutive frames, so that frames of a trajectory that resemble their neighbors in
//! time do not count as independent ones.

use ndarray::ArrayView3;
use rayon::prelude::*;

use super::figures::Molecule;
use super::histogram::{quantile, sorted, total_variation, Edges};
use super::images::dihedral_images;
use super::{Ensemble, Options};
use crate::molecule::bonds::Bonds;
use crate::molecule::dihedral::dihedral;
use crate::Result;

/// Stretches of consecutive frames that errors come from.
const STRETCHES: usize = 10;
/// Bins of a bond, an angle and an energy, and of a dihedral (10 degrees each).
const BINS: usize = 40;
const DIHEDRAL_BINS: usize = 36;
/// Margins of the ranges, as in the figures.
const PAIR_MARGIN: f64 = 0.1;
const ANGLE_MARGIN: f64 = 5.0;

/// A density in equal bins.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Probability per unit of the axis, one a bin.
    pub density: Vec<f64>,
    /// Its standard error, from stretches of consecutive frames.
    pub error: Vec<f64>,
}

/// Densities on one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// Lower end of the axis.
    pub start: f64,
    /// Upper end of the axis.
    pub stop: f64,
    /// The reference.
    pub reference: Curve,
    /// Each side compared with it.
    pub sides: Vec<Curve>,
}

/// An internal coordinate, pooled over its images under the symmetry group.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordinate {
    /// The atoms of the first image: two, three or four.
    pub atoms: Vec<usize>,
    /// Number of images.
    pub images: usize,
    /// Its densities, per angstrom or per degree.
    pub curves: Curves,
    /// Total variation of each side against the reference, in the bins of `curves`.
    pub tvd: Vec<f64>,
    /// Of a dihedral: the reference's populations, then each side's.
    pub populations: Vec<Populations>,
}

/// Shares of (trans, gauche+, gauche-): |phi| > 120, 0 to 120, -120 to 0 degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Populations {
    /// The shares.
    pub share: [f64; 3],
    /// Their standard errors, from stretches of consecutive frames.
    pub error: [f64; 3],
}

/// All of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Distributions {
    /// h(r): all pair distances pooled.
    pub distances: Curves,
    /// Each pair i < j, and the total variation of each side's distance over the symmetry group.
    pub pairs: Vec<((usize, usize), Vec<f64>)>,
    /// The different bonds.
    pub bonds: Vec<Coordinate>,
    /// The different bond angles.
    pub angles: Vec<Coordinate>,
    /// The rotatable bonds' dihedrals.
    pub dihedrals: Vec<Coordinate>,
    /// Potential energies less the reference's median, kcal/mol, where all have them.
    pub energies: Option<Curves>,
}

/// Distributions of several sides and a reference that [`super::evaluate`] has taken.
///
/// # Errors
/// [`crate::Error::Unsupported`] where the symmetry group is too large.
pub fn distributions<'a>(
    sides: &[Ensemble<'a>],
    reference: &Ensemble<'a>,
    options: &Options,
) -> Result<Distributions> {
    let molecule = Molecule::new(reference, options)?;
    let bonds = Bonds::from_mean_distances(reference.species, reference.positions.view())?;
    let all: Vec<&Ensemble> = std::iter::once(reference).chain(sides).collect();
    let columns: Vec<Vec<Vec<f64>>> = all.iter().map(|e| molecule.distances(&e.positions)).collect();
    let whole: Vec<usize> = (0..molecule.pairs.len()).collect();
    let edges = Edges::new(0.0, options.top, options.bins);
    let (distances, _) = compare(&columns, &whole, &edges, (0.0, options.top), options.bins);

    let alone = |count: usize| (0..count).map(|k| vec![k]).collect::<Vec<_>>();
    let grouped = |orbits: &[Vec<usize>], count: usize| match molecule.group {
        Some(_) => orbits.to_vec(),
        None => alone(count),
    };
    let pair_orbits = grouped(&molecule.pair_orbits, molecule.pairs.len());
    let of_pairs: Vec<(Vec<usize>, Coordinate)> = pair_orbits
        .into_par_iter()
        .map(|orbit| {
            let (i, j) = molecule.pairs[orbit[0]];
            let found = ranged(&columns, &orbit, vec![i, j], PAIR_MARGIN);
            (orbit, found)
        })
        .collect();
    let mut pairs: Vec<((usize, usize), Vec<f64>)> = of_pairs
        .iter()
        .flat_map(|(orbit, found)| orbit.iter().map(|&k| (molecule.pairs[k], found.tvd.clone())))
        .collect();
    pairs.sort_by_key(|(pair, _)| *pair);
    let bonded = |found: &Coordinate| bonds.bonded(found.atoms[0], found.atoms[1]);
    let stretches = of_pairs.into_iter().map(|(_, found)| found).filter(bonded).collect();

    let columns: Vec<Vec<Vec<f64>>> = all.iter().map(|e| molecule.angle_columns(&e.positions)).collect();
    let angles = grouped(&molecule.angle_orbits, molecule.angles.len())
        .into_par_iter()
        .map(|orbit| ranged(&columns, &orbit, molecule.angles[orbit[0]].to_vec(), ANGLE_MARGIN))
        .collect();
    let dihedrals = molecule.dihedrals.iter().map(|&atoms| turned(&molecule, &all, atoms)).collect();
    Ok(Distributions { distances, pairs, bonds: stretches, angles, dihedrals, energies: energies(&all) })
}

/// Densities of the pooled columns of every ensemble, the reference first, and the shares they come from.
fn compare(
    ensembles: &[Vec<Vec<f64>>],
    which: &[usize],
    edges: &Edges,
    (start, stop): (f64, f64),
    bins: usize,
) -> (Curves, Vec<Vec<f64>>) {
    let width = (stop - start) / bins as f64;
    let one = |columns: &Vec<Vec<f64>>| {
        let picked: Vec<&[f64]> = which.iter().map(|&k| columns[k].as_slice()).collect();
        let shares = edges.shares(&picked);
        let parts: Vec<Vec<f64>> = stretches(picked[0].len())
            .map(|(from, to)| {
                let part: Vec<&[f64]> = picked.iter().map(|column| &column[from..to]).collect();
                edges.shares(&part)
            })
            .collect();
        let error = (0..bins).map(|bin| standard_error(parts.iter().map(|p| p[bin])) / width).collect();
        (Curve { density: shares.iter().map(|share| share / width).collect(), error }, shares)
    };
    let (mut curves, shares): (Vec<Curve>, Vec<Vec<f64>>) = ensembles.iter().map(one).unzip();
    let reference = curves.remove(0);
    (Curves { start, stop, reference, sides: curves }, shares)
}

/// Bounds of consecutive stretches of `frames` (at least two) frames.
fn stretches(frames: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = STRETCHES.min(frames).max(1);
    (0..count).map(move |k| (k * frames / count, (k + 1) * frames / count))
}

/// Of the mean over stretches.
fn standard_error(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0) / count).sqrt()
}

/// A coordinate on the range of the reference, widened by a margin.
fn ranged(ensembles: &[Vec<Vec<f64>>], which: &[usize], atoms: Vec<usize>, margin: f64) -> Coordinate {
    let reference = || which.iter().flat_map(|&k| ensembles[0][k].iter().copied());
    let low = reference().fold(f64::INFINITY, f64::min) - margin;
    let high = reference().fold(f64::NEG_INFINITY, f64::max) + margin;
    let edges = Edges::new(low, high, BINS);
    let (curves, shares) = compare(ensembles, which, &edges, (low, high), BINS);
    let tvd = shares[1..].iter().map(|side| total_variation(side, &shares[0])).collect();
    Coordinate { atoms, images: which.len(), curves, tvd, populations: Vec::new() }
}

/// A dihedral over its images, in degrees.
fn turned(molecule: &Molecule, all: &[&Ensemble], atoms: [usize; 4]) -> Coordinate {
    let images = match &molecule.group {
        Some(group) => dihedral_images(atoms, group),
        None => vec![(atoms, 1.0)],
    };
    let of = |positions: &ArrayView3<f64>| -> Vec<Vec<f64>> {
        let column = |&(four, sign): &([usize; 4], f64)| {
            dihedral(positions.view(), four).mapv(|phi| (phi * sign).to_degrees()).to_vec()
        };
        images.par_iter().map(column).collect()
    };
    let ensembles: Vec<Vec<Vec<f64>>> = all.iter().map(|each| of(&each.positions)).collect();
    let which: Vec<usize> = (0..images.len()).collect();
    let edges = Edges::new(-180.0, 180.0, DIHEDRAL_BINS);
    let (curves, shares) = compare(&ensembles, &which, &edges, (-180.0, 180.0), DIHEDRAL_BINS);
    let tvd = shares[1..].iter().map(|side| total_variation(side, &shares[0])).collect();
    let populations = ensembles.iter().map(|columns| populations(columns)).collect();
    Coordinate { atoms: atoms.to_vec(), images: images.len(), curves, tvd, populations }
}

fn populations(columns: &[Vec<f64>]) -> Populations {
    let well = |phi: f64| match phi {
        phi if phi.abs() > 120.0 => 0,
        phi if phi >= 0.0 => 1,
        _ => 2,
    };
    let shares = |from: usize, to: usize| {
        let mut counts = [0_usize; 3];
        columns.iter().flat_map(|column| &column[from..to]).for_each(|&phi| counts[well(phi)] += 1);
        counts.map(|count| count as f64 / (columns.len() * (to - from)) as f64)
    };
    let frames = columns[0].len();
    let parts: Vec<[f64; 3]> = stretches(frames).map(|(from, to)| shares(from, to)).collect();
    let error = std::array::from_fn(|k| standard_error(parts.iter().map(|part| part[k])));
    Populations { share: shares(0, frames), error }
}

/// Energies less the reference's median; the highest in a thousand would squeeze the rest and are left out.
fn energies(all: &[&Ensemble]) -> Option<Curves> {
    let found: Option<Vec<Vec<f64>>> =
        all.iter().map(|each| each.energies.map(|energies| energies.to_vec())).collect();
    let mut found = found?;
    let zero = quantile(&sorted(&[found[0].as_slice()]), 0.5);
    found.iter_mut().flatten().for_each(|energy| *energy -= zero);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for each in &found {
        let ascending = sorted(&[each.as_slice()]);
        low = low.min(ascending[0]);
        high = high.max(quantile(&ascending, 0.999));
    }
    let ensembles: Vec<Vec<Vec<f64>>> = found.into_iter().map(|each| vec![each]).collect();
    let high = if high > low { high } else { low + 1.0 };
    Some(compare(&ensembles, &[0], &Edges::new(low, high, BINS), (low, high), BINS).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::evaluate;
    use crate::molecule::samples::{noisy, ETHANOL};

    #[test]
    fn densities_are_those_of_the_figures() {
        let (species, a) = noisy(&ETHANOL, 500, 0.05, 1);
        let (_, b) = noisy(&ETHANOL, 800, 0.04, 2);
        let of = |positions| Ensemble { species: &species, positions, energies: None };
        let (samples, reference) = (of(a.view()), of(b.view()));
        let options = Options::default();
        let found = distributions(&[samples], &reference, &options).unwrap();
        let figures = evaluate(&samples, &reference, &options).unwrap().figures;
        let mean = found.pairs.iter().map(|(_, tvd)| tvd[0]).sum::<f64>() / found.pairs.len() as f64;
        approx::assert_relative_eq!(mean, figures.pair_tvd_sym.unwrap(), max_relative = 1e-12);
        let Curves { reference: h, sides, .. } = &found.distances;
        let tvd: f64 = h.density.iter().zip(&sides[0].density).map(|(a, b)| (a - b).abs()).sum::<f64>();
        approx::assert_relative_eq!(0.5 * tvd * 8.0 / 200.0, figures.tvd, max_relative = 1e-9);
        // Ethanol's bonds under its symmetry: C-C, C-O, O-H, methylene C-H, methyl C-H.
        assert_eq!(found.bonds.len(), 5);
        let images: usize = found.bonds.iter().map(|bond| bond.images).sum();
        assert_eq!((images, found.angles.iter().map(|a| a.images).sum::<usize>()), (8, 13));
        assert_eq!(found.dihedrals.len(), 2);
        for one in &found.dihedrals {
            for side in &one.populations {
                approx::assert_relative_eq!(side.share.iter().sum::<f64>(), 1.0, max_relative = 1e-12);
                // Frames are independent: the error is the binomial one, known to 1 / sqrt(18) = 24 % from ten stretches.
                assert!(side.error.iter().all(|error| error.is_finite()));
            }
        }
    }

    #[test]
    fn errors_are_those_of_independent_frames() {
        // 4,000 frames with a coin's probability 0.3: the binomial error is sqrt(0.21 / 4000) = 0.00725; ten stretches
        // know it to 24 %.
        let mut stream = crate::sampler::noise::Stream::new(5, crate::sampler::noise::Purpose::Data, 0);
        let phi: Vec<f64> =
            (0..4000).map(|_| if stream.normal() < -0.524_400_5 { 180.0 } else { 60.0 }).collect();
        let found = populations(&[phi]);
        assert!((found.share[0] - 0.3).abs() < 0.03, "{:?}", found.share);
        assert!((found.error[0] / 0.00725 - 1.0).abs() < 0.72, "{:?}", found.error);
    }
}
