//! Labels in memory: what is done when a labeling stops is kept, and the next call goes on there.

use ndarray::{s, Array1, Array3};

use super::whereabouts;
use crate::dataset::Dataset;
use crate::potential::{self, Answer, Potential};
use crate::{Error, Result};

/// Energies and forces of the first frames of a trajectory by one potential, which a labeling that stopped has left.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// What frames these are.
    digest: String,
    energies: Vec<f64>,
    forces: Vec<f64>,
}

impl Kept {
    /// Number of frames of `data` that have labels here.
    pub fn of(&self, data: &Dataset) -> usize {
        if self.digest == data.source.digest {
            self.energies.len()
        } else {
            0
        }
    }

    /// Those frames and their labels; none where there is none.
    ///
    /// # Errors
    /// [`Error::Numeric`] where the labels do not fit the frames.
    pub fn dataset(&self, data: &Dataset) -> Result<Option<Dataset>> {
        let done = self.of(data);
        if done == 0 {
            return Ok(None);
        }
        let mut part = data.subset(&(0..done).collect::<Vec<_>>())?;
        part.energies = Some(Array1::from(self.energies.clone()));
        part.forces = Some(cube(self.forces.clone(), part.positions.dim())?);
        part.source.digest = part.digest();
        Ok(Some(part))
    }

    fn add(&mut self, answer: &Answer) {
        self.energies.extend(answer.energies.slice(s![..answer.done]));
        self.forces.extend(answer.forces.slice(s![..answer.done, .., ..]));
    }
}

/// Energies (N) and forces (N, n, 3) of every frame, `batch` of them at a time. Where `kept` has labels of the first frames,
/// it goes on after these; whatever stops it leaves there what is done. `progress` is told how many frames are done; an
/// error of its own stops the work.
///
/// # Errors
/// [`Error::Potential`] with the frame as the trajectory file numbers it; whatever else the potential or `progress` returns.
pub fn in_memory(
    data: &Dataset,
    potential: &mut dyn Potential,
    kept: &mut Kept,
    batch: usize,
    progress: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<(Array1<f64>, Array3<f64>)> {
    if kept.of(data) == 0 {
        *kept = Kept { digest: data.source.digest.clone(), ..Kept::default() };
    }
    let batch = batch.min(potential.largest_batch()).max(1);
    let told = frames(data, potential, kept, batch, progress);
    told.map_err(|error| said(error, data, kept.energies.len()))?;
    let Kept { energies, forces, .. } = std::mem::take(kept);
    Ok((Array1::from(energies), cube(forces, data.positions.dim())?))
}

fn frames(
    data: &Dataset,
    potential: &mut dyn Potential,
    kept: &mut Kept,
    batch: usize,
    progress: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<()> {
    if !kept.energies.is_empty() {
        progress(kept.energies.len())?;
    }
    while kept.energies.len() < data.len() {
        let first = kept.energies.len();
        let rows = first..first.saturating_add(batch).min(data.len());
        let answer = potential::attempt(potential, &data.species, data.positions.slice(s![rows, .., ..]));
        kept.add(&answer);
        if let Some(error) = answer.failure {
            return Err(error.renumbered(|row| data.source.frames[(first + row).min(data.len() - 1)]));
        }
        progress(kept.energies.len())?;
    }
    Ok(())
}

/// Where the frames are from, and what is kept.
fn said(error: Error, data: &Dataset, done: usize) -> Error {
    let kept = match done {
        0 => String::new(),
        _ => format!("; {done} of {} frames are done and kept with the potential", data.len()),
    };
    match error {
        Error::Potential { name, frame, status, message } => {
            Error::Potential { name, frame, status, message: format!("{}{message}{kept}", whereabouts(data)) }
        }
        Error::Interrupted(message) => Error::Interrupted(format!("{message}{kept}")),
        other => other,
    }
}

fn cube(forces: Vec<f64>, shape: (usize, usize, usize)) -> Result<Array3<f64>> {
    Array3::from_shape_vec(shape, forces)
        .map_err(|error| Error::Numeric(format!("the labels do not fit: {error}")))
}
