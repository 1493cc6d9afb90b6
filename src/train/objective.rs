//! The loss over sliced targets, and which of the two losses a run has.

use std::sync::Arc;

use ndarray::{Array1, Array2, Axis};
use ndarray_linalg::{Eigh, UPLO};
use tch::{Device, Kind, Tensor};

use super::company::Company;
use super::draw::{covariance, mean, Drawn, Weights};
use super::kernel::KernelDrift;
use super::settings::Settings;
use crate::dataset::Dataset;
use crate::drift::features::{PairDistances, Torsions};
use crate::drift::sliced;
use crate::fit::memory;
use crate::molecule::features::distances;
use crate::{Error, Result};

/// Harmonics (cos k phi, sin k phi), k = 1 .. 3, which resolve the wells of a torsion.
const HARMONICS: usize = 3;
/// Pair distances narrower than this are not stretched further, in angstrom.
const NARROWEST: f64 = 0.02;
/// More pair distances than this take minutes to whiten.
const MANY_PAIRS: u64 = 5000;
/// Modes whose variance is below this part of the floor's square are left out of the length: most are, in large molecules.
const UNSEEN: f64 = 1e-3;
/// Added to a squared length, whose root has no slope at 0.
const ROUNDED: f64 = 1e-6;
/// Floor of the whitened distances' widths in angstrom: below it lies the noise of exact constraints.
const WHITENING_FLOOR: f64 = 0.03;

/// A training loss over generated positions.
#[derive(Debug)]
pub enum Objective {
    /// Sliced drift.
    Sliced(Sliced),
    /// The paper's kernel field.
    Kernel(KernelDrift),
}

impl Objective {
    /// Shapes (d, K) of the sets of random lines that a step draws.
    pub fn line_shapes(&self) -> &[[i64; 2]] {
        match self {
            Objective::Sliced(sliced) => &sliced.shapes,
            Objective::Kernel(_) => &[],
        }
    }

    /// Loss of generated positions (B, 3n), in the generator's own unit, for what the step drew.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn loss(&self, positions: &Tensor, drawn: &Drawn) -> Result<Tensor> {
        match self {
            Objective::Sliced(sliced) => sliced.loss(positions, drawn),
            Objective::Kernel(kernel) => kernel.loss(positions, drawn),
        }
    }
}

/// Positions (B, 3n) as (n, 3, B).
pub(super) fn batch_last(positions: &Tensor) -> Result<Tensor> {
    let (batch, columns) = positions.size2()?;
    Ok(positions.f_transpose(0, 1)?.f_contiguous()?.f_view([columns / 3, 3, batch])?)
}

pub(super) fn single(values: impl Iterator<Item = f64>, shape: &[i64], device: Device) -> Result<Tensor> {
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
    /// Where the whitened distances' length is a row: the root of its weight in lines, the rows of the whitening that it is
    /// made of, and the lengths of the data, (N).
    size: Option<(f64, Tensor, Tensor)>,
    /// The rotatable bonds' dihedral angles, and their harmonics in the data, (N, 6 T), where there are any.
    torsions: Option<(Torsions, Tensor)>,
    /// The other ranks, where there are some: each finds the targets of its part of the lines.
    company: Option<Arc<Company>>,
    /// Of the sets of lines: whitened distances, the harmonics of each rotatable bond, those of all together.
    shapes: Vec<[i64; 2]>,
    /// Whether the first set is that of the distances.
    distance_lines: bool,
    /// Samples of a step.
    batch: i64,
}

impl Sliced {
    /// Prepares the data of a molecule with rotatable bonds `quads`, drawn with `weights` where there are any.
    ///
    /// # Errors
    /// [`Error::Usage`] where the whitening of so many pair distances has no room in memory; [`Error::Numeric`] where LAPACK
    /// fails; libtorch's own refusals.
    pub fn new(
        dataset: &Dataset,
        quads: &[[usize; 4]],
        settings: &Settings,
        weights: Option<&Weights>,
        device: Device,
    ) -> Result<Self> {
        check_room(dataset.atoms(), memory::usable())?;
        let y = distances(dataset.positions.view());
        let (frames, pairs) = y.dim();
        let mean = mean(&y, weights)?;
        let centered = &y - &mean;
        let covariance = covariance(&centered, weights);
        let width = covariance.diag().mapv(|v| v.sqrt().max(NARROWEST));
        let (whiten, seen) = modes(&covariance)?;
        let (p, n) = (pairs as i64, frames as i64);
        let atoms = dataset.species.len();
        let all = dataset.positions.view().permuted_axes([1, 2, 0]);
        let all = single(all.iter().copied(), &[atoms as i64, 3, n], device)?;
        let torsions = if quads.is_empty() {
            None
        } else {
            let torsions = Torsions::new(quads, HARMONICS, device)?;
            let harmonics = torsions.apply(&all)?.f_view([-1, n])?.f_transpose(0, 1)?.f_contiguous()?;
            Some((torsions, harmonics))
        };
        let mut sliced = Sliced {
            distances: PairDistances::new(atoms, device)?,
            data: single(centered.iter().copied(), &[n, p], device)?,
            mean: single(mean.iter().copied(), &[p, 1], device)?,
            width: single(width.iter().copied(), &[p, 1], device)?,
            whiten: single(whiten.t().iter().copied(), &[p, p], device)?,
            shapes: shapes(p, quads.len(), settings),
            distance_lines: settings.lines > 0,
            size: None,
            batch: settings.batch as i64,
            torsions,
            company: None,
        };
        if settings.size_weight > 0.0 {
            let rows = sliced.whiten.f_narrow(0, p - seen as i64, seen as i64)?;
            let lengths = lengths(&rows, &sliced.data.f_transpose(0, 1)?)?.f_view([n])?;
            sliced.size = Some((settings.size_weight.sqrt(), rows, lengths));
        }
        Ok(sliced)
    }

