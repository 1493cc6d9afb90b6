//! Which frames a step draws: all alike, or by weight.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use crate::dataset::Dataset;
use crate::sampler::noise::{Purpose, Stream};
use crate::{Error, Result};

/// Weights of the frames, and their running sum for drawing.
#[derive(Debug, Clone)]
pub struct Weights {
    /// Shares, (N), summing to 1.
    shares: Array1<f64>,
    /// Running sums of the shares, (N).
    running: Vec<f64>,
    digest: String,
}

impl Weights {
    /// Weights of `frames` frames; they need not sum to 1.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is not one finite, non-negative weight per frame, or all are zero.
    pub fn new(weights: &[f64], frames: usize) -> Result<Self> {
        if weights.len() != frames {
            return Err(Error::usage(format!(
                "{} weights for {frames} frames; give one per frame",
                weights.len()
            )));
        }
        if let Some((frame, weight)) =
            weights.iter().enumerate().find(|(_, w)| !(w.is_finite() && **w >= 0.0))
        {
            return Err(Error::usage(format!(
                "weight {weight} of frame {frame}; weights are positive numbers"
            )));
        }
        let sum: f64 = weights.iter().sum();
        if !(sum > 0.0 && sum.is_finite()) {
            return Err(Error::usage(format!(
                "the weights of the frames sum to {sum}; give some that count"
            )));
        }
        let shares: Array1<f64> = weights.iter().map(|w| w / sum).collect();
        let mut total = 0.0;
        let running = shares
            .iter()
            .map(|share| {
                total += share;
                total
            })
            .collect();
        let mut hash = Sha256::new();
        weights.iter().for_each(|weight| hash.update(weight.to_le_bytes()));
        Ok(Weights { shares, running, digest: format!("{:x}", hash.finalize()) })
    }

    /// SHA-256 of the weights as they were given.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Weighted mean of one number per frame.
    pub fn mean(&self, values: impl Iterator<Item = f64>) -> f64 {
        values.zip(&self.shares).map(|(value, share)| value * share).sum()
    }

    /// The frame at a uniform number in [0, 1): inverse of the running sum.
    pub fn frame(&self, uniform: f64) -> usize {
        // The last sum may fall short of 1 by rounding; a frame of weight 0 is never the answer.
        let last = self.running.last().copied().unwrap_or(1.0);
        let target = uniform * last;
        self.running.partition_point(|&sum| sum <= target).min(self.running.len() - 1)
    }
}

/// As many frames as there are, drawn with the weights: what a weighted training sees.
///
/// # Errors
/// As [`Weights::new`].
pub fn resample(data: &Dataset, weights: &[f64], seed: u64) -> Result<Dataset> {
    let weights = Weights::new(weights, data.len())?;
    let mut stream = Stream::new(seed, Purpose::Data, 1);
    let rows: Vec<usize> = (0..data.len()).map(|_| weights.frame(stream.uniform())).collect();
    data.subset(&rows)
}

/// What the steps of a run draw.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub seed: u64,
    /// Shape (B, noise) of the latent noise.
    pub latent: [i64; 2],
    /// Frames there are.
    pub frames: usize,
    /// Frames of a step's batch, drawn with replacement.
    pub batch: usize,
    /// Weights of the frames.
    pub weights: Option<Weights>,
    /// Shapes (d, K) of the sets of random lines.
    pub lines: Vec<[i64; 2]>,
}

/// The numbers of one step.
#[derive(Debug, Clone)]
pub(super) struct Draws {
    /// Normal numbers.
    pub latent: Vec<f32>,
    /// Frames.
    pub index: Vec<i64>,
    /// Normal numbers of each set of lines.
    pub lines: Vec<Vec<f32>>,
}

/// The same on the device of the training.
#[derive(Debug)]
pub struct Drawn {
    /// Latent noise (B, noise).
    pub latent: Tensor,
    /// Frames of the batch.
    pub index: Tensor,
    /// Normal numbers (d, K) of the random lines.
    pub lines: Vec<Tensor>,
}

impl Plan {
    /// The numbers of step `step`, from a stream of its own.
    pub fn step(&self, step: usize) -> Draws {
        let mut stream = Stream::new(self.seed, Purpose::Training, step as u64);
        let latent = normals(&mut stream, self.latent);
        let index = (0..self.batch)
            .map(|_| match &self.weights {
                None => stream.below(self.frames) as i64,
                Some(weights) => weights.frame(stream.uniform()) as i64,
            })
            .collect();
        let lines = self.lines.iter().map(|&shape| normals(&mut stream, shape)).collect();
        Draws { latent, index, lines }
    }

    /// Takes them to a device.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn place(&self, draws: &Draws, device: Device) -> Result<Drawn> {
        let normals = |values: &[f32], shape: &[i64; 2]| -> Result<Tensor> {
            Ok(Tensor::f_from_slice(values)?.f_view(shape.as_slice())?.f_to_device(device)?)
        };
        Ok(Drawn {
            latent: normals(&draws.latent, &self.latent)?,
            index: Tensor::f_from_slice(&draws.index)?.f_to_device(device)?,
            lines: draws.lines.iter().zip(&self.lines).map(|(v, s)| normals(v, s)).collect::<Result<_>>()?,
        })
    }
}

