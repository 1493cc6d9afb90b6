//! A potential that is a TorchScript module: any PyTorch model, without Python.
//!
//! The module has `forward(species: int64 [n], positions: float [B, n, 3]) -> energies [B]`, and the forces are
//! -dE/dpositions by libtorch's autograd; or it returns `(energies [B], forces [B, n, 3])`, and those are taken.
//! Units are converted once, where numbers go in and come out. The frames of a batch share a call, as many as
//! memory holds.

mod answer;
mod options;

use std::path::PathBuf;

use ndarray::{s, ArrayView3, ArrayViewMut1, ArrayViewMut3};
use sha2::{Digest, Sha256};
use tch::{CModule, Device, IValue, Kind, Tensor};

use self::answer::{advice, meaningful, Failure};
use super::Potential;
use crate::error::Place;
use crate::train::device;
use crate::units::{parse_unit, ENERGY, LENGTH};
use crate::{Error, Result};

pub use options::{Options, Precision};

/// Frames at once to begin with, where the user names no number.
const FRAMES: usize = 256;

/// A loaded module.
#[derive(Debug)]
pub struct TorchScript {
    file: PathBuf,
    module: CModule,
    device: Device,
    kind: Kind,
    /// Angstroms per unit of the module's positions.
    length: f64,
    /// kcal/mol per unit of the module's energies.
    energy: f64,
    batch: usize,
    /// Whether `batch` is the user's own, not to be changed.
    fixed: bool,
    /// Atomic numbers and the same on the device.
    species: (Vec<u8>, Tensor),
    /// Whether a frame of a batch has been held against the same frame alone.
    compared: bool,
    digest: String,
}

impl TorchScript {
    /// Loads the module onto its device, in evaluation mode, its parameters frozen.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read, [`Error::Data`] for one that is no TorchScript,
    /// [`Error::Unsupported`] for a device that is not there, [`Error::Usage`] for a unit that is none.
    pub fn load(options: &Options) -> Result<Self> {
        let file = options.file.clone();
        let (length, energy) = (parse_unit(&options.length, LENGTH)?, parse_unit(&options.energy, ENERGY)?);
        let bytes = std::fs::read(&file).map_err(|error| Error::io(&file, "cannot open", error))?;
        let (device, said) = device::resolve(options.device).map_err(|error| match error {
            Error::Unsupported(text) => Error::Unsupported(text.replace("--device cpu", "device=cpu")),
            other => other,
        })?;
        let refused = |error: tch::TchError| {
            let line = match error {
                tch::TchError::Torch(text) => meaningful(&text),
                other => crate::error::one_line(&other.to_string()),
            };
            Error::data(
                Place::file(&file),
                format!("no TorchScript module ({line}); write it with torch.jit.script(module).save(...)"),
            )
        };
        let (kind, dtype) = match options.precision {
            Precision::Double => (Kind::Double, "float64"),
            Precision::Single => (Kind::Float, "float32"),
        };
        let mut module = CModule::load_data_on_device(&mut bytes.as_slice(), device).map_err(refused)?;
        if !holds_integers(&bytes) {
            // Already on the device: this converts only.
            module.to(device, kind, false);
        }
        module.f_set_eval().and_then(|()| settle(&module, kind)).map_err(refused)?;
        let mut hash = Sha256::new();
        hash.update("torchscript");
        hash.update(&bytes);
        // Neither device nor batch: they change the last digits, not the potential.
        hash.update(dtype);
        hash.update(length.to_le_bytes());
        hash.update(energy.to_le_bytes());
        let loaded = TorchScript {
            file,
            module,
            device,
            kind,
            length,
            energy,
            batch: options.batch.unwrap_or(FRAMES),
            fixed: options.batch.is_some(),
            species: (Vec::new(), Tensor::new()),
            compared: false,
            digest: format!("{:x}", hash.finalize()),
        };
        log::info!("{}: {said}, {dtype}, at most {} frames at once", loaded.name(), loaded.batch);
        Ok(loaded)
    }

    /// Energies and forces of a few frames in one call, in the library's units.
    fn call(&self, positions: ArrayView3<f64>) -> Result<(Vec<f64>, Vec<f64>), Failure> {
        let (frames, atoms, _) = positions.dim();
        let values: Vec<f64> = positions.iter().map(|x| x / self.length).collect();
        let positions = Tensor::f_from_slice(&values)?
            .f_reshape([frames as i64, atoms as i64, 3])?
            .f_to_device_(self.device, self.kind, false, false)?
            .f_set_requires_grad(true)?;
        // A copy: a module that writes into its argument must not change it for the next call.
        let species = self.species.1.f_detach_copy()?;
        let given = [species, positions.shallow_clone()].map(IValue::Tensor);
        // A caller's no_grad must not reach in here.
        let (mut energies, mut forces) = tch::with_grad(|| {
            let output = self.module.forward_is(&given)?;
            answer::read(output, &positions, self.kind)
        })?;
        energies.iter_mut().for_each(|energy| *energy *= self.energy);
        forces.iter_mut().for_each(|force| *force *= self.energy / self.length);
        Ok((energies, forces))
    }

    fn failed(&self, frame: usize, message: String) -> Error {
        Error::Potential { name: self.name(), frame, status: None, message }
    }

    fn broken(&self, message: String) -> Error {
        Error::data(Place::file(&self.file), message)
    }

