//! One frame on its way in: out of chemfiles' hands, before checks and units.

use std::path::{Path, PathBuf};
use std::sync::Once;

use chemfiles::{Frame, MemoryTrajectoryReader, Property, Selection};

use super::declared::Declared;
use super::whole::Vector;
use crate::error::{one_line, Place};
use crate::{Error, Result};

/// One frame of the selected atoms, in the file's own units.
#[derive(Debug, Clone, Default)]
pub(super) struct Incoming {
    pub species: Vec<u8>,
    pub masses: Option<Vec<f64>>,
    pub positions: Vec<Vector>,
    pub forces: Option<Vec<Vector>>,
    pub velocities: Option<Vec<Vector>>,
    pub energy: Option<f64>,
    /// Cell vectors as rows, and which of them are periodic.
    pub cell: Option<([Vector; 3], [bool; 3])>,
    /// Numbers of these atoms in the file's frame.
    pub selected: Vec<usize>,
    pub atoms_in_file: usize,
    /// What the file calls these atoms, where it does.
    pub ids: Option<Vec<u64>>,
}

/// A file being read frame by frame.
pub(super) trait Frames {
    /// The next frame, none at the end of the file.
    fn read(&mut self) -> Result<Option<Incoming>>;
    /// Passes over a frame; false at the end of the file.
    fn skip(&mut self) -> Result<bool>;
    /// Frames in the file, as far as known.
    fn total(&self) -> Option<usize>;
    /// The units of the file, known once a frame was read.
    fn declared(&self) -> Declared;
    /// Name of the format, for the user.
    fn format(&self) -> String;
    /// Things to tell the user.
    fn warnings(&mut self) -> Vec<String>;
}

/// Sends chemfiles' warnings to the log; chemfiles would print them.
pub(super) fn quiet_chemfiles() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        chemfiles::set_warning_callback(|message| log::warn!("chemfiles: {}", one_line(message)))
    });
}

pub(super) fn chemfiles_error(place: Place, error: &chemfiles::Error) -> Error {
    Error::data(place, format!("chemfiles cannot read it: {}", one_line(&error.message)))
}

/// Reads one frame out of text that holds one frame.
pub(super) fn parse_text(text: &str, format: &str, place: &Place) -> Result<Frame> {
    let parsed = guarded(place, "this text", || {
        let mut frame = Frame::new();
        MemoryTrajectoryReader::new(text.as_bytes(), format)?.read(&mut frame)?;
        Ok(frame)
    })?;
    parsed.map_err(|e| chemfiles_error(place.clone(), &e))
}

/// Runs code of chemfiles' Rust binding that panics on text that is not UTF-8, and on some selections.
pub(super) fn guarded<T>(place: &Place, what: &str, work: impl FnOnce() -> T) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .map_err(|_| Error::data(place.clone(), format!("chemfiles failed on {what}")))
}

/// Limits of a selection: chemfiles goes one call deeper for every operator and parenthesis, and the stack of a host's
/// thread may be small.
const LONGEST_SELECTION: usize = 1 << 16;
const DEEPEST_SELECTION: usize = 1000;

/// How deep chemfiles may go into a selection, at most.
fn depth(text: &str) -> usize {
    let signs = text.bytes().filter(|byte| b"([-+*/^%".contains(byte)).count();
    let words =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| matches!(*word, "and" | "or" | "not"));
    signs + words.count()
}

/// The selected atoms: the same ones in every frame.
pub(super) struct Picker {
    path: PathBuf,
    selection: Option<(Selection, String)>,
    first: Option<Vec<usize>>,
}

impl Picker {
    pub fn new(path: &Path, selection: Option<&str>) -> Result<Self> {
        quiet_chemfiles();
        let selection = match selection {
            None => None,
            Some(text) => {
                let wrong = |what: &str| {
                    Error::usage(format!(
                        "selection '{}': {what}; give a chemfiles selection of atoms, for example \"index < 9\"",
                        text.escape_debug()
                    ))
                };
                if text.contains('\0') {
                    return Err(wrong("it has a NUL in it"));
                }
                if text.len() > LONGEST_SELECTION || depth(text) > DEEPEST_SELECTION {
                    return Err(Error::usage(format!(
                        "the selection has {} characters and {} operators; at most {LONGEST_SELECTION} and \
                         {DEEPEST_SELECTION}: select by ranges, for example \"index < 9\"",
                        text.len(),
                        depth(text)
                    )));
                }
                // Its error may quote a part of the text that is no text.
                let selection = guarded(&Place::file(path), "the selection", || Selection::new(text))
                    .map_err(|_| wrong("chemfiles cannot read it"))?
                    .map_err(|e| wrong(&one_line(&e.message)))?;
                if selection.size() != 1 {
                    return Err(wrong("it picks pairs or more, not atoms"));
                }
                Some((selection, text.to_owned()))
            }
        };
        Ok(Picker { path: path.to_owned(), selection, first: None })
    }

    /// Numbers of the selected atoms in this frame, in order.
    pub fn pick(&mut self, frame: &Frame, number: usize) -> Result<Vec<usize>> {
        let Some((selection, text)) = &mut self.selection else {
            return Ok((0..frame.size()).collect());
        };
        let place = Place::frame(&self.path, number);
        // The binding panics where a property has another type than the selection takes it for.
        let mut picked = guarded(&place, &format!("selection '{text}'"), || selection.list(frame))?;
        picked.sort_unstable();
        if picked.is_empty() {
            return Err(Error::data(place, format!("selection '{text}' picks no atom; give another one")));
        }
        match &self.first {
            Some(first) if *first != picked => Err(Error::data(
                place,
                format!(
                    "selection '{text}' picks other atoms ({}) than in the first frame ({}); select by index, name or \
                     property, not by place",
                    picked.len(),
                    first.len()
                ),
            )),
            _ => {
                self.first = Some(picked.clone());
                Ok(picked)
            }
        }
    }
}

/// A vector of three scalar properties of one atom, as LAMMPS columns come.
pub(super) fn scalars(frame: &Frame, atom: usize, names: [&str; 3]) -> Option<Vector> {
    let atom = frame.atom(atom);
    let mut vector = [0.0; 3];
    for (value, name) in vector.iter_mut().zip(names) {
        let Some(Property::Double(number)) = atom.get(name) else { return None };
        *value = number;
    }
    Some(vector)
}

/// A vector property of one atom, as extended XYZ columns come.
pub(super) fn vector(frame: &Frame, atom: usize, name: &str) -> Option<Vector> {
    match frame.atom(atom).get(name) {
        Some(Property::Vector3D(vector)) => Some(vector),
        _ => None,
    }
}

/// Whether chemfiles takes these cell vectors: the first along x, the second in the xy plane, and not
/// so close to orthogonal that it takes the cell for a rotated orthogonal one.
pub(super) fn chemfiles_takes(rows: &[Vector; 3]) -> bool {
    let [a, b, c] = rows;
    let upright = a[1] == 0.0 && a[2] == 0.0 && b[2] == 0.0 && a[0] > 1e-3 && b[1] > 1e-3 && c[2] > 1e-3;
    let size = a[0].max(b[1]).max(c[2]);
    let tilts = [b[0].abs(), c[0].abs(), c[1].abs()];
    upright && (tilts == [0.0; 3] || tilts.iter().any(|&tilt| tilt > 1e-3 * size))
}
