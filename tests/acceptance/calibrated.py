"""From a short biased window to a Boltzmann sampler: train --debias fit, its figures held against limits.

    python tests/acceptance/calibrated.py FOLDER [--molecule ethanol|aspirin] [--seeds 0 1 2 3 4] [--keep OUT]

Ethanol learns from the first 2,000 frames of the published MD17 trajectory (1 ps, in time order), aspirin
from the 700 frames before number 15,000; the reference is 11,605 frames of the whole trajectory, and 8,243
after number 30,000. FOLDER holds md17/ethanol_first2000.npz, md17/ethanol_reference.npz,
md17/aspirin_sampled.npz (arrays R, F, E, z, and index for aspirin, in angstrom and kcal/mol), and
sgdml/ethanol.npz, a published force field for the energies.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from md17 import run

SAMPLES = 20_000
REFINEMENT = 20
POINTS = ("p05", "median", "p95")
# Figure: limit from below and above.
LIMITS: dict[str, dict[str, tuple[float, float]]] = {
    "ethanol": {
        "seconds in all": (0.0, 300.0),
        "fit force": (0.0, 0.65),
        "pool tvd": (0.0, 0.011),
        "tvd": (0.0, 0.013),
        "pair_tvd_sym": (0.0, 0.035),
        "w2": (0.0, 0.006),
        "bond_sigma": (0.97, 1.03),
        "worst dihedral": (0.0, 0.06),
        "energy points": (0.0, 0.3),
        "energy points refined": (0.0, 0.15),
    },
    "aspirin": {"tvd": (0.0, 0.009), "w2": (0.0, 0.012)},
}
KELVIN = {"ethanol": "643K", "aspirin": "553K"}


def window(molecule: str, data: Path, folder: Path) -> tuple[Path, Path]:
    """The biased window and the reference."""
    if molecule == "ethanol":
        return data / "md17/ethanol_first2000.npz", data / "md17/ethanol_reference.npz"
    source = np.load(data / "md17/aspirin_sampled.npz")
    index = source["index"]
    parts = (folder / "window.npz", folder / "reference.npz")
    for path, chosen in zip(parts, ((index >= 0) & (index < 15_000), index > 30_000), strict=True):
        rows = np.flatnonzero(chosen)
        rows = rows[np.argsort(index[rows], kind="stable")]
        np.savez(path, R=source["R"][rows], F=source["F"][rows], E=np.ravel(source["E"])[rows], z=source["z"])
    return parts


def evaluate(samples: Path, reference: Path, *options: object) -> dict[str, Any]:
    """Figures of `evaluate`."""
    found = json.loads(
        run("evaluate", samples, "--reference", reference, "--units", "real", "--json", *options)
    )
    found["worst dihedral"] = max(each["tvd_sym"] for each in found["dihedrals"])
    found["floor_worst dihedral"] = max(each["tvd_sym"] for each in found["floor_dihedrals"])
    return found


def energy_points(samples: Path, pool: Path, field: Path) -> tuple[float, list[float]]:
    """Largest difference of the 5, 50 and 95 % points of the energy from the pool's, and all three."""
    energy = evaluate(samples, pool, "--potential", f"gdml:{field}")["energy"]
    differences = [energy["samples"][point] - energy["reference"][point] for point in POINTS]
    return max(map(abs, differences)), differences


def yardstick(molecule: str, source: Path, fit: Path, folder: Path) -> Path:
    """A longer equilibration with the same fit: 20,000 states' 95 % point is off by 0.07 kcal/mol itself."""
    path = folder / f"{molecule}-yardstick.npz"
    run(
        *("equilibrate", source, "--units", "real", "--temperature", KELVIN[molecule], "-o", path, "-q"),
        *("--potential", f"gdml:{fit}", "-n", 100_000, "--effective", 40_000, "--seed", 1_000_000),
        *("--limit", 100_000_000),
    )
    return path


def fit_errors(fit: Path, reference: Path, folder: Path) -> tuple[float, float]:
    """Of a fit on the reference: mean absolute error of a force component, rms of the energy."""
    labelled = folder / "labelled.npz"
    run("label", reference, "-o", labelled, "--units", "real", "--potential", f"gdml:{fit}")
    ours, truth = np.load(labelled), np.load(reference)
    energy = ours["E"] - np.ravel(truth["E"])
    return float(np.abs(ours["F"] - truth["F"]).mean()), float(np.sqrt((energy**2).mean()))


