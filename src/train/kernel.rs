//! The loss of the paper's kernel methods: Eq. 9 over positions, Eq. 30 over pair distances.

use ndarray::{Array, Array1, Array2, ArrayView1, Axis, RemoveAxis};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::draw::{Drawn, Weights};
use super::feature_cache::feature_forces;
use super::method::{Scale, Space};
use super::objective::{batch_last, single};
use super::settings::Settings;
use crate::dataset::Dataset;
use crate::drift::features::PairDistances;
use crate::drift::kernel::{Field, Labels, Normalization};
use crate::molecule::features::distances;
use crate::molecule::metric::{metric_score, Metric};
use crate::molecule::superposition::{aligned, centered};
use crate::sampler::noise::{Purpose, Stream};
use crate::units::BOLTZMANN;
use crate::{Error, Result};

/// Frames among which the median heuristic looks at all pairs.
const MEDIAN_FRAMES: usize = 1000;
/// The paper's bandwidth in Cartesian space, in units of the coordinates' standard deviation.
const CARTESIAN_TAU: f64 = 1.0;

/// Data and field of the kernel methods. Lengths are in units of the coordinates' standard deviation.
#[derive(Debug)]
pub struct KernelDrift {
    /// The features of generated positions; none where they are the positions themselves.
    distances: Option<PairDistances>,
    data: Tensor,
    force: Option<Tensor>,
    energy: Option<Tensor>,
    field: Field,
    figures: FieldFigures,
}

/// What was found of the data for the field.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct FieldFigures {
    /// Bandwidth in units of the coordinates' standard deviation.
    pub tau: f64,
    /// The coordinates' standard deviation, angstrom: the unit of length of the others.
    pub length_unit: f64,
    /// Mean norm of the (feature-space) forces, kcal/mol per that unit, where forces are used.
    pub force_norm: Option<f64>,
    /// tau times the mean norm of the forces over kT (Eq. 33), where the temperature is known too.
    pub scale_ratio: Option<f64>,
}

impl KernelDrift {
    /// Prepares the data, drawn with `weights` where there are any; `scale` is the length unit in angstrom.
    ///
    /// # Errors
    /// [`Error::Usage`] where the method needs labels that are missing, or all frames are alike; [`Error::Numeric`]
    /// where a feature force is not finite.
    pub fn new(
        dataset: &Dataset,
        scale: f64,
        settings: &Settings,
        weights: Option<&Weights>,
        device: Device,
    ) -> Result<Self> {
        let kt = settings.temperature.map(|kelvin| BOLTZMANN * kelvin);
        let (y, force) = features(dataset, settings, weights)?;
        let y = y / scale;
        let tau = match (settings.tau, settings.space) {
            (Some(tau), _) => tau,
            (None, Space::Cartesian) => CARTESIAN_TAU,
            (None, Space::Distance) => median_distance(&y, settings.seed, weights)?,
        };
        let force = force.map(|force| force * scale);
        let force_norm = force.as_ref().map(|force| mean_norm(force, weights)).transpose()?;
        let energy =
            if settings.needs_energies() { Some(centered_energies(dataset, settings)?) } else { None };
        let normalization = match (settings.normalization, kt) {
            (Scale::Physical, Some(kt)) => Normalization::Physical { kt },
            _ => Normalization::Scaled { force_norm: force_norm.unwrap_or(1.0) },
        };
        let scale_ratio = force_norm.zip(kt).map(|(norm, kt)| tau * norm / kt);
        let (n, p) = (y.nrows() as i64, y.ncols() as i64);
        let force = force.map(|force| single(force.iter().copied(), &[n, p], device)).transpose()?;
        Ok(KernelDrift {
            distances: match settings.space {
                Space::Distance => Some(PairDistances::new(dataset.species.len(), device)?),
                Space::Cartesian => None,
            },
            data: single(y.iter().copied(), &[n, p], device)?,
            force,
            energy: energy.map(|energy| single(energy.iter().copied(), &[n], device)).transpose()?,
            field: Field {
                kernel: settings.kernel,
                tau,
                omega: settings.omega,
                gamma: settings.gamma,
                alignment: settings.alignment,
                normalization,
                weighting: settings.weighting(),
            },
            figures: FieldFigures { tau, length_unit: scale, force_norm, scale_ratio },
        })
    }

    /// The field in use, in normalized units.
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// Bandwidth, mean force norm and their ratio to kT.
    pub fn figures(&self) -> FieldFigures {
        self.figures
    }