fn normals(stream: &mut Stream, [rows, columns]: [i64; 2]) -> Vec<f32> {
    let mut out = vec![0.0; (rows * columns) as usize];
    stream.normals(&mut out);
    out
}

/// Mean of the rows of (N, P), (P).
pub(super) fn mean(y: &Array2<f64>, weights: Option<&Weights>) -> Result<Array1<f64>> {
    match weights {
        None => y.mean_axis(Axis(0)).ok_or_else(|| Error::usage("no frames")),
        Some(weights) => Ok(y.t().dot(&weights.shares)),
    }
}

/// Unbiased covariance of centered rows (N, P), (P, P).
pub(super) fn covariance(centered: &Array2<f64>, weights: Option<&Weights>) -> Array2<f64> {
    match weights {
        None => centered.t().dot(centered) / (centered.nrows() as f64 - 1.0),
        Some(weights) => {
            let shares = &weights.shares;
            let weighted = centered * &shares.view().insert_axis(Axis(1));
            weighted.t().dot(centered) / (1.0 - shares.dot(shares))
        }
    }
}

/// Standard deviation of all numbers of rows (N, P) together.
pub(super) fn spread(rows: &ArrayView2<f64>, weights: Option<&Weights>) -> f64 {
    match weights {
        None => {
            let count = rows.len() as f64;
            let mean = rows.sum() / count;
            (rows.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt()
        }
        Some(weights) => {
            let columns = rows.ncols() as f64;
            let over = |f: &dyn Fn(f64) -> f64| {
                let row = |(row, share): (ndarray::ArrayView1<f64>, &f64)| {
                    share * row.iter().map(|&x| f(x)).sum::<f64>()
                };
                rows.rows().into_iter().zip(&weights.shares).map(row).sum::<f64>() / columns
            };
            let mean = over(&|x| x);
            over(&|x| (x - mean).powi(2)).sqrt()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::noise::Purpose;
    use approx::assert_relative_eq;
    use ndarray::array;

    #[test]
    fn draws_follow_the_weights() {
        let weights = Weights::new(&[0.0, 3.0, 1.0, 0.0, 4.0, 0.0], 6).unwrap();
        assert_eq!([0.0, 0.374, 0.376, 0.49, 0.51, 0.999_999].map(|u| weights.frame(u)), [1, 1, 2, 2, 4, 4]);
        let mut stream = Stream::new(3, Purpose::Training, 1);
        let mut counts = [0_u32; 6];
        (0..80_000).for_each(|_| counts[weights.frame(stream.uniform())] += 1);
        // The standard deviation of these counts is at most 141.
        for (count, expected) in counts.iter().zip([0.0, 30_000.0, 10_000.0, 0.0, 40_000.0, 0.0]) {
            assert!((f64::from(*count) - expected).abs() < 600.0);
        }
        for (bad, word) in [
            (vec![1.0; 5], "one per frame"),
            (vec![0.0; 6], "sum to 0"),
            (vec![1.0, f64::NAN, 1.0, 1.0, 1.0, 1.0], "frame 1"),
            (vec![1.0, 1.0, -1.0, 1.0, 1.0, 1.0], "frame 2"),
        ] {
            assert!(Weights::new(&bad, 6).unwrap_err().to_string().contains(word));
        }
    }

    #[test]
    fn integer_weights_are_repeated_rows() {
        let y = array![[1.0, 2.0], [4.0, -1.0], [0.5, 3.0]];
        let repeated = array![[1.0, 2.0], [1.0, 2.0], [4.0, -1.0], [0.5, 3.0], [0.5, 3.0], [0.5, 3.0]];
        let weights = Weights::new(&[2.0, 1.0, 3.0], 3).unwrap();
        let m = mean(&y, Some(&weights)).unwrap();
        assert_relative_eq!(m[1], mean(&repeated, None).unwrap()[1], max_relative = 1e-12);
        // Up to the count that is taken as independent: 1 - sum of squares against (n - 1) / n.
        let (a, b) = (covariance(&(&y - &m), Some(&weights)), covariance(&(&repeated - &m), None));
        let factor = (1.0 - 14.0 / 36.0) * 6.0 / 5.0;
        assert_relative_eq!(a[[0, 1]] * factor, b[[0, 1]], max_relative = 1e-12);
        let population = spread(&repeated.view(), None) * (11.0_f64 / 12.0).sqrt();
        assert_relative_eq!(spread(&y.view(), Some(&weights)), population, max_relative = 1e-12);
        let equal = Weights::new(&[5.0; 3], 3).unwrap();
        let one = covariance(&(&y - &m), Some(&equal));
        assert_relative_eq!(one[[1, 1]], covariance(&(&y - &m), None)[[1, 1]], max_relative = 1e-12);
    }
}
