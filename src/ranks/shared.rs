//! A potential whose batches are shared out among ranks: every rank computes its part of the frames, and all then have
//! the whole. Whoever calls it, on all ranks alike, goes on as one process would.

use ndarray::{s, ArrayView3, ArrayViewMut1, ArrayViewMut3};

use super::{gather_reals, require_same, share, Ranks};
use crate::potential::{Potential, Region};
use crate::{Error, Result};

/// A potential of all ranks.
#[derive(Debug)]
pub struct Shared<P, R> {
    own: P,
    ranks: R,
}

impl<P: Potential, R: Ranks> Shared<P, R> {
    /// Shares out a potential that all ranks have opened alike.
    ///
    /// # Errors
    /// [`Error::Usage`] where a rank has another potential, or another version of this library; [`Error::Io`] where a rank
    /// cannot be reached.
    pub fn new(own: P, ranks: R) -> Result<Self> {
        require_same(
            &ranks,
            &[("version of boltzdrift", crate::VERSION.as_bytes()), ("potential", own.identity().as_bytes())],
        )?;
        Ok(Shared { own, ranks })
    }

    /// Calls `work` with this rank's part of the frames and hands round what it fills in: `width` numbers for each frame, by
    /// `give` and `take`. An error of a rank's part is the same error on all ranks.
    fn part_by_part<T>(
        &mut self,
        positions: ArrayView3<f64>,
        width: usize,
        out: &mut T,
        work: impl FnOnce(&mut P, std::ops::Range<usize>, &mut T) -> Result<()>,
        give: impl Fn(&T, usize, &mut Vec<f64>),
        take: impl Fn(&mut T, usize, &[f64]),
    ) -> Result<()> {
        let (frames, count) = (positions.dim().0, self.ranks.count());
        let mine = share(frames, self.ranks.rank(), count);
        let done = match mine.is_empty() {
            true => Ok(()),
            false => work(&mut self.own, mine.clone(), out),
        };
        // Head first, and as many numbers on every rank.
        let length = HEAD + frames.div_ceil(count) * width;
        let failure = done.err().map(|error| Failure::new(error, mine.start));
        let mut numbers = Failure::head(failure.as_ref(), positions).to_vec();
        if failure.is_none() {
            mine.clone().for_each(|frame| give(out, frame, &mut numbers));
        }
        numbers.resize(length, 0.0);
        let all = gather_reals(&self.ranks, &numbers)?;
        if all.chunks_exact(length).any(|other| other[FRAMES_DIGEST] != numbers[FRAMES_DIGEST]) {
            return Err(Error::Numeric(format!(
                "the {count} ranks ask for energies of different frames: they do not compute alike; take processors of one kind \
                 and the same libraries on all of them"
            )));
        }
        if let Some(rank) = all.chunks_exact(length).position(|other| other[0] != 0.0) {
            return Err(self.failed(rank, &all[rank * length..][..HEAD], failure.as_ref())?);
        }
        for (rank, numbers) in
            all.chunks_exact(length).enumerate().filter(|(rank, _)| *rank != self.ranks.rank())
        {
            let frames = share(frames, rank, count);
            frames
                .zip(numbers[HEAD..].chunks_exact(width))
                .for_each(|(frame, values)| take(out, frame, values));
        }
        Ok(())
    }

    /// What rank `rank` failed with; every rank's message goes round.
    fn failed(&self, rank: usize, head: &[f64], own: Option<&Failure>) -> Result<Error> {
        let mut letters: Vec<f32> =
            own.map_or_else(Vec::new, |own| own.message.bytes().take(LETTERS).map(f32::from).collect());
        letters.resize(LETTERS, 0.0);
        let all = self.ranks.gather(&letters)?;
        let bytes: Vec<u8> = all[rank * LETTERS..][..LETTERS]
            .iter()
            .map(|&letter| letter as u8)
            .take_while(|&b| b != 0)
            .collect();
        Ok(Error::Potential {
            name: self.own.name(),
            frame: head[0] as usize - 1,
            status: (!head[1].is_nan()).then_some(head[1] as i32),
            message: format!(
                "{} (rank {rank} of {})",
                String::from_utf8_lossy(&bytes).trim_end_matches('\u{fffd}'),
                self.ranks.count()
            ),
        })
    }
}

/// Numbers before those of the frames: the failing frame and one, or zero; the status, or NaN; a digest of all frames.
const HEAD: usize = 3;
const FRAMES_DIGEST: usize = 2;
/// Bytes of a message that go round.
const LETTERS: usize = 400;

/// Why a rank's part could not be computed.
struct Failure {
    /// The frame in the whole batch.
    frame: usize,
    status: Option<i32>,
    message: String,
}

impl Failure {
    fn new(error: Error, first: usize) -> Self {
        match error {
            Error::Potential { frame, status, message, .. } => {
                Failure { frame: first + frame, status, message }
            }
            other => Failure { frame: first, status: None, message: other.to_string() },
        }
    }

