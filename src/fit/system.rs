//! The linear system of the fit: its matrix, block by block, and its solution by Cholesky.
//!
//! Forces of a frame have 3n - 6 independent components. With Q an orthonormal basis of the space that the
//! Jacobian J of the descriptors sees (the rank is found from its singular values: linear and planar frames have
//! less), B = J Q and a kernel K_ij = sum_g B_i^T [e (1 + n) - e d d^T] (P_g B_j) the system is (K + ridge) a =
//! Q^T F. It has the solution of the full 3n system, whose other directions are zero, at half the work.

use ndarray::{s, Array1, Array2, ArrayView2, ArrayViewMut2, Axis, OwnedRepr};
use ndarray_linalg::{CholeskyFactorized, Eigh, FactorizeCInto, SolveC, UPLO};
use rayon::prelude::*;

use crate::potential::gdml::lower_pairs;
use crate::{Error, Result};

/// Eigenvalues of J^T J below this part of the largest are cut.
const RELATIVE_CUT: f64 = 1e-12;

/// One frame of the fit.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Inverse distances times their weights, (D).
    x: Vec<f64>,
    /// B = W J Q, (D, width); columns beyond `rank` are zero.
    b: Vec<f64>,
    width: usize,
    rank: usize,
    /// Q, (3n, rank).
    basis: Array2<f64>,
    /// Q^T F, (rank).
    pub target: Vec<f64>,
}

impl Frame {
    /// Prepares one frame (n, 3) with its forces and the weights of the inverse distances, (D).
    pub fn new(
        positions: ArrayView2<f64>,
        forces: ArrayView2<f64>,
        weights: &[f64],
        number: usize,
    ) -> Result<Self> {
        let n = positions.nrows();
        let pairs = lower_pairs(n);
        let mut x = Vec::with_capacity(pairs.len());
        let mut j = Array2::<f64>::zeros((pairs.len(), 3 * n));
        for (k, &(a, b)) in pairs.iter().enumerate() {
            let d: [f64; 3] = std::array::from_fn(|c| positions[[a, c]] - positions[[b, c]]);
            let inverse = 1.0 / d.iter().map(|v| v * v).sum::<f64>().sqrt();
            x.push(inverse);
            for c in 0..3 {
                j[[k, 3 * a + c]] = -d[c] * inverse.powi(3);
                j[[k, 3 * b + c]] = d[c] * inverse.powi(3);
            }
        }
        let failed = |why: String| {
            Error::Numeric(format!("frame {number}: {why}; two atoms coincide, or a number is not finite"))
        };
        if x.iter().any(|v| !v.is_finite()) || forces.iter().any(|v| !v.is_finite()) {
            return Err(failed("it cannot be fitted".into()));
        }
        let (values, vectors) =
            j.t().dot(&j).eigh(UPLO::Lower).map_err(|error| failed(format!("no eigenvalues ({error})")))?;
        let largest = values.iter().copied().fold(0.0, f64::max);
        let kept: Vec<usize> = (0..3 * n).filter(|&k| values[k] > RELATIVE_CUT * largest).collect();
        let q = vectors.select(Axis(1), &kept);
        let b = j.dot(&q);
        let flat: Array1<f64> = forces.iter().copied().collect();
        let rank = kept.len();
        // A whole number of vector registers.
        let width = rank.next_multiple_of(4);
        let mut padded = vec![0.0; pairs.len() * width];
        for ((row, b), weight) in padded.chunks_exact_mut(width).zip(b.outer_iter()).zip(weights) {
            row.iter_mut().zip(b).for_each(|(to, from)| *to = weight * from);
        }
        x.iter_mut().zip(weights).for_each(|(x, weight)| *x *= weight);
        let target = q.t().dot(&flat).to_vec();
        Ok(Frame { x, b: padded, width, rank, basis: q, target })
    }

    /// Rows of this frame in the system.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Q^T f of forces f, (3n).
    pub fn project(&self, forces: &Array1<f64>) -> Vec<f64> {
        self.basis.t().dot(forces).to_vec()
    }

