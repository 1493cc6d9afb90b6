//! G = J (J^T J)^+ F (Eq. 31, Algorithm 3) of several frames at once, one in each lane of a vector register.
//!
//! A frame's matrices are too small for LAPACK, whose calls and threads cost more than the work; side by side, frames need
//! the same operations in the same order. Nothing of a lane reaches another: what a frame gives does not depend on its
//! neighbors.

use super::features::pairs;

/// Frames at once.
pub(super) const LANES: usize = 4;
/// One number of each frame.
type Lanes = [f64; LANES];

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
        let (size, pairs) = (3 * atoms, pairs(atoms));
        let zero = [0.0; LANES];
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

    /// G of up to [`LANES`] frames, into `rows` (frames, P), from positions and forces (frames, 3n). Tells of each frame
    /// whether its row is good: not where more than the rigid displacements is singular, or nearly so.
    pub fn solve(&mut self, positions: &[f64], forces: &[f64], rows: &mut [f64]) -> [bool; LANES] {
        let size = 3 * self.atoms;
        let frames = positions.len() / size.max(1);
        for k in 0..size {
            // Lanes without a frame of their own do the last one's work again.
            let of = |values: &[f64]| std::array::from_fn(|l| values[l.min(frames - 1) * size + k]);
            (self.x[k], self.f[k]) = (of(positions), of(forces));
        }
        let good = pulp::Arch::new().dispatch(Solve(self));
        let columns = self.pairs.len();
        for (row, l) in rows.chunks_exact_mut(columns.max(1)).zip(0..LANES) {
            row.iter_mut().zip(&self.g).for_each(|(out, g)| *out = g[l]);
        }
        good
    }

    #[inline(always)]
    fn solve_inlined(&mut self) -> [bool; LANES] {
        self.unit_vectors();
        self.orthonormal_rotations();
        self.without_rigid(true);
        self.fill();
        let mut good = self.factorize();
        self.substitute();
        self.without_rigid(false);
        // G = J v, and what J^T G misses of F.
        for ((&(i, j), u), g) in self.pairs.iter().zip(&self.units).zip(&mut self.g) {
            let mut sum = [0.0; LANES];
            for c in 0..3 {
                let (vi, vj) = (self.v[3 * i + c], self.v[3 * j + c]);
                for l in 0..LANES {
                    sum[l] = u[c][l].mul_add(vi[l] - vj[l], sum[l]);
                }
            }
            *g = sum;
        }
        self.v.copy_from_slice(&self.f);
        for ((&(i, j), u), g) in self.pairs.iter().zip(&self.units).zip(&self.g) {
            for c in 0..3 {
                for l in 0..LANES {
                    self.v[3 * i + c][l] -= g[l] * u[c][l];
                    self.v[3 * j + c][l] += g[l] * u[c][l];
                }
            }
        }
        let (missed, whole) = (dot(&self.v, &self.v), dot(&self.f, &self.f));
        for l in 0..LANES {
            // False for a NaN too.
            good[l] &= missed[l].sqrt() <= SAFE_RESIDUAL * whole[l].sqrt();
        }
        good
    }

    #[inline(always)]
    fn unit_vectors(&mut self) {
        for (&(i, j), u) in self.pairs.iter().zip(&mut self.units) {
            let mut square = [0.0; LANES];
            for c in 0..3 {
                for l in 0..LANES {
                    u[c][l] = self.x[3 * i + c][l] - self.x[3 * j + c][l];
                    square[l] = u[c][l].mul_add(u[c][l], square[l]);
                }
            }
            for l in 0..LANES {
                square[l] = 1.0 / square[l].sqrt();
            }
            for c in 0..3 {
                for l in 0..LANES {
                    u[c][l] *= square[l];
                }
            }
        }
    }

    /// By Gram and Schmidt, twice: once leaves what rounding makes of it.
    #[inline(always)]
    fn orthonormal_rotations(&mut self) {
        let mut center = [[0.0; LANES]; 3];
        for x in self.x.chunks_exact(3) {
            for c in 0..3 {
                for l in 0..LANES {
                    center[c][l] += x[c][l] / self.atoms as f64;
                }
            }
        }
        for (x, rows) in self.x.chunks_exact(3).zip(self.rotations.chunks_exact_mut(3)) {
            for c in 0..3 {
                let (a, b) = ((c + 1) % 3, (c + 2) % 3);
                rows[c][c] = [0.0; LANES];
                for l in 0..LANES {
                    rows[b][c][l] = x[a][l] - center[a][l];
                    rows[a][c][l] = center[b][l] - x[b][l];
                }
            }
        }
        for mode in 0..3 {
            let size = self.overlap(mode, mode);
            for _ in 0..2 {
                for earlier in 0..mode {
                    let along = self.overlap(earlier, mode);
                    for row in &mut self.rotations {
                        for l in 0..LANES {
                            row[mode][l] = (-along[l]).mul_add(row[earlier][l], row[mode][l]);
                        }
                    }
                }
            }
            let mut scale = self.overlap(mode, mode);
            for l in 0..LANES {
                // A rotation that the others make up: that of a linear frame about its axis.
                scale[l] = if scale[l] > 1e-12 * size[l] { 1.0 / scale[l].sqrt() } else { 0.0 };
            }
            for row in &mut self.rotations {
                for l in 0..LANES {
                    row[mode][l] *= scale[l];
                }
            }
        }
    }

    #[inline(always)]
    fn overlap(&self, p: usize, q: usize) -> Lanes {
        let mut sum = [0.0; LANES];
        for row in &self.rotations {
            for l in 0..LANES {
                sum[l] = row[p][l].mul_add(row[q][l], sum[l]);
            }
        }
        sum
    }

    /// Takes translations and rotations out of the forces, or of the solution.
    #[inline(always)]
    fn without_rigid(&mut self, of_forces: bool) {
        let v = if of_forces { &mut self.f } else { &mut self.v };
        let mut mean = [[0.0; LANES]; 3];
        let mut along = [[0.0; LANES]; 3];
        for (k, (v, row)) in v.iter().zip(&self.rotations).enumerate() {
            for l in 0..LANES {
                mean[k % 3][l] += v[l] / self.atoms as f64;
            }
            for mode in 0..3 {
                for l in 0..LANES {
                    along[mode][l] = v[l].mul_add(row[mode][l], along[mode][l]);
                }
            }
        }
        for (k, (v, row)) in v.iter_mut().zip(&self.rotations).enumerate() {
            for l in 0..LANES {
                v[l] -= mean[k % 3][l];
            }
            for mode in 0..3 {
                for l in 0..LANES {
                    v[l] = (-along[mode][l]).mul_add(row[mode][l], v[l]);
                }
            }
        }
    }

    /// J^T J from its 3 x 3 blocks, -u u^T off the diagonal and their sums on it, and a lift of its mean eigenvalue along
    /// each rigid displacement.
    #[inline(always)]
    fn fill(&mut self) {
        let lift = 2.0 * self.pairs.len() as f64 / (3 * self.atoms) as f64;
        let mut at = 0;
        for (i, own) in self.rotations.iter().enumerate() {
            for (j, (entry, other)) in self.lower[at..=at + i].iter_mut().zip(&self.rotations).enumerate() {
                let translation = if i % 3 == j % 3 { 1.0 / self.atoms as f64 } else { 0.0 };
                let mut sum = [translation; LANES];
                for mode in 0..3 {
                    for l in 0..LANES {
                        sum[l] = own[mode][l].mul_add(other[mode][l], sum[l]);
                    }
                }
                for l in 0..LANES {
                    entry[l] = lift * sum[l];
                }
            }
            at += i + 1;
        }
        let place = |i: usize, j: usize| i * (i + 1) / 2 + j;
        for (&(i, j), u) in self.pairs.iter().zip(&self.units) {
            // i < j: the block below the diagonal is (j, i).
            for a in 0..3 {
                let (own, other) = (place(3 * i + a, 3 * i), place(3 * j + a, 3 * j));
                let between = place(3 * j + a, 3 * i);
                for b in 0..3 {
                    for l in 0..LANES {
                        let block = u[a][l] * u[b][l];
                        self.lower[between + b][l] -= block;
                        if b <= a {
                            self.lower[own + b][l] += block;
                            self.lower[other + b][l] += block;
                        }
                    }
                }
            }
        }
    }

    /// Cholesky, row by row. A lane whose pivot is not safe is marked and goes on with nonsense.
    #[inline(always)]
    fn factorize(&mut self) -> [bool; LANES] {
        let size = 3 * self.atoms;
        let mut largest = [0.0; LANES];
        for i in 0..size {
            for l in 0..LANES {
                largest[l] = f64::max(largest[l], self.lower[i * (i + 1) / 2 + i][l]);
            }
        }
        let mut good = [true; LANES];
        for i in 0..size {
            let (above, row) = self.lower.split_at_mut(i * (i + 1) / 2);
            for j in 0..i {
                let (done, rest) = row.split_at_mut(j);
                let sum = dot(done, &above[j * (j + 1) / 2..][..j]);
                for l in 0..LANES {
                    rest[0][l] = (rest[0][l] - sum[l]) * self.inverse[j][l];
                }
            }
            let sum = dot(&row[..i], &row[..i]);
            for l in 0..LANES {
                let pivot = row[i][l] - sum[l];
                let safe = pivot > SAFE_PIVOT * largest[l];
                good[l] &= safe;
                self.inverse[i][l] = if safe { 1.0 / pivot.sqrt() } else { 1.0 };
            }
        }
        good
    }

    /// Solves for v by the factor.
    #[inline(always)]
    fn substitute(&mut self) {
        let size = 3 * self.atoms;
        for i in 0..size {
            let sum = dot(&self.v[..i], &self.lower[i * (i + 1) / 2..][..i]);
            for l in 0..LANES {
                self.v[i][l] = (self.f[i][l] - sum[l]) * self.inverse[i][l];
            }
        }
        for i in (0..size).rev() {
            let (rest, own) = self.v.split_at_mut(i);
            for l in 0..LANES {
                own[0][l] *= self.inverse[i][l];
            }
            for (v, a) in rest.iter_mut().zip(&self.lower[i * (i + 1) / 2..][..i]) {
                for l in 0..LANES {
                    v[l] = (-a[l]).mul_add(own[0][l], v[l]);
                }
            }
        }
    }
}

/// Two sums at once: one alone would wait for each of its additions.
#[inline(always)]
fn dot(a: &[Lanes], b: &[Lanes]) -> Lanes {
    let mut sums = [[0.0; LANES]; 2];
    let (pairs, rest) = a.as_chunks::<2>();
    let (others, last) = b.as_chunks::<2>();
    for (a, b) in pairs.iter().zip(others) {
        for half in 0..2 {
            for l in 0..LANES {
                sums[half][l] = a[half][l].mul_add(b[half][l], sums[half][l]);
            }
        }
    }
    for (a, b) in rest.iter().zip(last) {
        for l in 0..LANES {
            sums[0][l] = a[l].mul_add(b[l], sums[0][l]);
        }
    }
    std::array::from_fn(|l| sums[0][l] + sums[1][l])
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
