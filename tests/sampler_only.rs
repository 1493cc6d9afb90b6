//! The build without training links neither libtorch nor OpenBLAS, and samples.
#![cfg(not(feature = "train"))]
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

#[test]
fn nothing_heavy_is_linked() {
    let program = env!("CARGO_BIN_EXE_boltzdrift");
    let listed = Command::new("ldd").arg(program).output().unwrap();
    assert!(listed.status.success());
    let text = String::from_utf8(listed.stdout).unwrap();
    for heavy in ["torch", "openblas", "lapack", "cuda", "gomp"] {
        assert!(!text.contains(heavy), "{text}");
    }
    let megabytes = std::fs::metadata(program).unwrap().len() / (1 << 20);
    assert!(megabytes < 15, "{megabytes} MB");
}

#[test]
fn training_is_not_offered() {
    let done = Command::new(env!("CARGO_BIN_EXE_boltzdrift")).arg("train").output().unwrap();
    assert_eq!(done.status.code(), Some(2));
    let help = Command::new(env!("CARGO_BIN_EXE_boltzdrift")).arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(text.contains("sample") && !text.contains("Train a sampler"), "{text}");
}
