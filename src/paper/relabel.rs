//! Atoms of one element have no names: a sample is relabeled to fit the reference best before its structure is judged.
//! A model that gives good molecules with equal atoms in another order otherwise looks as if it broke every bond.

use ndarray::{Array3, ArrayView2, ArrayView3};
use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::molecule::features::{distances, pairs};

/// Spread of a distance that is taken for exact, angstrom.
const NARROWEST: f64 = 0.02;
/// Partial labelings looked at for one frame. Broken frames of many equal atoms would take forever.
const MOST_NODES: usize = 200_000;

/// The reference's mean distances and the weight of a squared deviation from them.
struct Target {
    species: Vec<u8>,
    /// Atoms in the order of labeling: each near one before it.
    order: Vec<usize>,
    mean: Vec<Vec<f64>>,
    weight: Vec<Vec<f64>>,
}

/// Frames (N, n, 3) with the atoms of each element permuted so that the sum over pairs of squared deviations from the
/// reference's mean distances, over the reference's variances, is least; and how many frames have the best of the
/// labelings tried alone, because there were too many.
pub fn relabeled(positions: &Array3<f64>, reference: &Dataset) -> (Array3<f64>, usize) {
    let target = Target::new(&reference.species, reference.positions.view());
    let labels: Vec<(Vec<usize>, bool)> = (0..positions.dim().0)
        .into_par_iter()
        .map(|frame| target.best(positions.index_axis(ndarray::Axis(0), frame)))
        .collect();
    let mut out = positions.clone();
    let given_up = labels.iter().filter(|(_, all)| !all).count();
    for (frame, (labels, _)) in labels.into_iter().enumerate() {
        for (atom, &from) in labels.iter().enumerate() {
            (0..3).for_each(|c| out[[frame, atom, c]] = positions[[frame, from, c]]);
        }
    }
    (out, given_up)
}

impl Target {
    fn new(species: &[u8], positions: ArrayView3<f64>) -> Self {
        let n = species.len();
        let all = distances(positions);
        let count = all.nrows() as f64;
        let (mut mean, mut weight) = (vec![vec![0.0; n]; n], vec![vec![0.0; n]; n]);
        for (column, (i, j)) in all.columns().into_iter().zip(pairs(n)) {
            let m = column.sum() / count;
            let variance = column.iter().map(|r| (r - m) * (r - m)).sum::<f64>() / count;
            (mean[i][j], mean[j][i]) = (m, m);
            let w = 1.0 / (variance + NARROWEST * NARROWEST);
            (weight[i][j], weight[j][i]) = (w, w);
        }
        // The heaviest element first; then always the atom nearest to one that is placed.
        let first = (0..n).max_by_key(|&atom| (species[atom], n - atom)).unwrap_or(0);
        let mut order = vec![first];
        while order.len() < n {
            let nearest = |atom: usize| order.iter().map(|&o| mean[o][atom]).fold(f64::INFINITY, f64::min);
            let next = (0..n)
                .filter(|atom| !order.contains(atom))
                .min_by(|&a, &b| nearest(a).total_cmp(&nearest(b)));
            order.extend(next);
        }
        Target { species: species.to_vec(), order, mean, weight }
    }

    /// For every atom of the reference the atom of the frame (n, 3) that plays its part, and whether no labeling was left out.
    fn best(&self, frame: ArrayView2<f64>) -> (Vec<usize>, bool) {
        let n = self.species.len();
        let distance =
            |a: usize, b: usize| (0..3).map(|c| (frame[[a, c]] - frame[[b, c]]).powi(2)).sum::<f64>().sqrt();
        let d: Vec<Vec<f64>> = (0..n).map(|a| (0..n).map(|b| distance(a, b)).collect()).collect();
        let mut search = Search {
            target: self,
            d: &d,
            taken: vec![false; n],
            labels: vec![0; n],
            best: (f64::INFINITY, (0..n).collect()),
            nodes: 0,
        };
        // As it stands, the frame is the first to beat.
        let identity: Vec<usize> = (0..n).collect();
        let cost: f64 = (0..n).map(|k| search.added(k, self.order[k], &identity)).sum();
        search.best = (cost, identity);
        search.extend(0, 0.0);
        (search.best.1, search.nodes < MOST_NODES)
    }
}

