//! `train --potential`: frames labelled by a potential before a training that needs forces.

use std::path::{Path, PathBuf};

use boltzdrift::dataset::Dataset;
use boltzdrift::label::{Labeling, Settings};
use boltzdrift::potential::Spec;
use boltzdrift::train::checkpoint::Checkpoint;
use boltzdrift::{Error, Result};
use serde_json::{json, Value};

use crate::label;
use crate::terminal::say;

/// Where the labels of a training are kept until its sampler is written: a stopped training that goes on, or the same
/// command after a kill, asks the potential for no frame twice.
pub fn beside(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".labels");
    PathBuf::from(name)
}

/// The frames with the potential's energies and forces in place of their own, and what the sampler's record says of it.
pub fn labelled(
    data: &Dataset,
    spec: &Spec,
    kept: &Path,
    skip_failing: bool,
    quiet: bool,
) -> Result<(Dataset, Value)> {
    let mut potential = spec.open()?;
    let settings = Settings { skip_failing, ..Settings::default() };
    let labeling = Labeling::new(data, potential.as_mut(), kept, settings)?;
    let labelled = label::finish(labeling, kept, quiet)?;
    if let Some(left_out) = labelled.left_out() {
        log::warn!("{}: {left_out}", data.source.name());
    }
    let own = labelled.dataset()?;
    if !quiet {
        say(&format!(
            "energies and forces of {} frames by {}, kept in {} until the sampler is written",
            own.len(),
            potential.name(),
            kept.display()
        ))?;
    }
    let record = json!({
        "potential": potential.name(),
        "identity": potential.identity(),
        "data_digest": data.source.digest,
        "data_frames": data.len(),
    });
    Ok((own, record))
}

/// Adds how the frames were labelled to how they were made Boltzmann.
pub fn recorded(calibration: Value, labels: Option<Value>) -> Value {
    match (calibration, labels) {
        (calibration, None) => calibration,
        (Value::Object(mut all), Some(labels)) => {
            all.insert("labels".into(), labels);
            Value::Object(all)
        }
        (_, Some(labels)) => json!({ "debias": "none", "labels": labels }),
    }
}

/// Refuses a checkpoint of other labels.
///
/// # Errors
/// [`Error::Usage`] where the frames that the run was started with are not these.
pub fn same_as(checkpoint: &Checkpoint, data: &Dataset) -> Result<()> {
    if checkpoint.state.data_digest == data.source.digest {
        return Ok(());
    }
    Err(Error::usage(
        "the checkpoint belongs to other frames, or to other labels of them; give the trajectory, the reading options and \
         the --potential that it was started with",
    ))
}
