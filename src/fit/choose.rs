//! Which frames a fit learns from, and which it is tested on.

use ndarray::{Array2, ArrayView1, Axis};
use rayon::prelude::*;

/// Stretches of consecutive frames that are held out.
const STRETCHES: usize = 10;
/// Most frames held out.
const MOST_HELD_OUT: usize = 500;
/// Most frames among which the farthest are looked for; of a longer trajectory, evenly spaced ones.
const MOST_CANDIDATES: usize = 20_000;

/// Frame numbers to learn from and to test on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Frames the fit may choose from, ascending.
    pub candidates: Vec<usize>,
    /// Frames held out, ascending.
    pub held_out: Vec<usize>,
}

/// Holds out a tenth of the frames, at most 500, in ten stretches spread over the trajectory: a single frame
/// between two that were learned from would be no test where frames follow closely.
pub fn hold_out(frames: usize) -> Split {
    let size = (frames / 10).min(MOST_HELD_OUT).div_ceil(STRETCHES).max(1);
    let stretches = STRETCHES.min(frames / (2 * size)).max(1);
    let mut split = Split { candidates: Vec::new(), held_out: Vec::new() };
    let starts: Vec<usize> =
        (0..stretches).map(|k| (2 * k + 1) * frames / (2 * stretches) - size / 2).collect();
    for frame in 0..frames {
        let inside = starts.iter().any(|&start| (start..start + size).contains(&frame));
        if inside {
            split.held_out.push(frame);
        } else {
            split.candidates.push(frame);
        }
    }
    if split.candidates.len() > MOST_CANDIDATES {
        let all = split.candidates.len();
        split.candidates =
            (0..MOST_CANDIDATES).map(|k| split.candidates[k * all / MOST_CANDIDATES]).collect();
    }
    split
}

/// `count` of the `candidates`, each the farthest from those before it in descriptor space (N, D), where a frame
/// stands for all its images under the permutations `orders`. The first is the one nearest to the mean. In the
/// order of choice, so that the first few are a choice of their own.
pub fn farthest(
    descriptors: &Array2<f64>,
    orders: &[Vec<usize>],
    candidates: &[usize],
    count: usize,
) -> Vec<usize> {
    let (Some(mean), false) = (descriptors.mean_axis(Axis(0)), candidates.is_empty()) else {
        return Vec::new();
    };
    let square = |a: ArrayView1<f64>, b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    let mean = mean.to_vec();
    let nearest = candidates
        .par_iter()
        .map(|&frame| (square(descriptors.row(frame), &mean), frame))
        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut chosen: Vec<usize> = nearest.map(|(_, frame)| frame).into_iter().collect();
    let mut distance = vec![f64::INFINITY; candidates.len()];
    while chosen.len() < count.min(candidates.len()) {
        let Some(&last) = chosen.last() else { break };
        let images: Vec<Vec<f64>> =
            orders.iter().map(|order| order.iter().map(|&k| descriptors[[last, k]]).collect()).collect();
        distance.par_iter_mut().zip(candidates).for_each(|(distance, &frame)| {
            for image in &images {
                *distance = distance.min(square(descriptors.row(frame), image));
            }
        });
        // A chosen frame is at distance 0 from itself, so it is not chosen again before all others are.
        let far = distance
            .par_iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))
            .map(|(k, &distance)| (candidates[k], distance));
        match far {
            // Only copies of chosen frames are left.
            Some((_, distance)) if distance <= 0.0 => break,
            Some((frame, _)) => chosen.push(frame),
            None => break,
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    #[test]
    fn held_out_stretches_are_spread_and_disjoint() {
        for frames in [10, 37, 200, 2000, 100_000] {
            let split = hold_out(frames);
            assert!(!split.held_out.is_empty() && split.held_out.len() <= frames / 2);
            assert!(split.held_out.len() <= MOST_HELD_OUT);
            let set: std::collections::HashSet<_> = split.held_out.iter().collect();
            assert!(split.candidates.iter().all(|frame| !set.contains(frame)));
        }
        let split = hold_out(2000);
        assert_eq!((split.held_out.len(), split.candidates.len()), (200, 1800));
        assert!(split.held_out[0] < 200 && split.held_out[199] > 1800);
    }

    #[test]
    fn farthest_points_on_a_line_and_under_a_swap() {
        let x = arr2(&[[0.0, 0.0], [1.0, 0.0], [4.0, 0.0], [4.1, 0.0], [10.0, 0.0]]);
        let all = [0, 1, 2, 3, 4];
        // mean 3.82: frame 2 is nearest, then 10, then 0.
        assert_eq!(farthest(&x, &[vec![0, 1]], &all, 3), [2, 4, 0]);
        assert_eq!(farthest(&x, &[vec![0, 1]], &all, 9).len(), 5);
        // With both coordinates swapped, (0, 5) is an image of (5, 0).
        let x = arr2(&[[5.0, 0.0], [0.0, 5.0], [3.0, 0.0]]);
        let swap = [vec![0, 1], vec![1, 0]];
        assert_eq!(farthest(&x, &swap, &[0, 1, 2], 3), [2, 0]);
    }
}
