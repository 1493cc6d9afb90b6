//! Frames in and out: the only code that names chemfiles.
//!
//! [`read`] turns a trajectory file into a [`Dataset`]: one molecule, whole, in the library's units.
//! [`Writer`] writes structures in any format chemfiles writes, or as `.npz`, through a temporary file.

mod arrays;
mod declared;
pub mod elements;
mod frames;
mod gro;
mod lammps;
mod lammps_data;
mod lammps_text;
mod lines;
mod npz;
mod options;
mod other;
mod pdb;
mod reader;
mod whole;
mod writer;
mod writer_chemfiles;
mod writer_npz;
mod writer_text;
mod xyz;

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array3};

use arrays::clash;
pub use options::{FrameSlice, Progress, ReadOptions};
pub use reader::read;
pub use writer::{WriteOptions, Writer};

/// Frames of one molecule, in angstrom, kcal/mol, fs and amu; every number in it is finite.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Atomic numbers, (n).
    pub species: Vec<u8>,
    /// Masses in amu, (n).
    pub masses: Vec<f64>,
    /// Positions in angstrom, (N, n, 3). The molecule is whole; it is neither centred nor rotated.
    pub positions: Array3<f64>,
    /// Forces in kcal/mol/angstrom, (N, n, 3), where the file has them.
    pub forces: Option<Array3<f64>>,
    /// Potential energies in kcal/mol, (N), where the file has them.
    pub energies: Option<Array1<f64>>,
    /// Velocities in angstrom/fs, (N, n, 3), where the file has them.
    pub velocities: Option<Array3<f64>>,
    /// Where the frames came from.
    pub source: Source,
}

/// Where frames came from, kept for messages and for the sampler's record.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file; empty where the frames are from none. Messages name it by [`Source::name`].
    pub path: PathBuf,
    /// Its format, for example `LAMMPS`, `XYZ`, `NumPy npz`, or what the frames were made from: `arrays`, `equilibration`.
    pub format: String,
    /// Frame numbers in the file (counted from 0), (N): what row k of the arrays was.
    pub frames: Vec<usize>,
    /// Atoms of a frame in the file, before any selection.
    pub atoms_in_file: usize,
    /// Whether the file has a periodic cell.
    pub periodic: bool,
    /// The units read and how they were known, one line for the user.
    pub units: String,
    /// SHA-256 over species, positions, forces and energies as they stand here, hexadecimal.
    pub digest: String,
    /// Things the user should know, one line each.
    pub warnings: Vec<String>,
    /// Where a training may keep what it computes from these frames alone.
    pub keep: Keep,
}

/// Where results that depend on the frames alone (feature-space forces) are kept, for the next training on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Keep {
    /// Nowhere: no file appears that the caller did not ask for.
    #[default]
    Nowhere,
    /// In `TRAJECTORY.features`, beside the file the frames are from, where computing them takes longer than a moment.
    Beside,
    /// In this folder.
    In(PathBuf),
}

impl Source {
    /// Whether the frames were read from the file at this path, by whatever name.
    pub fn is_file(&self, path: &Path) -> bool {
        let own = self.path.as_os_str();
        !own.is_empty() && matches!((path.canonicalize(), self.path.canonicalize()), (Ok(a), Ok(b)) if a == b)
    }

    /// What a message calls the frames: the file, or what they were made from where they are from none.
    pub fn name(&self) -> String {
        match self.path.as_os_str().is_empty() {
            true => format!("the frames from {}", self.format),
            false => self.path.display().to_string(),
        }
    }
}
