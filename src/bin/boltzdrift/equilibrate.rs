//! `boltzdrift equilibrate`: states at a temperature from frames and a potential.

use std::path::PathBuf;
use std::sync::Arc;

use boltzdrift::dataset::{Dataset, WriteOptions, Writer};
use boltzdrift::equilibrate::{
    trust, Checkpoint, Continue, Equilibration, Ladder, Phase, Pool, Progress, Settings,
};
use boltzdrift::potential::{Potential, Spec};
use boltzdrift::ranks::mpi::Mpi;
use boltzdrift::ranks::{require_same, Ranks, Shared};
use boltzdrift::units::{parse_quantity, TIME};
use boltzdrift::{report, Error, Result};
use clap::Args;

use crate::args::{beside, check_checkpoint, check_writable, distinct, judged, temperature, Reading};
use crate::ranks::{self, asked_to_stop};
use crate::terminal::{say, Bar};

/// Equilibrate states by Monte Carlo until they prove to have forgotten where they began. A checkpoint is kept
/// beside the output until the states are written.
#[derive(Args)]
pub struct Equilibrate {
    /// The trajectory whose frames the chains start from.
    trajectory: PathBuf,
    /// Where to write the states; .npz keeps energies and forces.
    #[arg(short, long, value_name = "POOL")]
    output: PathBuf,
    /// The potential, as gdml:FILE, torchscript:FILE or plugin:LIB.so:options.
    #[arg(long, value_name = "SPEC")]
    potential: String,
    /// Temperature of the states, for example 500K.
    #[arg(long, value_name = "T", required_unless_present = "resume")]
    temperature: Option<String>,
    /// How many states.
    #[arg(short = 'n', long = "number", value_name = "N")]
    number: Option<usize>,
    /// Chains side by side.
    #[arg(long, value_name = "N")]
    chains: Option<usize>,
    /// Seed of starts and noise.
    #[arg(long)]
    seed: Option<u64>,
    /// Least effective sample size of the energy and of every dihedral.
    #[arg(long, value_name = "N")]
    effective: Option<f64>,
    /// Largest split-R-hat of the same that counts as converged.
    #[arg(long, value_name = "R")]
    r_hat: Option<f64>,
    /// A ladder of temperatures for stuck dihedrals: auto, on or off.
    #[arg(long, value_name = "WHEN")]
    ladder: Option<String>,
    /// The ladder's highest temperature over the asked one.
    #[arg(long, value_name = "RATIO")]
    hottest: Option<f64>,
    /// Mean leapfrog steps of a proposal.
    #[arg(long, value_name = "N")]
    leapfrog: Option<usize>,
    /// Time step to begin with, for example 1fs; the warm-up finds its own.
    #[arg(long, value_name = "DT")]
    time_step: Option<String>,
    /// Iterations of the warm-up.
    #[arg(long, value_name = "N")]
    warmup: Option<usize>,
    /// The most evaluations of one frame by the potential.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Write the states also where the limit is reached before they have converged; the report says so.
    #[arg(long)]
    accept_unconverged: bool,
    /// Equilibrate with a fitted potential whatever its errors are.
    #[arg(long)]
    accept_fit: bool,
    /// Go on from a checkpoint, with its settings; only --limit and --accept-unconverged may be given with it.
    #[arg(long, value_name = "CHECKPOINT")]
    resume: Option<PathBuf>,
    /// Where to keep the checkpoint; beside the output where absent.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Iterations between checkpoints.
    #[arg(long, default_value_t = 100, value_name = "N")]
    checkpoint_every: u64,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Equilibrate together with the other processes of an MPI job, each of which computes its part of the chains' energies
    /// and forces; the MPI library of the launcher, where the system does not find it by itself: --mpi=/path/to/libmpi.so.
    // An option that may have a value: given without one, with one, or not at all.
    #[allow(clippy::option_option)]
    #[arg(long, value_name = "LIBRARY", num_args = 0..=1, require_equals = true)]
    mpi: Option<Option<PathBuf>>,
    #[command(flatten)]
    reading: Reading,
}

