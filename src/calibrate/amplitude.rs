//! The amplitude of a sampler's noise, by the energies of its samples.
//!
//! What a training leaves is by chance a little too wide or too narrow. The latent noise enters the generator by its first
//! layer alone, so that this layer times s is the generator of s times the noise, whose samples all spread a little more or
//! less. One number is then enough to bring the energies near to those of the states that were learned.

use ndarray::{s, Array1, Array3, ArrayView1, ArrayView3};
use serde::Serialize;

use crate::metrics::{quantile, sorted};
use crate::potential::Potential;
use crate::sampler::{Model, Sampler};
use crate::{Error, Result};

/// Samples whose energies are compared, drawn twice: once to choose a factor, once to say what it does. Their seed is one that
/// users hardly take: what is found must not be the noise of theirs.
const SAMPLES: usize = 40_000;
const SEED: u64 = u64::MAX;
/// Factors that are tried, and the step between those among them that are reckoned.
const FACTORS: [f64; 5] = [0.94, 0.97, 1.0, 1.03, 1.06];
const ONE: usize = 2;
const STEP: f64 = 1e-3;
/// Evaluations that all of this takes.
pub const EVALUATIONS: u64 = (SAMPLES * (FACTORS.len() + 1)) as u64;
/// Percentiles that are compared: the tails beyond may hold a sample without a finite energy.
const PERCENTILES: std::ops::RangeInclusive<usize> = 1..=19;
/// Samples that the potential is given at a time.
const BATCH: usize = 1024;
/// More samples than this outside the potential's region are not the sampler that is to be judged.
const MOST_OUTSIDE: f64 = 0.2;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Amplitude {
    /// What the noise is multiplied by; 1 where nothing does better.
    pub factor: f64,
    /// The largest difference of the 5, 10, ... 95 % points of the energies from those of the states, before and after, of
    /// different samples, kcal/mol.
    pub before: f64,
    /// See `before`.
    pub after: f64,
    /// The largest standard error of one of these differences, by so many independent states and samples: what is no larger is left
    /// as it is.
    pub error: f64,
    /// Whether the best factor lies outside the range that is tried, so that the noise is left as it is.
    pub beyond: bool,
}

/// Multiplies the noise of a model so that the energies of its samples under `potential` are as near as can be to those of the
/// states that it learned, `energies` (M) in kcal/mol, of which `independent` are independent. Samples outside the potential's
/// region, where no state is, do not count. `progress` hears of the evaluations done, of at most
/// [`EVALUATIONS`].
///
/// # Errors
/// [`Error::Numeric`] where there are no energies, or too many samples have none that is finite, or are outside the region; as
/// [`Sampler::sample`]; whatever the potential fails with on a whole batch and on each sample of it, and `progress` says. The
/// model is then as it was.
pub fn amplitude(
    model: &mut Model,
    potential: &mut dyn Potential,
    energies: ArrayView1<f64>,
    independent: f64,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Amplitude> {
    let known: Vec<f64> = energies.iter().copied().filter(|energy| energy.is_finite()).collect();
    if known.len() < 2 {
        return Err(Error::Numeric("the states have no energies to compare with; label them".into()));
    }
    let known = sorted(&[&known]);
    let aim = points(&known);
    // That of a difference of two means is that of so many as both are worth together.
    let worth = 1.0 / (1.0 / independent.clamp(1.0, known.len() as f64) + 1.0 / SAMPLES as f64);
    let error = standard_error(&known, worth);
    let mut done = 0;
    let mut differences = |factor: f64, first: u64| -> Result<Vec<f64>> {
        let model = scaled(model, factor);
        let found = sample(&model, potential, first, &mut |count| {
            done += count;
            progress(done)
        })?;
        Ok(points(&found).iter().zip(&aim).map(|(a, b)| a - b).collect())
    };
    let tried = FACTORS.iter().map(|&factor| differences(factor, 0)).collect::<Result<Vec<_>>>()?;
    let before = largest(&tried[ONE]);
    if !before.is_finite() {
        return Err(Error::Numeric(
            "too many of the samples have no finite energy under the potential; train for more steps".into(),
        ));
    }
    let mut found = Amplitude { factor: 1.0, before, after: before, error, beyond: false };
    if before <= error {
        return Ok(found);
    }
    let factor = best(&tried);
    found.beyond = [FACTORS[0], FACTORS[FACTORS.len() - 1]].contains(&factor);
    if factor != 1.0 && !found.beyond {
        // Of other samples than those by which it was chosen.
        let after = largest(&differences(factor, SAMPLES as u64)?);
        if after < before {
            *model = scaled(model, factor);
            (found.factor, found.after) = (factor, after);
        }
    }
    Ok(found)
}

/// The factor whose largest difference is the least, reckoned between those tried. A factor whose samples
/// cannot be judged has differences that are not finite, and is not taken.
fn best(tried: &[Vec<f64>]) -> f64 {
    let (mut factor, mut least) = (1.0, largest(&tried[ONE]));
    for (pair, ends) in tried.windows(2).zip(FACTORS.windows(2)) {
        if !pair.iter().all(|one| largest(one).is_finite()) {
            continue;
        }
        let steps = ((ends[1] - ends[0]) / STEP).round();
        for k in 0..=steps as usize {
            let t = k as f64 / steps;
            let between: Vec<f64> = pair[0].iter().zip(&pair[1]).map(|(a, b)| a + t * (b - a)).collect();
            if largest(&between) < least {
                (factor, least) =
                    (if t == 1.0 { ends[1] } else { ends[0] + k as f64 * STEP }, largest(&between));
            }
        }
    }
    factor
}

/// The model of `factor` times its noise.
fn scaled(model: &Model, factor: f64) -> Model {
    let mut model = model.clone();
    if let Some(first) = model.layers.first_mut() {
        first.weight.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * factor) as f32);
    }
    model
}

