//! The ranks of one training. Each takes its part of the batch through the network; outputs, targets and weight gradients are
//! handed round, and every rank then does the same with the same numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tch::Tensor;

use crate::generator::to_vec;
use crate::ranks::{any, in_pairs, require_same, share, Ranks};
use crate::{Error, Result};

/// This rank and the others.
#[derive(Debug)]
pub(super) struct Company {
    ranks: Box<dyn Ranks>,
    /// Nanoseconds in messages, waiting for the others among them.
    messages: AtomicU64,
}

/// One rank's part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    rank: usize,
    count: usize,
}

impl Part {
    /// The rows of (N, K) that are in it.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn rows(self, all: &Tensor) -> Result<Tensor> {
        let (total, _) = all.size2()?;
        let mine = share(total as usize, self.rank, self.count);
        Ok(all.f_narrow(0, mine.start as i64, mine.len() as i64)?)
    }
}

impl Company {
    /// Ranks that share batches of `batch` samples.
    ///
    /// # Errors
    /// [`Error::Usage`] where there are more ranks than samples.
    pub fn new(ranks: Box<dyn Ranks>, batch: usize) -> Result<Self> {
        if ranks.count() > batch {
            return Err(Error::usage(format!(
                "{} ranks for a batch of {batch}: some would have nothing to do; start fewer, or set a larger batch",
                ranks.count()
            )));
        }
        Ok(Company { ranks, messages: AtomicU64::new(0) })
    }

    fn timed<T>(&self, work: impl FnOnce(&dyn Ranks) -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let answer = work(&*self.ranks);
        self.messages.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        answer
    }

    /// Seconds in messages so far.
    pub fn seconds(&self) -> f64 {
        self.messages.load(Ordering::Relaxed) as f64 * 1e-9
    }

    /// Whether this is the rank that writes.
    pub fn leads(&self) -> bool {
        self.ranks.rank() == 0
    }

    /// That all ranks hold the same of each.
    ///
    /// # Errors
    /// As [`require_same`].
    pub fn require_same(&self, things: &[(&str, &[u8])]) -> Result<()> {
        require_same(&*self.ranks, things)
    }

    /// Whether any rank says yes; also a place where all wait for all.
    ///
    /// # Errors
    /// Where a rank cannot be reached.
    pub fn any(&self, mine: bool) -> Result<bool> {
        any(&*self.ranks, mine)
    }

    /// Which part of everything is this rank's.
    pub fn part(&self) -> Part {
        Part { rank: self.ranks.rank(), count: self.ranks.count() }
    }