impl Equilibrate {
    pub fn run(&self, quiet: bool) -> Result<()> {
        ranks::run(self.mpi.as_ref(), "equilibrate", quiet, |quiet, mpi| self.equilibrate(quiet, mpi))
    }

    fn equilibrate(&self, quiet: bool, mpi: Option<&Arc<Mpi>>) -> Result<()> {
        let spec = Spec::parse(&self.potential)?;
        let settings = self.settings()?;
        let kept = self.checkpoint.clone().unwrap_or_else(|| beside(&self.output));
        self.check_outputs(&spec, &kept)?;
        let checkpoint = self.resume.as_deref().map(Checkpoint::load).transpose()?;
        let mut own = spec.open()?;
        let data = self.reading.read(&self.trajectory, false, quiet)?;
        for warning in &data.source.warnings {
            log::warn!("{warning}");
        }
        let mut run = match (&checkpoint, settings) {
            (Some(checkpoint), _) => {
                let mut run = Equilibration::resume(&data, checkpoint)?;
                let limit = self.limit.unwrap_or(checkpoint.settings().most_evaluations);
                run.extend(limit, self.accept_unconverged || checkpoint.settings().accept_unconverged)?;
                run
            }
            (None, Some(settings)) => Equilibration::new(&data, settings)?,
            (None, None) => return Err(Error::usage("give --temperature, for example 500K")),
        };
        let kelvin = run.settings().temperature;
        let mut of_all;
        let potential: &mut dyn Potential = match mpi {
            None => own.as_mut(),
            Some(mpi) => {
                begin_alike(mpi, &data, &run, checkpoint.as_ref())?;
                of_all = Shared::new(own.as_mut(), Arc::clone(mpi))?;
                &mut of_all
            }
        };
        // What is the same for all ranks: they end together, and one says so.
        let together = |error: Error| {
            if let Some(mpi) = mpi {
                mpi.end();
            }
            error
        };
        if let Some(report) = potential.fit_report() {
            judged(self.accept_fit, trust::check_fit(report, kelvin)).map_err(together)?;
        }
        let leads = mpi.is_none_or(|mpi| mpi.rank() == 0);
        // What cannot be written is refused now, not after minutes of work.
        if leads {
            drop(Writer::create(&self.output, &write_options(&data, run.settings().frames))?);
        }
        let bar = Bar::new(quiet, "equilibrating", "evaluations");
        bar.begin(run.evaluations(), run.settings().most_evaluations);
        let checkpoints = leads.then_some((kept.as_path(), self.checkpoint_every));
        let pool = run.run(potential, checkpoints, &mut |progress| {
            bar.set(progress.evaluations, Some(progress.most_evaluations));
            bar.note(describe(&progress));
            match asked_to_stop(mpi) {
                true => Continue::Stop,
                false => Continue::Yes,
            }
        });
        bar.done();
        let pool = pool.map_err(|error| match error {
            Error::Interrupted(_) | Error::Numeric(_) | Error::Potential { .. } => together(error),
            other => other,
        })?;
        if potential.region().is_some() {
            let own = &pool.report.own;
            let trusted = trust::check_pool(pool.energies.view(), data.atoms(), own, kelvin);
            judged(self.accept_fit, trusted).map_err(together)?;
        }
        if !leads {
            return Ok(());
        }
        self.write(&data, &pool)?;
        if kept.exists() {
            std::fs::remove_file(&kept)
                .map_err(|error| Error::io(&kept, "cannot remove the finished checkpoint", error))?;
        }
        if quiet {
            return Ok(());
        }
        say(&format!(
            "{}\n{} states in {}",
            report::equilibration_table(&pool.report),
            pool.energies.len(),
            self.output.display()
        ))
    }

    fn write(&self, data: &Dataset, pool: &Pool) -> Result<()> {
        let mut writer = Writer::create(&self.output, &write_options(data, pool.energies.len()))?;
        writer.write(pool.positions.view(), None, Some(pool.energies.view()), Some(pool.forces.view()))?;
        writer.finish()?;
        match &self.report {
            Some(path) => pool.report.save(path),
            None => Ok(()),
        }
    }

