//! What stands behind `torchscript:` on the command line.

use std::path::PathBuf;

use crate::train::device::Choice;
use crate::units::{parse_unit, ENERGY, LENGTH};
use crate::{Error, Result};

const KNOWN: &str =
    "device=auto|cpu|cuda|cuda:INDEX, dtype=float64|float32, length=UNIT, energy=UNIT, batch=N";

/// The numbers a module computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// `float64`.
    #[default]
    Double,
    /// `float32`.
    Single,
}

/// `FILE[,key=value...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The module, as `torch.jit.save` writes it. Its name has no comma.
    pub file: PathBuf,
    /// Where it runs.
    pub device: Choice,
    /// What it computes with.
    pub precision: Precision,
    /// Unit of the module's positions.
    pub length: String,
    /// Unit of the module's energies; its forces are in `energy` per `length`.
    pub energy: String,
    /// Most frames at once; found by what memory allows where absent.
    pub batch: Option<usize>,
}

impl Options {
    /// A file with nothing else said: the device found, float64, angstrom and kcal/mol.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Options {
            file: file.into(),
            device: Choice::default(),
            precision: Precision::default(),
            length: "angstrom".into(),
            energy: "kcal/mol".into(),
            batch: None,
        }
    }

    /// Reads `FILE[,key=value...]`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a missing file name, and for keys and values that are not known.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split(',');
        let file = parts.next().unwrap_or_default();
        let wrong = |what: String| Err(Error::usage(format!("potential 'torchscript:{text}': {what}")));
        if file.is_empty() {
            return wrong("it names no file; give torchscript:FILE".into());
        }
        let mut options = Options::new(file);
        let mut seen = Vec::new();
        for part in parts {
            let Some((key, value)) = part.split_once('=') else {
                return wrong(format!("'{part}' is not key=value; give {KNOWN}"));
            };
            if seen.contains(&key) {
                return wrong(format!("{key} is given twice; give it once"));
            }
            seen.push(key);
            let read = match key {
                "device" => value.parse().map(|device| options.device = device),
                "length" => parse_unit(value, LENGTH).map(|_| options.length = value.into()),
                "energy" => parse_unit(value, ENERGY).map(|_| options.energy = value.into()),
                "dtype" => precision(value).map(|precision| options.precision = precision),
                "batch" => frames(value).map(|frames| options.batch = Some(frames)),
                _ => return wrong(format!("option '{key}' is not known; give {KNOWN}")),
            };
            if let Err(error) = read {
                return wrong(format!("{part}: {error}"));
            }
        }
        Ok(options)
    }
}

fn precision(text: &str) -> Result<Precision> {
    match text {
        "float64" => Ok(Precision::Double),
        "float32" => Ok(Precision::Single),
        _ => Err(Error::usage("give float64 or float32")),
    }
}

fn frames(text: &str) -> Result<usize> {
    let number = text.parse().ok().filter(|&frames| frames > 0);
    number.ok_or_else(|| Error::usage("give a number of frames, 1 or more"))
}
