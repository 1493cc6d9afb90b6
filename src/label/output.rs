//! The file that labels are written to, and the one beside it where they are kept meanwhile.

use std::path::{Path, PathBuf};

use super::Labelled;
use crate::dataset::{Dataset, WriteOptions, Writer};
use crate::label::Difference;
use crate::{Error, Result};

/// Where the partial results of an output are kept: `OUTPUT.partial`.
pub fn partial(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn options(data: &Dataset, frames: usize) -> WriteOptions {
    WriteOptions {
        species: data.species.clone(),
        masses: data.masses.clone(),
        velocities: data.velocities.is_some(),
        frames_expected: Some(frames),
        ..WriteOptions::default()
    }
}

/// Refuses what the output cannot hold now, not after hours of work. Every format of forces holds velocities. Nothing is
/// written.
///
/// # Errors
/// [`Error::Usage`] for a format without forces; as [`Writer::create`].
pub fn check(data: &Dataset, output: &Path) -> Result<()> {
    let options = WriteOptions { velocities: false, ..options(data, data.len()) };
    match Writer::create(output, &options)?.holds() {
        (_, false) => Err(Error::usage(format!(
            "{}: this format has no place for forces; write .npz, .xyz or .lammpstrj",
            output.display()
        ))),
        (false, true) => {
            log::warn!("{}: this format keeps the forces, but no energies", output.display());
            Ok(())
        }
        (true, true) => Ok(()),
    }
}

impl Labelled<'_> {
    /// Writes the frames and their labels through a temporary file, then takes the partial results away. Says how the
    /// labels differ from those that the frames had.
    ///
    /// # Errors
    /// As [`Labelled::write`]; the partial results are still there then.
    pub fn save(self, output: &Path) -> Result<Difference> {
        let mut writer = Writer::create(output, &options(self.data, self.len()))?;
        let difference = self.write(&mut writer)?;
        writer.finish()?;
        self.remove_partial()?;
        Ok(difference)
    }
}
