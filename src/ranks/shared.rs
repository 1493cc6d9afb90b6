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
    /// `give` and `take`. An error of a rank's part is an error on all ranks.
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
        // A flag, and as many numbers on every rank.
        let length = 1 + frames.div_ceil(count) * width;
        let mut numbers = vec![f64::from(u8::from(done.is_err()))];
        if done.is_ok() {
            mine.clone().for_each(|frame| give(out, frame, &mut numbers));
        }
        numbers.resize(length, 0.0);
        let all = gather_reals(&self.ranks, &numbers)?;
        done.map_err(|error| error.renumbered(|frame| mine.start + frame))?;
        for (rank, numbers) in all.chunks_exact(length).enumerate() {
            if numbers[0] != 0.0 {
                return Err(Error::Numeric(format!(
                    "potential {}: rank {rank} of {count} could not compute its part of the frames; its own message says why",
                    self.own.name()
                )));
            }
            if rank != self.ranks.rank() {
                let frames = share(frames, rank, count);
                frames
                    .zip(numbers[1..].chunks_exact(width))
                    .for_each(|(frame, values)| take(out, frame, values));
            }
        }
        Ok(())
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
        assert!(said[2].contains("frame 7") && said[2].contains("too far out"), "{said:?}");
        assert!(said[..2].iter().all(|said| said.contains("rank 2 of 3 could not compute")), "{said:?}");
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
            (pool.positions, pool.energies, pool.forces)
        };
        let alone = pool(&mut Springs(300.0));
        for ranks in [2, 3] {
            for answer in
                together(ranks, |rank: Thread| pool(&mut Shared::new(Springs(300.0), rank).unwrap()))
            {
                assert_eq!(answer, alone);
            }
        }
    }
}
