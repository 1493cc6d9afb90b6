//! Writing: a temporary file in the same folder that takes the name of the target only when whole.

use std::path::{Path, PathBuf};

use ndarray::{ArrayView1, ArrayView3};
use tempfile::NamedTempFile;

use super::other::formats;
use super::whole::Vector;
use super::{writer_chemfiles, writer_npz, writer_text};
use crate::error::Place;
use crate::{Error, Result};

/// What to write, settled before the first frame.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// The format, where the extension does not tell: `LAMMPS`, `LAMMPS Data`, `XYZ`, `npz` or a name
    /// of chemfiles; case does not matter. `.data` and `.lmp` are LAMMPS data files, `.dump` is a dump.
    pub format: Option<String>,
    /// Atomic numbers, (n).
    pub species: Vec<u8>,
    /// Masses in amu, (n).
    pub masses: Vec<f64>,
    /// Cell vectors as rows, in angstrom: the first along x, the second in the xy plane, as LAMMPS has
    /// them. Without one the molecule is in vacuum.
    pub cell: Option<[[f64; 3]; 3]>,
    /// Whether frames will have velocities.
    pub velocities: bool,
    /// How many frames will be written, where known: a format of one frame refuses more at once.
    pub frames_expected: Option<usize>,
}

/// Frames on their way out.
pub(super) struct Block<'a> {
    pub positions: ArrayView3<'a, f64>,
    pub velocities: Option<ArrayView3<'a, f64>>,
    pub energies: Option<ArrayView1<'a, f64>>,
    pub forces: Option<ArrayView3<'a, f64>>,
    /// Number of the first frame of the block in the file.
    pub first: usize,
}

/// Row `atom` of frame `frame`.
pub(super) fn row(array: &ArrayView3<f64>, frame: usize, atom: usize) -> Vector {
    std::array::from_fn(|axis| array[[frame, atom, axis]])
}

/// One way of writing.
pub(super) trait Sink {
    fn write(&mut self, block: &Block) -> Result<()>;
    /// Brings everything into the temporary file and makes sure that it is there.
    fn close(self: Box<Self>, frames: usize) -> Result<()>;
}

/// Writes frames to a file, block by block.
///
/// The file appears, whole and flushed to the disk, when [`Writer::finish`] returns; until then, and for
/// good where anything fails or the writer is dropped, what was there before stays untouched and no
/// temporary file is left.
///
/// Positions and velocities keep every digit in LAMMPS dumps, LAMMPS data, XYZ and npz files; the other
/// formats keep what chemfiles gives them (GRO and XTC 0.01 angstrom, PDB 0.001 angstrom). Forces and
/// energies go into npz and XYZ, forces into LAMMPS dumps; other formats have no place for them.
///
/// LAMMPS files are in units `real`; their types number the elements in the order of their symbols (C 1,
/// H 2, O 3). Data files are of `atom_style full` without bonds. Without a cell their box reaches at least
/// 10 angstrom beyond the atoms.
pub struct Writer {
    sink: Option<Box<dyn Sink>>,
    // After the sink, so that a sink dropped early closes its file before the file is removed.
    temporary: Option<NamedTempFile>,
    target: PathBuf,
    atoms: usize,
    velocities: bool,
    single: bool,
    format: String,
    frames: usize,
    labels: Option<(bool, bool)>,
}

/// Formats of one frame.
const SINGLE: [&str; 2] = ["LAMMPS Data", "Amber Restart"];