    fn head(failure: Option<&Self>, positions: ArrayView3<f64>) -> [f64; HEAD] {
        let mut digest = Fnv::default();
        positions.iter().for_each(|x| digest.add(x.to_bits()));
        let frame = failure.map_or(0.0, |failure| failure.frame as f64 + 1.0);
        let status = failure.and_then(|failure| failure.status);
        [frame, status.map_or(f64::NAN, f64::from), digest.number()]
    }
}

/// The hash of Fowler, Noll and Vo (FNV-1a) over words: cheap beside any potential.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0100_0000_01b3);
    }

    /// Fewer bits than a double holds exactly.
    fn number(&self) -> f64 {
        (self.0 >> 12) as f64
    }
}

impl<P: Potential, R: Ranks> Potential for Shared<P, R> {
    fn energies_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        energies: ArrayViewMut1<f64>,
        forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        let width = 1 + 3 * positions.dim().1;
        self.part_by_part(
            positions,
            width,
            &mut (energies, forces),
            |own, part, (energies, forces)| {
                own.energies_forces(
                    species,
                    positions.slice(s![part.clone(), .., ..]),
                    energies.slice_mut(s![part.clone()]),
                    forces.slice_mut(s![part, .., ..]),
                )
            },
            |(energies, forces), frame, numbers| {
                numbers.push(energies[frame]);
                numbers.extend(forces.slice(s![frame, .., ..]));
            },
            |(energies, forces), frame, numbers| {
                energies[frame] = numbers[0];
                forces.slice_mut(s![frame, .., ..]).iter_mut().zip(&numbers[1..]).for_each(|(f, v)| *f = *v);
            },
        )
    }

    fn guiding_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        self.part_by_part(
            positions,
            3 * positions.dim().1,
            &mut forces,
            |own, part, forces| {
                let x = positions.slice(s![part.clone(), .., ..]);
                own.guiding_forces(species, x, forces.slice_mut(s![part, .., ..]))
            },
            |forces, frame, numbers| numbers.extend(forces.slice(s![frame, .., ..])),
            |forces, frame, numbers| {
                forces.slice_mut(s![frame, .., ..]).iter_mut().zip(numbers).for_each(|(f, v)| *f = *v);
            },
        )
    }

    fn largest_batch(&self) -> usize {
        // Shares differ by one frame at most: with so many frames none is larger than the potential takes.
        self.own.largest_batch().saturating_mul(self.ranks.count())
    }

    fn region(&self) -> Option<Region> {
        self.own.region()
    }

    fn name(&self) -> String {
        self.own.name()
    }

    fn identity(&self) -> String {
        self.own.identity()
    }

    fn guide(&self) -> Option<(crate::potential::Gdml, f64)> {
        self.own.guide()
    }

    fn share_out(
        &mut self,
        chains: usize,
        width: usize,
        work: &mut dyn FnMut(std::ops::Range<usize>) -> Vec<f64>,
    ) -> Result<Option<Vec<f64>>> {
        let (rank, count) = (self.ranks.rank(), self.ranks.count());
        let length = chains.div_ceil(count) * width;
        let mut numbers = work(share(chains, rank, count));
        // As many numbers on every rank.
        numbers.resize(length, 0.0);
        let all = gather_reals(&self.ranks, &numbers)?;
        let parts = all.chunks_exact(length.max(1)).enumerate();
        let own = parts.flat_map(|(rank, numbers)| &numbers[..share(chains, rank, count).len() * width]);
        Ok(Some(own.copied().collect()))
    }

    fn fit_report(&self) -> Option<&serde_json::Value> {
        self.own.fit_report()
    }

    fn save(&self, path: &std::path::Path) -> Result<()> {
        self.own.save(path)
    }
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use ndarray::{Array1, Array3};

    use super::*;
    use crate::analytic::water;
    use crate::equilibrate::{Continue, Equilibration, Settings};
    use crate::fit::tests::dataset;
    use crate::potential::evaluate;
    use crate::ranks::threads::{together, Thread};

    /// Springs between all atoms, in order; fails where the first atom is far out.
    #[derive(Debug, Clone)]
    struct Springs(f64);

    impl Potential for Springs {
        fn energies_forces(
            &mut self,
            _: &[u8],
            positions: ArrayView3<f64>,
            mut energies: ArrayViewMut1<f64>,
            mut forces: ArrayViewMut3<f64>,
        ) -> Result<()> {
            forces.fill(0.0);
            for (b, x) in positions.outer_iter().enumerate() {
                if x[[0, 0]] > 50.0 {
                    return Err(Error::Potential {
                        name: self.name(),
                        frame: b,
                        status: None,
                        message: "too far out".into(),
                    });
                }
                energies[b] = 0.0;
                for i in 0..x.nrows() {
                    for j in 0..i {
                        let d: Vec<f64> = (0..3).map(|c| x[[i, c]] - x[[j, c]]).collect();
                        let r = d.iter().map(|d| d * d).sum::<f64>().sqrt();
                        energies[b] += 0.5 * self.0 * (r - 1.2) * (r - 1.2);
                        for c in 0..3 {
                            let f = -self.0 * (r - 1.2) * d[c] / r;
                            forces[[b, i, c]] += f;
                            forces[[b, j, c]] -= f;
                        }
                    }
                }
            }
            Ok(())
        }

        fn largest_batch(&self) -> usize {
            7
        }

        fn name(&self) -> String {
            format!("springs of {}", self.0)
        }
    }

    fn frames(count: usize) -> Array3<f64> {
        let frames = water().frames(400.0, count, 3);
        Array3::from_shape_fn((count, 3, 3), |(k, atom, c)| frames[k].x[atom][c])
    }

    #[test]
    fn every_rank_has_the_numbers_of_one_process() {
        let species = [8, 1, 1];
        for count in [0, 1, 2, 5, 11, 64] {
            let x = frames(count);
            let expected = evaluate(&mut Springs(300.0), &species, x.view()).unwrap();
            for ranks in [1, 2, 3, 4] {
                let answers = together(ranks, |rank: Thread| {
                    let mut shared = Shared::new(Springs(300.0), rank).unwrap();
                    assert_eq!(shared.largest_batch(), 7 * ranks);
                    let mut alone = (Array1::zeros(count), Array3::zeros((count, 3, 3)));
                    shared
                        .energies_forces(&species, x.view(), alone.0.view_mut(), alone.1.view_mut())
                        .unwrap();
                    let mut guiding = Array3::zeros((count, 3, 3));
                    shared.guiding_forces(&species, x.view(), guiding.view_mut()).unwrap();
                    assert_eq!(guiding, alone.1);
                    alone
                });
                answers.into_iter().for_each(|answer| assert_eq!(answer, expected));
            }
        }
    }

    #[test]
    fn what_fails_on_one_rank_fails_on_all() {
        let mut x = frames(10);
        x[[7, 0, 0]] = 60.0;
        let said = together(3, |rank: Thread| {
            let mut shared = Shared::new(Springs(300.0), rank).unwrap();
            evaluate(&mut shared, &[8, 1, 1], x.view()).unwrap_err().to_string()
        });
        let expected = "potential springs of 300, frame 7: too far out (rank 2 of 3)";
        assert!(said.iter().all(|said| said == expected), "{said:?}");
        for answer in together(2, |rank: Thread| {
            let mut moved = frames(10);
            moved[[3, 1, 2]] += 1e-15 * rank.rank() as f64;
            evaluate(&mut Shared::new(Springs(300.0), rank).unwrap(), &[8, 1, 1], moved.view()).map(drop)
        }) {
            assert!(answer.unwrap_err().to_string().contains("of different frames"));
        }
        for answer in together(2, |rank: Thread| {
            let constant = 300.0 + rank.rank() as f64;
            Shared::new(Springs(constant), rank).map(drop)
        }) {
            assert!(answer.unwrap_err().to_string().contains("another potential than rank 0"));
        }
    }

    #[test]
    fn the_pool_of_ranks_is_that_of_one_process() {
        let molecule = water();
        let data = dataset(&molecule, &molecule.frames(400.0, 30, 5));
        let settings =
            Settings { frames: 60, chains: 10, warmup: 30, effective: 30.0, ..Settings::at(400.0) };
        let pool = |potential: &mut dyn Potential| {
            let mut run = Equilibration::new(&data, settings.clone()).unwrap();
            let pool = run.run(potential, None, &mut |_| Continue::Yes).unwrap();
            (pool.positions, pool.energies, pool.forces, pool.report.guided)
        };
        let alone = pool(&mut Springs(300.0));
        #[cfg(feature = "train")]
        {
            let data = dataset(&molecule, &molecule.frames(400.0, 200, 6));
            let settings = crate::fit::Settings { frames: 120, ..Default::default() };
            let field = crate::fit::fit(&data, &settings, &mut |_| Ok(())).unwrap().field;
            assert!(field.guide().is_some());
            let alone = pool(&mut field.clone());
            assert!(alone.3);
            for ranks in [2, 3, 12] {
                let of_rank = |rank: Thread| pool(&mut Shared::new(field.clone(), rank).unwrap());
                together(ranks, of_rank).into_iter().for_each(|answer| assert_eq!(answer, alone));
            }
        }
        for ranks in [2, 3] {
            for answer in
                together(ranks, |rank: Thread| pool(&mut Shared::new(Springs(300.0), rank).unwrap()))
            {
                assert_eq!(answer, alone);
            }
        }
    }
}
