//! PDB files, looked through before chemfiles gets them: its reader (0.10.41) takes the process down at bonds (CONECT) that come
//! before the atoms of their frame, as after the last model of an NMR structure, and at a helix of class 0.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::error::Place;
use crate::{Error, Result};

/// Looks through a file.
///
/// # Errors
/// [`Error::Data`] with the line that chemfiles cannot read.
pub(super) fn check(path: &Path) -> Result<()> {
    let failed = |error| Error::io(path, "cannot read", error);
    let file = File::open(path).map_err(|error| Error::io(path, "cannot open", error))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut line, mut number, mut atoms) = (Vec::new(), 0_u64, false);
    loop {
        line.clear();
        // Any bytes: names of authors are not always UTF-8.
        if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            return Ok(());
        }
        number += 1;
        let bad = |what: &str| {
            Err(Error::data(
                Place::file(path),
                format!("line {number}: {what}; remove such lines from the file"),
            ))
        };
        match line.get(..6).unwrap_or(&line) {
            b"ATOM  " | b"HETATM" => atoms = true,
            b"CONECT" if !atoms => return bad("CONECT comes before the atoms of its frame"),
            b"HELIX " if helix_of_class_0(&line) => return bad("a HELIX of class 0, which there is not"),
            record if record.starts_with(b"END") => atoms = false,
            _ => {}
        }
    }
}

fn helix_of_class_0(line: &[u8]) -> bool {
    let class = line.get(38..).map_or(&[][..], |rest| &rest[..rest.len().min(2)]).trim_ascii();
    class.contains(&b'0') && class.iter().all(|byte| b"0+-".contains(byte))
}
