"""A thousand replicas of ethanol with ReaxFF at 500 K: seeded, and equilibrated for 5 ps from the minimum.

python examples/lammps/many.py MODEL PLUGIN [--count 1000]

MODEL is a sampler of ReaxFF ethanol (`make demo` leaves demo/ethanol.safetensors), PLUGIN is
boltzdriftplugin.so. Both kinds of replicas run on for 1 ps at constant energy. Long runs are the reference.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import demo
import numpy as np
from demo import Floats, block_error, lammps, thermo_tables

KELVIN = 500.0
WARMUP = 20_000  # 5 ps
RELEASE = 4_000  # 1 ps, a row every 10 fs
ROW_FS = 10.0
REFERENCE = (1001, 1002, 1003)
# C-C-O-H of examples/lammps/ethanol.data.
HYDROXYL = (1, 0, 2, 8)
CHUNK = 100
LAGS_FS = (50.0, 250.0, 1000.0)


def timed(script: str, name: str, **variables: object) -> tuple[Path, float]:
    """Log of a script, and the seconds it took."""
    started = time.monotonic()
    return lammps(script, name, **variables), time.monotonic() - started


def dihedral(positions: Floats) -> Floats:
    """Angle of HYDROXYL in degrees, of frames (N, n, 3)."""
    a, b, c, d = (positions[:, k] for k in HYDROXYL)
    axis = (c - b) / np.linalg.norm(c - b, axis=1, keepdims=True)
    v = (a - b) - np.sum((a - b) * axis, axis=1, keepdims=True) * axis
    w = (d - c) - np.sum((d - c) * axis, axis=1, keepdims=True) * axis
    return np.degrees(np.arctan2(np.sum(np.cross(axis, v) * w, axis=1), np.sum(v * w, axis=1)))


def positions(path: Path) -> Floats:
    """Frames (N, 9, 3) of a dump with the columns id element x y z."""
    lines = path.read_text().splitlines()
    starts = [k + 1 for k, line in enumerate(lines) if line.startswith("ITEM: ATOMS")]
    return np.array([[line.split()[2:5] for line in lines[k : k + 9]] for k in starts], dtype=float)


def wells(angles: Floats) -> str:
    """Shares of the trans, gauche+ and gauche- hydroxyl, percent."""
    trans = np.abs(angles) > 120.0
    plus = ~trans & (angles > 0.0)
    minus = ~trans & (angles <= 0.0)
    return " / ".join(f"{100 * float(np.mean(each)):.1f}" for each in (trans, plus, minus))


def correlation(x: Floats, y: Floats) -> float:
    """Pearson's."""
    return float(np.corrcoef(x, y)[0, 1])


def described(name: str, releases: Floats, angles: Floats, zero: float) -> dict[str, str]:
    """Figures of replicas; releases (replicas, rows, 4): step, temperature, potential and total energy."""
    energy = releases[:, :, 2] - zero
    first = energy[:, 0]
    error = 1.0 / np.sqrt(len(first))
    low, middle, high = np.percentile(first, [5, 50, 95])
    figures = {
        "": name,
        "energy, mean": f"{first.mean():+.2f} ± {first.std(ddof=1) * error:.2f}",
        "energy, 5 / 50 / 95 %": f"{low:+.1f} / {middle:+.1f} / {high:+.1f}",
        "trans / gauche+ / gauche-, %": wells(angles),
        "energy of one replica with the next": f"{correlation(first[:-1], first[1:]):+.3f} ± {error:.3f}",
    }
    for lag in LAGS_FS:
        row = round(lag / ROW_FS)
        figures[f"energy with that {lag:g} fs later"] = (
            f"{correlation(first, energy[:, row]):+.3f} ± {error:.3f}"
        )
    later = energy[:, 1:].mean(axis=1)
    figures["energy over the 1 ps, mean"] = f"{later.mean():+.2f} ± {later.std(ddof=1) * error:.2f}"
    kelvin = releases[:, :, 1].mean(axis=1)
    figures["temperature over the 1 ps, K"] = f"{kelvin.mean():.0f} ± {kelvin.std(ddof=1) * error:.0f}"
    drift = np.abs(releases[:, :, 3] - releases[:, :1, 3]).max()
    figures["total energy, largest change"] = f"{drift:.2f}"
    return figures


def main() -> None:
    """The table, as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("plugin", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    asked = parser.parse_args()
    model, plugin, count = asked.model.resolve(), asked.plugin.resolve(), asked.count
    with tempfile.TemporaryDirectory() as folder:
        demo.OUT = out = Path(folder)
        print(f"{len(REFERENCE)} reference runs of 105 ps", flush=True)
        for seed in REFERENCE:
            lammps(
                "sample.in",
                f"reference{seed}",
                temperature=KELVIN,
                seed=seed,
                warmup=demo.WARMUP,
                steps=420_000,
                every=120,
                out=out / f"reference{seed}",
            )
        runs = [demo.energies(f"reference{seed}")[:, 1] for seed in REFERENCE]
        zero = float(np.concatenate(runs).mean())
        error = float(np.sqrt(sum(block_error(run) ** 2 for run in runs)) / len(runs))
        reference = np.concatenate([positions(out / f"reference{seed}.lammpstrj") for seed in REFERENCE])
        low, middle, high = np.percentile(np.concatenate(runs) - zero, [5, 50, 95])

        print(f"{count} seeds", flush=True)
        given: dict[str, object] = {"plugin": plugin, "model": model, "count": count, "refine": 0}
        _, only = timed("many_seeds.in", "only", steps=0, out=out / "only", **given)
        log, both = timed("many_seeds.in", "seeds", steps=RELEASE, out=out / "seeds", **given)
        seeds = np.array(thermo_tables(log))

        print(f"{count} equilibrations of 5 ps", flush=True)
        given = {"temperature": KELVIN, "warmup": WARMUP, "steps": RELEASE, "out": out / "runs"}
        total = 0.0
        tables: list[Floats] = []
        for first in range(1, count + 1, CHUNK):
            last = min(first + CHUNK - 1, count)
            log, took = timed("many_runs.in", "runs", first=first, last=last, **given)
            total += took
            tables += [table for table in thermo_tables(log) if len(table) == RELEASE // 40 + 1]
        releases = np.array(tables)
        columns = [
            described(f"{count} seeds", seeds, dihedral(positions(out / "seeds.lammpstrj")), zero),
            described(f"{count} equilibrations", releases, dihedral(positions(out / "runs.lammpstrj")), zero),
        ]
    if {len(seeds), len(releases)} != {count}:
        raise SystemExit(f"{len(seeds)} and {len(releases)} replicas ran, not {count}")
    columns[0]["wall time, s"] = f"{only:.1f}"
    # Both ran on for 1 ps; what that took is known from the seeds.
    columns[1]["wall time, s"] = f"{total - (both - only):.0f}"
    known = {
        "": "3 runs of 105 ps",
        "energy, mean": f"0 ± {error:.2f}",
        "energy, 5 / 50 / 95 %": f"{low:+.1f} / {middle:+.1f} / {high:+.1f}",
        "trans / gauche+ / gauche-, %": wells(dihedral(reference)),
    }
    order = ["", "wall time, s", *[key for key in columns[0] if key not in ("", "wall time, s")]]
    for key in order:
        print("| " + " | ".join([key, *(column[key] for column in columns), known.get(key, "")]) + " |")
        if key == "":
            print("|---|---|---|---|")


if __name__ == "__main__":
    try:
        main()
    except demo.DemoError as problem:
        raise SystemExit(f"error: {problem}") from problem
