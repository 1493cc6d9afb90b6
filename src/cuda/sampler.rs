//! Sampling on a CUDA device. Noise and symmetry come from the same streams as on the CPU, so sample `i` of a seed is the
//! CPU's but for the rounding of single precision.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::bridge::{host_numbers, pinned, sample};
use super::recorded::Recorder;
use crate::sampler::noise::{Purpose, Stream};
use crate::sampler::Sampler;
use crate::{Error, Result};

/// Samples of one pass through the network. Always this many, and always those of the same indices: the rounding of a
/// matrix product depends on its size, and the bytes of a sample must not depend on what is asked for beside it.
const TOGETHER: usize = 1024;
/// Samples that one thread of the host draws or places at a time.
const PART: usize = 64;
/// Most passes at a time.
const MOST_LANES: usize = 16;

/// A sampler on a CUDA device.
#[derive(Debug)]
pub struct CudaSampler {
    sampler: Sampler,
    device: Device,
    /// Weights (outputs, inputs) and bias of each layer.
    layers: Mutex<Vec<(Tensor, Tensor)>>,
    /// Lanes that nobody uses now.
    lanes: Mutex<Vec<Lane>>,
}

/// A stream with its buffers: noise in the host's memory and on the device, outputs in the host's memory.
#[derive(Debug)]
struct Lane {
    layers: Vec<(Tensor, Tensor)>,
    noise: Tensor,
    there: Tensor,
    outputs: Tensor,
    /// Last: the buffers are given back while its stream is still ours.
    recorder: Recorder,
}

impl CudaSampler {
    /// The sampler on a device.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where this is no CUDA device, or this build has no bridge to CUDA; libtorch's own refusals.
    pub fn new(sampler: &Sampler, device: Device) -> Result<Self> {
        let place = |values: &[f32], shape: &[i64]| -> Result<Tensor> {
            Ok(Tensor::f_from_slice(values)?.f_view(shape)?.f_to_device(device)?)
        };
        let layers = sampler.model().layers.iter().map(|layer| {
            let (inputs, outputs) = (layer.inputs as i64, layer.outputs as i64);
            Ok((place(&layer.weight, &[outputs, inputs])?, place(&layer.bias, &[outputs])?))
        });
        let layers = Mutex::new(layers.collect::<Result<_>>()?);
        let made = CudaSampler { sampler: sampler.clone(), device, layers, lanes: Mutex::default() };
        let lane = made.lane()?;
        made.give(lane);
        Ok(made)
    }

    /// The sampler whose samples these are.
    pub fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Samples `first` on of a seed into (count, n, 3) numbers, as [`Sampler::sample_into`]: the same bytes for the same
    /// device and build, whatever the range, the threads and the calls.
    ///
    /// # Errors
    /// As [`Sampler::sample_into`]; libtorch's own refusals.
    pub fn sample_into(&self, seed: u64, first: u64, out: &mut [f64]) -> Result<()> {
        let each = self.sampler.numbers(first, out)?;
        if out.is_empty() {
            return Ok(());
        }
        let together = TOGETHER as u64;
        // What is left of the first pass's indices, then whole passes.
        let head = (together - first % together) as usize * each;
        let (head, rest) = out.split_at_mut(head.min(out.len()));
        // Past the last index there is no pass.
        let next = (first - first % together).wrapping_add(together);
        let mut passes: Vec<(u64, &mut [f64])> = vec![(first, head)];
        passes.extend(
            rest.chunks_mut(TOGETHER * each)
                .enumerate()
                .map(|(k, chunk)| (next + k as u64 * together, chunk)),
        );
        if let [(start, out)] = passes.as_mut_slice() {
            let mut lane = self.lane()?;
            let done = lane.pass(&self.sampler, seed, *start, out, true);
            self.give(lane);
            return done;
        }
        let groups = rayon::current_num_threads().min(passes.len()).min(MOST_LANES);
        let left = Mutex::new(passes.into_iter());
        (0..groups).into_par_iter().try_for_each(|_| {
            let mut lane = self.lane()?;
            let mut done = Ok(());
            while done.is_ok() {
                let pass = left.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((start, out)) = pass else { break };
                done = lane.pass(&self.sampler, seed, start, out, false);
            }
            self.give(lane);
            done
        })
    }

    /// A lane that is free, or a new one.
    fn lane(&self) -> Result<Lane> {
        if let Some(lane) = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(lane);
        }
        let recorder = Recorder::new(self.device)?
            .ok_or_else(|| Error::Unsupported("a CudaSampler needs a CUDA device".into()))?;
        let layers: Vec<(Tensor, Tensor)> = self
            .layers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(weight, bias)| (weight.shallow_clone(), bias.shallow_clone()))
            .collect();
        let network = &self.sampler.record().network;
        let rows = TOGETHER as i64;
        let outputs = 3 * self.sampler.record().species.len() as i64;
        Ok(Lane {
            recorder,
            layers,
            noise: pinned(rows, network.noise as i64)?,
            there: Tensor::f_zeros([rows, network.noise as i64], (Kind::Float, self.device))?,
            outputs: pinned(rows, outputs)?,
        })
    }

    fn give(&self, lane: Lane) {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).push(lane);
    }
}

