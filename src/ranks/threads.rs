//! Ranks that are threads of one process, for tests.

use std::sync::{Arc, Barrier, Mutex};

use super::Ranks;
use crate::Result;

#[derive(Debug, Clone)]
pub struct Thread {
    rank: usize,
    board: Arc<(Barrier, Vec<Mutex<Vec<f32>>>)>,
}

impl Thread {
    /// Shows `mine` to all, and takes what `of` wants of everybody's.
    fn meet(&self, mine: &[f32], of: impl Fn(&[f32]) -> Vec<f32>) -> Vec<f32> {
        let (barrier, board) = &*self.board;
        *board[self.rank].lock().unwrap() = mine.to_vec();
        barrier.wait();
        let all = board.iter().flat_map(|one| of(&one.lock().unwrap())).collect();
        barrier.wait();
        all
    }
}

impl Ranks for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.board.1.len()
    }

    fn gather(&self, mine: &[f32]) -> Result<Vec<f32>> {
        Ok(self.meet(mine, <[f32]>::to_vec))
    }

    fn exchange(&self, mine: &[f32]) -> Result<Vec<f32>> {
        let piece = mine.len() / self.count();
        Ok(self.meet(mine, |other| other[piece * self.rank..piece * (self.rank + 1)].to_vec()))
    }
}

/// The answers of `count` ranks, in their order.
pub fn together<T: Send>(count: usize, work: impl Fn(Thread) -> T + Sync) -> Vec<T> {
    let board = Arc::new((Barrier::new(count), (0..count).map(|_| Mutex::default()).collect()));
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..count)
            .map(|rank| {
                let (rank, work) = (Thread { rank, board: Arc::clone(&board) }, &work);
                scope.spawn(move || work(rank))
            })
            .collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
