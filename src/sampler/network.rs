//! Inference of the generator: a perceptron with SiLU units, in single precision.
//!
//! Every output is `b + sum_k x_k w_k`, summed in the order of k by fused multiply-adds. A fused
//! multiply-add is rounded once by definition, so the bytes depend neither on the instruction set nor
//! on how rows and columns are tiled: one row alone and a row in a large batch give the same.

use crate::aligned::Aligned;
use crate::vector_exp::exp_f32;
use crate::{Error, Result};

/// Columns of one panel of weights: two AVX2 registers, one AVX-512 register.
const WIDTH: usize = 16;
/// Rows computed together: the sums of 6 x 16 stay in AVX2's 16 registers.
const ROWS: usize = 6;
/// The same with AVX-512, whose 32 registers hold 12 rows of two panels. A multiple of [`ROWS`].
pub(super) const MOST_ROWS: usize = 12;

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
    /// Panels of `WIDTH` columns, (ceil(outputs / WIDTH), inputs, WIDTH), zero-padded.
    weight: Vec<Piece>,
    bias: Vec<Piece>,
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
                let mut weight = vec![EMPTY; panels * layer.inputs];
                let mut bias = vec![EMPTY; panels];
                for (piece, values) in bias.iter_mut().zip(layer.bias.chunks(WIDTH)) {
                    piece[..values.len()].copy_from_slice(values);
                }
                for (j, row) in layer.weight.chunks_exact(layer.inputs).enumerate() {
                    let panel = &mut weight[(j / WIDTH) * layer.inputs..][..layer.inputs];
                    for (piece, &w) in panel.iter_mut().zip(row) {
                        piece[j % WIDTH] = w;
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
    fn with_simd<S: pulp::Simd>(self, simd: S) -> Vec<f32> {
        // Vectors in a panel; rows and panels of a tile; panels computed together for a single row: eight chains of
        // additions, so that none waits for its own last one.
        match WIDTH / S::F32_LANES {
            1 => self.run::<S, 1, MOST_ROWS, 2, 8>(simd),
            2 => self.run::<S, 2, ROWS, 1, 4>(simd),
            4 => self.run::<S, 4, ROWS, 1, 2>(simd),
            _ => self.run::<pulp::Scalar, 16, ROWS, 1, 1>(pulp::Scalar::new()),
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn run<S: pulp::Simd, const V: usize, const R: usize, const P: usize, const ALONE: usize>(
        self,
        simd: S,
    ) -> Vec<f32> {
        let Forward { network: Network { layers }, input, rows } = self;
        let (Some(first), Some(last)) = (layers.first(), layers.last()) else { return Vec::new() };
        let panels = |columns: usize| columns.div_ceil(WIDTH);
        let widest = layers.iter().map(|layer| layer.outputs).max().unwrap_or(0).max(first.inputs);
        let mut x = vec![EMPTY; rows * panels(widest)];
        let mut y = x.clone();
        for (row, values) in input.chunks_exact(first.inputs).enumerate() {
            for (panel, values) in values.chunks(WIDTH).enumerate() {
                x[panel * rows + row][..values.len()].copy_from_slice(values);
            }
        }
        for (number, layer) in layers.iter().enumerate() {
            let to = &mut y[..rows * panels(layer.outputs)];
            let bent = number + 1 < layers.len();
            let task = Task { layer, x: &x[..rows * panels(layer.inputs)], rows, bent };
            task.run::<S, V, R, P, ALONE>(simd, to);
            std::mem::swap(&mut x, &mut y);
        }
        let mut out = vec![0.0; rows * last.outputs];
        for (row, values) in out.chunks_exact_mut(last.outputs).enumerate() {
            for (panel, values) in values.chunks_mut(WIDTH).enumerate() {
                values.copy_from_slice(&x[panel * rows + row][..values.len()]);
            }
        }
        out
    }
}

/// Sixteen columns of one row: a cache line.
type Piece = Aligned<[f32; WIDTH]>;
const EMPTY: Piece = Aligned([0.0; WIDTH]);

/// A layer and what it is applied to.
#[derive(Clone, Copy)]
struct Task<'a> {
    layer: &'a Packed,
    /// Inputs in panels of columns, (ceil(inputs / WIDTH), rows, WIDTH): the numbers of a tile then stand at fixed places
    /// after one address.
    x: &'a [Piece],
    rows: usize,
    /// Whether SiLU follows.
    bent: bool,
}

impl Task<'_> {
    #[inline(always)]
    fn run<S: pulp::Simd, const V: usize, const R: usize, const P: usize, const ALONE: usize>(
        self,
        simd: S,
        y: &mut [Piece],
    ) {
        let panels = self.layer.outputs.div_ceil(WIDTH);
        let mut panel = 0;
        while self.rows == 1 && panel + ALONE <= panels {
            self.tile::<S, V, 1, ALONE>(simd, y, 0, panel);
            panel += ALONE;
        }
        while panel + P <= panels {
            self.panels::<S, V, R, P>(simd, y, panel);
            panel += P;
        }
        for panel in panel..panels {
            self.panels::<S, V, R, 1>(simd, y, panel);
        }
    }

    /// P panels of weights stay in the first cache for all rows.
    #[inline(always)]
    fn panels<S: pulp::Simd, const V: usize, const R: usize, const P: usize>(
        self,
        simd: S,
        y: &mut [Piece],
        panel: usize,
    ) {
        let mut row = 0;
        while row + R <= self.rows {
            self.tile::<S, V, R, P>(simd, y, row, panel);
            row += R;
        }
        if R > ROWS && row + ROWS <= self.rows {
            self.tile::<S, V, ROWS, P>(simd, y, row, panel);
            row += ROWS;
        }
        match self.rows - row {
            1 => self.tile::<S, V, 1, P>(simd, y, row, panel),
            2 => self.tile::<S, V, 2, P>(simd, y, row, panel),
            3 => self.tile::<S, V, 3, P>(simd, y, row, panel),
            4 => self.tile::<S, V, 4, P>(simd, y, row, panel),
            5 => self.tile::<S, V, 5, P>(simd, y, row, panel),
            _ => (),
        }
    }

    /// R rows times P panels of V vectors each.
    #[inline(always)]
    fn tile<S: pulp::Simd, const V: usize, const R: usize, const P: usize>(
        self,
        simd: S,
        y: &mut [Piece],
        row: usize,
        panel: usize,
    ) {
        let Packed { inputs, weight, bias, .. } = self.layer;
        let n = *inputs;
        let vectors = |piece: &Piece| -> [S::f32s; V] {
            let all = S::as_simd_f32s(&**piece).0;
            std::array::from_fn(|v| all[v])
        };
        let weights: [&[Piece]; P] = std::array::from_fn(|p| &weight[(panel + p) * n..][..n]);
        let bias = &bias[panel..][..P];
        let mut sum: [[[S::f32s; V]; P]; R] = [std::array::from_fn(|p| vectors(&bias[p])); R];
        for (block, start) in (0..n).step_by(WIDTH).enumerate() {
            let columns = WIDTH.min(n - start);
            let x = &self.x[block * self.rows + row..][..R];
            let weights: [&[Piece]; P] = std::array::from_fn(|p| &weights[p][start..][..columns]);
            for k in 0..columns {
                let w: [[S::f32s; V]; P] = std::array::from_fn(|p| vectors(&weights[p][k]));
                for r in 0..R {
                    let a = simd.splat_f32s(x[r][k]);
                    for p in 0..P {
                        for v in 0..V {
                            sum[r][p][v] = simd.mul_add_f32s(a, w[p][v], sum[r][p][v]);
                        }
                    }
                }
            }
        }
        for p in 0..P {
            let to = &mut y[(panel + p) * self.rows + row..][..R];
            for r in 0..R {
                S::as_mut_simd_f32s(&mut *to[r]).0.copy_from_slice(&sum[r][p]);
            }
            if self.bent {
                // A loop, as a closure's exponential would not be compiled with the vector instructions.
                for piece in to {
                    for value in piece.iter_mut() {
                        *value = silu(*value);
                    }
                }
            }
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
    fn the_instruction_set_changes_no_byte() {
        let (_, network) = network(&[30, 256, 70, 27]);
        let mut input = vec![0.0; 31 * 30];
        Stream::new(4, Purpose::Positions, 0).normals(&mut input);
        for rows in [1, 5, 31] {
            let task = || Forward { network: &network, input: &input[..rows * 30], rows };
            let bits = |out: Vec<f32>| out.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            let here = bits(network.forward(&input[..rows * 30], rows));
            assert_eq!(bits(pulp::WithSimd::with_simd(task(), pulp::Scalar::new())), here);
            #[cfg(target_arch = "x86_64")]
            if let Some(avx2) = pulp::x86::V3::try_new() {
                assert_eq!(bits(pulp::Simd::vectorize(avx2, task())), here);
            }
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
