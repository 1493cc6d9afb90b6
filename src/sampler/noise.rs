//! Counter-based noise: every sample has ChaCha streams of its own, so ranks, threads and batches can
//! draw any part of one ensemble without talking to each other.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// What a stream is for; streams of different purposes never share a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Latent noise and symmetry operation of a sample.
    Positions,
    /// Velocities of a sample.
    Velocities,
    /// Noise and batches of one training step.
    Training,
    /// Initial weights of a network.
    Weights,
    /// Which frames are used for a statistic over the data.
    Data,
    /// Momenta and decisions of one iteration of one chain, or of one sample that is refined.
    Walk,
    /// What all chains share in one iteration: the length of the trajectory.
    Schedule,
    /// Latent noise and symmetry operation of a sample that replaces a rejected one.
    Redraw,
    /// Orientation of a sample in a simulation.
    Orientation,
}

/// The stream of one index, for one seed and purpose.
#[derive(Debug, Clone)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// Stream `index` of a seed.
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        // The key is written out rather than hashed: it is part of the file format's promise.
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8] = match purpose {
            Purpose::Positions => 1,
            Purpose::Velocities => 2,
            Purpose::Training => 3,
            Purpose::Weights => 4,
            Purpose::Data => 5,
            Purpose::Walk => 6,
            Purpose::Schedule => 7,
            Purpose::Redraw => 8,
            Purpose::Orientation => 9,
        };
        key[16..].copy_from_slice(b"boltzdrift noise");
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(index);
        Stream(generator)
    }

    /// Fills with standard normal numbers.
    pub fn normals(&mut self, out: &mut [f32]) {
        for x in out {
            *x = self.normal() as f32;
        }
    }

    /// One standard normal number.
    pub fn normal(&mut self) -> f64 {
        self.0.sample(StandardNormal)
    }

    /// A uniform number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.0.random()
    }

    /// A uniform integer in 0 .. `end`; 0 where `end` is 0 or 1, which draws nothing.
    pub fn below(&mut self, end: usize) -> usize {
        if end <= 1 {
            return 0;
        }
        // 64-bit draws on every platform, so that the numbers do not depend on the width of usize.
        self.0.random_range(0..end as u64) as usize
    }

    /// `count` distinct integers of 0 .. `end` in random order (all of them where `count` >= `end`).
    pub fn distinct(&mut self, end: usize, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..end).collect();
        let count = count.min(end);
        for k in 0..count {
            let other = k + self.below(end - k);
            all.swap(k, other);
        }
        all.truncate(count);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_normal_independent_and_repeatable() {
        let draw = |seed, purpose, index| {
            let mut out = vec![0.0; 4096];
            Stream::new(seed, purpose, index).normals(&mut out);
            out
        };
        let a = draw(7, Purpose::Positions, 3);
        assert_eq!(a, draw(7, Purpose::Positions, 3));
        for other in
            [draw(8, Purpose::Positions, 3), draw(7, Purpose::Velocities, 3), draw(7, Purpose::Positions, 4)]
        {
            let correlation: f32 = a.iter().zip(&other).map(|(x, y)| x * y).sum::<f32>() / 4096.0;
            // The standard error of a correlation of 4096 independent normals is 1/64.
            assert!(correlation.abs() < 5.0 / 64.0);
        }
        let mean = a.iter().sum::<f32>() / 4096.0;
        let variance = a.iter().map(|x| x * x).sum::<f32>() / 4096.0;
        assert!(mean.abs() < 5.0 / 64.0 && (variance - 1.0).abs() < 5.0 * (2.0_f32 / 4096.0).sqrt());
        let mut all = Stream::new(1, Purpose::Data, 0).distinct(100, 200);
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }
}
