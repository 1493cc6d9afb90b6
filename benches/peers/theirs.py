"""The peers' side of every case, and the machine's floors."""

from __future__ import annotations

import importlib
import sys
import time
from functools import cache
from itertools import pairwise
from types import ModuleType

import ase.io
import numpy as np
import torch
from molecules import KT, Frames, ethanol, of_size
from numpy_peer import ForceField, feature_forces, hmc
from torch_peer import Sampling, Training
from worker import Case, serve

STEPS = 50
"""Steps between two looks at the clock, as many as ours has between two reports."""
CHAINS = 256
"""Of hybrid Monte Carlo, as many as ours has."""
QUADS = [[3, 0, 1, 2], [0, 1, 2, 8]]


def sample(count: int, width: int, depth: int, how: str, symmetry: str) -> Case:
    """Positions of `count` samples."""
    f = ethanol(1)
    made = Sampling(f.z, f.R[0], np.load(symmetry), (width, depth), how)
    return lambda: made.draw(count)


def products(count: int, width: int, depth: int) -> Case:
    """The matrix products of so many samples alone, in parts that stay in the cache: sampling's floor."""
    sizes = [64, *[width] * depth, 27]
    part = 1_000 if count >= 1_000 else count
    x = [torch.rand(part, size) for size in sizes]
    w = [torch.rand(after, before).T for before, after in pairwise(sizes)]

    def run() -> None:
        for _ in range(0, count, part):
            for number, weight in enumerate(w):
                torch.mm(x[number], weight, out=x[number + 1])

    return run


def torsions(atoms: int) -> list[list[int]]:
    """The rotatable bonds: ethanol's two, the carbons of an alkane and their methyl groups."""
    if atoms == 9:
        return QUADS
    carbons = (atoms - 2) // 3
    inner = [[k, k + 1, k + 2, k + 3] for k in range(carbons - 3)]
    ends = [[carbons, 0, 1, 2], [carbons - 3, carbons - 2, carbons - 1, atoms - 1]]
    return inner + ends


def training(kernel: bool, compiled: bool, width: int, depth: int, batch: int, atoms: int) -> Case:
    """Seconds of a step, over some each."""
    f = of_size(atoms, 5_000)
    force = feature_forces(f) if kernel else None
    made = Training(f, kernel, torsions(atoms), force, (width, depth, batch))
    if compiled:
        made.loss = torch.compile(made.loss)
    return stepping(made)


def stepping(made: object) -> Case:
    """Seconds of a step, over some each."""

    def run() -> list[float]:
        start = time.perf_counter()
        for _ in range(STEPS):
            made.step()
        return [(time.perf_counter() - start) / STEPS]

    return run


def reference(folder: str, name: str) -> ModuleType:
    """A script of the folder of the reference."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def reference_made(
    folder: str, kernel: bool, width: int, depth: int, batch: int, atoms: int, steps: int
) -> object:
    """Its training, ready for the first step."""
    f = of_size(atoms, 5_000)
    return reference(folder, "torch_training").Trainer(
        f.R, f.F, "kernel" if kernel else "sliced", width=width, depth=depth, batch=batch, positives=512,
        steps=steps, gamma=0.1 if kernel else 0.0,
        quads=() if kernel else [tuple(quad) for quad in torsions(atoms)],
    )  # fmt: skip


def reference_training(folder: str, compiled: bool, **sizes: int) -> Case:
    """Seconds of a step."""
    made = reference_made(folder, steps=100_000, **sizes)
    if compiled:
        made.loss = torch.compile(made.loss)
    return stepping(made)


def whole_training(folder: str, steps: int, **sizes: int) -> Case:
    """From frames to a network."""

    def run() -> None:
        made = reference_made(folder, steps=steps, **sizes)
        for _ in range(steps):
            made.step()

    return run


def reference_fit(frames: int, symmetry: str, folder: str) -> Case:
    """Its fit at a given length and ridge."""
    f, permutations = chosen(frames), np.load(symmetry)
    gdml = reference(folder, "boltz_reference").GDML
    return lambda: gdml.fit(f.R, f.F, f.E, permutations, lam=1e-9)


def loaded(path: str, folder: str) -> object:
    """Our force field in its class: the same centers, whatever names a file of sGDML's has for them."""
    m = np.load(path, allow_pickle=False)
    made = reference(folder, "boltz_reference").GDML()
    n, count = len(m["z"]), len(m["perms"])
    made.i, made.j = np.tril_indices(n, -1)
    made.sig, made.c, made.std = float(m["sig"]), float(m["c"]), float(m["std"])
    index = m["tril_perms_lin"].reshape(-1, count).T
    width = n * (n - 1) // 2
    made.X = np.tile(m["R_desc"].T, (1, count))[:, index].reshape(-1, width)
    made.A = np.tile(m["R_d_desc_alpha"], (1, count))[:, index].reshape(-1, width)
    return made._finish()


