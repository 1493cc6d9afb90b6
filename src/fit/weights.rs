//! Weights of the inverse distances in the kernel, learned from forces.
//!
//! The kernel of sGDML measures all distances with one length, although a bond's stretch changes the forces in another
//! way than the distance of two far atoms does. Here every distance x has a weight W, the same for all that symmetry
//! makes equal, and d = q W (x - X). The weights are those with the least product of the errors of forces and energies
//! (of forces alone where there are no energies) on frames beside the few that are learned from, found by gradient
//! descent: forces alone would sharpen stiff bonds at the cost of soft torsions, whose energies the populations follow. With
//! the kernel matrix K, forces F, r the error on the frames v beside,
//!
//! ```text
//! a = K^-1 F,   r = K_v a - F_v,   b = K^-1 K_v^T r,   d|r|^2 = 2 (r . dK_v a - b . dK a)
//! ```
//!
//! and the same with the rows of K_v that give energies. A step costs one matrix and its factors, and sums over pairs of
//! frames.

use ndarray::{Array1, Array2, Array3, Axis};
use rayon::prelude::*;

use super::system::{factors, matrix, spread, Frame};
use super::{Problem, Progress, RAISE};
use crate::potential::gdml::{inverse_distances, lower_pairs, Parts};
use crate::potential::{evaluate, Gdml};
use crate::{Error, Result};

/// Frames that are learned from while weights are looked for, and rows of their system.
const FRAMES: usize = 100;
const ROWS: usize = 4_000;
/// Frames that the forces are tested on.
const BESIDE: usize = 200;
/// Fewer frames beside are no test.
const FEWEST_BESIDE: usize = 10;
/// Steps, and the length of the first in the logarithm of a weight; the last is a tenth of it.
const STEPS: usize = 20;
const LENGTH: f64 = 0.15;
/// Decay rates of Adam.
const BETAS: [f64; 2] = [0.8, 0.95];
/// Ridges above this are not tried.
const MOST_RIDGE: f64 = 1e-3;

/// The weights (D) with the least errors on frames that are neither learned from nor held out; ones where there are too few
/// frames to tell. A trial that cannot be solved or judged ends the search: weights improve a fit that does without.
///
/// # Errors
/// What `progress` returns; as [`Frame::new`].
pub(super) fn learn(
    problem: &Problem,
    sigma: f64,
    ridge: f64,
    progress: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<Vec<f64>> {
    let atoms = problem.dataset.atoms();
    let classes = classes(&problem.orders, atoms * (atoms - 1) / 2);
    let number = classes.iter().max().map_or(0, |last| last + 1);
    let mut best = vec![1.0; classes.len()];
    let Some(mut search) = Search::new(problem, sigma, ridge)? else { return Ok(best) };
    let (mut logarithms, mut mean, mut square) = (vec![0.0; number], vec![0.0; number], vec![0.0; number]);
    let (mut least, mut ridge) = (f64::INFINITY, ridge);
    for step in 0..STEPS {
        let weights: Vec<f64> = classes.iter().map(|&k| f64::exp(logarithms[k])).collect();
        let error = match search.error(&weights) {
            Ok(error) => error,
            Err(Error::Numeric(why)) => {
                log::info!("no more weights of the distances are tried: {why}");
                break;
            }
            Err(error) => return Err(error),
        };
        let (force_rmse, energy_rmse) = (error.force_rmse, error.energy_rmse);
        progress(Progress::Weighed { step: step + 1, steps: STEPS, force_rmse, energy_rmse })?;
        // With a larger ridge all errors are others.
        if std::mem::replace(&mut ridge, search.ridge) != search.ridge {
            least = f64::INFINITY;
        }
        if error.objective < least {
            (least, best) = (error.objective, weights);
        }
        let mut gradient = vec![0.0; number];
        classes.iter().zip(&error.slopes).for_each(|(&k, slope)| gradient[k] += slope);
        let length = LENGTH * (1.0 - 0.9 * step as f64 / STEPS as f64);
        let unbiased = BETAS.map(|beta| 1.0 - beta.powi(step as i32 + 1));
        for (k, g) in gradient.into_iter().enumerate() {
            mean[k] = BETAS[0] * mean[k] + (1.0 - BETAS[0]) * g;
            square[k] = BETAS[1] * square[k] + (1.0 - BETAS[1]) * g * g;
            let size = (square[k] / unbiased[1]).sqrt();
            if size > 0.0 {
                logarithms[k] -= length * mean[k] / unbiased[0] / size;
            }
        }
    }
    Ok(best)
}

/// The class of each distance under the permutations: those of one class stand in each other's place.
pub(super) fn classes(orders: &[Vec<usize>], distances: usize) -> Vec<usize> {
    let mut class = vec![usize::MAX; distances];
    let mut next = 0;
    for first in 0..distances {
        if class[first] != usize::MAX {
            continue;
        }
        let mut open = vec![first];
        while let Some(one) = open.pop() {
            if std::mem::replace(&mut class[one], next) == usize::MAX {
                open.extend(orders.iter().map(|order| order[one]));
            }
        }
        next += 1;
    }
    class
}

/// Inverse distances of a frame and a change of them, (D) each, and a factor of its energy.
pub(super) struct Change {
    pub x: Vec<f64>,
    pub v: Vec<f64>,
    pub energy: f64,
}

/// Errors on the frames beside, for some weights.
pub(super) struct Errors {
    /// Logarithms of the mean square errors, added up.
    pub objective: f64,
    /// Its slope for the logarithm of each weight, (D).
    pub slopes: Vec<f64>,
    pub force_rmse: f64,
    pub energy_rmse: Option<f64>,
}

/// What the search for weights learns from and is tested on.
pub(super) struct Search<'a> {
    problem: &'a Problem<'a>,
    learned: Vec<usize>,
    beside: Vec<usize>,
    sigma: f64,
    /// Ridge over the diagonal of the matrix with weights of one.
    ridge: f64,
    diagonal: f64,
}

