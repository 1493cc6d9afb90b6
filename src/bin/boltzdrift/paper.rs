//! `boltzdrift paper`: the tables of "Drifting to Boltzmann" on the user's frames.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::Instant;

use boltzdrift::dataset::Dataset;
use boltzdrift::molecule::feature_cost::FeatureCost;
use boltzdrift::molecule::features::{feature_forces, Projection};
use boltzdrift::paper::{self, rows, Experiment, Frames, Kind, Outcome, Row};
use boltzdrift::report::{paper_markdown, paper_table};
use boltzdrift::train::{device, Continue};
use boltzdrift::units::BOLTZMANN;
use boltzdrift::{Error, Result};
use clap::Args;

use crate::args::{temperature, Reading};
use crate::terminal::{interrupted, say, Bar};
use crate::train::wait_without_spinning;

/// Train and evaluate the rows of Tables 3 and 4 of "Drifting to Boltzmann" (2026) on these frames, the paper's figures
/// beside ours. Every row and seed is kept as soon as it is done; a second call goes on.
#[derive(Args)]
pub struct Paper {
    /// Training frames with forces.
    trajectory: PathBuf,
    /// Frames to compare with.
    #[arg(long, value_name = "FILE")]
    reference: PathBuf,
    /// Folder for results, samplers and checkpoints.
    #[arg(short, long, value_name = "FOLDER", default_value = "paper")]
    output: PathBuf,
    /// Rows to run, all where absent; --rows help lists them.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    rows: Vec<String>,
    /// Seeds of every row.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "0")]
    seeds: Vec<u64>,
    /// Steps of a drifting row; 20,000 in the paper.
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Passes over the data of the diffusion baseline; 1,000 in the paper. Where absent as many as --steps is to 20,000.
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Samples drawn for the figures; the diffusion baseline takes 1,000 at most.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    samples: usize,
    /// Temperature of kT in the force terms of Cartesian space; kT = 1 kcal/mol as in the paper where absent.
    #[arg(long, value_name = "T")]
    temperature: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Print the table as Markdown.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// auto, cpu, cuda or cuda:INDEX.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Rows to train side by side.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    #[command(flatten)]
    reading: Reading,
}

impl Paper {
    pub fn run(&self, quiet: bool) -> Result<()> {
        wait_without_spinning()?;
        let chosen = self.chosen()?;
        let Some(chosen) = chosen else { return Ok(()) };
        let kelvin = self.temperature.as_deref().map(temperature).transpose()?.unwrap_or(1.0 / BOLTZMANN);
        if self.samples < 100 {
            return Err(Error::usage(format!("--samples {}: give at least 100", self.samples)));
        }
        let (device, said) = device::resolve(self.device.parse()?)?;
        std::fs::create_dir_all(&self.output)
            .map_err(|error| Error::io(&self.output, "cannot make this folder", error))?;
        let forces = chosen.iter().any(needs_forces);
        let data = self.reading.read_one_of(&self.trajectory, forces, quiet)?;
        let reference = self.reading.read_one_of(&self.reference, false, quiet)?;
        let frames = Frames::of(&data, &reference)?;
        frames.keep(&self.output)?;
        if !quiet && !self.json && !self.markdown {
            say(&format!(
                "{}: {} frames of {} atoms, against {} of {}, on {said}\n{}",
                self.trajectory.display(),
                data.len(),
                data.atoms(),
                reference.len(),
                self.reference.display(),
                precomputation(&data)?
            ))?;
        }
        device::use_threads(1);
        let experiment = Experiment {
            data: &data,
            reference: &reference,
            folder: &self.output,
            temperature: kelvin,
            steps: self.steps,
            epochs: self.epochs,
            samples: self.samples,
            device,
        };
        // Before hours of training: that every row can be trained, and what is kept of it is of these frames.
        for row in &chosen {
            for &seed in &self.seeds {
                experiment.kept(row, seed)?;
            }
        }
        let told = quiet || self.json || self.markdown;
        if self.jobs > 1 {
            self.side_by_side(&experiment, &chosen, told)?;
        }
        let mut done: Vec<(Row, Vec<Outcome>)> = Vec::new();
        for row in chosen {
            let mut outcomes = Vec::new();
            for &seed in &self.seeds {
                let outcome = one(&experiment, &row, seed, Bar::new(quiet, row.name, "steps"), &interrupted)?;
                if !told && self.jobs == 1 {
                    say(&line(&outcome))?;
                }
                outcomes.push(outcome);
            }
            done.push((row, outcomes));
        }
        if self.json {
            return say(&json(&done, &frames)?);
        }
        if self.markdown {
            return say(&paper_markdown(&done, &frames));
        }
        say(&format!("\n{}", paper_table(&done, &frames)))
    }