    pub(super) fn loss(&self, positions: &Tensor, Drawn { index, .. }: &Drawn) -> Result<Tensor> {
        let x = match &self.distances {
            Some(distances) => distances.apply(&batch_last(positions)?)?.f_transpose(0, 1)?.f_contiguous()?,
            None => positions.shallow_clone(),
        };
        let target = tch::no_grad(|| -> Result<Tensor> {
            let at = x.f_detach()?;
            let chosen = |all: &Option<Tensor>| -> Result<Option<Tensor>> {
                Ok(all.as_ref().map(|all| all.f_index_select(0, index)).transpose()?)
            };
            let (force, energy) = (chosen(&self.force)?, chosen(&self.energy)?);
            let labels = Labels { force: force.as_ref(), energy: energy.as_ref() };
            Ok(at.f_add(&self.field.drift(&at, &self.data.f_index_select(0, index)?, labels)?)?)
        })?;
        let square = x.f_sub(&target)?.f_square()?;
        Ok(square.f_sum_dim_intlist([1_i64].as_slice(), false, None::<Kind>)?.f_mean(None::<Kind>)?)
    }
}

/// Features (N, d) in angstrom and the forces on them (N, d) in kcal/mol/angstrom, where the method needs forces.
fn features(
    dataset: &Dataset,
    settings: &Settings,
    weights: Option<&Weights>,
) -> Result<(Array2<f64>, Option<Array2<f64>>)> {
    let forces = match (settings.needs_forces(), &dataset.forces) {
        (false, _) => None,
        (true, Some(forces)) => Some(forces),
        (true, None) => {
            return Err(Error::usage(format!(
                "{}: method {} needs forces and there are none; dump them, or use --method sliced or drift",
                dataset.source.name(),
                settings.method
            )))
        }
    };
    let positions = dataset.positions.view();
    if settings.space == Space::Cartesian {
        let reference = weights.map_or(dataset.len() / 2, |weights| weights.frame(0.5));
        let forces = forces.map(|forces| forces.view());
        let (positions, forces) = if settings.superpose {
            aligned(positions, forces, reference)
        } else {
            (centered(positions), forces.map(|forces| forces.to_owned()))
        };
        let (frames, atoms, _) = positions.dim();
        let flat = |x: ndarray::Array3<f64>| {
            x.into_shape_with_order((frames, 3 * atoms)).map_err(|error| Error::Numeric(error.to_string()))
        };
        return Ok((flat(positions)?, forces.map(flat).transpose()?.map(|forces| placebo(forces, settings))));
    }
    let Some(forces) = forces else { return Ok((distances(positions), None)) };
    let mut g = placebo(feature_forces(dataset, forces, settings.projection())?, settings);
    if settings.metric != Metric::None {
        let kelvin =
            settings.temperature.ok_or_else(|| Error::usage("a metric term needs the temperature"))?;
        g.scaled_add(BOLTZMANN * kelvin, &metric_score(positions, settings.metric)?);
    }
    Ok((distances(positions), Some(g)))
}

/// The labels, row by row those of other frames where settings ask for that.
fn placebo<D: RemoveAxis>(labels: Array<f64, D>, settings: &Settings) -> Array<f64, D> {
    if !settings.placebo {
        return labels;
    }
    let count = labels.len_of(Axis(0));
    labels.select(Axis(0), &Stream::new(settings.seed, Purpose::Data, 2).distinct(count, count))
}

fn mean_norm(force: &Array2<f64>, weights: Option<&Weights>) -> Result<f64> {
    let norms = force.rows().into_iter().map(norm);
    let mean = match weights {
        None => norms.sum::<f64>() / force.nrows() as f64,
        Some(weights) => weights.mean(norms),
    };
    if mean > 0.0 {
        return Ok(mean);
    }
    Err(Error::Numeric("all forces are zero; check the force columns".into()))
}

/// Energies less their mean: in single precision a difference of large numbers would be lost.
fn centered_energies(dataset: &Dataset, settings: &Settings) -> Result<Array1<f64>> {
    let energies = dataset.energies.as_ref().ok_or_else(|| {
        Error::usage(format!(
            "{}: alignment 'energy' of method {} needs energies and there are none; dump them, or use alignment \
             'force'",
            dataset.source.name(),
            settings.method
        ))
    })?;
    let mean = energies.mean().unwrap_or(0.0);
    let centered = energies - mean;
    // What rounding leaves of equal energies would be taken for differences.
    if centered.iter().all(|energy| energy.abs() <= 1e-12 * mean.abs()) {
        return Err(Error::Numeric(format!(
            "{}: all energies are equal, so alignment 'energy' has nothing to weigh by; check the energy column, or use \
             alignment 'force'",
            dataset.source.name()
        )));
    }
    Ok(placebo(centered, settings))
}

