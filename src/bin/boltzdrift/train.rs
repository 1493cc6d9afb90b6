//! `boltzdrift train`: a sampler from a trajectory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use boltzdrift::dataset::{Dataset, Keep};
use boltzdrift::ranks::mpi::Mpi;
use boltzdrift::ranks::Ranks;
use boltzdrift::train::checkpoint::Checkpoint;
use boltzdrift::train::{
    device, quality, Continue, FieldFigures, Method, Overrides, Settings, Space, Trainer,
};
use boltzdrift::{Error, Result};
use clap::Args;

use crate::args::{beside, check_checkpoint, check_writable, distinct, temperature, Reading};
use crate::debias::{self, Debias, Prepared};
use crate::terminal::{interrupted, say, Bar};
use crate::{labels, page, ranks, readings};

/// Train a sampler. A checkpoint is kept beside the output until the sampler is written.
#[derive(Args)]
pub struct Train {
    /// The trajectory.
    trajectory: PathBuf,
    /// The sampler to write, for example ethanol.safetensors.
    #[arg(short, long, value_name = "MODEL")]
    output: PathBuf,
    /// sliced (default), or the paper's drift, fi, fk, fi+fk.
    #[arg(long)]
    method: Option<String>,
    /// Space of the paper's methods: distance (default) or cartesian.
    #[arg(long)]
    space: Option<String>,
    /// Temperature of the data, for example 500K; recorded in the sampler.
    #[arg(long, value_name = "T")]
    temperature: Option<String>,
    /// Optimizer steps; 10000 with sliced, 15000 on equilibrated states, 20000 with the paper's methods where absent.
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Seed of weights, noise and batches.
    #[arg(long)]
    seed: Option<u64>,
    /// Force interpolation weight of fi, 0 to 1.
    #[arg(long)]
    omega: Option<f64>,
    /// Force alignment strength of fk.
    #[arg(long)]
    gamma: Option<f64>,
    /// More settings, as TOML or JSON; the command line wins.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// auto, cpu, cuda or cuda:INDEX.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Train together with the other processes of an MPI job, each with its part of the batch; the MPI library of the launcher,
    /// where the system does not find it by itself: --mpi=/path/to/libmpi.so.
    #[arg(long, value_name = "LIBRARY", num_args = 0..=1, require_equals = true)]
    #[allow(clippy::option_option)]
    mpi: Option<Option<PathBuf>>,
    /// Go on from a checkpoint, with its settings; reading, --debias and --potential options are given again.
    #[arg(long, value_name = "CHECKPOINT")]
    resume: Option<PathBuf>,
    /// Where to keep the checkpoint; beside the output where absent.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Steps between checkpoints.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    checkpoint_every: usize,
    /// Folder for the feature-space forces of fi, fk and fi+fk, used again for the same frames and forces; TRAJECTORY.features
    /// where absent, for trajectories where they take longer than a moment. 'off' keeps none.
    #[arg(long, value_name = "FOLDER")]
    feature_cache: Option<PathBuf>,
    /// Write a page to look at: the figures against the training frames, stages, costs, warnings, in one HTML file.
    #[arg(long, value_name = "OUT.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    debias: Debias,
    #[command(flatten)]
    reading: Reading,
}

impl Train {
    pub fn run(&self, quiet: bool) -> Result<()> {
        wait_without_spinning()?;
        ranks::run(self.mpi.as_ref(), "train", quiet, |quiet, mpi| self.train(quiet, mpi))
    }

