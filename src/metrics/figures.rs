//! The figures themselves.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use ndarray::ArrayView3;
use rayon::prelude::*;
use serde::Serialize;

use super::energy::{self, EnergyFigures};
use super::histogram::{mean, ranged_variation, sorted, spread, total_variation, wasserstein2, Edges};
use super::images::{dihedral_images, orbits};
use super::{Ensemble, Options};
use crate::dataset::elements::symbol;
use crate::molecule::bonds::Bonds;
use crate::molecule::dihedral::dihedral;
use crate::molecule::features::pairs;
use crate::molecule::symmetry::SymmetryGroup;
use crate::molecule::vector::{angle, between, norm};
use crate::{Error, Result};

/// How far from its mean in the reference a distance may be to count as stable, angstrom.
const STABLE: f64 = 0.5;
/// Distances (angstrom) and angles (degree) that vary less in the reference are constrained: no width to compare with.
const RIGID: f64 = 1e-4;
/// Margins of the ranges of per-pair (angstrom) and per-angle (degree) histograms.
const PAIR_MARGIN: f64 = 0.1;
const ANGLE_MARGIN: f64 = 5.0;

/// Figures of samples against a reference; names and values as the reference implementation's.
///
/// "Bonds" here are the pairs whose mean distance in the reference is below [`Options::bond_cut`]; the figures
/// over them are empty where there is none. Names with `_sym` compare after averaging both sides over
/// the molecule's symmetry group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Total variation of h(r), the pooled histogram of all pair distances.
    pub tvd: f64,
    /// Mean absolute difference of the density of h(r), 1/angstrom.
    pub mae: f64,
    /// Wasserstein-2 distance of the pooled pair distances, angstrom.
    pub w2: f64,
    /// Total variation of each pair's own histogram (40 bins), mean over pairs.
    pub pair_tvd: f64,
    /// `pair_tvd` over the group.
    pub pair_tvd_sym: Option<f64>,
    /// Total variation of h(r) by pair of elements, for example `C-H`.
    pub type_tvd: BTreeMap<String, f64>,
    /// Share of samples with every pair within 0.5 angstrom of its mean in the reference.
    pub stability: f64,
    /// The same over bonds.
    pub bond_stability: Option<f64>,
    /// Mean over bonds of `|<r> - <r>_ref|`, angstrom.
    pub bond_mae_mean: Option<f64>,
    /// Mean over bonds and samples of `|r - <r>_ref|`, angstrom; not 0 for the reference itself.
    pub bond_mae_sample: Option<f64>,
    /// Width of a bond over its width in the reference, mean over the bonds that are not constrained.
    pub bond_sigma: Option<f64>,
    /// `bond_sigma` over the group.
    pub bond_sigma_sym: Option<f64>,
    /// Total variation of each bond angle's histogram (40 bins), mean over angles.
    pub angle_tvd: Option<f64>,
    /// `angle_tvd` over the group.
    pub angle_tvd_sym: Option<f64>,
    /// Width of an angle over its width in the reference, mean over angles.
    pub angle_sigma: Option<f64>,
    /// Total variation of each rotatable bond's dihedral (24 bins), mean over bonds.
    pub dihedral_tvd: Option<f64>,
    /// `dihedral_tvd` over the group.
    pub dihedral_tvd_sym: Option<f64>,
    /// The dihedrals one by one.
    pub dihedrals: Vec<DihedralFigures>,
    /// The potential energy, where both sides have it.
    pub energy: Option<EnergyFigures>,
}

/// Figures of one dihedral. Populations are (trans, gauche+, gauche-): |phi| > 120, 0 to 120, -120 to 0 degrees.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DihedralFigures {
    /// The atoms i-j-k-l.
    pub atoms: [usize; 4],
    /// Total variation in 24 bins.
    pub tvd: f64,
    /// The same over the group.
    pub tvd_sym: Option<f64>,
    /// Populations in the samples.
    pub populations: [f64; 3],
    /// Populations in the reference.
    pub reference_populations: [f64; 3],
}

/// What the figures need to know of the molecule, found once from the whole reference.
pub(super) struct Molecule {
    pub(super) pairs: Vec<(usize, usize)>,
    types: BTreeMap<String, Vec<usize>>,
    pub(super) angles: Vec<[usize; 3]>,
    pub(super) dihedrals: Vec<[usize; 4]>,
    pub(super) group: Option<SymmetryGroup>,
    pub(super) pair_orbits: Vec<Vec<usize>>,
    pub(super) angle_orbits: Vec<Vec<usize>>,
}

