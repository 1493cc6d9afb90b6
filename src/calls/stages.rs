//! The stages from frames to a sampler: fit, equilibrate, train.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::potential::Handle;
use super::progress::{Ear, Now};
use super::{json, settings};
use crate::dataset::Dataset;
use crate::equilibrate::{trust, Checkpoint, Continue, Equilibration, Settings};
use crate::sampler::Sampler;
use crate::{Error, Result};

/// Iterations between the checkpoints of an equilibration.
const CHECKPOINT_EVERY: u64 = 100;

/// How to equilibrate, whether with a fit that would be refused, and where what is done is kept.
struct Equilibrating {
    settings: Settings,
    accept_fit: bool,
    kept: Option<PathBuf>,
}

/// Settings of an equilibration from a JSON object: `temperature` is needed, everything else has its default.
fn equilibration(given: Value) -> Result<Equilibrating> {
    let Value::Object(mut given) = given else {
        return Err(Error::usage("settings: give a JSON object with \"temperature\" in kelvin"));
    };
    let accept_fit = match given.remove("accept_fit") {
        None => false,
        Some(Value::Bool(accepted)) => accepted,
        Some(other) => {
            return Err(Error::usage(format!("settings: accept_fit is {other}; give true or false")))
        }
    };
    let kept = match given.remove("checkpoint") {
        None => None,
        Some(Value::String(path)) if !path.is_empty() => Some(PathBuf::from(path)),
        Some(other) => {
            return Err(Error::usage(format!("settings: checkpoint is {other}; give the name of a file")))
        }
    };
    let kelvin = given.get("temperature").and_then(Value::as_f64).filter(|kelvin| *kelvin > 0.0);
    let kelvin = kelvin
        .ok_or_else(|| Error::usage("settings: \"temperature\" is missing or not positive; give kelvin"))?;
    let mut all =
        serde_json::to_value(Settings::at(kelvin)).map_err(|error| Error::Numeric(error.to_string()))?;
    for (name, value) in given {
        match all.get_mut(&name) {
            Some(place) => *place = value,
            None => {
                let known: Vec<&String> = all.as_object().into_iter().flat_map(|all| all.keys()).collect();
                return Err(Error::usage(format!("settings: '{name}' is not known; there are {known:?}")));
            }
        }
    }
    let settings: Settings =
        serde_json::from_value(all).map_err(|error| Error::usage(format!("settings: {error}")))?;
    settings.check()?;
    Ok(Equilibrating { settings, accept_fit, kept })
}

/// From the beginning, or from where the checkpoint of an earlier call stands. Its limit and whether unconverged states are
/// taken may be others.
fn begun(data: &Dataset, settings: Settings, kept: Option<&Path>) -> Result<Equilibration> {
    let Some(path) = kept.filter(|path| path.exists()) else { return Equilibration::new(data, settings) };
    let checkpoint = Checkpoint::load(path)?;
    let same =
        |given: &Settings| Settings { accept_unconverged: false, most_evaluations: 0, ..given.clone() };
    if same(checkpoint.settings()) != same(&settings) {
        return Err(Error::usage(format!(
            "{}: this checkpoint is of an equilibration with other settings; give those, or remove it to begin anew",
            path.display()
        )));
    }
    let mut run = Equilibration::resume(data, &checkpoint)?;
    run.extend(settings.most_evaluations, settings.accept_unconverged)?;
    Ok(run)
}

/// States equilibrated with a potential, started from the frames of a trajectory, and the report as JSON.
pub(crate) fn equilibrate(
    data: &Dataset,
    potential: &mut Handle,
    settings_of: Option<&str>,
    ear: Ear,
) -> Result<(Dataset, String)> {
    let Equilibrating { settings, accept_fit, kept } = equilibration(settings(settings_of)?)?;
    if kept.is_some() {
        potential.check_named()?;
    }
    let potential = potential.usable()?;
    let kelvin = settings.temperature;
    if let Some(fit) = potential.fit_report().filter(|_| !accept_fit) {
        trust::check_fit(fit, kelvin)?;
    }
    let kept = kept.as_deref();
    let checkpoint = kept.map(|path| (path, CHECKPOINT_EVERY));
    let pool = begun(data, settings, kept)?.run(potential, checkpoint, &mut |now| {
        let value = now.worst.as_ref().map_or(f64::NAN, |(_, r_hat)| *r_hat);
        match ear(Now { stage: c"equilibrating", done: now.evaluations, total: now.most_evaluations, value })
        {
            true => Continue::Yes,
            false => Continue::Stop,
        }
    })?;
    if potential.region().is_some() && !accept_fit {
        trust::check_pool(pool.energies.view(), data.atoms(), &pool.report.own, kelvin)?;
    }
    pool.report.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    let made = (pool.dataset()?, json(&pool.report)?);
    if let Some(path) = kept.filter(|path| path.exists()) {
        std::fs::remove_file(path)
            .map_err(|error| Error::io(path, "cannot remove the finished checkpoint", error))?;
    }
    Ok(made)
}