impl Lane {
    /// Samples `start` on of a seed, which lie within one pass; drawn and placed on several threads where the pass is
    /// `alone`.
    fn pass(&mut self, sampler: &Sampler, seed: u64, start: u64, out: &mut [f64], alone: bool) -> Result<()> {
        let (each, size) = (3 * sampler.record().species.len(), sampler.record().network.noise);
        let (row, count) = ((start % TOGETHER as u64) as usize, out.len() / each);
        let part = if alone { PART } else { TOGETHER };
        let first = |index: usize| start + (index * part) as u64;
        let mut choice = vec![0; count];
        let noise = &mut host_numbers(&mut self.noise)?[row * size..][..count * size];
        let draw = |(index, (noise, choice)): (usize, (&mut [f32], &mut [usize]))| {
            let stream = |index| Stream::new(seed, Purpose::Positions, index);
            sampler.draw(first(index), noise, choice, stream);
        };
        if alone {
            noise.par_chunks_mut(part * size).zip(choice.par_chunks_mut(part)).enumerate().for_each(draw);
        } else {
            draw((0, (noise, &mut choice)));
        }
        let Lane { layers, noise, there, outputs, recorder } = self;
        recorder.run(|| Ok(()), 1, &|_| sample(layers, noise, there, outputs), || Ok(()))?;
        let raw = &host_numbers(&mut self.outputs)?[row * each..][..count * each];
        if alone {
            let parts = raw.par_chunks(part * each).zip(choice.par_chunks(part));
            return out.par_chunks_mut(part * each).zip(parts).enumerate().try_for_each(
                |(index, (out, (raw, choice)))| sampler.place(seed, first(index), choice, raw, out),
            );
        }
        sampler.place(seed, start, &choice, raw, out)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::dataset::Dataset;
    use crate::molecule::samples::ETHANOL;
    use crate::molecule::springs::Springs;
    use crate::train::device::{resolve, Choice};
    use crate::train::{Overrides, Settings, Trainer};

    fn untrained() -> Sampler {
        let data: Dataset = Springs::new(&ETHANOL).canonical(300.0, 100, 1);
        let given = Overrides { width: Some(512), depth: Some(6), ..Overrides::default() };
        let trainer = Trainer::new(&data, Settings::resolve(&given).unwrap(), Device::Cpu).unwrap();
        Sampler::new(trainer.export().unwrap()).unwrap()
    }

    #[test]
    fn samples_are_the_cpus_whatever_is_asked_beside_them() {
        let device = match resolve(Choice::Cuda(0)) {
            Ok((device, _)) => device,
            Err(why) => return println!("skipped: {why}"),
        };
        let sampler = untrained();
        let cuda = CudaSampler::new(&sampler, device).unwrap();
        let each = 27;
        let draw = |first: u64, count: usize| {
            let mut out = vec![0.0; count * each];
            cuda.sample_into(7, first, &mut out).unwrap();
            out
        };
        let all = draw(0, 20_000);
        let expected = sampler.sample(7, 0, 20_000).unwrap();
        for (a, b) in all.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
        for (first, count) in [(0, 1), (3, 1000), (1023, 2), (1500, 9000), (19_999, 1)] {
            assert!(draw(first, count) == all[first as usize * each..][..count * each], "{first} {count}");
        }
        // A fresh one, each time from a thread that has not used the device: its record is made on a new thread.
        let fresh = CudaSampler::new(&sampler, device).unwrap();
        for _ in 0..6 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            let mut out = vec![0.0; 500 * each];
            pool.install(|| fresh.sample_into(7, 100, &mut out)).unwrap();
            assert!(out == all[100 * each..600 * each]);
        }
        let mut last = vec![0.0; 2 * each];
        cuda.sample_into(7, u64::MAX - 2, &mut last).unwrap();
        assert!(last
            .iter()
            .zip(&sampler.sample(7, u64::MAX - 2, 2).unwrap())
            .all(|(a, b)| (a - b).abs() < 1e-4));
        for count in [1000, 1_000_000] {
            let mut out = vec![0.0; count * each];
            let mut times: Vec<f64> = (0..15)
                .map(|_| {
                    let start = Instant::now();
                    cuda.sample_into(1, 0, &mut out).unwrap();
                    start.elapsed().as_secs_f64()
                })
                .collect();
            times.sort_unstable_by(f64::total_cmp);
            println!(
                "{count} samples of 6 x 512 in {:.6} s (median of 15), {:.6} at best",
                times[7], times[0]
            );
        }
        assert!(cuda.sample_into(0, u64::MAX, &mut [0.0; 54]).is_err());
        // A long run, streamed through one buffer: BOLTZDRIFT_CUDA_SAMPLES=100000000.
        if let Some(total) =
            std::env::var("BOLTZDRIFT_CUDA_SAMPLES").ok().and_then(|text| text.parse::<u64>().ok())
        {
            let together = 1 << 20;
            let mut out = vec![0.0; together * each];
            let start = Instant::now();
            for first in (0..total).step_by(together) {
                cuda.sample_into(3, first, &mut out).unwrap();
            }
            println!("{total} samples of 6 x 512 in {:.2} s", start.elapsed().as_secs_f64());
        }
    }
}
