//! The drifting fields and their targets, on libtorch tensors.
//!
//! [`kernel`] is the paper's field (Eqs. 6-8, 15, 23, 28-36); [`sliced`] moves projections of the
//! features by one-dimensional optimal transport. [`features`] are the differentiable feature maps.

pub mod features;
pub mod kernel;
pub mod sliced;

use rayon::prelude::*;

use crate::Result;

/// Runs `work` on each: side by side where libtorch itself is to use one thread. Its own threads meet at a barrier in every
/// operation.
pub(crate) fn each<T: Send, U: Send>(
    items: Vec<T>,
    work: impl Fn(T) -> Result<U> + Sync + Send,
) -> Result<Vec<U>> {
    if tch::get_num_threads() == 1 && items.len() > 1 {
        items.into_par_iter().map(work).collect()
    } else {
        items.into_iter().map(work).collect()
    }
}

impl From<tch::TchError> for crate::Error {
    fn from(error: tch::TchError) -> Self {
        crate::Error::Library { library: "libtorch", message: crate::error::one_line(&error.to_string()) }
    }
}
