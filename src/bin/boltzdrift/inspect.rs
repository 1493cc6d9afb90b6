//! `boltzdrift inspect`: what a trajectory holds.

use std::path::PathBuf;

use boltzdrift::{report, Error, Result};
use clap::Args;

use crate::args::{temperature, Reading};
use crate::terminal::say;

/// Look at a trajectory before training on it.
#[derive(Args)]
pub struct Inspect {
    /// The trajectory.
    trajectory: PathBuf,
    /// Temperature the run was meant to have, for example 500K: compared with what the data says.
    #[arg(long, value_name = "T")]
    temperature: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

impl Inspect {
    pub fn run(&self, quiet: bool) -> Result<()> {
        let asked = self.temperature.as_deref().map(temperature).transpose()?;
        let data = self.reading.read(&self.trajectory, false, quiet)?;
        let inspection = report::inspect(&data, asked)?;
        if self.json {
            let text = serde_json::to_string_pretty(&inspection)
                .map_err(|error| Error::Numeric(error.to_string()))?;
            return say(&text);
        }
        say(&inspection.to_string())
    }
}
