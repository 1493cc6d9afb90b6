#!/usr/bin/env bash
# Packs the sampler-only library into a wheel, and runs its tests in empty virtual environments: with
# NumPy alone, then with ASE and matplotlib.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo build --release --locked --no-default-features --target-dir target/sampler
.venv/bin/python python/make_wheel.py --library target/sampler/release/libboltzdrift.so --out "$work"

wheel=$(echo "$work"/*.whl)
"$(readlink -f .venv/bin/python)" -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check -c .ci/requirements-python.txt "$@"; }
# The tests without the tree around them: nothing but the wheel can be found.
cp -r tests/python "$work/tests"
check() { (cd "$work" && env -u BOLTZDRIFT_LIBRARY -u PYTHONPATH "$work/venv/bin/python" -m pytest -q -p no:cacheprovider tests); }
pip "$wheel" pytest
check
pip "${wheel}[ase,plots,progress]"
check
