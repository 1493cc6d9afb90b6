//! Thinned states of the chains, in bounded room.

use ndarray::Array3;

/// States of every `stride`-th iteration. When it is full, every second iteration goes and the stride doubles,
/// so that what is kept is always spread evenly over the run.
#[derive(Debug, Clone)]
pub(super) struct Store {
    /// Iterations between two that are kept.
    pub stride: u64,
    /// Numbers of one iteration: chains times 3n.
    width: usize,
    /// Most iterations kept, even.
    capacity: usize,
    /// (iterations, chains, n, 3), row-major.
    pub kept: Vec<f64>,
}

impl Store {
    /// Room for up to twice `wanted` states of `chains` chains of `atoms` atoms.
    pub fn new(wanted: usize, chains: usize, atoms: usize) -> Self {
        let capacity = 2 * wanted.div_ceil(chains);
        Store { stride: 1, width: chains * atoms * 3, capacity, kept: Vec::new() }
    }

    fn iterations(&self) -> usize {
        self.kept.len() / self.width
    }

    /// States kept, of 3n numbers each.
    pub fn len(&self, atoms: usize) -> usize {
        self.kept.len() / (3 * atoms)
    }

    /// Offers the states of production iteration number `iteration`, counted from 1.
    pub fn offer(&mut self, iteration: u64, positions: ndarray::ArrayView3<f64>) {
        if !iteration.is_multiple_of(self.stride) {
            return;
        }
        if self.iterations() == self.capacity {
            // Row k is iteration (k + 1) stride: the odd rows are the multiples of twice the stride.
            for k in 0..self.capacity / 2 {
                let from = (2 * k + 1) * self.width;
                self.kept.copy_within(from..from + self.width, k * self.width);
            }
            self.kept.truncate(self.capacity / 2 * self.width);
            self.stride *= 2;
            if !iteration.is_multiple_of(self.stride) {
                return;
            }
        }
        self.kept.extend(positions.iter());
    }

    /// Up to `wanted` states (M, n, 3), evenly spread over those kept.
    pub fn pick(&self, wanted: usize, atoms: usize) -> Array3<f64> {
        let (all, size) = (self.len(atoms), 3 * atoms);
        let wanted = wanted.min(all);
        Array3::from_shape_fn((wanted, atoms, 3), |(k, atom, axis)| {
            // k * all can pass usize on a 32-bit machine.
            let state = (k as u128 * all as u128 / wanted as u128) as usize;
            self.kept[state * size + 3 * atom + axis]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_even_and_bounded() {
        let mut store = Store::new(6, 2, 1);
        for t in 1..=100_u64 {
            let states = Array3::from_elem((2, 1, 3), t as f64);
            store.offer(t, states.view());
            assert!(store.len(1) <= 12);
        }
        // Capacity 6: strides 1, 2, 4, 8, 16, then 16, 32, ..., 96.
        assert_eq!(store.stride, 16);
        let kept: Vec<f64> = store.kept.chunks(6).map(|row| row[0]).collect();
        assert_eq!(kept, [16.0, 32.0, 48.0, 64.0, 80.0, 96.0]);
        let picked: Vec<f64> = store.pick(6, 1).outer_iter().map(|x| x[[0, 0]]).collect();
        assert_eq!(picked, kept);
        assert_eq!(store.pick(100, 1).dim(), (12, 1, 3));
    }
}
