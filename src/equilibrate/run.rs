//! The run: warm-up, production, looks at the convergence, and a ladder where one is needed.

mod begin;
mod finish;
mod keep;

use std::path::Path;
use std::time::Instant;

use ndarray::Array3;
use rayon::prelude::*;

use super::adapt::{self, DualAveraging};
use super::checkpoint::Counters;
use super::guided::Guide;
use super::hmc::{length, Batch, Decisions, System};
use super::ladder;
use super::monitor::{coldest, Monitor, Series};
use super::pool::Pool;
use super::settings::{Ladder, Settings};
use super::store::Store;
use super::{Continue, Phase, Progress};
use crate::molecule::bonds::Bonds;
use crate::potential::Potential;
use crate::sampler::noise::{Purpose, Stream};
use crate::{Error, Result};

/// Iterations of production before the first look.
const FIRST_LOOK: u64 = 100;
/// Iterations between looks, at least; later a fifth of those done.
const LOOK_EVERY: u64 = 25;
/// A dihedral with a larger split-R-hat at the first look does not mix by itself.
const STUCK: f64 = 1.1;
/// Below this acceptance at the end of the warm-up, the forces do not lead where the energies are low.
const LEAST_ACCEPTANCE: f64 = 0.3;
/// Sets the streams of chains apart from those of refined samples.
const CHAINS: u64 = 1 << 63;

/// An equilibration.
#[derive(Debug)]
pub struct Equilibration {
    settings: Settings,
    bonds: Bonds,
    /// Bonds with their mean lengths in the data, angstrom.
    lengths: Vec<(usize, usize, f64)>,
    system: System,
    /// Frames to start from, in random order, (S, n, 3).
    starts: Array3<f64>,
    monitor: Monitor,
    data_digest: String,
    counters: Counters,
    /// Temperatures of the ladder; one without.
    kelvins: Vec<f64>,
    /// No chains before the run has begun.
    batch: Batch,
    /// A cheaper field that leads the walk, where the potential has one and it is not [`Counters::alone`].
    guide: Option<Guide>,
    streams: Vec<Stream>,
    search: DualAveraging,
    /// The time step of the production, fs.
    step: f64,
    series: Series,
    store: Store,
    seconds: f64,
    worst: Option<(String, f64)>,
}

impl Equilibration {
    /// Settings of the run.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Evaluations of one frame by the potential so far, those before a resume among them.
    pub fn evaluations(&self) -> u64 {
        self.counters.evaluations
    }

    /// Runs until every quantity has converged, and gives the states. `progress` is asked after every iteration.
    /// Where a path is given, a checkpoint is written every so many iterations, at a stop, at the limit and where the
    /// potential fails.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after `progress` said stop; [`Error::Numeric`] where no frame can be started from,
    /// where hardly any proposal is accepted, or where the limit of evaluations is reached before convergence
    /// (the message names the quantity); whatever the potential fails with.
    pub fn run(
        &mut self,
        potential: &mut dyn Potential,
        checkpoint: Option<(&Path, u64)>,
        progress: &mut dyn FnMut(Progress) -> Continue,
    ) -> Result<Pool> {
        self.begin(potential)?;
        while !self.counters.converged {
            if self.counters.evaluations >= self.settings.most_evaluations {
                if let Some((path, _)) = checkpoint {
                    self.checkpoint().save(path)?;
                }
                match self.shortcoming() {
                    // Converged since the last look.
                    None => break,
                    Some(_) if self.settings.accept_unconverged && !self.store.kept.is_empty() => break,
                    Some(what) => return Err(self.unconverged(&what, checkpoint.map(|(path, _)| path))),
                }
            }
            let (start, number) = (Instant::now(), self.counters.iteration);
            if let Err(error) = self.one_iteration(potential) {
                // An iteration that the potential cut off has moved nothing yet.
                let unmoved = self.counters.iteration == number;
                return Err(match checkpoint.filter(|_| unmoved && number > 0) {
                    Some((path, _)) => self.kept(error, path),
                    None => error,
                });
            }
            self.seconds += start.elapsed().as_secs_f64();
            let stop = progress(self.progress()) == Continue::Stop && !self.counters.converged;
            if let Some((path, every)) = checkpoint {
                if stop || self.counters.iteration.is_multiple_of(every.max(1)) {
                    self.checkpoint().save(path)?;
                }
            }
            if stop {
                let saved = match checkpoint {
                    Some((path, _)) => format!("kept in {}, to go on with (--resume)", path.display()),
                    None => "nothing was saved".into(),
                };
                return Err(Error::Interrupted(format!(
                    "stopped after iteration {}; {saved}",
                    self.counters.iteration
                )));
            }
        }
        self.pool(potential)
    }

