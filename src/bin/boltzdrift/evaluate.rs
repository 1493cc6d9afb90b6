//! `boltzdrift evaluate`: samples against a reference.

use std::path::PathBuf;

use boltzdrift::dataset::Dataset;
use boltzdrift::metrics::{self, Ensemble, Options};
use boltzdrift::potential::Spec;
use boltzdrift::{potential, report, Error, Result};
use clap::Args;
use ndarray::Array1;

use crate::args::Reading;
use crate::terminal::{interrupted, say, Bar};

/// Frames whose energies are computed at a time.
const BATCH: usize = 512;

/// Compare structures with a reference. Each figure stands beside the reference's own: two random
/// halves of it compared with each other.
#[derive(Args)]
pub struct Evaluate {
    /// The structures, for example from `sample`.
    samples: PathBuf,
    /// The reference trajectory.
    #[arg(long, value_name = "FILE")]
    reference: PathBuf,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Compute the energies of both sides with this potential: gdml:FILE, torchscript:FILE or plugin:LIB.so:options.
    #[arg(long, value_name = "SPEC")]
    potential: Option<String>,
    /// Bins of h(r).
    #[arg(long, default_value_t = 200)]
    bins: usize,
    /// Upper end of h(r), angstrom.
    #[arg(long, default_value_t = 8.0)]
    top: f64,
    #[command(flatten)]
    reading: Reading,
}

impl Evaluate {
    pub fn run(&self, quiet: bool) -> Result<()> {
        let spec = self.potential.as_deref().map(Spec::parse).transpose()?;
        let mut samples = self.reading.read(&self.samples, false, quiet)?;
        let mut reference = self.reading.read(&self.reference, false, quiet)?;
        for warning in samples.source.warnings.iter().chain(&reference.source.warnings) {
            log::warn!("{warning}");
        }
        if let Some(spec) = spec {
            let mut field = spec.open()?;
            for data in [&mut samples, &mut reference] {
                data.energies = Some(energies(field.as_mut(), data, quiet)?);
            }
        }
        let options = Options { bins: self.bins, top: self.top, ..Options::default() };
        let evaluation = metrics::evaluate(&Ensemble::from(&samples), &Ensemble::from(&reference), &options)?;
        if self.json {
            let text = serde_json::to_string_pretty(&evaluation)
                .map_err(|error| Error::Numeric(error.to_string()))?;
            return say(&text);
        }
        say(&report::evaluation_table(&evaluation))
    }
}

fn energies(field: &mut dyn potential::Potential, data: &Dataset, quiet: bool) -> Result<Array1<f64>> {
    let frames = data.len() as u64;
    let bar = Bar::new(quiet, "energies", "frames");
    let progress = &mut |done: usize| {
        bar.set(done as u64, Some(frames));
        if interrupted() {
            return Err(Error::Interrupted("computing energies was stopped".into()));
        }
        Ok(())
    };
    let found = potential::evaluate_all(field, &data.species, data.positions.view(), BATCH, progress);
    let (energies, _) = found.map_err(|error| match error {
        // As the file numbers it, and which file.
        Error::Potential { name, frame, status, message } => Error::Potential {
            name,
            frame: data.source.frames[frame],
            status,
            message: format!("in {}: {message}", data.source.name()),
        },
        other => other,
    })?;
    Ok(energies)
}
