//! The functions of `tests/fuzz_targets`, for the fuzzers.

#[path = "../../tests/fuzz_targets/mod.rs"]
pub mod targets;
#[path = "../../tests/untrained/mod.rs"]
pub mod untrained;

pub use libfuzzer_sys::fuzz_target;

/// Before the first input. Panics that the library catches are no crashes: the fuzzer's own hook would end the process at the
/// first; one that is not caught still does. There is one thread, whose way through the code is the input's alone. Where BOLTZDRIFT_SEEDS names a folder, the seeds are written there.
pub fn begin(name: &str) {
    std::panic::set_hook(Box::new(|_| {}));
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global().unwrap();
    if let Some(folder) = std::env::var_os("BOLTZDRIFT_SEEDS") {
        for (k, seed) in (targets::target(name).seeds)().iter().enumerate() {
            std::fs::write(std::path::Path::new(&folder).join(format!("seed-{k}")), seed).unwrap();
        }
    }
}

/// A fuzzer of one target.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        $crate::fuzz_target!(init: $crate::begin($name), |bytes: &[u8]| {
            static RUN: std::sync::OnceLock<fn(&[u8])> = std::sync::OnceLock::new();
            RUN.get_or_init(|| $crate::targets::target($name).run)(bytes);
        });
    };
}