    /// Keeps what was done before the potential failed; its error says where.
    fn kept(&self, error: Error, path: &Path) -> Error {
        let Error::Potential { name, frame, status, message } = error else { return error };
        let kept = match self.checkpoint().save(path) {
            Ok(()) => format!(
                "the {} iterations before are kept in {}, to go on with (--resume)",
                self.counters.iteration,
                path.display()
            ),
            Err(error) => format!("nothing is kept: {error}"),
        };
        Error::Potential { name, frame, status, message: format!("{message}; {kept}") }
    }

    fn progress(&self) -> Progress {
        Progress {
            phase: self.counters.phase,
            iteration: self.counters.in_phase,
            evaluations: self.counters.evaluations,
            most_evaluations: self.settings.most_evaluations,
            acceptance: self.counters.decisions.acceptance(),
            worst: self.worst.clone(),
        }
    }

    fn one_iteration(&mut self, potential: &mut dyn Potential) -> Result<()> {
        let (seed, number, rungs) = (self.settings.seed, self.counters.iteration, self.counters.rungs);
        let mut schedule = Stream::new(seed, Purpose::Schedule, CHAINS | number);
        let steps = length(self.settings.leapfrog, &mut schedule);
        self.streams.clear();
        let index = |chain: usize| CHAINS | number << 20 | chain as u64;
        self.streams
            .extend((0..self.batch.chains()).map(|chain| Stream::new(seed, Purpose::Walk, index(chain))));
        let warm = self.counters.phase == Phase::Warmup;
        let time_step = if warm { self.search.step() } else { self.step };
        let guide = self.guide.as_ref().filter(|_| Guide::leads(&mut schedule));
        let work = guide.map_or(steps + 1 + usize::from(!self.batch.fresh), |guide| guide.evaluations(steps));
        let (guided, Counters { decisions, own, led, .. }) = (guide.is_some(), &mut self.counters);
        let probability = self.batch.iterate(
            &self.system,
            potential,
            guide,
            (time_step, steps),
            &mut self.streams,
            |chain, one| {
                if chain % rungs == 0 {
                    decisions.add(one);
                    if !guided {
                        own.add(one);
                    }
                }
                if guided {
                    led[chain % rungs].add(one);
                }
            },
        )?;
        self.counters.evaluations += (self.batch.chains() * work) as u64;
        if rungs > 1 {
            ladder::exchange(&mut self.batch, rungs, number, &mut schedule, &mut self.counters.exchanges);
        }
        self.counters.iteration += 1;
        self.counters.in_phase += 1;
        if warm {
            self.search.learn(probability, if self.guide.is_some() { adapt::GUIDED } else { adapt::TARGET });
            let warmup = self.settings.warmup as u64;
            if self.counters.in_phase == warmup - warmup / 4 {
                // The last quarter alone judges the step.
                self.count_anew();
            } else if self.counters.in_phase >= warmup {
                self.end_warmup(potential)?;
            }
            return Ok(());
        }
        let cold = coldest(&self.batch.positions, rungs);
        let energies = self.batch.energies.slice(ndarray::s![..;rungs]);
        self.series.push(&self.monitor.measure(cold, energies));
        self.store.offer(self.counters.in_phase, cold);
        if self.counters.in_phase == self.counters.next_look {
            self.look(potential)?;
        }
        Ok(())
    }

    /// Fixes the time step; the states count from here on.
    fn end_warmup(&mut self, potential: &mut dyn Potential) -> Result<()> {
        let (decisions, leapfrog) = (self.counters.decisions, self.settings.leapfrog);
        if self.guide.as_ref().is_some_and(|guide| !guide.is_worth_it(&self.counters.led, leapfrog)) {
            return self.without_guide(potential);
        }
        if decisions.acceptance() < LEAST_ACCEPTANCE {
            return Err(self.hardly_accepted(&decisions));
        }
        self.step = self.search.found();
        let rungs = self.counters.rungs;
        let energies = self.batch.energies.slice(ndarray::s![..;rungs]);
        let (cold, origin) = (energies.len(), energies.sum() / energies.len() as f64);
        self.series = Series::new(self.monitor.names().len(), cold, origin);
        self.store = Store::new(self.settings.frames, cold, self.system.species.len());
        self.enter(Phase::Production);
        Ok(())
    }

