//! Stages are kept and found again.

mod amplitude;
mod stages;

use super::*;
use crate::analytic::water;
use crate::fit::tests::dataset;

fn data(frames: usize, seed: u64) -> Dataset {
    dataset(&water(), &water().frames(500.0, frames, seed))
}

fn fit_settings(frames: usize) -> fit::Settings {
    fit::Settings { frames, sigma: Some(10.0), ridge: Some(1e-9), memory: None, plain: true }
}

fn run_settings() -> equilibrate::Settings {
    equilibrate::Settings {
        chains: 32,
        leapfrog: 6,
        frames: 400,
        warmup: 40,
        effective: 400.0,
        r_hat: 1.05,
        time_step: 0.7,
        most_evaluations: 1_000_000,
        ..equilibrate::Settings::at(500.0)
    }
}
