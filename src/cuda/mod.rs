//! What runs on a CUDA device beyond single operations of libtorch: recorded steps of a training, and sampling.

pub(crate) mod bridge;
pub(crate) mod recorded;
mod sampler;

pub use sampler::CudaSampler;