    /// Shares the lines with other ranks.
    pub(super) fn share_with(&mut self, company: Arc<Company>) {
        self.company = Some(company);
    }

    fn loss(&self, positions: &Tensor, Drawn { index, lines, .. }: &Drawn) -> Result<Tensor> {
        let x = batch_last(positions)?;
        let dx = self.distances.apply(&x)?.f_sub(&self.mean)?;
        let dy = self.data.f_index_select(0, index)?.f_transpose(0, 1)?.f_contiguous()?;
        let (mut px, mut py) = (vec![dx.f_div(&self.width)?], vec![dy.f_div(&self.width)?]);
        let first = usize::from(self.distance_lines);
        for set in &lines[..first] {
            // Directions in whitened coordinates, carried back: (K, P) = d^T W^T.
            let lines = sliced::directions(set)?.f_transpose(0, 1)?.f_matmul(&self.whiten)?;
            px.push(lines.f_matmul(&dx)?);
            py.push(lines.f_matmul(&dy)?);
        }
        if let Some((weight, rows, data)) = &self.size {
            // Lines see the sum of many small surpluses of width only faintly: their length shows it at once.
            px.push(lengths(rows, &dx)?.f_mul_scalar(*weight)?);
            py.push(data.f_index_select(0, index)?.f_mul_scalar(*weight)?.f_view([1, -1])?);
        }
        if let (Some((torsions, data)), Some((joint, each))) = (&self.torsions, lines[first..].split_last()) {
            let batch = self.batch;
            let tx = torsions.apply(&x)?;
            let ty = data.f_index_select(0, index)?.f_transpose(0, 1)?.f_contiguous()?;
            // (T, K, 6), and all harmonics together: (K, 6 T).
            let d = sliced::directions(&Tensor::f_stack(each, 0)?)?.f_transpose(1, 2)?;
            let joint = sliced::directions(joint)?.f_transpose(0, 1)?;
            for (t, out) in [(&tx, &mut px), (&ty, &mut py)] {
                let t = t.f_view([-1, 2 * HARMONICS as i64, batch])?;
                out.push(d.f_matmul(&t)?.f_view([-1, batch])?);
                out.push(joint.f_matmul(&t.f_view([-1, batch])?)?);
            }
        }
        let px = Tensor::f_cat(&px, 0)?;
        let py = Tensor::f_cat(&py, 0)?;
        let target = match &self.company {
            None => sliced::targets(&px, &py)?,
            // Lines are sorted one by one, so that whoever sorts them gets the same.
            Some(company) => {
                let mine = sliced::targets(&company.rows(&px)?, &company.rows(&py)?)?;
                company.together(&mine, px.size2()?.0 as usize)?
            }
        };
        Ok(px.f_sub(&target)?.f_square()?.f_mean(None::<Kind>)?)
    }
}

/// Lengths (1, B) of centered distances (P, B) under some rows of the whitening.
fn lengths(rows: &Tensor, distances: &Tensor) -> Result<Tensor> {
    let squares = rows.f_matmul(distances)?.f_square()?.f_sum_dim_intlist(0, true, None::<Kind>)?;
    Ok(squares.f_add_scalar(ROUNDED)?.f_sqrt()?)
}

/// Shapes of the sets of lines for so many pairs of atoms and rotatable bonds.
fn shapes(pairs: i64, bonds: usize, settings: &Settings) -> Vec<[i64; 2]> {
    let mut out = Vec::new();
    if settings.lines > 0 {
        out.push([pairs, settings.lines as i64]);
    }
    if settings.torsion_lines > 0 && bonds > 0 {
        let harmonics = 2 * HARMONICS as i64;
        out.extend((0..bonds).map(|_| [harmonics, settings.torsion_lines as i64]));
        out.push([harmonics * bonds as i64, settings.torsion_lines as i64]);
    }
    out
}

