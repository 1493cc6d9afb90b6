//! What partial results belong to: the header of their file.
//!
//! A magic word, a version (u32), the length (u32) and text of a JSON document ([`Owner`]) and the SHA-256 of all that.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Place;
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"bdlabels";
const VERSION: u32 = 1;
/// Magic word, version and length of the JSON document.
const FIXED: usize = 16;
/// The digest that ends the header.
pub(super) const DIGEST: usize = 32;

/// What partial results belong to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Owner {
    pub frames: usize,
    pub species: Vec<u8>,
    pub data_digest: String,
    /// Name of the potential, for messages.
    pub potential: String,
    pub identity: String,
}

impl Owner {
    /// The header that says so.
    pub fn header(&self, path: &Path) -> Result<Vec<u8>> {
        let text = serde_json::to_vec(self).map_err(|error| Error::Numeric(error.to_string()))?;
        let length = u32::try_from(text.len()).map_err(|_| {
            Error::usage(format!("{}: the molecule is too large for partial results", path.display()))
        })?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(text);
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        Ok(bytes)
    }

    /// The header of a file that belongs to the same; the file is left where its records begin. The potential is known by
    /// its identity, whatever its name: that may be a path, and paths change.
    pub fn check(&self, path: &Path, file: &File) -> Result<Vec<u8>> {
        let failed = |error| Error::io(path, "cannot read the partial results", error);
        let bad = |what: &str| {
            Error::data(Place::file(path), format!("{what}; remove it to begin anew, or give another output"))
        };
        let length = file.metadata().map_err(failed)?.len();
        let mut start = Vec::new();
        file.take(FIXED as u64).read_to_end(&mut start).map_err(failed)?;
        if start.len() < FIXED || !start.starts_with(MAGIC) {
            return Err(bad("partial results are kept here, but this is another file"));
        }
        let word = |at: usize| u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]);
        if word(8) != VERSION {
            return Err(bad(&format!("these partial results are of version {}, not {VERSION}", word(8))));
        }
        let rest = u64::from(word(12)) + DIGEST as u64;
        if FIXED as u64 + rest > length {
            return Err(bad("the header of these partial results is damaged"));
        }
        file.take(rest).read_to_end(&mut start).map_err(failed)?;
        let (text, digest) = start.split_at(start.len() - DIGEST);
        if Sha256::digest(text)[..] != *digest {
            return Err(bad("the header of these partial results is damaged"));
        }
        let there: Owner =
            serde_json::from_slice(&text[FIXED..]).map_err(|_| bad("the header is of another version"))?;
        let what = if there.species != self.species {
            "of another molecule".to_owned()
        } else if there.frames != self.frames {
            format!("of {} frames, not of these {}", there.frames, self.frames)
        } else if there.data_digest != self.data_digest {
            "of other frames (another trajectory, or read with other options)".to_owned()
        } else if there.identity == self.identity {
            return Ok(start);
        } else if there.potential != self.potential {
            format!("by another potential, {}, not {}", there.potential, self.potential)
        } else {
            format!("by another potential of the same name, {}", there.potential)
        };
        Err(Error::usage(format!(
            "{}: the partial results kept here are {what}; remove it to begin anew, or give another output",
            path.display()
        )))
    }
}
