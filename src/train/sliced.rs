//! The loss over sliced targets: distances, lines through the whitened distances, their length, and lines through the
//! torsions' harmonics, each sorted to the data's.

use std::sync::Arc;

use ndarray::{Array1, Array2, Axis};
use ndarray_linalg::{Eigh, UPLO};
use tch::{Device, Kind, Tensor};

use super::company::{Company, Part};
use super::draw::{covariance, mean, Drawn, Weights};
use super::objective::{batch_last, single};
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

/// Data and projections of the sliced drift.
#[derive(Debug)]
pub struct Sliced {
    distances: PairDistances,
    mean: Tensor,
    /// The rotatable bonds' dihedral angles, where there are any.
    torsions: Option<Torsions>,
    aims: Aims,
    /// The other ranks, where there are some: each finds the targets of its part of the lines.
    company: Option<Arc<Company>>,
    /// Of the sets of lines: whitened distances, the harmonics of each rotatable bond, those of all together.
    shapes: Vec<[i64; 2]>,
}

/// The side of the data: what the batches of the steps aim at.
#[derive(Debug)]
pub(super) struct Aims {
    /// Distances of the data less their mean, (N, P), angstrom.
    data: Tensor,
    width: Tensor,
    /// Whitening of centered distances, transposed: (P, P), rows are whitened coordinates.
    whiten: Tensor,
    /// Where the whitened distances' length is a row.
    size: Option<Size>,
    /// Harmonics (N, 6 T) of the torsions, where there are any.
    harmonics: Option<Tensor>,
    /// Whether the first set of lines is that of the distances.
    distance_lines: bool,
    /// This rank's part of the lines, where there are others.
    part: Option<Part>,
}

/// The length of the whitened distances' vector.
#[derive(Debug)]
struct Size {
    /// Root of its weight in lines.
    weight: f64,
    /// The rows of the whitening that it is made of.
    rows: Tensor,
    /// The lengths of the data, (N).
    data: Tensor,
}

/// What the batch of one step aims at.
#[derive(Debug)]
pub(super) struct Aim {
    /// Lines (K, P) through the centered distances.
    distance_lines: Option<Tensor>,
    /// Lines (T, K, 6) through each torsion's harmonics, and (K, 6 T) through all of them.
    torsion_lines: Option<(Tensor, Tensor)>,
    /// Projections (L, B) of the data, each line in ascending order; of a rank, its part of the lines.
    sorted: Tensor,
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
        let (mut torsions, mut harmonics) = (None, None);
        if !quads.is_empty() && settings.torsion_lines > 0 {
            let all = dataset.positions.view().permuted_axes([1, 2, 0]);
            let all = single(all.iter().copied(), &[atoms as i64, 3, n], device)?;
            let angles = Torsions::new(quads, HARMONICS, device)?;
            harmonics = Some(angles.apply(&all)?.f_view([-1, n])?.f_transpose(0, 1)?.f_contiguous()?);
            torsions = Some(angles);
        }
        let data = single(centered.iter().copied(), &[n, p], device)?;
        let whiten = single(whiten.t().iter().copied(), &[p, p], device)?;
        let mut size = None;
        if settings.size_weight > 0.0 {
            let rows = whiten.f_narrow(0, p - seen as i64, seen as i64)?;
            let lengths = lengths(&rows, &data.f_transpose(0, 1)?)?.f_view([n])?;
            size = Some(Size { weight: settings.size_weight.sqrt(), rows, data: lengths });
        }
        Ok(Sliced {
            distances: PairDistances::new(atoms, device)?,
            mean: single(mean.iter().copied(), &[p, 1], device)?,
            torsions,
            aims: Aims {
                data,
                width: single(width.iter().copied(), &[p, 1], device)?,
                whiten,
                size,
                harmonics,
                distance_lines: settings.lines > 0,
                part: None,
            },
            company: None,
            shapes: shapes(p, quads.len(), settings),
        })
    }

    /// Shares the lines with other ranks.
    pub(super) fn share_with(&mut self, company: Arc<Company>) {
        self.aims.part = Some(company.part());
        self.company = Some(company);
    }

    /// Shapes (d, K) of the sets of lines.
    pub(super) fn line_shapes(&self) -> &[[i64; 2]] {
        &self.shapes
    }

    /// The side of the data, whose tensors are shared.
    pub(super) fn aims(&self) -> Aims {
        self.aims.handle()
    }

    /// Loss of positions (B, 3n) for the aim of their step.
    ///
    /// # Errors
    /// Where libtorch refuses, or a rank cannot be reached.
    pub(super) fn loss(&self, positions: &Tensor, aim: &Aim) -> Result<Tensor> {
        let x = batch_last(positions)?;
        let distances = self.distances.apply(&x)?.f_sub(&self.mean)?;
        let torsions = self.torsions.as_ref().map(|torsions| torsions.apply(&x)).transpose()?;
        let px = self.aims.projections(&distances, torsions.as_ref(), None, aim)?;
        let target = match &self.company {
            None => sliced::transport(&px, &aim.sorted)?,
            // Lines are sorted one by one, so that whoever sorts them gets the same.
            Some(company) => {
                let mine = sliced::transport(&company.part().rows(&px)?, &aim.sorted)?;
                company.together(&mine, px.size2()?.0 as usize)?
            }
        };
        Ok(px.f_sub(&target)?.f_square()?.f_mean(None::<Kind>)?)
    }
}