impl Writer {
    /// Begins a file.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown format, a format that cannot hold velocities that are to be
    /// written or as many frames as expected, masses or a cell that do not fit; [`Error::Io`] where the
    /// folder cannot be written to.
    pub fn create(path: &Path, options: &WriteOptions) -> Result<Writer> {
        let atoms = options.species.len();
        if atoms == 0 || options.masses.len() != atoms {
            return Err(Error::usage(format!(
                "{} masses for {atoms} atoms; give one for each",
                options.masses.len()
            )));
        }
        if options.masses.iter().any(|mass| !(mass.is_finite() && *mass > 0.0)) {
            return Err(Error::usage("a mass is not positive; give masses in amu"));
        }
        if let Some(rows) = options.cell.as_ref() {
            let flat = rows.iter().flatten();
            if flat.clone().any(|value| !value.is_finite()) || !super::frames::chemfiles_takes(rows) {
                return Err(Error::usage(
                    "the cell must have its first vector along x, its second in the xy plane and positive lengths, as LAMMPS has it; rotate cell and atoms",
                ));
            }
        }
        let (format, has_velocities) = settle_format(path, options)?;
        if options.velocities && !has_velocities {
            return Err(Error::usage(format!(
                "{}: the {format} format cannot hold velocities; leave them out, or write .npz, .xyz, .lammpstrj, .data or .gro",
                path.display()
            )));
        }
        let single = SINGLE.contains(&format.as_str());
        if single && options.frames_expected.is_some_and(|frames| frames > 1) {
            return Err(only_one(path, &format));
        }
        // A link is followed, so that it goes on being one.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if target.exists() && !target.is_file() {
            return Err(Error::usage(format!(
                "{}: this is no regular file; give the name of a file",
                path.display()
            )));
        }
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".boltzdrift-").suffix(".part");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary =
            builder.tempfile_in(&folder).map_err(|e| Error::io(path, "cannot write in its folder", e))?;
        let file = temporary.reopen().map_err(|e| Error::io(path, "cannot write", e))?;
        let sink: Box<dyn Sink> = match format.as_str() {
            "npz" => Box::new(writer_npz::NpzSink::new(file, &folder, path, options)?),
            "LAMMPS" | "XYZ" => Box::new(writer_text::TextSink::new(file, path, &format, options)),
            "LAMMPS Data" => Box::new(writer_chemfiles::DataSink::new(file, path, options)),
            _ => Box::new(writer_chemfiles::ChemfilesSink::new(temporary.path(), path, &format, options)),
        };
        Ok(Writer {
            sink: Some(sink),
            temporary: Some(temporary),
            target,
            atoms,
            velocities: options.velocities,
            single,
            format,
            frames: 0,
            labels: None,
        })
    }

    /// Whether frames have velocities, as was announced.
    pub fn has_velocities(&self) -> bool {
        self.velocities
    }

    /// Whether the format has a place for energies, and for forces.
    pub fn holds(&self) -> (bool, bool) {
        (
            matches!(self.format.as_str(), "npz" | "XYZ"),
            matches!(self.format.as_str(), "npz" | "XYZ" | "LAMMPS"),
        )
    }

    /// Writes frames: positions (B, n, 3) in angstrom, velocities of the same shape in angstrom/fs,
    /// energies (B) in kcal/mol, forces (B, n, 3) in kcal/mol/angstrom. Every call must bring the same of
    /// these as the first.
    ///
    /// # Errors
    /// [`Error::Usage`] for shapes that do not fit, [`Error::Data`] for a number that is not finite,
    /// [`Error::Io`] where the disk is full. After an error the writer writes nothing more.
    pub fn write(
        &mut self,
        positions: ArrayView3<f64>,
        velocities: Option<ArrayView3<f64>>,
        energies: Option<ArrayView1<f64>>,
        forces: Option<ArrayView3<f64>>,
    ) -> Result<()> {
        let Some(sink) = self.sink.as_mut() else {
            return Err(Error::usage(format!(
                "{}: the writer has failed before; begin a new one",
                self.target.display()
            )));
        };
        let block = Block {
            positions: positions.view(),
            velocities: velocities.as_ref().map(|array| array.view()),
            energies: energies.as_ref().map(|array| array.view()),
            forces: forces.as_ref().map(|array| array.view()),
            first: self.frames,
        };
        let labels = (block.energies.is_some(), block.forces.is_some());
        let done = check(&block, &self.target, self.atoms, self.velocities).and_then(|()| {
            if *self.labels.get_or_insert(labels) != labels {
                return Err(Error::usage(
                    "energies and forces must come with every block of frames or with none",
                ));
            }
            if self.single && self.frames + block.positions.dim().0 > 1 {
                return Err(only_one(&self.target, &self.format));
            }
            sink.write(&block)
        });
        match done {
            Ok(()) => self.frames += positions.dim().0,
            Err(_) => self.sink = None,
        }
        done
    }

    /// Ends the file: flushes it to the disk, checks it, and gives it its name.
    ///
    /// # Errors
    /// [`Error::Usage`] where no frame was written, [`Error::Io`] or [`Error::Data`] where the file did
    /// not get whole; then nothing is left of it.
    pub fn finish(mut self) -> Result<()> {
        let (Some(sink), Some(temporary)) = (self.sink.take(), self.temporary.take()) else {
            return Err(Error::usage(format!(
                "{}: the writer has failed before; nothing was written",
                self.target.display()
            )));
        };
        if self.frames == 0 {
            return Err(Error::usage(format!("{}: there is no frame to write", self.target.display())));
        }
        sink.close(self.frames)?;
        temporary.as_file().sync_all().map_err(|e| Error::io(&self.target, "cannot write", e))?;
        temporary
            .persist(&self.target)
            .map_err(|e| Error::io(&self.target, "cannot rename the temporary file", e.error))?;
        // The new name is on the disk only once the folder is. Some file systems refuse that; the data is safe.
        if let Some(folder) = self.target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
            if let Err(error) = synced {
                log::debug!("{}: cannot flush the folder: {error}", folder.display());
            }
        }
        Ok(())
    }
}

