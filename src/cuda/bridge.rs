//! `libboltzdrift_cuda.so` (`cpp/cuda/bridge.cc`): streams, CUDA graphs and fused steps, which libtorch has in C++ alone.
//! It is loaded when a CUDA device is first used.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void, CStr};
use std::sync::OnceLock;

use libloading::Library;
use tch::Tensor;

use crate::error::one_line;
use crate::{Error, Result};

/// Form of the functions, `bzd_cuda_abi`.
const ABI: c_int = 1;
/// Room for a reason.
const LONGEST: usize = 1024;

type Status = c_int;
type Handle = *mut c_void;
type Text = *mut c_char;

/// The functions of the bridge, which stays loaded to the end of the process.
struct Bridge {
    new: unsafe extern "C" fn(c_int, *mut Handle, Text, usize) -> Status,
    free: unsafe extern "C" fn(Handle),
    enter: unsafe extern "C" fn(Handle, Text, usize) -> Status,
    leave: unsafe extern "C" fn(Handle, Text, usize) -> Status,
    begin: unsafe extern "C" fn(Handle, Text, usize) -> Status,
    end: unsafe extern "C" fn(Handle, *mut usize, Text, usize) -> Status,
    drop: unsafe extern "C" fn(Handle),
    replay: unsafe extern "C" fn(Handle, Text, usize) -> Status,
    forward:
        unsafe extern "C" fn(usize, *const Handle, *const Handle, Handle, *mut Handle, Text, usize) -> Status,
    backward: unsafe extern "C" fn(
        Handle,
        usize,
        *const Handle,
        *const Handle,
        Handle,
        *const Handle,
        *const Handle,
        Text,
        usize,
    ) -> Status,
    pinned: unsafe extern "C" fn(i64, i64, *mut Handle, Text, usize) -> Status,
    sample: unsafe extern "C" fn(
        usize,
        *const Handle,
        *const Handle,
        Handle,
        Handle,
        Handle,
        Text,
        usize,
    ) -> Status,
    adam: unsafe extern "C" fn(
        Handle,
        Handle,
        Handle,
        Handle,
        Handle,
        Handle,
        f64,
        f64,
        f64,
        Text,
        usize,
    ) -> Status,
}

fn bridge() -> std::result::Result<&'static Bridge, String> {
    static LOADED: OnceLock<std::result::Result<Bridge, String>> = OnceLock::new();
    LOADED.get_or_init(load).as_ref().map_err(Clone::clone)
}

fn load() -> std::result::Result<Bridge, String> {
    if let Some(why) = option_env!("BOLTZDRIFT_NO_CUDA_BRIDGE") {
        return Err(format!("this boltzdrift was built without it: {why}"));
    }
    let said = |error: libloading::Error| one_line(&error.to_string());
    // SAFETY: its initializers are those of the C++ library only; it is built from `cpp/cuda/bridge.cc` beside this
    // library, and its form is checked before any other function is called.
    let library = unsafe { Library::new("libboltzdrift_cuda.so") }.map_err(said)?;
    // SAFETY: the signatures are those of `cpp/cuda/bridge.cc` at this ABI number, which is asked for first. The
    // function pointers outlive every use because the library is never unloaded (it is leaked below).
    let bridge = unsafe {
        let abi = *library.get::<unsafe extern "C" fn() -> c_int>(b"bzd_cuda_abi\0").map_err(said)?;
        let abi = abi();
        if abi != ABI {
            return Err(format!(
                "libboltzdrift_cuda.so is of form {abi}, this boltzdrift needs {ABI}; build both again"
            ));
        }
        Bridge {
            new: *library.get(b"bzd_cuda_steps_new\0").map_err(said)?,
            free: *library.get(b"bzd_cuda_steps_free\0").map_err(said)?,
            enter: *library.get(b"bzd_cuda_steps_enter\0").map_err(said)?,
            leave: *library.get(b"bzd_cuda_steps_leave\0").map_err(said)?,
            begin: *library.get(b"bzd_cuda_capture_begin\0").map_err(said)?,
            end: *library.get(b"bzd_cuda_capture_end\0").map_err(said)?,
            drop: *library.get(b"bzd_cuda_capture_drop\0").map_err(said)?,
            replay: *library.get(b"bzd_cuda_replay\0").map_err(said)?,
            forward: *library.get(b"bzd_cuda_forward\0").map_err(said)?,
            backward: *library.get(b"bzd_cuda_backward\0").map_err(said)?,
            pinned: *library.get(b"bzd_cuda_pinned\0").map_err(said)?,
            sample: *library.get(b"bzd_cuda_sample\0").map_err(said)?,
            adam: *library.get(b"bzd_cuda_adam\0").map_err(said)?,
        }
    };
    std::mem::forget(library);
    Ok(bridge)
}

