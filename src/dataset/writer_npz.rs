//! `.npz` files as sGDML lays its data sets out: R, z and, where given, F, E and V, with their units.
//!
//! A NumPy header needs the number of frames, which is known last: so each array is collected in a
//! nameless file of its own first.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use npyz::zip::write::FileOptions;
use npyz::zip::{CompressionMethod, DateTime, ZipWriter};

use super::writer::{Block, Sink, WriteOptions};
use crate::npz_out::{header, text};
use crate::{Error, Result};

pub(super) struct NpzSink {
    out: File,
    path: PathBuf,
    folder: PathBuf,
    species: Vec<u8>,
    /// Name and bytes so far of R, V, F, E.
    arrays: Vec<(&'static str, BufWriter<File>)>,
}

/// A file that keeps its first error and swallows everything after it, with the positions it would have
/// had: the zip writer would print a second error while it is dropped.
struct Latch {
    file: BufWriter<File>,
    failed: Option<io::Error>,
    position: u64,
    end: u64,
}

impl Latch {
    fn new(file: File) -> Self {
        Latch { file: BufWriter::with_capacity(1 << 16, file), failed: None, position: 0, end: 0 }
    }

    fn hold(&mut self, work: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = work(&mut self.file).err();
        }
    }
}

impl Write for Latch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hold(|file| file.write_all(bytes));
        self.position += bytes.len() as u64;
        self.end = self.end.max(self.position);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hold(|file| file.flush());
        Ok(())
    }
}

impl Seek for Latch {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::Current(offset) => (self.position, offset),
            SeekFrom::End(offset) => (self.end, offset),
        };
        self.position = base.checked_add_signed(offset).ok_or(io::ErrorKind::InvalidInput)?;
        let position = self.position;
        self.hold(|file| file.seek(SeekFrom::Start(position)).map(|_| ()));
        Ok(position)
    }
}

impl NpzSink {
    pub fn new(out: File, folder: &Path, path: &Path, options: &WriteOptions) -> Result<Self> {
        let (path, folder) = (path.to_owned(), folder.to_owned());
        Ok(NpzSink { out, path, folder, species: options.species.clone(), arrays: Vec::new() })
    }

    fn collect<'a>(&mut self, name: &'static str, values: impl Iterator<Item = &'a f64>) -> Result<()> {
        let failed = |e| Error::io(&self.path, "cannot write", e);
        let at = match self.arrays.iter().position(|(known, _)| *known == name) {
            Some(at) => at,
            None => {
                let file = tempfile::tempfile_in(&self.folder).map_err(failed)?;
                self.arrays.push((name, BufWriter::with_capacity(1 << 16, file)));
                self.arrays.len() - 1
            }
        };
        for value in values {
            self.arrays[at].1.write_all(&value.to_le_bytes()).map_err(failed)?;
        }
        Ok(())
    }

    fn assemble(self, frames: usize) -> io::Result<()> {
        let atoms = self.species.len();
        let mut zip = ZipWriter::new(Latch::new(self.out));
        // No time of day: the same frames give the same bytes.
        let options = FileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default());
        for (name, values) in self.arrays {
            let mut file = values.into_inner().map_err(io::IntoInnerError::into_error)?;
            let size = file.seek(SeekFrom::End(0))?;
            file.seek(SeekFrom::Start(0))?;
            let shape = if name == "E" { format!("({frames},)") } else { format!("({frames}, {atoms}, 3)") };
            zip.start_file(format!("{name}.npy"), options.large_file(size > 0xf000_0000))?;
            zip.write_all(&header("<f8", &shape))?;
            io::copy(&mut file.take(size), &mut zip)?;
        }
        zip.start_file("z.npy", options)?;
        zip.write_all(&header("|u1", &format!("({atoms},)")))?;
        zip.write_all(&self.species)?;
        for (name, unit) in [("r_unit", "Ang"), ("e_unit", "kcal/mol")] {
            zip.start_file(format!("{name}.npy"), options)?;
            zip.write_all(&text(unit))?;
        }
        let mut latch = zip.finish()?;
        latch.flush()?;
        latch.failed.map_or(Ok(()), Err)
    }
}

impl Sink for NpzSink {
    fn write(&mut self, block: &Block) -> Result<()> {
        self.collect("R", block.positions.iter())?;
        if let Some(velocities) = &block.velocities {
            self.collect("V", velocities.iter())?;
        }
        if let Some(forces) = &block.forces {
            self.collect("F", forces.iter())?;
        }
        if let Some(energies) = &block.energies {
            self.collect("E", energies.iter())?;
        }
        Ok(())
    }

    fn close(self: Box<Self>, frames: usize) -> Result<()> {
        let path = self.path.clone();
        self.assemble(frames).map_err(|e| Error::io(path, "cannot write", e))
    }
}