fn only_one(path: &Path, format: &str) -> Error {
    Error::usage(format!(
        "{}: the {format} format holds one frame; ask for one (-n 1), or write .lammpstrj, .xyz or .npz",
        path.display()
    ))
}

fn settle_format(path: &Path, options: &WriteOptions) -> Result<(String, bool)> {
    let known = formats();
    let extension =
        path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    let asked = options.format.as_ref().map_or(extension.clone(), |format| format.to_lowercase());
    let format = match asked.as_str() {
        "npz" | "numpy npz" => return Ok(("npz".into(), true)),
        "lammps" | "dump" | "lammpstrj" => return Ok(("LAMMPS".into(), true)),
        "xyz" | "extxyz" => return Ok(("XYZ".into(), true)),
        "lammps data" | "data" | "lmp" => "LAMMPS Data",
        other => {
            let dotted = format!(".{other}");
            match known.iter().find(|one| one.name.to_lowercase() == other || one.extension == Some(&dotted))
            {
                Some(one) if one.write && one.positions => one.name,
                found => {
                    let names: Vec<&str> =
                        known.iter().filter(|one| one.write && one.positions).map(|one| one.name).collect();
                    let why = if found.is_some() { "cannot be written" } else { "is not known" };
                    return Err(Error::usage(format!(
                        "{}: format '{}' {why}; give --format npz, {}",
                        path.display(),
                        asked.escape_debug(),
                        names.join(", ")
                    )));
                }
            }
        }
    };
    let velocities = known.iter().any(|one| one.name == format && one.velocities);
    // CML says it holds velocities, but only reads them.
    Ok((format.to_owned(), velocities && format != "CML"))
}

fn check(block: &Block, target: &Path, atoms: usize, velocities: bool) -> Result<()> {
    let shape = block.positions.dim();
    if shape.1 != atoms || shape.2 != 3 {
        return Err(Error::usage(format!("positions of shape {shape:?} must be (frames, {atoms}, 3)")));
    }
    if block.velocities.is_some() != velocities {
        let what = if velocities {
            "velocities were announced but are missing"
        } else {
            "velocities come, but were not announced"
        };
        return Err(Error::usage(format!("{}: {what}", target.display())));
    }
    let arrays =
        [("position", Some(block.positions)), ("velocity", block.velocities), ("force", block.forces)];
    for (name, array) in arrays.into_iter().filter_map(|(name, array)| array.map(|array| (name, array))) {
        if array.dim() != shape {
            return Err(Error::usage(format!(
                "a {name} array of shape {:?} must have the shape of the positions, {shape:?}",
                array.dim()
            )));
        }
        if let Some(((frame, atom, _), value)) = array.indexed_iter().find(|(_, value)| !value.is_finite()) {
            let place = Place::atom(target, block.first + frame, atom);
            return Err(Error::data(place, format!("the {name} to write is {value}; nothing was written")));
        }
    }
    if let Some(energies) = block.energies {
        if energies.len() != shape.0 {
            return Err(Error::usage(format!("{} energies for {} frames", energies.len(), shape.0)));
        }
        if let Some((frame, value)) = energies.indexed_iter().find(|(_, value)| !value.is_finite()) {
            let place = Place::frame(target, block.first + frame);
            return Err(Error::data(place, format!("the energy to write is {value}; nothing was written")));
        }
    }
    Ok(())
}
