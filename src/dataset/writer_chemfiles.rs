//! Formats chemfiles writes.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use chemfiles::{Atom, Frame, Trajectory, UnitCell};

use super::frames::guarded;
use super::whole::Vector;
use super::writer::{row, Block, Sink, WriteOptions};
use super::{elements, writer_text};
use crate::error::{one_line, Place};
use crate::{Error, Result};

/// The atoms and the cell of every frame.
struct Molecule {
    atoms: Vec<Atom>,
    cell: Option<UnitCell>,
}

impl Molecule {
    fn new(options: &WriteOptions) -> Self {
        let atoms = options.species.iter().zip(&options.masses).map(|(&z, &mass)| {
            let mut atom = Atom::new(elements::symbol(z));
            atom.set_mass(mass);
            atom
        });
        // chemfiles wants the cell vectors as columns.
        let columns = |rows: [Vector; 3]| std::array::from_fn(|i| std::array::from_fn(|j| rows[j][i]));
        Molecule {
            atoms: atoms.collect(),
            cell: options.cell.map(|rows| UnitCell::from_matrix(columns(rows))),
        }
    }

    /// One frame; `factor` brings velocities from angstrom/fs to what the format takes.
    fn frame(&self, block: &Block, frame: usize, factor: f64) -> Frame {
        let mut out = Frame::new();
        if block.velocities.is_some() {
            out.add_velocities();
        }
        if let Some(cell) = &self.cell {
            out.set_cell(cell);
        }
        for (k, atom) in self.atoms.iter().enumerate() {
            let velocity =
                block.velocities.as_ref().map(|array| row(array, frame, k).map(|value| value * factor));
            out.add_atom(atom, row(&block.positions, frame, k), velocity);
        }
        out
    }
}

fn failed(path: &Path, error: &chemfiles::Error) -> Error {
    Error::data(
        Place::file(path),
        format!("chemfiles cannot write it: {}; is the disk full?", one_line(&error.message)),
    )
}

/// A LAMMPS data file: chemfiles' text with a box around the molecule, whose edges chemfiles puts at 0.
pub(super) struct DataSink {
    file: File,
    path: PathBuf,
    molecule: Molecule,
}

impl DataSink {
    pub fn new(file: File, path: &Path, options: &WriteOptions) -> Self {
        DataSink { file, path: path.to_owned(), molecule: Molecule::new(options) }
    }
}

impl Sink for DataSink {
    fn write(&mut self, block: &Block) -> Result<()> {
        let mut memory = Trajectory::memory_writer("LAMMPS Data").map_err(|e| failed(&self.path, &e))?;
        // LAMMPS files have the units of the run, here real: angstrom/fs.
        memory.write(&self.molecule.frame(block, 0, 1.0)).map_err(|e| failed(&self.path, &e))?;
        let text = memory.memory_buffer().map_err(|e| failed(&self.path, &e))?;
        let box_bounds = writer_text::bounds(block, 0);
        let mut out = String::with_capacity(text.len() + 200);
        for (number, line) in text.lines().enumerate() {
            let axis = ["xlo xhi", "ylo yhi", "zlo zhi"].iter().position(|name| line.ends_with(name));
            match axis.filter(|_| self.molecule.cell.is_none()) {
                Some(axis) => {
                    let name = ["xlo xhi", "ylo yhi", "zlo zhi"][axis];
                    out.push_str(&format!("{} {} {name}", box_bounds[axis][0], box_bounds[axis][1]));
                }
                None if number == 0 => out
                    .push_str("LAMMPS data file -- atom_style full -- units = real -- boltzdrift, chemfiles"),
                None => out.push_str(line),
            }
            out.push('\n');
        }
        self.file.write_all(out.as_bytes()).map_err(|e| Error::io(&self.path, "cannot write", e))
    }

    fn close(self: Box<Self>, _frames: usize) -> Result<()> {
        Ok(())
    }
}

/// Any other format, written by chemfiles into the temporary file itself.
pub(super) struct ChemfilesSink {
    trajectory: Option<Trajectory>,
    temporary: PathBuf,
    path: PathBuf,
    format: String,
    molecule: Molecule,
    last: Vec<Vector>,
    /// chemfiles writes binary formats through a memory map, where a full disk kills the process: bytes
    /// that the disk was seen to have room for. None for text.
    room: Option<usize>,
}

/// Room on the disk that is asked for at once, in bytes.
const ROOM: usize = 4 << 20;