/// Calls a function that may give a reason.
fn checked(call: impl FnOnce(Text, usize) -> Status) -> Result<()> {
    let mut text = [0 as c_char; LONGEST];
    if call(text.as_mut_ptr(), LONGEST) == 0 {
        return Ok(());
    }
    // SAFETY: the bridge ends what it writes with a zero within LONGEST, and the array began as zeros.
    let message = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned();
    Err(Error::Library { library: "libtorch", message: one_line(&message) })
}

/// A stream of a CUDA device and what was recorded of its work.
#[derive(Debug)]
pub(crate) struct Steps {
    handle: Handle,
}

// SAFETY: what belongs to a thread, its current stream, is set and given back within one call of `on_stream`; between
// calls another thread may go on with the stream and the record.
unsafe impl Send for Steps {}

impl Steps {
    /// A stream of its own on device `index`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the bridge is missing or not of this build; libtorch's own refusals.
    pub(crate) fn new(index: usize) -> Result<Steps> {
        let bridge = bridge().map_err(Error::Unsupported)?;
        let index = c_int::try_from(index).map_err(|_| Error::usage(format!("CUDA device {index}")))?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: `handle` is written once, with a pointer that `free` takes back.
        checked(|text, size| unsafe { (bridge.new)(index, &mut handle, text, size) })?;
        Ok(Steps { handle })
    }

    fn bridge(&self) -> Result<&'static Bridge> {
        bridge().map_err(Error::Unsupported)
    }

    /// Runs `work` with this thread's CUDA work going to the stream; waits for the stream at the end.
    pub(crate) fn on_stream<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let bridge = self.bridge()?;
        // SAFETY: the handle lives as long as `self`.
        checked(|text, size| unsafe { (bridge.enter)(self.handle, text, size) })?;
        let done = work();
        // SAFETY: as above. The thread gets its stream back whatever the work gave.
        let left = checked(|text, size| unsafe { (bridge.leave)(self.handle, text, size) });
        let done = done?;
        left.map(|()| done)
    }

    /// Records what `work` does on the stream, without running it; how many nodes that is.
    pub(crate) fn record(&self, work: impl FnOnce() -> Result<()>) -> Result<usize> {
        let bridge = self.bridge()?;
        // SAFETY: the handle lives as long as `self`; a capture that does not end well is dropped.
        let recorded = unsafe {
            checked(|text, size| (bridge.begin)(self.handle, text, size)).and_then(|()| work()).and_then(
                |()| {
                    let mut nodes = 0;
                    checked(|text, size| (bridge.end)(self.handle, &mut nodes, text, size)).map(|()| nodes)
                },
            )
        };
        if recorded.is_err() {
            // SAFETY: as above.
            unsafe { (bridge.drop)(self.handle) };
        }
        recorded
    }

    /// Runs what was recorded.
    pub(crate) fn replay(&self) -> Result<()> {
        let bridge = self.bridge()?;
        // SAFETY: the handle lives as long as `self`, and only a `Steps` that recorded is asked to replay.
        checked(|text, size| unsafe { (bridge.replay)(self.handle, text, size) })
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Ok(bridge) = bridge() {
            // SAFETY: made by `new`, freed once.
            unsafe { (bridge.free)(self.handle) };
        }
    }
}

/// Tensors of a forward pass, as the backward pass wants them: what goes into each layer, and after all but the last what
/// came out of it before its units; at the end the outputs.
#[derive(Debug)]
pub(crate) struct Passed {
    values: Vec<Tensor>,
}

impl Passed {
    /// Outputs of the last layer, (B, outputs).
    pub(crate) fn outputs(&self) -> &Tensor {
        // There are two tensors a layer, and a network has layers.
        &self.values[self.values.len() - 1]
    }
}

/// What the bridge takes for a tensor.
fn at(tensor: &Tensor) -> Handle {
    tensor.as_ptr().cast_mut().cast()
}

/// Forward pass of a perceptron with SiLU units between its layers, (weights (outputs, inputs), biases (outputs)) each,
/// without a graph for autograd.
pub(crate) fn forward(layers: &[(&Tensor, &Tensor)], noise: &Tensor) -> Result<Passed> {
    let bridge = bridge().map_err(Error::Unsupported)?;
    let (weights, biases): (Vec<Handle>, Vec<Handle>) =
        layers.iter().map(|(weight, bias)| (at(weight), at(bias))).unzip();
    let mut values = vec![std::ptr::null_mut(); 2 * layers.len()];
    // SAFETY: tch's tensor pointers are `at::Tensor*` of the same libtorch; there is room for the two handles of each
    // layer, all of which are written where the call succeeds.
    checked(|text, size| unsafe {
        let (weights, biases) = (weights.as_ptr(), biases.as_ptr());
        (bridge.forward)(layers.len(), weights, biases, at(noise), values.as_mut_ptr(), text, size)
    })?;
    // SAFETY: each is a new `at::Tensor` that is ours.
    let values = values.into_iter().map(|value| unsafe { Tensor::from_ptr(value.cast()) }).collect();
    Ok(Passed { values })
}

