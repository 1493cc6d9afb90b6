//! Inference of the generator: a perceptron with SiLU units, in single precision.
//!
//! Every output is `b + sum_k x_k w_k`, summed in the order of k by fused multiply-adds. A fused
//! multiply-add is rounded once by definition, so the bytes depend neither on the instruction set nor
//! on how rows and columns are tiled: one row alone and a row in a large batch give the same.

use crate::vector_exp::exp_f32;
use crate::{Error, Result};

/// Columns of one panel of weights: two AVX2 registers, one AVX-512 register.
const WIDTH: usize = 16;
/// Rows computed together: with 6 x 16 accumulators all of them stay in registers.
const ROWS: usize = 6;

/// One linear layer as it is stored: weights (outputs, inputs), row-major, and bias (outputs).
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Number of inputs.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
    /// (outputs, inputs), row-major.
    pub weight: Vec<f32>,
    /// (outputs).
    pub bias: Vec<f32>,
}

#[derive(Debug, Clone)]
struct Packed {
    inputs: usize,
    outputs: usize,
    /// Panels of `WIDTH` columns, each (inputs, WIDTH), zero-padded.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// The layers packed for inference. SiLU stands between layers, none after the last.
#[derive(Debug, Clone)]
pub struct Network {
    layers: Vec<Packed>,
}

impl Network {
    /// Packs layers.
    ///
    /// # Errors
    /// [`Error::Numeric`] where there is no layer or one does not fit the next.
    pub fn new(layers: &[Layer]) -> Result<Self> {
        let fits = layers.windows(2).all(|pair| pair[0].outputs == pair[1].inputs);
        let whole = layers.iter().all(|l| {
            l.inputs > 0
                && l.bias.len() == l.outputs
                && Some(l.weight.len()) == l.inputs.checked_mul(l.outputs)
        });
        if layers.is_empty() || !fits || !whole {
            return Err(Error::Numeric(
                "the network's layers do not fit together; train or copy the model again".into(),
            ));
        }
        let layers = layers
            .iter()
            .map(|layer| {
                let panels = layer.outputs.div_ceil(WIDTH);
                let mut weight = vec![0.0; panels * layer.inputs * WIDTH];
                let mut bias = vec![0.0; panels * WIDTH];
                bias[..layer.outputs].copy_from_slice(&layer.bias);
                for (j, row) in layer.weight.chunks_exact(layer.inputs).enumerate() {
                    let base = (j / WIDTH) * layer.inputs * WIDTH + j % WIDTH;
                    for (k, &w) in row.iter().enumerate() {
                        weight[base + k * WIDTH] = w;
                    }
                }
                Packed { inputs: layer.inputs, outputs: layer.outputs, weight, bias }
            })
            .collect();
        Ok(Network { layers })
    }

    /// Outputs (rows, outputs) for inputs (rows, inputs).
    pub fn forward(&self, input: &[f32], rows: usize) -> Vec<f32> {
        pulp::Arch::new().dispatch(Forward { network: self, input, rows })
    }

    #[inline(always)]
    fn forward_inlined(&self, input: &[f32], rows: usize) -> Vec<f32> {
        let mut x = input.to_vec();
        for (number, layer) in self.layers.iter().enumerate() {
            let mut y = vec![0.0; rows * layer.outputs];
            let mut row = 0;
            while row + ROWS <= rows {
                tile::<ROWS>(layer, &x, &mut y, row);
                row += ROWS;
            }
            while row < rows {
                tile::<1>(layer, &x, &mut y, row);
                row += 1;
            }
            if number + 1 < self.layers.len() {
                for value in &mut y {
                    *value = silu(*value);
                }
            }
            x = y;
        }
        x
    }
}

/// One call, in a form that is compiled with the machine's vector instructions. (A closure would not be: it is a
/// function of its own as soon as it is long, and every fused multiply-add in it a call of the C library.)
struct Forward<'a> {
    network: &'a Network,
    input: &'a [f32],
    rows: usize,
}

impl pulp::WithSimd for Forward<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Vec<f32> {
        self.network.forward_inlined(self.input, self.rows)
    }
}

