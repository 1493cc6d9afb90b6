//! A force field from force labels, in closed form: symmetric gradient-domain kernel regression (sGDML;
//! Chmiela et al., Nat. Commun. 9, 3887, 2018).
//!
//! Frames are chosen by farthest point in descriptor space, every permutation of the molecule's symmetry is in
//! the kernel, the kernel's length and the ridge are those with the least force error on frames held out, and each
//! distance has a weight of its own.

mod choose;
pub(crate) mod memory;
mod system;
mod weights;

use ndarray::{Array1, Array2, Array3, Axis};
use serde::{Deserialize, Serialize};

use self::choose::{farthest, hold_out};
use self::system::{bytes, matrix, solve, Frame};
use crate::dataset::Dataset;
use crate::molecule::bonds::Bonds;
use crate::molecule::symmetry::SymmetryGroup;
use crate::potential::gdml::{descriptor_order, inverse_distances, Parts};
use crate::potential::{evaluate, Gdml};
use crate::{Error, Result};

pub use choose::Split;

/// Fewer frames than this are refused.
pub const FEWEST_FRAMES: usize = 20;
/// Frames with which length and ridge are looked for.
const SEARCH_FRAMES: usize = 100;
/// Kernel lengths that are tried, 1/angstrom.
const SIGMAS: [f64; 4] = [5.0, 10.0, 20.0, 40.0];
/// Ridges that are tried, over the mean diagonal of the kernel matrix.
const RIDGES: [f64; 4] = [1e-11, 1e-9, 1e-7, 1e-5];
/// Errors within this of the least are as good.
const AS_GOOD: f64 = 1.03;
/// A ridge at which the matrix is not positive definite is raised by this.
const RAISE: f64 = 10.0;
/// The field that leads walks has this part of the frames, and at least so many; it is left out where it would have more than
/// the third part.
const GUIDE_SHARE: usize = 6;
const FEWEST_GUIDE: usize = 40;
const WORTH_A_GUIDE: usize = 3;
/// Most numbers of the descriptors under all permutations, as in the file.
const MOST_NUMBERS: usize = 1 << 27;

/// What a fit is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Frames to learn from.
    pub frames: usize,
    /// Kernel length in 1/angstrom; searched for where absent.
    pub sigma: Option<f64>,
    /// Ridge over the mean diagonal of the kernel matrix; searched for where absent.
    pub ridge: Option<f64>,
    /// Most memory in bytes that the matrix may take; what the machine has free where absent.
    pub memory: Option<u64>,
    /// One weight for all distances, as in sGDML, whose own predictor then reads the file; the errors are larger.
    pub plain: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { frames: 300, sigma: None, ridge: None, memory: None, plain: false }
    }
}

/// Errors on frames that were held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// How many frames.
    pub frames: usize,
    /// Mean absolute error of a force component, kcal/mol/angstrom.
    pub force_mae: f64,
    /// Root mean square error of a force component, kcal/mol/angstrom.
    pub force_rmse: f64,
    /// Mean length of the force on an atom, kcal/mol/angstrom: what the errors are to be compared with.
    pub mean_force: f64,
    /// Root mean square of a force component, kcal/mol/angstrom.
    pub rms_force: f64,
    /// Root mean square error of the energy, kcal/mol; none without energies.
    pub energy_rmse: Option<f64>,
    /// Standard deviation of the energies, kcal/mol.
    pub energy_spread: Option<f64>,
}

/// How a force field was fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the library.
    pub library_version: String,
    /// SHA-256 of the data.
    pub data_digest: String,
    /// Frames learned from (rows of the data), in the order of choice.
    pub frames: Vec<usize>,
    /// Permutations in the kernel.
    pub permutations: usize,
    /// Kernel length, 1/angstrom.
    pub sigma: f64,
    /// Ridge over the mean diagonal of the kernel matrix.
    pub ridge: f64,
    /// Least and largest weight of an inverse distance; both one without weights.
    #[serde(default = "even")]
    pub weights: [f64; 2],
    /// Rows of the linear system.
    pub rows: usize,
    /// Errors on frames that were held out.
    pub held_out: HeldOut,
    /// Seconds the whole fit took, and the last solution of the full system alone. Not in the file: the same
    /// fit gives the same bytes.
    #[serde(skip)]
    pub seconds: (f64, f64),
}

