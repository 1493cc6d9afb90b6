//! Adam on one flat tensor. libtorch's own keeps its moments to itself; an exact `--resume` needs them.

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::memory::with_numbers;
use crate::{Error, Result};

/// Numbers that one thread takes at a time.
const PIECE: usize = 1 << 14;
/// Numbers whose gradients are summed in the first cache before they are used.
const SUMMED: usize = 1 << 9;

/// Sums of 1, 2, 4, ... gradients that wait for their neighbours: enough for 2^16 of them.
const LEVELS: usize = 17;

/// Moments and settings of Adam (Kingma and Ba 2015, without weight decay).
#[derive(Debug)]
pub struct Adam {
    /// First moment.
    pub mean: Tensor,
    /// Second moment.
    pub square: Tensor,
    /// Decay rates of the two.
    pub betas: (f64, f64),
}

/// One step.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Counted from 1.
    pub number: usize,
    /// Learning rate.
    pub rate: f64,
    /// Decay of the moving average of the weights.
    pub decay: f64,
}

impl Adam {
    pub(super) const EPSILON: f64 = 1e-8;

    /// Moments of zero for weights like `flat`.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn new(flat: &Tensor, betas: (f64, f64)) -> Result<Self> {
        let zeros = || Tensor::f_zeros([flat.numel() as i64], (Kind::Float, flat.device()));
        Ok(Adam { mean: zeros()?, square: zeros()?, betas })
    }

    /// Changes `flat` (W) in place along the sum of the rows of `gradients` (P, W), and takes the result into the moving
    /// average `average`.
    ///
    /// # Errors
    /// [`Error::Numeric`] where the numbers are not as many; where libtorch refuses.
    pub fn step(&mut self, flat: &Tensor, gradients: &Tensor, average: &Tensor, step: Step) -> Result<()> {
        let factors = Factors::new(self.betas, step);
        let state = [flat, average, &self.mean, &self.square];
        let length = flat.numel();
        let fits = state.iter().all(|one| one.numel() == length)
            && gradients.numel() / length.max(1) < 1 << (LEVELS - 1);
        if !fits || length == 0 || gradients.numel() == 0 || !gradients.numel().is_multiple_of(length) {
            return Err(Error::Numeric("weights, gradients and moments do not fit together".into()));
        }
        if flat.device() != Device::Cpu {
            let sum = gradients.f_view([-1, length as i64])?.f_sum_dim_intlist(
                [0_i64].as_slice(),
                false,
                None::<Kind>,
            )?;
            return tch::no_grad(|| by_libtorch(state.map(Tensor::shallow_clone), &sum, factors));
        }
        with_numbers(
            [flat, average, &self.mean, &self.square, gradients],
            |[flat, average, mean, square, all]| {
                let pieces = flat
                    .par_chunks_mut(PIECE)
                    .zip(average.par_chunks_mut(PIECE))
                    .zip(mean.par_chunks_mut(PIECE))
                    .zip(square.par_chunks_mut(PIECE));
                pieces.enumerate().for_each(|(number, (((flat, average), mean), square))| {
                    let rows = Rows { all, length, start: number * PIECE };
                    pulp::Arch::new().dispatch(Piece { flat, average, mean, square, rows, factors });
                });
                Ok(())
            },
        )
    }
}

/// What a step multiplies by.
#[derive(Debug, Clone, Copy)]
struct Factors {
    /// What the moments, and the moving average, take of the new: 1 less their decay.
    takes: [f64; 3],
    /// Of the square root of the second moment, and of the step.
    root: f64,
    step: f64,
}

impl Factors {
    fn new((b1, b2): (f64, f64), Step { number, rate, decay }: Step) -> Self {
        let exponent = i32::try_from(number).unwrap_or(i32::MAX);
        let (c1, c2) = (1.0 - b1.powi(exponent), 1.0 - b2.powi(exponent));
        Factors { takes: [1.0 - b1, 1.0 - b2, 1.0 - decay], root: 1.0 / c2.sqrt(), step: -rate / c1 }
    }
}

/// The gradients (P, W) from one weight on.
#[derive(Debug, Clone, Copy)]
struct Rows<'a> {
    all: &'a [f32],
    length: usize,
    start: usize,
}

