//! Options that several commands share.

use std::path::{Path, PathBuf};

use boltzdrift::dataset::{self, Dataset, FrameSlice, ReadOptions};
use boltzdrift::units::{parse_quantity, UnitSystem, TEMPERATURE};
use boltzdrift::{Error, Result};
use clap::Args;

use crate::terminal::{interrupted, Bar};

/// How to read a trajectory.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Reading")]
pub struct Reading {
    /// Unit style of the file, where it does not declare its own: real, metal, si, cgs, electron, micro, nano.
    #[arg(long, value_name = "STYLE")]
    pub units: Option<String>,
    /// Unit of length, for example angstrom, nm, bohr.
    #[arg(long, value_name = "UNIT")]
    pub length_unit: Option<String>,
    /// Unit of energy, for example kcal/mol, kJ/mol, eV, hartree.
    #[arg(long, value_name = "UNIT")]
    pub energy_unit: Option<String>,
    /// Unit of force, where it is not energy over length.
    #[arg(long, value_name = "UNIT")]
    pub force_unit: Option<String>,
    /// Elements of LAMMPS' numeric atom types 1, 2, 3, ..., for example C,H,O.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub types: Vec<String>,
    /// One molecule of a larger system, as a chemfiles selection, for example "index < 9".
    #[arg(long, value_name = "SELECTION")]
    pub select: Option<String>,
    /// Frames to read, counted from 0, as START:STOP:STEP.
    #[arg(long, value_name = "SLICE")]
    pub frames: Option<String>,
    /// Format of the file, where its name and content do not tell.
    #[arg(long = "input-format", value_name = "FORMAT")]
    pub input_format: Option<String>,
}

impl Reading {
    /// Reads a trajectory with a progress bar.
    ///
    /// # Errors
    /// As [`dataset::read`].
    pub fn read(&self, path: &Path, need_forces: bool, quiet: bool) -> Result<Dataset> {
        self.read_as(path, need_forces, quiet, false)
    }

    /// The same for one of several files: the units are for those that declare none.
    ///
    /// # Errors
    /// As [`dataset::read`].
    pub fn read_one_of(&self, path: &Path, need_forces: bool, quiet: bool) -> Result<Dataset> {
        self.read_as(path, need_forces, quiet, true)
    }

    fn read_as(&self, path: &Path, need_forces: bool, quiet: bool, one_of: bool) -> Result<Dataset> {
        let options = ReadOptions {
            format: self.input_format.clone(),
            units: self.units.as_deref().map(UnitSystem::lammps).transpose()?,
            length_unit: self.length_unit.clone(),
            energy_unit: self.energy_unit.clone(),
            force_unit: self.force_unit.clone(),
            units_where_undeclared: one_of,
            types: self.types.clone(),
            selection: self.select.clone(),
            frames: self.frames.as_deref().map(str::parse::<FrameSlice>).transpose()?.unwrap_or_default(),
            need_forces,
        };
        let bar = Bar::new(quiet, "reading", "frames");
        let data = dataset::read(path, &options, &mut |progress| {
            bar.set(progress.frames_done as u64, progress.frames_total.map(|n| n as u64));
            if interrupted() {
                return Err(Error::Interrupted(format!("{}: reading was stopped", path.display())));
            }
            Ok(())
        })?;
        bar.done();
        Ok(data)
    }
}

/// Refuses to write over a file that the same command reads or writes otherwise.
///
/// # Errors
/// [`Error::Usage`] where both names mean the same file, however they are spelled.
pub fn distinct(output: &Path, other: &Path, role: &str) -> Result<()> {
    let place = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        path.canonicalize().unwrap_or_else(|_| folder.join(path.file_name().unwrap_or_default()))
    };
    if place(output) != place(other) {
        return Ok(());
    }
    Err(Error::usage(format!("{}: this is {role}; give another name for the output", output.display())))
}

/// A temperature as `500K`, in kelvin.
///
/// # Errors
/// [`Error::Usage`] where it has no unit or is not positive.
pub fn temperature(text: &str) -> Result<f64> {
    let kelvin = parse_quantity(text, TEMPERATURE)?;
    if kelvin > 0.0 {
        return Ok(kelvin);
    }
    Err(Error::usage(format!("temperature '{text}' is not positive")))
}

/// Where the checkpoint of an output is kept unless the user says otherwise.
pub fn beside(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".checkpoint");
    PathBuf::from(name)
}

/// A refusal of a fitted potential, or a warning where the user said --accept-fit.
///
/// # Errors
/// The refusal.
pub fn judged(accept_fit: bool, judgement: Result<()>) -> Result<()> {
    match judgement {
        Err(refusal) if accept_fit => {
            log::warn!("taken because of --accept-fit: {refusal}");
            Ok(())
        }
        judgement => judgement,
    }
}

/// Refuses to write the checkpoint of this run over that of another one.
///
/// # Errors
/// [`Error::Usage`] where `kept` exists and is not what the run goes on from.
pub fn check_checkpoint(kept: &Path, resumed: Option<&Path>) -> Result<()> {
    if !kept.exists() {
        return Ok(());
    }
    match resumed {
        Some(resumed) if resumed.canonicalize().ok() == kept.canonicalize().ok() => Ok(()),
        Some(_) => Err(Error::usage(format!(
            "{} is left from another run than the one to go on with, and would be overwritten; remove it, or give \
             another --checkpoint",
            kept.display()
        ))),
        None => Err(Error::usage(format!(
            "{} is left from an earlier run; go on with --resume {}, or remove it",
            kept.display(),
            kept.display()
        ))),
    }
}

/// Fails now, not after minutes of work, where the output cannot be written.
///
/// # Errors
/// [`Error::Usage`] for a folder, [`Error::Io`] where its folder cannot be written in.
pub fn check_writable(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::usage(format!(
            "{}: this is a folder; give the name of a file to write",
            path.display()
        )));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::NamedTempFile::new_in(folder)
        .map(|_| ())
        .map_err(|error| Error::io(path, "cannot write in this folder", error))
}
