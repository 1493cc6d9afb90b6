//! The exported one-step sampler: its file and its inference on the CPU, without libtorch.
//!
//! Sample `i` of seed `s` is the same bytes whatever the batch, the number of threads and the range
//! it is asked for in: its noise comes from its own ChaCha stream ([`noise`]), and every number of
//! the network is one chain of fused multiply-adds in a fixed order ([`network`]).

pub mod file;
pub mod network;
pub mod noise;
pub mod placing;
pub mod velocities;

use std::path::Path;

use ndarray::{Array2, Array3};
use rayon::prelude::*;

pub use file::{Model, Record, FORMAT_VERSION};
use network::Network;
use noise::{Purpose, Stream};

use crate::{Error, Result};

/// Samples that go through the network together: with fewer the weights are read too often, with more the numbers
/// between its layers leave the cache.
const MOST_TOGETHER: usize = 96;
/// Fewer samples than twice this are not worth waking a thread for.
const FEWEST_TOGETHER: usize = network::MOST_ROWS;

/// A loaded sampler, ready to draw. Shared read-only between threads.
#[derive(Debug, Clone)]
pub struct Sampler {
    model: Model,
    network: Network,
}

impl Sampler {
    /// Loads an exported sampler.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read, [`Error::Data`] where its content is not a sampler.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Sampler::new(Model::load(path.as_ref())?)
    }

    /// A sampler of a model in memory.
    ///
    /// # Errors
    /// [`Error::Numeric`] where the layers' shapes do not fit together.
    pub fn new(model: Model) -> Result<Self> {
        let network = Network::new(&model.layers)?;
        Ok(Sampler { model, network })
    }

    /// What the file says of itself: species, masses, temperature, method, figures.
    pub fn record(&self) -> &Record {
        &self.model.record
    }

    /// The model behind this sampler.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Samples `first .. first + count` of a seed: positions in angstrom, (count, n, 3), the center of
    /// mass at the origin.
    ///
    /// # Errors
    /// [`Error::Usage`] where the index range does not fit in 64 bits or `count` samples do not fit in
    /// memory's address space; [`Error::Numeric`] where the network gives a number that is not finite.
    pub fn sample(&self, seed: u64, first: u64, count: usize) -> Result<Array3<f64>> {
        let atoms = self.model.record.species.len();
        check_range(first, count)?;
        let size = count.checked_mul(atoms * 3).filter(|&size| size <= isize::MAX as usize / 8);
        let size = size
            .ok_or_else(|| Error::usage(format!("{count} samples of {atoms} atoms do not fit in memory")))?;
        let mut out = Vec::new();
        out.try_reserve_exact(size)
            .map_err(|_| Error::usage(format!("{count} samples of {atoms} atoms do not fit in memory")))?;
        out.resize(size, 0.0);
        self.sample_into(seed, first, &mut out)?;
        Array3::from_shape_vec((count, atoms, 3), out).map_err(|error| Error::Numeric(error.to_string()))
    }

    /// The same into the caller's numbers, (count, n, 3), as many samples as there is room for.
    ///
    /// # Errors
    /// As [`Sampler::sample`]; [`Error::Usage`] where the room is not that of whole samples.
    pub fn sample_into(&self, seed: u64, first: u64, out: &mut [f64]) -> Result<()> {
        let each = self.numbers(first, out)?;
        let stream = |index| Stream::new(seed, Purpose::Positions, index);
        let together = together(out.len() / each, rayon::current_num_threads());
        if out.len() <= together * each {
            return self.fill(seed, first, out, stream);
        }
        out.par_chunks_mut(together * each)
            .enumerate()
            .try_for_each(|(part, chunk)| self.fill(seed, first + (part * together) as u64, chunk, stream))
    }

    /// Numbers of a sample, where `out` has room for whole ones and there are so many from `first` on.
    pub(crate) fn numbers(&self, first: u64, out: &[f64]) -> Result<usize> {
        let each = 3 * self.model.record.species.len();
        check_range(first, out.len() / each)?;
        if !out.len().is_multiple_of(each) {
            return Err(Error::usage(format!("room for {} numbers, but a sample has {each}", out.len())));
        }
        Ok(each)
    }

    /// Maxwell velocities in angstrom/fs for the same samples, (count, n, 3), at `temperature` kelvin,
    /// without momentum and angular momentum: 3n - 6 degrees of freedom move (fewer removed where the
    /// molecule is linear). They come from streams of their own.
    ///
    /// # Errors
    /// [`Error::Usage`] for a temperature that is not positive or positions of another molecule.
    pub fn velocities(
        &self,
        seed: u64,
        first: u64,
        positions: &Array3<f64>,
        temperature: f64,
    ) -> Result<Array3<f64>> {
        let (count, atoms, _) = positions.dim();
        check_range(first, count)?;
        let masses = &self.model.record.masses;
        if atoms != masses.len() {
            return Err(Error::usage(format!(
                "positions of {atoms} atoms, but the sampler has {}",
                masses.len()
            )));
        }
        velocities::maxwell(masses, positions, temperature, seed, first)
    }

    /// Another draw in place of sample `index`, (n, 3): `attempt` 0, 1, 2 ... give draws that are independent of
    /// each other and of every sample. For callers that reject samples and still want as many as they asked for.
    ///
    /// # Errors
    /// As [`Sampler::sample`].
    pub fn redraw(&self, seed: u64, index: u64, attempt: usize) -> Result<Array2<f64>> {
        let atoms = self.model.record.species.len();
        let mut out = vec![0.0; atoms * 3];
        self.fill(seed, index, &mut out, |index| {
            let mut stream = Stream::new(seed, Purpose::Redraw, index);
            let mut noise = vec![0.0; self.model.record.network.noise];
            for _ in 0..attempt {
                stream.normals(&mut noise);
                stream.below(self.model.record.symmetry.len());
            }
            stream
        })?;
        Array2::from_shape_vec((atoms, 3), out).map_err(|error| Error::Numeric(error.to_string()))
    }

    /// Fills whole samples from index `start` on, each from its stream; `out` holds (k, n, 3).
    fn fill(&self, seed: u64, start: u64, out: &mut [f64], stream_of: impl Fn(u64) -> Stream) -> Result<()> {
        let record = &self.model.record;
        let count = out.len() / (record.species.len() * 3);
        let mut noise = vec![0.0_f32; count * record.network.noise];
        let mut choice = vec![0_usize; count];
        self.draw(start, &mut noise, &mut choice, stream_of);
        let raw = self.network.forward(&noise, count);
        self.place(seed, start, &choice, &raw, out)
    }

    /// Latent noise (k, noise) and symmetry operations (k) of the samples from `start` on, each from its stream.
    pub(crate) fn draw(
        &self,
        start: u64,
        noise: &mut [f32],
        choice: &mut [usize],
        stream_of: impl Fn(u64) -> Stream,
    ) {
        let record = &self.model.record;
        for (k, (row, choice)) in noise.chunks_exact_mut(record.network.noise).zip(choice).enumerate() {
            let mut stream = stream_of(start + k as u64);
            stream.normals(row);
            *choice = stream.below(record.symmetry.len());
        }
    }

    /// Positions (k, n, 3) of samples `start` on from the network's outputs (k, 3n) and their symmetry operations.
    ///
    /// # Errors
    /// [`Error::Numeric`] naming the sample that is not finite.
    pub(crate) fn place(
        &self,
        seed: u64,
        start: u64,
        choice: &[usize],
        raw: &[f32],
        out: &mut [f64],
    ) -> Result<()> {
        let record = &self.model.record;
        let atoms = record.species.len();
        let total: f64 = record.masses.iter().sum();
        for ((k, sample), raw) in out.chunks_exact_mut(atoms * 3).enumerate().zip(raw.chunks_exact(atoms * 3))
        {
            let operation = &record.symmetry[choice[k]];
            let sign = if operation.mirror { -1.0 } else { 1.0 };
            for (atom, &from) in operation.permutation.iter().enumerate() {
                for c in 0..3 {
                    let x = self.model.origin[from * 3 + c] + self.model.scale * f64::from(raw[from * 3 + c]);
                    sample[atom * 3 + c] = sign * x;
                }
            }
            for c in 0..3 {
                let center = (0..atoms).map(|a| record.masses[a] * sample[a * 3 + c]).sum::<f64>() / total;
                for a in 0..atoms {
                    sample[a * 3 + c] -= center;
                }
            }
            if sample.iter().any(|x| !x.is_finite()) {
                return Err(Error::Numeric(format!(
                    "sample {} of seed {seed} is not finite: the model's weights are damaged; train or copy it again",
                    start + k as u64
                )));
            }
        }
        Ok(())
    }
}

/// Samples of a part, of `count` in all, so that no thread is left with the last part alone.
fn together(count: usize, threads: usize) -> usize {
    if count < 2 * FEWEST_TOGETHER {
        return FEWEST_TOGETHER * 2;
    }
    let rounds = count.div_ceil(threads.max(1) * MOST_TOGETHER);
    let even = count.div_ceil(threads.max(1) * rounds).next_multiple_of(network::MOST_ROWS);
    even.clamp(FEWEST_TOGETHER, MOST_TOGETHER)
}

fn check_range(first: u64, count: usize) -> Result<()> {
    first.checked_add(count as u64).map(|_| ()).ok_or_else(|| {
        Error::usage(format!("samples {first} and {count} more go past the last index, {}", u64::MAX))
    })
}
