//! The memory of libtorch's tensors on the CPU as slices, for loops that libtorch has no operation for.
#![allow(unsafe_code)]

use tch::{Device, Kind, Tensor};

use crate::{Error, Result};

/// Gives `work` the numbers of tensors of single precision on the CPU, each whole and by itself. The tensors are those of one
/// training, which runs on nothing else meanwhile.
///
/// # Errors
/// [`Error::Numeric`] where a tensor is of another kind or device, has gaps, or shares memory with another one; those of
/// `work`.
pub(super) fn with_numbers<const N: usize, T>(
    tensors: [&Tensor; N],
    work: impl FnOnce([&mut [f32]; N]) -> Result<T>,
) -> Result<T> {
    let mut places: Vec<(usize, usize)> = Vec::with_capacity(N);
    for tensor in tensors {
        let (start, bytes) = (tensor.data_ptr() as usize, 4 * tensor.numel());
        let whole =
            tensor.device() == Device::Cpu && tensor.f_kind()? == Kind::Float && tensor.is_contiguous();
        let apart = places.iter().all(|&(other, length)| start + bytes <= other || other + length <= start);
        if !whole || !apart || start == 0 {
            return Err(Error::Numeric("a tensor of the training does not stand in memory by itself".into()));
        }
        places.push((start, bytes));
    }
    // SAFETY: each pointer is that of a living tensor of `numel` singles without gaps, borrowed for the whole call; the ranges
    // do not overlap, as was just checked, and no operation of libtorch runs on them while `work` does.
    work(tensors.map(|tensor| unsafe {
        std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), tensor.numel())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_tensor() {
        let (a, b) = (Tensor::from_slice(&[1.0_f32, 2.0, 3.0]), Tensor::from_slice(&[4.0_f32]));
        with_numbers([&a, &b], |[a, b]| {
            a[1] += b[0];
            Ok(())
        })
        .unwrap();
        assert_eq!(Vec::<f32>::try_from(&a).unwrap(), [1.0, 6.0, 3.0]);
    }

    #[test]
    fn what_shares_memory_or_is_of_another_kind_is_refused() {
        let all = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2]);
        for pair in [
            [all.shallow_clone(), all.narrow(0, 0, 1)],
            [all.narrow(1, 0, 1), Tensor::from_slice(&[1.0_f32])],
            [all.to_kind(Kind::Double), Tensor::from_slice(&[1.0_f32])],
        ] {
            assert!(with_numbers([&pair[0], &pair[1]], |_| Ok(())).is_err());
        }
        let halves = [all.narrow(0, 0, 1), all.narrow(0, 1, 1)];
        assert!(with_numbers([&halves[0], &halves[1]], |_| Ok(())).is_ok());
    }
}
