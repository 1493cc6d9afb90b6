//! The stages from frames to a sampler: fit, equilibrate, train.

use std::ffi::{c_char, c_void};

use serde_json::Value;

use super::arguments::{changing, give_json, object, place, settings};
use super::guarded;
use super::log::{Ear, ProgressFunction};
use super::potential::Handle;
use crate::dataset::Dataset;
use crate::equilibrate::{trust, Continue, Equilibration, Settings};
#[cfg(feature = "train")]
use crate::potential::Potential;
use crate::sampler::Sampler;
use crate::{Error, Result};

/// Settings of an equilibration from a JSON object: `temperature` is needed, everything else has its default.
fn equilibration(given: Value) -> Result<(Settings, bool)> {
    let Value::Object(mut given) = given else {
        return Err(Error::usage("settings: give a JSON object with \"temperature\" in kelvin"));
    };
    let accept_fit = given.remove("accept_fit").is_some_and(|value| value == Value::Bool(true));
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
    Ok((settings, accept_fit))
}

/// States equilibrated with a potential, started from the frames of a trajectory.
///
/// # Safety
/// `dataset` is NULL or live; `potential` is NULL or live and used by this call alone; `settings` is NULL or
/// NUL-terminated; `progress` is NULL or may be called with `user_data`; `states` is NULL or valid for a write, and so is
/// `report`.
#[no_mangle]
pub unsafe extern "C" fn bzd_equilibrate(
    dataset: *const Dataset,
    potential: *mut Handle,
    settings_of: *const c_char,
    progress: Option<ProgressFunction>,
    user_data: *mut c_void,
    states: *mut *mut Dataset,
    report: *mut *mut c_char,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (states, data, potential, given) = unsafe {
            (
                place(states, "states")?,
                object(dataset, "dataset")?,
                changing(potential, "potential")?,
                settings::<Value>(settings_of)?,
            )
        };
        let potential = potential.0.as_mut();
        let (settings, accept_fit) = equilibration(given)?;
        let kelvin = settings.temperature;
        if let Some(fit) = potential.fit_report().filter(|_| !accept_fit) {
            trust::check_fit(fit, kelvin)?;
        }
        let ear = Ear::new(progress, user_data);
        let pool = Equilibration::new(data, settings)?.run(potential, None, &mut |now| {
            let worst = now.worst.as_ref().map_or(f64::NAN, |(_, r_hat)| *r_hat);
            match ear.hears(c"equilibrating", now.evaluations, now.most_evaluations, worst) {
                true => Continue::Yes,
                false => Continue::Stop,
            }
        })?;
        if potential.region().is_some() && !accept_fit {
            trust::check_pool(pool.energies.view(), data.atoms(), &pool.report.decisions, kelvin)?;
        }
        pool.report.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        if !report.is_null() {
            // SAFETY: as promised by the caller.
            give_json(unsafe { place(report, "report") }?, &pool.report)?;
        }
        *states = Box::into_raw(Box::new(pool.dataset()?));
        Ok(())
    })
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
}

#[cfg(feature = "train")]
fn fit(data: &Dataset, settings_of: *const c_char, ear: Ear) -> Result<Box<Handle>> {
    use crate::fit::{self, Progress};
    // SAFETY: NULL or NUL-terminated, as the caller of bzd_fit promised.
    let given: Fitting = unsafe { settings(settings_of) }?;
    let base = fit::Settings::default();
    let settings = fit::Settings {
        frames: given.frames.unwrap_or(base.frames),
        sigma: given.sigma,
        ridge: given.ridge,
        memory: given.memory_gb.map(|memory| (memory * 1e9) as u64),
    };
    let mut tried = 0;
    let fitted = fit::fit(data, &settings, &mut |step| {
        tried += u64::from(matches!(step, Progress::Tried { .. }));
        ear.must_go_on(c"fitting", tried, 0, f64::NAN)
    })?;
    Ok(Box::new(Handle(Box::new(fitted.field))))
}

#[cfg(not(feature = "train"))]
fn fit(_: &Dataset, _: *const c_char, _: Ear) -> Result<Box<Handle>> {
    without_training()
}

/// A force field fitted to the forces of a trajectory.
///
/// # Safety
/// `dataset` is NULL or live; `settings` is NULL or NUL-terminated; `progress` is NULL or may be called with `user_data`;
/// `potential` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_fit(
    dataset: *const Dataset,
    settings_of: *const c_char,
    progress: Option<ProgressFunction>,
    user_data: *mut c_void,
    potential: *mut *mut Handle,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, data) = unsafe { (place(potential, "potential")?, object(dataset, "dataset")?) };
        *place = Box::into_raw(fit(data, settings_of, Ear::new(progress, user_data))?);
        Ok(())
    })
}

/// Settings of a training: those of the command line, and the device.
#[cfg(feature = "train")]
#[derive(Debug, Clone, Default, serde::Deserialize)]
struct Training {
    device: Option<String>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[cfg(feature = "train")]
fn train(data: &Dataset, settings_of: *const c_char, ear: Ear) -> Result<Sampler> {
    use crate::train::{self, device, Overrides, Trainer};
    // SAFETY: NULL or NUL-terminated, as the caller of bzd_train promised.
    let given: Training = unsafe { settings(settings_of) }?;
    let overrides: Overrides = serde_json::from_value(Value::Object(given.rest))
        .map_err(|error| Error::usage(format!("settings: {error}")))?;
    let (device, said) = device::resolve(given.device.as_deref().unwrap_or("auto").parse()?)?;
    log::info!("training on {said}");
    let mut trainer = Trainer::new(data, train::Settings::resolve(&overrides)?, device)?;
    trainer.run(
        None,
        &mut |now| match ear.hears(c"training", now.step as u64, now.steps as u64, now.loss) {
            true => train::Continue::Yes,
            false => train::Continue::Stop,
        },
    )?;
    let (model, _) = train::quality::with_figures(&trainer, data, None)?;
    Sampler::new(model)
}

#[cfg(not(feature = "train"))]
fn train(_: &Dataset, _: *const c_char, _: Ear) -> Result<Sampler> {
    without_training()
}

/// A sampler trained on the frames of a trajectory.
///
/// # Safety
/// `dataset` is NULL or live; `settings` is NULL or NUL-terminated; `progress` is NULL or may be called with `user_data`;
/// `sampler` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_train(
    dataset: *const Dataset,
    settings_of: *const c_char,
    progress: Option<ProgressFunction>,
    user_data: *mut c_void,
    sampler: *mut *mut Sampler,
) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (place, data) = unsafe { (place(sampler, "sampler")?, object(dataset, "dataset")?) };
        *place = Box::into_raw(Box::new(train(data, settings_of, Ear::new(progress, user_data))?));
        Ok(())
    })
}
