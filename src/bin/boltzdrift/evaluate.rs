//! `boltzdrift evaluate`: samples against a reference.

use std::path::{Path, PathBuf};

use boltzdrift::dataset::Dataset;
use boltzdrift::metrics::{self, Ensemble, Options};
use boltzdrift::potential::Spec;
use boltzdrift::report::html::{self, Side};
use boltzdrift::{potential, report, Error, Result};
use clap::Args;

use crate::args::{check_writable, distinct, temperature, Reading};
use crate::terminal::{command, interrupted, say, warnings, Bar};

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
    /// Write a page to look at: the verdict, distributions and some structures, in one HTML file that loads nothing.
    #[arg(long, value_name = "OUT.html")]
    report: Option<PathBuf>,
    /// The same samples after refinement, to stand beside them in the report.
    #[arg(long, value_name = "FILE", requires = "report")]
    refined: Option<PathBuf>,
    /// Temperature asked for, for example 500K: a line in the report's thermometer.
    #[arg(long, value_name = "T", requires = "report")]
    temperature: Option<String>,
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
        let kelvin = self.temperature.as_deref().map(temperature).transpose()?;
        if let Some(page) = &self.report {
            let read = [Some(&self.samples), Some(&self.reference), self.refined.as_ref()];
            for file in read.into_iter().flatten().map(PathBuf::as_path) {
                distinct(page, file, "a file that is read")?;
            }
            if let Some(file) = spec.as_ref().and_then(Spec::file) {
                distinct(page, file, "the potential")?;
            }
            check_writable(page)?;
        }
        let mut samples = self.reading.read_one_of(&self.samples, false, quiet)?;
        let mut reference = self.reading.read_one_of(&self.reference, false, quiet)?;
        let mut refined = match &self.refined {
            Some(file) => Some(self.reading.read_one_of(file, false, quiet)?),
            None => None,
        };
        for data in [Some(&samples), Some(&reference), refined.as_ref()].into_iter().flatten() {
            data.source.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        }
        if let Some(spec) = spec {
            let mut field = spec.open()?;
            for data in [Some(&mut samples), Some(&mut reference), refined.as_mut()].into_iter().flatten() {
                label(field.as_mut(), data, quiet)?;
            }
        }
        let options = Options { bins: self.bins, top: self.top, ..Options::default() };
        let evaluation = metrics::evaluate(&Ensemble::from(&samples), &Ensemble::from(&reference), &options)?;
        if let Some(path) = &self.report {
            let mut sides = vec![Side { name: "samples", data: &samples }];
            sides.extend(refined.as_ref().map(|data| Side { name: "refined", data }));
            write_page(path, sides, &reference, options, kelvin)?;
        }
        if self.json {
            let text = serde_json::to_string_pretty(&evaluation)
                .map_err(|error| Error::Numeric(error.to_string()))?;
            return say(&text);
        }
        say(&report::evaluation_table(&evaluation))?;
        match &self.report {
            Some(path) => say(&format!("\nthe same to look at: {}", path.display())),
            None => Ok(()),
        }
    }
}

fn write_page(
    path: &Path,
    sides: Vec<Side>,
    reference: &Dataset,
    options: Options,
    temperature: Option<f64>,
) -> Result<()> {
    let page = html::page(&html::Input {
        sides,
        reference: Side { name: "reference", data: reference },
        options,
        temperature,
        training: None,
        warnings: warnings(),
        command: command(),
    })?;
    page.save(path)
}

/// Energies and forces of every frame, instead of those it has.
fn label(field: &mut dyn potential::Potential, data: &mut Dataset, quiet: bool) -> Result<()> {
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
    let (energies, forces) = found.map_err(|error| match error {
        // As the file numbers it, and which file.
        Error::Potential { name, frame, status, message } => Error::Potential {
            name,
            frame: data.source.frames[frame],
            status,
            message: format!("in {}: {message}", data.source.name()),
        },
        other => other,
    })?;
    (data.energies, data.forces) = (Some(energies), Some(forces));
    Ok(())
}
