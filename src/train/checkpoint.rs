//! Checkpoints: everything a training run needs to go on as if nothing had happened.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::settings::Settings;
use crate::error::{one_line, Place};
use crate::sampler::file::{read_bounded, write_safetensors};
use crate::{Error, Result};

const VERSION: u32 = 1;
const ENTRIES: [&str; 4] = ["weights", "average", "first_moment", "second_moment"];

/// The state of a training run after `step` steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Settings, data and progress.
    pub state: State,
    /// Flat weights, their moving average, and Adam's two moments.
    pub tensors: [Vec<f32>; 4],
}

/// What a checkpoint says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// Settings of the run.
    pub settings: Settings,
    /// Digest of its data.
    pub data_digest: String,
    /// Digest of the weights of the frames, where the run has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_digest: Option<String>,
    /// Steps done.
    pub step: usize,
    /// Seconds spent in them.
    pub seconds: f64,
    /// (step, mean loss since the last entry).
    pub losses: Vec<(usize, f64)>,
    /// SHA-256 of the tensors.
    digest: String,
}

fn digest(tensors: &[Vec<f32>; 4]) -> String {
    let mut hash = Sha256::new();
    for value in tensors.iter().flatten() {
        hash.update(value.to_le_bytes());
    }
    format!("{:x}", hash.finalize())
}

impl Checkpoint {
    /// A checkpoint of this state.
    pub fn new(
        settings: Settings,
        data_digest: String,
        step: usize,
        seconds: f64,
        losses: Vec<(usize, f64)>,
        tensors: [Vec<f32>; 4],
    ) -> Self {
        let digest = digest(&tensors);
        Checkpoint {
            state: State {
                version: VERSION,
                settings,
                data_digest,
                weights_digest: None,
                step,
                seconds,
                losses,
                digest,
            },
            tensors,
        }
    }

    /// The same for a run whose frames have weights of this digest.
    pub fn with_weights(mut self, digest: Option<String>) -> Self {
        self.state.weights_digest = digest;
        self
    }

    /// Writes through a temporary file.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be written or the disk is full.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(&self.state).map_err(|error| Error::Numeric(error.to_string()))?;
        let blobs: Vec<_> = ENTRIES
            .iter()
            .zip(&self.tensors)
            .map(|(name, values)| {
                let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
                ((*name).to_owned(), Dtype::F32, vec![values.len()], bytes)
            })
            .collect();
        write_safetensors(path, &blobs, HashMap::from([("boltzdrift_checkpoint".to_owned(), text)]))
    }

    /// Reads a checkpoint and checks its digest.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Data`] where it is damaged or no checkpoint.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = read_bounded(path)?;
        let bad = |what: String| {
            Error::data(
                Place::file(path),
                format!("{what}; it is damaged or no checkpoint: start the training again"),
            )
        };
        let (_, header) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| bad(format!("not a safetensors file ({})", one_line(&error.to_string()))))?;
        let all = SafeTensors::deserialize(&bytes).map_err(|error| {
            bad(format!("not a whole safetensors file ({})", one_line(&error.to_string())))
        })?;
        let text = header.metadata().as_ref().and_then(|m| m.get("boltzdrift_checkpoint"));
        let text = text.ok_or_else(|| bad("a safetensors file without a checkpoint's record".into()))?;
        let state: State =
            serde_json::from_str(text).map_err(|error| bad(format!("its record is wrong ({error})")))?;
        if state.version != VERSION {
            return Err(bad(format!("version {} is not {VERSION}", state.version)));
        }
        let mut tensors: [Vec<f32>; 4] = Default::default();
        for (name, values) in ENTRIES.iter().zip(&mut tensors) {
            let view = all.tensor(name).map_err(|_| bad(format!("it has no entry '{name}'")))?;
            if view.dtype() != Dtype::F32 || view.shape().len() != 1 {
                return Err(bad(format!("entry '{name}' has the wrong type or shape")));
            }
            *values =
                view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        }
        if digest(&tensors) != state.digest {
            return Err(bad("its digest does not match its content".into()));
        }
        Ok(Checkpoint { state, tensors })
    }
}