fn norm(row: ArrayView1<f64>) -> f64 {
    row.dot(&row).sqrt()
}

/// Median distance between frames in feature space (the paper's heuristic for tau), over all pairs of at
/// most 1000 random frames, drawn with the weights where there are any.
fn median_distance(y: &Array2<f64>, seed: u64, weights: Option<&Weights>) -> Result<f64> {
    let mut stream = Stream::new(seed, Purpose::Data, 0);
    let chosen = match weights {
        None => stream.distinct(y.nrows(), MEDIAN_FRAMES),
        Some(weights) => (0..MEDIAN_FRAMES).map(|_| weights.frame(stream.uniform())).collect(),
    };
    let mut all: Vec<f64> = (0..chosen.len())
        .into_par_iter()
        .flat_map_iter(|a| {
            let chosen = &chosen;
            (a + 1..chosen.len()).map(move |b| {
                let (one, other) = (y.row(chosen[a]), y.row(chosen[b]));
                one.iter().zip(other).map(|(p, q)| (p - q) * (p - q)).sum::<f64>().sqrt()
            })
        })
        .filter(|&d| d > 0.0)
        .collect();
    if all.is_empty() {
        return Err(Error::usage(
            "all frames are alike: there is no distribution to learn; give another trajectory",
        ));
    }
    let middle = (all.len() - 1) / 2;
    Ok(*all.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::kernel::Alignment;
    use crate::molecule::samples::ETHANOL;
    use crate::molecule::springs::Springs;
    use crate::train::method::Method;
    use crate::train::Overrides;

    fn settings(overrides: Overrides) -> Settings {
        let method = Some(Method::ForceAligned);
        Settings::resolve(&Overrides { method, temperature: Some(300.0), ..overrides }).unwrap()
    }

    #[test]
    fn a_placebo_has_the_same_forces_on_other_frames() {
        let data = Springs::new(&ETHANOL).canonical(300.0, 40, 1);
        for space in [Space::Distance, Space::Cartesian] {
            let of = |placebo| {
                let given = Overrides { space: Some(space), placebo: Some(placebo), ..Overrides::default() };
                features(&data, &settings(given), None).unwrap()
            };
            let ((y, force), (same, moved)) = (of(false), of(true));
            let (force, moved) = (force.unwrap(), moved.unwrap());
            assert_eq!(y, same);
            let kept = |row: usize| force.row(row) == moved.row(row);
            assert!((0..40).filter(|&row| kept(row)).count() < 10, "{space}");
            for row in moved.rows() {
                assert!(force.rows().into_iter().any(|other| other == row), "{space}");
            }
        }
    }

    #[test]
    fn frames_that_are_not_to_be_turned_are_centered_only() {
        let data = Springs::new(&ETHANOL).canonical(300.0, 5, 1);
        let given =
            Overrides { space: Some(Space::Cartesian), superpose: Some(false), ..Overrides::default() };
        let (y, force) = features(&data, &settings(given), None).unwrap();
        let labels = data.forces.as_ref().unwrap();
        for ((k, atom, c), label) in labels.indexed_iter() {
            let middle = data.positions.slice(ndarray::s![k, .., c]).mean().unwrap();
            assert!((y[[k, 3 * atom + c]] - (data.positions[[k, atom, c]] - middle)).abs() < 1e-12);
            assert_eq!(force.as_ref().unwrap()[[k, 3 * atom + c]], *label);
        }
    }

    #[test]
    fn equal_energies_are_no_weights() {
        let mut data = Springs::new(&ETHANOL).canonical(300.0, 20, 1);
        let given = Overrides { alignment: Some(Alignment::Energy), ..Overrides::default() };
        data.energies = Some(Array1::from_elem(20, -97000.1));
        let error = centered_energies(&data, &settings(given.clone())).unwrap_err().to_string();
        assert!(error.contains("all energies are equal"), "{error}");
        data.energies = Some((0..20).map(|k| -97000.1 + 0.01 * f64::from(k)).collect());
        assert!(centered_energies(&data, &settings(given)).unwrap().sum().abs() < 1e-6);
    }
}