/// Energies, ascending, of the samples from number `first` on that are in the potential's region; infinite where there is none.
fn sample(
    model: &Model,
    potential: &mut dyn Potential,
    first: u64,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Vec<f64>> {
    let positions = Sampler::new(model.clone())?.sample(SEED, first, SAMPLES)?;
    let inside: Vec<usize> = match potential.region() {
        None => (0..SAMPLES).collect(),
        Some(region) => (0..SAMPLES).filter(|&k| region.contains(positions.slice(s![k, .., ..]))).collect(),
    };
    let outside = 1.0 - inside.len() as f64 / SAMPLES as f64;
    if outside > MOST_OUTSIDE {
        return Err(Error::Numeric(format!(
            "{:.0} % of the samples are outside the region of the potential; train for more steps",
            100.0 * outside
        )));
    }
    let mut energies = Vec::with_capacity(inside.len());
    for rows in inside.chunks(BATCH.min(potential.largest_batch()).max(1)) {
        let some = positions.select(ndarray::Axis(0), rows);
        energies.extend(batch(potential, &model.record.species, some.view())?);
        progress(rows.len() as u64)?;
    }
    Ok(sorted(&[&energies]))
}

/// Energies of a batch, infinite where there is none. One sample with which the potential cannot end must not end all.
fn batch(potential: &mut dyn Potential, species: &[u8], positions: ArrayView3<f64>) -> Result<Vec<f64>> {
    let mut ask = |positions: ArrayView3<f64>| -> Result<Vec<f64>> {
        let (mut e, mut f) = (Array1::zeros(positions.dim().0), Array3::zeros(positions.dim()));
        potential.energies_forces(species, positions, e.view_mut(), f.view_mut())?;
        Ok(e.iter().map(|&energy| if energy.is_finite() { energy } else { f64::INFINITY }).collect())
    };
    let whole = ask(positions);
    let Err(Error::Potential { .. }) = whole else { return whole };
    let each: Vec<Result<Vec<f64>>> =
        (0..positions.dim().0).map(|k| ask(positions.slice(s![k..k + 1, .., ..]))).collect();
    match each.iter().any(Result::is_ok) {
        true => Ok(each.into_iter().map(|one| one.map_or(f64::INFINITY, |e| e[0])).collect()),
        false => whole,
    }
}

fn points(ascending: &[f64]) -> Vec<f64> {
    PERCENTILES.map(|k| quantile(ascending, k as f64 / 20.0)).collect()
}

/// The largest standard error of the points of so many independent numbers: the numbers beside a point, a standard error of their
/// rank away.
fn standard_error(ascending: &[f64], independent: f64) -> f64 {
    PERCENTILES.fold(0.0, |largest, k| {
        let p = k as f64 / 20.0;
        let rank = (p * (1.0 - p) / independent).sqrt();
        let [low, high] = [p - rank, p + rank].map(|p| quantile(ascending, p.clamp(0.0, 1.0)));
        f64::max(largest, 0.5 * (high - low))
    })
}

/// Not finite where one of them is not.
fn largest(differences: &[f64]) -> f64 {
    differences.iter().fold(0.0, |largest, difference| match difference.is_finite() {
        true => f64::max(largest, difference.abs()),
        false => f64::INFINITY,
    })
}