impl<'a> Search<'a> {
    /// None where there are too few frames.
    pub fn new(problem: &'a Problem, sigma: f64, ridge: f64) -> Result<Option<Self>> {
        let ones = vec![1.0; problem.distances()];
        let rank = problem.frames(1, &ones)?.first().map_or(1, Frame::rank);
        let most = FRAMES.min(ROWS / rank.max(1)).min(problem.candidates.len() / 2);
        let learned: Vec<usize> = problem.chosen.iter().copied().take(most).collect();
        let rest: Vec<usize> =
            problem.candidates.iter().copied().filter(|frame| !learned.contains(frame)).collect();
        if learned.len() < 2 || rest.len() < FEWEST_BESIDE {
            return Ok(None);
        }
        let count = BESIDE.min(rest.len());
        let beside = (0..count).map(|k| rest[k * rest.len() / count]).collect();
        let frames = problem.frames(learned.len(), &ones)?;
        let k = matrix(&frames, &problem.orders, sigma);
        let diagonal = k.diag().sum() / k.nrows() as f64;
        Ok(Some(Search { problem, learned, beside, sigma, ridge, diagonal }))
    }

    /// The errors on the frames beside.
    pub fn error(&mut self, weights: &[f64]) -> Result<Errors> {
        let problem = self.problem;
        let frames = problem.frames(self.learned.len(), weights)?;
        let k = matrix(&frames, &problem.orders, self.sigma);
        let system = loop {
            match factors(k.clone(), self.ridge * self.diagonal) {
                Ok(system) => break system,
                Err(error) if self.ridge * RAISE > MOST_RIDGE => return Err(error),
                Err(_) => self.ridge *= RAISE,
            }
        };
        drop(k);
        let target = frames.iter().flat_map(|frame| frame.target.iter().map(|f| f / problem.scale)).collect();
        let solved = system.solve(&target)?;
        let a = spread(&solved, &frames);

        // The error beside.
        let species = &problem.dataset.species;
        let positions = |rows: &[usize]| problem.dataset.positions.select(Axis(0), rows);
        let mut field = Gdml::new(problem.parts(&frames, &a, self.sigma, weights))?;
        let (energies, forces) = evaluate(&mut field, species, positions(&self.beside).view())?;
        let mut r = forces - problem.forces.select(Axis(0), &self.beside);
        let force = mean_square(r.iter())?;
        let mut off = problem.dataset.energies.as_ref().map(|labels| {
            let off = energies - labels.select(Axis(0), &self.beside);
            let mean = off.sum() / off.len() as f64;
            off - mean
        });
        // Frames of one energy say nothing of it.
        off = off.filter(|off| off.iter().any(|off| *off != 0.0));
        let energy = off.as_ref().map(|off| mean_square(off.iter())).transpose()?;

        // Slopes of the objective: by forces and by energies over the scale.
        r *= 2.0 * problem.scale / (force * r.len() as f64);
        if let (Some(off), Some(energy)) = (&mut off, energy) {
            *off *= -2.0 * problem.scale / (energy * off.len() as f64);
        }
        // K_v^T r: what a field with these as its coefficients does to the frames learned from.
        let mut beside = self.changes(&self.beside, &r);
        let mut back = Gdml::new(self.field_of(&beside, weights))?;
        let (_, forces) = evaluate(&mut back, species, positions(&self.learned).view())?;
        if let Some(off) = &off {
            beside.iter_mut().zip(off).for_each(|(change, off)| change.energy = *off);
        }
        let inverse = inverse_distances(positions(&self.learned).view());
        let each = frames.iter().zip(inverse.outer_iter()).zip(forces.outer_iter());
        let right: Vec<Vec<f64>> = each
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|((frame, x), f)| {
                let mut right = frame.project(&f.iter().copied().collect::<Array1<f64>>());
                if off.is_some() {
                    let pull = pull(&beside, &x.to_vec(), &problem.orders, weights, self.sigma);
                    right.iter_mut().zip(frame.project_change(&pull)).for_each(|(to, from)| *to += from);
                }
                right
            })
            .collect();
        let b = spread(&system.solve(&right.into_iter().flatten().collect())?, &frames);

