//! Potentials: energies and forces of many frames at once, in kcal/mol and angstrom.

mod checked;
pub mod foreign;
pub mod gdml;
pub mod plugin;
mod region;
#[cfg(feature = "train")]
pub mod torchscript;

use std::path::{Path, PathBuf};

use ndarray::{s, Array1, Array3, ArrayView3, ArrayViewMut1, ArrayViewMut3};

use crate::{Error, Result};

pub use checked::{attempt, evaluate, Answer, Checked};
pub use gdml::Gdml;
pub use region::{Outside, Region};
#[cfg(feature = "train")]
pub use torchscript::TorchScript;

/// A potential-energy surface. Batched: B frames of n atoms each, one molecule that is alone, whole and unwrapped. There is
/// no cell: it would let the molecule meet its own images, and the samplers are of molecules in vacuum.
pub trait Potential: Send {
    /// Fills `energies` (B) in kcal/mol and `forces` (B, n, 3) in kcal/mol/angstrom for `positions` (B, n, 3)
    /// in angstrom; `species` (n) are atomic numbers, the same for every frame.
    ///
    /// # Errors
    /// Whatever keeps the potential from an answer: other species than it knows, other shapes, its own failure.
    fn energies_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        energies: ArrayViewMut1<f64>,
        forces: ArrayViewMut3<f64>,
    ) -> Result<()>;

    /// Fills `forces` (B, n, 3) alone, for the inside of a trajectory whose ends are judged by
    /// [`Potential::energies_forces`]. They must be a fixed function of the positions, but need not be the
    /// energies' exact gradient: single precision will do.
    ///
    /// # Errors
    /// As [`Potential::energies_forces`].
    fn guiding_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        let mut energies = Array1::zeros(positions.dim().0);
        self.energies_forces(species, positions, energies.view_mut(), forces)
    }

    /// Most frames that one call of it takes; more are shared out over several calls.
    fn largest_batch(&self) -> usize {
        usize::MAX
    }

    /// Whether frames are filled in one after the other, so that those before the frame that a failing call names hold
    /// their energies and forces.
    fn in_order(&self) -> bool {
        false
    }

    /// Where a fitted potential may be trusted; none for one that is right everywhere.
    fn region(&self) -> Option<Region> {
        None
    }

    /// What it is, in a few words, for messages.
    fn name(&self) -> String;

    /// What tells it from every other potential: an interrupted run goes on only with the same. A potential with
    /// content of its own (coefficients, a file, options) gives a digest of it; the name alone where absent.
    fn identity(&self) -> String {
        self.name()
    }

    /// A cheaper force field near this one, where there is one, and what an evaluation of it costs over one of this: it may lead
    /// trajectories whose ends are judged by this one.
    fn guide(&self) -> Option<(Gdml, f64)> {
        None
    }

    /// Shares out work on so many chains of a walk that a guide leads among the processes that share out this potential: each
    /// calls `work` with its part, which gives `width` numbers for each chain of it, and all get those of all chains. None,
    /// without calling it, where this process works alone.
    ///
    /// # Errors
    /// Where another process cannot be reached.
    fn share_out(
        &mut self,
        _chains: usize,
        _width: usize,
        _work: &mut dyn FnMut(std::ops::Range<usize>) -> Vec<f64>,
    ) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    /// How it was fitted, where it was: the report that `fit` stored, for [`crate::equilibrate::trust`].
    fn fit_report(&self) -> Option<&serde_json::Value> {
        None
    }

    /// Writes it to a file that opens it again, where it has such a file.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there is no such file; [`Error::Io`] where it cannot be written.
    fn save(&self, path: &Path) -> Result<()> {
        Err(Error::Unsupported(format!(
            "{}: potential {} has no file of its own",
            path.display(),
            self.name()
        )))
    }
}

impl<P: Potential + ?Sized> Potential for &mut P {
    fn energies_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        energies: ArrayViewMut1<f64>,
        forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        (**self).energies_forces(species, positions, energies, forces)
    }

    fn guiding_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        (**self).guiding_forces(species, positions, forces)
    }

    fn largest_batch(&self) -> usize {
        (**self).largest_batch()
    }

    fn in_order(&self) -> bool {
        (**self).in_order()
    }

    fn region(&self) -> Option<Region> {
        (**self).region()
    }

    fn name(&self) -> String {
        (**self).name()
    }

    fn identity(&self) -> String {
        (**self).identity()
    }

    fn guide(&self) -> Option<(Gdml, f64)> {
        (**self).guide()
    }

    fn share_out(
        &mut self,
        chains: usize,
        width: usize,
        work: &mut dyn FnMut(std::ops::Range<usize>) -> Vec<f64>,
    ) -> Result<Option<Vec<f64>>> {
        (**self).share_out(chains, width, work)
    }

    fn fit_report(&self) -> Option<&serde_json::Value> {
        (**self).fit_report()
    }

    fn save(&self, path: &Path) -> Result<()> {
        (**self).save(path)
    }
}