#[inline(always)]
fn tile<const R: usize>(layer: &Packed, x: &[f32], y: &mut [f32], row: usize) {
    let n = layer.inputs;
    let rows: [&[f32]; R] = std::array::from_fn(|r| &x[(row + r) * n..][..n]);
    for (panel, weight) in layer.weight.chunks_exact(n * WIDTH).enumerate() {
        let mut bias = [0.0_f32; WIDTH];
        bias.copy_from_slice(&layer.bias[panel * WIDTH..][..WIDTH]);
        let mut sum = [bias; R];
        for (k, w) in weight.chunks_exact(WIDTH).enumerate() {
            for r in 0..R {
                let a = rows[r][k];
                for c in 0..WIDTH {
                    sum[r][c] = a.mul_add(w[c], sum[r][c]);
                }
            }
        }
        let columns = WIDTH.min(layer.outputs - panel * WIDTH);
        for (r, sum) in sum.iter().enumerate() {
            y[(row + r) * layer.outputs + panel * WIDTH..][..columns].copy_from_slice(&sum[..columns]);
        }
    }
}

/// x / (1 + exp(-x)).
#[inline(always)]
fn silu(x: f32) -> f32 {
    x / (1.0 + exp_f32(-x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::noise::{Purpose, Stream};

    fn network(sizes: &[usize]) -> (Vec<Layer>, Network) {
        let mut stream = Stream::new(1, Purpose::Weights, 0);
        let layers: Vec<Layer> = sizes
            .windows(2)
            .map(|s| {
                let mut weight = vec![0.0; s[0] * s[1]];
                let mut bias = vec![0.0; s[1]];
                stream.normals(&mut weight);
                stream.normals(&mut bias);
                weight.iter_mut().for_each(|w| *w /= (s[0] as f32).sqrt());
                Layer { inputs: s[0], outputs: s[1], weight, bias }
            })
            .collect();
        let network = Network::new(&layers).unwrap();
        (layers, network)
    }

    #[test]
    fn silu_at_its_ends() {
        assert!(silu(f32::NAN).is_nan() && silu(-1e30).abs() < 1e-6 && silu(1e30) == 1e30);
    }

    #[test]
    fn agrees_with_double_precision() {
        let (layers, network) = network(&[13, 37, 19, 5]);
        let mut input = vec![0.0; 11 * 13];
        Stream::new(2, Purpose::Positions, 0).normals(&mut input);
        let got = network.forward(&input, 11);
        for row in 0..11 {
            let mut x: Vec<f64> = input[row * 13..][..13].iter().map(|&v| f64::from(v)).collect();
            for (number, layer) in layers.iter().enumerate() {
                let y = (0..layer.outputs).map(|j| {
                    let w = &layer.weight[j * layer.inputs..][..layer.inputs];
                    let sum = w.iter().zip(&x).map(|(&w, x)| f64::from(w) * x).sum::<f64>()
                        + f64::from(layer.bias[j]);
                    if number + 1 < layers.len() {
                        sum / (1.0 + (-sum).exp())
                    } else {
                        sum
                    }
                });
                x = y.collect();
            }
            for (a, b) in got[row * 5..][..5].iter().zip(&x) {
                assert!((f64::from(*a) - b).abs() < 1e-5 * (1.0 + b.abs()));
            }
        }
    }

    #[test]
    fn a_row_gives_the_same_bytes_in_any_batch() {
        let (_, network) = network(&[64, 256, 27]);
        let mut input = vec![0.0; 100 * 64];
        Stream::new(3, Purpose::Positions, 0).normals(&mut input);
        let all = network.forward(&input, 100);
        for (start, count) in [(0, 1), (99, 1), (5, 7), (40, 60)] {
            let part = network.forward(&input[start * 64..][..count * 64], count);
            assert_eq!(part, all[start * 27..][..count * 27]);
        }
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        let layer = |inputs, outputs| Layer {
            inputs,
            outputs,
            weight: vec![0.0; inputs * outputs],
            bias: vec![0.0; outputs],
        };
        assert!(Network::new(&[layer(3, 4), layer(5, 2)]).is_err());
        assert!(Network::new(&[]).is_err());
        assert!(Network::new(&[Layer { bias: vec![], ..layer(2, 2) }]).is_err());
    }
}
