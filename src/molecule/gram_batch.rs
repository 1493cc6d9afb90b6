//! G = J (J^T J)^+ F (Eq. 31, Algorithm 3) of several frames at once, one in each lane of a vector register.
//!
//! A frame's matrices are too small for LAPACK, whose calls and threads cost more than the work; side by side, frames need
//! the same operations in the same order. What a frame gives does not depend on its neighbors.

use super::features::pairs;
use super::lanes::{dot, Lanes, LANES};

/// Pivots below this part of the largest diagonal entry may belong to eigenvalues that are to be cut.
const SAFE_PIVOT: f64 = 1e-6;
/// Solutions that miss their right-hand side by more, relative, are not trusted.
const SAFE_RESIDUAL: f64 = 1e-11;

/// Room for [`LANES`] frames of n atoms.
pub(super) struct GramBatch {
    atoms: usize,
    pairs: Vec<(usize, usize)>,
    /// Positions, then forces without net force and torque, (3n).
    x: Vec<Lanes>,
    f: Vec<Lanes>,
    /// Unit vectors of the pairs, (P, 3): the non-zeros of the Jacobian (Eq. 27).
    units: Vec<[Lanes; 3]>,
    /// Orthonormal rotations, (3n, 3); zero where one moves no atom.
    rotations: Vec<[Lanes; 3]>,
    /// Lower triangle of J^T J, rigid displacements lifted off zero, row by row; then its Cholesky factor.
    lower: Vec<Lanes>,
    /// Inverse diagonal of the factor, and the solution, (3n).
    inverse: Vec<Lanes>,
    v: Vec<Lanes>,
    /// Feature forces, (P).
    g: Vec<Lanes>,
}

impl GramBatch {
    pub fn new(atoms: usize) -> Self {
        let (size, pairs, zero) = (3 * atoms, pairs(atoms), Lanes::all(0.0));
        GramBatch {
            atoms,
            x: vec![zero; size],
            f: vec![zero; size],
            units: vec![[zero; 3]; pairs.len()],
            rotations: vec![[zero; 3]; size],
            lower: vec![zero; size * (size + 1) / 2],
            inverse: vec![zero; size],
            v: vec![zero; size],
            g: vec![zero; pairs.len()],
            pairs,
        }
    }

    /// G of 1 to [`LANES`] frames, into `rows` (frames, P), from positions and forces (frames, 3n). Tells of each frame
    /// whether its row is good: not where more than the rigid displacements is singular, or nearly so.
    pub fn solve(&mut self, positions: &[f64], forces: &[f64], rows: &mut [f64]) -> [bool; LANES] {
        let size = 3 * self.atoms;
        let last = (positions.len() / size.max(1)).saturating_sub(1);
        for k in 0..size {
            // Lanes without a frame of their own do the last one's work again.
            let of = |values: &[f64]| Lanes(std::array::from_fn(|l| values[l.min(last) * size + k]));
            (self.x[k], self.f[k]) = (of(positions), of(forces));
        }
        let good = pulp::Arch::new().dispatch(Solve(self));
        for (l, row) in rows.chunks_exact_mut(self.pairs.len().max(1)).enumerate().take(LANES) {
            row.iter_mut().zip(&self.g).for_each(|(out, g)| *out = g.0[l]);
        }
        good
    }

    #[inline(always)]
    fn solve_inlined(&mut self) -> [bool; LANES] {
        self.unit_vectors();
        self.orthonormal_rotations();
        without_rigid(&mut self.f, &self.rotations);
        self.fill();
        let safe = self.factorize();
        self.substitute();
        without_rigid(&mut self.v, &self.rotations);
        for ((&(i, j), u), g) in self.pairs.iter().zip(&self.units).zip(&mut self.g) {
            *g = Lanes::all(0.0);
            for (c, &u) in u.iter().enumerate() {
                *g = g.plus(u, self.v[3 * i + c] - self.v[3 * j + c]);
            }
        }
        // What J^T G misses of F.
        self.v.copy_from_slice(&self.f);
        for ((&(i, j), u), &g) in self.pairs.iter().zip(&self.units).zip(&self.g) {
            for (c, &u) in u.iter().enumerate() {
                self.v[3 * i + c] = self.v[3 * i + c].less(g, u);
                self.v[3 * j + c] = self.v[3 * j + c].plus(g, u);
            }
        }
        // False for a NaN too.
        let close = dot(&self.v, &self.v)
            .with(dot(&self.f, &self.f), |missed, whole| missed.sqrt() <= SAFE_RESIDUAL * whole.sqrt());
        std::array::from_fn(|l| safe[l] && close[l])
    }

    #[inline(always)]
    fn unit_vectors(&mut self) {
        for (&(i, j), u) in self.pairs.iter().zip(&mut self.units) {
            let mut square = Lanes::all(0.0);
            for (c, u) in u.iter_mut().enumerate() {
                *u = self.x[3 * i + c] - self.x[3 * j + c];
                square = square.plus(*u, *u);
            }
            let inverse = square.map(|r2| 1.0 / r2.sqrt());
            *u = u.map(|d| d * inverse);
        }
    }

