//! Differentiable features of batches of structures. The batch is the last axis: every operation then
//! runs along contiguous memory, and so do the sorts of [`super::sliced`].

use tch::{Device, Kind, Tensor};

use crate::molecule::features::pairs;
use crate::Result;

/// Keeps the square root of a distance differentiable where two atoms meet, in angstrom^2.
const SOFTENING: f64 = 1e-12;

/// The pair-distance map (Eq. 26) on a device.
#[derive(Debug)]
pub struct PairDistances {
    first: Tensor,
    second: Tensor,
}

impl PairDistances {
    /// For molecules of `atoms` atoms.
    ///
    /// # Errors
    /// Where libtorch cannot place the index tensors.
    pub fn new(atoms: usize, device: Device) -> Result<Self> {
        let (first, second): (Vec<i64>, Vec<i64>) =
            pairs(atoms).iter().map(|&(i, j)| (i as i64, j as i64)).unzip();
        let place = |index: &[i64]| Tensor::f_from_slice(index)?.f_to_device(device);
        Ok(PairDistances { first: place(&first)?, second: place(&second)? })
    }

    /// Distances (P, B) of positions (n, 3, B).
    ///
    /// # Errors
    /// Where libtorch refuses, for example for want of memory.
    pub fn apply(&self, positions: &Tensor) -> Result<Tensor> {
        let difference =
            positions.f_index_select(0, &self.first)?.f_sub(&positions.f_index_select(0, &self.second)?)?;
        let square = difference.f_square()?.f_sum_dim_intlist([1_i64].as_slice(), false, None::<Kind>)?;
        Ok(square.f_add_scalar(SOFTENING)?.f_sqrt()?)
    }
}

/// Dihedral angles of a molecule on a device.
#[derive(Debug)]
pub struct Torsions {
    /// Atoms i, j, k and l of each angle, (T) each.
    atoms: [Tensor; 4],
    harmonics: usize,
}

impl Torsions {
    /// Angles over atoms i-j-k-l, each with this many harmonics.
    ///
    /// # Errors
    /// Where libtorch cannot place the index tensors.
    pub fn new(quads: &[[usize; 4]], harmonics: usize, device: Device) -> Result<Self> {
        let place = |k: usize| -> Result<Tensor> {
            let index: Vec<i64> = quads.iter().map(|quad| quad[k] as i64).collect();
            Ok(Tensor::f_from_slice(&index)?.f_to_device(device)?)
        };
        Ok(Torsions { atoms: [place(0)?, place(1)?, place(2)?, place(3)?], harmonics })
    }

    /// `(cos k phi, sin k phi)` for k = 1 .. harmonics, (T, 2 * harmonics, B), of the angles phi (IUPAC sign) in
    /// positions (n, 3, B).
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn apply(&self, positions: &Tensor) -> Result<Tensor> {
        let atom = |k: usize| positions.f_index_select(0, &self.atoms[k]);
        let (p, q, r, s) = (atom(0)?, atom(1)?, atom(2)?, atom(3)?);
        let (a, b, c) = (q.f_sub(&p)?, r.f_sub(&q)?, s.f_sub(&r)?);
        let (n1, n2) = (a.f_linalg_cross(&b, 1)?, b.f_linalg_cross(&c, 1)?);
        let dot =
            |x: &Tensor, y: &Tensor| x.f_mul(y)?.f_sum_dim_intlist([1_i64].as_slice(), false, None::<Kind>);
        // Three atoms in line have no dihedral: the floor keeps the quotient finite there.
        let norms =
            dot(&n1, &n1)?.f_mul(&dot(&n2, &n2)?)?.f_add_scalar(1e-24)?.f_sqrt()?.f_clamp_min(1e-6)?;
        let length = dot(&b, &b)?.f_add_scalar(SOFTENING)?.f_sqrt()?;
        let cos = dot(&n1, &n2)?.f_div(&norms)?;
        let sin = dot(&n1.f_linalg_cross(&n2, 1)?, &b)?.f_div(&norms.f_mul(&length)?)?;
        let mut rows = vec![cos.shallow_clone(), sin.shallow_clone()];
        for k in 1..self.harmonics {
            let (ck, sk) = (&rows[2 * k - 2], &rows[2 * k - 1]);
            let next_cos = ck.f_mul(&cos)?.f_sub(&sk.f_mul(&sin)?)?;
            let next_sin = sk.f_mul(&cos)?.f_add(&ck.f_mul(&sin)?)?;
            rows.extend([next_cos, next_sin]);
        }
        Ok(Tensor::f_stack(&rows, 1)?)
    }
}
