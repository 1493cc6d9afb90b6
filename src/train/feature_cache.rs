//! Feature-space forces (Algorithm 3), kept for the next training on the same frames and forces.
//!
//! A file is named by the digest of all that its numbers depend on: positions, forces, the projection and the version of the
//! algorithm. It is a safetensors file with one entry, `feature_forces`, F64 (N, P), and a JSON document in its metadata
//! (`Record`). What does not prove to be the right file is computed anew: it is never trusted.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::{Array2, Array3, ArrayView2};
use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::dataset::{Dataset, Keep};
use crate::molecule::feature_cost::FeatureCost;
use crate::molecule::features::{self, Projection};
use crate::sampler::file::write_safetensors;
use crate::{Error, Result};

/// Raised where the algorithm gives other numbers for the same input.
const VERSION: &str = "1";
const ENTRY: &str = "feature_forces";
const METADATA: &str = "boltzdrift_features";
/// Less work than this, by [`FeatureCost`], is done again sooner than it would be worth a file beside the user's data: about
/// a second on two cores.
const WORTH: u64 = 3_000_000_000;
/// A file larger than this is not written: its bytes are held in memory several times.
const LARGEST: u64 = 1 << 30;
/// What the file has beside its numbers, at most.
const HEADER: u64 = 1 << 16;

/// What a file says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// SHA-256 of what the numbers were computed from.
    key: String,
    /// SHA-256 of the numbers.
    checksum: String,
}

/// Feature-space forces G in kcal/mol/angstrom, (N, P) with P = n (n - 1) / 2, of frames with `forces` (N, n, 3): out of the
/// folder that [`Keep`] says, where they are there, else by [`features::feature_forces`], and then put there. The same bits
/// either way. Naive ones (J F) cost next to nothing and are not kept.
///
/// # Errors
/// As [`features::feature_forces`]. A file that cannot be read or written is no error: the log says so.
pub fn feature_forces(
    dataset: &Dataset,
    forces: &Array3<f64>,
    projection: Projection,
) -> Result<Array2<f64>> {
    let cost = FeatureCost::of(dataset.atoms());
    let all = cost.total().saturating_mul(dataset.len() as u64);
    let (folder, asked) = match (&dataset.source.keep, projection) {
        (Keep::In(folder), Projection::Exact) => (Some(folder.clone()), true),
        (Keep::Beside, Projection::Exact) if all >= WORTH => (beside(&dataset.source.path), false),
        _ => (None, false),
    };
    let kept = folder.map(|folder| Kept::new(dataset, forces, folder, asked));
    if let Some(found) = kept.as_ref().and_then(Kept::read) {
        return Ok(found);
    }
    let start = Instant::now();
    let found = features::feature_forces(dataset.positions.view(), forces.view(), projection)?;
    if projection == Projection::Exact {
        log::info!(
            "feature forces of {} frames in {:.1} s; by the count of the paper's Table 2 {} operations a frame ({} Jacobian, {} \
             Gram matrix, {} pseudo-inverse, {} product), {:.1} million in all",
            dataset.len(),
            start.elapsed().as_secs_f64(),
            cost.total(),
            cost.jacobian,
            cost.gram,
            cost.pseudoinverse,
            cost.product,
            all as f64 / 1e6
        );
    }
    if let Some(kept) = kept {
        kept.write(found.view());
    }
    Ok(found)
}

/// The folder beside a trajectory; none for frames that are from no file.
fn beside(trajectory: &Path) -> Option<PathBuf> {
    let mut name = trajectory.file_name()?.to_owned();
    name.push(".features");
    Some(trajectory.with_file_name(name))
}

/// The file of these frames and forces.
struct Kept {
    path: PathBuf,
    key: String,
    shape: (usize, usize),
    /// Whether the user named the folder: a warning then says that it cannot be used.
    asked: bool,
}

impl Kept {
    fn new(dataset: &Dataset, forces: &Array3<f64>, folder: PathBuf, asked: bool) -> Self {
        let mut hash = Sha256::new();
        hash.update(format!("boltzdrift feature forces {VERSION} exact {:?} ", dataset.positions.dim()));
        for value in dataset.positions.iter().chain(forces) {
            hash.update(value.to_le_bytes());
        }
        let key = hexadecimal(hash);
        let path = folder.join(format!("G-{}.safetensors", &key[..16]));
        let atoms = dataset.atoms();
        Kept { path, key, shape: (dataset.len(), atoms * (atoms - 1) / 2), asked }
    }

    fn bytes(&self) -> u64 {
        8 * self.shape.0 as u64 * self.shape.1 as u64
    }

    fn read(&self) -> Option<Array2<f64>> {
        let there = match std::fs::metadata(&self.path) {
            Ok(there) => there,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => return self.distrusted(&error.to_string()),
        };
        // Looked at before anything is read: what is in the way may be a folder, a pipe or huge.
        if !there.is_file() || there.len() > self.bytes() + HEADER {
            return self.distrusted("it is another file");
        }
        match std::fs::read(&self.path)
            .map_err(|error| error.to_string())
            .and_then(|bytes| self.decode(&bytes))
        {
            Ok(found) => {
                log::info!("feature forces taken from {}", self.path.display());
                Some(found)
            }
            Err(why) => self.distrusted(&why),
        }
    }

    fn distrusted(&self, why: &str) -> Option<Array2<f64>> {
        log::warn!(
            "{}: the feature forces kept here are not used, but computed again: {why}",
            self.path.display()
        );
        None
    }

    fn decode(&self, bytes: &[u8]) -> std::result::Result<Array2<f64>, String> {
        let broken = |_| "it is damaged".to_owned();
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
        let text = header.metadata().as_ref().and_then(|all| all.get(METADATA));
        let record = text.and_then(|text| serde_json::from_str::<Record>(text).ok());
        let record = record.ok_or("it is another file")?;
        let view = tensors.tensor(ENTRY).map_err(|_| "it is another file")?;
        if record.key != self.key
            || view.dtype() != Dtype::F64
            || view.shape() != [self.shape.0, self.shape.1]
        {
            return Err("it belongs to other frames or forces".into());
        }
        if hexadecimal(Sha256::new_with_prefix(view.data())) != record.checksum {
            return Err("it is damaged".into());
        }
        let values = view.data().chunks_exact(8);
        let values = values.map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]));
        Array2::from_shape_vec(self.shape, values.collect()).map_err(|error| error.to_string())
    }

    fn write(&self, found: ArrayView2<f64>) {
        let done = match self.bytes() > LARGEST {
            true => Err(Error::usage(format!("{} bytes are more than are kept ({LARGEST})", self.bytes()))),
            false => self.try_write(found),
        };
        match done {
            Ok(()) => log::info!("feature forces kept in {}", self.path.display()),
            Err(error) if self.asked => log::warn!("feature forces are not kept: {error}"),
            Err(error) => log::info!("feature forces are not kept: {error}"),
        }
    }

    fn try_write(&self, found: ArrayView2<f64>) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| Error::io(folder, "cannot make the folder of feature forces", error))?;
        }
        let bytes: Vec<u8> = found.iter().flat_map(|value| value.to_le_bytes()).collect();
        let checksum = hexadecimal(Sha256::new_with_prefix(&bytes));
        let record = serde_json::to_string(&Record { key: self.key.clone(), checksum })
            .map_err(|error| Error::Numeric(error.to_string()))?;
        let entry = (ENTRY.to_owned(), Dtype::F64, vec![self.shape.0, self.shape.1], bytes);
        write_safetensors(&self.path, &[entry], HashMap::from([(METADATA.to_owned(), record)]))
    }
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
