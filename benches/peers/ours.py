"""The library's side of every case."""

from __future__ import annotations

import tempfile
import time
from functools import cache
from pathlib import Path

import boltzdrift
import numpy as np
from molecules import alkane, ethanol
from worker import Case, serve

FOLDER = Path(tempfile.mkdtemp())
LOOK = 50
"""Steps between two reports of a training."""


@cache
def data(count: int = 5_000, carbons: int = 0) -> boltzdrift.Dataset:
    """Spring ethanol, or a straight alkane."""
    f = alkane(carbons, count) if carbons else ethanol(count)
    return boltzdrift.Dataset.from_arrays(f.z, f.R, forces=f.F, energies=f.E)


@cache
def sampler(width: int, depth: int, carbons: int = 0) -> boltzdrift.Sampler:
    """A sampler that has hardly learned; only its size counts here."""
    return boltzdrift.train(data(1_000, carbons), steps=1, width=width, depth=depth, device="cpu")


@cache
def field(frames: int = 200) -> boltzdrift.Potential:
    """A fitted force field."""
    return boltzdrift.fit(data(2_000), frames=frames, sigma=20.0, ridge=1e-9)


def sample(count: int, width: int, depth: int, carbons: int = 0) -> Case:
    """Positions of `count` samples."""
    model = sampler(width, depth, carbons)
    return lambda: model.sample(count)


def training(method: str, steps: int, carbons: int = 0) -> Case:
    """Seconds of a step, between two reports each."""

    def run() -> list[float]:
        times: list[float] = []

        def listen(progress: boltzdrift.Progress) -> bool:
            if progress.stage == "training":
                times.append(time.perf_counter())
            return True

        boltzdrift.train(data(5_000, carbons), method=method, steps=steps, device="cpu", progress=listen)
        return [float(v) / LOOK for v in np.diff(times)]

    return run


def feature_forces(count: int) -> Case:
    """What a training with forces takes to prepare, less one without."""

    def run() -> list[float]:
        start = time.perf_counter()
        boltzdrift.train(data(count), method="drift", steps=1, width=8, depth=1, device="cpu")
        middle = time.perf_counter()
        boltzdrift.train(data(count), method="fk", steps=1, width=8, depth=1, device="cpu")
        return [time.perf_counter() - middle - (middle - start)]

    return run


def fit(frames: int) -> Case:
    """A fit at a given length and ridge, errors on held-out frames included."""
    return lambda: boltzdrift.fit(data(2_000), frames=frames, sigma=20.0, ridge=1e-9)


def prediction(frames: int) -> Case:
    """Energies and forces."""
    f = ethanol(frames, seed=1)
    potential = field()
    return lambda: potential.evaluate(f.z, f.R)


def hmc(evaluations: int) -> Case:
    """Seconds of one evaluation in hybrid Monte Carlo, everything included."""

    def run() -> list[float]:
        pool = boltzdrift.equilibrate(
            data(2_000), field(), temperature=500, frames=64, most_evaluations=evaluations, ladder="off",
            accept_unconverged=True, accept_fit=True, check_bonds=False,
        )  # fmt: skip
        return [1.0 / pool.report["evaluations_per_second"]]

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


def export(path: str, kind: str) -> Case:
    """Writes what peers read: a force field, a sampler, a trajectory, the symmetry of ethanol."""

    def run() -> object:
        if kind == "field":
            return field().save(path)
        if kind == "sampler":
            return sampler(256, 4).save(path)
        if kind == "trajectory":
            return data().write(path)
        rows = [one["permutation"] for one in sampler(256, 4).info()["symmetry"]]
        return np.save(path, np.array(rows))

    return run


if __name__ == "__main__":
    serve(
        {
            "sample": sample, "training": training, "feature_forces": feature_forces, "fit": fit,
            "prediction": prediction, "hmc": hmc, "reading": reading, "writing": writing, "export": export,
        }
    )  # fmt: skip