    /// B^T v of a change v of the weighted inverse distances, (D).
    pub fn project_change(&self, v: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.rank];
        for (row, v) in self.b.chunks_exact(self.width).zip(v) {
            out.iter_mut().zip(row).for_each(|(to, b)| *to = b.mul_add(*v, *to));
        }
        out
    }

    /// J Q a, the change of the inverse distances, (D).
    pub fn change(&self, a: &[f64], weights: &[f64]) -> Vec<f64> {
        self.coefficients(a).iter().zip(weights).map(|(c, weight)| -c / weight).collect()
    }

    /// -B a, the coefficients in descriptor space, (D): the energy is then minus the kernel sum's integral.
    pub fn coefficients(&self, a: &[f64]) -> Vec<f64> {
        self.b
            .chunks_exact(self.width)
            .map(|row| -row.iter().zip(a).map(|(b, a)| b * a).sum::<f64>())
            .collect()
    }
}

/// Bytes of the matrix of a system of so many rows.
pub(super) fn bytes(rows: usize) -> u64 {
    8 * (rows as u64).saturating_mul(rows as u64)
}

/// The kernel matrix, lower triangle, without its ridge. The rows of frame i start at `offsets[i]`.
pub(super) fn matrix(frames: &[Frame], orders: &[Vec<usize>], sigma: f64) -> Array2<f64> {
    let rows: usize = frames.iter().map(Frame::rank).sum();
    let mut k = Array2::zeros((rows, rows));
    let mut parts: Vec<ArrayViewMut2<f64>> = Vec::with_capacity(frames.len());
    let mut rest = k.view_mut();
    for frame in frames {
        let (head, tail) = rest.split_at(Axis(0), frame.rank);
        parts.push(head);
        rest = tail;
    }
    // Later frames have longer rows: from the end, so that no thread is left with the longest at last.
    parts.into_par_iter().enumerate().rev().for_each(|(i, mut part)| {
        pulp::Arch::new().dispatch(Row { frames, orders, sigma, i, part: part.view_mut() });
    });
    k
}

/// The blocks of one frame with all frames up to itself.
struct Row<'a> {
    frames: &'a [Frame],
    orders: &'a [Vec<usize>],
    sigma: f64,
    i: usize,
    part: ArrayViewMut2<'a, f64>,
}

impl pulp::WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(mut self, _: S) {
        let mut room = Room::default();
        let mut column = 0;
        for j in 0..=self.i {
            let other = &self.frames[j];
            block(&self.frames[self.i], other, self.orders, self.sigma, &mut room);
            let mut to = self.part.slice_mut(s![.., column..column + other.rank]);
            for (a, mut row) in to.outer_iter_mut().enumerate() {
                row.iter_mut().zip(&room.block[a * other.width..]).for_each(|(to, from)| *to = *from);
            }
            column += other.rank;
        }
    }
}

#[derive(Default)]
struct Room {
    /// sum_g e (1 + n) P_g B_j, (D, width).
    mixed: Vec<f64>,
    d: Vec<f64>,
    u: Vec<f64>,
    v: Vec<f64>,
    /// (width of i, width of j).
    block: Vec<f64>,
}

