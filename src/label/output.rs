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
    if data.source.is_file(output) {
        return Err(Error::usage(format!(
            "{}: the frames were read from this file; give another name for the output",
            output.display()
        )));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Source;
    use ndarray::Array3;

    #[test]
    fn the_trajectory_itself_is_no_place_for_its_labels() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own.xyz");
        std::fs::write(&own, "").unwrap();
        let positions = Array3::from_shape_fn((2, 2, 3), |(f, a, c)| (f + a * c) as f64);
        let mut data = Dataset::from_arrays(vec![1, 1], positions, None, None, None).unwrap();
        // From no file: every name will do.
        check(&data, &own).unwrap();
        data.source = Source { path: own.clone(), ..data.source };
        let other = folder.path().join("other.xyz");
        check(&data, &other).unwrap();
        let around = folder.path().join("..").join(folder.path().file_name().unwrap()).join("own.xyz");
        for place in [&own, &around] {
            assert!(check(&data, place).unwrap_err().to_string().contains("read from this file"));
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&own, &other).unwrap();
            assert!(check(&data, &other).is_err());
        }
    }
}
