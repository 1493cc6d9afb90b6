//! How a run begins: what is watched, and which frames the chains start from.

use ndarray::{Array1, Array3, Axis};

use super::{DualAveraging, Equilibration, Ladder, Phase};
use crate::dataset::Dataset;
use crate::equilibrate::checkpoint::{Counters, LARGEST};
use crate::equilibrate::guided::Guide;
use crate::equilibrate::hmc::{Batch, Decisions, System};
use crate::equilibrate::limits::{Limits, Verdict};
use crate::equilibrate::monitor::{Monitor, Series};
use crate::equilibrate::pool::Starts;
use crate::equilibrate::settings::Settings;
use crate::equilibrate::store::Store;
use crate::molecule::bonds::Bonds;
use crate::molecule::symmetry::SymmetryGroup;
use crate::molecule::vector::{between, norm};
use crate::potential::Potential;
use crate::sampler::noise::{Purpose, Stream};
use crate::{Error, Result};

/// Frames looked at for a start, over the number of chains.
const EXAMINED: usize = 4;

impl Equilibration {
    /// Prepares a run from the frames of a data set: bonds, rotatable bonds and symmetry come from them.
    ///
    /// # Errors
    /// [`Error::Usage`] for settings that make no sense, no frame, a single atom or several fragments;
    /// [`Error::Unsupported`] for a symmetry group too large to list.
    pub fn new(dataset: &Dataset, settings: Settings) -> Result<Self> {
        settings.check()?;
        let (frames, atoms, _) = dataset.positions.dim();
        if frames == 0 || atoms < 2 {
            return Err(Error::usage(format!(
                "{}: {frames} frame(s) of {atoms} atom(s); an equilibration needs a frame of at least two atoms",
                dataset.source.name()
            )));
        }
        let positions = dataset.positions.view();
        let bonds = Bonds::from_mean_distances(&dataset.species, positions)?;
        bonds.require_connected(&dataset.species)?;
        let group = SymmetryGroup::find(&dataset.species, positions, &bonds)?;
        let monitor = Monitor::new(&bonds.rotatable(&dataset.species, positions), &group);
        let mean =
            |i, j| (0..frames).map(|k| norm(between(&positions, k, i, j))).sum::<f64>() / frames as f64;
        let lengths = bonds.pairs.iter().map(|&(i, j)| (i, j, mean(i, j))).collect();
        let order = Stream::new(settings.seed, Purpose::Data, 0).distinct(frames, EXAMINED * settings.chains);
        let counters = Counters {
            potential: String::new(),
            identity: String::new(),
            phase: Phase::Warmup,
            iteration: 0,
            in_phase: 0,
            next_look: 0,
            evaluations: 0,
            decisions: Decisions::default(),
            exchanges: Vec::new(),
            rungs: 1,
            ladder_reason: None,
            starts: Starts::default(),
            stride: 1,
            converged: false,
            alone: false,
            guided: false,
            fresh: false,
            own: Decisions::default(),
            led: Vec::new(),
        };
        let run = Equilibration {
            system: System {
                species: dataset.species.clone(),
                masses: dataset.masses.clone(),
                limits: Limits::default(),
            },
            starts: dataset.positions.select(Axis(0), &order),
            data_digest: dataset.source.digest.clone(),
            kelvins: vec![settings.temperature],
            batch: Batch::new(Array3::zeros((0, atoms, 3)), &[]),
            guide: None,
            streams: Vec::new(),
            search: DualAveraging::new(settings.time_step),
            step: settings.time_step,
            series: Series::default(),
            store: Store::new(settings.frames, settings.chains, atoms),
            seconds: 0.0,
            worst: None,
            bonds,
            lengths,
            monitor,
            counters,
            settings,
        };
        run.check_room()?;
        Ok(run)
    }