/// As [`evaluate`] for any number of frames, `batch` of them at a time; `progress` is told how many are done, and an error of its
/// own stops the work. A failing frame is numbered as in `positions`.
///
/// # Errors
/// As [`evaluate`], and whatever `progress` returns.
pub fn evaluate_all(
    potential: &mut dyn Potential,
    species: &[u8],
    positions: ArrayView3<f64>,
    batch: usize,
    progress: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<(Array1<f64>, Array3<f64>)> {
    let frames = positions.dim().0;
    let (mut energies, mut forces) = (Array1::zeros(frames), Array3::zeros(positions.dim()));
    for start in (0..frames).step_by(batch.max(1)) {
        let rows = start..start.saturating_add(batch).min(frames);
        let part = positions.slice(s![rows.clone(), .., ..]);
        let (e, f) =
            evaluate(potential, species, part).map_err(|error| error.renumbered(|row| start + row))?;
        energies.slice_mut(s![rows.clone()]).assign(&e);
        forces.slice_mut(s![rows.clone(), .., ..]).assign(&f);
        progress(rows.end)?;
    }
    Ok((energies, forces))
}

/// A potential as the command line names it: `kind:argument`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spec {
    /// `gdml:FILE`: a force field of `fit`, or in sGDML's file layout.
    Gdml(PathBuf),
    /// `plugin:LIB.so:options`: a potential out of a shared library ([`plugin::Plugin`]).
    Plugin {
        /// The library.
        library: PathBuf,
        /// What it is told.
        options: String,
    },
    /// `torchscript:FILE[,key=value...]`: a TorchScript module, with the feature `train`.
    #[cfg(feature = "train")]
    TorchScript(torchscript::Options),
}

/// The kinds there are, for messages.
const KINDS: &str = if cfg!(feature = "train") {
    "gdml:FILE, torchscript:FILE or plugin:LIB.so:options"
} else {
    "gdml:FILE or plugin:LIB.so:options"
};

impl Spec {
    /// Reads `kind:argument`.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown kind (the message lists what there is), a missing file name or a wrong option;
    /// [`Error::Unsupported`] for `torchscript` in a build without libtorch.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("gdml", file)) if !file.is_empty() => Ok(Spec::Gdml(file.into())),
            Some(("gdml", _)) => Err(Error::usage("potential 'gdml:' names no file; give gdml:FILE")),
            Some(("plugin", rest)) => {
                let (library, options) = rest.split_once(':').unwrap_or((rest, ""));
                if library.is_empty() {
                    return Err(Error::usage(
                        "potential 'plugin:' names no library; give plugin:LIB.so:options",
                    ));
                }
                Ok(Spec::Plugin { library: library.into(), options: options.to_owned() })
            }
            #[cfg(feature = "train")]
            Some(("torchscript", rest)) => torchscript::Options::parse(rest).map(Spec::TorchScript),
            #[cfg(not(feature = "train"))]
            Some(("torchscript", _)) => Err(Error::Unsupported(format!(
                "potential '{text}': this build has no libtorch; build with the feature 'train', or give {KINDS}"
            ))),
            _ => Err(Error::usage(format!("potential '{text}' is not known; give {KINDS}"))),
        }
    }

    /// Loads the potential. [`evaluate`] checks its answers; a walk rejects those that are not finite.
    ///
    /// # Errors
    /// As the loader of the kind, for example [`Gdml::load`].
    pub fn open(&self) -> Result<Box<dyn Potential>> {
        match self {
            Spec::Gdml(file) => Ok(Box::new(Gdml::load(file)?)),
            Spec::Plugin { library, options } => Ok(Box::new(plugin::Plugin::open(library, options)?)),
            #[cfg(feature = "train")]
            Spec::TorchScript(options) => Ok(Box::new(TorchScript::load(options)?)),
        }
    }

    /// The file it is read from, which no output may replace; none for a potential without one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Spec::Gdml(file) => Some(file),
            #[cfg(feature = "train")]
            Spec::TorchScript(options) => Some(&options.file),
            Spec::Plugin { library, .. } => Some(library),
        }
    }

    /// Whether libtorch computes it.
    pub fn needs_libtorch(&self) -> bool {
        match self {
            #[cfg(feature = "train")]
            Spec::TorchScript(_) => true,
            Spec::Gdml(_) | Spec::Plugin { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests;
