//! Labels: energies and forces of frames from a potential, in memory and in files.

use std::path::Path;

use serde::Deserialize;

use super::potential::Handle;
use super::progress::{tell, Ear};
use super::{json, settings};
use crate::dataset::{Dataset, Source};
use crate::label::{self, output, Labeling, Settings};
use crate::{Error, Result};

/// Frames that are labelled between two looks at the progress.
const BATCH: usize = 256;
const STAGE: &std::ffi::CStr = c"labeling";

/// Energies and forces of all frames, in place of those they have. After a failure the dataset is as it was, and the
/// potential keeps what is done for the next call.
pub(crate) fn in_memory(data: &mut Dataset, potential: &mut Handle, ear: Ear) -> Result<()> {
    let total = data.len() as u64;
    potential.check()?;
    let Handle { potential, kept, .. } = potential;
    let progress = &mut |done: usize| tell(ear, STAGE, done as u64, total);
    let (energies, forces) = label::in_memory(data, potential.as_mut(), kept, BATCH, progress)?;
    let velocities = data.velocities.take();
    let positions = std::mem::take(&mut data.positions);
    let masses = std::mem::take(&mut data.masses);
    // Made anew, so that the digest is that of the labels.
    let mut labelled =
        Dataset::from_arrays(data.species.clone(), positions, Some(forces), Some(energies), velocities)?;
    labelled.masses = masses;
    labelled.source = Source { digest: labelled.source.digest, ..data.source.clone() };
    *data = labelled;
    Ok(())
}

/// The frames that the last labeling in memory by this potential had done when it failed or was stopped, with their labels.
pub(crate) fn done(data: &Dataset, potential: &Handle) -> Result<Dataset> {
    potential.kept.dataset(data)?.ok_or_else(|| {
        Error::Unsupported(
            "the potential keeps no labels of these frames: it does after a labeling of them that failed or was stopped, \
             until they are labelled"
                .into(),
        )
    })
}

/// How to label into a file, as the command line's options of the same names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    batch: Option<usize>,
    #[serde(default)]
    skip_failing: bool,
}

/// Writes the frames with their labels to a file, as `boltzdrift label` does, and says what was done as JSON. What is done
/// lies in `PATH.partial` until the file is whole: the next call with the same frames and potential goes on there.
pub(crate) fn to_file(
    data: &Dataset,
    potential: &mut Handle,
    path: &str,
    settings_of: Option<&str>,
    ear: Ear,
) -> Result<String> {
    let given: Given = settings(settings_of)?;
    potential.check_named()?;
    let potential = potential.usable()?;
    let (path, partial) = (Path::new(path), output::partial(Path::new(path)));
    output::check(data, path)?;
    let batch = given.batch.unwrap_or(Settings::default().batch);
    let settings = Settings { batch, skip_failing: given.skip_failing };
    let labeling = Labeling::new(data, potential, &partial, settings)?;
    let before = labeling.progress().done;
    let labelled = labeling.run(&mut |now| {
        tell(ear, STAGE, now.done as u64, now.total as u64).map_err(|_| {
            Error::Interrupted(format!(
                "labeling was stopped by the progress function after {} of {} frames, kept in {}; the same call goes on",
                now.done,
                now.total,
                partial.display()
            ))
        })
    })?;
    if let Some(left_out) = labelled.left_out() {
        log::warn!("{}: {left_out}", path.display());
    }
    let (frames, left_out) = (labelled.len(), labelled.failing());
    let difference = labelled.save(path)?;
    json(&serde_json::json!({
        "frames": frames,
        "kept_before": before,
        "left_out": left_out,
        "difference": difference,
    }))
}