        let of = |solution: &[Vec<f64>]| -> Vec<Change> {
            let each = frames.iter().zip(solution).zip(inverse.outer_iter());
            each.map(|((frame, a), x)| Change { x: x.to_vec(), v: frame.change(a, weights), energy: 0.0 })
                .collect()
        };
        let (a, b) = (of(&a), of(&b));
        let forth = slopes(&beside, &a, &problem.orders, weights, self.sigma);
        let own = slopes(&b, &a, &problem.orders, weights, self.sigma);
        Ok(Errors {
            objective: force.ln() + energy.map_or(0.0, f64::ln),
            slopes: forth.iter().zip(&own).map(|(forth, own)| forth - own).collect(),
            force_rmse: force.sqrt(),
            energy_rmse: energy.map(f64::sqrt),
        })
    }

    /// J v for vectors v (N, n, 3) at frames.
    fn changes(&self, rows: &[usize], vectors: &Array3<f64>) -> Vec<Change> {
        let positions = self.problem.dataset.positions.select(Axis(0), rows);
        let inverse = inverse_distances(positions.view());
        let pairs = lower_pairs(self.problem.dataset.atoms());
        let each = positions.outer_iter().zip(vectors.outer_iter()).zip(inverse.outer_iter());
        each.map(|((r, v), x)| {
            let along = pairs.iter().zip(x).map(|(&(i, j), x)| {
                let dot: f64 = (0..3).map(|c| (r[[i, c]] - r[[j, c]]) * (v[[i, c]] - v[[j, c]])).sum();
                -dot * x.powi(3)
            });
            Change { x: x.to_vec(), v: along.collect(), energy: 0.0 }
        })
        .collect()
    }

    /// A field whose centers are these frames, with the changes as its coefficients.
    fn field_of(&self, changes: &[Change], weights: &[f64]) -> Parts {
        let rows = |of: &dyn Fn(&Change, usize) -> f64| {
            Array2::from_shape_fn((changes.len(), weights.len()), |(k, d)| of(&changes[k], d))
        };
        Parts {
            species: self.problem.dataset.species.clone(),
            permutations: self.problem.permutations.clone(),
            orders: self.problem.orders.clone(),
            descriptors: rows(&|change, d| change.x[d]),
            weights: weights.to_vec(),
            coefficients: rows(&|change, d| -weights[d] * change.v[d]),
            guide: None,
            sigma: self.sigma,
            scale: 1.0,
            constant: 0.0,
            record: serde_json::Value::Null,
        }
    }
}

