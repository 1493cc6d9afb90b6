//! The one-step generator: a perceptron from latent noise to 3n coordinates, on libtorch.

use tch::{Device, Kind, Tensor};

use crate::sampler::network::Layer;
use crate::sampler::noise::{Purpose, Stream};
use crate::Result;

/// The generator's weights: one flat tensor, and a view of it per layer that carries the gradient.
#[derive(Debug)]
pub struct Generator {
    sizes: Vec<usize>,
    flat: Tensor,
    views: Vec<Tensor>,
}

impl Generator {
    /// A generator `noise -> depth x width -> outputs`, weights and biases uniform in
    /// +-1/sqrt(inputs), as PyTorch initializes its linear layers.
    ///
    /// # Errors
    /// Where libtorch cannot place it.
    pub fn new(
        noise: usize,
        width: usize,
        depth: usize,
        outputs: usize,
        seed: u64,
        device: Device,
    ) -> Result<Self> {
        let sizes = sizes(noise, width, depth, outputs);
        let mut stream = Stream::new(seed, Purpose::Weights, 0);
        let mut values = Vec::with_capacity(count(&sizes));
        for pair in sizes.windows(2) {
            let bound = 1.0 / (pair[0] as f64).sqrt();
            values.extend(
                (0..(pair[0] + 1) * pair[1]).map(|_| (bound * (2.0 * stream.uniform() - 1.0)) as f32),
            );
        }
        Generator::from_flat(sizes, &values, device)
    }

    /// A generator of given layer sizes and weights, in the order of [`Generator::to_flat`].
    ///
    /// # Errors
    /// Where libtorch cannot place it.
    pub fn from_flat(sizes: Vec<usize>, values: &[f32], device: Device) -> Result<Self> {
        let flat = Tensor::f_from_slice(values)?.f_to_device(device)?;
        let mut views = Vec::new();
        let mut offset = 0;
        for pair in sizes.windows(2) {
            let (inputs, outputs) = (pair[0] as i64, pair[1] as i64);
            for shape in [vec![outputs, inputs], vec![outputs]] {
                let length = shape.iter().product();
                let view = flat.f_narrow(0, offset, length)?.f_view(shape.as_slice())?.f_detach()?;
                views.push(view.f_set_requires_grad(true)?);
                offset += length;
            }
        }
        Ok(Generator { sizes, flat, views })
    }

    /// Number of weights and biases; 1,360,411 for the paper's 64 -> 6 x 512 -> 27.
    pub fn parameters(&self) -> usize {
        count(&self.sizes)
    }

    /// Outputs (B, outputs) for noise (B, noise), with gradient.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn forward(&self, noise: &Tensor) -> Result<Tensor> {
        let mut x = noise.shallow_clone();
        let last = self.views.len() / 2 - 1;
        for (k, layer) in self.views.chunks_exact(2).enumerate() {
            x = x.f_linear(&layer[0], Some(&layer[1]))?;
            if k < last {
                x = x.f_silu()?;
            }
        }
        Ok(x)
    }

    /// Weights (outputs, inputs) and bias (outputs) of each layer.
    pub(crate) fn layers(&self) -> Vec<(&Tensor, &Tensor)> {
        self.views.chunks_exact(2).map(|layer| (&layer[0], &layer[1])).collect()
    }

    /// The part of each layer of a flat tensor in the order of the flat weights: weights (outputs, inputs), and biases
    /// (1, outputs).
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub(crate) fn parts(&self, flat: &Tensor) -> Result<Vec<(Tensor, Tensor)>> {
        let mut offset = 0;
        let mut part = |rows: i64, columns: i64| -> Result<Tensor> {
            let view = flat.f_narrow(0, offset, rows * columns)?.f_view([rows, columns])?;
            offset += rows * columns;
            Ok(view)
        };
        self.sizes
            .windows(2)
            .map(|pair| {
                let (inputs, outputs) = (pair[0] as i64, pair[1] as i64);
                Ok((part(outputs, inputs)?, part(1, outputs)?))
            })
            .collect()
    }

    /// Another handle on the same weights, for another thread.
    pub(crate) fn handle(&self) -> Generator {
        Generator {
            sizes: self.sizes.clone(),
            flat: self.flat.shallow_clone(),
            views: self.views.iter().map(Tensor::shallow_clone).collect(),
        }
    }

    /// Gradient of a scalar loss in the order of the flat weights.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn gradient(&self, loss: &Tensor) -> Result<Tensor> {
        let parts = Tensor::f_run_backward(&[loss], &self.views, false, false)?;
        let parts =
            parts.iter().map(|part| part.f_reshape([-1_i64])).collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Tensor::f_cat(&parts, 0)?)
    }

    /// The flat weights; changing them in place changes the generator.
    pub fn flat(&self) -> &Tensor {
        &self.flat
    }

    /// Copy of the weights, layer by layer: weights (outputs, inputs), then bias.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn to_flat(&self) -> Result<Vec<f32>> {
        to_vec(&self.flat)
    }

    /// Layer sizes, noise first.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }
}

/// Number of weights and biases of a generator `noise -> depth x width -> outputs`.
pub(crate) fn parameters(noise: usize, width: usize, depth: usize, outputs: usize) -> usize {
    count(&sizes(noise, width, depth, outputs))
}

fn sizes(noise: usize, width: usize, depth: usize, outputs: usize) -> Vec<usize> {
    std::iter::once(noise).chain(std::iter::repeat_n(width, depth)).chain([outputs]).collect()
}

fn count(sizes: &[usize]) -> usize {
    sizes.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum()
}

/// A flat tensor as numbers on the CPU.
pub(crate) fn to_vec(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let mut out = vec![0.0; flat.numel()];
    let length = out.len();
    flat.f_copy_data(&mut out, length)?;
    Ok(out)
}

/// Flat weights as layers of the exported sampler.
pub fn layers(sizes: &[usize], flat: &[f32]) -> Vec<Layer> {
    let mut rest = flat;
    let mut out = Vec::new();
    for pair in sizes.windows(2) {
        let (weight, after) = rest.split_at(pair[0] * pair[1]);
        let (bias, after) = after.split_at(pair[1]);
        out.push(Layer { inputs: pair[0], outputs: pair[1], weight: weight.to_vec(), bias: bias.to_vec() });
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::network::Network;

    #[test]
    fn the_papers_generator_has_its_parameters() {
        let g = Generator::new(64, 512, 6, 27, 0, Device::Cpu).unwrap();
        assert_eq!(g.parameters(), 1_360_411);
        assert_eq!(g.to_flat().unwrap().len(), 1_360_411);
    }

    #[test]
    fn torch_free_inference_agrees_with_libtorch() {
        let g = Generator::new(16, 40, 3, 12, 3, Device::Cpu).unwrap();
        let mut noise = vec![0.0; 50 * 16];
        Stream::new(9, Purpose::Positions, 0).normals(&mut noise);
        let torch = to_vec(&g.forward(&Tensor::from_slice(&noise).view([50, 16])).unwrap()).unwrap();
        let ours = Network::new(&layers(g.sizes(), &g.to_flat().unwrap())).unwrap().forward(&noise, 50);
        for (a, b) in torch.iter().zip(&ours) {
            assert!((a - b).abs() < 2e-6 * (1.0 + b.abs()), "{a} {b}");
        }
    }
}
