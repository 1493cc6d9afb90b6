//! `train --debias`: the frames a training learns from, made Boltzmann first.

use std::path::{Path, PathBuf};

use boltzdrift::calibrate::{self, Made, Stages};
use boltzdrift::dataset::Dataset;
use boltzdrift::equilibrate::{self, trust, Continue};
use boltzdrift::fit;
use boltzdrift::molecule::bonds::Bonds;
use boltzdrift::molecule::mean_force::torsional_weights;
use boltzdrift::molecule::symmetry::SymmetryGroup;
use boltzdrift::potential::{Potential, Spec};
use boltzdrift::sampler::Model;
use boltzdrift::train::{Method, Overrides, FEWEST_FRAMES};
use boltzdrift::{Error, Result};
use clap::{Args, ValueEnum};
use ndarray::Array1;
use serde_json::{json, Value};

use crate::args::{distinct, judged};
use crate::terminal::{interrupted, say, Bar};

/// Steps of a sliced training on equilibrated states.
const STEPS: usize = 15_000;
/// States to learn from: twice as many as `equilibrate` gives, which hardly takes longer.
const POOL: usize = 20_000;
/// Weight of the whitened distances' length in such a training.
const SIZE_WEIGHT: f64 = 0.15;

/// Where the bias of a short window is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Kind {
    /// Nowhere: learn the frames as they are.
    #[default]
    None,
    /// Fit a force field to the forces and equilibrate with it.
    Fit,
    /// Equilibrate with the potential of --potential.
    Potential,
    /// Weigh frames by the mean force on their torsions.
    Torsion,
}

/// How to make the frames Boltzmann before training.
#[derive(Args)]
#[command(next_help_heading = "Equilibration before training")]
pub struct Debias {
    /// Learn equilibrated states at --temperature instead of the frames. With fit and potential, the amplitude of the sampler's noise
    /// is then set by its samples' energies.
    #[arg(long, value_enum, default_value_t)]
    debias: Kind,
    /// A potential, as gdml:FILE, torchscript:FILE or plugin:LIB.so:options: the one that --debias potential equilibrates
    /// with; else it gives the frames energies and forces, in place of their own, where --method or --debias needs them.
    #[arg(long, value_name = "SPEC")]
    potential: Option<String>,
    /// Leave out the frames that --potential cannot label, instead of stopping at the first.
    #[arg(long)]
    skip_failing: bool,
    /// Frames that --debias fit learns from.
    #[arg(long, value_name = "N")]
    fit_frames: Option<usize>,
    /// Equilibrate with a fitted potential whatever its errors are.
    #[arg(long)]
    accept_fit: bool,
    /// The most evaluations of one frame by the potential for the equilibration; one that stops there goes on with a higher one. Up
    /// to 240,000 more judge the samples' energies after the training.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Learn from the states also where the limit is reached before they have converged.
    #[arg(long)]
    accept_unconverged: bool,
    /// States to equilibrate and learn from; 20000 where absent.
    #[arg(long, value_name = "N")]
    pool: Option<usize>,
    /// Folder for the fit and the equilibrated states, used again where their inputs are the same; MODEL.stages
    /// where absent.
    #[arg(long, value_name = "FOLDER")]
    stages: Option<PathBuf>,
}

/// What to learn from.
pub struct Prepared {
    /// Frames.
    pub data: Dataset,
    /// One weight per frame, where they have any.
    pub weights: Option<Vec<f64>>,
    /// How they came about, for the sampler's record.
    pub record: Value,
    /// What they were equilibrated with, and how many of them are independent.
    pub potential: Option<(Box<dyn Potential>, f64)>,
}

impl Debias {
    /// Whether anything is to be done.
    pub fn wanted(&self) -> bool {
        self.debias != Kind::None
    }

    /// Whether the frames must have forces.
    pub fn needs_forces(&self) -> bool {
        matches!(self.debias, Kind::Fit | Kind::Torsion)
    }