fn mean_square<'a>(values: impl ExactSizeIterator<Item = &'a f64>) -> Result<f64> {
    let count = values.len() as f64;
    let mean = values.map(|v| v * v).sum::<f64>() / count;
    if mean > 0.0 && mean.is_finite() {
        return Ok(mean);
    }
    Err(Error::Numeric(format!("the mean square error is {mean} while weights are looked for")))
}

/// sum_i f_i e (1 + n) W (x_i - X) for the factors f of energies, turned back by every permutation, (D).
fn pull(beside: &[Change], x: &[f64], orders: &[Vec<usize>], weights: &[f64], sigma: f64) -> Vec<f64> {
    let q2 = 5.0 / (sigma * sigma);
    let mut sum = vec![0.0; x.len()];
    for one in beside {
        for order in orders {
            let deltas = || order.iter().zip(&one.x).zip(weights).map(|((&k, own), w)| (k, w * (own - x[k])));
            let n = (q2 * deltas().map(|(_, delta)| delta * delta).sum::<f64>()).sqrt();
            let factor = one.energy * q2 / 3.0 * (-n).exp() * (1.0 + n);
            deltas().for_each(|(k, delta)| sum[k] += factor * delta);
        }
    }
    sum
}

/// Slope of sum_ij (s_i . K_ij t_j + f_i k_ij . t_j) for the logarithm of each weight, (D), where k_ij = e (1 + n) W (x - X)
/// belongs to energies.
pub(super) fn slopes(
    left: &[Change],
    right: &[Change],
    orders: &[Vec<usize>],
    weights: &[f64],
    sigma: f64,
) -> Vec<f64> {
    let squares: Vec<f64> = weights.iter().map(|w| w * w).collect();
    let rows: Vec<Vec<f64>> = left
        .par_iter()
        .map(|one| {
            let mut row = Row {
                sum: vec![0.0; weights.len()],
                delta: vec![0.0; weights.len()],
                turned: vec![0.0; weights.len()],
            };
            for other in right {
                for order in orders {
                    row.add(one, other, order, &squares, sigma);
                }
            }
            row.sum
        })
        .collect();
    // In one order, whatever thread made a row.
    let mut total = vec![0.0; weights.len()];
    rows.iter().for_each(|row| total.iter_mut().zip(row).for_each(|(total, row)| *total += row));
    // d / d log W = 2 W^2 d / d W^2.
    total.iter_mut().zip(&squares).for_each(|(total, square)| *total *= 2.0 * square);
    total
}

struct Row {
    sum: Vec<f64>,
    delta: Vec<f64>,
    turned: Vec<f64>,
}

impl Row {
    /// Adds the slope for W^2 of e [(1 + n) (sum W^2 s t + f sum W^2 d t) - q^2 (sum W^2 d s) (sum W^2 d t)] with d = x - X
    /// and n^2 = q^2 sum W^2 d^2.
    fn add(&mut self, one: &Change, other: &Change, order: &[usize], squares: &[f64], sigma: f64) {
        let q2 = 5.0 / (sigma * sigma);
        let [mut n2, mut direct, mut s, mut t] = [0.0; 4];
        for (k, (&from, w)) in order.iter().zip(squares).enumerate() {
            let (delta, turned) = (one.x[k] - other.x[from], other.v[from]);
            (self.delta[k], self.turned[k]) = (delta, turned);
            n2 += w * delta * delta;
            direct += w * one.v[k] * turned;
            s += w * delta * one.v[k];
            t += w * delta * turned;
        }
        let n = (q2 * n2).sqrt();
        let e = q2 / 3.0 * (-n).exp();
        // Where two frames are the same, s and t are zero and vanish faster than n.
        let curved = if n > 0.0 { 0.5 * e * q2 * q2 * s * t / n } else { 0.0 };
        let bent = curved - 0.5 * e * q2 * (direct + one.energy * t);
        let (e1, eq) = (e * (1.0 + n), e * q2);
        for (((sum, &delta), &turned), &v) in
            self.sum.iter_mut().zip(&self.delta).zip(&self.turned).zip(&one.v)
        {
            *sum +=
                e1 * (v + one.energy * delta) * turned + delta * (bent * delta - eq * (v * t + turned * s));
        }
    }
}