    /// Begins the warm-up again, led by the potential alone.
    fn without_guide(&mut self, potential: &mut dyn Potential) -> Result<()> {
        self.batch.prepare(&self.system.species, potential)?;
        self.counters.evaluations += 2 * self.batch.chains() as u64;
        log::warn!("{}", self.left_guide());
        self.guide = None;
        (self.counters.alone, self.counters.guided) = (true, false);
        self.search = DualAveraging::new(self.settings.time_step);
        self.enter(Phase::Warmup);
        Ok(())
    }

    fn enter(&mut self, phase: Phase) {
        self.counters.phase = phase;
        self.counters.in_phase = 0;
        self.counters.next_look = FIRST_LOOK;
        self.count_anew();
        self.counters.exchanges = vec![[0; 2]; self.counters.rungs - 1];
    }

    fn count_anew(&mut self) {
        (self.counters.decisions, self.counters.own) = Default::default();
        self.counters.led = vec![Decisions::default(); self.counters.rungs];
    }

    /// That a guide was left, and why.
    fn left_guide(&self) -> String {
        format!(
            "the smaller fit that comes with {} is too far from it to lead the walk: the fit itself leads all of it, which is as \
             exact but slower; fit to more frames for a better one",
            self.counters.potential
        )
    }

    /// Looks whether everything has converged, or a ladder is needed.
    fn look(&mut self, potential: &mut dyn Potential) -> Result<()> {
        let names = self.monitor.names();
        let all: Vec<usize> = (0..names.len()).collect();
        let series = &self.series;
        let r_hats: Vec<f64> = all.par_iter().map(|&quantity| series.r_hat(quantity)).collect();
        let worst = all.iter().copied().max_by(|&a, &b| r_hats[a].total_cmp(&r_hats[b]));
        self.worst = worst.map(|quantity| (names[quantity].clone(), r_hats[quantity]));
        let done = self.counters.in_phase;
        if done == FIRST_LOOK && self.settings.ladder == Ladder::Auto && self.counters.rungs == 1 {
            let slow = all.iter().copied().skip(1).find(|&quantity| r_hats[quantity] > STUCK);
            if let Some(slow) = slow {
                let reason = format!(
                    "{} does not mix by itself: split-R-hat {:.2} after {done} iterations",
                    names[slow], r_hats[slow]
                );
                return self.raise_ladder(potential, reason);
            }
        }
        let enough = |quantity: &usize| series.effective(*quantity) >= self.settings.effective;
        self.counters.converged = self.store.len(self.system.species.len()) >= self.settings.frames
            && r_hats.iter().all(|r_hat| *r_hat < self.settings.r_hat)
            && all.par_iter().all(enough);
        self.counters.next_look = done + LOOK_EVERY.max(done / 5);
        Ok(())
    }

    /// Begins again, from the present states, on a ladder of temperatures.
    fn raise_ladder(&mut self, potential: &mut dyn Potential, reason: String) -> Result<()> {
        let coldest = self.settings.temperature;
        let freedoms = ladder::freedoms(self.system.species.len());
        self.kelvins = ladder::temperatures(coldest, coldest * self.settings.hottest, freedoms);
        let rungs = self.kelvins.len();
        log::info!("{reason}; a ladder of {rungs} temperatures up to {:.0} K", self.kelvins[rungs - 1]);
        self.counters.rungs = rungs;
        self.counters.ladder_reason = Some(reason);
        let present = self.batch.positions.clone();
        self.place(present, potential)?;
        // Nothing of the chains before the ladder counts, nor fits the checkpoints of those on it.
        let cold = self.batch.chains() / rungs;
        self.series = Series::new(self.monitor.names().len(), cold, 0.0);
        self.store = Store::new(self.settings.frames, cold, self.system.species.len());
        self.search = DualAveraging::new(self.step);
        self.enter(Phase::Warmup);
        Ok(())
    }

    /// Puts chains at states (any number of them, taken in turn): as many as asked for, in whole ladders.
    fn place(&mut self, states: Array3<f64>, potential: &mut dyn Potential) -> Result<()> {
        let rungs = self.kelvins.len();
        let chains =
            if rungs == 1 { self.settings.chains } else { (self.settings.chains / rungs).max(2) * rungs };
        let rows: Vec<usize> = (0..chains).map(|chain| chain % states.dim().0).collect();
        let kelvins: Vec<f64> = (0..chains).map(|chain| self.kelvins[chain % rungs]).collect();
        self.batch = Batch::new(states.select(ndarray::Axis(0), &rows), &kelvins);
        self.batch.prepare(&self.system.species, potential)?;
        self.counters.evaluations += 2 * chains as u64;
        Ok(())
    }
}
