//! The partial results beside an output: a header that says what they belong to, then one record for each frame,
//! in order.
//!
//! A record is the frame's row (u64), its kind (u64: 0 labelled, 1 failing), energy (f64), forces (3n f64) and the
//! first 16 bytes of the SHA-256 of the header's digest and the record. Numbers are little-endian. Records have one
//! length, so a torn one is told from a damaged one.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::owner::{Owner, DIGEST};
use crate::error::Place;
use crate::files::{create_locked, lock, unlock};
use crate::{Error, Result};

const CHECK: usize = 16;
const LABELLED: u64 = 0;
const FAILING: u64 = 1;
/// Records are flushed to the disk when this time has passed: a kill loses nothing that was written, only a crash of
/// the machine does.
const FLUSH: Duration = Duration::from_secs(1);

/// One frame's result.
pub(super) struct Record {
    pub failing: bool,
    pub energy: f64,
    pub forces: Vec<f64>,
}

/// The file of partial results. It comes into being with the first record.
pub(super) struct Partial {
    path: PathBuf,
    owner: Owner,
    header: Vec<u8>,
    file: Option<File>,
    whole: usize,
    flushed: Instant,
    /// Whose file it is: a forked child has the same, and must not give it up.
    process: u32,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(file) = self.file.as_ref().filter(|_| self.process == std::process::id()) {
            unlock(file);
        }
    }
}

impl Partial {
    /// Takes the whole records that are there, and cuts off what is torn at the end; the rows of failing frames
    /// come along.
    pub fn open(path: &Path, owner: Owner) -> Result<(Self, Vec<usize>)> {
        let header = owner.header(path)?;
        let mut partial = Partial {
            path: path.to_owned(),
            owner,
            header,
            file: None,
            whole: 0,
            flushed: Instant::now(),
            process: std::process::id(),
        };
        let mut failing = Vec::new();
        if path.exists() {
            if !path.is_file() {
                return Err(Error::usage(format!(
                    "{}: partial results are kept here, but this is no regular file; remove it, or give another \
                     output",
                    path.display()
                )));
            }
            let file = OpenOptions::new().read(true).write(true).open(path);
            let file = file.map_err(|error| Error::io(path, "cannot open the partial results", error))?;
            // Before anything is read: another run may be in the middle of a record.
            if !lock(&file) {
                return Err(partial.busy());
            }
            partial.header = partial.owner.check(path, &file)?;
            failing = partial.take(&file)?;
            partial.file = Some(file);
        }
        Ok((partial, failing))
    }