    /// Trains all rows and seeds, `--jobs` at a time. The first failure stops the others, which keep their checkpoints.
    fn side_by_side(&self, experiment: &Experiment, rows: &[Row], quiet: bool) -> Result<()> {
        let tasks: Vec<(&Row, u64)> =
            self.seeds.iter().flat_map(|&seed| rows.iter().map(move |row| (row, seed))).collect();
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(None);
        let stop = || interrupted() || failed.lock().map_or(true, |failed| failed.is_some());
        let work = || {
            // A thread's own number of libtorch's threads.
            device::use_threads(1);
            while !stop() {
                let Some(&(row, seed)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                let done = one(experiment, row, seed, Bar::new(true, row.name, "steps"), &stop)
                    .and_then(|outcome| if quiet { Ok(()) } else { say(&line(&outcome)) });
                if let (Err(error), Ok(mut failed)) = (done, failed.lock()) {
                    failed.get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..usize::from(self.jobs).min(tasks.len()) {
                scope.spawn(work);
            }
        });
        match failed.into_inner() {
            Ok(Some(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// The rows asked for; `None` where they were only to be listed.
    fn chosen(&self) -> Result<Option<Vec<Row>>> {
        let all = rows();
        if self.rows.iter().any(|name| name == "help") {
            let lines: Vec<String> = all.iter().map(|row| format!("{:24} {}", row.name, row.label)).collect();
            say(&lines.join("\n"))?;
            return Ok(None);
        }
        if let Some(name) = self.rows.iter().find(|name| !all.iter().any(|row| row.name == **name)) {
            return Err(Error::usage(format!("row '{name}' is not known; --rows help lists them")));
        }
        if self.seeds.is_empty() {
            return Err(Error::usage("--seeds: give at least one"));
        }
        if let Some(seed) =
            self.seeds.iter().enumerate().find_map(|(k, seed)| self.seeds[..k].contains(seed).then_some(seed))
        {
            return Err(Error::usage(format!("--seeds: {seed} is there twice")));
        }
        let wanted = |row: &Row| self.rows.is_empty() || self.rows.iter().any(|name| *name == row.name);
        Ok(Some(all.into_iter().filter(wanted).collect()))
    }
}

fn needs_forces(row: &Row) -> bool {
    match &row.kind {
        Kind::Drifting(with) => with.method.is_some_and(|method| method.interpolates() || method.aligns()),
        Kind::Diffusion => false,
    }
}

/// What is said of a row and seed when it is done.
fn line(outcome: &Outcome) -> String {
    let figures = &outcome.figures;
    let bonds =
        figures.bond_stability.map_or_else(String::new, |share| format!(", bond stability {share:.3}"));
    let (row, seed, seconds) = (&outcome.row, outcome.seed, outcome.train_seconds);
    format!(
        "{row} seed {seed}: TVD {:.3}, W2 {:.3}{bonds}; trained in {seconds:.1} s",
        figures.tvd, figures.w2
    )
}

fn one(experiment: &Experiment, row: &Row, seed: u64, bar: Bar, stop: &dyn Fn() -> bool) -> Result<Outcome> {
    let outcome = paper::run(experiment, row, seed, &mut |progress| {
        bar.set(progress.step as u64, Some(progress.steps as u64));
        bar.note(format!("loss {:.5}", progress.loss));
        if stop() {
            Continue::Stop
        } else {
            Continue::Yes
        }
    });
    bar.done();
    let outcome = outcome.map_err(|error| match error {
        Error::Interrupted(message) => {
            let anew = if row.kind == Kind::Diffusion { ", but this row starts anew" } else { "" };
            let message = message.split("; ").next().unwrap_or_default();
            Error::Interrupted(format!(
                "{} seed {seed}: {message}; the same command goes on from what {} holds{anew}",
                row.name,
                experiment.folder.display()
            ))
        }
        other => other,
    })?;
    Ok(outcome)
}

/// What Algorithm 3 costs here.
fn precomputation(data: &Dataset) -> Result<String> {
    let Some(forces) = &data.forces else { return Ok(String::new()) };
    let start = Instant::now();
    feature_forces(data.positions.view(), forces.view(), Projection::Exact)?;
    let seconds = start.elapsed().as_secs_f64();
    let (cost, frames) = (FeatureCost::of(data.atoms()).total(), data.len());
    Ok(format!(
        "feature forces (Algorithm 3): {cost} operations a frame, {:.3e} in all, counted as in Table 2; {seconds:.4} s, {:.1} us \
         a frame",
        cost as f64 * frames as f64,
        seconds / frames as f64 * 1e6
    ))
}

fn json(done: &[(Row, Vec<Outcome>)], frames: &Frames) -> Result<String> {
    let rows: Vec<serde_json::Value> = done
        .iter()
        .map(|(row, outcomes)| {
            let published = row.published.map(|p| {
                serde_json::json!({
                    "mae": p.mae, "tvd": p.tvd, "w2": p.w2, "stability": p.stability, "bond_mae": p.bond_mae,
                    "bond_stability": p.bond_stability,
                })
            });
            serde_json::json!({
                "row": row.name,
                "label": row.label,
                "kind": if row.kind == Kind::Diffusion { "diffusion" } else { "drifting" },
                "placebo": row.placebo,
                "paper": published,
                "seeds": outcomes,
            })
        })
        .collect();
    let all = serde_json::json!({ "rows": rows, "training_frames": frames.training_frames, "reference_halves": frames.reference_halves });
    serde_json::to_string_pretty(&all).map_err(|error| Error::Numeric(error.to_string()))
}
