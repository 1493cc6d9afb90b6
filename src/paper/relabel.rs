//! Atoms of one element have no names: a sample is relabeled to fit the reference best before its structure is judged.
//! A model that gives good molecules with equal atoms in another order otherwise looks as if it broke every bond.

use ndarray::{Array3, ArrayView2};
use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::molecule::features::{distances, pairs};
use crate::{Error, Result};

/// Spread of a distance that is taken for exact, angstrom.
const NARROWEST: f64 = 0.02;
/// Partial labelings looked at for one frame before it is given up.
const MOST_NODES: usize = 2_000_000;

/// The reference's mean distances and the weight of a squared deviation from them.
struct Target {
    species: Vec<u8>,
    /// Atoms in the order of labeling: each near one before it.
    order: Vec<usize>,
    mean: Vec<Vec<f64>>,
    weight: Vec<Vec<f64>>,
}

/// Frames (N, n, 3) with the atoms of each element permuted so that the sum over pairs of squared deviations from the
/// reference's mean distances, over the reference's variances, is least.
///
/// # Errors
/// [`Error::Unsupported`] where there are too many equal atoms to try.
pub fn relabeled(positions: &Array3<f64>, reference: &Dataset) -> Result<Array3<f64>> {
    let target = Target::new(reference);
    let labels: Vec<Option<Vec<usize>>> = (0..positions.dim().0)
        .into_par_iter()
        .map(|frame| target.best(positions.index_axis(ndarray::Axis(0), frame)))
        .collect();
    let mut out = positions.clone();
    for (frame, labels) in labels.into_iter().enumerate() {
        let labels = labels.ok_or_else(|| {
            Error::Unsupported(format!(
                "frame {frame} has too many atoms of one element to find the best labels for"
            ))
        })?;
        for (atom, &from) in labels.iter().enumerate() {
            (0..3).for_each(|c| out[[frame, atom, c]] = positions[[frame, from, c]]);
        }
    }
    Ok(out)
}

impl Target {
    fn new(reference: &Dataset) -> Self {
        let n = reference.species.len();
        let all = distances(reference.positions.view());
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
        let first = (0..n).max_by_key(|&atom| (reference.species[atom], n - atom)).unwrap_or(0);
        let mut order = vec![first];
        while order.len() < n {
            let nearest = |atom: usize| order.iter().map(|&o| mean[o][atom]).fold(f64::INFINITY, f64::min);
            let next = (0..n)
                .filter(|atom| !order.contains(atom))
                .min_by(|&a, &b| nearest(a).total_cmp(&nearest(b)));
            order.extend(next);
        }
        Target { species: reference.species.clone(), order, mean, weight }
    }

    /// For every atom of the reference the atom of the frame (n, 3) that plays its part.
    fn best(&self, frame: ArrayView2<f64>) -> Option<Vec<usize>> {
        let n = self.species.len();
        let distance =
            |a: usize, b: usize| (0..3).map(|c| (frame[[a, c]] - frame[[b, c]]).powi(2)).sum::<f64>().sqrt();
        let d: Vec<Vec<f64>> = (0..n).map(|a| (0..n).map(|b| distance(a, b)).collect()).collect();
        let mut search =
            Search { target: self, d: &d, taken: vec![false; n], labels: vec![0; n], best: None, nodes: 0 };
        // As it stands, the frame is the first to beat.
        let identity: Vec<usize> = (0..n).collect();
        let cost: f64 = (0..n).map(|k| search.added(k, self.order[k], &identity)).sum();
        search.best = Some((cost, identity));
        search.extend(0, 0.0);
        (search.nodes < MOST_NODES).then_some(search.best.map(|(_, labels)| labels)).flatten()
    }
}

/// A depth-first search that leaves every branch that costs as much as the best labels so far.
struct Search<'a> {
    target: &'a Target,
    d: &'a [Vec<f64>],
    taken: Vec<bool>,
    labels: Vec<usize>,
    best: Option<(f64, Vec<usize>)>,
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
            self.best = Some((cost, self.labels.clone()));
            return;
        }
        let atom = target.order[depth];
        let mut choices: Vec<(f64, usize)> = (0..target.species.len())
            .filter(|&from| !self.taken[from] && target.species[from] == target.species[atom])
            .map(|from| (cost + self.added(depth, from, &self.labels), from))
            .collect();
        choices.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (cost, from) in choices {
            if self.best.as_ref().is_some_and(|(best, _)| cost >= *best) {
                break;
            }
            self.taken[from] = true;
            self.labels[atom] = from;
            self.extend(depth + 1, cost);
            self.taken[from] = false;
        }
    }
}