    fn train(&self, quiet: bool, mpi: Option<&Arc<Mpi>>) -> Result<()> {
        if let (Some(mpi), Some(what)) = (mpi, self.debias.alone()) {
            if mpi.count() > 1 {
                return Err(Error::usage(format!(
                    "--mpi shares out the training, and {what} comes before it: run that alone (label, fit, equilibrate), and \
                     train on what it writes"
                )));
            }
        }
        let given = self.overrides()?;
        let checkpoint = self.resume.as_deref().map(Checkpoint::load).transpose()?;
        let settings = match &checkpoint {
            None => Settings::resolve(&self.debias.with_its_steps(given))?,
            Some(_) if !given.is_empty() => {
                return Err(Error::usage(
                    "--resume goes on with the checkpoint's settings; give no other settings with it",
                ))
            }
            Some(checkpoint) => checkpoint.state.settings.clone(),
        };
        let kept = self.checkpoint.clone().unwrap_or_else(|| beside(&self.output));
        let forces = settings.needs_forces();
        self.debias.check(forces || settings.needs_energies(), settings.temperature, &self.output, &kept)?;
        if self.feature_cache.is_some() && !settings.needs_feature_forces() {
            return Err(Error::usage(
                "--feature-cache is for --method fi, fk or fi+fk in distance space; leave it out",
            ));
        }
        let labels = self.debias.labels()?.map(|(spec, skip)| (spec, skip, labels::beside(&self.output)));
        let beside_output = labels.as_ref().map(|(.., path)| path);
        let written = [Some(&self.output), Some(&kept), self.report.as_ref(), beside_output];
        for written in written.into_iter().flatten() {
            distinct(written, &self.trajectory, "the trajectory itself")?;
            if let Some(config) = &self.config {
                distinct(written, config, "the file of settings")?;
            }
        }
        if let Some(report) = &self.report {
            distinct(report, &self.output, "the sampler to write")?;
            distinct(report, &kept, "the checkpoint")?;
            self.debias.check_report(report)?;
            check_writable(report)?;
        }
        distinct(&self.output, &kept, "the checkpoint")?;
        if let Some(path) = beside_output {
            distinct(&kept, path, "where the labels are kept")?;
            self.report
                .as_deref()
                .map_or(Ok(()), |report| distinct(report, path, "where the labels are kept"))?;
        }
        if let Some(resumed) = &self.resume {
            distinct(&self.output, resumed, "the checkpoint")?;
        }
        check_checkpoint(&kept, self.resume.as_deref())?;
        check_writable(&self.output)?;
        check_writable(&kept)?;
        let (device, said) = match (mpi, self.device.parse()?) {
            (Some(mpi), device::Choice::Auto | device::Choice::Cpu) => {
                (device::Device::Cpu, format!("the CPU of {} ranks, {}", mpi.count(), mpi.version()))
            }
            (_, choice) => device::resolve(choice)?,
        };
        let need_forces = labels.is_none() && (forces || self.debias.needs_forces());
        let mut data = self.reading.read(&self.trajectory, need_forces, quiet)?;
        for warning in &data.source.warnings {
            log::warn!("{warning}");
        }
        let mut labelled = None;
        if let Some((spec, skip_failing, path)) = &labels {
            let (own, record) = labels::labelled(&data, spec, path, *skip_failing, quiet)?;
            (data, labelled) = (own, Some(record));
        }
        readings::before_training(&data, settings.temperature, quiet)?;
        let temperature_asked = settings.temperature;
        let kelvin = temperature_asked.unwrap_or(f64::NAN);
        let Prepared { mut data, weights, mut record, mut potential } =
            self.debias.prepare(data, kelvin, settings.seed, &self.output, quiet)?;
        data.source.keep = match self.feature_cache.as_deref() {
            None => Keep::Beside,
            Some(folder) if folder.as_os_str() == "off" => Keep::Nowhere,
            Some(folder) => Keep::In(folder.to_owned()),
        };
        if let Some(checkpoint) = checkpoint.as_ref().filter(|_| labelled.is_some()) {
            labels::same_as(checkpoint, &data)?;
        }
        let weights = weights.as_deref();
        // Training shares out the batch itself; libtorch's threads would wait for each other in every operation. Not
        // before and after: a potential on libtorch wants them.
        let threads = device::threads();
        device::use_threads(1);
        let mut trainer = match &checkpoint {
            None => Trainer::weighted(&data, settings, device, weights)?,
            Some(checkpoint) => Trainer::resume_weighted(&data, checkpoint, device, weights)?,
        };
        if let Some(mpi) = mpi {
            trainer = trainer.among(Box::new(Arc::clone(mpi)))?;
        }
        if !quiet {
            say(&describe(&data, &trainer, &said))?;
        }
        let bar = Bar::new(quiet, "training", "steps");
        bar.begin(trainer.step() as u64, trainer.settings().steps as u64);
        let start = Instant::now();
        let ended = trainer.run(Some((&kept, self.checkpoint_every)), &mut |progress| {
            bar.set(progress.step as u64, Some(progress.steps as u64));
            bar.note(format!("loss {:.5}", progress.loss));
            if interrupted() {
                Continue::Stop
            } else {
                Continue::Yes
            }
        });
        bar.done();
        // To stop is what all ranks agreed on: they end together, and one says so.
        if let (Err(Error::Interrupted(_)), Some(mpi)) = (&ended, mpi) {
            mpi.end();
        }
        ended?;
        if mpi.is_some() {
            let (all, messages) = (start.elapsed().as_secs_f64(), trainer.seconds_in_messages());
            log::info!(
                "{all:.2} s of steps, of which {messages:.2} s ({:.0} %) in messages, waiting for other ranks among that",
                100.0 * messages / all
            );
        }
        if !trainer.leads() {
            return Ok(());
        }
        let mut model = trainer.export()?;
        if let (Some((potential, independent)), Some(energies)) = (&mut potential, &data.energies) {
            // A stop from here on costs no step.
            trainer.checkpoint()?.save(&kept)?;
            device::use_threads(threads);
            record["amplitude"] =
                debias::calibrated(&mut model, potential.as_mut(), *independent, energies, quiet).map_err(
                    |error| match error {
                        Error::Interrupted(said) => {
                            Error::Interrupted(format!("{said}; continue with --resume {}", kept.display()))
                        }
                        other => other,
                    },
                )?;
        }
        let (mut model, figures) = quality::with_figures(&trainer, model, &data, weights)?;
        let summary = format!(
            "against the training frames (their own halves in brackets): TVD {:.4} ({:.4}), pair TVD {:.4} ({:.4}), \
             W2 {:.4} ({:.4}) angstrom",
            figures.figures.tvd,
            figures.floor.tvd,
            figures.figures.pair_tvd,
            figures.floor.pair_tvd,
            figures.figures.w2,
            figures.floor.w2
        );
        model.record.calibration = labels::recorded(record, labelled);
        model.save(&self.output)?;
        remove(&kept, "cannot remove the finished checkpoint")?;
        if let Some((.., path)) = &labels {
            remove(path, "cannot remove the labels of the finished training")?;
        }
        if let Some(report) = &self.report {
            page::write(report, &trainer, &data, weights, model, temperature_asked)?;
        }
        if !quiet {
            say(&format!(
                "{summary}\n{} steps in {:.0} s; sampler in {}",
                trainer.step(),
                trainer.seconds(),
                self.output.display()
            ))?;
        }
        Ok(())
    }