impl Rows<'_> {
    /// The sums over all rows of `count` numbers from `first` on, in pairs as [`crate::ranks::in_pairs`] takes them: ranks that
    /// sum some of the rows each get the same bits.
    #[inline(always)]
    fn summed(self, first: usize, count: usize, sums: &mut [[f32; SUMMED]; LEVELS]) -> &[f32] {
        let mut rows = 0_usize;
        for gradient in self.all.chunks_exact(self.length) {
            let gradient = &gradient[first..][..count];
            // A sum of 2^k rows waits at level k where the number of rows so far has that bit.
            let level = rows.trailing_ones() as usize;
            if level == 0 {
                sums[0][..count].copy_from_slice(gradient);
            } else {
                add(&mut sums[0][..count], gradient);
                (1..level).for_each(|level| carry(sums, level - 1, level, count));
                let (from, to) = sums.split_at_mut(level);
                to[0][..count].copy_from_slice(&from[level - 1][..count]);
            }
            rows += 1;
        }
        let mut level = rows.trailing_zeros() as usize;
        for higher in level + 1..LEVELS {
            if rows >> higher & 1 == 1 {
                carry(sums, level, higher, count);
                level = higher;
            }
        }
        &sums[level][..count]
    }
}

#[inline(always)]
fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

/// Adds the sum at one level to that at a higher one.
#[inline(always)]
fn carry(sums: &mut [[f32; SUMMED]; LEVELS], from: usize, to: usize, count: usize) {
    let (low, high) = sums.split_at_mut(to);
    add(&mut high[0][..count], &low[from][..count]);
}

/// Some of the weights: every number is read and written once, not once for each operation.
struct Piece<'a> {
    flat: &'a mut [f32],
    average: &'a mut [f32],
    mean: &'a mut [f32],
    square: &'a mut [f32],
    rows: Rows<'a>,
    factors: Factors,
}

impl pulp::WithSimd for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Piece { flat, average, mean, square, rows, factors } = self;
        let [of_mean, of_square, of_average] = factors.takes.map(|take| take as f32);
        let (root, step, epsilon) = (factors.root as f32, factors.step as f32, Adam::EPSILON as f32);
        let mut sums = [[0.0_f32; SUMMED]; LEVELS];
        let blocks = flat
            .chunks_mut(SUMMED)
            .zip(average.chunks_mut(SUMMED))
            .zip(mean.chunks_mut(SUMMED))
            .zip(square.chunks_mut(SUMMED));
        for (number, (((flat, average), mean), square)) in blocks.enumerate() {
            let sum = rows.summed(rows.start + number * SUMMED, flat.len(), &mut sums);
            let state = flat.iter_mut().zip(average).zip(mean).zip(square);
            for ((((flat, average), mean), square), &g) in state.zip(sum) {
                *mean += of_mean * (g - *mean);
                *square += of_square * (g * g - *square);
                *flat += step * (*mean / (square.sqrt() * root + epsilon));
                // From the nearer end: exact where all is taken, as in the first step.
                let change = *flat - *average;
                *average = if of_average < 0.5 {
                    *average + of_average * change
                } else {
                    *flat - (1.0 - of_average) * change
                };
            }
        }
    }
}