    /// By Gram and Schmidt, twice: once leaves what rounding makes of it.
    #[inline(always)]
    fn orthonormal_rotations(&mut self) {
        let mut center = [Lanes::all(0.0); 3];
        for x in self.x.chunks_exact(3) {
            for c in 0..3 {
                center[c] += x[c] * (1.0 / self.atoms as f64);
            }
        }
        for (x, rows) in self.x.chunks_exact(3).zip(self.rotations.chunks_exact_mut(3)) {
            let [x, y, z] = [x[0] - center[0], x[1] - center[1], x[2] - center[2]];
            let zero = Lanes::all(0.0);
            // About x, y and z: the columns.
            rows[0] = [zero, z, zero - y];
            rows[1] = [zero - z, zero, x];
            rows[2] = [y, zero - x, zero];
        }
        for mode in 0..3 {
            let size = self.overlap(mode, mode);
            for _ in 0..2 {
                for earlier in 0..mode {
                    let along = self.overlap(earlier, mode);
                    self.rotations.iter_mut().for_each(|row| row[mode] = row[mode].less(along, row[earlier]));
                }
            }
            // A rotation that the others make up: that of a linear frame about its axis.
            let inverse = |left: f64, size: f64| if left > 1e-12 * size { 1.0 / left.sqrt() } else { 0.0 };
            let scale = Lanes(self.overlap(mode, mode).with(size, inverse));
            self.rotations.iter_mut().for_each(|row| row[mode] = row[mode] * scale);
        }
    }

    #[inline(always)]
    fn overlap(&self, p: usize, q: usize) -> Lanes {
        self.rotations.iter().fold(Lanes::all(0.0), |sum, row| sum.plus(row[p], row[q]))
    }

    /// J^T J from its 3 x 3 blocks, -u u^T off the diagonal and their sums on it, and a lift of its mean eigenvalue along
    /// each rigid displacement.
    #[inline(always)]
    fn fill(&mut self) {
        let lift = 2.0 * self.pairs.len() as f64 / (3 * self.atoms) as f64;
        let mut at = 0;
        for (i, own) in self.rotations.iter().enumerate() {
            for (j, (entry, other)) in self.lower[at..=at + i].iter_mut().zip(&self.rotations).enumerate() {
                let mut sum = Lanes::all(if i % 3 == j % 3 { 1.0 / self.atoms as f64 } else { 0.0 });
                for mode in 0..3 {
                    sum = sum.plus(own[mode], other[mode]);
                }
                *entry = sum * lift;
            }
            at += i + 1;
        }
        let place = |i: usize, j: usize| i * (i + 1) / 2 + j;
        for (&(i, j), u) in self.pairs.iter().zip(&self.units) {
            // i < j: the block below the diagonal is (j, i).
            for a in 0..3 {
                for b in 0..3 {
                    let block = u[a] * u[b];
                    self.lower[place(3 * j + a, 3 * i + b)] -= block;
                    if b <= a {
                        self.lower[place(3 * i + a, 3 * i + b)] += block;
                        self.lower[place(3 * j + a, 3 * j + b)] += block;
                    }
                }
            }
        }
    }

    /// Cholesky, row by row. Tells of each lane whether its pivots are safe; one that is not goes on with nonsense.
    #[inline(always)]
    fn factorize(&mut self) -> [bool; LANES] {
        let size = 3 * self.atoms;
        let mut largest = Lanes::all(0.0);
        for i in 0..size {
            largest = Lanes(largest.with(self.lower[i * (i + 1) / 2 + i], f64::max));
        }
        let least = largest * SAFE_PIVOT;
        let mut good = [true; LANES];
        for i in 0..size {
            let (above, row) = self.lower.split_at_mut(i * (i + 1) / 2);
            for j in 0..i {
                let (done, rest) = row.split_at_mut(j);
                rest[0] = (rest[0] - dot(done, &above[j * (j + 1) / 2..][..j])) * self.inverse[j];
            }
            let pivot = row[i] - dot(&row[..i], &row[..i]);
            let safe = pivot.with(least, |pivot, least| pivot > least);
            good = std::array::from_fn(|l| good[l] && safe[l]);
            self.inverse[i] =
                Lanes(pivot.with(least, |pivot, least| if pivot > least { 1.0 / pivot.sqrt() } else { 1.0 }));
        }
        good
    }

    /// Solves for v by the factor.
    #[inline(always)]
    fn substitute(&mut self) {
        let size = 3 * self.atoms;
        for i in 0..size {
            let sum = dot(&self.v[..i], &self.lower[i * (i + 1) / 2..][..i]);
            self.v[i] = (self.f[i] - sum) * self.inverse[i];
        }
        for i in (0..size).rev() {
            let (rest, own) = self.v.split_at_mut(i);
            own[0] = own[0] * self.inverse[i];
            for (v, a) in rest.iter_mut().zip(&self.lower[i * (i + 1) / 2..][..i]) {
                *v = v.less(*a, own[0]);
            }
        }
    }
}

/// Takes translations and rotations out of v (3n).
#[inline(always)]
fn without_rigid(v: &mut [Lanes], rotations: &[[Lanes; 3]]) {
    let (mut mean, mut along) = ([Lanes::all(0.0); 3], [Lanes::all(0.0); 3]);
    let share = 3.0 / v.len() as f64;
    for (k, (v, row)) in v.iter().zip(rotations).enumerate() {
        mean[k % 3] += *v * share;
        for mode in 0..3 {
            along[mode] = along[mode].plus(*v, row[mode]);
        }
    }
    for (k, (v, row)) in v.iter_mut().zip(rotations).enumerate() {
        *v -= mean[k % 3];
        for mode in 0..3 {
            *v = v.less(along[mode], row[mode]);
        }
    }
}

/// One call, in a form that is compiled with the machine's vector instructions.
struct Solve<'a>(&'a mut GramBatch);

impl pulp::WithSimd for Solve<'_> {
    type Output = [bool; LANES];

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> [bool; LANES] {
        self.0.solve_inlined()
    }
}
