//! `boltzdrift label`: energies and forces of a trajectory's frames from a potential.

use std::path::{Path, PathBuf};

use boltzdrift::label::{output, Difference, Labeling, Labelled, Settings};
use boltzdrift::potential::Spec;
use boltzdrift::{Error, Result};
use clap::Args;

use crate::args::{check_writable, distinct, Reading};
use crate::terminal::{interrupted, say, Bar};

/// Compute energies and forces of every frame with a potential. Finished batches are kept in OUT.partial until the
/// output is written: after an interruption of any kind the same command goes on where it was.
#[derive(Args)]
pub struct Label {
    /// The trajectory; energies and forces that it has are replaced.
    trajectory: PathBuf,
    /// Where to write the frames with their labels: .npz or .xyz; .lammpstrj has forces only.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// The potential, as gdml:FILE, torchscript:FILE or plugin:LIB.so:options.
    #[arg(long, value_name = "SPEC")]
    potential: String,
    /// Frames given to the potential at a time; the labels do not depend on it.
    #[arg(long, default_value_t = Settings::default().batch, value_name = "N")]
    batch: usize,
    /// Leave out the frames on which the potential fails, instead of stopping at the first.
    #[arg(long)]
    skip_failing: bool,
    #[command(flatten)]
    reading: Reading,
}

impl Label {
    pub fn run(&self, quiet: bool) -> Result<()> {
        let spec = Spec::parse(&self.potential)?;
        let partial = output::partial(&self.output);
        self.check_outputs(&spec, &partial)?;
        let mut potential = spec.open()?;
        let data = self.reading.read(&self.trajectory, false, quiet)?;
        for warning in &data.source.warnings {
            log::warn!("{warning}");
        }
        output::check(&data, &self.output)?;
        let settings = Settings { batch: self.batch, skip_failing: self.skip_failing };
        let labeling = Labeling::new(&data, potential.as_mut(), &partial, settings)?;
        let labelled = finish(labeling, &partial, quiet)?;
        let (frames, left_out) = (labelled.len(), labelled.left_out());
        let difference = labelled.save(&self.output)?;
        if let Some(left_out) = left_out {
            log::warn!("{}: {left_out}", self.trajectory.display());
        }
        if quiet {
            return Ok(());
        }
        if let Some(line) = describe(&difference) {
            say(&line)?;
        }
        say(&format!("{frames} frames with labels by {} in {}", potential.name(), self.output.display()))
    }

    fn check_outputs(&self, spec: &Spec, partial: &Path) -> Result<()> {
        for output in [&self.output, partial] {
            distinct(output, &self.trajectory, "the trajectory itself")?;
            if let Some(file) = spec.file() {
                distinct(output, file, "the potential")?;
            }
            check_writable(output)?;
        }
        Ok(())
    }
}

/// Does what is left of a labeling, with a progress bar and a place to stop after every batch.
pub fn finish<'a>(labeling: Labeling<'a, '_>, partial: &Path, quiet: bool) -> Result<Labelled<'a>> {
    let start = labeling.progress();
    if start.done > 0 && !quiet {
        say(&format!(
            "going on after {} of {} frames, kept in {}",
            start.done,
            start.total,
            partial.display()
        ))?;
    }
    let bar = Bar::new(quiet, "labeling", "frames");
    bar.begin(start.done as u64, start.total as u64);
    let labelled = labeling.run(&mut |progress| {
        bar.set(progress.done as u64, Some(progress.total as u64));
        if interrupted() && progress.done < progress.total {
            return Err(Error::Interrupted(format!(
                "stopped after {} of {} frames, kept in {}; the same command goes on",
                progress.done,
                progress.total,
                partial.display()
            )));
        }
        Ok(())
    })?;
    bar.done();
    Ok(labelled)
}

/// The new labels beside the trajectory's own, in one line; none where it has none.
fn describe(difference: &Difference) -> Option<String> {
    let mut parts = Vec::new();
    if let (Some(forces), Some(own)) = (difference.forces, difference.own_forces) {
        let share = if own > 0.0 { format!(" ({:.2} %)", 100.0 * forces / own) } else { String::new() };
        parts.push(format!("forces by {forces:.4} kcal/mol/angstrom rms{share}"));
    }
    if let (Some(offset), Some(spread)) = (difference.offset, difference.energies) {
        parts.push(format!("energies by {offset:.4} on average, spread {spread:.4} kcal/mol"));
    }
    (!parts.is_empty()).then(|| format!("the labels differ from the trajectory's own: {}", parts.join(", ")))
}
