//! The sliced drift: on every line (a projection of the features), the batch moves onto the data by
//! one-dimensional optimal transport, which is sort to sort. No bandwidth, so stiff and soft modes feel
//! the same pull. Drifting extends to sliced Wasserstein flows (arXiv 2605.05118).

use rayon::prelude::*;
use tch::{Kind, Tensor};

use crate::{Error, Result};

/// A real number as an unsigned integer of the same order (that of `total_cmp`, NaN included): whole numbers sort
/// several times faster than reals with a comparison of their own.
trait Ordered: Copy + Send + Sync {
    type Bits: Copy + Ord + Send + Sync;
    /// The number and its place: sorts by number, then by place.
    type Placed: Copy + Ord + Send + Sync;
    fn bits(self) -> Self::Bits;
    fn from_bits(bits: Self::Bits) -> Self;
    fn placed(self, place: u32) -> Self::Placed;
    fn place(placed: Self::Placed) -> u32;
}

macro_rules! ordered {
    ($real:ty, $bits:ty, $signed:ty, $wide:ty) => {
        impl Ordered for $real {
            type Bits = $bits;
            type Placed = $wide;
            fn bits(self) -> $bits {
                const SIGN: $bits = 1 << (<$bits>::BITS - 1);
                let bits = self.to_bits();
                // Negative numbers: all bits turned; positive ones: the sign alone.
                bits ^ ((bits as $signed >> (<$bits>::BITS - 1)) as $bits | SIGN)
            }
            fn from_bits(bits: $bits) -> $real {
                const SIGN: $bits = 1 << (<$bits>::BITS - 1);
                <$real>::from_bits(if bits & SIGN == 0 { !bits } else { bits ^ SIGN })
            }
            fn placed(self, place: u32) -> $wide {
                <$wide>::from(self.bits()) << 32 | <$wide>::from(place)
            }
            fn place(placed: $wide) -> u32 {
                placed as u32
            }
        }
    };
}
ordered!(f32, u32, i32, u64);
ordered!(f64, u64, i64, u128);

/// Targets (L, B) of projections `x` (L, B) of the generated batch for projections `y` (L, B) of equally
/// many data: on each line the k-th smallest of x gets the k-th smallest of y. No gradient flows.
///
/// # Errors
/// [`Error::Usage`] where the shapes differ; libtorch's own refusals.
pub fn targets(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    transport(x, &ascending(y)?)
}

/// Numbers (L, B), each row in ascending order. No gradient flows.
///
/// # Errors
/// [`Error::Usage`] where they are no matrix of real numbers; libtorch's own refusals.
pub fn ascending(y: &Tensor) -> Result<Tensor> {
    let y = y.f_detach()?;
    if y.dim() != 2 {
        return Err(Error::usage(format!("projections must be a matrix, not of shape {:?}", y.size())));
    }
    if y.device().is_cuda() {
        return Ok(y.f_sort(1, false)?.0);
    }
    match y.f_kind()? {
        Kind::Float => sort_rows::<f32>(&y),
        Kind::Double => sort_rows::<f64>(&y),
        other => Err(no_real(other)),
    }
}

/// [`targets`] for projections of the data that stand in ascending order on each line already.
///
/// # Errors
/// As [`targets`].
pub fn transport(x: &Tensor, sorted: &Tensor) -> Result<Tensor> {
    let x = x.f_detach()?;
    if x.size() != sorted.size() || x.dim() != 2 || x.f_kind()? != sorted.f_kind()? {
        return Err(Error::usage(format!(
            "projections of batch and data differ: {:?} of {:?} and {:?} of {:?}",
            x.size(),
            x.f_kind()?,
            sorted.size(),
            sorted.f_kind()?
        )));
    }
    if x.device().is_cuda() {
        let (_, order) = x.f_sort(1, false)?;
        return Ok(x.f_scatter(1, &order, sorted)?);
    }
    match x.f_kind()? {
        Kind::Float => in_order::<f32>(&x, sorted),
        Kind::Double => in_order::<f64>(&x, sorted),
        other => Err(no_real(other)),
    }
}

fn no_real(kind: Kind) -> Error {
    Error::usage(format!("projections must be single or double precision, not {kind:?}"))
}

