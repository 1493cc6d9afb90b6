#!/usr/bin/env bash
# Looks for races: .ci/threads.sh --test concurrent. The Rust code of the sampler-only library and its standard library are
# compiled with ThreadSanitizer, and cargo test runs with these arguments. The options are not stable ones, and the sources of
# the standard library are needed: rustup component add rust-src.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library" ] || {
    echo "threads: the sources of the standard library are missing: rustup component add rust-src" >&2
    exit 1
}
target=$(rustc -vV | sed -n 's/^host: //p')
# The code in C and C++ is compiled as always: what it does with memory of its own is not seen.
RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=thread TSAN_OPTIONS="halt_on_error=1 suppressions=$PWD/tests/c/tsan.supp" \
    cargo test --release --locked --no-default-features -Zbuild-std --target "$target" \
    --target-dir target/threads --no-fail-fast "$@"