    /// Number of frames that are done.
    pub fn len(&self) -> usize {
        self.whole
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Counts the whole records. A bad one is what a crash left of the last write, unless a good one follows.
    fn take(&mut self, file: &File) -> Result<Vec<usize>> {
        let failed = |error| Error::io(&self.path, "cannot read the partial results", error);
        let length = file.metadata().map_err(failed)?.len();
        let records = (length.saturating_sub(self.header.len() as u64) / self.size() as u64) as usize;
        if records > self.owner.frames {
            return Err(self.damaged(self.owner.frames));
        }
        let mut from = BufReader::with_capacity(1 << 16, file);
        from.seek(SeekFrom::Start(self.header.len() as u64)).map_err(failed)?;
        let mut bytes = vec![0; self.size()];
        let (mut whole, mut failing) = (0, Vec::new());
        for row in 0..records {
            from.read_exact(&mut bytes).map_err(failed)?;
            match self.decode(&bytes, row) {
                Some(_) if whole < row => return Err(self.damaged(whole)),
                Some(record) => {
                    whole += 1;
                    if record.failing {
                        failing.push(row);
                    }
                }
                None => {}
            }
        }
        self.whole = whole;
        if self.end() < length {
            log::info!("{}: the last record is torn and will be computed again", self.path.display());
            file.set_len(self.end())
                .map_err(|error| Error::io(&self.path, "cannot cut a torn record", error))?;
        }
        Ok(failing)
    }

    fn damaged(&self, row: usize) -> Error {
        Error::data(
            Place::file(&self.path),
            format!("record {row} of these partial results is damaged; remove the file to begin anew"),
        )
    }

    fn busy(&self) -> Error {
        Error::data(
            Place::file(&self.path),
            "another run writes these partial results too; wait for its end, or stop it and give the same command",
        )
    }

    /// Bytes of a record.
    fn size(&self) -> usize {
        24 + 24 * self.owner.species.len() + CHECK
    }

    /// Where the whole records end.
    fn end(&self) -> u64 {
        self.header.len() as u64 + self.whole as u64 * self.size() as u64
    }

    fn check(&self, record: &[u8]) -> [u8; CHECK] {
        let mut hash = Sha256::new();
        hash.update(&self.header[self.header.len() - DIGEST..]);
        hash.update(record);
        let digest = hash.finalize();
        std::array::from_fn(|k| digest[k])
    }

    fn decode(&self, bytes: &[u8], row: usize) -> Option<Record> {
        let (record, check) = bytes.split_at(bytes.len() - CHECK);
        let words: Vec<u64> = record
            .chunks_exact(8)
            .map(|b| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
            .collect();
        let whole = self.check(record) == *check && words[0] == row as u64 && words[1] <= FAILING;
        whole.then(|| Record {
            failing: words[1] == FAILING,
            energy: f64::from_bits(words[2]),
            forces: words[3..].iter().map(|&bits| f64::from_bits(bits)).collect(),
        })
    }

    /// Appends the energies and forces (3n numbers each) of the frames that come next.
    pub fn append(&mut self, energies: &[f64], forces: &[f64]) -> Result<()> {
        let width = 3 * self.owner.species.len();
        let records = energies.iter().zip(forces.chunks_exact(width));
        self.write(LABELLED, records)
    }

    /// Says of the frame that comes next that the potential fails on it.
    pub fn append_failing(&mut self) -> Result<()> {
        let nothing = vec![0.0; 3 * self.owner.species.len()];
        self.write(FAILING, std::iter::once((&0.0, nothing.as_slice())))
    }

    fn write<'a>(&mut self, kind: u64, records: impl Iterator<Item = (&'a f64, &'a [f64])>) -> Result<()> {
        let mut bytes = Vec::new();
        let mut row = self.whole;
        for (energy, forces) in records {
            let start = bytes.len();
            bytes.extend((row as u64).to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend([energy].into_iter().chain(forces).flat_map(|value| value.to_le_bytes()));
            bytes.extend(self.check(&bytes[start..]));
            row += 1;
        }
        let failed = |error| {
            Error::io(&self.path, "cannot write; make room and give the same command again to go on", error)
        };
        if self.file.is_none() {
            // Whole or not there: a kill leaves no torn header.
            self.file = create_locked(&self.path, &self.header)?;
        }
        let end = self.end();
        // Where the file system has no locks, the length tells.
        let Some(file) = &mut self.file else { return Err(self.busy()) };
        if file.metadata().map_err(failed)?.len() != end {
            return Err(self.busy());
        }
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        file.write_all(&bytes).map_err(failed)?;
        if self.flushed.elapsed() >= FLUSH {
            file.sync_data().map_err(failed)?;
            self.flushed = Instant::now();
        }
        self.whole = row;
        Ok(())
    }

    /// Makes what was written durable.
    pub fn flush(&mut self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        file.sync_data().map_err(|error| Error::io(&self.path, "cannot write", error))
    }

    /// Reads the records again, from the first one on.
    pub fn records(&self) -> Result<Records<'_>> {
        let failed = |error| Error::io(&self.path, "cannot read the partial results", error);
        let file = self.file.as_ref().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let mut from = BufReader::with_capacity(1 << 16, file);
        from.seek(SeekFrom::Start(self.header.len() as u64)).map_err(failed)?;
        Ok(Records { partial: self, from, row: 0 })
    }

    /// Takes the file away.
    pub fn remove(self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(&self.path, "cannot remove the finished partial results", error))
            }
            _ => Ok(()),
        }
    }
}

/// Records being read.
pub(super) struct Records<'a> {
    partial: &'a Partial,
    from: BufReader<&'a File>,
    row: usize,
}

impl Records<'_> {
    /// The next record, which must be there.
    pub fn next(&mut self) -> Result<Record> {
        let partial = self.partial;
        let mut bytes = vec![0; partial.size()];
        let read = self.from.read_exact(&mut bytes);
        read.map_err(|error| Error::io(&partial.path, "cannot read the partial results", error))?;
        let record = partial.decode(&bytes, self.row).ok_or_else(|| partial.damaged(self.row))?;
        self.row += 1;
        Ok(record)
    }
}