fn by_libtorch(
    [mut flat, mut average, mut mean, mut square]: [Tensor; 4],
    gradient: &Tensor,
    Factors { takes: [of_mean, of_square, of_average], root, step }: Factors,
) -> Result<()> {
    let _ = mean.f_lerp_(gradient, of_mean)?;
    let _ = square.f_lerp_(&gradient.f_square()?, of_square)?;
    let mut change = square.f_sqrt()?;
    let _ = change.f_mul_scalar_(root)?.f_add_scalar_(Adam::EPSILON)?;
    let mut change = mean.f_div(&change)?;
    let _ = change.f_mul_scalar_(step)?;
    let _ = flat.f_add_(&change)?;
    let _ = average.f_lerp_(&flat, of_average)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::noise::{Purpose, Stream};

    #[test]
    fn first_steps_by_hand() {
        // With a constant gradient every bias-corrected step is -rate * g / (|g| + eps).
        let flat = Tensor::from_slice(&[1.0_f32, -2.0]);
        let gradient = Tensor::from_slice(&[0.5_f32, -3.0]);
        let average = Tensor::from_slice(&[0.0_f32, 0.0]);
        let mut adam = Adam::new(&flat, (0.9, 0.99)).unwrap();
        for number in 1..=3 {
            adam.step(&flat, &gradient, &average, Step { number, rate: 0.1, decay: 0.5 }).unwrap();
        }
        let got = Vec::<f32>::try_from(&flat).unwrap();
        assert!((got[0] - 0.7).abs() < 1e-5 && (got[1] + 1.7).abs() < 1e-5, "{got:?}");
        // Halves of 0.9, 0.8 and 0.7, each halved again by the steps after it.
        let got = Vec::<f32>::try_from(&average).unwrap();
        assert!((got[0] - (0.9 / 8.0 + 0.8 / 4.0 + 0.7 / 2.0)).abs() < 1e-5, "{got:?}");
    }

    #[test]
    fn pieces_are_the_whole() {
        // Every weight moves by itself: what stands beyond the first piece moves as what stands in it.
        let count = 2 * PIECE as i64 + 5;
        let flat = Tensor::from_slice(&[1.0_f32]).expand([count], false).contiguous();
        let (average, gradient) = (flat.zeros_like(), flat.full_like(0.5));
        let mut adam = Adam::new(&flat, (0.9, 0.99)).unwrap();
        adam.step(&flat, &gradient, &average, Step { number: 1, rate: 0.1, decay: 0.0 }).unwrap();
        for all in [&flat, &average] {
            let got = Vec::<f32>::try_from(all).unwrap();
            assert!(got.len() == count as usize && got.iter().all(|w| (w - 0.9).abs() < 1e-5));
        }
    }

    #[test]
    fn one_pass_is_libtorchs_operations_on_the_summed_gradient() {
        let numbers = |seed| {
            let mut out = vec![0.0; 3 * PIECE + 700];
            Stream::new(seed, Purpose::Training, 0).normals(&mut out);
            Tensor::from_slice(&out)
        };
        let (flat, average, gradients) = (numbers(1), numbers(2), [numbers(3), numbers(4), numbers(5)]);
        let sum = &gradients[0] + &gradients[1] + &gradients[2];
        let mut adam = Adam::new(&flat, (0.9, 0.99)).unwrap();
        let theirs = [&flat, &average, &adam.mean, &adam.square].map(Tensor::copy);
        let rows = Tensor::stack(&gradients, 0);
        for number in 1..=3 {
            let step = Step { number, rate: 0.01, decay: 1.0 - 1.0 / number as f64 };
            adam.step(&flat, &rows, &average, step).unwrap();
            by_libtorch(theirs.each_ref().map(Tensor::shallow_clone), &sum, Factors::new(adam.betas, step))
                .unwrap();
            for (ours, theirs) in [&flat, &average, &adam.mean, &adam.square].into_iter().zip(&theirs) {
                let apart = (ours - theirs).abs().max().double_value(&[]);
                assert!(apart < 2e-6, "{apart} after step {number}");
            }
        }
    }

    #[test]
    fn gradients_are_summed_in_pairs() {
        let count = PIECE + 700;
        let mut numbers = vec![0.0; 23 * count];
        Stream::new(1, Purpose::Training, 0).normals(&mut numbers);
        let zero = Tensor::from_slice(&vec![0.0_f32; count]);
        for rows in [1, 2, 3, 4, 7, 8, 13, 22, 23] {
            let all: Vec<Vec<f32>> = numbers.chunks(count).take(rows).map(<[f32]>::to_vec).collect();
            let gradients = Tensor::from_slice(&all.concat()).view([rows as i64, count as i64]);
            let sum = crate::ranks::in_pairs(all, |mut a, b| {
                a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                Ok(a)
            });
            // Moments that forget: the first is the gradient itself.
            let mut adam = Adam::new(&zero, (0.0, 0.0)).unwrap();
            adam.step(&zero.copy(), &gradients, &zero.copy(), Step { number: 1, rate: 0.1, decay: 0.5 })
                .unwrap();
            assert!(Vec::<f32>::try_from(&adam.mean).unwrap() == sum.unwrap().unwrap(), "{rows} rows");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (flat, longer) = (Tensor::from_slice(&[1.0_f32, 2.0]), Tensor::from_slice(&[1.0_f32, 2.0, 3.0]));
        let mut adam = Adam::new(&flat, (0.9, 0.99)).unwrap();
        let step = Step { number: 1, rate: 0.1, decay: 0.0 };
        assert!(adam.step(&flat, &longer, &flat.copy(), step).is_err());
        assert!(adam.step(&flat, &flat.copy(), &longer, step).is_err());
    }
}