/// What this build cannot do.
#[cfg(not(feature = "train"))]
fn without_training<T>() -> Result<T> {
    Err(Error::Unsupported(
        "this build of boltzdrift only samples; link the full library to fit and to train".into(),
    ))
}

/// What a fit may be told.
#[cfg(feature = "train")]
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Fitting {
    frames: Option<usize>,
    sigma: Option<f64>,
    ridge: Option<f64>,
    memory_gb: Option<f64>,
    plain: Option<bool>,
}

/// A force field fitted to the forces of a trajectory.
#[cfg(feature = "train")]
pub(crate) fn fit(data: &Dataset, settings_of: Option<&str>, ear: Ear) -> Result<Handle> {
    use super::progress::tell;
    use crate::fit::{self, Progress};
    super::process::not_in_a_child("fitting")?;
    let given: Fitting = settings(settings_of)?;
    let base = fit::Settings::default();
    let settings = fit::Settings {
        frames: given.frames.unwrap_or(base.frames),
        sigma: given.sigma,
        ridge: given.ridge,
        memory: given.memory_gb.map(|memory| (memory * 1e9) as u64),
        plain: given.plain.unwrap_or(base.plain),
    };
    let mut tried = 0;
    let fitted = fit::fit(data, &settings, &mut |step| {
        tried += u64::from(matches!(step, Progress::Tried { .. } | Progress::Weighed { .. }));
        tell(ear, c"fitting", tried, 0)
    })?;
    Ok(Handle::new(fitted.field))
}

#[cfg(not(feature = "train"))]
pub(crate) fn fit(_: &Dataset, _: Option<&str>, _: Ear) -> Result<Handle> {
    without_training()
}

/// Settings of a training: those of the command line, the device, and a folder for feature-space forces.
#[cfg(feature = "train")]
#[derive(Debug, Clone, Default, serde::Deserialize)]
struct Training {
    device: Option<String>,
    feature_cache: Option<std::path::PathBuf>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

/// A sampler trained on the frames of a trajectory.
#[cfg(feature = "train")]
pub(crate) fn train(data: &Dataset, settings_of: Option<&str>, ear: Ear) -> Result<Sampler> {
    use crate::train::{self, device, Overrides, Trainer};
    super::process::not_in_a_child("training")?;
    let given: Training = settings(settings_of)?;
    let overrides: Overrides = serde_json::from_value(Value::Object(given.rest))
        .map_err(|error| Error::usage(format!("settings: {error}")))?;
    let settings = train::Settings::resolve(&overrides)?;
    let mut kept;
    let data =
        match given.feature_cache {
            None => data,
            Some(_) if !settings.needs_feature_forces() => return Err(Error::usage(
                "settings: feature_cache is for the methods fi, fk and fi+fk in distance space; leave it out",
            )),
            Some(folder) => {
                kept = data.clone();
                kept.source.keep = crate::dataset::Keep::In(folder);
                &kept
            }
        };
    let (device, said) = device::resolve(given.device.as_deref().unwrap_or("auto").parse()?)?;
    log::info!("training on {said}");
    let mut trainer = Trainer::new(data, settings, device)?;
    let mut stopped = false;
    trainer.run(None, &mut |now| {
        let (done, total) = (now.step as u64, now.steps as u64);
        stopped = !ear(Now { stage: c"training", done, total, value: now.loss });
        match stopped {
            true => train::Continue::Stop,
            false => train::Continue::Yes,
        }
    })?;
    if stopped {
        // At the last step, where a training that keeps checkpoints would be done.
        return Err(Error::Interrupted("training was stopped by the progress function".into()));
    }
    let (model, _) = train::quality::with_figures(&trainer, trainer.export()?, data, None)?;
    Sampler::new(model)
}

#[cfg(not(feature = "train"))]
pub(crate) fn train(_: &Dataset, _: Option<&str>, _: Ear) -> Result<Sampler> {
    without_training()
}
