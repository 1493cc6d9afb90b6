//! How new labels differ from those that the frames came with.

use super::partial::Record;
use crate::dataset::Dataset;

/// New labels against those of the trajectory, in kcal/mol and angstrom. What the trajectory does not have is absent.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Difference {
    /// Root mean square over the components of the differences of the forces.
    pub forces: Option<f64>,
    /// The same of the trajectory's own forces, to compare with.
    pub own_forces: Option<f64>,
    /// Mean of the new energy less the trajectory's: two codes count energies from different zeros.
    pub offset: Option<f64>,
    /// Standard deviation of the same.
    pub energies: Option<f64>,
}

/// Sums over the frames so far.
#[derive(Default)]
pub(super) struct Sums {
    components: f64,
    squares: f64,
    own: f64,
    frames: f64,
    mean: f64,
    /// Sum of squares about the mean, kept so that a large offset costs no digits (Welford).
    about: f64,
}

impl Sums {
    pub fn add(&mut self, data: &Dataset, row: usize, record: &Record) {
        if let Some(forces) = &data.forces {
            let (old, atoms) = (forces.index_axis(ndarray::Axis(0), row), data.atoms());
            for (old, new) in old.iter().zip(&record.forces) {
                self.squares += (new - old).powi(2);
                self.own += old * old;
            }
            self.components += 3.0 * atoms as f64;
        }
        if let Some(energies) = &data.energies {
            let difference = record.energy - energies[row];
            self.frames += 1.0;
            let step = difference - self.mean;
            self.mean += step / self.frames;
            self.about += step * (difference - self.mean);
        }
    }

    pub fn difference(&self) -> Difference {
        let root = |sum: f64, count: f64| (count > 0.0).then(|| (sum / count).sqrt());
        Difference {
            forces: root(self.squares, self.components),
            own_forces: root(self.own, self.components),
            offset: (self.frames > 0.0).then_some(self.mean),
            energies: root(self.about, self.frames),
        }
    }
}