impl Aims {
    fn handle(&self) -> Aims {
        let shared = |tensor: &Option<Tensor>| tensor.as_ref().map(Tensor::shallow_clone);
        Aims {
            data: self.data.shallow_clone(),
            width: self.width.shallow_clone(),
            whiten: self.whiten.shallow_clone(),
            size: self.size.as_ref().map(|size| Size {
                weight: size.weight,
                rows: size.rows.shallow_clone(),
                data: size.data.shallow_clone(),
            }),
            harmonics: shared(&self.harmonics),
            ..*self
        }
    }

    /// What a batch aims at that drew these numbers.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn aim(&self, Drawn { index, lines, .. }: &Drawn) -> Result<Aim> {
        let columns = |data: &Tensor| data.f_index_select(0, index)?.f_transpose(0, 1)?.f_contiguous();
        let (first, rest) = lines.split_at(usize::from(self.distance_lines));
        let directions = |set: &Tensor| sliced::directions(set)?.f_transpose(-2, -1).map_err(Error::from);
        let distance_lines = match first {
            // Directions in whitened coordinates, carried back: (K, P) = d^T W^T.
            [set] => Some(directions(set)?.f_matmul(&self.whiten)?),
            _ => None,
        };
        let torsion_lines = match (&self.harmonics, rest.split_last()) {
            (Some(_), Some((joint, each))) => {
                Some((directions(&Tensor::f_stack(each, 0)?)?, directions(joint)?))
            }
            _ => None,
        };
        let mut aim = Aim { distance_lines, torsion_lines, sorted: Tensor::new() };
        let harmonics = self.harmonics.as_ref().map(columns).transpose()?;
        let lengths = self.size.as_ref().map(|size| size.data.f_index_select(0, index)).transpose()?;
        let py = self.projections(&columns(&self.data)?, harmonics.as_ref(), lengths.as_ref(), &aim)?;
        let py = match self.part {
            None => py,
            Some(part) => part.rows(&py)?,
        };
        aim.sorted = sliced::ascending(&py)?;
        Ok(aim)
    }

    /// Projections (L, B) of centered distances (P, B) and harmonics (T, 6, B), or (6 T, B), with lengths (B) where these are known.
    fn projections(
        &self,
        distances: &Tensor,
        harmonics: Option<&Tensor>,
        known: Option<&Tensor>,
        aim: &Aim,
    ) -> Result<Tensor> {
        let mut rows = vec![distances.f_div(&self.width)?];
        if let Some(lines) = &aim.distance_lines {
            rows.push(lines.f_matmul(distances)?);
        }
        if let Some(size) = &self.size {
            // Lines see the sum of many small surpluses of width only faintly: their length shows it at once.
            let lengths = match known {
                Some(known) => known.f_view([1, -1])?,
                None => lengths(&size.rows, distances)?,
            };
            rows.push(lengths.f_mul_scalar(size.weight)?);
        }
        if let (Some(harmonics), Some((each, joint))) = (harmonics, &aim.torsion_lines) {
            let batch = distances.size2()?.1;
            let harmonics = harmonics.f_view([-1, 2 * HARMONICS as i64, batch])?;
            rows.push(each.f_matmul(&harmonics)?.f_view([-1, batch])?);
            rows.push(joint.f_matmul(&harmonics.f_view([-1, batch])?)?);
        }
        Ok(Tensor::f_cat(&rows, 0)?)
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
            let aim = sliced.aims().aim(&drawn).unwrap();
            f64::try_from(sliced.loss(&positions, &aim).unwrap()).unwrap()
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
