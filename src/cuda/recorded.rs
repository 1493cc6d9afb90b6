//! Steps on a CUDA device: a block of steps' random numbers goes there at once, the step is recorded as a CUDA graph, and
//! replaying it is one call. At the paper's sizes a step is some hundred kernels of a few microseconds each, and calling
//! them one by one takes longer than they run.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tch::{Device, Kind, Tensor};

use super::bridge::Steps;
use crate::{Error, Result};

/// Steps that run one by one before the recording: libtorch chooses kernels and makes workspaces in them.
const WARM_UP: usize = 3;

/// One at a time: steps that are not replayed set flags of the whole process, and so may not run beside others whose
/// products the flags concern.
pub(crate) fn one_by_one() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A thread that panicked left no state behind that the next one needs.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A step that is run many times.
#[derive(Debug)]
pub(crate) struct Recorder {
    steps: Steps,
    warm: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    NotYet,
    Recorded,
    /// The recording was refused.
    Never,
}

impl Recorder {
    /// For device `device`; `None` on the CPU.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where this build has no bridge to CUDA; libtorch's own refusals.
    pub(crate) fn new(device: Device) -> Result<Option<Recorder>> {
        let Device::Cuda(index) = device else { return Ok(None) };
        Ok(Some(Recorder { steps: Steps::new(index)?, warm: 0, state: State::NotYet }))
    }

    /// The same, and `None` where this build has no bridge to CUDA, which is said: work then goes step by step.
    ///
    /// # Errors
    /// libtorch's own refusals.
    pub(crate) fn or_slowly(device: Device) -> Result<Option<Recorder>> {
        match Recorder::new(device) {
            Err(Error::Unsupported(why)) => {
                slowly(&why);
                Ok(None)
            }
            other => other,
        }
    }

    /// Runs the step `times` times on the stream, and waits for it: the first times as it is, then from its record.
    /// Everything it reads and writes must stay where it is. `before` runs first, `meanwhile` while the device works.
    ///
    /// # Errors
    /// Those of the three, and libtorch's own refusals.
    pub(crate) fn run(
        &mut self,
        before: impl FnOnce() -> Result<()>,
        times: usize,
        step: &dyn Fn(&Steps) -> Result<()>,
        meanwhile: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let Recorder { steps, warm, state } = self;
        steps.on_stream(|| {
            before()?;
            for _ in 0..times {
                once(steps, warm, state, step)?;
            }
            meanwhile()
        })
    }
}

fn once(
    steps: &Steps,
    warm: &mut usize,
    state: &mut State,
    step: &dyn Fn(&Steps) -> Result<()>,
) -> Result<()> {
    if *state == State::NotYet && *warm == WARM_UP {
        let _turn = one_by_one();
        *state = match steps.record(|| step(steps)) {
            Ok(nodes) => {
                log::info!("a step is {nodes} operations of the CUDA device");
                State::Recorded
            }
            Err(why) => {
                slowly(&why.to_string());
                State::Never
            }
        };
    }
    if *state == State::Recorded {
        return steps.replay();
    }
    *warm += usize::from(*warm < WARM_UP);
    let _turn = one_by_one();
    step(steps)
}

fn slowly(why: &str) {
    log::warn!("the CUDA device is called step by step, without CUDA graphs, which takes several times longer: {why}");
}

/// Numbers of one kind for several steps.
pub(crate) enum Numbers {
    /// Single precision.
    Real(Vec<f32>),
    /// Indices.
    Index(Vec<i64>),
}

/// Numbers for several steps on the device, arrays of a row a step, and the row of the next step.
#[derive(Debug)]
pub(crate) struct Block {
    arrays: Vec<Tensor>,
    row: Tensor,
}

impl Block {
    /// Room for `steps` steps; shapes of one step, and whether the numbers are indices.
    ///
    /// # Errors
    /// Where libtorch has no room.
    pub(crate) fn new(steps: usize, shapes: &[(Vec<i64>, bool)], device: Device) -> Result<Block> {
        let array = |(shape, index): &(Vec<i64>, bool)| -> Result<Tensor> {
            let shape: Vec<i64> = std::iter::once(steps as i64).chain(shape.iter().copied()).collect();
            let kind = if *index { Kind::Int64 } else { Kind::Float };
            Ok(Tensor::f_zeros(shape.as_slice(), (kind, device))?)
        };
        let arrays = shapes.iter().map(array).collect::<Result<_>>()?;
        Ok(Block { arrays, row: Tensor::f_zeros([1], (Kind::Int64, device))? })
    }

    /// The numbers of the next `steps` steps, step after step, for each array.
    ///
    /// # Errors
    /// Where they are not as many as the shapes say.
    pub(crate) fn fill(&self, steps: usize, numbers: &[Numbers]) -> Result<()> {
        for (array, numbers) in self.arrays.iter().zip(numbers) {
            let mut rows = array.f_narrow(0, 0, steps as i64)?;
            let values = match numbers {
                Numbers::Real(values) => Tensor::f_from_slice(values)?,
                Numbers::Index(values) => Tensor::f_from_slice(values)?,
            };
            rows.f_copy_(&values.f_view(rows.size().as_slice())?)?;
        }
        let _ = self.row.shallow_clone().f_zero_()?;
        Ok(())
    }

    /// The numbers of this step; a record of this call reads those of its own step each time it is replayed.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub(crate) fn step(&self) -> Result<Vec<Tensor>> {
        let row = |all: &Tensor| Ok(all.f_index_select(0, &self.row)?.f_squeeze_dim(0)?);
        self.arrays.iter().map(row).collect()
    }

    /// On to the next row.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub(crate) fn next(&self) -> Result<()> {
        let _ = self.row.shallow_clone().f_add_scalar_(1)?;
        Ok(())
    }
}
