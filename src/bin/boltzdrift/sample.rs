//! `boltzdrift sample`: structures from a sampler.

use std::path::PathBuf;

use boltzdrift::dataset::{WriteOptions, Writer};
use boltzdrift::equilibrate::{seeds, trust, Decisions, Redrawn, RefineSettings, Seeds};
use boltzdrift::potential::{Potential, Spec};
use boltzdrift::sampler::Sampler;
use boltzdrift::units::{parse_quantity, TIME};
use boltzdrift::{Error, Result};
use clap::Args;
use ndarray::{Array1, Array3};

use crate::args::{distinct, temperature};
use crate::terminal::{interrupted, say, Bar};

/// What --refine does, and has done so far.
struct Refinement {
    potential: Box<dyn Potential>,
    settings: RefineSettings,
    redrawn: Redrawn,
    decisions: Decisions,
    before: Vec<f64>,
    after: Vec<f64>,
}

impl Refinement {
    /// Refined samples and their energies.
    fn draw(
        &mut self,
        sampler: &Sampler,
        first: u64,
        count: usize,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<(Array3<f64>, Array1<f64>)> {
        self.settings.first = first;
        let Seeds { refined, redrawn } =
            seeds(sampler, self.potential.as_mut(), &self.settings, count, progress)?;
        self.redrawn.add(&redrawn);
        self.decisions.add(&refined.decisions);
        trust::check_refinement(&self.decisions, self.settings.time_step, trust::LEAST_REFINED)?;
        self.before.extend(&refined.energies_before);
        self.after.extend(&refined.energies_after);
        Ok((refined.positions, refined.energies_after))
    }

    /// Energies before and after, and what was rejected.
    fn summary(&self) -> String {
        let points = |values: &[f64]| {
            let mut sorted = values.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            let at = |q: f64| sorted[((sorted.len() - 1) as f64 * q).round() as usize];
            QUANTILES.map(|q| format!("{:.2}", at(q))).join(" / ")
        };
        let Redrawn { outside, broken, not_finite } = self.redrawn;
        let steps = match self.settings.iterations {
            0 => String::new(),
            _ => format!(", {:.1} % of the steps accepted", 100.0 * self.decisions.acceptance()),
        };
        format!(
            "energy at 5 / 50 / 95 %: {} before, {} after {} steps, kcal/mol{steps}\ndrawn again: {} ({outside} outside the \
             potential's region, {broken} with a broken bond, {not_finite} without a finite energy)",
            points(&self.before),
            points(&self.after),
            self.settings.iterations,
            self.redrawn.total(),
        )
    }
}

/// Where the samples are drawn.
enum Source {
    Cpu(Sampler),
    #[cfg(feature = "train")]
    Cuda(boltzdrift::cuda::CudaSampler),
}

impl Source {
    fn of(sampler: Sampler, device: &str) -> Result<Source> {
        if device == "cpu" {
            return Ok(Source::Cpu(sampler));
        }
        #[cfg(feature = "train")]
        {
            use boltzdrift::train::device::{resolve, Choice};
            let choice: Choice = device.parse()?;
            if choice == Choice::Auto {
                return Err(Error::usage(
                    "--device auto: the bytes of a sample depend on the device; say cpu or cuda",
                ));
            }
            let (device, _) = resolve(choice)?;
            boltzdrift::cuda::CudaSampler::new(&sampler, device).map(Source::Cuda)
        }
        #[cfg(not(feature = "train"))]
        Err(Error::Unsupported(format!("--device {device}: this build samples on the CPU only")))
    }

    fn sampler(&self) -> &Sampler {
        match self {
            Source::Cpu(sampler) => sampler,
            #[cfg(feature = "train")]
            Source::Cuda(cuda) => cuda.sampler(),
        }
    }

    fn chunk(&self) -> usize {
        match self {
            Source::Cpu(_) => CHUNK,
            #[cfg(feature = "train")]
            Source::Cuda(_) => CUDA_CHUNK,
        }
    }

    fn sample(&self, seed: u64, first: u64, count: usize) -> Result<Array3<f64>> {
        match self {
            Source::Cpu(sampler) => sampler.sample(seed, first, count),
            #[cfg(feature = "train")]
            Source::Cuda(cuda) => {
                let mut out = Array3::zeros((count, cuda.sampler().record().species.len(), 3));
                // A fresh array is contiguous.
                let numbers = out.as_slice_mut().ok_or_else(|| Error::Numeric("an array has gaps".into()))?;
                cuda.sample_into(seed, first, numbers)?;
                Ok(out)
            }
        }
    }
}

/// Samples drawn and written at a time on a CUDA device, which is idle while they are written.
#[cfg(feature = "train")]
const CUDA_CHUNK: usize = 1 << 17;
/// Samples drawn and written at a time; fewer where each is refined, so that an interruption is heard.
const CHUNK: usize = 8192;
const REFINED_CHUNK: usize = 1024;

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
    /// Refine every sample by this many hybrid Monte Carlo steps under --potential; 0 only draws again what is no
    /// state of the molecule.
    #[arg(long, value_name = "K")]
    refine: Option<usize>,
    /// The potential to refine with, as gdml:FILE, torchscript:FILE or plugin:LIB.so:options.
    #[arg(long, value_name = "SPEC")]
    potential: Option<String>,
    /// Time step of the refinement, for example 1fs.
    #[arg(long, value_name = "DT")]
    time_step: Option<String>,
    /// Format of the output, where the extension does not tell.
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// cpu, cuda or cuda:INDEX. The samples of a CUDA device are those of the CPU but for rounding.
    #[arg(long, default_value = "cpu", conflicts_with = "refine")]
    device: String,
}

