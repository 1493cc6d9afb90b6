"""The peers' side of every case, and the machine's floors."""

from __future__ import annotations

import time
from functools import cache

import ase.io
import numpy as np
import torch
from molecules import Frames, ethanol
from numpy_peer import ForceField, feature_forces, hmc
from torch_peer import Sampling, Training
from worker import Case, serve

STEPS = 10
QUADS = [[3, 0, 1, 2], [0, 1, 2, 8]]


def sample(count: int, width: int, depth: int, compiled: bool, symmetry: str) -> Case:
    """Positions of `count` samples."""
    f = ethanol(1)
    made = Sampling(f.z, f.R[0], np.load(symmetry), (width, depth))
    if compiled:
        made.network = torch.compile(made.network)
    return lambda: made.draw(count)


def training(kernel: bool, compiled: bool) -> Case:
    """Seconds of a step, over ten steps each."""
    f = ethanol(5_000)
    made = Training(f, kernel, QUADS, feature_forces(f) if kernel else None)
    if compiled:
        made.loss = torch.compile(made.loss)

    def run() -> list[float]:
        start = time.perf_counter()
        for _ in range(STEPS):
            made.step()
        return [(time.perf_counter() - start) / STEPS]

    return run


def chosen(frames: int) -> Frames:
    """Frames of a fit, evenly over the run."""
    f = ethanol(2_000)
    rows = np.linspace(0, 1_999, frames).astype(int)
    return Frames(f.z, f.R[rows], f.F[rows], f.E[rows])


@cache
def field(frames: int, symmetry: str) -> ForceField:
    """A fitted force field."""
    return ForceField(chosen(frames), np.load(symmetry))


def fit(frames: int, symmetry: str) -> Case:
    """A fit at a given length and ridge."""
    f, permutations = chosen(frames), np.load(symmetry)
    return lambda: ForceField(f, permutations)


def prediction(frames: int, symmetry: str) -> Case:
    """Energies and forces."""
    made, positions = field(200, symmetry), ethanol(frames, seed=1).R
    return lambda: made(positions)


def sgdml(frames: int, path: str) -> Case:
    """The same by the sgdml package's own predictor, on one process."""
    from sgdml.predict import GDMLPredict

    predictor = GDMLPredict(dict(np.load(path, allow_pickle=True)), max_processes=1)
    flat = ethanol(frames, seed=1).R.reshape(frames, -1)
    predictor.prepare_parallel(n_bulk=frames)
    return lambda: predictor.predict(flat)


def walk(iterations: int, symmetry: str) -> Case:
    """Seconds of one evaluation in hybrid Monte Carlo."""
    made, f = field(200, symmetry), ethanol(64)

    def run() -> list[float]:
        start = time.perf_counter()
        evaluated = hmc(made, f, iterations)
        return [(time.perf_counter() - start) / evaluated]

    return run


def forces_on_features(count: int) -> Case:
    """Least-norm feature forces."""
    f = ethanol(count)
    return lambda: feature_forces(f)


def reading(path: str) -> Case:
    """Extended XYZ with forces."""
    return lambda: ase.io.read(path, index=":")


def writing(path: str) -> Case:
    """The same, written."""
    frames = ase.io.read(path, index=":")
    return lambda: ase.io.write(path + ".out", frames, format="extxyz")


def gemm(rows: int, inner: int, double: bool) -> Case:
    """One matrix product, the best of two libraries' habits: PyTorch's."""
    kind = torch.float64 if double else torch.float32
    a, b = torch.rand(rows, inner, dtype=kind), torch.rand(inner, inner, dtype=kind)
    out = torch.empty(rows, inner, dtype=kind)
    return lambda: torch.mm(a, b, out=out)


def copying(megabytes: int) -> Case:
    """A copy of so many megabytes, read and written."""
    a = torch.rand(megabytes * 250_000)
    b = torch.empty_like(a)
    return lambda: b.copy_(a)


if __name__ == "__main__":
    serve(
        {
            "sample": sample, "training": training, "feature_forces": forces_on_features, "fit": fit,
            "prediction": prediction, "sgdml": sgdml, "hmc": walk, "reading": reading, "writing": writing,
            "gemm": gemm, "copy": copying,
        }
    )  # fmt: skip
