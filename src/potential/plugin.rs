//! Potentials out of a shared library: `plugin:LIB.so:options`, whose entry point `bzd_plugin_open` fills in the
//! description of a potential (`include/boltzdrift.h`).
#![allow(unsafe_code)]

use std::ffi::{c_char, CStr, CString};
use std::path::{Path, PathBuf};

use libloading::{Library, Symbol};
use ndarray::{ArrayView3, ArrayViewMut1, ArrayViewMut3};
use sha2::{Digest, Sha256};

use super::foreign::{Descriptor, Foreign};
use super::Potential;
use crate::error::one_line;
use crate::{Error, Result};

/// Version of the plug-in interface (`BZD_PLUGIN_ABI`).
pub const PLUGIN_ABI: u32 = 1;
/// Longest message of a plug-in, in bytes.
const LONGEST_MESSAGE: usize = 1024;

type Open = unsafe extern "C" fn(
    abi: u32,
    options: *const c_char,
    potential: *mut Descriptor,
    message: *mut c_char,
    message_size: usize,
) -> i32;

/// A plug-in's potential.
#[derive(Debug)]
pub struct Plugin {
    // Before the library: fields are dropped in order, and the potential's code lies in the library.
    potential: Foreign,
    path: PathBuf,
    identity: String,
    _library: Library,
}

impl Plugin {
    /// Loads the library and opens the potential with these options, whose meaning is the plug-in's own. The library's
    /// code runs in this process: load only what you trust.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; [`Error::Unsupported`] where it is no plug-in, or one of another
    /// interface; [`Error::Usage`] with the plug-in's own message where it refuses the options.
    pub fn open(path: &Path, options: &str) -> Result<Self> {
        let whole = path.canonicalize().map_err(|source| Error::io(path, "cannot open", source))?;
        let bytes = std::fs::read(&whole).map_err(|source| Error::io(path, "cannot read", source))?;
        let none = |why: String| Error::Unsupported(format!("{}: not a plug-in: {why}", path.display()));
        let c_options = CString::new(options)
            .map_err(|_| Error::usage("the options of the plug-in hold a NUL character; leave it out"))?;
        // SAFETY: the user chose the library; its initializers run here.
        let library = unsafe { Library::new(&whole) }.map_err(|error| {
            none(format!(
                "it cannot be loaded ({}); compile it as a shared library",
                one_line(&error.to_string())
            ))
        })?;
        // SAFETY: the symbol has the type that the header declares.
        let open: Symbol<Open> = unsafe { library.get(b"bzd_plugin_open\0") }
            .map_err(|_| none("it has no function bzd_plugin_open; export it with C linkage".into()))?;
        let mut description = Descriptor::default();
        let mut message: [c_char; LONGEST_MESSAGE] = [0; LONGEST_MESSAGE];
        // SAFETY: all pointers are valid through the call; `message` has the size it is said to have.
        let status = unsafe {
            open(PLUGIN_ABI, c_options.as_ptr(), &raw mut description, message.as_mut_ptr(), LONGEST_MESSAGE)
        };
        if status != 0 {
            message[LONGEST_MESSAGE - 1] = 0;
            // SAFETY: the last byte is NUL.
            let said = unsafe { CStr::from_ptr(message.as_ptr()) }.to_string_lossy().into_owned();
            return Err(Error::usage(format!(
                "plugin {} refuses the options '{options}' with status {status}: {}",
                path.display(),
                one_line(&said)
            )));
        }
        // SAFETY: the plug-in filled the description in, under the promises of the header; the library outlives it.
        let potential =
            unsafe { Descriptor::read(&raw const description).and_then(|own| Foreign::new(&own)) }
                .map_err(|error| Error::usage(format!("plugin {}: {error}", path.display())))?;
        let mut hash = Sha256::new();
        for part in [bytes.as_slice(), options.as_bytes(), potential.identity().as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let identity = format!("{:x}", hash.finalize());
        Ok(Plugin { potential, path: path.to_owned(), identity, _library: library })
    }
}

impl Potential for Plugin {
    fn energies_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        energies: ArrayViewMut1<f64>,
        forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        self.potential.energies_forces(species, positions, energies, forces)
    }

    fn name(&self) -> String {
        format!("{} (plugin {})", self.potential.name(), self.path.display())
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn largest_batch(&self) -> usize {
        self.potential.largest_batch()
    }

    fn in_order(&self) -> bool {
        self.potential.in_order()
    }
}
