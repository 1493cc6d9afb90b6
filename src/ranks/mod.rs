//! Processes that compute together: who this one is, and what they hand to each other.
//!
//! Two calls are enough for a training, one for a potential that is shared out ([`Shared`]). Sums are taken by the caller, in
//! the order of the ranks, and never by the library that carries the numbers: its order is its own, and with it the last bits.

pub mod mpi;
mod shared;

pub use shared::Shared;

use std::fmt::Debug;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Processes that make the same calls in the same order. A call returns when all have made it.
pub trait Ranks: Debug + Send + Sync {
    /// Number of this process, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn count(&self) -> usize;

    /// The numbers of every rank, one after the other in the order of the ranks. All give equally many.
    ///
    /// # Errors
    /// Where a rank cannot be reached.
    fn gather(&self, mine: &[f32]) -> Result<Vec<f32>>;

    /// Piece k of `mine`, which are as many pieces of one length as there are ranks, goes to rank k. Gives the pieces
    /// that are for this rank, in the order of the ranks they are from.
    ///
    /// # Errors
    /// Where a rank cannot be reached.
    fn exchange(&self, mine: &[f32]) -> Result<Vec<f32>>;
}

impl<T: Ranks + ?Sized> Ranks for std::sync::Arc<T> {
    fn rank(&self) -> usize {
        (**self).rank()
    }

    fn count(&self) -> usize {
        (**self).count()
    }

    fn gather(&self, mine: &[f32]) -> Result<Vec<f32>> {
        (**self).gather(mine)
    }

    fn exchange(&self, mine: &[f32]) -> Result<Vec<f32>> {
        (**self).exchange(mine)
    }
}

/// The part of `total` things that belongs to a rank: parts differ by one at most.
pub fn share(total: usize, rank: usize, count: usize) -> std::ops::Range<usize> {
    // In 128 bits no product overflows.
    let bound = |rank: usize| (total as u128 * rank as u128 / count as u128) as usize;
    bound(rank)..bound(rank + 1)
}

/// Sums neighbours, then neighbours of these sums, and so on. A sum of sums over parts of 1, 2, 4, ... items each is then the
/// sum over all items to the bit; none for no items.
///
/// # Errors
/// What `add` returns.
pub fn in_pairs<T>(mut items: Vec<T>, mut add: impl FnMut(T, T) -> Result<T>) -> Result<Option<T>> {
    while items.len() > 1 {
        let mut sums = Vec::with_capacity(items.len().div_ceil(2));
        let mut rest = items.into_iter();
        while let Some(first) = rest.next() {
            sums.push(match rest.next() {
                Some(second) => add(first, second)?,
                None => first,
            });
        }
        items = sums;
    }
    Ok(items.pop())
}

/// That all ranks hold the same of each thing in the list: its name, and all of it as text or bytes.
///
/// # Errors
/// [`Error::Usage`] that names the first thing that differs, and the first rank that has it otherwise than rank 0.
pub fn require_same(ranks: &dyn Ranks, things: &[(&str, &[u8])]) -> Result<()> {
    for (name, content) in things {
        let digest: Vec<f32> = Sha256::digest(content).iter().map(|&byte| f32::from(byte)).collect();
        let all = ranks.gather(&digest)?;
        let first = &all[..digest.len().min(all.len())];
        if let Some(rank) = all.chunks_exact(digest.len()).position(|other| other != first) {
            return Err(Error::usage(format!(
                "rank {rank} of {} has another {name} than rank 0; start all ranks with the same command, files and program",
                ranks.count()
            )));
        }
    }
    Ok(())
}

/// The numbers of every rank, one after the other, exactly: each goes as four whole numbers below 2^16, which single
/// precision holds.
///
/// # Errors
/// As [`Ranks::gather`].
pub fn gather_reals(ranks: &dyn Ranks, mine: &[f64]) -> Result<Vec<f64>> {
    let parts = mine.iter().flat_map(|number| {
        let bits = number.to_bits();
        (0..4).map(move |k| f32::from((bits >> (16 * k)) as u16))
    });
    let all = ranks.gather(&parts.collect::<Vec<f32>>())?;
    let whole = |parts: &[f32]| parts.iter().rev().fold(0_u64, |bits, &part| bits << 16 | part as u64);
    Ok(all.chunks_exact(4).map(|parts| f64::from_bits(whole(parts))).collect())
}

/// Whether any rank says yes.
///
/// # Errors
/// As [`Ranks::gather`].
pub fn any(ranks: &dyn Ranks, mine: bool) -> Result<bool> {
    Ok(ranks.gather(&[f32::from(u8::from(mine))])?.iter().any(|&yes| yes != 0.0))
}

/// How many processes a launcher says that it has started, where they are several: those of MPICH and Intel MPI, Open MPI,
/// MVAPICH, and Slurm.
pub fn launched_among() -> Option<usize> {
    ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"]
        .iter()
        .filter_map(|name| std::env::var(name).ok()?.trim().parse().ok())
        .find(|&count| count > 1)
}

#[cfg(test)]
pub(crate) mod threads;

#[cfg(test)]
mod tests {
    use super::*;
    use threads::together;

    #[test]
    fn shares_are_all_of_it() {
        for (total, count) in [(512, 2), (10, 3), (3, 3), (1000, 7), (usize::MAX, 5)] {
            let mut next = 0;
            for rank in 0..count {
                let share = share(total, rank, count);
                assert_eq!(share.start, next);
                assert!(share.len() - total / count <= 1);
                next = share.end;
            }
            assert_eq!(next, total);
        }
    }

    #[test]
    fn sums_of_sums_are_the_sum() {
        let items: Vec<f32> = (0..24).map(|k| (1.7 * k as f32).sin() * 10_f32.powi(k % 7)).collect();
        let sum = |items: &[f32]| in_pairs(items.to_vec(), |a, b| Ok(a + b)).unwrap().unwrap();
        let whole = sum(&items);
        for part in [1, 2, 4, 8] {
            let parts: Vec<f32> = items.chunks(part).map(sum).collect();
            assert_eq!(sum(&parts).to_bits(), whole.to_bits(), "{part}");
        }
        assert!(in_pairs(Vec::<f32>::new(), |a, b| Ok(a + b)).unwrap().is_none());
    }

    #[test]
    fn reals_arrive_to_the_last_bit() {
        let numbers = [
            0.0,
            -0.0,
            1.0 / 3.0,
            -7.3e-310,
            f64::MAX,
            f64::NEG_INFINITY,
            f64::from_bits(0x7ff4_0000_dead_beef),
        ];
        for answer in together(3, |ranks| gather_reals(&ranks, &numbers).unwrap()) {
            assert_eq!(answer.len(), 21);
            for (k, number) in answer.iter().enumerate() {
                assert_eq!(number.to_bits(), numbers[k % 7].to_bits());
            }
        }
    }

    #[test]
    fn what_differs_is_named() {
        let said = together(3, |ranks| {
            let data: &[u8] = if ranks.rank() == 2 { b"b" } else { b"a" };
            require_same(&ranks, &[("program", b"x"), ("data", data)])
        });
        for answer in said {
            let text = answer.unwrap_err().to_string();
            assert!(text.contains("rank 2 of 3 has another data than rank 0"), "{text}");
        }
        assert!(together(2, |ranks| any(&ranks, ranks.rank() == 1)).into_iter().all(|yes| yes.unwrap()));
        assert!(together(2, |ranks| any(&ranks, false)).into_iter().all(|yes| !yes.unwrap()));
    }
}
