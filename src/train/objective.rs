//! Which loss a run has, and what its steps need beside the weights.

use tch::{Device, Tensor};

use super::draw::{Drawn, Plan};
use super::kernel::KernelDrift;
use super::sliced::{Aim, Aims, Sliced};
use crate::Result;

/// A training loss over generated positions.
#[derive(Debug)]
pub enum Objective {
    /// Sliced drift.
    Sliced(Sliced),
    /// The paper's kernel field.
    Kernel(KernelDrift),
}

/// What a step draws, and what the data gives for it. No weight has a part in it: it can be made while the step before is still
/// under way.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The numbers.
    pub drawn: Drawn,
    /// Where the loss is sliced.
    aim: Option<Aim>,
}

/// Makes what the steps need, on any thread.
#[derive(Debug)]
pub(super) struct Preparation {
    aims: Option<Aims>,
    device: Device,
}

impl Preparation {
    /// What step `step` needs.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn step(&self, plan: &Plan, step: usize) -> Result<Prepared> {
        self.of(plan.place(&plan.step(step), self.device)?)
    }

    /// What belongs to the numbers that a step drew.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn of(&self, drawn: Drawn) -> Result<Prepared> {
        let aim = self.aims.as_ref().map(|aims| aims.aim(&drawn)).transpose()?;
        Ok(Prepared { drawn, aim })
    }
}

impl Objective {
    /// Shapes (d, K) of the sets of random lines that a step draws.
    pub fn line_shapes(&self) -> &[[i64; 2]] {
        match self {
            Objective::Sliced(sliced) => sliced.line_shapes(),
            Objective::Kernel(_) => &[],
        }
    }

    /// What makes the steps' part that is not the weights'; the tensors of the data are shared.
    pub(super) fn preparation(&self, device: Device) -> Preparation {
        let aims = match self {
            Objective::Sliced(sliced) => Some(sliced.aims()),
            Objective::Kernel(_) => None,
        };
        Preparation { aims, device }
    }

    /// Loss of generated positions (B, 3n), in the generator's own unit, for what the step prepared.
    ///
    /// # Errors
    /// [`Error::Numeric`] where that was prepared for another loss; where libtorch refuses.
    ///
    /// [`Error::Numeric`]: crate::Error::Numeric
    pub(super) fn loss(&self, positions: &Tensor, prepared: &Prepared) -> Result<Tensor> {
        match (self, &prepared.aim) {
            (Objective::Sliced(sliced), Some(aim)) => sliced.loss(positions, aim),
            (Objective::Kernel(kernel), None) => kernel.loss(positions, &prepared.drawn),
            _ => Err(crate::Error::Numeric("a step was prepared for another loss than the run's".into())),
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
