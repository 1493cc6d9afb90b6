//! Arrays into a NumPy `.npz` file.

use std::io::{self, Cursor, Write};
use std::path::Path;

use npyz::zip::write::FileOptions;
use npyz::zip::{CompressionMethod, DateTime, ZipWriter};

use crate::files::write_atomically;
use crate::{Error, Result};

/// Header of an array in version 1.0 of NumPy's format.
pub(crate) fn header(kind: &str, shape: &str) -> Vec<u8> {
    let mut text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    // 10 bytes before the text, and a newline at its end; 64 in all or a multiple of it.
    text.push_str(&" ".repeat((64 - (text.len() + 11) % 64) % 64));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// A string as an array without axes.
pub(crate) fn text(value: &str) -> Vec<u8> {
    let letters: Vec<char> = value.chars().collect();
    // NumPy has no strings of length 0.
    let mut bytes = header(&format!("<U{}", letters.len().max(1)), "()");
    letters.iter().for_each(|&letter| bytes.extend(u32::from(letter).to_le_bytes()));
    if letters.is_empty() {
        bytes.extend([0; 4]);
    }
    bytes
}

/// A whole `.npz` file from arrays that are in memory; it appears under its name when it is complete.
#[derive(Default)]
pub(crate) struct NpzOut {
    arrays: Vec<(String, Vec<u8>)>,
}

impl NpzOut {
    fn add(&mut self, name: &str, kind: &str, shape: &[usize], values: impl Iterator<Item = [u8; 8]>) {
        let lengths: String = shape.iter().map(|length| format!("{length}, ")).collect();
        let mut bytes = header(
            kind,
            &format!("({})", lengths.trim_end_matches(if shape.len() == 1 { " " } else { ", " })),
        );
        values.for_each(|value| bytes.extend(value));
        self.arrays.push((name.to_owned(), bytes));
    }

    /// Reals, row-major.
    pub(crate) fn reals<'a>(&mut self, name: &str, shape: &[usize], values: impl Iterator<Item = &'a f64>) {
        self.add(name, "<f8", shape, values.map(|value| value.to_le_bytes()));
    }

    /// Integers, row-major.
    pub(crate) fn integers(&mut self, name: &str, shape: &[usize], values: impl Iterator<Item = i64>) {
        self.add(name, "<i8", shape, values.map(i64::to_le_bytes));
    }

    /// Small integers, row-major.
    pub(crate) fn bytes(&mut self, name: &str, values: &[u8]) {
        let mut bytes = header("|u1", &format!("({},)", values.len()));
        bytes.extend(values);
        self.arrays.push((name.to_owned(), bytes));
    }

    /// A string.
    pub(crate) fn string(&mut self, name: &str, value: &str) {
        self.arrays.push((name.to_owned(), text(value)));
    }

    /// Writes through a temporary file.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be written or the disk is full.
    pub(crate) fn save(self, path: &Path) -> Result<()> {
        let bytes = self.zipped().map_err(|error| Error::io(path, "cannot pack", error))?;
        write_atomically(path, &bytes)
    }

    fn zipped(self) -> io::Result<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        // No time of day: the same arrays give the same bytes.
        let options = FileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default());
        for (name, bytes) in self.arrays {
            zip.start_file(format!("{name}.npy"), options.large_file(bytes.len() > 0xf000_0000))?;
            zip.write_all(&bytes)?;
        }
        Ok(zip.finish()?.into_inner())
    }
}
