//! Lines of a text file, one at a time, with the place in the file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::error::Place;
use crate::{Error, Result};

/// Lines of a file.
pub(super) struct Lines {
    reader: BufReader<File>,
    pub path: PathBuf,
    buffer: Vec<u8>,
    size: u64,
    consumed: u64,
    /// Whole frames read or passed over so far: the number of the frame being read.
    pub frame: usize,
    /// Whether the line read last had its newline.
    pub ended: bool,
}

impl Lines {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "cannot open", e))?;
        let size = file.metadata().map_err(|e| Error::io(path, "cannot open", e))?.len();
        let reader = BufReader::with_capacity(1 << 16, file);
        Ok(Lines {
            reader,
            path: path.to_owned(),
            buffer: Vec::new(),
            size,
            consumed: 0,
            frame: 0,
            ended: true,
        })
    }

    /// The next line without its end; none at the end of the file.
    pub fn next(&mut self) -> Result<Option<&str>> {
        self.buffer.clear();
        let read = self
            .reader
            .read_until(b'\n', &mut self.buffer)
            .map_err(|e| Error::io(&self.path, "cannot read", e))?;
        if read == 0 {
            return Ok(None);
        }
        self.consumed += read as u64;
        self.ended = self.buffer.last() == Some(&b'\n');
        match std::str::from_utf8(&self.buffer) {
            // A NUL would end the text early inside chemfiles.
            Ok(line) if !line.contains('\0') => Ok(Some(line.trim_end_matches(['\n', '\r']))),
            _ => Err(self.bad("the file is no text here; it is damaged or of another format")),
        }
    }

    /// The next line of a frame that has begun.
    pub fn need(&mut self) -> Result<&str> {
        match self.peek_end()? {
            true => Err(self.cut()),
            false => self.next()?.ok_or_else(|| Error::Numeric("the file shrank while it was read".into())),
        }
    }

    fn peek_end(&mut self) -> Result<bool> {
        Ok(self.reader.fill_buf().map_err(|e| Error::io(&self.path, "cannot read", e))?.is_empty())
    }

    pub fn place(&self) -> Place {
        Place::frame(&self.path, self.frame)
    }

    pub fn bad(&self, message: impl Into<String>) -> Error {
        Error::data(self.place(), message)
    }

    /// The error for a frame that the file ends in.
    pub fn cut(&self) -> Error {
        self.bad(match self.frame {
            0 => "the file is cut short in its first frame; it holds no whole frame".to_owned(),
            whole => format!("the file is cut short in this frame; {whole} whole frames precede it, read them with --frames :{whole}"),
        })
    }

    /// Frames in the file as estimated from the bytes read so far.
    pub fn estimate(&self) -> Option<usize> {
        if self.frame == 0 || self.consumed == 0 {
            return None;
        }
        let total = self.frame as f64 * self.size as f64 / self.consumed as f64;
        Some((total.round() as usize).max(self.frame))
    }
}

/// The first bytes of a file, to tell its format.
pub(super) fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut file = File::open(path).map_err(|e| Error::io(path, "cannot open", e))?;
    let metadata = file.metadata().map_err(|e| Error::io(path, "cannot open", e))?;
    if metadata.is_dir() {
        return Err(Error::data(Place::file(path), "this is a directory; give a trajectory file"));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(256).read_to_end(&mut bytes).map_err(|e| Error::io(path, "cannot read", e))?;
    Ok(bytes)
}

/// A finite number, else the reason why it is none.
pub(super) fn number(token: &str) -> std::result::Result<f64, String> {
    match token.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(format!(
            "is {token}; the run blew up or the file is damaged, leave the frame out with --frames"
        )),
        Err(_) => Err(format!("is '{}', not a number; the file is damaged", token.escape_debug())),
    }
}
