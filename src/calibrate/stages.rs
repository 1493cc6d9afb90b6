//! The folder of stages.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Part of every key: raised where a stage's content changes for the same inputs.
const VERSION: &str = "2";

/// A folder that keeps what stages made, each under the digest of its inputs.
#[derive(Debug, Clone)]
pub struct Stages {
    folder: PathBuf,
}

impl Stages {
    /// Opens a folder, and makes it where it does not exist.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be made.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .map_err(|error| Error::io(folder, "cannot make the folder of stages", error))?;
        Ok(Stages { folder: folder.to_owned() })
    }

    /// The file of a stage made from these inputs.
    pub fn path(&self, stage: &str, inputs: &[&str], extension: &str) -> PathBuf {
        let mut hash = Sha256::new();
        for part in [VERSION, stage].iter().chain(inputs) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let key: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{stage}-{key}.{extension}"))
    }
}