#[inline(always)]
fn block(one: &Frame, other: &Frame, orders: &[Vec<usize>], sigma: f64, room: &mut Room) {
    let (wi, wj) = (one.width, other.width);
    let q = 5.0_f64.sqrt() / sigma;
    let amplitude = 5.0 / (3.0 * sigma * sigma);
    let clear = |values: &mut Vec<f64>, size: usize| {
        values.clear();
        values.resize(size, 0.0);
    };
    clear(&mut room.mixed, one.x.len() * wj);
    clear(&mut room.block, wi * wj);
    for order in orders {
        room.d.clear();
        room.d.extend(order.iter().zip(&one.x).map(|(&k, x)| q * (x - other.x[k])));
        let n = room.d.iter().map(|d| d * d).sum::<f64>().sqrt();
        let e = amplitude * (-n).exp();
        let en = e * (1.0 + n);
        clear(&mut room.u, wi);
        clear(&mut room.v, wj);
        for ((&k, &d), (mixed, b)) in
            order.iter().zip(&room.d).zip(room.mixed.chunks_exact_mut(wj).zip(one.b.chunks_exact(wi)))
        {
            for ((mixed, v), b) in mixed.iter_mut().zip(&mut room.v).zip(&other.b[k * wj..][..wj]) {
                *mixed = en.mul_add(*b, *mixed);
                *v = d.mul_add(*b, *v);
            }
            for (u, b) in room.u.iter_mut().zip(b) {
                *u = d.mul_add(*b, *u);
            }
        }
        for (u, row) in room.u.iter().zip(room.block.chunks_exact_mut(wj)) {
            let factor = -e * u;
            for (to, v) in row.iter_mut().zip(&room.v) {
                *to = factor.mul_add(*v, *to);
            }
        }
    }
    for (b, mixed) in one.b.chunks_exact(wi).zip(room.mixed.chunks_exact(wj)) {
        for (b, row) in b.iter().zip(room.block.chunks_exact_mut(wj)) {
            for (to, mixed) in row.iter_mut().zip(mixed) {
                *to = b.mul_add(*mixed, *to);
            }
        }
    }
}

/// Solves (K + ridge tr(K) / rows) a = F / scale for every frame: (rank) each. The matrix is used up.
///
/// # Errors
/// [`Error::Numeric`] where the matrix is not positive definite with that ridge.
pub(super) fn solve(k: Array2<f64>, frames: &[Frame], ridge: f64, scale: f64) -> Result<Vec<Vec<f64>>> {
    let shift = ridge * k.diag().sum() / k.nrows() as f64;
    let target: Array1<f64> =
        frames.iter().flat_map(|frame| frame.target.iter().map(|f| f / scale)).collect();
    let solution = factors(k, shift)
        .and_then(|factors| factors.solve(&target))
        .map_err(|error| Error::Numeric(format!("{error}, ridge {ridge:e}")))?;
    Ok(spread(&solution, frames))
}

/// The Cholesky factors of K + shift. The matrix is used up.
///
/// # Errors
/// [`Error::Numeric`] where that is not positive definite.
pub(super) fn factors(mut k: Array2<f64>, shift: f64) -> Result<Factors> {
    let rows = k.nrows();
    k.diag_mut().iter_mut().for_each(|v| *v += shift);
    match k.factorizec_into(UPLO::Lower) {
        Ok(factors) => Ok(Factors(factors)),
        Err(error) => {
            Err(Error::Numeric(format!("the system of {rows} rows is not positive definite ({error})")))
        }
    }
}

/// Factors of a system.
pub(super) struct Factors(CholeskyFactorized<OwnedRepr<f64>>);

impl Factors {
    /// The solution for a right side, (rows).
    ///
    /// # Errors
    /// [`Error::Numeric`] where it is not finite.
    pub fn solve(&self, right: &Array1<f64>) -> Result<Array1<f64>> {
        match self.0.solvec(right) {
            Ok(solution) if solution.iter().all(|v| v.is_finite()) => Ok(solution),
            Ok(_) => Err(Error::Numeric("the solution of the system is not finite".into())),
            Err(error) => Err(Error::Numeric(format!("the system cannot be solved ({error})"))),
        }
    }
}

/// A solution frame by frame: (rank) each.
pub(super) fn spread(solution: &Array1<f64>, frames: &[Frame]) -> Vec<Vec<f64>> {
    let mut rest = solution.as_slice().unwrap_or(&[]);
    let mut out = Vec::with_capacity(frames.len());
    for frame in frames {
        let (head, tail) = rest.split_at(frame.rank.min(rest.len()));
        out.push(head.to_vec());
        rest = tail;
    }
    out
}
