//! Checkpoints: everything an equilibration needs to go on as if nothing had happened.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hmc::Decisions;
use super::pool::Starts;
use super::settings::Settings;
use super::Phase;
use crate::error::{one_line, Place};
use crate::sampler::file::{read_bounded, write_safetensors};
use crate::{Error, Result};

const VERSION: u32 = 3;
const RECORD: &str = "boltzdrift_equilibration";
const DIGEST: &str = "digest";
/// Doubles that must keep every bit: JSON is read to the last bit but one.
const NUMBERS: &str = "numbers";
const DOUBLES: [&str; 4] = ["positions", "energies", "guiding_forces", "kept"];
const DRAWS: &str = "draws";
/// Larger ones could be written but not read again.
pub(super) const LARGEST: u64 = 900 << 20;

/// The state of an equilibration.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    pub(super) record: Record,
    /// Settings first, then the run's own.
    pub(super) numbers: Vec<f64>,
    /// Positions, energies and guiding forces of the chains, and the states kept.
    pub(super) doubles: [Vec<f64>; 4],
    /// The watched quantities, one after the other.
    pub(super) draws: Vec<f32>,
}

/// What a checkpoint says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub version: u32,
    pub settings: Settings,
    pub data_digest: String,
    pub counters: Counters,
}

/// The whole numbers and words of a run's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Counters {
    /// Name of the potential.
    pub potential: String,
    /// Its identity.
    pub identity: String,
    pub phase: Phase,
    /// Iterations since the beginning; it numbers the noise.
    pub iteration: u64,
    /// Iterations of this phase.
    pub in_phase: u64,
    /// Production iteration at which convergence is judged next.
    pub next_look: u64,
    pub evaluations: u64,
    /// Of this phase.
    pub decisions: Decisions,
    /// Of these, those of trajectories that the potential itself led.
    pub own: Decisions,
    /// Those of a guide at each temperature, of this phase.
    pub led: Vec<Decisions>,
    /// Tried and made exchanges of every gap, of this phase.
    pub exchanges: Vec<[u64; 2]>,
    /// Temperatures of a ladder; 1 without one.
    pub rungs: usize,
    /// Why there is a ladder.
    pub ladder_reason: Option<String>,
    pub starts: Starts,
    /// Iterations between two states kept.
    pub stride: u64,
    pub converged: bool,
    /// Whether the potential leads the walk alone although it has a guide.
    pub alone: bool,
    /// Whether a guide leads it.
    pub guided: bool,
    /// Whether the guiding forces are those of the present states.
    pub fresh: bool,
}

/// Name, type, shape and bytes of an array.
type Blob = (String, Dtype, Vec<usize>, Vec<u8>);

fn bytes_of(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn digest<'a>(text: &str, parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    hash.update(text.as_bytes());
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    format!("{:x}", hash.finalize())
}

impl Checkpoint {
    pub(super) fn new(
        settings: Settings,
        data_digest: String,
        counters: Counters,
        numbers: Vec<f64>,
        doubles: [Vec<f64>; 4],
        draws: Vec<f32>,
    ) -> Self {
        let record = Record { version: VERSION, settings, data_digest, counters };
        Checkpoint { record, numbers, doubles, draws }
    }

    /// Settings of the run.
    pub fn settings(&self) -> &Settings {
        &self.record.settings
    }

    /// The record and the numbers as they stand in the file, and their digest.
    fn content(&self) -> Result<(String, Vec<Blob>, String)> {
        let text = serde_json::to_string(&self.record).map_err(|error| Error::Numeric(error.to_string()))?;
        let mut blobs =
            vec![(NUMBERS.to_owned(), Dtype::F64, vec![self.numbers.len()], bytes_of(&self.numbers))];
        for (name, values) in DOUBLES.iter().zip(&self.doubles) {
            blobs.push(((*name).to_owned(), Dtype::F64, vec![values.len()], bytes_of(values)));
        }
        let draws = self.draws.iter().flat_map(|x| x.to_le_bytes()).collect();
        blobs.push((DRAWS.to_owned(), Dtype::F32, vec![self.draws.len()], draws));
        let digest = digest(&text, blobs.iter().map(|blob| blob.3.as_slice()));
        Ok((text, blobs, digest))
    }

    /// SHA-256 of all that is in it.
    ///
    /// # Errors
    /// [`Error::Numeric`] where its record has no form in JSON.
    pub fn digest(&self) -> Result<String> {
        Ok(self.content()?.2)
    }

    /// Writes through a temporary file.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be written or the disk is full.
    pub fn save(&self, path: &Path) -> Result<()> {
        let (text, blobs, digest) = self.content()?;
        let metadata = HashMap::from([(RECORD.to_owned(), text), (DIGEST.to_owned(), digest)]);
        write_safetensors(path, &blobs, metadata)
    }

    /// Reads a checkpoint and checks its digest.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Data`] where it is damaged or no checkpoint of an
    /// equilibration.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = read_bounded(path)?;
        let bad = |what: String| {
            Error::data(
                Place::file(path),
                format!(
                    "{what}; it is damaged or no checkpoint of an equilibration: start the equilibration again"
                ),
            )
        };
        let (_, header) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| bad(format!("not a safetensors file ({})", one_line(&error.to_string()))))?;
        let all = SafeTensors::deserialize(&bytes).map_err(|error| {
            bad(format!("not a whole safetensors file ({})", one_line(&error.to_string())))
        })?;
        let entry = |name: &str| {
            let text = header.metadata().as_ref().and_then(|m| m.get(name));
            text.ok_or_else(|| bad("a safetensors file without the record of an equilibration".into()))
        };
        let (text, expected) = (entry(RECORD)?, entry(DIGEST)?);
        let record: Record =
            serde_json::from_str(text).map_err(|error| bad(format!("its record is wrong ({error})")))?;
        if record.version != VERSION {
            return Err(bad(format!("version {} is not {VERSION}", record.version)));
        }
        let part = |name: &str, kind: Dtype| {
            let view = all.tensor(name).map_err(|_| bad(format!("it has no entry '{name}'")))?;
            if view.dtype() != kind || view.shape().len() != 1 {
                return Err(bad(format!("entry '{name}' has the wrong type or shape")));
            }
            Ok(view.data().to_vec())
        };
        let mut parts = vec![part(NUMBERS, Dtype::F64)?];
        for name in DOUBLES {
            parts.push(part(name, Dtype::F64)?);
        }
        parts.push(part(DRAWS, Dtype::F32)?);
        if digest(text, parts.iter().map(Vec::as_slice)) != *expected {
            return Err(bad("its digest does not match its content".into()));
        }
        let doubles = |k: usize| -> Vec<f64> {
            let numbers = parts[k].chunks_exact(8);
            numbers.map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])).collect()
        };
        let draws = parts[5].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Ok(Checkpoint {
            record,
            numbers: doubles(0),
            doubles: [doubles(1), doubles(2), doubles(3), doubles(4)],
            draws,
        })
    }
}
