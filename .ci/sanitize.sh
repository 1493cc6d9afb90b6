#!/usr/bin/env bash
# Looks for mistakes of memory and undefined behavior on the way between callers and the library: the C and C++ programs
# and plug-ins of tests and examples are compiled with AddressSanitizer and UndefinedBehaviorSanitizer, and run against the
# full and the sampler-only library; then the sampler-only library itself runs under valgrind. libtorch is not clean there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

runtime=$(gcc -print-file-name=libasan.so)
[ -e "$runtime" ] || {
    echo "sanitize: gcc has no AddressSanitizer here: install libasan" >&2
    exit 1
}
sanitized() { # sanitized CARGO_ARGUMENT...
    # Addresses are kept long after they are freed, so memory grows and programs are slow: no tests of these two.
    BOLTZDRIFT_TEST_CFLAGS='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' \
        BOLTZDRIFT_TEST_PRELOAD=$runtime ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 \
        UBSAN_OPTIONS=print_stacktrace=1 \
        cargo test --release --locked --no-fail-fast "$@" --test c_programs --test c_api --test potential_faults \
        --test potential_ways --test label_ways --test lammps_potential \
        -- --skip memory_stays_flat --skip a_long_run_keeps_its_memory --skip first_samples_are_there_soon \
        --skip valgrind_finds_nothing
}
echo '=== sanitizers, training included'
sanitized
echo '=== sanitizers, sampler only'
sanitized --no-default-features --target-dir target/sampler
echo '=== valgrind, sampler only'
cargo test --release --locked --no-default-features --target-dir target/sampler --test c_programs valgrind_finds_nothing -- \
    --nocapture