    /// The settings of a new run; none for a resumed one, which has its own.
    fn settings(&self) -> Result<Option<Settings>> {
        let given = self.temperature.is_some()
            || self.number.is_some()
            || self.chains.is_some()
            || self.seed.is_some()
            || self.effective.is_some()
            || self.r_hat.is_some()
            || self.ladder.is_some()
            || self.hottest.is_some()
            || self.leapfrog.is_some()
            || self.time_step.is_some()
            || self.warmup.is_some();
        if self.resume.is_some() {
            if given {
                return Err(Error::usage(
                    "--resume goes on with the checkpoint's settings; give only --limit and --accept-unconverged \
                     with it",
                ));
            }
            return Ok(None);
        }
        let Some(kelvin) = &self.temperature else { return Ok(None) };
        let base = Settings::at(temperature(kelvin)?);
        let settings = Settings {
            frames: self.number.unwrap_or(base.frames),
            chains: self.chains.unwrap_or(base.chains),
            seed: self.seed.unwrap_or(base.seed),
            effective: self.effective.unwrap_or(base.effective),
            r_hat: self.r_hat.unwrap_or(base.r_hat),
            ladder: self.ladder.as_deref().map_or(Ok(base.ladder), str::parse::<Ladder>)?,
            hottest: self.hottest.unwrap_or(base.hottest),
            leapfrog: self.leapfrog.unwrap_or(base.leapfrog),
            time_step: self
                .time_step
                .as_deref()
                .map_or(Ok(base.time_step), |text| parse_quantity(text, TIME))?,
            warmup: self.warmup.unwrap_or(base.warmup),
            most_evaluations: self.limit.unwrap_or(base.most_evaluations),
            accept_unconverged: self.accept_unconverged,
            ..base
        };
        settings.check()?;
        Ok(Some(settings))
    }

    fn check_outputs(&self, spec: &Spec, kept: &PathBuf) -> Result<()> {
        let mut written = vec![&self.output, kept];
        written.extend(&self.report);
        for (k, output) in written.iter().enumerate() {
            distinct(output, &self.trajectory, "the trajectory itself")?;
            if let Some(file) = spec.file() {
                distinct(output, file, "the potential")?;
            }
            for other in &written[..k] {
                distinct(output, other, "another output of this command")?;
            }
            if let Some(resumed) = self.resume.as_ref().filter(|_| *output != kept) {
                distinct(output, resumed, "the checkpoint")?;
            }
            check_writable(output)?;
        }
        check_checkpoint(kept, self.resume.as_deref())
    }
}

/// That all ranks begin with the same, so that they go on alike.
fn begin_alike(
    mpi: &Mpi,
    data: &Dataset,
    run: &Equilibration,
    checkpoint: Option<&Checkpoint>,
) -> Result<()> {
    let settings = serde_json::to_vec(run.settings()).map_err(|error| Error::Numeric(error.to_string()))?;
    let begun = checkpoint.map(Checkpoint::digest).transpose()?.unwrap_or_default();
    require_same(
        mpi,
        &[
            ("set of settings", &settings),
            ("set of frames", data.source.digest.as_bytes()),
            ("checkpoint", begun.as_bytes()),
        ],
    )
}

fn write_options(data: &Dataset, frames: usize) -> WriteOptions {
    WriteOptions {
        format: None,
        species: data.species.clone(),
        masses: data.masses.clone(),
        cell: None,
        velocities: false,
        frames_expected: Some(frames),
    }
}

/// Where an equilibration is, for the progress bar.
pub fn describe(progress: &Progress) -> String {
    let phase = match progress.phase {
        Phase::Warmup => "warm-up",
        Phase::Production => "production",
    };
    let worst = match &progress.worst {
        Some((name, r_hat)) => format!(", {name} R-hat {r_hat:.3}"),
        None => String::new(),
    };
    format!("{phase} {}, accepted {:.0} %{worst}", progress.iteration, 100.0 * progress.acceptance)
}