def reference_prediction(frames: int, path: str, folder: str) -> Case:
    """Energies and forces."""
    made, positions = loaded(path, folder), ethanol(frames, seed=1).R
    return lambda: made.predict(positions)


def reference_hmc(iterations: int, path: str, folder: str) -> Case:
    """Seconds of one leapfrog step in hybrid Monte Carlo."""
    made, f = loaded(path, folder), ethanol(CHAINS)
    walk_of = reference(folder, "boltz_reference").hmc

    def run() -> list[float]:
        start = time.perf_counter()
        walk_of(made.predict, f.R, f.z, KT, iterations)
        return [(time.perf_counter() - start) / (iterations * 20 * CHAINS)]

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


def sgdml_fit(frames: int, symmetry: str) -> Case:
    """A fit by the sgdml package at the same length and ridge, on one process."""
    from sgdml.train import GDMLTrain

    f = chosen(frames)
    task = {
        "type": "t", "code_version": "1.0.3", "dataset_name": "springs", "dataset_theory": "springs",
        "z": f.z, "R_train": f.R, "F_train": f.F, "E_train": f.E, "idxs_train": np.arange(frames),
        "md5_train": "none",
        "idxs_valid": np.arange(1), "md5_valid": "none", "sig": 20, "lam": 1e-9, "use_E": True,
        "use_E_cstr": False, "use_sym": True, "perms": np.load(symmetry), "solver_name": "analytic",
        "solver_tol": 1e-4,
    }  # fmt: skip
    trainer = GDMLTrain(max_processes=1)
    return lambda: trainer.train(task)


def walk(iterations: int, symmetry: str) -> Case:
    """Seconds of one leapfrog step in hybrid Monte Carlo."""
    made, f = field(200, symmetry), ethanol(CHAINS)

    def run() -> list[float]:
        start = time.perf_counter()
        evaluated = hmc(made, f, iterations)
        return [(time.perf_counter() - start) / evaluated]

    return run


def forces_on_features(count: int) -> Case:
    """Seconds for a frame of least-norm feature forces."""
    f = ethanol(count)

    def run() -> list[float]:
        start = time.perf_counter()
        feature_forces(f)
        return [(time.perf_counter() - start) / count]

    return run


def reading(path: str) -> Case:
    """Extended XYZ with forces."""
    return lambda: len(ase.io.read(path, index=":"))


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
            "sample": sample, "products": products, "training": training,
            "reference_training": reference_training, "whole_training": whole_training,
            "feature_forces": forces_on_features, "fit": fit, "reference_fit": reference_fit,
            "sgdml_fit": sgdml_fit, "prediction": prediction, "reference_prediction": reference_prediction,
            "sgdml": sgdml, "hmc": walk, "reference_hmc": reference_hmc, "reading": reading,
            "writing": writing,
            "gemm": gemm, "copy": copying,
        }
    )  # fmt: skip
