//! The generator forward and backward in parts of the batch, side by side on the CPU's cores. libtorch's own threads
//! meet at a barrier in every operation, which costs more than the operations of a network this small. The backward pass is
//! written out: each product goes straight to its place in the flat gradient.

use tch::{Device, Kind, Tensor};

use crate::drift::each;
use crate::generator::Generator;
use crate::{Error, Result};

/// Samples of a part. Fixed, so that the sums, and with them every bit, do not depend on the number of threads.
const PART: i64 = 128;

/// Outputs of a batch and what its parts keep for the way back.
#[derive(Debug)]
pub(super) struct Pass {
    parts: Vec<Part>,
    /// Outputs (B, 3n), of a graph of their own that begins here.
    pub outputs: Tensor,
}

#[derive(Debug)]
enum Part {
    /// What went into each layer, and the sums before each activation.
    Layers { inputs: Vec<Tensor>, sums: Vec<Tensor> },
    /// The outputs with libtorch's graph behind them.
    Graph(Tensor),
}

/// Room for gradients, used again in every step.
#[derive(Debug, Default)]
pub(super) struct Room(Option<Tensor>);

impl Room {
    /// Rows (parts, weights).
    fn rows(&mut self, parts: usize, generator: &Generator) -> Result<Tensor> {
        let flat = generator.flat();
        let shape = [parts as i64, flat.numel() as i64];
        if let Some(rows) = self.0.as_ref().filter(|rows| rows.size() == shape) {
            return Ok(rows.shallow_clone());
        }
        let rows = Tensor::f_zeros(shape, (Kind::Float, flat.device()))?;
        self.0 = Some(rows.shallow_clone());
        Ok(rows)
    }
}

/// Outputs for noise (B, noise).
///
/// # Errors
/// Where libtorch refuses.
pub(super) fn forward(generator: &Generator, noise: &Tensor) -> Result<Pass> {
    let on_the_cpu = noise.device() == Device::Cpu;
    let batch = noise.size2()?.0;
    let part = if on_the_cpu { PART } else { batch };
    let work: Vec<(Generator, Tensor)> =
        noise.f_split(part, 0)?.into_iter().map(|noise| (generator.handle(), noise)).collect();
    let (outputs, parts): (Vec<Tensor>, Vec<Part>) = each(work, |(generator, noise)| {
        if on_the_cpu {
            return tch::no_grad(|| through(&generator, noise));
        }
        let outputs = generator.forward(&noise)?;
        Ok((outputs.f_detach()?, Part::Graph(outputs)))
    })?
    .into_iter()
    .unzip();
    let outputs = Tensor::f_cat(&outputs, 0)?.f_set_requires_grad(true)?;
    Ok(Pass { parts, outputs })
}

fn through(generator: &Generator, noise: Tensor) -> Result<(Tensor, Part)> {
    let layers = generator.layers();
    let (mut inputs, mut sums) = (Vec::with_capacity(layers.len()), Vec::with_capacity(layers.len()));
    let mut x = noise;
    for (number, &(weight, bias)) in layers.iter().enumerate() {
        let sum = x.f_linear(weight, Some(bias))?;
        inputs.push(x);
        if number + 1 == layers.len() {
            return Ok((sum, Part::Layers { inputs, sums }));
        }
        x = sum.f_silu()?;
        sums.push(sum);
    }
    Err(Error::Numeric("a generator without layers".into()))
}

/// Gradient of the weights into `to` (W), from that at the outputs of a part.
fn back(generator: &Generator, part: &Part, at_outputs: &Tensor, to: &Tensor) -> Result<()> {
    match part {
        Part::Layers { inputs, sums } => {
            tch::no_grad(|| back_through(generator, inputs, sums, at_outputs.shallow_clone(), to))
        }
        Part::Graph(outputs) => {
            let gradient = generator.gradient(&outputs.f_mul(at_outputs)?.f_sum(None::<Kind>)?)?;
            Ok(to.shallow_clone().f_copy_(&gradient)?)
        }
    }
}

fn back_through(
    generator: &Generator,
    inputs: &[Tensor],
    sums: &[Tensor],
    mut at: Tensor,
    to: &Tensor,
) -> Result<()> {
    let (layers, places) = (generator.layers(), generator.parts(to)?);
    for (number, ((weight, _), (of_weight, of_bias))) in layers.iter().zip(&places).enumerate().rev() {
        let _ = at.f_transpose(0, 1)?.f_mm_out(of_weight, &inputs[number])?;
        let _ = at.f_sum_intlist_out(of_bias, [0_i64].as_slice(), true, None::<Kind>)?;
        if number > 0 {
            at = sums[number - 1].f_silu_backward(&at.f_mm(weight)?)?;
        }
    }
    Ok(())
}

impl Pass {
    /// Gradients (parts, W) in the order of the generator's flat weights, for the loss's gradient at the outputs: their sum is
    /// that of the whole. They stand in `room` until the next call.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub(super) fn gradients(
        self,
        generator: &Generator,
        at_outputs: &Tensor,
        room: &mut Room,
    ) -> Result<Tensor> {
        let rows = room.rows(self.parts.len(), generator)?;
        let mut first = 0;
        let mut work = Vec::with_capacity(self.parts.len());
        for (number, part) in self.parts.into_iter().enumerate() {
            let length = match &part {
                Part::Layers { inputs, .. } => inputs.first().map_or(0, |noise| noise.size()[0]),
                Part::Graph(outputs) => outputs.size()[0],
            };
            let slice = at_outputs.f_narrow(0, first, length)?;
            work.push((generator.handle(), part, slice, rows.f_get(number as i64)?));
            first += length;
        }
        each(work, |(generator, part, slice, to)| back(&generator, &part, &slice, &to))?;
        Ok(rows)
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
        let rows = pass.gradients(&generator, &at_outputs, &mut Room::default()).unwrap();
        assert_eq!(rows.size(), [4, expected.len() as i64]);
        let sum = rows.sum_dim_intlist([0_i64].as_slice(), false, None::<Kind>);
        let got = to_vec(&sum).unwrap();
        let largest = expected.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
        assert!(largest > 1e-3);
        for (a, b) in got.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-5 * largest, "{a} {b}");
        }
    }
}