/// A depth-first search that leaves every branch that costs as much as the best labels so far.
struct Search<'a> {
    target: &'a Target,
    d: &'a [Vec<f64>],
    taken: Vec<bool>,
    labels: Vec<usize>,
    best: (f64, Vec<usize>),
    nodes: usize,
}

impl Search<'_> {
    /// Cost that the atom at `depth` of the order adds to those before it where `from` plays its part.
    fn added(&self, depth: usize, from: usize, labels: &[usize]) -> f64 {
        let target = self.target;
        let atom = target.order[depth];
        target.order[..depth]
            .iter()
            .map(|&other| {
                let off = self.d[from][labels[other]] - target.mean[atom][other];
                target.weight[atom][other] * off * off
            })
            .sum()
    }

    fn extend(&mut self, depth: usize, cost: f64) {
        let target = self.target;
        self.nodes += 1;
        if self.nodes >= MOST_NODES {
            return;
        }
        if depth == target.order.len() {
            self.best = (cost, self.labels.clone());
            return;
        }
        let atom = target.order[depth];
        let mut choices: Vec<(f64, usize)> = (0..target.species.len())
            .filter(|&from| !self.taken[from] && target.species[from] == target.species[atom])
            .map(|from| (cost + self.added(depth, from, &self.labels), from))
            .collect();
        choices.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (cost, from) in choices {
            if cost >= self.best.0 {
                break;
            }
            self.taken[from] = true;
            self.labels[atom] = from;
            self.extend(depth + 1, cost);
            self.taken[from] = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::molecule::samples::{noisy, ETHANOL};
    use crate::sampler::noise::{Purpose, Stream};
    use ndarray::{Array2, Axis};

    #[test]
    fn atoms_in_another_order_come_back() {
        let (species, positions) = noisy(&ETHANOL, 60, 0.03, 1);
        let target = Target::new(&species, positions.view());
        let bond = |frame: ArrayView2<f64>, labels: &[usize], i: usize, j: usize| {
            let d = &frame.row(labels[i]) - &frame.row(labels[j]);
            d.dot(&d).sqrt()
        };
        let mut stream = Stream::new(3, Purpose::Data, 0);
        for frame in positions.axis_iter(Axis(0)).take(20) {
            // Every element's atoms in random order.
            let mut order: Vec<usize> = (0..species.len()).collect();
            for k in 0..order.len() {
                let others: Vec<usize> =
                    (0..order.len()).filter(|&other| species[other] == species[k]).collect();
                order.swap(k, others[stream.below(others.len())]);
            }
            let mixed = Array2::from_shape_fn((species.len(), 3), |(atom, c)| frame[[order[atom], c]]);
            let (labels, all) = target.best(mixed.view());
            assert!(all);
            let identity: Vec<usize> = (0..species.len()).collect();
            for (k, (i, j)) in pairs(species.len()).into_iter().enumerate() {
                assert_eq!(species[labels[i]], species[i]);
                // What is bonded is bonded again, whichever of the equal atoms plays the part.
                let mean = distances(positions.view()).column(k).sum() / 60.0;
                if mean < 1.6 {
                    let (found, was) = (bond(mixed.view(), &labels, i, j), bond(frame, &identity, i, j));
                    assert!(found < 1.9, "pair {i}-{j}: {found} angstrom, {was} before");
                }
            }
        }
    }

    #[test]
    fn broken_frames_of_many_equal_atoms_come_to_an_end() {
        let mut stream = Stream::new(4, Purpose::Data, 0);
        let positions = Array3::from_shape_simple_fn((20, 16, 3), || stream.normal());
        let target = Target::new(&[6; 16], positions.view());
        let (labels, all) = target.best(positions.index_axis(Axis(0), 0));
        assert!(!all);
        let mut sorted = labels.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..16).collect::<Vec<_>>(), "{labels:?}");
    }
}
