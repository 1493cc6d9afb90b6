//! The amplitude of a sampler's noise, by the energies of its samples.
//!
//! What a training leaves is by chance a little too wide or too narrow. The latent noise enters the generator by its first
//! layer alone, so that this layer times s is the generator of s times the noise, whose samples all spread a little more or
//! less. One number is then enough to bring the energies near to those of the states that were learned.

use ndarray::{s, Array1, Array3, ArrayView1};
use serde::Serialize;

use crate::metrics::{quantile, sorted};
use crate::potential::Potential;
use crate::sampler::{Model, Sampler};
use crate::{Error, Result};

/// Samples whose energies are compared. Their seed is one that users hardly take: what is found must not be the noise of
/// theirs.
const SAMPLES: usize = 40_000;
const SEED: u64 = u64::MAX;
/// Factors that are tried, and the step between those among them that are reckoned.
const FACTORS: [f64; 5] = [0.94, 0.97, 1.0, 1.03, 1.06];
const STEP: f64 = 1e-3;
/// Percentiles that are compared: the tails beyond may hold a sample without a finite energy.
const PERCENTILES: std::ops::RangeInclusive<usize> = 1..=19;
/// Samples that the potential is given at a time.
const BATCH: usize = 1024;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Amplitude {
    /// What the noise is multiplied by; 1 where nothing does better.
    pub factor: f64,
    /// The largest difference of the 5, 10, ... 95 % points of the energies from those of the states, before and after,
    /// kcal/mol.
    pub before: f64,
    /// See `before`.
    pub after: f64,
}

/// Multiplies the noise of a model so that the energies of its samples under `potential` are as near as can be to those of the
/// states that it learned, `energies` (M) in kcal/mol. Takes up to 240,000 evaluations.
///
/// # Errors
/// [`Error::Numeric`] where there are no energies, or too many samples have none that is finite; as [`Sampler::sample`];
/// whatever the potential fails with. The model is then as it was.
pub fn amplitude(
    model: &mut Model,
    potential: &mut dyn Potential,
    energies: ArrayView1<f64>,
) -> Result<Amplitude> {
    let known: Vec<f64> = energies.iter().copied().filter(|energy| energy.is_finite()).collect();
    if known.len() < 2 {
        return Err(Error::Numeric("the states have no energies to compare with; label them".into()));
    }
    let aim = points(&sorted(&[&known]));
    let mut differences = |factor: f64| -> Result<Vec<f64>> {
        let found = points(&sorted(&[&sample(&scaled(model, factor), potential)?]));
        let differences: Vec<f64> = found.iter().zip(&aim).map(|(a, b)| a - b).collect();
        match differences.iter().all(|difference| difference.is_finite()) {
            true => Ok(differences),
            false => Err(Error::Numeric(
                "too many of the samples have no finite energy under the potential; train for more steps"
                    .into(),
            )),
        }
    };
    let tried = FACTORS.iter().map(|&factor| differences(factor)).collect::<Result<Vec<_>>>()?;
    let before = largest(&tried[FACTORS.len() / 2]);
    let (mut factor, mut least) = (1.0, before);
    for (pair, ends) in tried.windows(2).zip(FACTORS.windows(2)) {
        let steps = ((ends[1] - ends[0]) / STEP).round();
        for k in 0..=steps as usize {
            let t = k as f64 / steps;
            let between: Vec<f64> = pair[0].iter().zip(&pair[1]).map(|(a, b)| a + t * (b - a)).collect();
            if largest(&between) < least {
                (factor, least) = (ends[0] + t * (ends[1] - ends[0]), largest(&between));
            }
        }
    }
    if factor != 1.0 {
        let after = largest(&differences(factor)?);
        if after < before {
            *model = scaled(model, factor);
            return Ok(Amplitude { factor, before, after });
        }
    }
    Ok(Amplitude { factor: 1.0, before, after: before })
}

/// The model of `factor` times its noise.
fn scaled(model: &Model, factor: f64) -> Model {
    let mut model = model.clone();
    if let Some(first) = model.layers.first_mut() {
        first.weight.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * factor) as f32);
    }
    model
}

/// Energies of samples; infinite where there is none.
fn sample(model: &Model, potential: &mut dyn Potential) -> Result<Vec<f64>> {
    let positions = Sampler::new(model.clone())?.sample(SEED, 0, SAMPLES)?;
    let mut energies = Vec::with_capacity(SAMPLES);
    let batch = BATCH.min(potential.largest_batch()).max(1);
    for first in (0..SAMPLES).step_by(batch) {
        let some = positions.slice(s![first..SAMPLES.min(first + batch), .., ..]);
        let (mut e, mut f) = (Array1::zeros(some.dim().0), Array3::zeros(some.dim()));
        potential.energies_forces(&model.record.species, some, e.view_mut(), f.view_mut())?;
        energies.extend(e.iter().map(|&energy| if energy.is_finite() { energy } else { f64::INFINITY }));
    }
    Ok(energies)
}

fn points(ascending: &[f64]) -> Vec<f64> {
    PERCENTILES.map(|k| quantile(ascending, k as f64 / 20.0)).collect()
}

fn largest(differences: &[f64]) -> f64 {
    differences.iter().fold(0.0, |largest, difference| f64::max(largest, difference.abs()))
}
