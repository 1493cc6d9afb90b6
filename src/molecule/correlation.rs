//! Standard errors of correlated series.
//!
//! Blocking after Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989): means of blocks of 1, 2, 4, ... frames
//! are compared until the error stops growing. The block length B is the first with B^3 > 2 N g^2, where g is the
//! error squared at that B over the error squared without blocks (Lee et al., Phys. Rev. E 83, 066706, 2011,
//! after Wolff, Comput. Phys. Commun. 156, 143, 2004): it balances the rest of the correlation between blocks
//! against the scatter of few blocks.

use serde::Serialize;

/// Fewest blocks whose scatter is looked at.
const FEWEST_BLOCKS: usize = 8;

/// A mean with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Correlated {
    /// The mean.
    pub mean: f64,
    /// Its standard error, in the unit of the series.
    pub error: f64,
    /// Correlation length in frames: frames that are worth one independent frame, 1 or more (twice the
    /// integrated autocorrelation time). Frames in random order have 1.
    pub correlation: f64,
}

/// Mean, standard error and correlation length of a series in order of time, (N).
///
/// Where the series is too short for its own correlation the largest error of all block lengths is given; it is
/// then still too small. The error of fewer than two numbers is infinite.
pub fn standard_error(series: &[f64]) -> Correlated {
    let frames = series.len();
    let mean = series.iter().sum::<f64>() / frames as f64;
    if frames < 2 {
        return Correlated { mean, error: f64::INFINITY, correlation: 1.0 };
    }
    let mut blocks: Vec<f64> = series.iter().map(|x| x - mean).collect();
    let plain = square_of_error(&blocks);
    if plain == 0.0 || !plain.is_finite() {
        return Correlated { mean, error: plain.sqrt(), correlation: 1.0 };
    }
    let (mut length, mut largest) = (1.0_f64, 1.0_f64);
    loop {
        let inefficiency = square_of_error(&blocks) / plain;
        largest = largest.max(inefficiency);
        if length.powi(3) > 2.0 * frames as f64 * inefficiency * inefficiency {
            // Anticorrelation is not trusted to make an error smaller.
            largest = inefficiency.max(1.0);
            break;
        }
        if blocks.len() / 2 < FEWEST_BLOCKS {
            break;
        }
        blocks = blocks.chunks_exact(2).map(|pair| 0.5 * (pair[0] + pair[1])).collect();
        length *= 2.0;
    }
    Correlated { mean, error: (plain * largest).sqrt(), correlation: largest }
}

/// Variance of the mean of independent numbers.
fn square_of_error(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0) / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::noise::{Purpose, Stream};

    /// x' = a x + noise with unit variance: correlation length (1 + a) / (1 - a) exactly.
    fn autoregressive(a: f64, frames: usize, seed: u64) -> Vec<f64> {
        let mut stream = Stream::new(seed, Purpose::Data, 0);
        let mut x = stream.normal();
        let step = |_| {
            x = a * x + (1.0 - a * a).sqrt() * stream.normal();
            x
        };
        (0..frames).map(step).collect()
    }

    #[test]
    fn errors_of_autoregressive_series() {
        for a in [0.0_f64, 0.6, 0.9, 0.98] {
            let (frames, seeds) = (20_000, 20);
            let exact = (1.0 + a) / (1.0 - a);
            let found: Vec<_> =
                (0..seeds).map(|seed| standard_error(&autoregressive(a, frames, seed))).collect();
            let length = found.iter().map(|one| one.correlation).sum::<f64>() / seeds as f64;
            assert!((length / exact - 1.0).abs() < 0.15, "{a}: {length} for {exact}");
            // The errors are those of the means: chi squared of 20 of them is 20 +- 6.3.
            let chi: f64 = found.iter().map(|one| (one.mean / one.error).powi(2)).sum();
            assert!(chi > 5.0 && chi < 42.0, "{a}: {chi}");
        }
    }

    #[test]
    fn short_and_constant_series() {
        assert_eq!(standard_error(&[3.0; 100]), Correlated { mean: 3.0, error: 0.0, correlation: 1.0 });
        assert!(standard_error(&[1.0]).error.is_infinite());
        assert_eq!(standard_error(&[1.0, 3.0]).error, 1.0);
        assert!(standard_error(&[1.0, f64::NAN]).error.is_nan());
        // Half a period of a slow wave: the largest error of all blocks.
        let slow: Vec<f64> = (0..256).map(|k| (f64::from(k) / 80.0).cos()).collect();
        assert!(standard_error(&slow).correlation > 20.0);
    }
}