/// Mean leapfrog steps of a refinement step.
const LEAPFROG: usize = 20;
/// Time step of the refinement in fs, where none is given.
const TIME_STEP: f64 = 1.0;
/// Quantiles of the energy that are shown.
const QUANTILES: [f64; 3] = [0.05, 0.5, 0.95];

impl Sample {
    pub fn run(&self, quiet: bool) -> Result<()> {
        if self.number == 0 {
            return Err(Error::usage("-n 0: give at least 1 sample"));
        }
        distinct(&self.output, &self.model, "the sampler itself")?;
        let sampler = Sampler::load(&self.model)?;
        let source = Source::of(sampler, &self.device)?;
        let sampler = source.sampler();
        let mut refinement = self.refinement()?;
        if self.temperature.is_some() && !self.velocities && refinement.is_none() {
            return Err(Error::usage(
                "--temperature is for --velocities and --refine; add one or leave it out",
            ));
        }
        let kelvin = match &self.temperature {
            Some(text) => Some(temperature(text)?),
            None => sampler.record().temperature,
        };
        let kelvin = match kelvin {
            Some(kelvin) => kelvin,
            None if !self.velocities && refinement.is_none() => f64::NAN,
            None => {
                return Err(Error::usage(format!(
                    "{}: the sampler records no temperature; say which one it is for: --temperature 500K",
                    self.model.display()
                )))
            }
        };
        if let Some(refinement) = &mut refinement {
            refinement.settings.temperature = kelvin;
            trust::warn_of_rough_fit(refinement.potential.as_ref(), kelvin);
        }
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
        let chunk = if refinement.is_some() { REFINED_CHUNK } else { source.chunk() };
        let go_on = |done: usize| match interrupted() {
            true => Err(Error::Interrupted(format!(
                "stopped after {done} samples; {} was not written",
                self.output.display()
            ))),
            false => Ok(()),
        };
        let mut done = 0;
        while done < self.number {
            let count = chunk.min(self.number - done);
            let first = self.first + done as u64;
            let (positions, energies) = match &mut refinement {
                Some(refinement) => {
                    let (positions, energies) =
                        refinement.draw(sampler, first, count, &mut |_| go_on(done))?;
                    (positions, Some(energies))
                }
                None => (source.sample(self.seed, first, count)?, None),
            };
            let velocities = match self.velocities {
                true => Some(sampler.velocities(self.seed, first, &positions, kelvin)?),
                false => None,
            };
            writer.write(
                positions.view(),
                velocities.as_ref().map(|v| v.view()),
                energies.as_ref().map(|e| e.view()),
                None,
            )?;
            done += count;
            bar.set(done as u64, Some(self.number as u64));
            go_on(done)?;
        }
        writer.finish()?;
        bar.done();
        if !quiet {
            if let Some(refinement) = &refinement {
                say(&refinement.summary())?;
            }
            say(&format!("{} samples of seed {} in {}", self.number, self.seed, self.output.display()))?;
        }
        Ok(())
    }

    /// What --refine asks for; its temperature is settled later.
    fn refinement(&self) -> Result<Option<Refinement>> {
        let Some(iterations) = self.refine else {
            return match (&self.potential, &self.time_step) {
                (None, None) => Ok(None),
                _ => Err(Error::usage(
                    "--potential and --time-step are for --refine; add --refine 20 or leave them out",
                )),
            };
        };
        let spec = self.potential.as_deref().ok_or_else(|| {
            Error::usage(
                "--refine needs the potential to refine with: --potential gdml:FILE, torchscript:FILE or plugin:LIB.so:options",
            )
        })?;
        let spec = Spec::parse(spec)?;
        if let Some(file) = spec.file() {
            distinct(&self.output, file, "the potential")?;
        }
        let time_step = self.time_step.as_deref().map(|text| parse_quantity(text, TIME)).transpose()?;
        Ok(Some(Refinement {
            potential: spec.open()?,
            settings: RefineSettings {
                temperature: f64::NAN,
                iterations,
                time_step: time_step.unwrap_or(TIME_STEP),
                leapfrog: LEAPFROG,
                seed: self.seed,
                first: self.first,
            },
            redrawn: Redrawn::default(),
            decisions: Decisions::default(),
            before: Vec::new(),
            after: Vec::new(),
        }))
    }
}