impl Steps {
    /// Backward pass from the gradient in the outputs, written into (weights, biases (1, outputs)) of each layer.
    pub(crate) fn backward(
        &self,
        layers: &[(&Tensor, &Tensor)],
        passed: &Passed,
        at_outputs: &Tensor,
        gradient: &[(Tensor, Tensor)],
    ) -> Result<()> {
        let bridge = self.bridge()?;
        let weights: Vec<Handle> = layers.iter().map(|(weight, _)| at(weight)).collect();
        let values: Vec<Handle> = passed.values.iter().map(at).collect();
        let (of_weights, of_biases): (Vec<Handle>, Vec<Handle>) =
            gradient.iter().map(|(weight, bias)| (at(weight), at(bias))).unzip();
        // SAFETY: as in `forward`; there are as many of each as the bridge reads.
        checked(|text, size| unsafe {
            (bridge.backward)(
                self.handle,
                weights.len(),
                weights.as_ptr(),
                values.as_ptr(),
                at(at_outputs),
                of_weights.as_ptr(),
                of_biases.as_ptr(),
                text,
                size,
            )
        })
    }
}

/// One step of Adam in place on flat tensors; `step` (counted from 1) and `rate` are one number each, on the device.
pub(crate) fn adam(
    [weights, gradient, mean, square]: [&Tensor; 4],
    [step, rate]: [&Tensor; 2],
    (first, second): (f64, f64),
    epsilon: f64,
) -> Result<()> {
    let bridge = bridge().map_err(Error::Unsupported)?;
    // SAFETY: tch's tensor pointers are `at::Tensor*` of the same libtorch; the bridge changes the numbers behind
    // them, not the handles.
    checked(|text, size| unsafe {
        (bridge.adam)(
            at(weights),
            at(gradient),
            at(mean),
            at(square),
            at(step),
            at(rate),
            first,
            second,
            epsilon,
            text,
            size,
        )
    })
}

/// Zeros (rows, columns) of single precision in memory of the host that a device copies from and to by itself.
pub(crate) fn pinned(rows: i64, columns: i64) -> Result<Tensor> {
    let bridge = bridge().map_err(Error::Unsupported)?;
    let mut made = std::ptr::null_mut();
    // SAFETY: the handle is written where the call succeeds.
    checked(|text, size| unsafe { (bridge.pinned)(rows, columns, &mut made, text, size) })?;
    // SAFETY: a new `at::Tensor` that is ours.
    Ok(unsafe { Tensor::from_ptr(made.cast()) })
}

/// Copies pinned noise (B, noise) to `there`, runs the perceptron in single precision, and copies the outputs to pinned
/// `outputs` (B, outputs), all in the order of the stream.
pub(crate) fn sample(
    layers: &[(Tensor, Tensor)],
    noise: &Tensor,
    there: &Tensor,
    outputs: &Tensor,
) -> Result<()> {
    let bridge = bridge().map_err(Error::Unsupported)?;
    let (weights, biases): (Vec<Handle>, Vec<Handle>) =
        layers.iter().map(|(weight, bias)| (at(weight), at(bias))).unzip();
    // SAFETY: tch's tensor pointers are `at::Tensor*` of the same libtorch, as many as are said.
    checked(|text, size| unsafe {
        let (weights, biases) = (weights.as_ptr(), biases.as_ptr());
        (bridge.sample)(layers.len(), weights, biases, at(noise), at(there), at(outputs), text, size)
    })
}

/// Single precision numbers in the host's memory, as a slice.
///
/// # Errors
/// [`Error::Numeric`] where the tensor is not contiguous, of another kind, or on a device.
pub(crate) fn host_numbers(tensor: &mut Tensor) -> Result<&mut [f32]> {
    let host = tensor.device() == tch::Device::Cpu && tensor.f_kind()? == tch::Kind::Float;
    if !host || !tensor.is_contiguous() || tensor.numel() == 0 {
        return Err(Error::Numeric("a buffer of the device's samples is not in the host's memory".into()));
    }
    // SAFETY: a contiguous tensor of single precision in the host's memory has this many numbers at its pointer, which
    // is not null; they live as long as the tensor, which is borrowed.
    Ok(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) })
}

#[cfg(test)]
mod tests {
    use crate::train::device::beside_libtorch;

    #[test]
    fn the_bridge_is_built_where_libtorch_has_a_cuda_part() {
        // Asks for a thread, so that libtorch is loaded.
        assert!(tch::get_num_threads() > 0);
        if beside_libtorch("libtorch_cuda.so").is_some() {
            assert_eq!(option_env!("BOLTZDRIFT_NO_CUDA_BRIDGE"), None);
        } else {
            println!("skipped: this libtorch has no CUDA part");
        }
    }
}
