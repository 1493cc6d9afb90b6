//! Into a checkpoint, and on from one.

use ndarray::{Array1, Array3};

use super::{Batch, DualAveraging, Equilibration};
use crate::dataset::Dataset;
use crate::equilibrate::checkpoint::Checkpoint;
use crate::equilibrate::ladder;
use crate::equilibrate::monitor::Series;
use crate::{Error, Result};

impl Equilibration {
    /// The state of the run as it stands.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut counters = self.counters.clone();
        counters.stride = self.store.stride;
        counters.fresh = self.batch.fresh;
        let s = &self.settings;
        let mut numbers = vec![s.temperature, s.time_step, s.r_hat, s.effective, s.hottest];
        numbers.extend(self.search.numbers());
        numbers.extend([self.step, self.series.origin, self.seconds]);
        let doubles = [
            self.batch.positions.iter().copied().collect(),
            self.batch.energies.to_vec(),
            self.batch.guiding.iter().copied().collect(),
            self.store.kept.clone(),
        ];
        let draws = self.series.draws.concat();
        Checkpoint::new(s.clone(), self.data_digest.clone(), counters, numbers, doubles, draws)
    }

    /// Goes on from a checkpoint, with the same data and potential: the rest is, to the bit, that of the run it
    /// was taken from.
    ///
    /// # Errors
    /// [`Error::Usage`] where the checkpoint belongs to other data or does not fit its own settings; else as
    /// [`Equilibration::new`].
    pub fn resume(dataset: &Dataset, checkpoint: &Checkpoint) -> Result<Self> {
        let record = &checkpoint.record;
        if record.data_digest != dataset.source.digest {
            return Err(Error::usage(format!(
                "the checkpoint belongs to other data than {}; give the trajectory and reading options it was \
                 started with",
                dataset.source.name()
            )));
        }
        let unfit =
            || Error::usage("the checkpoint does not fit its own settings; start the equilibration again");
        let &[temperature, time_step, r_hat, effective, hottest, a, b, c, d, e, step, origin, seconds] =
            checkpoint.numbers.as_slice()
        else {
            return Err(unfit());
        };
        let mut settings = record.settings.clone();
        settings.temperature = temperature;
        settings.time_step = time_step;
        (settings.r_hat, settings.effective, settings.hottest) = (r_hat, effective, hottest);
        let mut run = Equilibration::new(dataset, settings)?;
        let atoms = dataset.atoms();
        let [positions, energies, guiding, kept] = &checkpoint.doubles;
        let (chains, rungs) = (energies.len(), record.counters.rungs);
        let cold = chains / rungs.max(1);
        if rungs > 1 {
            let hot = run.settings.temperature * run.settings.hottest;
            run.kelvins = ladder::temperatures(run.settings.temperature, hot, ladder::freedoms(atoms));
        }
        let quantities = run.monitor.names().len();
        let whole = run.kelvins.len() == rungs
            && chains > 0
            && chains % rungs == 0
            && record.counters.exchanges.len() == rungs - 1
            && record.counters.led.len() == rungs
            && kept.len().is_multiple_of(cold * atoms * 3)
            && checkpoint.draws.len().is_multiple_of(quantities * cold);
        if !whole {
            return Err(unfit());
        }
        let shape = (chains, atoms, 3);
        let states = Array3::from_shape_vec(shape, positions.clone()).map_err(|_| unfit())?;
        let kelvins: Vec<f64> = (0..chains).map(|chain| run.kelvins[chain % rungs]).collect();
        run.batch = Batch::new(states, &kelvins);
        run.batch.energies = Array1::from_vec(energies.clone());
        run.batch.guiding = Array3::from_shape_vec(shape, guiding.clone()).map_err(|_| unfit())?;
        run.batch.fresh = record.counters.fresh;
        run.counters = record.counters.clone();
        run.search = DualAveraging::from_numbers([a, b, c, d, e]);
        (run.step, run.seconds) = (step, seconds);
        run.store = super::Store::new(run.settings.frames, cold, atoms);
        run.store.stride = record.counters.stride.max(1);
        run.store.kept.clone_from(kept);
        run.series = Series::new(quantities, cold, origin);
        let each = checkpoint.draws.len() / quantities;
        for (draws, part) in run.series.draws.iter_mut().zip(checkpoint.draws.chunks(each.max(1))) {
            draws.extend_from_slice(part);
        }
        Ok(run)
    }

    /// Changes what a resumed run may change without becoming another: the limit of evaluations, and whether
    /// states that have not converged are taken.
    ///
    /// # Errors
    /// [`Error::Usage`] where so long a run has no room.
    pub fn extend(&mut self, most_evaluations: u64, accept_unconverged: bool) -> Result<()> {
        self.settings.most_evaluations = most_evaluations;
        self.settings.accept_unconverged = accept_unconverged;
        self.settings.check()?;
        self.check_room()
    }
}