fn sort_rows<T: Ordered + Default + tch::kind::Element>(y: &Tensor) -> Result<Tensor> {
    by_rows::<T, Vec<T::Bits>>(y, |sorted, _, values| {
        sorted.clear();
        sorted.extend(values.iter().map(|v| v.bits()));
        sorted.sort_unstable();
        values.iter_mut().zip(sorted.iter()).for_each(|(value, &bits)| *value = T::from_bits(bits));
    })
}

fn in_order<T: Ordered + Default + tch::kind::Element>(x: &Tensor, sorted: &Tensor) -> Result<Tensor> {
    let batch = x.size2()?.1 as usize;
    let mut targets = vec![T::default(); x.numel()];
    sorted.f_contiguous()?.f_copy_data(&mut targets, x.numel())?;
    by_rows::<T, Vec<T::Placed>>(x, |order, number, values| {
        order.clear();
        // Equal values keep the order of the batch, so that the result does not depend on the sort.
        order.extend(values.iter().enumerate().map(|(k, &v)| v.placed(k as u32)));
        order.sort_unstable();
        for (&placed, &target) in order.iter().zip(&targets[number * batch..]) {
            values[T::place(placed) as usize] = target;
        }
    })
}

/// A copy of (L, B) of which `work` changes each row, given its number and a place of the thread's own.
fn by_rows<T: Ordered + Default + tch::kind::Element, Own: Default>(
    matrix: &Tensor,
    work: impl Fn(&mut Own, usize, &mut [T]) + Sync,
) -> Result<Tensor> {
    let (rows, columns) = matrix.size2()?;
    let mut values = vec![T::default(); matrix.numel()];
    if values.is_empty() {
        return Ok(matrix.shallow_clone());
    }
    matrix.f_contiguous()?.f_copy_data(&mut values, matrix.numel())?;
    values
        .par_chunks_mut(columns as usize)
        .enumerate()
        .for_each_init(Own::default, |own, (number, row)| work(own, number, row));
    Ok(Tensor::f_from_slice(&values)?.f_view([rows, columns])?)
}

/// Unit directions, the columns of normal numbers (d, K), or of several such sets (S, d, K).
///
/// # Errors
/// Where libtorch refuses.
pub fn directions(normals: &Tensor) -> Result<Tensor> {
    let norm = normals.f_norm_scalaropt_dim(2.0, [-2_i64].as_slice(), true)?.f_clamp_min(1e-12)?;
    Ok(normals.f_div(&norm)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_to_sort_by_hand() {
        let x = Tensor::from_slice(&[3.0, 1.0, 2.0, 0.0, 0.0, -5.0]).view([2, 3]);
        let y = Tensor::from_slice(&[10.0, 30.0, 20.0, 7.0, 9.0, 8.0]).view([2, 3]);
        let got = Vec::<f64>::try_from(targets(&x, &y).unwrap().view([-1])).unwrap();
        assert_eq!(got, [30.0, 10.0, 20.0, 8.0, 9.0, 7.0]);
        assert!(targets(&x, &y.narrow(1, 0, 2)).is_err());
    }

    #[test]
    fn the_transport_on_a_line_is_the_optimal_one() {
        // Over all pairings of 6 points, sort to sort has the least sum of squares.
        let x = [0.3, -1.2, 2.2, 0.9, -0.1, 1.4];
        let y = [1.0, 0.2, -0.7, 3.0, 0.5, -2.0];
        let target =
            targets(&Tensor::from_slice(&x).view([1, 6]), &Tensor::from_slice(&y).view([1, 6])).unwrap();
        let target = Vec::<f64>::try_from(target.view([-1])).unwrap();
        let cost = |t: &[f64]| x.iter().zip(t).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        let mut best = f64::INFINITY;
        fn all(y: &mut Vec<f64>, k: usize, f: &mut impl FnMut(&[f64])) {
            if k == y.len() {
                return f(y);
            }
            for i in k..y.len() {
                y.swap(k, i);
                all(y, k + 1, f);
                y.swap(k, i);
            }
        }
        all(&mut y.to_vec(), 0, &mut |p| best = best.min(cost(p)));
        assert!((cost(&target) - best).abs() < 1e-12);
    }
}
