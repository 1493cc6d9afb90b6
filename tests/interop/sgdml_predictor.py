"""Loads a force field that boltzdrift wrote into sGDML's own predictor and compares energies and forces.

    python tests/interop/sgdml_predictor.py [TRAJECTORY] [--frames 150] [--states 1000] [--time]

TRAJECTORY is a file with forces that boltzdrift reads without further options, for example one that
`boltzdrift equilibrate` wrote; without one, a made-up molecule is used. A force field is fitted to it and
states are equilibrated with it; their energies and forces are boltzdrift's, sGDML's come from
`sgdml.predict.GDMLPredict`. A fit with a short kernel and a large ridge must agree to 1e-8 of the spread. The
best fit has coefficients of 1e12 kcal/mol that cancel: it must agree to the digits that double precision
leaves of the sum's largest terms. Says so and exits with 0 where the package `sgdml` is not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# One thread each, before NumPy is loaded: times are per core.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[2]
BOLTZDRIFT = ROOT / "target" / "release" / "boltzdrift"
# Rounding, in parts of the largest sum of absolute terms.
ROUNDING = 4 * np.finfo(float).eps
# In parts of the spread, where little cancels.
AGREEMENT = 1e-8
# Such a fit.
MILD = ("--sigma", "5", "--ridge", "1e-6")


def run(*arguments: object) -> str:
    """Runs the command line and returns what it printed."""
    done = subprocess.run([str(BOLTZDRIFT), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"boltzdrift {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def made_up(path: Path) -> None:
    """Formaldehyde on springs between all atoms, as an extended XYZ file."""
    rng = np.random.default_rng(4)
    shape = np.array([[0, 0, 0], [1.21, 0, 0], [-0.59, 0.94, 0], [-0.59, -0.94, 0]])
    i, j = np.tril_indices(4, -1)
    length = np.linalg.norm(shape[i] - shape[j], axis=1)
    with path.open("w") as out:
        for x in shape + 0.04 * rng.standard_normal((400, 4, 3)):
            d = x[i] - x[j]
            r = np.linalg.norm(d, axis=1)
            energy = float((150 * (r - length) ** 2).sum())
            f = np.zeros((4, 3))
            pull = -(300 * (r - length) / r)[:, None] * d
            np.add.at(f, i, pull)
            np.add.at(f, j, -pull)
            out.write(f"4\nProperties=species:S:1:pos:R:3:forces:R:3 energy={energy!r}\n")
            for name, a, b in zip("COHH", x.tolist(), f.tolist(), strict=True):
                out.write(" ".join([name, *map(repr, a + b)]) + "\n")


def terms(model: dict[str, NDArray], R: Floats) -> tuple[float, float]:
    """The largest sums of absolute terms of an energy and of a force component, without the constant."""
    count, pairs = len(model["perms"]), len(model["R_desc"])
    order = model["tril_perms_lin"].reshape(pairs, count).T % pairs
    X = model["R_desc"].T[:, order].reshape(-1, pairs)
    A = model["R_d_desc_alpha"][:, order].reshape(-1, pairs)
    i, j = np.tril_indices(R.shape[1], -1)
    q = np.sqrt(5) / float(model["sig"])
    energy = force = 0.0
    for x in 1 / np.linalg.norm(R[:, i] - R[:, j], axis=2):
        d = q * (x - X)
        n = np.linalg.norm(d, axis=1)
        e = 5 / 3 * (q * q / 5) * np.exp(-n)
        w = np.abs(d * A).sum(1)
        energy = max(energy, float((e * (1 + n) * w).sum() / q))
        slope = np.abs((e * w)[:, None] * q * d).sum(0) + np.abs((e * (1 + n))[:, None] * A).sum(0)
        # dx/dr = -x^2, and an atom has n - 1 pairs.
        force = max(force, float((slope * x**2).max()) * (R.shape[1] - 1))
    std = abs(float(model["std"]))
    return std * energy, std * force


def compare(field: Path, pool: Path, mild: bool) -> tuple[int, object, Floats]:
    """How many of energies and forces differ, the predictor and the states."""
    from sgdml.predict import GDMLPredict

    model = dict(np.load(field, allow_pickle=False))
    states = np.load(pool)
    R, E, F = states["R"], states["E"].ravel(), states["F"]
    # Without the constant, which hides digits of the energies.
    c = float(model["c"])
    predictor = GDMLPredict({**model, "c": 0.0}, max_processes=1, num_workers=0)
    energies, forces = predictor.predict(R.reshape(len(R), -1))
    most = terms(model, R[:50])
    wrong = 0
    for name, ours, theirs, size in (
        ("energies", E - c, energies, most[0]),
        ("forces", F.ravel(), forces.ravel(), most[1]),
    ):
        spread = float(np.std(theirs))
        error = float(np.abs(ours - theirs).max())
        # A constant of 1e5 kcal/mol has rounded the energies in the file already.
        stored = np.finfo(float).eps * abs(c) if name == "energies" else 0.0
        limit = (AGREEMENT * spread if mild else ROUNDING * size) + 2 * stored
        fine = error <= limit
        wrong += not fine
        print(
            f"{name}: largest difference {error:.1e}, {error / spread:.1e} of the spread; terms up to "
            f"{size:.1e}, limit {limit:.1e}: {'ok' if fine else 'TOO MUCH'}"
        )
    return wrong, predictor, R


def timed(predictor: object, R: Floats, field: Path, trajectory: Path, units: list[str]) -> None:
    """Frames a second on one core: sGDML's on these states, and ours in a walk of 1,200,000 evaluations."""
    many = R[np.arange(2000) % len(R)].reshape(2000, -1)
    predictor.prepare_parallel(n_bulk=len(many))  # type: ignore[attr-defined]
    predictor.predict(many)  # type: ignore[attr-defined]
    started = time.perf_counter()
    predictor.predict(many)  # type: ignore[attr-defined]
    theirs = len(many) / (time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        output = Path(folder) / "states.npz"
        asked = ["--temperature", "500K", "--limit", 1_200_000, "--accept-unconverged", "--ladder", "off"]
        potential = ["--potential", f"gdml:{field}", "--threads", 1, "--report", report]
        run("equilibrate", trajectory, "-o", output, *units, *potential, *asked)
        ours = json.loads(report.read_text())["evaluations_per_second"]
    print(
        f"frames a second on one core: sGDML {theirs:.0f}, boltzdrift {ours:.0f} (ratio {ours / theirs:.1f})"
    )


def main() -> int:
    """1 where the two do not agree."""
    parser = argparse.ArgumentParser()
    parser.add_argument("trajectory", type=Path, nargs="?")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--states", type=int, default=1000)
    parser.add_argument("--units", default="real")
    parser.add_argument("--time", action="store_true")
    options = parser.parse_args()
    try:
        import sgdml  # noqa: F401
    except ImportError:
        print("skipped: the Python package sgdml is not installed here")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trajectory = options.trajectory or folder / "made_up.xyz"
        if not options.trajectory:
            made_up(trajectory)
        units = ["--units", options.units]
        asked = ["--temperature", "500K", "-n", options.states, "--chains", 64, "--limit", 4_000_000]
        asked += ["--effective", 200, "--r-hat", 1.1, "--accept-unconverged"]
        wrong = 0
        for mild in (True, False):
            field, pool = folder / f"field_{mild}.npz", folder / f"pool_{mild}.npz"
            more = ["--plain", *units, *(MILD if mild else ())]
            print(run("fit", trajectory, "-o", field, "-n", options.frames, *more).strip())
            run("equilibrate", trajectory, "-o", pool, *units, "--potential", f"gdml:{field}", *asked)
            off, predictor, states = compare(field, pool, mild)
            wrong += off
        if options.time:
            timed(predictor, states, field, trajectory, units)
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
