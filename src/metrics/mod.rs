//! How good samples are: distance, angle, dihedral and energy distributions against a reference.
//!
//! Every figure comes with its **floor**: the same figure between two random halves of the reference. A
//! figure at its floor cannot be told from the reference with so many frames; one well above it is an error
//! of the samples. The halves hold half the frames, so a perfect sampler can be a little below the floor. Frames
//! of one trajectory resemble their neighbors in time, and random halves share them: the floor is that of
//! the frames at hand, not of a second trajectory.

mod distributions;
mod energy;
mod figures;
mod histogram;
mod images;

use ndarray::{ArrayView1, ArrayView3, Axis};
use rand::seq::SliceRandom;
use rand::SeedableRng;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::dataset::Dataset;
use crate::{Error, Result};

pub use distributions::{distributions, Coordinate, Curve, Curves, Distributions, Populations};
pub use energy::{EnergyFigures, EnergySummary};
#[cfg(feature = "train")]
pub(crate) use histogram::{quantile, sorted};

pub use figures::{DihedralFigures, Figures};

/// Frames to compare.
#[derive(Debug, Clone, Copy)]
pub struct Ensemble<'a> {
    /// Atomic numbers, (n).
    pub species: &'a [u8],
    /// Positions in angstrom, (N, n, 3).
    pub positions: ArrayView3<'a, f64>,
    /// Potential energies in kcal/mol, (N).
    pub energies: Option<ArrayView1<'a, f64>>,
}

impl<'a> From<&'a Dataset> for Ensemble<'a> {
    fn from(dataset: &'a Dataset) -> Self {
        Ensemble {
            species: &dataset.species,
            positions: dataset.positions.view(),
            energies: dataset.energies.as_ref().map(|energies| energies.view()),
        }
    }
}

impl Ensemble<'_> {
    fn check(&self, what: &str) -> Result<()> {
        let (frames, atoms, three) = self.positions.dim();
        if atoms != self.species.len() || three != 3 || atoms < 2 {
            return Err(Error::usage(format!(
                "{what}: {} species for positions of shape {:?}; give (N, n, 3) with at least two atoms",
                self.species.len(),
                self.positions.dim()
            )));
        }
        if frames < 2 {
            return Err(Error::usage(format!(
                "{what}: {frames} frame(s); a distribution needs at least two"
            )));
        }
        if let Some(bad) = self.positions.outer_iter().position(|frame| frame.iter().any(|x| !x.is_finite()))
        {
            return Err(Error::Numeric(format!(
                "{what}: frame {bad} has a position that is not finite; remove the frame"
            )));
        }
        if let Some(energies) = self.energies {
            if energies.len() != frames {
                return Err(Error::usage(format!("{what}: {} energies for {frames} frames", energies.len())));
            }
            if let Some(bad) = energies.iter().position(|energy| !energy.is_finite()) {
                return Err(Error::Numeric(format!(
                    "{what}: the energy of frame {bad} is not finite; remove the frame"
                )));
            }
        }
        Ok(())
    }
}

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Bins of h(r).
    pub bins: usize,
    /// Upper end of h(r), angstrom.
    pub top: f64,
    /// Pairs with a mean distance below this in the reference count as bonds, angstrom.
    pub bond_cut: f64,
    /// Whether to give the figures over the molecule's symmetry group too.
    pub symmetry: bool,
    /// Seed of the split of the reference in two halves.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { bins: 200, top: 8.0, bond_cut: 1.6, symmetry: true, seed: 0 }
    }
}

/// Samples against a reference, with the reference's own values.
///
/// As JSON it is flat: `tvd`, `pair_tvd`, ... and `floor_tvd`, `floor_pair_tvd`, ...
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Number of samples.
    pub samples: usize,
    /// Number of frames of the reference.
    pub reference: usize,
    /// Order of the symmetry group that the `_sym` figures average over.
    pub symmetry_order: Option<usize>,
    /// The figures.
    pub figures: Figures,
    /// The same between two halves of the reference.
    pub floor: Figures,
}

impl Serialize for Evaluation {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let fields = |figures: &Figures| match serde_json::to_value(figures) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err(S::Error::custom("figures are no object")),
            Err(error) => Err(S::Error::custom(error)),
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("samples", &self.samples)?;
        map.serialize_entry("reference", &self.reference)?;
        map.serialize_entry("symmetry_order", &self.symmetry_order)?;
        for (name, value) in fields(&self.figures)? {
            map.serialize_entry(&name, &value)?;
        }
        for (name, value) in fields(&self.floor)? {
            map.serialize_entry(&format!("floor_{name}"), &value)?;
        }
        map.end()
    }
}

/// Compares samples with a reference of the same atoms in the same order.
///
/// # Errors
/// [`Error::Usage`] where the atoms differ, a side has fewer than two frames (the reference: four, for its
/// halves) or the options make no histogram; [`Error::Numeric`] where a position or energy is not finite or
/// the reference does not vary; [`Error::Unsupported`] where the symmetry group is too large.
pub fn evaluate(samples: &Ensemble, reference: &Ensemble, options: &Options) -> Result<Evaluation> {
    samples.check("samples")?;
    reference.check("reference")?;
    if samples.species != reference.species {
        return Err(Error::usage(format!(
            "the samples have {} atoms, the reference {}, or their elements differ; give the same molecule in the \
             same order",
            samples.species.len(),
            reference.species.len()
        )));
    }
    let frames = reference.positions.dim().0;
    if frames < 4 {
        return Err(Error::usage(format!("a reference of {frames} frames; its halves need at least four")));
    }
    let ranges = [options.top, options.bond_cut];
    if !(1..=1_000_000).contains(&options.bins) || !ranges.iter().all(|x| x.is_finite() && *x > 0.0) {
        return Err(Error::usage("bins, top and bond_cut must be positive, with at most a million bins"));
    }
    let molecule = figures::Molecule::new(reference, options)?;
    let mut order: Vec<usize> = (0..frames).collect();
    order.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(options.seed));
    let (first, second) = order.split_at(frames / 2);
    let positions = [first, second].map(|half| reference.positions.select(Axis(0), half));
    let energies =
        [first, second].map(|half| reference.energies.map(|energies| energies.select(Axis(0), half)));
    let half = |k: usize| Ensemble {
        species: reference.species,
        positions: positions[k].view(),
        energies: energies[k].as_ref().map(|energies| energies.view()),
    };
    let floor = molecule.figures(&half(0), &half(1), options)?;
    Ok(Evaluation {
        samples: samples.positions.dim().0,
        reference: frames,
        symmetry_order: molecule.group.as_ref().map(|group| group.order()),
        figures: molecule.figures(samples, reference, options)?,
        floor,
    })
}
