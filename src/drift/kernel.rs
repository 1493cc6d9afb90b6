//! The paper's drifting field with its force terms.
//!
//! `V(x) = V+(x) - V-(x)`: attraction to the data y, repulsion from the generated batch itself. By default the self
//! term is kept and positives and negatives are normalized apart, as in Algorithms 1, 2, 4 and 5; [`Weighting`] has
//! the options of the original image models.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::each;
use crate::{Error, Result};

/// Generated points of a part of the field. Fixed, so that no bit depends on the number of threads.
const ROWS: i64 = 128;

/// How the force terms are brought to the scale of the displacements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Normalization {
    /// Eqs. 34 and 36: the force over its mean norm times the bandwidth; the alignment over its
    /// standard deviation along the positive batch.
    Scaled {
        /// Mean norm of the forces over the data set.
        force_norm: f64,
    },
    /// Eqs. 15, 21, 23, 32 and 35: times tau^2 / kT, and over kT.
    Physical {
        /// Boltzmann's constant times the temperature, in the unit of force times length.
        kt: f64,
    },
}

/// The kernel (Eq. 8 and below Eq. 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    /// exp(-|x - y|^2 / (2 tau^2)).
    #[default]
    Gaussian,
    /// exp(-|x - y| / tau). The score identity does not hold for it (Remark 3.1), so no force terms.
    Laplace,
}

/// What gamma weighs the data by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alignment {
    /// F_j . (y_j - x), the first-order form (Eqs. 23, 35 and 36).
    #[default]
    Force,
    /// -E(y_j), exact (Eq. 21).
    Energy,
}

/// How kernel values become weights: options of the image models (arXiv 2602.04770), all off in the paper here.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weighting {
    /// Leave each generated point out of its own repulsion.
    pub exclude_self: bool,
    /// One softmax over positives and negatives together, along both axes: the geometric mean of the two; each side's
    /// weights are then multiplied by the sum of the other's.
    pub joint: bool,
    /// Several bandwidths, as factors of tau, whose fields are averaged; empty: tau alone.
    pub bandwidths: Vec<f64>,
    /// Each bandwidth's field over its root mean square, then summed instead of averaged.
    pub normalize: bool,
}

/// Labels of the data y (M, d).
#[derive(Debug, Clone, Copy, Default)]
pub struct Labels<'a> {
    /// Forces, (M, d), in the unit of energy over that of y.
    pub force: Option<&'a Tensor>,
    /// Energies, (M).
    pub energy: Option<&'a Tensor>,
}

/// Parameters of the field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The kernel.
    pub kernel: Kernel,
    /// Bandwidth tau.
    pub tau: f64,
    /// Force interpolation weight omega (FI, Eqs. 15, 32 and 34); 0 switches it off.
    pub omega: f64,
    /// Strength gamma of the alignment (FK, Eqs. 21, 23, 35 and 36); 0 switches it off.
    pub gamma: f64,
    /// What gamma weighs by.
    pub alignment: Alignment,
    /// Scale of the force terms.
    pub normalization: Normalization,
    /// From kernel values to weights.
    pub weighting: Weighting,
}

impl Field {
    /// The field without forces: Gaussian kernel, bandwidth `tau`, the paper's weights.
    pub fn plain(tau: f64) -> Field {
        Field {
            kernel: Kernel::Gaussian,
            tau,
            omega: 0.0,
            gamma: 0.0,
            alignment: Alignment::Force,
            normalization: Normalization::Scaled { force_norm: 1.0 },
            weighting: Weighting::default(),
        }
    }