impl ChemfilesSink {
    pub fn new(temporary: &Path, path: &Path, format: &str, options: &WriteOptions) -> Self {
        ChemfilesSink {
            // Opened for the first frame: chemfiles' NetCDF ends the process where it closes an empty file.
            trajectory: None,
            temporary: temporary.to_owned(),
            path: path.to_owned(),
            format: format.to_owned(),
            molecule: Molecule::new(options),
            last: Vec::new(),
            room: super::other::formats().iter().any(|one| one.name == format && !one.memory).then_some(0),
        }
    }

    /// Makes sure that the disk has room for another frame, by filling that room once for a moment.
    fn ensure_room(&mut self) -> Result<()> {
        // No format takes more than position and velocity in double precision and a header.
        let frame = 64 * self.molecule.atoms.len() + 1024;
        let Some(room) = &mut self.room else { return Ok(()) };
        if *room < frame {
            let wanted = frame.max(ROOM);
            let folder = self.temporary.parent().unwrap_or(Path::new("."));
            let fill = || -> std::io::Result<()> {
                let mut file = tempfile::tempfile_in(folder)?;
                let zeros = vec![0; 1 << 16];
                for _ in 0..=wanted / zeros.len() {
                    file.write_all(&zeros)?;
                }
                file.sync_all()
            };
            fill().map_err(|e| Error::io(&self.path, "cannot write (4 MiB of room are needed)", e))?;
            *room = wanted;
        }
        *room -= frame;
        Ok(())
    }
}

impl Sink for ChemfilesSink {
    fn write(&mut self, block: &Block) -> Result<()> {
        for frame in 0..block.positions.dim().0 {
            self.ensure_room()?;
            let trajectory = match &mut self.trajectory {
                Some(trajectory) => trajectory,
                closed => {
                    let opened = Trajectory::open_with_format(&self.temporary, 'w', self.format.as_str());
                    closed.insert(opened.map_err(|e| failed(&self.path, &e))?)
                }
            };
            // chemfiles counts velocities in angstrom/ps.
            let out = self.molecule.frame(block, frame, 1e3);
            if let Err(error) = trajectory.write(&out) {
                // After a failed write chemfiles' NetCDF ends the process while it closes the file.
                std::mem::forget(self.trajectory.take());
                let hidden = self.temporary.display().to_string();
                let message = error.message.replace(&hidden, &self.path.display().to_string());
                return Err(failed(&self.path, &chemfiles::Error { message, ..error }));
            }
            self.last = (0..self.molecule.atoms.len()).map(|k| row(&block.positions, frame, k)).collect();
        }
        Ok(())
    }

    /// chemfiles says nothing where closing a file fails, so the file is read again.
    fn close(mut self: Box<Self>, frames: usize) -> Result<()> {
        drop(self.trajectory.take());
        let place = Place::file(&self.path);
        let incomplete = |what: String| {
            Error::data(
                place.clone(),
                format!("the file did not get whole ({what}); is the disk full? nothing was kept"),
            )
        };
        let readable = super::other::formats().iter().any(|one| one.name == self.format && one.read);
        if !readable {
            return Err(Error::usage(format!(
                "{}: chemfiles cannot read {} back to check it; write another format",
                self.path.display(),
                self.format
            )));
        }
        let (temporary, format) = (self.temporary.clone(), self.format.clone());
        let found =
            guarded(&place, "the file just written", move || -> std::result::Result<_, chemfiles::Error> {
                let mut again = Trajectory::open_with_format(&temporary, 'r', format.as_str())?;
                let steps = again.nsteps();
                let mut frame = Frame::new();
                if steps > 0 {
                    again.read_step(steps - 1, &mut frame)?;
                }
                Ok((steps, frame))
            })?;
        let (steps, frame) = found.map_err(|e| incomplete(one_line(&e.message)))?;
        if steps != frames || frame.size() != self.last.len() {
            return Err(incomplete(format!("{steps} of {frames} frames")));
        }
        // Formats shift or turn the molecule at will; its distances from the first atom must be there.
        for (k, position) in frame.positions().iter().enumerate() {
            let distance =
                |a: Vector, b: Vector| (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt();
            let (written, found) =
                (distance(self.last[k], self.last[0]), distance(*position, frame.positions()[0]));
            if (written - found).abs() > 0.03 + 1e-5 * written {
                return Err(incomplete(format!("atom {k} of the last frame is not where it was put")));
            }
        }
        Ok(())
    }
}