    /// The settings of a training on what comes out. Equilibrated states are as many as asked for and free of the window's
    /// faults: there more steps are worth their time, and dihedrals and widths come out nearer; with a row for the size of the
    /// distances' changes energies do too (docs/calibration.md).
    pub fn with_its_steps(&self, mut given: Overrides) -> Overrides {
        let sliced = given.method.unwrap_or_default() == Method::Sliced;
        if sliced && matches!(self.debias, Kind::Fit | Kind::Potential) {
            given.steps = given.steps.or(Some(STEPS));
            given.size_weight = given.size_weight.or(Some(SIZE_WEIGHT));
        }
        given
    }

    /// The option that asks for work before the training that is kept in files; none where there is none.
    pub fn alone(&self) -> Option<&'static str> {
        match self.debias {
            Kind::Fit => Some("--debias fit"),
            Kind::Potential => Some("--debias potential"),
            Kind::None | Kind::Torsion => self.potential.as_ref().map(|_| "--potential"),
        }
    }

    /// The potential that labels the frames, where one does, and whether frames that it cannot label are left out.
    ///
    /// # Errors
    /// As [`Spec::parse`].
    pub fn labels(&self) -> Result<Option<(Spec, bool)>> {
        let text = self.potential.as_deref().filter(|_| self.debias != Kind::Potential);
        Ok(text.map(Spec::parse).transpose()?.map(|spec| (spec, self.skip_failing)))
    }

    /// Refuses options that do not go together, before anything is read. `forces` says whether the method needs forces.
    pub fn check(&self, forces: bool, kelvin: Option<f64>, output: &Path, kept: &Path) -> Result<()> {
        let only = |given: bool, option: &str, kinds: &[Kind]| {
            if !given || kinds.contains(&self.debias) {
                return Ok(());
            }
            let names: Vec<String> = kinds
                .iter()
                .filter_map(|kind| kind.to_possible_value())
                .map(|value| format!("--debias {}", value.get_name()))
                .collect();
            Err(Error::usage(format!("{option} is for {}; add it or leave {option} out", names.join(" or "))))
        };
        let labels = self.potential.is_some() && self.debias != Kind::Potential;
        if labels && !forces && !self.needs_forces() {
            return Err(Error::usage(
                "--potential gives the frames forces, and nothing here needs them: add --debias potential, --debias fit or \
                 --method fk, or leave it out",
            ));
        }
        if self.skip_failing && !labels {
            return Err(Error::usage(
                "--skip-failing is for frames that --potential labels; add it for a method or --debias that needs forces, \
                 or leave --skip-failing out",
            ));
        }
        only(self.fit_frames.is_some(), "--fit-frames", &[Kind::Fit])?;
        only(self.accept_fit, "--accept-fit", &[Kind::Fit, Kind::Potential])?;
        for (given, option) in [
            (self.pool.is_some(), "--pool"),
            (self.limit.is_some(), "--limit"),
            (self.accept_unconverged, "--accept-unconverged"),
        ] {
            only(given, option, &[Kind::Fit, Kind::Potential])?;
        }
        only(self.stages.is_some(), "--stages", &[Kind::Fit, Kind::Potential])?;
        if self.debias == Kind::Potential && self.potential.is_none() {
            return Err(Error::usage(
                "--debias potential needs the potential: --potential gdml:FILE, torchscript:FILE or plugin:LIB.so:options",
            ));
        }
        let spec = self.potential.as_deref().map(Spec::parse).transpose()?;
        if let Some(file) = spec.as_ref().and_then(Spec::file) {
            distinct(output, file, "the potential")?;
        }
        if matches!(self.debias, Kind::Fit | Kind::Potential) {
            let folder = self.stages(output);
            for (file, role) in [(output, "the sampler to write"), (kept, "the checkpoint")] {
                distinct(&folder, file, role)?;
            }
            if folder.exists() && !folder.is_dir() {
                return Err(Error::usage(format!(
                    "{}: the folder of stages is to be here, and this is a file; give another --stages",
                    folder.display()
                )));
            }
            if let Some(pool) = self.pool.filter(|pool| *pool < FEWEST_FRAMES) {
                return Err(Error::usage(format!(
                    "--pool {pool}: too few states to learn a distribution from; give at least {FEWEST_FRAMES}, better \
                     thousands"
                )));
            }
        }
        if self.wanted() && kelvin.is_none() {
            return Err(Error::usage(
                "--debias needs the temperature the sampler shall have: --temperature 500K ('inspect' reads that of the \
                 frames)",
            ));
        }
        Ok(())
    }

    /// Refuses a report that would be written over the potential.
    pub fn check_report(&self, report: &Path) -> Result<()> {
        let spec = self.potential.as_deref().map(Spec::parse).transpose()?;
        match spec.as_ref().and_then(Spec::file) {
            Some(file) => distinct(report, file, "the potential"),
            None => Ok(()),
        }
    }

    /// Does what was asked, stage by stage.
    pub fn prepare(
        &self,
        data: Dataset,
        kelvin: f64,
        seed: u64,
        output: &Path,
        quiet: bool,
    ) -> Result<Prepared> {
        match self.debias {
            Kind::None => Ok(Prepared { data, weights: None, record: Value::Null, potential: None }),
            Kind::Torsion => weigh(data, kelvin, quiet),
            Kind::Fit | Kind::Potential => self.equilibrated(&data, kelvin, seed, output, quiet),
        }
    }

    fn stages(&self, output: &Path) -> PathBuf {
        self.stages.clone().unwrap_or_else(|| {
            let mut name = output.as_os_str().to_owned();
            name.push(".stages");
            PathBuf::from(name)
        })
    }

    fn equilibrated(
        &self,
        data: &Dataset,
        kelvin: f64,
        seed: u64,
        output: &Path,
        quiet: bool,
    ) -> Result<Prepared> {
        let stages = Stages::open(&self.stages(output))?;
        let mut potential: Box<dyn Potential> = match &self.potential {
            Some(spec) if self.debias == Kind::Potential => Spec::parse(spec)?.open()?,
            _ => Box::new(self.fitted(data, &stages, quiet)?.value),
        };
        let fitted = potential.fit_report().cloned().unwrap_or_default();
        if !fitted.is_null() {
            judged(self.accept_fit, trust::check_fit(&fitted, kelvin))?;
        }
        let pool = self.pooled(data, potential.as_mut(), (kelvin, seed), &stages, quiet)?;
        if potential.region().is_some() {
            judged(self.accept_fit, calibrate::check_pool(&pool, kelvin))?;
        }
        // The energy is watched first.
        let independent = pool.report["quantities"][0]["effective"].as_f64().unwrap_or(0.0);
        // Not how fast it went: the same data give the same sampler, to the byte.
        let mut equilibration = pool.report;
        if let Some(entries) = equilibration.as_object_mut() {
            entries.remove("evaluations_per_second");
        }
        let record = json!({
            "debias": if self.debias == Kind::Fit { "fit" } else { "potential" },
            "data_digest": data.source.digest,
            "data_frames": data.len(),
            "fit": fitted,
            "equilibration": equilibration,
        });
        Ok(Prepared { data: pool.value, weights: None, record, potential: Some((potential, independent)) })
    }

    fn fitted(
        &self,
        data: &Dataset,
        stages: &Stages,
        quiet: bool,
    ) -> Result<Made<boltzdrift::potential::Gdml>> {
        let base = fit::Settings::default();
        let settings = fit::Settings { frames: self.fit_frames.unwrap_or(base.frames), ..base };
        let made = calibrate::force_field(data, &settings, stages, &mut |step| {
            crate::fit::report_progress(&step, quiet)
        })?;
        if !quiet {
            let report: fit::Report = serde_json::from_value(made.report.clone()).map_err(|error| {
                Error::Numeric(format!("{}: no report of a fit ({error}); remove it", made.path.display()))
            })?;
            crate::fit::warn_without_energies(&report);
            let from = if made.cached { "kept in" } else { "written to" };
            say(&format!("fit ({from} {}): {}", made.path.display(), crate::fit::describe(&report)))?;
        }
        Ok(made)
    }

    fn pooled(
        &self,
        data: &Dataset,
        potential: &mut dyn Potential,
        (kelvin, seed): (f64, u64),
        stages: &Stages,
        quiet: bool,
    ) -> Result<Made<Dataset>> {
        let base = equilibrate::Settings::at(kelvin);
        let settings = equilibrate::Settings {
            seed,
            frames: self.pool.unwrap_or(POOL),
            most_evaluations: self.limit.unwrap_or(base.most_evaluations),
            accept_unconverged: self.accept_unconverged,
            ..base
        };
        settings.check()?;
        let bar = Bar::new(quiet, "equilibrating", "evaluations");
        let identity = potential.identity();
        let made = calibrate::pool(data, potential, &identity, &settings, stages, &mut |progress| {
            bar.set(progress.evaluations, Some(progress.most_evaluations));
            bar.note(crate::equilibrate::describe(&progress));
            if interrupted() {
                Continue::Stop
            } else {
                Continue::Yes
            }
        })?;
        bar.done();
        for warning in made.report["warnings"].as_array().into_iter().flatten() {
            log::warn!("{}", warning.as_str().unwrap_or_default());
        }
        if !quiet {
            let number = |name: &str| made.report[name].as_f64().unwrap_or(f64::NAN);
            let from = if made.cached { "kept in" } else { "written to" };
            say(&format!(
                "equilibrated states ({from} {}): {} at {kelvin} K, {:.0} evaluations, {:.0} a second, {:.0} % accepted, \
                 energy {:.2} +- {:.2} kcal/mol",
                made.path.display(),
                made.value.len(),
                number("evaluations"),
                number("evaluations_per_second"),
                100.0 * number("acceptance"),
                number("mean_energy"),
                number("energy_width")
            ))?;
        }
        Ok(made)
    }
}