    /// V (B, d) at generated points x (B, d), for data y (M, d) with labels at y.
    ///
    /// # Errors
    /// [`Error::Usage`] where labels are needed and missing, or wanted with a Laplace kernel; libtorch's
    /// own refusals.
    pub fn drift(&self, x: &Tensor, y: &Tensor, labels: Labels) -> Result<Tensor> {
        if (self.omega != 0.0 || self.gamma != 0.0) && self.kernel == Kernel::Laplace {
            return Err(Error::usage(
                "force terms need the Gaussian kernel: the score identity does not hold for the Laplace kernel \
                 (Remark 3.1); use the Gaussian one or set omega and gamma to 0",
            ));
        }
        // Rows do not see each other where each side's softmax runs along the data alone.
        let by_rows = x.device() == Device::Cpu
            && !(self.weighting.joint || self.weighting.exclude_self || self.weighting.normalize);
        if !by_rows || x.size2()?.0 <= ROWS {
            return self.rows(x, x, y, labels);
        }
        let copy = |label: Option<&Tensor>| label.map(Tensor::shallow_clone);
        let parts: Vec<_> = x
            .f_split(ROWS, 0)?
            .into_iter()
            .map(|part| (part, x.shallow_clone(), y.shallow_clone(), copy(labels.force), copy(labels.energy)))
            .collect();
        let parts = each(parts, |(part, x, y, force, energy)| {
            self.rows(&part, &x, &y, Labels { force: force.as_ref(), energy: energy.as_ref() })
        })?;
        Ok(Tensor::f_cat(&parts, 0)?)
    }

    /// V at rows x (R, d) of the generated batch `all` (B, d).
    fn rows(&self, x: &Tensor, all: &Tensor, y: &Tensor, labels: Labels) -> Result<Tensor> {
        let alignment = self.alignment(x, y, labels)?;
        let factors: &[f64] =
            if self.weighting.bandwidths.is_empty() { &[1.0] } else { &self.weighting.bandwidths };
        let mut sum: Option<Tensor> = None;
        for factor in factors {
            let mut v = self.at(self.tau * factor, [x, all], y, labels.force, alignment.as_ref())?;
            if self.weighting.normalize {
                v = v.f_div(&v.f_square()?.f_mean(None::<Kind>)?.f_sqrt()?.f_clamp_min(1e-30)?)?;
            } else if factors.len() > 1 {
                v = v.f_mul_scalar(1.0 / factors.len() as f64)?;
            }
            sum = Some(match sum {
                Some(sum) => sum.f_add(&v)?,
                None => v,
            });
        }
        sum.ok_or_else(|| Error::usage("bandwidths: give at least one"))
    }

    /// What gamma adds to the logarithm of the kernel, (B, M) or (1, M).
    fn alignment(&self, x: &Tensor, y: &Tensor, labels: Labels) -> Result<Option<Tensor>> {
        if self.gamma == 0.0 {
            return Ok(None);
        }
        let along = match self.alignment {
            Alignment::Force => {
                // A_bj = F_j . (y_j - x_b)
                let force = required(labels.force, "gamma is not 0, but the data has no forces")?;
                let at_data = row_sum(&force.f_mul(y)?)?.f_unsqueeze(0)?;
                at_data.f_addmm(&x.f_neg()?, &force.f_transpose(0, 1)?)?
            }
            Alignment::Energy => {
                let energy = required(
                    labels.energy,
                    "gamma with alignment 'energy' is not 0, but the data has no energies",
                )?;
                energy.f_neg()?.f_unsqueeze(0)?
            }
        };
        Ok(Some(match self.normalization {
            Normalization::Scaled { .. } => {
                // The standard deviation along the data; libtorch's own goes number by number.
                let centered = along.f_sub(&along.f_mean_dim([1_i64].as_slice(), true, None::<Kind>)?)?;
                let norm = centered.f_norm_scalaropt_dim(2.0, [1_i64].as_slice(), true)?;
                let freedom = (along.size2()?.1 - 1) as f64;
                let width = norm.f_mul_scalar(1.0 / freedom.sqrt())?.f_clamp_min(1e-30)?;
                along.f_mul(&width.f_reciprocal()?.f_mul_scalar(self.gamma)?)?
            }
            Normalization::Physical { kt } => along.f_mul_scalar(self.gamma / kt)?,
        }))
    }