impl Molecule {
    pub(super) fn new(reference: &Ensemble, options: &Options) -> Result<Self> {
        let Ensemble { species, positions, .. } = reference;
        let bonds = Bonds::from_mean_distances(species, positions.view())?;
        let pairs = pairs(species.len());
        let mut types: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (k, &(i, j)) in pairs.iter().enumerate() {
            let (a, b) = (symbol(species[i]), symbol(species[j]));
            types.entry(format!("{}-{}", a.min(b), a.max(b))).or_default().push(k);
        }
        let group = if options.symmetry {
            Some(SymmetryGroup::find(species, positions.view(), &bonds)?)
        } else {
            None
        };
        let angles = bonds.angles();
        let dihedrals = bonds.rotatable(species, positions.view());
        let (pair_orbits, angle_orbits) = match &group {
            Some(group) => (
                orbits(&pairs, group, |(i, j), p| (p[i].min(p[j]), p[i].max(p[j]))),
                orbits(&angles, group, |[i, j, k], p| [p[i].min(p[k]), p[j], p[i].max(p[k])]),
            ),
            None => (Vec::new(), Vec::new()),
        };
        Ok(Molecule { pairs, types, angles, dihedrals, group, pair_orbits, angle_orbits })
    }

    /// Distances of every pair, a column of N each.
    pub(super) fn distances(&self, positions: &ArrayView3<f64>) -> Vec<Vec<f64>> {
        let frames = positions.dim().0;
        let column = |&(i, j): &(usize, usize)| {
            (0..frames).map(|frame| norm(between(positions, frame, i, j))).collect()
        };
        self.pairs.par_iter().map(column).collect()
    }

    /// Angles in degrees, a column of N each.
    pub(super) fn angle_columns(&self, positions: &ArrayView3<f64>) -> Vec<Vec<f64>> {
        let frames = positions.dim().0;
        let column = |&atoms: &[usize; 3]| {
            (0..frames).map(|frame| angle(positions, frame, atoms).to_degrees()).collect()
        };
        self.angles.par_iter().map(column).collect()
    }

    /// All figures of samples against a reference.
    pub(super) fn figures(
        &self,
        samples: &Ensemble,
        reference: &Ensemble,
        options: &Options,
    ) -> Result<Figures> {
        let (a, b) = (self.distances(&samples.positions), self.distances(&reference.positions));
        let (all_a, all_b) = (slices(&a), slices(&b));
        let edges = Edges::new(0.0, options.top, options.bins);
        let (h_a, h_b) = (edges.shares(&all_a), edges.shares(&all_b));
        let density = options.bins as f64 / options.top;
        let gap: f64 = h_a.iter().zip(&h_b).map(|(a, b)| (a - b).abs()).sum();
        let of_type = |columns: &Vec<usize>| {
            let (a, b) = (pick(&a, columns), pick(&b, columns));
            total_variation(&edges.shares(&a), &edges.shares(&b))
        };
        let means: Vec<f64> = b.par_iter().map(|column| mean(column)).collect();
        let bonds: Vec<usize> = (0..means.len()).filter(|&k| means[k] < options.bond_cut).collect();
        let everything: Vec<usize> = (0..means.len()).collect();
        let stable = |columns: &[usize]| stable_share(&a, &means, columns);
        let over_bonds = |figure: &(dyn Fn(usize) -> f64 + Sync)| {
            mean_of(bonds.par_iter().map(|&k| figure(k)).collect::<Vec<f64>>())
        };
        let (angles_a, angles_b) =
            (self.angle_columns(&samples.positions), self.angle_columns(&reference.positions));
        let angle_list: Vec<Vec<usize>> = (0..self.angles.len()).map(|k| vec![k]).collect();
        let pair_list: Vec<Vec<usize>> = everything.iter().map(|&k| vec![k]).collect();
        let orbit_bonds: Vec<Vec<usize>> = self
            .pair_orbits
            .iter()
            .filter(|orbit| means_below(&means, orbit, options.bond_cut))
            .cloned()
            .collect();
        let dihedrals = self.dihedrals(samples, reference);
        if !b.is_empty() && b.iter().all(|column| spread(&[column]) == 0.0) {
            return Err(Error::Numeric(
                "the reference does not vary: no distance differs between its frames; give a reference of different frames"
                    .into(),
            ));
        }
        let figures = Figures {
            tvd: total_variation(&h_a, &h_b),
            mae: gap / options.bins as f64 * density,
            w2: wasserstein2(&sorted(&all_a), &sorted(&all_b)),
            pair_tvd: variation_over(&a, &b, &pair_list, PAIR_MARGIN).unwrap_or(0.0),
            pair_tvd_sym: variation_over(&a, &b, &self.pair_orbits, PAIR_MARGIN),
            type_tvd: self.types.iter().map(|(name, columns)| (name.clone(), of_type(columns))).collect(),
            stability: stable(&everything),
            bond_stability: (!bonds.is_empty()).then(|| stable(&bonds)),
            bond_mae_mean: over_bonds(&|k| (mean(&a[k]) - means[k]).abs()),
            bond_mae_sample: over_bonds(&|k| {
                a[k].iter().map(|r| (r - means[k]).abs()).sum::<f64>() / a[k].len() as f64
            }),
            bond_sigma: width_over(&a, &b, &bonds.iter().map(|&k| vec![k]).collect::<Vec<_>>()),
            bond_sigma_sym: width_over(&a, &b, &orbit_bonds),
            angle_tvd: variation_over(&angles_a, &angles_b, &angle_list, ANGLE_MARGIN),
            angle_tvd_sym: variation_over(&angles_a, &angles_b, &self.angle_orbits, ANGLE_MARGIN),
            angle_sigma: width_over(&angles_a, &angles_b, &angle_list),
            dihedral_tvd: mean_of(dihedrals.iter().map(|one| one.tvd).collect()),
            dihedral_tvd_sym: mean_of(dihedrals.iter().filter_map(|one| one.tvd_sym).collect()),
            dihedrals,
            energy: match (samples.energies, reference.energies) {
                (Some(a), Some(b)) => Some(energy::figures(&a.to_vec(), &b.to_vec())),
                _ => None,
            },
        };
        figures.require_finite()?;
        Ok(figures)
    }

