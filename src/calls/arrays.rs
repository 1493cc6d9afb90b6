//! Numbers of the caller, refused by name where they will not do.

use ndarray::{Array3, ArrayView3, ArrayViewMut3};

use crate::{Error, Result};

/// Refuses an array whose length is not what is written or read.
pub(crate) fn same_length(given: usize, needed: usize, name: &str) -> Result<()> {
    if given == needed {
        return Ok(());
    }
    Err(Error::usage(format!("{name} has {given} numbers, but {needed} are needed")))
}

/// frames x atoms x 3, or an error where that is no size of an array.
pub(crate) fn size(frames: usize, atoms: usize) -> Result<usize> {
    let all = atoms.checked_mul(3).and_then(|each| frames.checked_mul(each));
    all.filter(|&all| all <= isize::MAX as usize / 8)
        .ok_or_else(|| Error::usage(format!("{frames} frames of {atoms} atoms do not fit in memory")))
}

/// Atomic numbers, 1 to 118.
pub(crate) fn species(given: &[i32]) -> Result<Vec<u8>> {
    given
        .iter()
        .enumerate()
        .map(|(atom, &z)| {
            u8::try_from(z).ok().filter(|z| (1..=118).contains(z)).ok_or_else(|| {
                Error::usage(format!("species of atom {atom} is {z}: give an atomic number, 1 to 118"))
            })
        })
        .collect()
}

/// That all numbers are finite; `each` of them make a frame.
fn finite(given: &[f64], each: usize, name: &str) -> Result<()> {
    let Some(at) = given.iter().position(|x| !x.is_finite()) else { return Ok(()) };
    let (frame, atom) = (at / each.max(1), at % each.max(1) / 3);
    Err(Error::usage(format!("{name}: frame {frame}, atom {atom}: the number is not finite")))
}

/// A copy (frames, atoms, 3) of the caller's numbers, all of them finite.
pub(crate) fn cube(given: &[f64], frames: usize, atoms: usize, name: &str) -> Result<Array3<f64>> {
    same_length(given.len(), size(frames, atoms)?, name)?;
    finite(given, 3 * atoms, name)?;
    Array3::from_shape_vec((frames, atoms, 3), given.to_vec()).map_err(shape)
}

/// The caller's numbers as (frames, atoms, 3), without a copy.
pub(crate) fn view<'a>(
    given: &'a [f64],
    frames: usize,
    atoms: usize,
    name: &str,
) -> Result<ArrayView3<'a, f64>> {
    same_length(given.len(), size(frames, atoms)?, name)?;
    ArrayView3::from_shape((frames, atoms, 3), given).map_err(shape)
}

/// The caller's room as (frames, atoms, 3).
pub(crate) fn room<'a>(
    given: &'a mut [f64],
    frames: usize,
    atoms: usize,
    name: &str,
) -> Result<ArrayViewMut3<'a, f64>> {
    same_length(given.len(), size(frames, atoms)?, name)?;
    ArrayViewMut3::from_shape((frames, atoms, 3), given).map_err(shape)
}

fn shape(error: ndarray::ShapeError) -> Error {
    Error::Numeric(error.to_string())
}

/// Copies numbers out.
pub(crate) fn copy<'a, T: Copy + 'a, U: From<T>>(
    out: &mut [U],
    from: impl ExactSizeIterator<Item = &'a T>,
    name: &str,
) -> Result<()> {
    same_length(out.len(), from.len(), name)?;
    out.iter_mut().zip(from).for_each(|(to, from)| *to = U::from(*from));
    Ok(())
}

/// Masses (n) in amu, all of them positive.
pub(crate) fn masses(given: &[f64], atoms: usize) -> Result<()> {
    same_length(given.len(), atoms, "masses")?;
    match given.iter().position(|m| !(*m > 0.0 && m.is_finite())) {
        Some(atom) => Err(Error::usage(format!("mass of atom {atom} is not positive; give masses in amu"))),
        None => Ok(()),
    }
}