def within(reference: Path, fit: Path, folder: Path) -> tuple[float, Path]:
    """Share and frames of the reference where a walk may go: within the range of the fit's distances."""
    truth, field = np.load(reference), np.load(fit)
    orders, own = field["perms"], field["Rw_desc"].T
    i, j = np.tril_indices(orders.shape[1], -1)
    inverse = np.zeros((len(own), orders.shape[1], orders.shape[1]))
    inverse[:, i, j] = inverse[:, j, i] = own
    known = np.concatenate([inverse[:, order][:, :, order][:, i, j] for order in orders])
    low, high = known.min(0), known.max(0)
    margin = np.maximum(0.5 * (high - low), 0.15 * 0.5 * (high + low))
    asked = 1 / np.linalg.norm(truth["R"][:, i] - truth["R"][:, j], axis=-1)
    good = ((asked >= np.maximum(low - margin, 0.5 * low)) & (asked <= high + margin)).all(1)
    path = folder / "within.npz"
    np.savez(path, R=truth["R"][good], F=truth["F"][good], E=np.ravel(truth["E"])[good], z=truth["z"])
    return float(good.mean()), path


def figures(molecule: str, data: Path, seed: int, folder: Path) -> dict[str, Any]:
    """One whole chain and its evaluation."""
    source, reference = window(molecule, data, folder)
    model = folder / f"{molecule}-{seed}.safetensors"
    stages = folder / f"{molecule}-{seed}.stages"
    started = time.monotonic()
    said = run(
        *("train", source, "-o", model, "--units", "real", "--temperature", KELVIN[molecule], "--seed", seed),
        *("--debias", "fit", "--stages", stages, "--device", "cpu"),
    )
    seconds = time.monotonic() - started
    print(said, flush=True)
    [fit], [pool] = stages.glob("fit-*.npz"), stages.glob("pool-*.npz")
    raw, refined = folder / "raw.npz", folder / "refined.npz"
    run("sample", model, "-n", SAMPLES, "-o", raw)
    found = evaluate(raw, reference)
    found["seconds in all"] = seconds
    found["fit force"], fit_energy = fit_errors(fit, reference, folder)
    print(f"the fit's energy on the reference: {fit_energy:.3f} kcal/mol rms", flush=True)
    share, confined = within(reference, fit, folder)
    best = evaluate(confined, reference)
    print(
        f"the {100 * share:.1f} % of the reference within the fit's range, beside all of it: "
        f"tvd {best['tvd']:.4f}, w2 {best['w2']:.4f}",
        flush=True,
    )
    own = evaluate(pool, reference)
    print(f"the pool's w2: {own['w2']:.4f}", flush=True)
    found["pool tvd"], found["floor_pool tvd"] = own["tvd"], own["floor_tvd"]
    found["window tvd"] = evaluate(source, reference)["tvd"]
    field = data / "sgdml" / f"{molecule}.npz"
    if field.exists():
        pool = yardstick(molecule, source, fit, folder)
        found["energy points"], raw_points = energy_points(raw, pool, field)
        options = ("--refine", REFINEMENT, "--potential", f"gdml:{fit}")
        print(run("sample", model, "-n", SAMPLES, "-o", refined, *options), flush=True)
        found["energy points refined"], refined_points = energy_points(refined, pool, field)
        print("energy points less the pool's, raw and refined:", raw_points, refined_points, flush=True)
    return found


def main() -> int:
    """Prints a row for each figure and seed, then mean and spread; 1 where one is out of its limits."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--molecule", choices=sorted(LIMITS), default="ethanol")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--keep", type=Path, help="folder to keep samplers and stages in, and to go on from")
    options = parser.parse_args()
    wrong = 0
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            place = options.keep or Path(folder)
            place.mkdir(parents=True, exist_ok=True)
            rows.append(figures(options.molecule, options.data, seed, place))
        for name, (low, high) in LIMITS[options.molecule].items():
            fine = low <= rows[-1][name] <= high
            wrong += not fine
            floor = rows[-1].get(f"floor_{name}")
            own = f"{floor:8.4f}" if isinstance(floor, float) else " " * 8
            verdict = "ok" if fine else "OUT OF LIMITS"
            print(
                f"{options.molecule} seed {seed}  {name:22} {rows[-1][name]:9.4f}  floor {own}  {verdict}",
                flush=True,
            )
        print(
            f"{options.molecule} seed {seed}  the window itself: tvd {rows[-1]['window tvd']:.4f}", flush=True
        )
    if len(rows) > 1:
        for name in LIMITS[options.molecule]:
            values = np.array([row[name] for row in rows])
            mean, spread = values.mean(), values.std(ddof=1)
            print(f"{options.molecule} {len(rows)} seeds  {name:22} {mean:9.4f} +- {spread:.4f}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
