#!/usr/bin/env bash
# Runs every check, goes on after a failure, and ends with one summary line.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

passed=0
failed=()
stage() { # stage NAME COMMAND...
    local name=$1 start=$SECONDS
    shift
    printf '\n=== %s\n' "$name"
    if "$@"; then
        passed=$((passed + 1))
        printf '=== %s: ok (%d s)\n' "$name" $((SECONDS - start))
    else
        failed+=("$name")
        printf '=== %s: FAILED (%d s)\n' "$name" $((SECONDS - start))
    fi
}

stage lint make --no-print-directory lint
stage 'tests, training included' cargo test --release --locked
# In a folder of its own: the two libraries have one name.
stage 'tests, sampler only' cargo test --release --locked --no-default-features --target-dir target/sampler
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
python_tests() {
    cargo build --release --locked &&
        PYTHONPATH="$PWD/python" .venv/bin/python -m pytest -q -p no:cacheprovider tests/python
}
neural_tests() {
    PYTHONPATH="$PWD/python" .venv-neural/bin/python -m pytest -q -p no:cacheprovider tests/python/test_sevennet.py
}
stage Python python_tests
if [ -x .venv-neural/bin/python ]; then
    stage 'Python, SevenNet' neural_tests
else
    printf '\n=== Python, SevenNet: skipped, make neural installs it\n'
fi
stage wheel .ci/wheel.sh

printf '\n'
[ ${#failed[@]} -eq 0 ] || printf 'failed: %s\n' "${failed[@]}"
printf 'stages: %d passed, %d failed\n' "$passed" "${#failed[@]}"
[ ${#failed[@]} -eq 0 ]
