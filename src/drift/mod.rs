//! The drifting fields and their targets, on libtorch tensors.
//!
//! [`kernel`] is the paper's field (Eqs. 6-8, 15, 23, 28-36); [`sliced`] moves projections of the
//! features by one-dimensional optimal transport. [`features`] are the differentiable feature maps.

pub mod features;
pub mod kernel;
pub mod sliced;

impl From<tch::TchError> for crate::Error {
    fn from(error: tch::TchError) -> Self {
        crate::Error::Library { library: "libtorch", message: crate::error::one_line(&error.to_string()) }
    }
}