fn even() -> [f64; 2] {
    [1.0; 2]
}

/// What `fit` says while it works.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// A system of so many rows is about to be solved; its matrix takes so many bytes.
    Solving {
        /// Rows.
        rows: usize,
        /// Bytes of the matrix.
        bytes: u64,
    },
    /// A kernel length and ridge were tried with a few frames, giving this force error.
    Tried {
        /// Kernel length, 1/angstrom.
        sigma: f64,
        /// Ridge.
        ridge: f64,
        /// Root mean square error of a force component on the frames held out.
        force_rmse: f64,
    },
    /// Weights of the distances were tried with a few frames, giving this force error.
    Weighed {
        /// Number of the trial, from 1.
        step: usize,
        /// Trials in all.
        steps: usize,
        /// Root mean square error of a force component on frames that are neither learned from nor held out,
        /// kcal/mol/angstrom.
        force_rmse: f64,
        /// Root mean square error of their energies, kcal/mol; none without energies.
        energy_rmse: Option<f64>,
    },
}

/// A fitted force field and how it came to be.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The force field; its record holds the report.
    pub field: Gdml,
    /// The report.
    pub report: Report,
}

/// Fits a force field to a data set with forces. `progress` may stop it with an error.
///
/// # Errors
/// [`Error::Usage`] for too few frames, no forces, several fragments or a setting out of range, and where the matrix
/// would not fit in memory (before anything is allocated); [`Error::Numeric`] where no ridge makes the system
/// positive definite; what `progress` returns.
pub fn fit(
    dataset: &Dataset,
    settings: &Settings,
    progress: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<Fit> {
    let start = std::time::Instant::now();
    let problem = Problem::new(dataset, settings)?;
    let limit = memory::limit(settings.memory);
    let all = problem.chosen.len();
    // Checked before anything is allocated.
    let most_rows = all * (3 * dataset.atoms()).saturating_sub(if dataset.atoms() > 2 { 6 } else { 5 });
    memory::check(bytes(most_rows), limit, all)?;
    let (sigma, ridge) = problem.search(settings, progress)?;
    let weights = match settings.plain {
        true => vec![1.0; problem.distances()],
        false => problem.weights(sigma, ridge, progress)?,
    };
    let frames = problem.frames(all, &weights)?;
    let rows = frames.iter().map(Frame::rank).sum();
    progress(Progress::Solving { rows, bytes: bytes(rows) })?;
    let solving = std::time::Instant::now();
    let (field, ridge) = problem.raised(&frames, (sigma, ridge), &weights, log::Level::Warn)?;
    let solving = solving.elapsed().as_secs_f64();
    let (mut field, held_out) = problem.judge(field)?;
    field.guide = problem.guide(&frames, (sigma, ridge), &weights);
    let report = Report {
        library_version: crate::VERSION.into(),
        data_digest: dataset.source.digest.clone(),
        frames: problem.chosen.clone(),
        permutations: problem.permutations.len(),
        sigma,
        ridge,
        weights: [
            weights.iter().copied().fold(f64::INFINITY, f64::min),
            weights.iter().copied().fold(0.0, f64::max),
        ],
        rows,
        held_out,
        seconds: (start.elapsed().as_secs_f64(), solving),
    };
    let record = serde_json::to_value(&report).map_err(|error| Error::Numeric(error.to_string()))?;
    Ok(Fit { field: Gdml::new(Parts { record, ..field })?, report })
}

/// The data of a fit.
struct Problem<'a> {
    dataset: &'a Dataset,
    forces: &'a Array3<f64>,
    permutations: Vec<Vec<usize>>,
    orders: Vec<Vec<usize>>,
    /// Frames that may be learned from.
    candidates: Vec<usize>,
    chosen: Vec<usize>,
    held_out: Vec<usize>,
    scale: f64,
}