    /// The error of a batch that failed: the first of its frames that fails alone.
    fn blame(&self, start: usize, batch: ArrayView3<f64>, message: &str) -> Error {
        let frames = batch.dim().0;
        for frame in 0..frames {
            let said = match self.call(batch.slice(s![frame..=frame, .., ..])) {
                Ok(_) => continue,
                Err(Failure::Contract(message)) => return self.broken(message),
                Err(Failure::Torch(said) | Failure::Memory(said)) => said,
            };
            return self.failed(start + frame, format!("{said}; {}", advice(&said)));
        }
        self.broken(format!(
            "{message}; so with {frames} frames at once, and with none of them alone: write forward for any number of frames, \
             or give batch=1"
        ))
    }

    /// Refuses a module whose answer for a frame depends on the others of the batch: once, for the last frame of the first
    /// batch.
    fn compare(&mut self, batch: ArrayView3<f64>, energies: &[f64], forces: &[f64]) -> Result<()> {
        let (frames, atoms, _) = batch.dim();
        if self.compared || frames < 2 {
            return Ok(());
        }
        self.compared = true;
        // A module that has no answer for one frame, or none that is finite, is not judged here.
        let Ok((energy, force)) = self.call(batch.slice(s![frames - 1.., .., ..])) else { return Ok(()) };
        let together = [&energies[frames - 1..], &forces[3 * atoms * (frames - 1)..]];
        let within = if self.kind == Kind::Double { 1e-6 } else { 1e-3 };
        let differ = together.into_iter().zip([&energy, &force]).any(|(together, alone)| {
            let largest = alone.iter().fold(1.0, |largest: f64, value| largest.max(value.abs()));
            together.iter().zip(alone).any(|(a, b)| (a - b).abs() > within * largest)
        });
        if differ {
            return Err(self.broken(format!(
                "a frame has another energy or other forces among {frames} frames ({:.6} kcal/mol) than alone ({:.6}), or at \
                 every call: forward must treat each frame by itself, and draw no random numbers; correct it, or give batch=1",
                energies[frames - 1], energy[0]
            )));
        }
        Ok(())
    }

    /// Fewer frames at once after memory ended with so many.
    fn shrink(&mut self, start: usize, frames: usize, message: &str) -> Result<()> {
        if self.fixed || frames == 1 {
            let what =
                if frames == 1 { "give device=cpu or dtype=float32" } else { "give a smaller batch=N" };
            return Err(
                self.failed(start, format!("{message}; memory ends at {frames} frames at once: {what}"))
            );
        }
        self.batch = frames / 2;
        log::info!("{}: no memory for {frames} frames at once, now {}", self.name(), self.batch);
        Ok(())
    }

    fn prepare(&mut self, species: &[u8]) -> Result<()> {
        if self.species.0 != species {
            let numbers: Vec<i64> = species.iter().map(|&z| i64::from(z)).collect();
            let tensor = Tensor::f_from_slice(&numbers).and_then(|tensor| tensor.f_to(self.device));
            let tensor = tensor.map_err(|error| Error::Library {
                library: "libtorch",
                message: crate::error::one_line(&error.to_string()),
            })?;
            self.species = (species.to_vec(), tensor);
        }
        Ok(())
    }
}

/// Whether tensors of integers or truth values are in the archive, which is not compressed. `to` would make
/// floating-point numbers of them too, and a table of indices would be none any more.
fn holds_integers(bytes: &[u8]) -> bool {
    let names =
        ["Long", "Int", "Short", "Char", "Byte", "Bool"].map(|name| format!("torch\n{name}Storage\n"));
    names.iter().any(|name| bytes.windows(name.len()).any(|part| part == name.as_bytes()))
}

/// Converts the parameters, where `to` did not, and freezes them: nobody asks for the slope along one.
fn settle(module: &CModule, kind: Kind) -> Result<(), tch::TchError> {
    for (_, mut parameter) in module.named_parameters()? {
        let own = parameter.f_kind()?;
        if own != kind && matches!(own, Kind::Double | Kind::Float | Kind::Half | Kind::BFloat16) {
            let converted = tch::no_grad(|| parameter.f_to_kind(kind))?;
            parameter.f_set_data(&converted)?;
        }
        let _same = parameter.f_set_requires_grad(false)?;
    }
    Ok(())
}

impl Potential for TorchScript {
    fn energies_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        let frames = positions.dim().0;
        if positions.dim() != (frames, species.len(), 3)
            || forces.dim() != positions.dim()
            || energies.len() != frames
        {
            return Err(Error::usage("positions and forces must be (B, n, 3), energies (B), of equal B"));
        }
        self.prepare(species)?;
        let mut start = 0;
        while start < frames {
            let end = frames.min(start + self.batch);
            let batch = positions.slice(s![start..end, .., ..]);
            let (e, f) = match self.call(batch) {
                Ok(answer) => answer,
                Err(Failure::Memory(message)) => {
                    self.shrink(start, end - start, &message)?;
                    continue;
                }
                Err(Failure::Torch(message)) => return Err(self.blame(start, batch, &message)),
                Err(Failure::Contract(message)) => return Err(self.broken(message)),
            };
            self.compare(batch, &e, &f)?;
            energies.slice_mut(s![start..end]).iter_mut().zip(e).for_each(|(to, from)| *to = from);
            forces.slice_mut(s![start..end, .., ..]).iter_mut().zip(f).for_each(|(to, from)| *to = from);
            start = end;
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("torchscript {}", self.file.display())
    }

    fn identity(&self) -> String {
        self.digest.clone()
    }
}
