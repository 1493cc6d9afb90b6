"""The library's side of every case."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import boltzdrift
import numpy as np
from molecules import ethanol, of_size
from worker import Case, serve

KEPT = tempfile.TemporaryDirectory()
FOLDER = Path(KEPT.name)
ROOT = Path(__file__).resolve().parents[2]
LOOK = 50
"""Steps between two reports of a training."""
WARMUP = 100
"""Iterations of the warm-up in hybrid Monte Carlo."""


@cache
def data(count: int = 5_000, atoms: int = 9) -> boltzdrift.Dataset:
    """Frames of a molecule of springs."""
    f = of_size(atoms, count)
    return boltzdrift.Dataset.from_arrays(f.z, f.R, forces=f.F, energies=f.E)


@cache
def sampler(width: int, depth: int, atoms: int = 9) -> boltzdrift.Sampler:
    """A sampler that has hardly learned; only its size counts here."""
    return boltzdrift.train(data(1_000, atoms), steps=1, width=width, depth=depth, device="cpu")


@cache
def field(frames: int = 200) -> boltzdrift.Potential:
    """A fitted force field."""
    return boltzdrift.fit(data(2_000), frames=frames, sigma=20.0, ridge=1e-9, plain=True)


def sample(count: int, width: int, depth: int, atoms: int = 9) -> Case:
    """Positions of `count` samples."""
    model = sampler(width, depth, atoms)
    return lambda: model.sample(count)


def stream(count: int, part: int) -> Case:
    """The same in parts, so that memory does not grow."""
    model = sampler(256, 4)

    def run() -> None:
        for first in range(0, count, part):
            model.sample(part, first=first)

    return run


def sample_in_c(count: int, width: int, depth: int) -> Case:
    """Seconds of a call by a program in C, round by round."""
    program, model = FOLDER / "latency", FOLDER / f"{depth}x{width}.safetensors"
    sampler(width, depth).save(model)
    library = boltzdrift._library.PATH.parent
    if not program.exists():
        subprocess.run(
            ["cc", "-O2", f"-I{ROOT / 'include'}", ROOT / "benches/peers/latency.c", f"-L{library}",
             "-lboltzdrift", f"-Wl,-rpath,{library}", "-o", program],
            check=True,
        )  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}

    def run() -> list[float]:
        command = [program, model, str(count), "200"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return [float(line) for line in done.stdout.split()]

    return run


def training(method: str, steps: int, width: int, depth: int, batch: int, atoms: int) -> Case:
    """Seconds of a step, between two reports each."""

    def run() -> list[float]:
        times: list[float] = []

        def listen(progress: boltzdrift.Progress) -> bool:
            if progress.stage == "training":
                times.append(time.perf_counter())
            return True

        boltzdrift.train(
            data(5_000, atoms), method=method, steps=steps, width=width, depth=depth, batch=batch,
            device="cpu", progress=listen,
        )  # fmt: skip
        return [float(v) / LOOK for v in np.diff(times)]

    return run


def whole_training(method: str, steps: int, width: int, depth: int, batch: int, atoms: int) -> Case:
    """From frames to a sampler."""
    frames = data(5_000, atoms)
    return lambda: boltzdrift.train(
        frames, method=method, steps=steps, width=width, depth=depth, batch=batch, device="cpu"
    )


def preparation(count: int) -> Case:
    """A training with forces of one step of a small network: what comes before the steps and after them."""
    frames = data(count)
    return lambda: boltzdrift.train(frames, method="fk", steps=1, width=8, depth=1, device="cpu")


def feature_forces() -> Case:
    """Seconds for a frame, by `cargo bench`: from Python there are none without a training."""
    command = ["cargo", "bench", "--locked", "--bench", "kernels", "--", "feature forces"]

    def run() -> list[float]:
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith("feature forces"))
        return [1e-9 * float(line.split()[-3])]

    return run


def fit(frames: int) -> Case:
    """A fit at a given length and ridge, errors on held-out frames included."""
    return lambda: boltzdrift.fit(data(2_000), frames=frames, sigma=20.0, ridge=1e-9, plain=True)


def prediction(frames: int) -> Case:
    """Energies and forces."""
    f = ethanol(frames, seed=1)
    potential = field()
    return lambda: potential.evaluate(f.z, f.R)


def hmc(evaluations: int) -> Case:
    """Seconds of one leapfrog step in hybrid Monte Carlo, everything included."""

    def run() -> list[float]:
        pool = boltzdrift.equilibrate(
            data(2_000), field(), temperature=500, frames=64, most_evaluations=evaluations, ladder="off",
            accept_unconverged=True, accept_fit=True, check_bonds=False, warmup=WARMUP,
        )  # fmt: skip
        report = pool.report
        seconds = report["evaluations"] / report["evaluations_per_second"]
        return [seconds / (report["leapfrog"] * report["chains"] * (report["iterations"] + WARMUP))]

    return run


def reading(count: int) -> Case:
    """Extended XYZ with forces."""
    path = FOLDER / f"{count}.extxyz"
    data(count).write(path)
    return lambda: boltzdrift.Dataset.read(path)


def writing(count: int) -> Case:
    """The same, written."""
    frames = data(count)
    return lambda: frames.write(FOLDER / "out.extxyz")


def export(path: str, kind: str, count: int = 5_000) -> Case:
    """Writes what peers read: a force field, a sampler, a trajectory, the symmetry of ethanol."""

    def run() -> object:
        if kind == "field":
            return field().save(path)
        if kind == "sampler":
            return sampler(256, 4).save(path)
        if kind == "trajectory":
            return data(count).write(path)
        rows = [one["permutation"] for one in sampler(256, 4).info()["symmetry"]]
        return np.save(path, np.array(rows))

    return run


if __name__ == "__main__":
    serve(
        {
            "sample": sample, "stream": stream, "sample_in_c": sample_in_c, "training": training,
            "whole_training": whole_training, "preparation": preparation, "feature_forces": feature_forces,
            "fit": fit,
            "prediction": prediction, "hmc": hmc, "reading": reading, "writing": writing, "export": export,
        }
    )  # fmt: skip
