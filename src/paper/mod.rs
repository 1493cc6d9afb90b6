//! The experiments of "Drifting to Boltzmann" (2026): every row of its Tables 3 and 4, trained and evaluated on a
//! trajectory, with the paper's own figures beside ours.

pub mod relabel;
pub mod rows;
mod run;

use std::path::Path;

use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};

pub use rows::{rows, Kind, Published, Row};
pub use run::{run, Experiment};

use crate::dataset::Dataset;
use crate::files::write_atomically;
use crate::metrics::{self, Ensemble, Figures};
use crate::train::{FieldFigures, Settings};
use crate::{Error, Result};

/// What is kept of one row and seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Name of the row.
    pub row: String,
    /// Seed.
    pub seed: u64,
    /// What it was trained with.
    pub protocol: Protocol,
    /// Bandwidth and force norm of a drifting row.
    pub field: Option<FieldNumbers>,
    /// Figures against the reference.
    pub figures: Columns,
    /// Seconds of training.
    pub train_seconds: f64,
    /// Seconds for 1,000 samples.
    pub sample_seconds: f64,
    /// Where it was trained.
    #[serde(default = "cpu")]
    pub device: String,
}

/// Where results were trained that do not say.
fn cpu() -> String {
    "CPU".into()
}

/// What a result depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// Digest of the training frames.
    pub data: String,
    /// Digest of the reference.
    pub reference: String,
    /// Samples drawn for the figures.
    pub samples: usize,
    /// Settings of a drifting row.
    pub settings: Option<Settings>,
    /// Settings of a diffusion row.
    pub diffusion: Option<serde_json::Value>,
}

/// [`FieldFigures`] as they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FieldNumbers {
    /// Bandwidth.
    pub tau: f64,
    /// Mean norm of the forces.
    pub force_norm: Option<f64>,
    /// Their ratio to kT (Eq. 33).
    pub scale_ratio: Option<f64>,
}

impl From<FieldFigures> for FieldNumbers {
    fn from(FieldFigures { tau, force_norm, scale_ratio, .. }: FieldFigures) -> Self {
        FieldNumbers { tau, force_norm, scale_ratio }
    }
}

/// The columns of Tables 3 and 4, and those that show what they hide.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Columns {
    /// Mean absolute difference of the density of h(r), 1/angstrom.
    pub mae: f64,
    /// Total variation of h(r).
    pub tvd: f64,
    /// Wasserstein-2 distance of h(r), angstrom.
    pub w2: f64,
    /// Share of samples with every distance within 0.5 angstrom of its mean in the reference.
    pub stability: f64,
    /// Mean over bonds and samples of the deviation from the bond's mean in the reference, angstrom.
    pub bond_mae: Option<f64>,
    /// Deviation of the bonds' means from those in the reference, mean over bonds, angstrom. Absent from results kept before
    /// it was a column.
    #[serde(default)]
    pub bond_mae_mean: Option<f64>,
    /// Share of samples with every bond within 0.5 angstrom of its mean.
    pub bond_stability: Option<f64>,
    /// Width of the bonds over their width in the reference.
    pub bond_sigma: Option<f64>,
    /// Total variation of each pair's own histogram, mean over pairs.
    pub pair_tvd: f64,
    /// `bond_mae` once equal atoms are relabeled to fit best.
    pub bond_mae_relabeled: Option<f64>,
    /// `bond_stability` once equal atoms are relabeled to fit best.
    pub bond_stability_relabeled: Option<f64>,
    /// Samples whose labels are the best of those tried, not of all.
    #[serde(default)]
    pub relabeling_given_up: usize,
}

impl Columns {
    /// Of samples (N, n, 3) in angstrom against a reference, and those of two halves of the reference.
    ///
    /// # Errors
    /// As [`metrics::evaluate`].
    pub fn of(positions: &Array3<f64>, reference: &Dataset) -> Result<(Columns, Figures)> {
        let options = metrics::Options { symmetry: false, ..metrics::Options::default() };
        let evaluate = |positions: &Array3<f64>| {
            let ensemble =
                Ensemble { species: &reference.species, positions: positions.view(), energies: None };
            metrics::evaluate(&ensemble, &Ensemble { energies: None, ..Ensemble::from(reference) }, &options)
        };
        let found = evaluate(positions)?;
        let (relabeled, relabeling_given_up) = relabel::relabeled(positions, reference);
        let relabeled = evaluate(&relabeled)?.figures;
        let figures = found.figures;
        Ok((
            Columns {
                mae: figures.mae,
                tvd: figures.tvd,
                w2: figures.w2,
                stability: figures.stability,
                bond_mae: figures.bond_mae_sample,
                bond_mae_mean: figures.bond_mae_mean,
                bond_stability: figures.bond_stability,
                bond_sigma: figures.bond_sigma,
                pair_tvd: figures.pair_tvd,
                bond_mae_relabeled: relabeled.bond_mae_sample,
                bond_stability_relabeled: relabeled.bond_stability,
                relabeling_given_up,
            },
            found.floor,
        ))
    }
}

/// What the frames themselves reach, below which no row can be asked to get.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Frames {
    /// The training frames against the reference.
    pub training_frames: Columns,
    /// One half of the reference, every other frame, against the other.
    pub reference_halves: Columns,
}

impl Frames {
    /// Of training frames and reference.
    ///
    /// # Errors
    /// As [`Columns::of`].
    pub fn of(data: &Dataset, reference: &Dataset) -> Result<Self> {
        let (even, odd): (Vec<usize>, Vec<usize>) = (0..reference.len()).partition(|frame| frame % 2 == 0);
        Ok(Frames {
            training_frames: Columns::of(&data.positions, reference)?.0,
            reference_halves: Columns::of(
                &reference.positions.select(Axis(0), &even),
                &reference.subset(&odd)?,
            )?
            .0,
        })
    }

    /// Keeps them as `frames.json` beside the rows.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::Numeric(error.to_string()))?;
        write_atomically(&folder.join("frames.json"), text.as_bytes())
    }
}
