#!/usr/bin/env bash
# Runs fuzzers one after the other: fuzz/run.sh SECONDS [FUZZER...]. Seeds come from the library itself and from
# tests/fuzz_seeds, the corpus grows in fuzz/corpus, findings go to fuzz/artifacts, executions are counted in fuzz/corpus.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

counts=fuzz/corpus/executions.txt
if [ "${1:-}" = --count ]; then
    awk '{ n[$1] += $2; s[$1] += $3; all += $2; time += $3 } END {
        for (f in n) printf "%-14s %12d executions in %6.2f h\n", f, n[f], s[f] / 3600
        printf "%-14s %12d executions in %6.2f h\n", "all", all, time / 3600 }' "$counts" | sort
    exit
fi
seconds=${1:?give SECONDS for each fuzzer}
shift
all=(sampler equilibration training labels npz gdml xyz dump other selection units settings calls)
[ $# -gt 0 ] || set -- "${all[@]}"
mkdir -p fuzz/corpus
# Files are written and read for every execution: memory is faster than a disk.
[ -d /dev/shm ] && export TMPDIR=/dev/shm
# Instrumentation is no stable option of rustc; a stable one has it too, and says so when asked like this.
cargo=(cargo +nightly)
"${cargo[@]}" --version >/dev/null 2>&1 || { cargo=(cargo) && export RUSTC_BOOTSTRAP=1; }
folder=${CARGO_TARGET_DIR:-fuzz/target}
for name in "$@"; do
    features=()
    if [ "$name" = training ]; then
        features=(--features train)
        # Only the library's own build says where libtorch is.
        export LD_LIBRARY_PATH=${LIBTORCH:-$PWD/.venv/libtorch}/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    fi
    "${cargo[@]}" fuzz build "${features[@]}" "$name"
    corpus=fuzz/corpus/$name
    mkdir -p "$corpus" "fuzz/artifacts/$name"
    log=fuzz/corpus/$name.log
    BOLTZDRIFT_SEEDS=$corpus "$folder/x86_64-unknown-linux-gnu/release/$name" -runs=0 >"$log" 2>&1 || {
        cat "$log" >&2
        exit 1
    }
    # What is written by hand is short. More bytes would only make an execution longer.
    case $name in
    units) longest=128 ;;
    selection | settings) longest=1024 ;;
    *) longest=16384 ;;
    esac
    old=()
    [ ! -d "tests/fuzz_seeds/$name" ] || old=("tests/fuzz_seeds/$name")
    start=$SECONDS
    status=0
    # Several times faster: two calls of each allocation's stack are kept, less freed memory is held back, and uses of a
    # function's stack after its return are not looked for. Run a finding again without these for its whole story.
    ASAN_OPTIONS=detect_leaks=0:malloc_context_size=2:detect_stack_use_after_return=0:quarantine_size_mb=16 "$folder/x86_64-unknown-linux-gnu/release/$name" "$corpus" "${old[@]}" -artifact_prefix="fuzz/artifacts/$name/" \
        -max_total_time="$seconds" -max_len="$longest" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
        -print_final_stats=1 >"$log" 2>&1 || status=$?
    echo "$name $(awk '/number_of_executed_units/ { print $2 }' "$log") $((SECONDS - start))" >>"$counts"
    tail -n 1 "$counts"
    [ "$status" = 0 ] || {
        echo "$name: a finding: see $log and fuzz/artifacts/$name" >&2
        exit 1
    }
done
