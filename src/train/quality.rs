//! A trained sampler with the figures of its own quality.

use super::{draw, Trainer};
use crate::dataset::Dataset;
use crate::metrics::{self, Ensemble, Evaluation};
use crate::sampler::{Model, Sampler};
use crate::{Error, Result};

/// Samples drawn for the figures in the sampler's record.
pub const FIGURE_SAMPLES: usize = 5000;

/// The sampler that a training gave ([`Trainer::export`]), and in its record the figures of its samples against the frames it was trained on (drawn
/// with their weights where they have any).
///
/// # Errors
/// As [`Sampler::sample`] and [`metrics::evaluate`].
pub fn with_figures(
    trainer: &Trainer,
    model: Model,
    data: &Dataset,
    weights: Option<&[f64]>,
) -> Result<(Model, Evaluation)> {
    let sampler = Sampler::new(model)?;
    let seed = trainer.settings().seed;
    let samples = sampler.sample(seed, 0, FIGURE_SAMPLES)?;
    let ours = Ensemble { species: &data.species, positions: samples.view(), energies: None };
    let seen = weights.map(|weights| draw::resample(data, weights, seed)).transpose()?;
    let seen = seen.as_ref().unwrap_or(data);
    let figures = metrics::evaluate(&ours, &Ensemble::from(seen), &metrics::Options::default())?;
    let mut model = sampler.model().clone();
    model.record.figures =
        serde_json::to_value(&figures).map_err(|error| Error::Numeric(error.to_string()))?;
    Ok((model, figures))
}
