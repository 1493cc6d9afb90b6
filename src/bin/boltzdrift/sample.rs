//! `boltzdrift sample`: structures from a sampler.

use std::path::PathBuf;

use boltzdrift::dataset::{WriteOptions, Writer};
use boltzdrift::sampler::Sampler;
use boltzdrift::{Error, Result};
use clap::Args;

use crate::args::{distinct, temperature};
use crate::terminal::{interrupted, say, Bar};

/// Samples drawn and written at a time.
const CHUNK: usize = 8192;

/// Draw structures: sample I of a seed is the same whatever the number of threads and calls.
#[derive(Args)]
pub struct Sample {
    /// The sampler, as `train` wrote it.
    model: PathBuf,
    /// How many structures.
    #[arg(short = 'n', long = "number", value_name = "N")]
    number: usize,
    /// Where to write them; the extension tells the format.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Seed of the ensemble.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Index of the first sample, so that several processes can draw parts of one ensemble.
    #[arg(long, default_value_t = 0, value_name = "I")]
    first: u64,
    /// Add Maxwell velocities without momentum and angular momentum.
    #[arg(long)]
    velocities: bool,
    /// Temperature of the velocities, for example 500K; the sampler's own where absent.
    #[arg(long, value_name = "T")]
    temperature: Option<String>,
    /// Format of the output, where the extension does not tell.
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Sample {
    pub fn run(&self, quiet: bool) -> Result<()> {
        if self.number == 0 {
            return Err(Error::usage("-n 0: give at least 1 sample"));
        }
        distinct(&self.output, &self.model, "the sampler itself")?;
        let sampler = Sampler::load(&self.model)?;
        let kelvin = match (&self.temperature, self.velocities) {
            (Some(_), false) => return Err(Error::usage("--temperature is for --velocities; add it or leave both out")),
            (Some(text), true) => temperature(text)?,
            (None, true) => sampler.record().temperature.ok_or_else(|| {
                Error::usage(format!(
                    "{}: the sampler records no temperature; say which one the velocities shall have: --temperature 500K",
                    self.model.display()
                ))
            })?,
            (None, false) => f64::NAN,
        };
        self.first.checked_add(self.number as u64).ok_or_else(|| {
            Error::usage(format!(
                "--first {} and -n {} go past the last sample index, {}",
                self.first,
                self.number,
                u64::MAX
            ))
        })?;
        let mut writer = Writer::create(
            &self.output,
            &WriteOptions {
                format: self.format.clone(),
                species: sampler.record().species.clone(),
                masses: sampler.record().masses.clone(),
                cell: None,
                velocities: self.velocities,
                frames_expected: Some(self.number),
            },
        )?;
        let bar = Bar::new(quiet, "sampling", "samples");
        let mut done = 0;
        while done < self.number {
            let count = CHUNK.min(self.number - done);
            let first = self.first + done as u64;
            let positions = sampler.sample(self.seed, first, count)?;
            let velocities = match self.velocities {
                true => Some(sampler.velocities(self.seed, first, &positions, kelvin)?),
                false => None,
            };
            writer.write(positions.view(), velocities.as_ref().map(|v| v.view()), None, None)?;
            done += count;
            bar.set(done as u64, Some(self.number as u64));
            if interrupted() {
                return Err(Error::Interrupted(format!(
                    "stopped after {done} samples; {} was not written",
                    self.output.display()
                )));
            }
        }
        writer.finish()?;
        bar.done();
        if !quiet {
            say(&format!("{} samples of seed {} in {}", self.number, self.seed, self.output.display()))?;
        }
        Ok(())
    }
}
