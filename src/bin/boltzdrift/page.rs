//! The page that `train --report` writes.

use std::path::Path;

use boltzdrift::dataset::{Dataset, Source};
use boltzdrift::metrics::Options;
use boltzdrift::report::html::{self, Input, Side, Training};
use boltzdrift::sampler::{Model, Sampler};
use boltzdrift::train::{draw, quality, Trainer};
use boltzdrift::Result;
use serde_json::Value;

use crate::terminal::{command, warnings};

/// Samples of the finished sampler against the frames it was trained on, with how the training went.
pub fn write(
    path: &Path,
    trainer: &Trainer,
    data: &Dataset,
    weights: Option<&[f64]>,
    model: Model,
    temperature: Option<f64>,
) -> Result<()> {
    let facts = facts(trainer, data, &model.record.calibration);
    let seed = trainer.settings().seed;
    // Those that the sampler's record has the figures of.
    let positions = Sampler::new(model)?.sample(seed, 0, quality::FIGURE_SAMPLES)?;
    let frames = positions.dim().0;
    let samples = Dataset {
        species: data.species.clone(),
        masses: data.masses.clone(),
        positions,
        forces: None,
        energies: None,
        velocities: None,
        source: Source {
            path: format!("seed {seed}").into(),
            frames: (0..frames).collect(),
            warnings: Vec::new(),
            ..data.source.clone()
        },
    };
    let seen = weights.map(|weights| draw::resample(data, weights, seed)).transpose()?;
    let page = html::page(&Input {
        sides: vec![Side { name: "samples", data: &samples }],
        reference: Side { name: "training frames", data: seen.as_ref().unwrap_or(data) },
        options: Options::default(),
        temperature,
        training: Some(Training { facts, losses: trainer.losses().to_vec() }),
        warnings: warnings(),
        command: command(),
    })?;
    page.save(path)
}

/// Settings, costs and stages by name.
fn facts(trainer: &Trainer, data: &Dataset, record: &Value) -> Vec<(String, String)> {
    let settings = trainer.settings();
    let mut out = Vec::new();
    let mut add = |name: &str, value: String| out.push((name.to_owned(), value));
    let number = |value: &Value| value.as_f64().map_or_else(|| "not known".into(), |x| format!("{x:.4}"));
    if let Some(debias) = record["debias"].as_str() {
        add(
            "equilibration before training",
            format!("--debias {debias}, of {} frames", record["data_frames"]),
        );
    }
    let fit = &record["fit"];
    if fit.is_object() {
        let held = &fit["held_out"];
        add(
            "fitted force field",
            format!(
                "on {} frames held out: forces off by {} kcal/mol/angstrom (mean absolute), of {} rms; energies by {} kcal/mol \
                 rms",
                held["frames"],
                number(&held["force_mae"]),
                number(&held["rms_force"]),
                number(&held["energy_rmse"])
            ),
        );
    }
    let pool = &record["equilibration"];
    if pool.is_object() {
        let verdict = if pool["converged"].as_bool() == Some(true) { "converged" } else { "NOT converged" };
        add(
            "equilibrated states",
            format!(
                "{verdict} after {} evaluations of the potential; accepted {:.0} %; energy {} +- {} kcal/mol",
                pool["evaluations"],
                100.0 * pool["acceptance"].as_f64().unwrap_or(f64::NAN),
                number(&pool["mean_energy"]),
                number(&pool["energy_width"])
            ),
        );
    }
    let amplitude = &record["amplitude"];
    if let Some(factor) = amplitude["factor"].as_f64() {
        add(
            "amplitude of the noise",
            format!(
                "times {factor:.3}; the 5 to 95 % points of the samples' energies are within {} kcal/mol of the states', {} before, \
                 standard error {}",
                number(&amplitude["after"]),
                number(&amplitude["before"]),
                number(&amplitude["error"])
            ),
        );
    } else if let Some(why) = amplitude["left"].as_str() {
        add("amplitude of the noise", format!("left as it is: {why}"));
    }
    if let Some(effective) = record["weights"]["effective"].as_f64() {
        add("weights by mean force", format!("{:.0} % of the frames count", 100.0 * effective));
    }
    add("learned from", format!("{} frames of {} atoms", data.len(), data.atoms()));
    add("method", settings.method.to_string());
    add("steps", format!("{} in {:.0} s, batch {}", trainer.step(), trainer.seconds(), settings.batch));
    add("seed", settings.seed.to_string());
    add(
        "judged against",
        "the frames it learned from: whether these are right, only a run that was not trained on can tell \
         (boltzdrift evaluate --report)"
            .into(),
    );
    out
}