    /// The rows of (N, K) that belong to this rank.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn rows(&self, all: &Tensor) -> Result<Tensor> {
        self.part().rows(all)
    }

    /// All `total` rows from the rows that belong to each rank.
    ///
    /// # Errors
    /// Where libtorch refuses, or a rank cannot be reached.
    pub fn together(&self, mine: &Tensor, total: usize) -> Result<Tensor> {
        let columns = mine.size2()?.1;
        let count = self.ranks.count();
        let mut numbers = to_vec(mine)?;
        // All give equally many: shares differ by a row at most.
        numbers.resize(total.div_ceil(count) * columns as usize, 0.0);
        let mut all = self.timed(|ranks| ranks.gather(&numbers))?;
        if !total.is_multiple_of(count) {
            let of = |rank: usize| {
                let length = share(total, rank, count).len() * columns as usize;
                all.iter().skip(rank * numbers.len()).take(length).copied()
            };
            all = (0..count).flat_map(of).collect();
        }
        Ok(Tensor::f_from_slice(&all)?.f_view([total as i64, columns])?)
    }

    /// The sum of every rank's tensor: each rank sums its part of them, in the order of the ranks, and hands that round. Every
    /// rank then has the same bytes.
    ///
    /// # Errors
    /// Where libtorch refuses, or a rank cannot be reached.
    pub fn sum(&self, mine: &Tensor) -> Result<Tensor> {
        let (length, count) = (mine.numel(), self.ranks.count());
        let piece = length.div_ceil(count).max(1);
        let mut numbers = to_vec(mine)?;
        numbers.resize(piece * count, 0.0);
        let theirs = self.timed(|ranks| ranks.exchange(&numbers))?;
        let pieces = theirs.chunks_exact(piece).map(<[f32]>::to_vec).collect();
        let sum = in_pairs(pieces, |mut a: Vec<f32>, b| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            Ok(a)
        })?;
        let all = self.timed(|ranks| ranks.gather(&sum.unwrap_or_default()))?;
        Ok(Tensor::f_from_slice(&all)?.f_narrow(0, 0, length as i64)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::molecule::samples::ETHANOL;
    use crate::molecule::springs::Springs;
    use crate::ranks::threads::{together, Thread};
    use crate::train::{Continue, Method, Overrides, Settings, Trainer};
    use tch::Device;

    fn settings(method: Method, batch: usize) -> Settings {
        Settings::resolve(&Overrides {
            method: Some(method),
            temperature: Some(300.0),
            steps: Some(60),
            batch: Some(batch),
            width: Some(24),
            depth: Some(2),
            noise: Some(8),
            lines: (method == Method::Sliced).then_some(16),
            torsion_lines: (method == Method::Sliced).then_some(8),
            ..Overrides::default()
        })
        .unwrap()
    }

    fn trainer(settings: &Settings) -> Trainer {
        let data = Springs::new(&ETHANOL).canonical(300.0, 200, 1);
        Trainer::new(&data, settings.clone(), Device::Cpu).unwrap()
    }

    /// Losses and weights at the end.
    fn ended(mut trainer: Trainer) -> (Vec<f64>, Vec<f32>) {
        // As the command line has it. libtorch's own threads change the last bits, and another test may set their number.
        tch::set_num_threads(1);
        trainer.run(None, &mut |_| Continue::Yes).unwrap();
        (trainer.losses().iter().map(|(_, loss)| *loss).collect(), trainer.generator.to_flat().unwrap())
    }

    fn of_ranks(count: usize, settings: &Settings) -> Vec<(Vec<f64>, Vec<f32>)> {
        together(count, |rank| ended(trainer(settings).among(Box::new(rank)).unwrap()))
    }

    #[test]
    fn whole_parts_give_the_bytes_of_one_rank() {
        for (method, batch, counts) in [
            (Method::Sliced, 1024, [2, 4]),
            (Method::ForceAligned, 512, [1, 2]),
            (Method::Sliced, 768, [1, 3]),
        ] {
            let settings = Settings { steps: 20, ..settings(method, batch) };
            let alone = ended(trainer(&settings));
            for count in counts {
                for got in of_ranks(count, &settings) {
                    assert!(got == alone, "{method}, {count} ranks: {:?} {:?}", got.0, alone.0);
                }
            }
        }
    }

    #[test]
    fn other_parts_give_the_losses_of_one_rank() {
        for method in [Method::Sliced, Method::ForceAligned] {
            let settings = settings(method, 100);
            let (losses, weights) = ended(trainer(&settings));
            let all = of_ranks(3, &settings);
            assert!(all.iter().all(|other| other == &all[0]), "the ranks have not the same bytes");
            for (a, b) in all[0].0.iter().zip(&losses) {
                assert!((a - b).abs() < 1e-4 * b.abs(), "{method}: {:?} {losses:?}", all[0].0);
            }
            let apart = all[0].1.iter().zip(&weights).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-2, "{method}: {apart}");
        }
    }

    #[test]
    fn one_rank_that_stops_stops_all_and_any_number_goes_on() {
        let settings = settings(Method::Sliced, 512);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("half");
        let stopped = together(2, |rank: Thread| {
            let wants = rank.rank() == 1;
            let mut trainer = trainer(&settings).among(Box::new(rank)).unwrap();
            let answer = if wants { Continue::Stop } else { Continue::Yes };
            let error = trainer.run(Some((&path, 1000)), &mut |_| answer).unwrap_err();
            assert!(path.exists());
            error.to_string()
        });
        assert!(stopped.iter().all(|said| said.starts_with("stopped after step 50")), "{stopped:?}");
        let data = Springs::new(&ETHANOL).canonical(300.0, 200, 1);
        let checkpoint = crate::train::checkpoint::Checkpoint::load(&path).unwrap();
        let on = || Trainer::resume(&data, &checkpoint, Device::Cpu).unwrap();
        let undisturbed = ended(trainer(&settings));
        assert!(ended(on()) == undisturbed);
        for got in together(2, |rank| ended(on().among(Box::new(rank)).unwrap())) {
            assert!(got == undisturbed);
        }
    }

    #[test]
    fn a_run_that_was_stopped_is_shared_out() {
        let settings = settings(Method::Sliced, 512);
        let undisturbed = ended(trainer(&settings));
        for got in together(2, |rank| {
            tch::set_num_threads(1);
            let mut trainer = trainer(&settings);
            assert!(trainer.run(None, &mut |_| Continue::Stop).is_err());
            ended(trainer.among(Box::new(rank)).unwrap())
        }) {
            assert!(got == undisturbed);
        }
    }

    /// What is made ahead is made with all kinds of rows; whoever makes it makes the same.
    #[test]
    fn threads_change_no_bit() {
        let data = Springs::new(&ETHANOL).canonical(300.0, 200, 1);
        for (method, torsion_lines, size_weight) in
            [(Method::Sliced, 8, 0.15), (Method::Sliced, 0, 0.0), (Method::ForceAligned, 8, 0.0)]
        {
            let settings = Settings { torsion_lines, size_weight, ..settings(method, 300) };
            let new = || Trainer::new(&data, settings.clone(), Device::Cpu).unwrap();
            let of = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| ended(new()))
            };
            let alone = of(1);
            assert!(of(3) == alone && ended(new()) == alone, "{method}");
            // A run that is at its end goes on to the same end.
            let mut done = new();
            done.run(None, &mut |_| Continue::Yes).unwrap();
            assert!(
                ended(Trainer::resume(&data, &done.checkpoint().unwrap(), Device::Cpu).unwrap()) == alone
            );
        }
    }

    #[test]
    fn ranks_that_differ_and_ranks_without_work_are_refused() {
        let few = settings(Method::Sliced, 2);
        let said = together(3, |rank| trainer(&few).among(Box::new(rank)).unwrap_err().to_string());
        assert!(said[0].contains("3 ranks for a batch of 2"), "{said:?}");
        let said = together(2, |rank: Thread| {
            let mut own = settings(Method::Sliced, 64);
            own.steps += rank.rank();
            trainer(&own).among(Box::new(rank)).unwrap_err().to_string()
        });
        assert!(said.iter().all(|said| said.contains("rank 1 of 2 has another set of settings")), "{said:?}");
    }
}
