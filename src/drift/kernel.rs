//! The paper's drifting field with its force terms.
//!
//! `V(x) = V+(x) - V-(x)`: attraction to the data y, repulsion from the generated batch itself (the
//! self term kept, positives and negatives normalized apart, as in Algorithms 1, 2, 4 and 5).

use tch::{Kind, Tensor};

use crate::{Error, Result};

/// How the force terms are brought to the scale of the displacements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Normalization {
    /// Eqs. 34 and 36: the force over its mean norm times the bandwidth; the alignment over its
    /// standard deviation along the positive batch.
    Scaled {
        /// Mean norm of the forces over the data set.
        force_norm: f64,
    },
    /// Eqs. 15, 23, 32 and 35: times tau^2 / kT, and over kT.
    Physical {
        /// Boltzmann's constant times the temperature, in the unit of force times length.
        kt: f64,
    },
}

/// The kernel (Eq. 8 and below Eq. 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// exp(-|x - y|^2 / (2 tau^2)).
    Gaussian,
    /// exp(-|x - y| / tau). The score identity does not hold for it (Remark 3.1), so no force terms.
    Laplace,
}

/// Parameters of the field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// The kernel.
    pub kernel: Kernel,
    /// Bandwidth tau.
    pub tau: f64,
    /// Force interpolation weight omega (FI, Eqs. 15 and 34); 0 switches it off.
    pub omega: f64,
    /// Force alignment strength gamma (FK, Eqs. 23 and 36); 0 switches it off.
    pub gamma: f64,
    /// Scale of the force terms.
    pub normalization: Normalization,
}

impl Field {
    /// V (B, d) at generated points x (B, d), for data y (M, d) with forces (M, d) at y.
    ///
    /// # Errors
    /// [`Error::Usage`] where forces are needed and missing, or wanted with a Laplace kernel; libtorch's
    /// own refusals.
    pub fn drift(&self, x: &Tensor, y: &Tensor, force: Option<&Tensor>) -> Result<Tensor> {
        let needs_force = self.omega != 0.0 || self.gamma != 0.0;
        if needs_force && self.kernel == Kernel::Laplace {
            return Err(Error::usage(
                "force terms need the Gaussian kernel: the score identity does not hold for the Laplace kernel \
                 (Remark 3.1); use the Gaussian one or set omega and gamma to 0",
            ));
        }
        let force = match (needs_force, force) {
            (true, None) => return Err(Error::usage("omega or gamma is not 0, but the data has no forces")),
            (true, force) => force,
            (false, _) => None,
        };
        let mut logits = self.logits(x, y)?;
        if let (Some(force), true) = (force, self.gamma != 0.0) {
            // A_bj = F_j . (y_j - x_b)
            let at_data =
                force.f_mul(y)?.f_sum_dim_intlist([1_i64].as_slice(), false, None::<Kind>)?.f_unsqueeze(0)?;
            let alignment = at_data.f_sub(&x.f_matmul(&force.f_transpose(0, 1)?)?)?;
            let alignment = match self.normalization {
                Normalization::Scaled { .. } => {
                    let spread = alignment.f_std_dim([1_i64].as_slice(), true, true)?;
                    alignment.f_div(&spread)?
                }
                Normalization::Physical { kt } => alignment.f_div_scalar(kt)?,
            };
            logits = logits.f_add(&alignment.f_mul_scalar(self.gamma)?)?;
        }
        let weights = logits.f_softmax(1, None::<Kind>)?;
        let mut attraction = weights.f_matmul(y)?.f_sub(x)?.f_mul_scalar(1.0 - self.omega)?;
        if let (Some(force), true) = (force, self.omega != 0.0) {
            let scale = match self.normalization {
                Normalization::Scaled { force_norm } => self.tau / force_norm,
                Normalization::Physical { kt } => self.tau * self.tau / kt,
            };
            attraction = attraction.f_add(&weights.f_matmul(force)?.f_mul_scalar(self.omega * scale)?)?;
        }
        let repulsion = self.logits(x, x)?.f_softmax(1, None::<Kind>)?.f_matmul(x)?.f_sub(x)?;
        Ok(attraction.f_sub(&repulsion)?)
    }

    /// log k(x, y), (B, M).
    fn logits(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let norm = |t: &Tensor| t.f_square()?.f_sum_dim_intlist([1_i64].as_slice(), false, None::<Kind>);
        let product = x.f_matmul(&y.f_transpose(0, 1)?)?.f_mul_scalar(-2.0)?;
        let square =
            product.f_add(&norm(x)?.f_unsqueeze(1)?)?.f_add(&norm(y)?.f_unsqueeze(0)?)?.f_clamp_min(0.0)?;
        Ok(match self.kernel {
            Kernel::Gaussian => square.f_mul_scalar(-0.5 / (self.tau * self.tau))?,
            Kernel::Laplace => square.f_sqrt()?.f_mul_scalar(-1.0 / self.tau)?,
        })
    }
}
