//! The losses: Eq. 30 with the kernel field, or with sliced targets.

use ndarray::{Array1, Array2, ArrayView1, Axis};
use ndarray_linalg::{Eigh, UPLO};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::draw::{covariance, indices, mean, Weights};
use super::feature_cache;
use super::settings::Settings;
use crate::dataset::Dataset;
use crate::drift::features::{torsion, PairDistances};
use crate::drift::kernel::{Field, Kernel, Normalization};
use crate::drift::sliced;
use crate::molecule::features::distances;
use crate::sampler::noise::{Purpose, Stream};
use crate::{Error, Result};

/// Harmonics (cos k phi, sin k phi), k = 1 .. 3, which resolve the wells of a torsion.
const HARMONICS: usize = 3;
/// Pair distances narrower than this are not stretched further, in angstrom.
const NARROWEST: f64 = 0.02;
/// Floor of the whitened distances' widths in angstrom: below it lies the noise of exact constraints.
const WHITENING_FLOOR: f64 = 0.03;
/// Frames among which the median heuristic looks at all pairs.
const MEDIAN_FRAMES: usize = 1000;

/// A training loss over generated positions.
#[derive(Debug)]
pub enum Objective {
    /// Sliced drift.
    Sliced(Sliced),
    /// The paper's kernel field in distance space.
    Kernel(KernelDrift),
}

impl Objective {
    /// Loss of generated positions (B, 3n), in the generator's own unit; `stream` gives the step's
    /// batch of data and its random lines.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn loss(&self, positions: &Tensor, stream: &mut Stream) -> Result<Tensor> {
        match self {
            Objective::Sliced(sliced) => sliced.loss(positions, stream),
            Objective::Kernel(kernel) => kernel.loss(positions, stream),
        }
    }
}

/// Positions (B, 3n) as (n, 3, B).
fn batch_last(positions: &Tensor) -> Result<Tensor> {
    let (batch, columns) = positions.size2()?;
    Ok(positions.f_transpose(0, 1)?.f_contiguous()?.f_view([columns / 3, 3, batch])?)
}

fn single(values: impl Iterator<Item = f64>, shape: &[i64], device: Device) -> Result<Tensor> {
    let values: Vec<f32> = values.map(|x| x as f32).collect();
    Ok(Tensor::f_from_slice(&values)?.f_view(shape)?.f_to_device(device)?)
}

/// Data and projections of the sliced drift.
#[derive(Debug)]
pub struct Sliced {
    distances: PairDistances,
    /// Distances of the data less their mean, (N, P), angstrom.
    data: Tensor,
    mean: Tensor,
    width: Tensor,
    /// Whitening of centered distances, transposed: (P, P), rows are whitened coordinates.
    whiten: Tensor,
    /// Per rotatable bond: its atoms, and the harmonics of the data, (N, 6).
    torsions: Vec<([usize; 4], Tensor)>,
    lines: usize,
    torsion_lines: usize,
    batch: usize,
    weights: Option<Weights>,
}

impl Sliced {
    /// Prepares the data of a molecule with rotatable bonds `quads`, drawn with `weights` where there are any.
    ///
    /// # Errors
    /// [`Error::Numeric`] where LAPACK fails; libtorch's own refusals.
    pub fn new(
        dataset: &Dataset,
        quads: &[[usize; 4]],
        settings: &Settings,
        weights: Option<&Weights>,
        device: Device,
    ) -> Result<Self> {
        let y = distances(dataset.positions.view());
        let (frames, pairs) = y.dim();
        let mean = mean(&y, weights)?;
        let centered = &y - &mean;
        let covariance = covariance(&centered, weights);
        let width = covariance.diag().mapv(|v| v.sqrt().max(NARROWEST));
        let whiten = whitening(&covariance)?;
        let (p, n) = (pairs as i64, frames as i64);
        let atoms = dataset.species.len();
        let all = dataset.positions.view().permuted_axes([1, 2, 0]);
        let all = single(all.iter().copied(), &[atoms as i64, 3, n], device)?;
        let torsions = quads
            .iter()
            .map(|&quad| Ok((quad, torsion(&all, quad, HARMONICS)?.f_transpose(0, 1)?.f_contiguous()?)))
            .collect::<Result<Vec<_>>>()?;
        Ok(Sliced {
            distances: PairDistances::new(atoms, device)?,
            data: single(centered.iter().copied(), &[n, p], device)?,
            mean: single(mean.iter().copied(), &[p, 1], device)?,
            width: single(width.iter().copied(), &[p, 1], device)?,
            whiten: single(whiten.t().iter().copied(), &[p, p], device)?,
            torsions,
            lines: settings.lines,
            torsion_lines: settings.torsion_lines,
            batch: settings.batch,
            weights: weights.cloned(),
        })
    }