impl<'a> Problem<'a> {
    fn new(dataset: &'a Dataset, settings: &Settings) -> Result<Self> {
        let file = dataset.source.name();
        let forces = dataset.forces.as_ref().ok_or_else(|| {
            Error::usage(format!("{file}: there are no forces to fit to; dump them with the positions"))
        })?;
        if dataset.len() < FEWEST_FRAMES {
            return Err(Error::usage(format!(
                "{file}: {} frames are too few to fit a force field; give at least {FEWEST_FRAMES}, better hundreds",
                dataset.len()
            )));
        }
        let ranges = [("sigma", settings.sigma, 1e-3, 1e6), ("ridge", settings.ridge, 1e-16, 1.0)];
        for (name, value, low, high) in ranges {
            if let Some(value) = value.filter(|value| !(low..=high).contains(value)) {
                return Err(Error::usage(format!(
                    "{name} = {value} is out of range; give {low:e} to {high:e}"
                )));
            }
        }
        if settings.frames < 2 {
            return Err(Error::usage(format!("{} frame(s) to fit to; give at least 2", settings.frames)));
        }
        let bonds = Bonds::from_mean_distances(&dataset.species, dataset.positions.view())?;
        bonds.require_connected(&dataset.species)?;
        let group = SymmetryGroup::find(&dataset.species, dataset.positions.view(), &bonds)?;
        // Distances do not see a mirror image: an operation and its mirror are one permutation.
        let mut permutations: Vec<Vec<usize>> = Vec::new();
        for operation in group.operations {
            if !permutations.contains(&operation.permutation) {
                permutations.push(operation.permutation);
            }
        }
        let orders: Vec<Vec<usize>> = permutations.iter().map(|p| descriptor_order(p)).collect();
        let x = inverse_distances(dataset.positions.view());
        let split = hold_out(dataset.len());
        let wanted = settings.frames.min(split.candidates.len());
        if orders.len().saturating_mul(wanted).saturating_mul(x.ncols()) > MOST_NUMBERS {
            return Err(Error::usage(format!(
                "{wanted} frames under {} permutations of the molecule's symmetry are too many for a force field; give \
                 fewer frames",
                orders.len()
            )));
        }
        let chosen = farthest(&x, &orders, &split.candidates, wanted);
        if chosen.len() < settings.frames {
            log::warn!(
                "{file}: {} frames to fit to instead of {}: there are no more that differ and are not held out",
                chosen.len(),
                settings.frames
            );
        }
        let picked = forces.select(Axis(0), &chosen);
        let scale = picked.std(0.0);
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(Error::Numeric(format!("{file}: every force is zero; check the force columns")));
        }
        let Split { candidates, held_out } = split;
        Ok(Problem { dataset, forces, permutations, orders, candidates, chosen, held_out, scale })
    }

    /// Number of distances, D.
    fn distances(&self) -> usize {
        self.dataset.atoms() * (self.dataset.atoms() - 1) / 2
    }

    /// The first of the chosen frames, for a kernel with weights (D) of the distances.
    fn frames(&self, count: usize, weights: &[f64]) -> Result<Vec<Frame>> {
        let one = |&k: &usize| {
            let (x, f) = (self.dataset.positions.index_axis(Axis(0), k), self.forces.index_axis(Axis(0), k));
            Frame::new(x, f, weights, k)
        };
        self.chosen[..count.min(self.chosen.len())].iter().map(one).collect()
    }

    /// The length and ridge with the least force error on the frames held out, fitted to the first few frames.
    fn search(
        &self,
        settings: &Settings,
        progress: &mut dyn FnMut(Progress) -> Result<()>,
    ) -> Result<(f64, f64)> {
        if let (Some(sigma), Some(ridge)) = (settings.sigma, settings.ridge) {
            return Ok((sigma, ridge));
        }
        let even = vec![1.0; self.distances()];
        let frames = self.frames(SEARCH_FRAMES, &even)?;
        let sigmas = settings.sigma.map_or(SIGMAS.to_vec(), |sigma| vec![sigma]);
        let ridges = settings.ridge.map_or(RIDGES.to_vec(), |ridge| vec![ridge]);
        let mut tried: Vec<(f64, f64, f64)> = Vec::new();
        for &sigma in &sigmas {
            let k = matrix(&frames, &self.orders, sigma);
            for &ridge in &ridges {
                // Too small a ridge for this length: another one will do.
                let Ok(solution) = solve(k.clone(), &frames, ridge, self.scale) else { continue };
                let (_, held_out) = self.judge(self.parts(&frames, &solution, sigma, &even))?;
                let force_rmse = held_out.force_rmse;
                progress(Progress::Tried { sigma, ridge, force_rmse })?;
                tried.push((force_rmse, sigma, ridge));
            }
        }
        best(&tried).ok_or_else(|| {
            Error::Numeric(
                "no kernel length and ridge gave a solution; give a larger ridge, and look for frames that are alike"
                    .into(),
            )
        })
    }

    /// Weights of the distances (D); ones where weights that were learned do no better on the frames held out.
    fn weights(
        &self,
        sigma: f64,
        ridge: f64,
        progress: &mut dyn FnMut(Progress) -> Result<()>,
    ) -> Result<Vec<f64>> {
        let even = vec![1.0; self.distances()];
        let learned = weights::learn(self, sigma, ridge, progress)?;
        if learned == even {
            return Ok(even);
        }
        let errors = |weights: &[f64]| -> Result<(f64, f64)> {
            let frames = self.frames(SEARCH_FRAMES, weights)?;
            let (parts, _) = self.raised(&frames, (sigma, ridge), weights, log::Level::Debug)?;
            let (_, held_out) = self.judge(parts)?;
            let energy = held_out.energy_rmse.filter(|error| *error > 0.0).unwrap_or(1.0);
            Ok((held_out.force_rmse, held_out.force_rmse * energy))
        };
        let (with, without) = match (errors(&learned), errors(&even)) {
            (Ok(with), Ok(without)) => (with, without),
            (Err(Error::Numeric(why)), _) | (_, Err(Error::Numeric(why))) => {
                log::info!("weights of the distances are left at one: {why}");
                return Ok(even);
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        if with.1 < without.1 {
            return Ok(learned);
        }
        log::info!(
            "weights of the distances do not help on the frames held out (force error {:.3} kcal/mol/angstrom with, {:.3} \
             without): left at one",
            with.0,
            without.0
        );
        Ok(even)
    }

    /// The field of all frames; the ridge is raised, and said so, until the system is positive definite.
    fn raised(
        &self,
        frames: &[Frame],
        (sigma, mut ridge): (f64, f64),
        weights: &[f64],
        level: log::Level,
    ) -> Result<(Parts, f64)> {
        loop {
            match solve(matrix(frames, &self.orders, sigma), frames, ridge, self.scale) {
                Ok(solution) => return Ok((self.parts(frames, &solution, sigma, weights), ridge)),
                Err(error) if ridge * RAISE > 1e-3 => return Err(error),
                Err(error) => {
                    ridge *= RAISE;
                    log::log!(level, "{error}; going on with ridge {ridge:e}");
                }
            }
        }
    }

    /// Coefficients of a fit to the first few frames, (G, D), to lead walks of the whole; none where that would be hardly
    /// cheaper, or cannot be solved.
    fn guide(&self, frames: &[Frame], of_all: (f64, f64), weights: &[f64]) -> Option<Array2<f64>> {
        let few = (frames.len() / GUIDE_SHARE).max(FEWEST_GUIDE);
        if frames.len() < WORTH_A_GUIDE * few {
            return None;
        }
        match self.raised(&frames[..few], of_all, weights, log::Level::Debug) {
            Ok((field, _)) => Some(field.coefficients),
            Err(error) => {
                log::info!("walks with this fit have no cheaper one to lead them: {error}");
                None
            }
        }
    }

    /// The field of the first of the chosen frames.
    fn parts(&self, frames: &[Frame], solution: &[Vec<f64>], sigma: f64, weights: &[f64]) -> Parts {
        let positions = self.dataset.positions.select(Axis(0), &self.chosen[..frames.len()]);
        let descriptors = inverse_distances(positions.view());
        let mut coefficients = Array2::zeros(descriptors.dim());
        for (k, (frame, solution)) in frames.iter().zip(solution).enumerate() {
            coefficients
                .row_mut(k)
                .iter_mut()
                .zip(frame.coefficients(solution))
                .for_each(|(to, from)| *to = from);
        }
        Parts {
            species: self.dataset.species.clone(),
            permutations: self.permutations.clone(),
            orders: self.orders.clone(),
            descriptors,
            weights: weights.to_vec(),
            coefficients,
            guide: None,
            sigma,
            scale: self.scale,
            constant: 0.0,
            record: serde_json::Value::Null,
        }
    }

    /// The errors on the frames held out; the constant of the energy is settled by the frames learned from.
    fn judge(&self, mut parts: Parts) -> Result<(Parts, HeldOut)> {
        let mut field = Gdml::new(parts.clone())?;
        let positions = self.dataset.positions.select(Axis(0), &self.held_out);
        let truth = self.forces.select(Axis(0), &self.held_out);
        let (energies, forces) = evaluate(&mut field, &self.dataset.species, positions.view())?;
        let count = truth.len() as f64;
        let difference = &forces - &truth;
        let atoms = truth.lanes(Axis(2));
        let mean_force = atoms.into_iter().map(|f| f.dot(&f).sqrt()).sum::<f64>() / (count / 3.0);
        let mut held_out = HeldOut {
            frames: self.held_out.len(),
            force_mae: difference.mapv(f64::abs).sum() / count,
            force_rmse: (difference.mapv(|d| d * d).sum() / count).sqrt(),
            mean_force,
            rms_force: (truth.mapv(|f| f * f).sum() / count).sqrt(),
            energy_rmse: None,
            energy_spread: None,
        };
        if let Some(labels) = &self.dataset.energies {
            let learned = self.dataset.positions.select(Axis(0), &self.chosen);
            let (own, _) = evaluate(&mut field, &self.dataset.species, learned.view())?;
            let offsets = &labels.select(Axis(0), &self.chosen) - &own;
            parts.constant = offsets.sum() / offsets.len() as f64;
            let truth: Array1<f64> = labels.select(Axis(0), &self.held_out);
            let error = &energies + parts.constant - &truth;
            held_out.energy_rmse = Some((error.mapv(|e| e * e).sum() / error.len() as f64).sqrt());
            held_out.energy_spread = Some(truth.std(0.0));
        }
        Ok((parts, held_out))
    }
}

/// Of (error, length, ridge) that are as good as the best, the least ridge with the longest kernel: all frames
/// need less ridge than the few of the search, and the smoothest kernel errs least beyond the frames.
fn best(tried: &[(f64, f64, f64)]) -> Option<(f64, f64)> {
    let least = tried.iter().map(|one| one.0).fold(f64::INFINITY, f64::min);
    let good = tried.iter().filter(|one| one.0 <= AS_GOOD * least);
    good.min_by(|a, b| a.2.total_cmp(&b.2).then(b.1.total_cmp(&a.1))).map(|one| (one.1, one.2))
}

#[cfg(test)]
pub(crate) mod tests;
