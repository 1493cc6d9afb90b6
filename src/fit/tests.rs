//! Fits against the NumPy reference, against potentials in closed form, and what is refused.

mod parity;
mod physics;
mod refusals;
mod weights;

use ndarray::{Array1, Array3};

use super::*;
use crate::analytic::{Frame as Analytic, Molecule};

/// Frames of a potential in closed form as a data set.
pub(crate) fn dataset(molecule: &Molecule, frames: &[Analytic]) -> Dataset {
    let shape = (frames.len(), molecule.species.len(), 3);
    let pick = |of: fn(&Analytic) -> &Vec<[f64; 3]>| {
        Array3::from_shape_fn(shape, |(frame, atom, c)| of(&frames[frame])[atom][c])
    };
    let energies: Array1<f64> = frames.iter().map(|frame| frame.energy).collect();
    Dataset::from_arrays(
        molecule.species.clone(),
        pick(|frame| &frame.x),
        Some(pick(|frame| &frame.forces)),
        Some(energies),
        None,
    )
    .unwrap()
}

/// A fit that says nothing.
fn quiet(data: &Dataset, settings: &Settings) -> Result<Fit> {
    fit(data, settings, &mut |_| Ok(()))
}

fn given(frames: usize) -> Settings {
    Settings { frames, sigma: Some(10.0), ridge: Some(1e-9), memory: None, plain: true }
}

/// Root mean square.
fn rms<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0.0), |(sum, count), v| (sum + v * v, count + 1.0));
    f64::sqrt(sum / count)
}