    /// The field at one bandwidth.
    fn at(
        &self,
        tau: f64,
        [x, all]: [&Tensor; 2],
        y: &Tensor,
        force: Option<&Tensor>,
        alignment: Option<&Tensor>,
    ) -> Result<Tensor> {
        let mut positive = self.log_kernel(x, y, tau)?;
        if let Some(alignment) = alignment {
            positive = positive.f_add(alignment)?;
        }
        let mut negative = self.log_kernel(x, all, tau)?;
        if self.weighting.exclude_self {
            negative = negative.f_fill_diagonal_(f64::NEG_INFINITY, false)?;
        }
        let (positive, negative) = self.weights(&positive, &negative)?;
        let toward = |weights: &Tensor, points: &Tensor| -> Result<Tensor> {
            let sum = weights.f_matmul(points)?;
            // A softmax along the points sums to 1.
            let own = if self.weighting.joint {
                x.f_mul(&row_sum(weights)?.f_unsqueeze(1)?)?
            } else {
                x.shallow_clone()
            };
            Ok(sum.f_sub(&own)?)
        };
        let mut attraction = toward(&positive, y)?.f_mul_scalar(1.0 - self.omega)?;
        if self.omega != 0.0 {
            let force = required(force, "omega is not 0, but the data has no forces")?;
            let scale = match self.normalization {
                Normalization::Scaled { force_norm } => tau / force_norm,
                Normalization::Physical { kt } => tau * tau / kt,
            };
            attraction = attraction.f_add(&positive.f_matmul(force)?.f_mul_scalar(self.omega * scale)?)?;
        }
        Ok(attraction.f_sub(&toward(&negative, all)?)?)
    }

    /// Weights of positives (B, M) and negatives (B, B) from their logarithms.
    fn weights(&self, positive: &Tensor, negative: &Tensor) -> Result<(Tensor, Tensor)> {
        if !self.weighting.joint {
            return Ok((positive.f_softmax(1, None::<Kind>)?, negative.f_softmax(1, None::<Kind>)?));
        }
        let all = Tensor::f_cat(&[positive, negative], 1)?;
        let both = all.f_softmax(1, None::<Kind>)?.f_mul(&all.f_softmax(0, None::<Kind>)?)?.f_sqrt()?;
        let lengths = [positive.size2()?.1, negative.size2()?.1];
        let mut parts = both.f_split_with_sizes(lengths.as_slice(), 1)?.into_iter();
        let (Some(p), Some(n)) = (parts.next(), parts.next()) else {
            return Err(Error::Numeric("libtorch split two parts into fewer".into()));
        };
        let (of_p, of_n) = (row_sum(&p)?.f_unsqueeze(1)?, row_sum(&n)?.f_unsqueeze(1)?);
        Ok((p.f_mul(&of_n)?, n.f_mul(&of_p)?))
    }

    /// log k(x, y), (B, M); for a softmax along y up to a number for each x, which it does not see.
    fn log_kernel(&self, x: &Tensor, y: &Tensor, tau: f64) -> Result<Tensor> {
        let norm = |t: &Tensor| row_sum(&t.f_square()?);
        let transposed = y.f_transpose(0, 1)?;
        let square = tau * tau;
        if self.kernel == Kernel::Gaussian && !self.weighting.joint {
            // -|x - y|^2 / (2 tau^2) without its |x|^2.
            let of_data = norm(y)?.f_mul_scalar(-0.5 / square)?.f_unsqueeze(0)?;
            return Ok(of_data.f_addmm(&x.f_mul_scalar(1.0 / square)?, &transposed)?);
        }
        let product = x.f_matmul(&transposed)?.f_mul_scalar(-2.0)?;
        let apart =
            product.f_add(&norm(x)?.f_unsqueeze(1)?)?.f_add(&norm(y)?.f_unsqueeze(0)?)?.f_clamp_min(0.0)?;
        Ok(match self.kernel {
            Kernel::Gaussian => apart.f_mul_scalar(-0.5 / square)?,
            Kernel::Laplace => apart.f_sqrt()?.f_mul_scalar(-1.0 / tau)?,
        })
    }
}

fn row_sum(t: &Tensor) -> Result<Tensor> {
    Ok(t.f_sum_dim_intlist([1_i64].as_slice(), false, None::<Kind>)?)
}

fn required<'a>(label: Option<&'a Tensor>, otherwise: &str) -> Result<&'a Tensor> {
    label.ok_or_else(|| Error::usage(otherwise))
}
