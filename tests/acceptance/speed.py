"""Speed of the fit and of the fitted force field, as ratios in one run, each on one core.

Seconds are those of the processor, so that other work on the machine counts little.

    python tests/acceptance/speed.py DATA REFERENCE

DATA holds md17/ethanol_first2000.npz (arrays R, F, E, z), REFERENCE the NumPy implementation
boltz_reference.py. The `sgdml` package is compared with where it is installed (pip install sgdml).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ONE = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
}
# Before NumPy is imported, or its BLAS takes every core.
os.environ.update(ONE)

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
BOLTZDRIFT = ROOT / "target" / "release" / "boltzdrift"
FRAMES = 300
SIGMA, RIDGE = 20.0, 1e-9
PREDICTIONS = 1_024
LIMITS = {"fit": 5.0, "prediction": 3.0, "hmc": 5.0}
WARMUP = 100


def run(environment: dict[str, str], *arguments: object) -> float:
    """Runs the command line and returns the processor's seconds that it took, its start included."""
    command = [str(BOLTZDRIFT), *map(str, arguments)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode != 0:
        sys.exit(f"boltzdrift {arguments[0]} failed: {done.stderr.strip()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def our_fit(source: Path, out: Path) -> float:
    """Seconds of a fit at a given length and ridge, as the reference fits: choice of frames included."""
    options = ("--units", "real", "-n", FRAMES, "--sigma", SIGMA, "--ridge", RIDGE, "--threads", 1, "--plain")
    return run(ONE, "fit", source, "-o", out, *options)


def alone(field: Path) -> Path:
    """The same force field without the smaller fit that leads its walks."""
    path = field.with_name("alone.npz")
    model = dict(np.load(field))
    model.pop("guide_d_desc_alpha", None)
    np.savez(path, **model)
    return path


def our_rate(source: Path, field: Path, folder: Path, threads: int) -> tuple[float, float, float]:
    """Evaluations a second of Monte Carlo on one core, and by the clock; its leapfrog steps on one core."""
    report = folder / f"report-{threads}.json"
    options = (
        "--units",
        "real",
        "--temperature",
        "643K",
        "--limit",
        600_000,
        "--accept-unconverged",
        "-n",
        256,
        "--warmup",
        WARMUP,
    )
    environment = {"RAYON_NUM_THREADS": str(threads)}
    options = (*options, "--potential", f"gdml:{field}", "--threads", threads, "--report", report)
    seconds = run(environment, "equilibrate", source, "-o", folder / "pool.npz", *options)
    found = json.loads(report.read_text())
    steps = (found["iterations"] + WARMUP) * found["chains"] * found["leapfrog"]
    return found["evaluations"] / seconds, float(found["evaluations_per_second"]), steps / seconds


def sgdml_rate(field: Path, positions: np.ndarray[Any, Any]) -> float | None:
    """Frames a second of sGDML's own predictor on one core; None where the package is missing."""
    try:
        from sgdml.predict import GDMLPredict
    except ImportError:
        return None
    model = dict(np.load(field, allow_pickle=True))
    predictor = GDMLPredict(model, max_processes=1)
    flat = positions.reshape(len(positions), -1)
    predictor.prepare_parallel(n_bulk=len(flat))
    predictor.predict(flat[:64])
    started = time.process_time()
    predictor.predict(flat)
    return len(flat) / (time.process_time() - started)


def main() -> int:
    """Prints the ratios; 1 where one is under its limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("reference", type=Path)
    options = parser.parse_args()
    sys.path.insert(0, str(options.reference))
    import boltz_reference as reference

    source = options.data / "md17/ethanol_first2000.npz"
    data = np.load(source)
    positions, forces, energies = data["R"], data["F"], np.ravel(data["E"])
    rows = np.linspace(0, len(positions) - 1, FRAMES).astype(int)
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        field = folder / "field.npz"
        ours = our_fit(source, field)
        started = time.process_time()
        perms = reference.ethanol_symmetry()
        fitted = reference.GDML.fit(positions[rows], forces[rows], energies[rows], perms, SIGMA, RIDGE)
        theirs = time.process_time() - started
        again = our_fit(source, field)
        slower = max(ours, again)
        print(f"fit, {FRAMES} frames: {slower:.2f} s, reference {theirs:.2f} s: {theirs / slower:.1f} times")
        wrong += theirs / slower < LIMITS["fit"]
        rate, _, _ = our_rate(source, alone(field), folder, 1)
        started = time.process_time()
        fitted.predict(positions[:PREDICTIONS])
        slow = PREDICTIONS / (time.process_time() - started)
        print(f"prediction, one core: {rate:.0f} a second, reference {slow:.0f}: {rate / slow:.1f} times")
        wrong += rate / slow < LIMITS["prediction"]
        theirs_rate = sgdml_rate(field, positions[:PREDICTIONS])
        if theirs_rate is None:
            print("prediction: the sgdml package is not installed, its predictor was not compared")
        else:
            print(f"prediction, one core: sgdml {theirs_rate:.0f} a second: {rate / theirs_rate:.1f} times")
            wrong += rate / theirs_rate < LIMITS["prediction"]
        _, _, steps = our_rate(source, field, folder, 1)
        print(f"Monte Carlo, one core: {steps:.0f} leapfrog steps a second: {steps / slow:.1f} times")
        wrong += steps / slow < LIMITS["hmc"]
        cores = os.cpu_count() or 1
        _, clock, _ = our_rate(source, alone(field), folder, cores)
        print(
            f"hybrid Monte Carlo without the smaller fit on {cores} cores: {clock:.0f} evaluations a second"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
