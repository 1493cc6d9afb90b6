//! Potentials of other languages: one C function that answers for many frames.
//!
//! The caller's promises are those of `bzd_potential_desc` in `include/boltzdrift.h`; the layout here is the layout
//! there, and a test compares the two.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_void, CStr};

use ndarray::{ArrayView3, ArrayViewMut1, ArrayViewMut3};
use rayon::prelude::*;

use super::Potential;
use crate::error::one_line;
use crate::units::{parse_unit, ENERGY, LENGTH};
use crate::{Error, Result};

/// The caller's function: energies (B) and forces (B, n, 3) of positions (B, n, 3), all row-major; 0 where it is done.
pub type Evaluate = unsafe extern "C" fn(
    user_data: *mut c_void,
    systems: usize,
    atoms: usize,
    species: *const i32,
    positions: *const f64,
    cells: *const f64,
    energies: *mut f64,
    forces: *mut f64,
) -> i32;

/// The function may be called from several threads at once.
pub const CONCURRENT: u32 = 1;

/// Frames are filled in one after the other, the energy of each last.
pub const IN_ORDER: u32 = 2;
/// Name of a potential that was given none.
pub const NAMELESS: &str = "of the caller";

/// What a caller says of its potential (`bzd_potential_desc`).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Descriptor {
    /// Size of the caller's structure in bytes: what lies beyond it is taken as zero.
    pub struct_size: usize,
    /// The function.
    pub evaluate: Option<Evaluate>,
    /// Its first argument.
    pub user_data: *mut c_void,
    /// Frees `user_data`; called once.
    pub destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Why the last call failed.
    pub last_error: Option<unsafe extern "C" fn(user_data: *mut c_void) -> *const c_char>,
    /// What it is, for messages.
    pub name: *const c_char,
    /// What tells it from every other potential.
    pub identity: *const c_char,
    /// Unit of length; angstrom where NULL.
    pub length_unit: *const c_char,
    /// Unit of energy; kcal/mol where NULL. Forces are in this unit over that of length.
    pub energy_unit: *const c_char,
    /// Most frames of one call; any number where 0.
    pub largest_batch: usize,
    /// [`CONCURRENT`] and [`IN_ORDER`], each or none.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

impl Default for Descriptor {
    fn default() -> Self {
        Descriptor {
            struct_size: size_of::<Descriptor>(),
            evaluate: None,
            user_data: std::ptr::null_mut(),
            destroy: None,
            last_error: None,
            name: std::ptr::null(),
            identity: std::ptr::null(),
            length_unit: std::ptr::null(),
            energy_unit: std::ptr::null(),
            largest_batch: 0,
            flags: 0,
            reserved: 0,
        }
    }
}

impl Descriptor {
    /// The caller's structure, of whatever size it was compiled with.
    ///
    /// # Safety
    /// `given` is NULL or valid for reads of the `struct_size` bytes that it says it has.
    ///
    /// # Errors
    /// [`Error::Usage`] for NULL, or a size that no version of the structure had.
    pub unsafe fn read(given: *const Descriptor) -> Result<Self> {
        if given.is_null() {
            return Err(Error::usage("the description of the potential is NULL"));
        }
        // SAFETY: not NULL; the size comes first and is there in every version.
        let size = unsafe { (*given).struct_size };
        // Every field, and the last two together, has the structure's alignment: no version ends inside one.
        let least = std::mem::offset_of!(Descriptor, destroy);
        if size < least || size > 4096 || !size.is_multiple_of(align_of::<Descriptor>()) {
            return Err(Error::usage(format!(
                "struct_size {size} of the potential's description: set it to sizeof(bzd_potential_desc)"
            )));
        }
        let mut own = Descriptor::default();
        let count = size.min(size_of::<Descriptor>());
        // SAFETY: `count` bytes are readable by the caller's promise and fit; every bit pattern of these fields that a
        // C compiler writes is a value of theirs.
        unsafe { std::ptr::copy_nonoverlapping(given.cast::<u8>(), (&raw mut own).cast::<u8>(), count) };
        own.struct_size = size_of::<Descriptor>();
        Ok(own)
    }
}

/// A NaN that no computation gives: what still holds it was not written.
const UNWRITTEN: u64 = 0x7ff8_b01d_d21f_7000;

