//! Where training runs. One build serves CPU-only and CUDA libtorch: the program links libtorch's CPU
//! part alone, and its CUDA part is loaded when a CUDA device is asked for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::one_line;
use crate::{Error, Result};

/// A device of libtorch.
pub type Device = tch::Device;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// CUDA device 0 where it works, else the CPU; [`resolve`] says which and why.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// This CUDA device, or an error.
    Cuda(usize),
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Choice::Auto),
            "cpu" => Ok(Choice::Cpu),
            "cuda" => Ok(Choice::Cuda(0)),
            _ => {
                text.strip_prefix("cuda:").and_then(|index| index.parse().ok()).map(Choice::Cuda).ok_or_else(
                    || Error::usage(format!("device '{text}': give auto, cpu, cuda or cuda:INDEX")),
                )
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Auto => write!(f, "auto"),
            Choice::Cpu => write!(f, "cpu"),
            Choice::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// The device to use, and a sentence that says what was chosen.
///
/// # Errors
/// [`Error::Unsupported`] where a CUDA device was asked for and there is none: never a quiet CPU run.
pub fn resolve(choice: Choice) -> Result<(tch::Device, String)> {
    match choice {
        Choice::Cpu => Ok((tch::Device::Cpu, "CPU".into())),
        Choice::Cuda(index) => match cuda(index) {
            Ok(()) => Ok((tch::Device::Cuda(index), format!("CUDA device {index}"))),
            Err(why) => Err(Error::Unsupported(format!("device cuda:{index}: {why}; use --device cpu"))),
        },
        Choice::Auto => match cuda(0) {
            Ok(()) => Ok((tch::Device::Cuda(0), "CUDA device 0 (auto)".into())),
            Err(why) => Ok((tch::Device::Cpu, format!("CPU (auto: {why})"))),
        },
    }
}

/// Gives libtorch's operations this many threads of this process. Programs call it; the library does not.
pub fn use_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
}

/// How many threads libtorch's operations may take.
pub fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1)
}

/// Loads libtorch's CUDA part once and asks it for a device.
fn cuda(index: usize) -> std::result::Result<(), String> {
    static LOADED: std::sync::OnceLock<std::result::Result<(), String>> = std::sync::OnceLock::new();
    LOADED.get_or_init(load).clone()?;
    if !tch::Cuda::is_available() {
        return Err("libtorch finds no CUDA driver or device".into());
    }
    let count = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
    if index >= count {
        return Err(format!("there are {count} CUDA devices, counted from 0"));
    }
    Ok(())
}

#[allow(unsafe_code)]
fn load() -> std::result::Result<(), String> {
    const NAME: &str = "libtorch_cuda.so";
    let mut why = String::new();
    for path in beside_libtorch(NAME).into_iter().chain([NAME.into()]) {
        // SAFETY: loading runs the initializers of libtorch's own CUDA library, which only register its
        // kernels; it is the library that a program linked against CUDA libtorch loads at its start. The
        // handle is leaked on purpose: registered kernels must stay mapped.
        match unsafe { libloading::Library::new(&path) } {
            Ok(library) => {
                std::mem::forget(library);
                return Ok(());
            }
            Err(error) => why = one_line(&error.to_string()),
        }
    }
    Err(format!("libtorch has no usable CUDA part ({why})"))
}

/// The library of this name beside the libtorch that is loaded: in a Python environment nothing else says where it is.
pub(crate) fn beside_libtorch(name: &str) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let loaded = maps.lines().filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])));
    let loaded = loaded.filter(|path| path.ends_with("libtorch_cpu.so")).find_map(Path::parent)?.join(name);
    loaded.exists().then_some(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices() {
        assert_eq!("cuda:3".parse::<Choice>().unwrap(), Choice::Cuda(3));
        assert_eq!("cuda:3".parse::<Choice>().unwrap().to_string(), "cuda:3");
        for bad in ["gpu", "cuda:", "cuda:x", ""] {
            assert_eq!(bad.parse::<Choice>().unwrap_err().exit_code(), 2);
        }
        let (device, said) = resolve(Choice::Auto).unwrap();
        assert!(said.contains("auto"));
        // Where there is no CUDA, asking for it is an error and not a CPU run.
        if device == tch::Device::Cpu {
            assert!(resolve(Choice::Cuda(0)).unwrap_err().to_string().contains("--device cpu"));
        }
        assert!(resolve(Choice::Cuda(4096)).is_err());
    }
}
