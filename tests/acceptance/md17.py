"""Trains on published MD17 frames, samples, and holds the figures against their limits.

    python tests/acceptance/md17.py FOLDER [--molecule ethanol|aspirin] [--seeds 0 1 2]

FOLDER holds md17/ethanol_reference.npz and md17/aspirin_sampled.npz (arrays R, F, E, z in angstrom and
kcal/mol), and sgdml/ethanol.npz, a published force field for the energies. 5,000 random frames are for
training, the others are the reference that 20,000 samples are compared with.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BOLTZDRIFT = ROOT / "target" / "release" / "boltzdrift"
# Figure: limit from below and above.
LIMITS: dict[str, dict[str, tuple[float, float]]] = {
    "ethanol": {
        "tvd": (0.0, 0.015),
        "pair_tvd": (0.0, 0.06),
        "bond_sigma": (0.96, 1.04),
        "worst dihedral": (0.0, 0.06),
        "median energy": (-0.3, 0.3),
        "training seconds": (0.0, 300.0),
    },
    "aspirin": {"tvd": (0.0, 0.012), "pair_tvd": (0.0, 0.055)},
}
SOURCES = {"ethanol": ("md17/ethanol_reference.npz", "643K"), "aspirin": ("md17/aspirin_sampled.npz", "553K")}
TRAINING = 5_000
SAMPLES = 20_000


def run(*arguments: object) -> str:
    """Runs the command line and returns what it printed."""
    done = subprocess.run([str(BOLTZDRIFT), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"boltzdrift {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def split(source: Path, folder: Path) -> tuple[Path, Path]:
    """Training frames and reference, drawn with a fixed seed."""
    data = np.load(source)
    order = np.random.default_rng(0).permutation(len(data["R"]))
    parts = (folder / "train.npz", folder / "reference.npz")
    for path, rows in zip(parts, (order[:TRAINING], order[TRAINING:]), strict=True):
        arrays = {name: data[name][rows] for name in ("R", "F")}
        np.savez(path, **arrays, E=np.ravel(data["E"])[rows], z=data["z"])
    return parts


def figures(molecule: str, data: Path, seed: int, folder: Path) -> dict[str, Any]:
    """One training and its evaluation."""
    source, kelvin = SOURCES[molecule]
    train, reference = split(data / source, folder)
    model, samples = folder / "model.safetensors", folder / "samples.npz"
    started = time.monotonic()
    run(
        "train",
        train,
        "-o",
        model,
        "--units",
        "real",
        "--temperature",
        kelvin,
        "--seed",
        seed,
        "--device",
        "cpu",
    )
    seconds = time.monotonic() - started
    run("sample", model, "-n", SAMPLES, "-o", samples)
    field = data / "sgdml" / f"{molecule}.npz"
    energies = ["--potential", f"gdml:{field}"] if field.exists() else []
    found = json.loads(
        run("evaluate", samples, "--reference", reference, "--units", "real", "--json", *energies)
    )
    found["training seconds"] = seconds
    found["worst dihedral"] = max(each["tvd_sym"] for each in found["dihedrals"])
    found["floor_worst dihedral"] = max(each["tvd_sym"] for each in found["floor_dihedrals"])
    if found.get("energy"):
        found["median energy"] = found["energy"]["median_difference"]
    return found


def main() -> int:
    """Prints a row for each figure and seed; 1 where one is out of its limits."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--molecule", choices=sorted(LIMITS), default="ethanol")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    wrong = 0
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            found = figures(options.molecule, options.data, seed, Path(folder))
        for name, (low, high) in LIMITS[options.molecule].items():
            fine = low <= found[name] <= high
            wrong += not fine
            floor = found.get(f"floor_{name}")
            own = f"{floor:8.4f}" if isinstance(floor, float) else " " * 8
            verdict = "ok" if fine else "OUT OF LIMITS"
            print(
                f"{options.molecule} seed {seed}  {name:18} {found[name]:9.4f}  floor {own}  {verdict}",
                flush=True,
            )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
