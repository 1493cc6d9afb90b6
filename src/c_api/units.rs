//! Units by name.

use std::ffi::c_char;

use super::guarded;
use super::pointers::{array, text};
use crate::calls::units as calls;

/// How many of the library's own units one `unit` of that quantity is.
///
/// # Safety
/// `unit` and `quantity` are NULL or NUL-terminated; `factor` is NULL or valid for a write.
#[no_mangle]
pub unsafe extern "C" fn bzd_unit(unit: *const c_char, quantity: *const c_char, factor: *mut f64) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (unit, quantity, out) =
            unsafe { (text(unit, "unit")?, text(quantity, "quantity")?, array(factor, 1, "factor")?) };
        out[0] = calls::factor(unit, quantity)?;
        Ok(())
    })
}

/// The units of a LAMMPS style: length, energy, time, force, velocity.
///
/// # Safety
/// `style` is NULL or NUL-terminated; `factors` is NULL or valid for writes of `length` numbers.
#[no_mangle]
pub unsafe extern "C" fn bzd_lammps_units(style: *const c_char, factors: *mut f64, length: usize) -> i32 {
    guarded(|| {
        // SAFETY: as promised by the caller.
        let (style, out) = unsafe { (text(style, "style")?, array(factors, length, "factors")?) };
        calls::lammps(style, out)
    })
}