    fn overrides(&self) -> Result<Overrides> {
        let file = self.config.as_deref().map(Overrides::read).transpose()?.unwrap_or_default();
        Ok(file.or_newer(Overrides {
            method: self.method.as_deref().map(str::parse::<Method>).transpose()?,
            space: self.space.as_deref().map(str::parse::<Space>).transpose()?,
            temperature: self.temperature.as_deref().map(temperature).transpose()?,
            steps: self.steps,
            seed: self.seed,
            omega: self.omega,
            gamma: self.gamma,
            ..Overrides::default()
        }))
    }
}

/// Removes what a finished training does not need any more.
fn remove(path: &Path, failed: &'static str) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, failed, error)),
        _ => Ok(()),
    }
}

fn describe(data: &Dataset, trainer: &Trainer, device: &str) -> String {
    let settings = trainer.settings();
    let from = if trainer.step() > 0 { format!(", from step {}", trainer.step()) } else { String::new() };
    let mut field = String::new();
    if let Some(FieldFigures { tau, length_unit, force_norm, scale_ratio }) = trainer.field_figures() {
        let norm = force_norm
            .map_or_else(String::new, |norm| format!(", mean norm of the forces {norm:.2} kcal/mol"));
        let ratio = scale_ratio
            .map_or_else(String::new, |ratio| format!(", {ratio:.0} kT over the bandwidth (Eq. 33)"));
        field = format!(
            "\n{} space, bandwidth {tau:.3}{norm}{ratio}; unit of length {length_unit:.3} angstrom",
            settings.space
        );
    }
    format!(
        "{}: {} frames of {} atoms; method {}, {} steps{from}, seed {}, on {device}{field}",
        data.source.name(),
        data.len(),
        data.atoms(),
        settings.method,
        settings.steps,
        settings.seed
    )
}

/// Starts this program anew with `OMP_WAIT_POLICY=passive`, unless the user set a policy. libtorch's
/// OpenMP threads otherwise spin at every barrier, and where the cores are shared with anything else
/// that makes a step many times slower. OpenMP reads the policy when it is loaded, so setting it here
/// would be too late.
#[cfg(unix)]
pub fn wait_without_spinning() -> Result<()> {
    use std::os::unix::process::CommandExt;
    const POLICY: &str = "OMP_WAIT_POLICY";
    if std::env::var_os(POLICY).is_some() {
        return Ok(());
    }
    let program = std::env::current_exe()
        .map_err(|error| Error::io("boltzdrift", "cannot find this program", error))?;
    let error =
        std::process::Command::new(&program).args(std::env::args_os().skip(1)).env(POLICY, "passive").exec();
    Err(Error::io(program, "cannot start this program anew", error))
}

#[cfg(not(unix))]
pub fn wait_without_spinning() -> Result<()> {
    Ok(())
}