    /// That the states and draws of the longest run have room in memory and in a checkpoint.
    pub(super) fn check_room(&self) -> Result<()> {
        let (atoms, quantities) = (self.system.species.len() as u64, self.monitor.names().len() as u64);
        let states = 2 * self.settings.frames as u64 + 5 * self.settings.chains as u64;
        let each = match &self.guide {
            Some(guide) => guide.mean_evaluations(self.settings.leapfrog),
            None => self.settings.leapfrog,
        };
        let draws = self.settings.most_evaluations / each.max(1) as u64;
        let bytes = states.saturating_mul(24 * atoms).saturating_add(draws.saturating_mul(4 * quantities));
        if bytes <= LARGEST {
            return Ok(());
        }
        Err(Error::usage(format!(
            "{} states and up to {} evaluations may take {} MiB in a checkpoint, which can have {}; ask for fewer",
            self.settings.frames,
            self.settings.most_evaluations,
            bytes >> 20,
            LARGEST >> 20
        )))
    }

    /// Takes up the potential, and chooses the starts where the run is new.
    pub(super) fn begin(&mut self, potential: &mut dyn Potential) -> Result<()> {
        let bonds: &[_] = if self.settings.check_bonds { &self.lengths } else { &[] };
        self.system.limits = Limits::new(potential.region(), bonds);
        self.guide = if self.counters.alone { None } else { Guide::of(potential, &self.system.species) };
        self.check_room()?;
        if self.batch.chains() > 0 {
            let unled = self.counters.guided != self.guide.is_some();
            if self.counters.identity == potential.identity() && !unled {
                return Ok(());
            }
            return Err(Error::usage(format!(
                "the run was begun with another potential ({}, identity {}) than this one ({}, {}); go on with the \
                 same, or begin again",
                self.counters.potential,
                short(&self.counters.identity),
                potential.name(),
                short(&potential.identity())
            )));
        }
        self.counters.guided = self.guide.is_some();
        let states = self.choose(potential)?;
        (self.counters.potential, self.counters.identity) = (potential.name(), potential.identity());
        if self.settings.ladder == Ladder::On {
            self.step = self.settings.time_step;
            self.batch = Batch::new(states, &[]);
            return self.raise_ladder(potential, "asked for".into());
        }
        self.place(states, potential)?;
        self.enter(Phase::Warmup);
        Ok(())
    }

    /// The first frames, in their random order, that may be started from: as many as chains where there are.
    fn choose(&mut self, potential: &mut dyn Potential) -> Result<Array3<f64>> {
        let (mut good, mut reason) = (Vec::new(), String::new());
        let mut tally = Starts::default();
        for start in (0..self.starts.dim().0).step_by(self.settings.chains) {
            let end = (start + self.settings.chains).min(self.starts.dim().0);
            tally.examined = end as u64;
            let mut allowed = Vec::new();
            for row in start..end {
                let state = self.starts.index_axis(Axis(0), row);
                match self.system.limits.judge(state) {
                    Verdict::Allowed => allowed.push(row),
                    verdict => {
                        *(if verdict == Verdict::Outside {
                            &mut tally.outside
                        } else {
                            &mut tally.broken
                        }) += 1;
                        reason = self.system.limits.explain(state);
                    }
                }
            }
            let states = self.starts.select(Axis(0), &allowed);
            let (mut energies, mut forces) = (Array1::zeros(allowed.len()), Array3::zeros(states.dim()));
            let species = &self.system.species;
            potential.energies_forces(species, states.view(), energies.view_mut(), forces.view_mut())?;
            self.counters.evaluations += allowed.len() as u64;
            for (k, row) in allowed.into_iter().enumerate() {
                if energies[k].is_finite() && forces.index_axis(Axis(0), k).iter().all(|f| f.is_finite()) {
                    good.push(row);
                } else {
                    tally.not_finite += 1;
                    reason = "an energy or force is not finite".into();
                }
            }
            if good.len() >= self.settings.chains {
                break;
            }
        }
        self.counters.starts = tally;
        if good.is_empty() {
            return Err(Error::Numeric(format!(
                "none of {} frames can be started from under the potential {} (the last: {reason}); use a force \
                 field made for this molecule and these atoms' order, and check the units",
                tally.examined,
                potential.name()
            )));
        }
        let bad = tally.outside + tally.broken + tally.not_finite;
        if bad > 0 {
            log::info!("{bad} of {} start frames were dropped, for example: {reason}", tally.examined);
        }
        good.truncate(self.settings.chains);
        Ok(self.starts.select(Axis(0), &good))
    }
}

/// The beginning of an identity, enough to tell two apart in a message.
fn short(identity: &str) -> String {
    identity.chars().take(16).collect()
}
