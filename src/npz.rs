//! Arrays out of a NumPy `.npz` file: numbers and single strings, every size checked before it is read.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use npyz::{DType, NpyFile, Order, TypeChar};

use crate::error::{one_line, Place};
use crate::{Error, Result};

/// Largest array read, in numbers (1 GiB as f64).
const MOST_NUMBERS: u64 = 1 << 27;
/// What any array may take in memory, in bytes, however well it is packed.
const ALWAYS: u64 = 1 << 26;
/// Beyond that, so many times the bytes that it has in the file: positions and forces pack less than 2 to 1.
const MOST_PACKED: u64 = 64;
/// Longest header of an array, in bytes; NumPy's own limit is 10,000.
const LONGEST_HEADER: u32 = 65_536;
/// Longest string read, in bytes.
const LONGEST_TEXT: u64 = 1 << 24;

/// Whether an array that is `packed` bytes in a file may take so many in memory. A few kilobytes of zeros, well packed, could
/// otherwise ask for all there are.
pub(crate) fn in_proportion(bytes: u64, packed: u64) -> bool {
    bytes <= ALWAYS.max(packed.saturating_mul(MOST_PACKED))
}

/// What to say of an array that is not.
pub(crate) const OUT_OF_PROPORTION: &str =
    "is packed more than 64 to 1, as no positions or forces are; if it is meant so, save the file with numpy.savez, unpacked";

/// Brackets that a header opens at most; that of an array of numbers opens two.
const MOST_BRACKETS: usize = 6;

/// Whether an array's header opens more brackets than that of numbers does. The parser tries every bracket as one thing and then
/// as another, so that its time doubles with each inside the others: some dozens would take forever. Those within strings count too:
/// where a string ends is the parser's to say.
pub(crate) fn too_deep(header: &[u8]) -> bool {
    header.iter().filter(|byte| matches!(byte, b'{' | b'[' | b'(')).count() > MOST_BRACKETS
}

/// What to say of such an array.
pub(crate) const TOO_DEEP: &str =
    "has a header with more brackets than an array of numbers has; the file is damaged, or holds other things than numbers";

/// An open `.npz` file.
pub(crate) struct Npz {
    path: PathBuf,
    size: u64,
    archive: npyz::npz::NpzArchive<BufReader<File>>,
}