/// That the matrices of the whitening, P = n (n - 1) / 2 squared, have room in `usable` bytes.
fn check_room(atoms: usize, usable: u64) -> Result<()> {
    let pairs = (atoms as u64).saturating_mul(atoms as u64) / 2;
    // Covariance, eigenvectors, their product, and LAPACK's own.
    let needed = pairs.saturating_mul(pairs).saturating_mul(4 * 8);
    if needed > usable {
        return Err(Error::usage(format!(
            "the sliced drift of {atoms} atoms whitens {pairs} pair distances, which needs {:.1} GB of memory, and {:.1} GB \
             may be used; take --method drift, or a machine with more memory",
            needed as f64 / 1e9,
            usable as f64 / 1e9
        )));
    }
    if pairs > MANY_PAIRS {
        log::warn!("whitening {pairs} pair distances of {atoms} atoms takes long: the time grows with the cube of their number");
    }
    Ok(())
}

/// W (P, P) with columns eigenvector / sqrt(eigenvalue + floor^2): centered distances times W are white
/// where the data is wider than the floor.
pub fn whitening(covariance: &Array2<f64>) -> Result<Array2<f64>> {
    Ok(modes(covariance)?.0)
}

/// [`whitening`], in ascending order of the eigenvalues, and how many columns, the last ones, are wide enough to add a
/// thousandth to a square.
fn modes(covariance: &Array2<f64>) -> Result<(Array2<f64>, usize)> {
    let (values, vectors): (Array1<f64>, Array2<f64>) = covariance.eigh(UPLO::Lower).map_err(|error| {
        Error::Numeric(format!(
            "the distances' covariance has no eigenvalues ({error}); look for wild frames"
        ))
    })?;
    let scale = values.mapv(|v| 1.0 / (v.max(0.0) + WHITENING_FLOOR * WHITENING_FLOOR).sqrt());
    let floor = UNSEEN * WHITENING_FLOOR * WHITENING_FLOOR;
    let seen = values.iter().filter(|value| **value > floor).count();
    Ok((&vectors * &scale.insert_axis(Axis(0)), seen))
}

#[cfg(test)]
mod tests {
    use ndarray_linalg::Inverse;

    use super::*;
    use crate::molecule::samples::ETHANOL;
    use crate::molecule::springs::Springs;
    use crate::train::Overrides;

    /// The rows of the loss are those without it and the root of d^T (C + floor^2)^-1 d, sorted to the data's.
    #[test]
    fn the_size_is_one_row_more() {
        const FRAMES: usize = 200;
        const LINES: usize = 16;
        let data = Springs::new(&ETHANOL).canonical(300.0, FRAMES, 1);
        let wider = &data.positions * 1.01;
        let positions = single(wider.iter().copied(), &[FRAMES as i64, -1], Device::Cpu).unwrap();
        let pairs = distances(data.positions.view()).ncols();
        let drawn = Drawn {
            latent: Tensor::zeros([1], (Kind::Float, Device::Cpu)),
            index: Tensor::arange(FRAMES as i64, (Kind::Int64, Device::Cpu)),
            lines: vec![Tensor::ones([pairs as i64, LINES as i64], (Kind::Float, Device::Cpu))],
        };
        let loss = |size_weight: f64| {
            let given = Overrides {
                size_weight: Some(size_weight),
                batch: Some(FRAMES),
                lines: Some(LINES),
                ..Overrides::default()
            };
            let settings = Settings::resolve(&given).unwrap();
            let sliced = Sliced::new(&data, &[], &settings, None, Device::Cpu).unwrap();
            f64::try_from(sliced.loss(&positions, &drawn).unwrap()).unwrap()
        };

        let y = distances(data.positions.view());
        let mean = y.mean_axis(Axis(0)).unwrap();
        let centered = &y - &mean;
        let mut covariance = centered.t().dot(&centered) / (FRAMES - 1) as f64;
        covariance.diag_mut().mapv_inplace(|v| v + WHITENING_FLOOR * WHITENING_FLOOR);
        let inverse = covariance.inv().unwrap();
        let sorted = |rows: Array2<f64>| {
            let mut sizes: Vec<f64> = rows.outer_iter().map(|d| d.dot(&inverse.dot(&d)).sqrt()).collect();
            sizes.sort_by(f64::total_cmp);
            sizes
        };
        let (ours, theirs) = (sorted(distances(wider.view()) - &mean), sorted(centered));
        let row = ours.iter().zip(&theirs).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / FRAMES as f64;
        let rows = (pairs + LINES) as f64;
        for weight in [30.0, 300.0] {
            let found = loss(weight) * (rows + 1.0) - loss(0.0) * rows;
            approx::assert_relative_eq!(found, weight * row, max_relative = 1e-3);
        }
    }
}
