//! The generator forward and backward in parts of the batch, side by side on the CPU's cores. libtorch's own threads
//! meet at a barrier in every operation, which costs more than the operations of a network this small.

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::generator::Generator;
use crate::ranks::in_pairs;
use crate::Result;

/// Samples of a part. Fixed, so that the sums, and with them every bit, do not depend on the number of threads.
const PART: i64 = 256;

/// Outputs of a batch and the graphs of its parts.
#[derive(Debug)]
pub(super) struct Pass {
    parts: Vec<Tensor>,
    /// Outputs (B, 3n), of a graph of their own that begins here.
    pub outputs: Tensor,
}

/// Runs `work` on each: side by side where libtorch itself is to use one thread.
pub(super) fn each<T: Send, U: Send>(
    items: Vec<T>,
    work: impl Fn(T) -> Result<U> + Sync + Send,
) -> Result<Vec<U>> {
    if tch::get_num_threads() == 1 && items.len() > 1 {
        items.into_par_iter().map(work).collect()
    } else {
        items.into_iter().map(work).collect()
    }
}

/// Outputs for noise (B, noise).
///
/// # Errors
/// Where libtorch refuses.
pub(super) fn forward(generator: &Generator, noise: &Tensor) -> Result<Pass> {
    let batch = noise.size2()?.0;
    let part = if noise.device() == Device::Cpu { PART } else { batch };
    let work: Vec<(Generator, Tensor)> =
        noise.f_split(part, 0)?.into_iter().map(|noise| (generator.handle(), noise)).collect();
    let parts = each(work, |(generator, noise)| generator.forward(&noise))?;
    let detached = parts.iter().map(Tensor::f_detach).collect::<std::result::Result<Vec<_>, _>>()?;
    let outputs = Tensor::f_cat(&detached, 0)?.f_set_requires_grad(true)?;
    Ok(Pass { parts, outputs })
}

impl Pass {
    /// Gradient in the order of the generator's flat weights, for the loss's gradient at the outputs.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub(super) fn gradient(self, generator: &Generator, at_outputs: &Tensor) -> Result<Tensor> {
        let lengths: Vec<i64> = self.parts.iter().map(|part| part.size()[0]).collect();
        let slices = at_outputs.f_split_with_sizes(lengths, 0)?;
        let work: Vec<_> = self
            .parts
            .into_iter()
            .zip(slices)
            .map(|(part, slice)| (generator.handle(), part, slice))
            .collect();
        let gradients = each(work, |(generator, part, slice)| {
            generator.gradient(&part.f_mul(&slice)?.f_sum(None::<Kind>)?)
        })?;
        // In pairs: the sum is then the same to the bit where ranks sum some of the parts each.
        let sum = in_pairs(gradients, |mut a, b| Ok(a.f_add_(&b)?))?;
        sum.map_or_else(|| Ok(generator.flat().f_zeros_like()?), Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::to_vec;
    use crate::sampler::noise::{Purpose, Stream};

    #[test]
    fn parts_give_the_gradient_of_the_whole() {
        let generator = Generator::new(8, 16, 2, 6, 1, Device::Cpu).unwrap();
        let batch = 3 * PART as usize + 17;
        let mut noise = vec![0.0; batch * 8];
        Stream::new(3, Purpose::Training, 0).normals(&mut noise);
        let noise = Tensor::from_slice(&noise).view([batch as i64, 8]);
        // A loss that joins samples: the square of the mean, and each one's fourth power.
        let loss = |x: &Tensor| x.mean(Kind::Float).square() + x.square().square().mean(Kind::Float);
        let whole = generator.forward(&noise).unwrap();
        let expected = to_vec(&generator.gradient(&loss(&whole)).unwrap()).unwrap();
        let pass = forward(&generator, &noise).unwrap();
        assert_eq!(pass.parts.len(), 4);
        let value = loss(&pass.outputs);
        let at_outputs = Tensor::run_backward(&[value], &[&pass.outputs], false, false).remove(0);
        let got = to_vec(&pass.gradient(&generator, &at_outputs).unwrap()).unwrap();
        let largest = expected.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
        assert!(largest > 1e-3);
        for (a, b) in got.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-5 * largest, "{a} {b}");
        }
    }
}