impl Npz {
    /// Opens the file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::io(path, "cannot open", source))?;
        let size = file.metadata().map_err(|source| Error::io(path, "cannot open", source))?.len();
        let archive = npyz::npz::NpzArchive::new(BufReader::new(file)).map_err(|error| {
            let why = one_line(&error.to_string());
            Error::data(Place::file(path), format!("not a NumPy .npz file ({why})"))
        })?;
        Ok(Npz { path: path.to_owned(), size, archive })
    }

    /// An error about this file.
    pub(crate) fn wrong(&self, message: impl Into<String>) -> Error {
        Error::data(Place::file(&self.path), message)
    }

    /// Whether there is an array of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.archive.array_names().any(|one| one == name)
    }

    /// Reads an array's bytes once to their end, where the archive compares the checksum; how many they are in the file.
    fn check(&mut self, name: &str) -> Result<u64> {
        let wrong = |what: String| Error::data(Place::file(&self.path), format!("array '{name}' {what}"));
        let entry = self.archive.zip_archive().by_name(&format!("{name}.npy"));
        let Ok(mut entry) = entry else { return Err(wrong("is missing".into())) };
        let packed = entry.compressed_size();
        if packed > self.size {
            return Err(wrong("claims more bytes than the file has; the file is damaged".into()));
        }
        if !in_proportion(entry.size(), packed) {
            return Err(wrong(OUT_OF_PROPORTION.into()));
        }
        // npyz makes room for as long a header as the array claims.
        let mut start = [0; 12];
        let read = entry.read_exact(&mut start);
        let length = match start[6] {
            1 => u32::from(u16::from_le_bytes([start[8], start[9]])),
            _ => u32::from_le_bytes([start[8], start[9], start[10], start[11]]),
        };
        if read.is_err() || !start.starts_with(b"\x93NUMPY") || length > LONGEST_HEADER {
            return Err(wrong("has no NumPy header; the file is damaged".into()));
        }
        let mut header = start[if start[6] == 1 { 10 } else { 12 }..].to_vec();
        let damaged = |error: std::io::Error| {
            wrong(format!("is damaged ({}); copy the file again", one_line(&error.to_string())))
        };
        (&mut entry).take(u64::from(length)).read_to_end(&mut header).map_err(damaged)?;
        if too_deep(&header) {
            return Err(wrong(TOO_DEEP.into()));
        }
        // A size that is a lie ends here too: what is larger is refused below by its shape.
        std::io::copy(&mut entry.take(MOST_NUMBERS * 8 + LONGEST_TEXT), &mut std::io::sink())
            .map(|_| packed)
            .map_err(damaged)
    }

    /// An array of numbers of any integer or real type, in its shape; an error where it is missing.
    pub(crate) fn numbers(&mut self, name: &str) -> Result<ArrayD<f64>> {
        let packed = self.check(name)?;
        let path = self.path.clone();
        let wrong = |what: String| Error::data(Place::file(&path), format!("array '{name}' {what}"));
        let unreadable =
            |error: std::io::Error| wrong(format!("cannot be read: {}", one_line(&error.to_string())));
        let npy =
            self.archive.by_name(name).map_err(unreadable)?.ok_or_else(|| wrong("is missing".into()))?;
        let mut count = 1_u64;
        for &length in npy.shape() {
            count = count.checked_mul(length).filter(|&count| count <= MOST_NUMBERS).ok_or_else(|| {
                wrong(format!("of shape {:?} is larger than {MOST_NUMBERS} numbers", npy.shape()))
            })?;
        }
        if !in_proportion(8 * count, packed) {
            return Err(wrong(OUT_OF_PROPORTION.into()));
        }
        let shape: Vec<usize> =
            npy.shape().iter().map(|&length| usize::try_from(length).unwrap_or(usize::MAX)).collect();
        let fortran = npy.order() == Order::Fortran;
        let DType::Plain(kind) = npy.dtype() else { return Err(wrong("does not hold plain numbers".into())) };
        macro_rules! read {
            ($kind:ty) => {{
                let data = npy.data::<$kind>().map_err(|e| wrong(one_line(&e.to_string())))?;
                let mut numbers = Vec::new();
                for value in data {
                    numbers.push(value.map_err(unreadable)? as f64);
                }
                numbers
            }};
        }
        let numbers: Vec<f64> = match (kind.type_char(), kind.size_field()) {
            (TypeChar::Float, 8) => read!(f64),
            (TypeChar::Float, 4) => read!(f32),
            (TypeChar::Int, 8) => read!(i64),
            (TypeChar::Int, 4) => read!(i32),
            (TypeChar::Int, 2) => read!(i16),
            (TypeChar::Int, 1) => read!(i8),
            (TypeChar::Uint, 8) => read!(u64),
            (TypeChar::Uint, 4) => read!(u32),
            (TypeChar::Uint, 2) => read!(u16),
            (TypeChar::Uint, 1) => read!(u8),
            _ => return Err(wrong(format!("has type {kind}; integers or reals are needed"))),
        };
        let shape = IxDyn(&shape);
        let array = if fortran {
            ArrayD::from_shape_vec(shape.f(), numbers)
        } else {
            ArrayD::from_shape_vec(shape, numbers)
        };
        array.map_err(|_| wrong("has fewer numbers than its shape says".into()))
    }

    /// One finite number.
    pub(crate) fn number(&mut self, name: &str) -> Result<f64> {
        let array = self.numbers(name)?;
        match array.iter().next() {
            Some(&value) if array.len() == 1 && value.is_finite() => Ok(value),
            _ => Err(self.wrong(format!("array '{name}' must be one finite number"))),
        }
    }

    /// One string, from a `U` or `S` array.
    pub(crate) fn text(&mut self, name: &str) -> Result<String> {
        self.check(name)?;
        let path = self.path.clone();
        let wrong = |what: &str| Error::data(Place::file(&path), format!("array '{name}' {what}"));
        let found = self.archive.by_name(name).map_err(|_| wrong("cannot be read"))?;
        let npy: NpyFile<_> = found.ok_or_else(|| wrong("is missing"))?;
        let DType::Plain(kind) = npy.dtype() else { return Err(wrong("is no string")) };
        let width = match kind.type_char() {
            TypeChar::UnicodeStr => 4,
            TypeChar::ByteStr => 1,
            _ => return Err(wrong("is no string")),
        };
        let bytes = kind.size_field().saturating_mul(width);
        if bytes > LONGEST_TEXT || npy.shape().iter().any(|&length| length != 1) {
            return Err(wrong("must be one short string"));
        }
        let big = kind.endianness() == npyz::Endianness::Big;
        let mut raw = Vec::new();
        npy.into_inner().take(bytes).read_to_end(&mut raw).map_err(|_| wrong("cannot be read"))?;
        let letters = raw.chunks_exact(usize::try_from(width).unwrap_or(1)).map(|chunk| {
            let code = match *chunk {
                [a, b, c, d] if big => u32::from_be_bytes([a, b, c, d]),
                [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
                _ => u32::from(chunk[0]),
            };
            char::from_u32(code).unwrap_or('\u{fffd}')
        });
        Ok(letters.filter(|&letter| letter != '\0').collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_numbers_have_few_brackets() {
        for good in [
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }\n",
            "{'descr': [('a', '<f8'), ('b', '<i4')], 'fortran_order': False, 'shape': (3,), }",
            "",
        ] {
            assert!(!too_deep(good.as_bytes()), "{good}");
        }
        let deep = |open: &str| format!("{{'descr': {}, 'shape': (3,)}}", open.repeat(60));
        for bad in ["{", "(", "[", "'a(', [", "'}': {", "{([", "'\\'', {", "''' ' '''{"] {
            assert!(too_deep(deep(bad).as_bytes()), "{bad}");
        }
    }
}
