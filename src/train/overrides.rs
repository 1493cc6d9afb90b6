//! Settings as a user gives them: each optional, from a file and from the command line.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::method::{Method, Scale, Space};
use crate::drift::kernel::{Alignment, Kernel};
use crate::error::Place;
use crate::molecule::metric::Metric;
use crate::{Error, Result};

/// Settings as a user gives them, each optional: from a TOML or JSON file, and from the command line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// Method.
    pub method: Option<Method>,
    /// Temperature of the data in kelvin, recorded in the sampler.
    pub temperature: Option<f64>,
    /// Optimizer steps.
    pub steps: Option<usize>,
    /// Seed of weights, noise and batches.
    pub seed: Option<u64>,
    /// Generated samples of a step.
    pub batch: Option<usize>,
    /// Data frames of a step (kernel methods; the sliced drift takes as many as it generates).
    pub positives: Option<usize>,
    /// Learning rate at the start; it falls to 0 along a cosine.
    pub learning_rate: Option<f64>,
    /// Latent noise dimension.
    pub noise: Option<usize>,
    /// Units of each hidden layer.
    pub width: Option<usize>,
    /// Hidden layers.
    pub depth: Option<usize>,
    /// Random lines of whitened distances a step (sliced).
    pub lines: Option<usize>,
    /// Random lines of each rotatable bond's harmonics, and of all jointly, a step (sliced).
    pub torsion_lines: Option<usize>,
    /// Weight of the whitened distances' length beside the lines, in lines (sliced); 0 where absent.
    pub size_weight: Option<f64>,
    /// Force interpolation weight (fi).
    pub omega: Option<f64>,
    /// Force alignment strength (fk).
    pub gamma: Option<f64>,
    /// Space of the kernel methods.
    pub space: Option<Space>,
    /// Bandwidth in units of the coordinates' standard deviation (kernel methods). Where absent the median distance
    /// of frames in distance space, and 1 in Cartesian space.
    pub tau: Option<f64>,
    /// `gaussian` or `laplace` (drift).
    pub kernel: Option<Kernel>,
    /// `exact` or `naive` feature forces (fi, fk in distance space).
    pub projection: Option<String>,
    /// `scaled` or `physical` force terms (fi, fk). Where absent scaled in distance space, physical in Cartesian space.
    pub normalization: Option<Scale>,
    /// Whether gamma weighs by `force` or by `energy` (fk).
    pub alignment: Option<Alignment>,
    /// Metric term of the forces: `none`, `printed` (Eq. 37) or `full` (fi, fk in distance space).
    pub metric: Option<Metric>,
    /// Leave each generated point out of its own repulsion (kernel methods).
    pub exclude_self: Option<bool>,
    /// One softmax over data and generated points together, along both axes (kernel methods).
    pub joint_softmax: Option<bool>,
    /// Several bandwidths, as factors of tau (kernel methods).
    pub bandwidths: Option<Vec<f64>>,
    /// Each bandwidth's field over its root mean square (kernel methods).
    pub normalize_field: Option<bool>,
    /// A control: forces, turned with their frames or carried to pair distances, go to other frames at random (fi, fk). What is
    /// gained with them is not due to the forces.
    pub placebo: Option<bool>,
    /// Turn every frame, and its forces with it, onto the middle one (Cartesian space); true where absent. Without, frames
    /// are centered only: for a window so short that the molecule hardly turns in it, as the paper's.
    pub superpose: Option<bool>,
}

macro_rules! later_wins {
    ($first:expr, $second:expr, $($field:ident),*) => {
        Overrides { $($field: $second.$field.or($first.$field)),* }
    };
}

impl Overrides {
    /// Reads a TOML file, or JSON where the name ends in `.json`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Data`] for an unknown key or a wrong value.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, "cannot read", error))?;
        let parsed = if path.extension().is_some_and(|e| e == "json") {
            serde_json::from_str(&text).map_err(|error| error.to_string())
        } else {
            toml::from_str(&text).map_err(|error| error.message().to_owned())
        };
        parsed.map_err(|message| {
            Error::data(Place::file(path), format!("{}; correct the setting", message.replace('\n', " ")))
        })
    }

    /// These settings with those of `other` laid over them.
    pub fn or_newer(self, other: Overrides) -> Overrides {
        later_wins!(
            self,
            other,
            method,
            temperature,
            steps,
            seed,
            batch,
            positives,
            learning_rate,
            noise,
            width,
            depth,
            lines,
            torsion_lines,
            size_weight,
            omega,
            gamma,
            space,
            tau,
            kernel,
            projection,
            normalization,
            alignment,
            metric,
            exclude_self,
            joint_softmax,
            bandwidths,
            normalize_field,
            placebo,
            superpose
        )
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Overrides::default()
    }
}
