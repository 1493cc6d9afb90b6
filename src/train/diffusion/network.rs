//! The score network: a transformer over atoms.

use tch::{Device, Kind, Tensor};

use super::DiffusionSettings;
use crate::sampler::noise::{Purpose, Stream};
use crate::Result;

/// Sine and cosine waves of the logarithm of the noise level.
const WAVES: usize = 64;
/// Tensors of one layer: norm, queries with keys and values, mix, norm, up and down, each a matrix and a bias.
const PER_LAYER: usize = 12;

/// One token per atom: its place, which atom it is, and the noise level. Layers normalize first; their perceptrons are
/// four times as wide as a token.
#[derive(Debug)]
pub(super) struct ScoreNetwork {
    /// All weights, one after the other.
    pub flat: Tensor,
    /// The same by tensor, each with its gradient: place, atom, level (2), the layers, last norm, out.
    views: Vec<Tensor>,
    /// Frequencies of the waves, (WAVES / 2).
    frequency: Tensor,
    width: i64,
    heads: i64,
    layers: usize,
}

/// How a tensor starts.
#[derive(Clone, Copy)]
enum Start {
    /// Uniform in +-1/sqrt(inputs), as PyTorch starts its linear layers.
    Uniform,
    Normal,
    Zero,
    One,
}

impl ScoreNetwork {
    /// Weights from the seed's own stream.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub(super) fn new(atoms: usize, settings: &DiffusionSettings, device: Device) -> Result<Self> {
        let w = settings.width;
        let mut parts: Vec<(Vec<usize>, Start)> = Vec::new();
        let linear = |parts: &mut Vec<_>, inputs: usize, outputs: usize| {
            parts.extend([(vec![outputs, inputs], Start::Uniform), (vec![outputs], Start::Zero)]);
        };
        let norm = |parts: &mut Vec<_>| parts.extend([(vec![w], Start::One), (vec![w], Start::Zero)]);
        linear(&mut parts, 3, w);
        parts.push((vec![atoms, w], Start::Normal));
        linear(&mut parts, WAVES, w);
        linear(&mut parts, w, w);
        for _ in 0..settings.layers {
            norm(&mut parts);
            linear(&mut parts, w, 3 * w);
            linear(&mut parts, w, w);
            norm(&mut parts);
            linear(&mut parts, w, 4 * w);
            linear(&mut parts, 4 * w, w);
        }
        norm(&mut parts);
        linear(&mut parts, w, 3);

        let mut stream = Stream::new(settings.seed, Purpose::Weights, 0);
        let mut values: Vec<f32> = Vec::new();
        for (shape, start) in &parts {
            let bound = 1.0 / (shape.last().copied().unwrap_or(1) as f64).sqrt();
            values.extend((0..shape.iter().product()).map(|_: usize| match start {
                Start::Uniform => (bound * (2.0 * stream.uniform() - 1.0)) as f32,
                Start::Normal => stream.normal() as f32,
                Start::Zero => 0.0,
                Start::One => 1.0,
            }));
        }
        let flat = Tensor::f_from_slice(&values)?.f_to_device(device)?;
        let mut views = Vec::new();
        let mut offset = 0;
        for (shape, _) in parts {
            let shape: Vec<i64> = shape.into_iter().map(|n| n as i64).collect();
            let length = shape.iter().product();
            let view = flat.f_narrow(0, offset, length)?.f_view(shape.as_slice())?.f_detach()?;
            views.push(view.f_set_requires_grad(true)?);
            offset += length;
        }
        let half = WAVES / 2;
        // From 20 to 0.02 radians over a factor e of the level.
        let frequency: Vec<f32> =
            (0..half).map(|k| 20.0 * (1e-3_f32).powf(k as f32 / (half - 1) as f32)).collect();
        Ok(ScoreNetwork {
            flat,
            views,
            frequency: Tensor::f_from_slice(&frequency)?.f_to_device(device)?,
            width: w as i64,
            heads: settings.heads as i64,
            layers: settings.layers,
        })
    }

    /// sigma times the score, (B, n, 3), of noisy places (B, n, 3) at noise levels sigma (B, 1, 1).
    pub(super) fn scaled_score(&self, x: &Tensor, sigma: &Tensor) -> Result<Tensor> {
        let level = self.linear(5, &self.linear(3, &self.waves(sigma)?)?.f_silu()?)?;
        let mut h = self.linear(0, x)?.f_add(&self.views[2])?.f_add(&level)?;
        for layer in 0..self.layers {
            h = self.layer(7 + PER_LAYER * layer, &h)?;
        }
        let end = 7 + PER_LAYER * self.layers;
        self.linear(end + 2, &self.norm(end, &h)?)
    }

    /// Gradient of a scalar loss in the order of the flat weights.
    pub(super) fn gradient(&self, loss: &Tensor) -> Result<Tensor> {
        let parts = Tensor::f_run_backward(&[loss], &self.views, false, false)?;
        let flat =
            parts.iter().map(|part| part.f_reshape([-1_i64])).collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Tensor::f_cat(&flat, 0)?)
    }

    fn linear(&self, first: usize, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_linear(&self.views[first], Some(&self.views[first + 1]))?)
    }

    fn norm(&self, first: usize, x: &Tensor) -> Result<Tensor> {
        let (scale, shift) = (&self.views[first], &self.views[first + 1]);
        Ok(x.f_layer_norm([self.width].as_slice(), Some(scale), Some(shift), 1e-5, false)?)
    }

    fn layer(&self, first: usize, h: &Tensor) -> Result<Tensor> {
        let (batch, atoms, width) = h.size3()?;
        let each = width / self.heads;
        let parts = self.linear(first + 2, &self.norm(first, h)?)?;
        // (3, B, heads, n, each)
        let parts = parts.f_view([batch, atoms, 3, self.heads, each])?.f_permute([2, 0, 3, 1, 4])?;
        let (q, k, v) = (parts.f_get(0)?, parts.f_get(1)?, parts.f_get(2)?);
        let likeness = q.f_matmul(&k.f_transpose(2, 3)?)?.f_mul_scalar((each as f64).powf(-0.5))?;
        let mixed = likeness.f_softmax(3, None::<Kind>)?.f_matmul(&v)?;
        let mixed = mixed.f_transpose(1, 2)?.f_reshape([batch, atoms, width])?;
        let h = h.f_add(&self.linear(first + 4, &mixed)?)?;
        let inner = self.linear(first + 8, &self.norm(first + 6, &h)?)?.f_gelu("none")?;
        Ok(h.f_add(&self.linear(first + 10, &inner)?)?)
    }

    /// (B, 1, WAVES) of noise levels (B, 1, 1).
    fn waves(&self, sigma: &Tensor) -> Result<Tensor> {
        let phase = sigma.f_log()?.f_mul(&self.frequency)?;
        Ok(Tensor::f_cat(&[phase.f_sin()?, phase.f_cos()?], 2)?)
    }
}
