//! Steps on a CUDA device: a block of steps' random numbers goes there at once, the step is recorded as a CUDA graph, and
//! replaying it is one call. At the paper's sizes a step is some hundred kernels of a few microseconds each, and calling
//! them one by one takes longer than they run.

use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tch::{Device, Kind, Tensor};

use super::cuda_bridge::Steps;
use crate::Result;

/// Steps that run one by one before the recording: libtorch chooses kernels and makes workspaces in them.
const WARM_UP: usize = 3;

/// One at a time: steps that are not replayed set flags of the whole process.
fn one_by_one() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A thread that panicked left no state behind that the next one needs.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A step that is run many times.
#[derive(Debug)]
pub(super) struct Recorder {
    steps: Rc<Steps>,
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
    /// For device `device`; `None` on the CPU, and where this build has no bridge to CUDA, which is said.
    pub(super) fn new(device: Device) -> Option<Recorder> {
        let Device::Cuda(index) = device else { return None };
        match Steps::new(index) {
            Ok(steps) => Some(Recorder { steps: Rc::new(steps), warm: 0, state: State::NotYet }),
            Err(why) => {
                slowly(&why.to_string());
                None
            }
        }
    }

    /// Runs `work` with this thread's CUDA work going to the stream; waits for the stream at the end.
    pub(super) fn on_stream<T>(&mut self, work: impl FnOnce(&mut Recorder) -> Result<T>) -> Result<T> {
        let steps = self.steps.clone();
        steps.on_stream(|| work(self))
    }

    /// Runs the step: the first times as it is, then from its record. Everything it reads and writes must stay where it
    /// is. To be called within [`Steps::on_stream`].
    pub(super) fn run(&mut self, step: &dyn Fn(&Steps) -> Result<()>) -> Result<()> {
        if self.state == State::NotYet && self.warm == WARM_UP {
            let _turn = one_by_one();
            self.state = match self.steps.record(|| step(&self.steps)) {
                Ok(nodes) => {
                    log::info!("a training step is {nodes} operations of the CUDA device");
                    State::Recorded
                }
                Err(why) => {
                    slowly(&why.to_string());
                    State::Never
                }
            };
        }
        if self.state == State::Recorded {
            return self.steps.replay();
        }
        self.warm += usize::from(self.warm < WARM_UP);
        let _turn = one_by_one();
        step(&self.steps)
    }
}

fn slowly(why: &str) {
    log::warn!("training step by step, without CUDA graphs, which takes several times longer: {why}");
}

/// Numbers of one kind for several steps.
pub(super) enum Numbers {
    /// Single precision.
    Real(Vec<f32>),
    /// Indices.
    Index(Vec<i64>),
}

/// Numbers for several steps on the device, arrays of a row a step, and the row of the next step.
#[derive(Debug)]
pub(super) struct Block {
    arrays: Vec<Tensor>,
    row: Tensor,
}

impl Block {
    /// Room for `steps` steps; shapes of one step, and whether the numbers are indices.
    ///
    /// # Errors
    /// Where libtorch has no room.
    pub(super) fn new(steps: usize, shapes: &[(Vec<i64>, bool)], device: Device) -> Result<Block> {
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
    pub(super) fn fill(&mut self, steps: usize, numbers: &[Numbers]) -> Result<()> {
        for (array, numbers) in self.arrays.iter().zip(numbers) {
            let mut rows = array.f_narrow(0, 0, steps as i64)?;
            let values = match numbers {
                Numbers::Real(values) => Tensor::f_from_slice(values)?,
                Numbers::Index(values) => Tensor::f_from_slice(values)?,
            };
            rows.f_copy_(&values.f_view(rows.size().as_slice())?)?;
        }
        let _ = self.row.f_zero_()?;
        Ok(())
    }

    /// The numbers of this step; a record of this call reads those of its own step each time it is replayed.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub(super) fn step(&self) -> Result<Vec<Tensor>> {
        let row = |all: &Tensor| Ok(all.f_index_select(0, &self.row)?.f_squeeze_dim(0)?);
        self.arrays.iter().map(row).collect()
    }

    /// On to the next row.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub(super) fn next(&self) -> Result<()> {
        let _ = self.row.shallow_clone().f_add_scalar_(1)?;
        Ok(())
    }
}
