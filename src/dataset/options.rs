//! What the caller says about a file: format, units, elements, selection, frames.

use std::str::FromStr;

use crate::units::UnitSystem;
use crate::{Error, Result};

/// How to read a file; `Default` reads every frame of a file that declares everything itself.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The format, where neither extension nor content tells: `LAMMPS`, `XYZ`, `npz` or a name of
    /// chemfiles; case does not matter.
    pub format: Option<String>,
    /// The units, where the file does not declare them (`--units`).
    pub units: Option<UnitSystem>,
    /// The unit of length alone, for example `bohr`.
    pub length_unit: Option<String>,
    /// The unit of energy alone, for example `eV`. Forces are then in energy per length.
    pub energy_unit: Option<String>,
    /// The unit of force, where it is not energy per length.
    pub force_unit: Option<String>,
    /// For one of several files that are read with the same options: the units above are for files that declare none, and are
    /// not held against a file that declares others.
    pub units_where_undeclared: bool,
    /// Symbols of the elements of the numeric types 1, 2, 3 ... of a LAMMPS file (`--types C,H,O`).
    pub types: Vec<String>,
    /// A chemfiles selection that picks one molecule, for example `index < 9`.
    pub selection: Option<String>,
    /// Which frames to read.
    pub frames: FrameSlice,
    /// Refuse a file without forces.
    pub need_forces: bool,
}

/// How far a reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Frames read so far.
    pub frames_done: usize,
    /// Frames there will be, where known; for text files an estimate from the size of the file.
    pub frames_total: Option<usize>,
}

/// Frames `start`, `start + step`, ... before `stop`, counted from 0, as Python's slices without
/// negative numbers: `"100:"`, `":500"`, `"0:1000:10"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSlice {
    /// The first frame.
    pub start: usize,
    /// One past the last frame; none means the end of the file.
    pub stop: Option<usize>,
    /// Every how many frames; at least 1.
    pub step: usize,
}

impl Default for FrameSlice {
    fn default() -> Self {
        FrameSlice { start: 0, stop: None, step: 1 }
    }
}

impl FrameSlice {
    pub(super) fn contains(&self, frame: usize) -> bool {
        frame >= self.start
            && !self.ends_before(frame)
            && (frame - self.start).is_multiple_of(self.step.max(1))
    }

    /// Whether no frame from this one on is asked for.
    pub(super) fn ends_before(&self, frame: usize) -> bool {
        self.stop.is_some_and(|stop| frame >= stop)
    }

    /// How many of `total` frames are asked for.
    pub(super) fn count(&self, total: usize) -> usize {
        let stop = self.stop.map_or(total, |stop| stop.min(total));
        stop.saturating_sub(self.start).div_ceil(self.step.max(1))
    }

    /// Refuses a slice that asks for frames a file of `total` frames does not have.
    pub(super) fn check(&self, total: usize, path: &std::path::Path) -> Result<()> {
        let asked = self.stop.unwrap_or(self.start + 1);
        if asked > total {
            return Err(Error::usage(format!(
                "{}: --frames asks for frame {}, but the file has {total} frames (0 to {}); give --frames \
                 within them",
                path.display(),
                asked - 1,
                total.saturating_sub(1)
            )));
        }
        Ok(())
    }
}

impl FromStr for FrameSlice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Error::usage(format!("frames '{text}': {what}; give START:STOP:STEP, for example 100:2000:10"))
        };
        let parts: Vec<&str> = text.split(':').map(str::trim).collect();
        if !(2..=3).contains(&parts.len()) {
            return Err(wrong("it needs one or two colons"));
        }
        let number = |part: &str| match part {
            "" => Ok(None),
            _ => part.parse::<usize>().map(Some).map_err(|_| wrong(&format!("'{part}' is no frame number"))),
        };
        let slice = FrameSlice {
            start: number(parts[0])?.unwrap_or(0),
            stop: number(parts[1])?,
            step: parts.get(2).map_or(Ok(None), |part| number(part))?.unwrap_or(1),
        };
        if slice.step == 0 {
            return Err(wrong("the step is 0"));
        }
        if slice.stop.is_some_and(|stop| stop <= slice.start) {
            return Err(wrong("it holds no frame"));
        }
        Ok(slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices() {
        let slice: FrameSlice = "2:9:3".parse().unwrap();
        assert_eq!((0..12).filter(|&k| slice.contains(k)).collect::<Vec<_>>(), [2, 5, 8]);
        assert_eq!((slice.count(100), slice.count(6)), (3, 2));
        assert_eq!(":".parse::<FrameSlice>().unwrap(), FrameSlice::default());
        assert_eq!(":7".parse::<FrameSlice>().unwrap().stop, Some(7));
        for bad in ["", "3", "-1:", "1:2:0", "5:5", "a:b", "1:2:3:4", "::99999999999999999999"] {
            assert_eq!(bad.parse::<FrameSlice>().unwrap_err().exit_code(), 2, "{bad}");
        }
    }
}