    fn loss(&self, positions: &Tensor, stream: &mut Stream) -> Result<Tensor> {
        let device = positions.device();
        let frames = self.data.size2()?.0 as usize;
        let index = indices(stream, self.weights.as_ref(), frames, self.batch, device)?;
        let x = batch_last(positions)?;
        let dx = self.distances.apply(&x)?.f_sub(&self.mean)?;
        let dy = self.data.f_index_select(0, &index)?.f_transpose(0, 1)?.f_contiguous()?;
        let (mut px, mut py) = (vec![dx.f_div(&self.width)?], vec![dy.f_div(&self.width)?]);
        if self.lines > 0 {
            // Directions in whitened coordinates, carried back: (K, P) = d^T W^T.
            let d = self.draw(stream, self.whiten.size2()?.0 as usize, self.lines)?;
            let lines = d.f_transpose(0, 1)?.f_matmul(&self.whiten)?;
            px.push(lines.f_matmul(&dx)?);
            py.push(lines.f_matmul(&dy)?);
        }
        if self.torsion_lines > 0 && !self.torsions.is_empty() {
            let mut both = (Vec::new(), Vec::new());
            for (quad, data) in &self.torsions {
                both.0.push(torsion(&x, *quad, HARMONICS)?);
                both.1.push(data.f_index_select(0, &index)?.f_transpose(0, 1)?.f_contiguous()?);
            }
            let joint = (Tensor::f_cat(&both.0, 0)?, Tensor::f_cat(&both.1, 0)?);
            for (tx, ty) in both.0.iter().zip(&both.1).chain([(&joint.0, &joint.1)]) {
                let d = self.draw(stream, tx.size2()?.0 as usize, self.torsion_lines)?.f_transpose(0, 1)?;
                px.push(d.f_matmul(tx)?);
                py.push(d.f_matmul(ty)?);
            }
        }
        let px = Tensor::f_cat(&px, 0)?;
        let target = sliced::targets(&px, &Tensor::f_cat(&py, 0)?)?;
        Ok(px.f_sub(&target)?.f_square()?.f_mean(None::<Kind>)?)
    }

    fn draw(&self, stream: &mut Stream, dimension: usize, count: usize) -> Result<Tensor> {
        let mut normals = vec![0.0; dimension * count];
        stream.normals(&mut normals);
        sliced::directions(&normals, dimension, &self.mean)
    }
}

/// W (P, P) with columns eigenvector / sqrt(eigenvalue + floor^2): centered distances times W are white
/// where the data is wider than the floor.
pub fn whitening(covariance: &Array2<f64>) -> Result<Array2<f64>> {
    let (values, vectors): (Array1<f64>, Array2<f64>) = covariance.eigh(UPLO::Lower).map_err(|error| {
        Error::Numeric(format!(
            "the distances' covariance has no eigenvalues ({error}); look for wild frames"
        ))
    })?;
    let scale = values.mapv(|v| 1.0 / (v.max(0.0) + WHITENING_FLOOR * WHITENING_FLOOR).sqrt());
    Ok(&vectors * &scale.insert_axis(Axis(0)))
}

/// Data and field of the kernel methods. Lengths are in units of the coordinates' standard deviation.
#[derive(Debug)]
pub struct KernelDrift {
    distances: PairDistances,
    data: Tensor,
    force: Option<Tensor>,
    field: Field,
    positives: usize,
    weights: Option<Weights>,
}

impl KernelDrift {
    /// Prepares the data, drawn with `weights` where there are any; `scale` is the length unit in angstrom.
    ///
    /// # Errors
    /// [`Error::Usage`] where the method needs forces and there are none, or all frames are alike.
    pub fn new(
        dataset: &Dataset,
        scale: f64,
        settings: &Settings,
        weights: Option<&Weights>,
        device: Device,
    ) -> Result<Self> {
        let y = distances(dataset.positions.view()) / scale;
        let tau = match settings.tau {
            Some(tau) => tau,
            None => median_distance(&y, settings.seed, weights)?,
        };
        let (n, p) = (y.nrows() as i64, y.ncols() as i64);
        let (mut force, mut force_norm) = (None, 1.0);
        if settings.method.needs_forces() {
            let forces = dataset.forces.as_ref().ok_or_else(|| {
                Error::usage(format!(
                    "{}: method {} needs forces and the file has none; dump them, or use --method sliced or drift",
                    dataset.source.path.display(),
                    settings.method
                ))
            })?;
            let g = feature_cache::feature_forces(dataset, forces, settings.projection())? * scale;
            force_norm = match weights {
                None => g.rows().into_iter().map(norm).sum::<f64>() / g.nrows() as f64,
                Some(weights) => weights.mean(g.rows().into_iter().map(norm)),
            };
            if force_norm <= 0.0 {
                return Err(Error::Numeric("all feature forces are zero; check the force columns".into()));
            }
            force = Some(single(g.iter().copied(), &[n, p], device)?);
        }
        log::info!("kernel bandwidth tau = {tau:.4}, mean norm of G = {force_norm:.4} (normalized units)");
        Ok(KernelDrift {
            distances: PairDistances::new(dataset.species.len(), device)?,
            data: single(y.iter().copied(), &[n, p], device)?,
            force,
            field: Field {
                kernel: Kernel::Gaussian,
                tau,
                omega: settings.omega,
                gamma: settings.gamma,
                normalization: Normalization::Scaled { force_norm },
            },
            positives: settings.positives,
            weights: weights.cloned(),
        })
    }

    /// The field in use: bandwidth and mean force norm, in normalized units.
    pub fn field(&self) -> &Field {
        &self.field
    }

    fn loss(&self, positions: &Tensor, stream: &mut Stream) -> Result<Tensor> {
        let frames = self.data.size2()?.0 as usize;
        let index = indices(stream, self.weights.as_ref(), frames, self.positives, positions.device())?;
        let x = self.distances.apply(&batch_last(positions)?)?.f_transpose(0, 1)?.f_contiguous()?;
        let target = tch::no_grad(|| -> Result<Tensor> {
            let at = x.f_detach()?;
            let y = self.data.f_index_select(0, &index)?;
            let force = self.force.as_ref().map(|force| force.f_index_select(0, &index)).transpose()?;
            Ok(at.f_add(&self.field.drift(&at, &y, force.as_ref())?)?)
        })?;
        let square = x.f_sub(&target)?.f_square()?;
        Ok(square.f_sum_dim_intlist([1_i64].as_slice(), false, None::<Kind>)?.f_mean(None::<Kind>)?)
    }
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
