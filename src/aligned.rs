//! Numbers in whole cache lines.

use std::ops::{Deref, DerefMut};

/// A value that begins a cache line, in vectors too: a load of 64 bytes from any other place touches two lines.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Aligned<T>(pub T);

impl<T> Deref for Aligned<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Aligned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_at_the_beginning_of_a_line_wherever_it_is() {
        for count in 1..40 {
            let some = vec![Aligned([0.0_f32; 16]); count];
            assert_eq!(some.as_ptr().align_offset(64), 0);
            assert_eq!(size_of_val(&some[..]), 64 * count);
        }
    }
}
