//! GRO files, looked through before chemfiles gets them: its reader (0.10.41) makes room for as many atoms as a frame claims.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::error::Place;
use crate::{Error, Result};

/// A line of an atom has at least so many bytes, with its end.
const LEAST: u64 = 45;

/// Looks through a file.
///
/// # Errors
/// [`Error::Data`] for a frame that claims more atoms than the file can hold.
pub(super) fn check(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(|error| Error::io(path, "cannot open", error))?;
    let size = file.metadata().map_err(|error| Error::io(path, "cannot open", error))?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    let mut next = |line: &mut Vec<u8>| {
        line.clear();
        reader.read_until(b'\n', line).map_err(|error| Error::io(path, "cannot read", error))
    };
    for frame in 0.. {
        // The title, then the number; without a number chemfiles refuses the frame itself.
        if next(&mut line)? == 0 || next(&mut line)? == 0 {
            break;
        }
        let number = std::str::from_utf8(&line).ok().and_then(|text| text.trim().parse::<u64>().ok());
        let Some(atoms) = number else { break };
        if atoms > size / LEAST + 1 {
            return Err(Error::data(
                Place::frame(path, frame),
                format!("{atoms} atoms are more than the file can hold; it is damaged or cut short"),
            ));
        }
        // The atoms and the box.
        for _ in 0..=atoms {
            if next(&mut line)? == 0 {
                return Ok(());
            }
        }
    }
    Ok(())
}
