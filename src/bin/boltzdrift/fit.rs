//! `boltzdrift fit`: a force field from force labels.

use std::path::PathBuf;

use boltzdrift::equilibrate::trust;
use boltzdrift::fit::{self, HeldOut, Progress, Report, Settings};
use boltzdrift::{Error, Result};
use clap::Args;

use crate::args::{check_writable, distinct, Reading};
use crate::terminal::{interrupted, say};

/// Fit a force field to the forces of a trajectory: a symmetric gradient-domain kernel (sGDML, with a weight for each
/// distance), in closed form.
#[derive(Args)]
pub struct Fit {
    /// The trajectory, with forces.
    trajectory: PathBuf,
    /// The force field to write, for example ethanol_ff.npz; with --plain in sGDML's file layout.
    #[arg(short, long, value_name = "FIELD")]
    output: PathBuf,
    /// Frames to learn from; the cost grows with their cube.
    #[arg(short = 'n', long = "number", value_name = "N", default_value_t = Settings::default().frames)]
    number: usize,
    /// Kernel length in 1/angstrom; the best of several on frames held out where absent.
    #[arg(long, value_name = "LENGTH")]
    sigma: Option<f64>,
    /// Ridge over the mean diagonal of the kernel matrix; the best of several where absent.
    #[arg(long, value_name = "RIDGE")]
    ridge: Option<f64>,
    /// Most memory for the matrix, in GB; most of what is free where absent.
    #[arg(long, value_name = "GB")]
    memory: Option<f64>,
    /// One weight for all distances, as in sGDML, whose own predictor then reads the file; the errors are larger.
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    reading: Reading,
}

impl Fit {
    pub fn run(&self, quiet: bool) -> Result<()> {
        distinct(&self.output, &self.trajectory, "the trajectory itself")?;
        check_writable(&self.output)?;
        if let Some(memory) = self.memory.filter(|memory| !(*memory > 0.0 && memory.is_finite())) {
            return Err(Error::usage(format!("--memory {memory}: give a positive number of GB")));
        }
        let settings = Settings {
            frames: self.number,
            sigma: self.sigma,
            ridge: self.ridge,
            memory: self.memory.map(|memory| (memory * 1e9) as u64),
            plain: self.plain,
        };
        let data = self.reading.read(&self.trajectory, true, quiet)?;
        data.source.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        let fitted = fit::fit(&data, &settings, &mut |step| report_progress(&step, quiet))?;
        fitted.field.save(&self.output)?;
        warn_without_energies(&fitted.report);
        let held_out = &fitted.report.held_out;
        let share = held_out.force_rmse / held_out.rms_force;
        if share > trust::ROUGHEST_FORCES {
            log::warn!(
                "the forces of the fit are off by {:.1} %: above {:.0} % `equilibrate` and `train --debias` refuse it; fit \
                 more frames (-n)",
                100.0 * share,
                100.0 * trust::ROUGHEST_FORCES
            );
        }
        if !quiet {
            say(&format!("{}\nforce field in {}", describe(&fitted.report), self.output.display()))?;
        }
        Ok(())
    }
}

/// Without energies only half of a fit is checked.
pub fn warn_without_energies(report: &Report) {
    if report.held_out.energy_rmse.is_none() {
        log::warn!("the frames have no energies: only the forces of the fit could be checked");
    }
}

/// Says what a fit is doing, and stops it where the user asked for it.
pub fn report_progress(step: &Progress, quiet: bool) -> Result<()> {
    if interrupted() {
        return Err(Error::Interrupted("the fit was stopped; nothing was written".into()));
    }
    match step {
        Progress::Solving { rows, bytes } if !quiet => {
            say(&format!("solving a system of {rows} rows ({:.2} GB)", *bytes as f64 / 1e9))
        }
        Progress::Tried { sigma, ridge, force_rmse } => {
            log::info!(
                "length {sigma}, ridge {ridge:e}: force error {force_rmse:.3} kcal/mol/angstrom (rms)"
            );
            Ok(())
        }
        Progress::Weighed { step, steps, force_rmse, energy_rmse } => {
            let energy = energy_rmse.map(|energy| format!(", energy error {energy:.3} kcal/mol"));
            log::info!(
                "weights of the distances, {step} of {steps}: force error {force_rmse:.3} kcal/mol/angstrom{} (rms)",
                energy.unwrap_or_default()
            );
            Ok(())
        }
        Progress::Solving { .. } => Ok(()),
    }
}

/// What came of a fit, in two lines.
pub fn describe(report: &Report) -> String {
    // A fit that was read from its file does not know how long it took.
    let seconds = match report.seconds.0 {
        0.0 => String::new(),
        seconds => format!(": {seconds:.1} s"),
    };
    let [least, most] = report.weights;
    let weights = match least == 1.0 && most == 1.0 {
        true => String::new(),
        false => format!(", weights of the distances {least:.2} to {most:.2}"),
    };
    format!(
        "{} frames, {} permutations, kernel length {} 1/angstrom{weights}, ridge {:e}{seconds}\n{}",
        report.frames.len(),
        report.permutations,
        report.sigma,
        report.ridge,
        errors(&report.held_out)
    )
}

fn errors(held_out: &HeldOut) -> String {
    let energy = match (held_out.energy_rmse, held_out.energy_spread) {
        (Some(error), Some(spread)) => format!("; energy {error:.3} kcal/mol rms (spread {spread:.2})"),
        _ => "; no energies to compare".into(),
    };
    format!(
        "on {} frames held out: force component {:.3} kcal/mol/angstrom mean absolute, {:.3} rms ({:.1} % of {:.1}){energy}",
        held_out.frames,
        held_out.force_mae,
        held_out.force_rmse,
        100.0 * held_out.force_rmse / held_out.rms_force,
        held_out.rms_force
    )
}