fn unwritten(value: f64) -> bool {
    value.to_bits() == UNWRITTEN
}

/// A potential behind a C function.
#[derive(Debug)]
pub struct Foreign {
    call: Call,
    name: String,
    identity: String,
    /// Angstrom and kcal/mol in the caller's units.
    length: f64,
    energy: f64,
    largest: usize,
    concurrent: bool,
    in_order: bool,
    /// Positions in the caller's unit, and its forces, where the library's own arrays will not do.
    room: (Vec<f64>, Vec<f64>),
}

/// The function and its first argument.
#[derive(Debug, Clone, Copy)]
struct Call {
    evaluate: Evaluate,
    user_data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(*mut c_void)>,
    last_error: Option<unsafe extern "C" fn(*mut c_void) -> *const c_char>,
}

// SAFETY: the caller promises that the potential may be used from another thread than the one that made it, one call
// at a time; and from several at once where it says CONCURRENT, else `Foreign` makes no such calls.
unsafe impl Send for Call {}
// SAFETY: as above.
unsafe impl Sync for Call {}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(destroy) = self.call.destroy {
            // SAFETY: the descriptor's promise; this is the one call, since `Foreign` is not cloned.
            unsafe { destroy(self.call.user_data) };
        }
    }
}

/// A string of the caller's; none where NULL.
///
/// # Safety
/// `text` is NULL or NUL-terminated.
unsafe fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, and NUL-terminated as promised.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

impl Foreign {
    /// A potential as described. From here on `destroy` is this object's to call, after a failure of this function too.
    ///
    /// # Safety
    /// The promises of `bzd_potential_desc`: strings are NUL-terminated, and the function does what it says with
    /// `user_data` for as long as this object lives.
    ///
    /// # Errors
    /// [`Error::Usage`] where the function is missing, a flag is unknown or a unit is none.
    pub unsafe fn new(description: &Descriptor) -> Result<Self> {
        let Descriptor { user_data, destroy, last_error, .. } = *description;
        let Some(evaluate) = description.evaluate else {
            if let Some(destroy) = destroy {
                // SAFETY: the descriptor's promise; nothing else will call it.
                unsafe { destroy(user_data) };
            }
            return Err(Error::usage("the potential's description has no function: set `evaluate`"));
        };
        // SAFETY: strings are NULL or NUL-terminated, as promised.
        let (name, identity, length, energy) = unsafe {
            (
                text(description.name),
                text(description.identity),
                text(description.length_unit),
                text(description.energy_unit),
            )
        };
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let name = given(name).unwrap_or_else(|| NAMELESS.into());
        let mut own = Foreign {
            call: Call { evaluate, user_data, destroy, last_error },
            identity: given(identity).unwrap_or_else(|| name.clone()),
            name: one_line(&name),
            length: 1.0,
            energy: 1.0,
            largest: if description.largest_batch == 0 { usize::MAX } else { description.largest_batch },
            concurrent: description.flags & CONCURRENT != 0,
            in_order: description.flags & IN_ORDER != 0,
            room: (Vec::new(), Vec::new()),
        };
        if description.flags & !(CONCURRENT | IN_ORDER) != 0 || description.reserved != 0 {
            return Err(Error::usage(format!(
                "potential {}: flags {} are not known; give BZD_CONCURRENT, BZD_IN_ORDER or 0, and clear the structure first",
                own.name, description.flags
            )));
        }
        let unit = |given: Option<String>, what, own| given.map_or(Ok(own), |unit| parse_unit(&unit, what));
        own.length = unit(length, LENGTH, 1.0)?;
        own.energy = unit(energy, ENERGY, 1.0)?;
        Ok(own)
    }