/// Sets the amplitude of a sampler's noise by the energies (M) of the states that it learned, and gives the record of it. A
/// potential that cannot judge samples leaves it as it is: the training is done.
pub fn calibrated(
    model: &mut Model,
    potential: &mut dyn Potential,
    independent: f64,
    energies: &Array1<f64>,
    quiet: bool,
) -> Result<Value> {
    let bar = Bar::new(quiet, "judging energies", "evaluations");
    let found = calibrate::amplitude(model, potential, energies.view(), independent, &mut |done| {
        bar.set(done, Some(calibrate::EVALUATIONS));
        match interrupted() {
            true => Err(Error::Interrupted("stopped while the samples' energies were judged".into())),
            false => Ok(()),
        }
    });
    bar.done();
    let found = match found {
        Ok(found) => found,
        Err(error @ Error::Interrupted(_)) => return Err(error),
        Err(error) => {
            log::warn!("the amplitude of the noise is left as it is: {error}");
            return Ok(json!({ "left": error.to_string() }));
        }
    };
    if found.beyond {
        log::warn!(
            "the samples' energies are {:.2} kcal/mol from the states' somewhere between the 5 and 95 % points, more than the \
             amplitude of the noise can mend; train for more steps",
            found.before
        );
    }
    if !quiet {
        say(&format!(
            "noise times {:.3}: the 5 to 95 % points of the samples' energies are within {:.2} kcal/mol of the states' ({:.2} \
             before, standard error {:.2})",
            found.factor, found.after, found.before, found.error
        ))?;
    }
    serde_json::to_value(found).map_err(|error| Error::Numeric(error.to_string()))
}

fn weigh(data: Dataset, kelvin: f64, quiet: bool) -> Result<Prepared> {
    let bonds = Bonds::from_mean_distances(&data.species, data.positions.view())?;
    bonds.require_connected(&data.species)?;
    let group = SymmetryGroup::find(&data.species, data.positions.view(), &bonds)?;
    let found = torsional_weights(&data, &bonds, Some(&group), kelvin)?;
    for one in &found.dihedrals {
        let name = one.atoms.map(|atom| atom.to_string()).join("-");
        match &one.left_alone {
            Some(why) => log::warn!("dihedral {name} is left as it is: {why}"),
            None if !quiet => say(&format!(
                "dihedral {name}: trans {:.3} in the frames, {:.3} by the mean force, {:.3} weighted",
                one.in_data[0], one.by_mean_force[0], one.weighted[0]
            ))?,
            None => (),
        }
    }
    if !quiet {
        say(&format!("weights by mean force: {:.0} % of the frames count", 100.0 * found.effective))?;
    }
    let record = json!({
        "debias": "torsion",
        "data_digest": data.source.digest,
        "data_frames": data.len(),
        "weights": &found,
    });
    Ok(Prepared { data, weights: Some(found.weights.to_vec()), record, potential: None })
}