    fn dihedrals(&self, samples: &Ensemble, reference: &Ensemble) -> Vec<DihedralFigures> {
        let edges = Edges::new(-PI, PI, 24);
        let variation = |images: &[([usize; 4], f64)]| {
            let columns = |positions: &ArrayView3<f64>| -> Vec<Vec<f64>> {
                images
                    .iter()
                    .map(|&(quad, sign)| (dihedral(positions.view(), quad) * sign).to_vec())
                    .collect()
            };
            let (a, b) = (columns(&samples.positions), columns(&reference.positions));
            let tvd = total_variation(&edges.shares(&slices(&a)), &edges.shares(&slices(&b)));
            (tvd, populations(&a[0]), populations(&b[0]))
        };
        let one = |&atoms: &[usize; 4]| {
            let (tvd, populations, reference_populations) = variation(&[(atoms, 1.0)]);
            let tvd_sym = self.group.as_ref().map(|group| variation(&dihedral_images(atoms, group)).0);
            DihedralFigures { atoms, tvd, tvd_sym, populations, reference_populations }
        };
        self.dihedrals.par_iter().map(one).collect()
    }
}

impl Figures {
    fn require_finite(&self) -> Result<()> {
        let plain = [self.tvd, self.mae, self.w2, self.pair_tvd, self.stability];
        let others = [
            self.bond_mae_mean,
            self.bond_mae_sample,
            self.bond_sigma,
            self.bond_sigma_sym,
            self.angle_tvd,
            self.angle_sigma,
        ];
        if plain.iter().chain(others.iter().flatten()).all(|value| value.is_finite()) {
            return Ok(());
        }
        Err(Error::Numeric("a figure is not finite: a sample lies too far out to be compared".into()))
    }
}

fn slices(columns: &[Vec<f64>]) -> Vec<&[f64]> {
    columns.iter().map(Vec::as_slice).collect()
}

fn pick<'a>(columns: &'a [Vec<f64>], which: &[usize]) -> Vec<&'a [f64]> {
    which.iter().map(|&k| columns[k].as_slice()).collect()
}

fn mean_of(values: Vec<f64>) -> Option<f64> {
    (!values.is_empty()).then(|| mean(&values))
}

fn means_below(means: &[f64], orbit: &[usize], cut: f64) -> bool {
    orbit.iter().map(|&k| means[k]).sum::<f64>() / (orbit.len() as f64) < cut
}

/// Mean over columns of a figure of the group of columns that each is pooled with.
fn over_lists(lists: &[Vec<usize>], figure: impl Fn(&[usize]) -> f64 + Sync) -> Option<f64> {
    let count: usize = lists.iter().map(Vec::len).sum();
    let parts: Vec<f64> = lists.par_iter().map(|list| list.len() as f64 * figure(list)).collect();
    (count > 0).then(|| parts.iter().sum::<f64>() / count as f64)
}

fn variation_over(a: &[Vec<f64>], b: &[Vec<f64>], lists: &[Vec<usize>], margin: f64) -> Option<f64> {
    over_lists(lists, |list| ranged_variation(&pick(a, list), &pick(b, list), margin))
}

fn width_over(a: &[Vec<f64>], b: &[Vec<f64>], lists: &[Vec<usize>]) -> Option<f64> {
    let vary: Vec<Vec<usize>> = lists.iter().filter(|list| spread(&pick(b, list)) > RIGID).cloned().collect();
    over_lists(&vary, |list| spread(&pick(a, list)) / spread(&pick(b, list)))
}

/// Share of frames whose given columns all lie within [`STABLE`] of the means.
fn stable_share(columns: &[Vec<f64>], means: &[f64], which: &[usize]) -> f64 {
    let frames = columns.first().map_or(0, Vec::len);
    let mut stable = vec![true; frames];
    for &k in which {
        for (stable, r) in stable.iter_mut().zip(&columns[k]) {
            *stable &= (r - means[k]).abs() < STABLE;
        }
    }
    stable.iter().filter(|&&stable| stable).count() as f64 / frames as f64
}

fn populations(phi: &[f64]) -> [f64; 3] {
    let share =
        |test: &dyn Fn(f64) -> bool| phi.iter().filter(|&&phi| test(phi)).count() as f64 / phi.len() as f64;
    let third = 2.0 * PI / 3.0;
    [
        share(&|phi| phi.abs() > third),
        share(&|phi| (0.0..=third).contains(&phi)),
        share(&|phi| phi < 0.0 && phi >= -third),
    ]
}