    /// One call for rows of the batch that begin at `first`.
    fn one(
        &self,
        first: usize,
        species: &[i32],
        positions: &[f64],
        energies: &mut [f64],
        forces: &mut [f64],
    ) -> Result<()> {
        let Call { evaluate, user_data, last_error, .. } = self.call;
        energies.fill(f64::from_bits(UNWRITTEN));
        forces.fill(f64::from_bits(UNWRITTEN));
        let (systems, atoms) = (energies.len(), species.len());
        // SAFETY: the arrays have the lengths that the header states, and live through the call.
        let status = unsafe {
            evaluate(
                user_data,
                systems,
                atoms,
                species.as_ptr(),
                positions.as_ptr(),
                std::ptr::null(),
                energies.as_mut_ptr(),
                forces.as_mut_ptr(),
            )
        };
        let rows = energies.iter().zip(forces.chunks_exact(3 * atoms));
        let missing = rows.map(|(e, f)| unwritten(*e) || f.iter().any(|&f| unwritten(f))).position(|x| x);
        let (frame, message) = match (status, missing) {
            (0, None) => return Ok(()),
            (0, Some(row)) => (
                row,
                format!(
                    "the call returned 0 without its energy or all of its forces; write {systems} energies and \
                     {systems} x {atoms} x 3 forces"
                ),
            ),
            (status, missing) => {
                // SAFETY: the descriptor's promise: NULL or a string that lives until the next call.
                let said = last_error.and_then(|why| unsafe { text(why(user_data)) });
                let said = said.map_or_else(String::new, |said| format!(" ({})", one_line(&said)));
                (missing.unwrap_or(0), format!("the call failed with status {status}{said}"))
            }
        };
        let status = (status != 0).then_some(status);
        Err(Error::Potential { name: self.name.clone(), frame: first + frame, status, message })
    }

    /// All calls of a batch in the caller's units.
    fn all(&self, species: &[i32], x: &[f64], energies: &mut [f64], forces: &mut [f64]) -> Result<()> {
        let (frames, size) = (energies.len(), 3 * species.len());
        if frames == 0 || size == 0 {
            return Ok(());
        }
        if !self.concurrent {
            let rows = self.largest.min(frames);
            let calls =
                energies.chunks_mut(rows).zip(forces.chunks_mut(rows * size)).zip(x.chunks(rows * size));
            return calls.enumerate().try_for_each(|(k, ((e, f), x))| self.one(k * rows, species, x, e, f));
        }
        let rows = frames.div_ceil(rayon::current_num_threads()).clamp(1, self.largest);
        let calls = energies.par_chunks_mut(rows).zip(forces.par_chunks_mut(rows * size));
        let calls = calls.zip(x.par_chunks(rows * size)).enumerate();
        let answers: Vec<Result<()>> =
            calls.map(|(k, ((e, f), x))| self.one(k * rows, species, x, e, f)).collect();
        // The first frame that failed, whichever thread was first.
        answers.into_iter().collect()
    }
}

impl Potential for Foreign {
    fn energies_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        if energies.len() != positions.dim().0
            || forces.dim() != positions.dim()
            || positions.dim().1 != species.len()
            || positions.dim().2 != 3
        {
            return Err(Error::usage(format!(
                "{} species, positions {:?}, energies ({}) and forces {:?} do not belong together",
                species.len(),
                positions.dim(),
                energies.len(),
                forces.dim()
            )));
        }
        let species: Vec<i32> = species.iter().map(|&z| i32::from(z)).collect();
        let (mut here, mut there) = std::mem::take(&mut self.room);
        let own = self.length == 1.0 && self.energy == 1.0;
        if own && positions.is_standard_layout() {
            if let (Some(x), Some(e), Some(f)) =
                (positions.as_slice(), energies.as_slice_mut(), forces.as_slice_mut())
            {
                self.room = (here, there);
                return self.all(&species, x, e, f);
            }
        }
        here.clear();
        here.extend(positions.iter().map(|x| x / self.length));
        there.resize(here.len() + energies.len(), 0.0);
        let (f, e) = there.split_at_mut(here.len());
        let done = self.all(&species, &here, e, f);
        energies.iter_mut().zip(e.iter()).for_each(|(to, from)| *to = from * self.energy);
        let unit = self.energy / self.length;
        forces.iter_mut().zip(f.iter()).for_each(|(to, from)| *to = from * unit);
        self.room = (here, there);
        done
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    /// Where calls run side by side the library needs more frames at once, to share them out.
    fn largest_batch(&self) -> usize {
        if self.concurrent {
            usize::MAX
        } else {
            self.largest
        }
    }

    fn in_order(&self) -> bool {
        self.in_order
    }
}

#[cfg(test)]
mod tests;
