"""Small systems for the tests: water of three springs, and a sampler made by hand, so that nothing is
trained.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import boltzdrift
import numpy as np
import numpy.typing as npt
import pytest

# No test opens a window.
os.environ.setdefault("MPLBACKEND", "Agg")

Floats = npt.NDArray[np.float64]

STIFFNESS = 300.0
SPRINGS = ((0, 1, 0.96), (0, 2, 0.96), (1, 2, 1.52))
WATER = np.array([[0.0, 0.0, 0.0], [0.76, 0.5865, 0.0], [-0.76, 0.5865, 0.0]])
SPECIES = [8, 1, 1]
KELVIN = 300.0

needs_training = pytest.mark.skipif(
    not boltzdrift.can_train(), reason="the library is the sampler-only one: no fit, no training"
)


def springs(_species: npt.ArrayLike, positions: Floats) -> tuple[Floats, Floats]:
    """Energies in kcal/mol and forces in kcal/mol/angstrom of three springs between the atoms of water."""
    energies, forces = np.zeros(len(positions)), np.zeros_like(positions)
    for i, j, length in SPRINGS:
        apart = positions[:, i] - positions[:, j]
        r = np.linalg.norm(apart, axis=1)
        energies += STIFFNESS * (r - length) ** 2
        pull = (2.0 * STIFFNESS * (r - length) / r)[:, None] * apart
        forces[:, i] -= pull
        forces[:, j] += pull
    return energies, forces


def shaken(frames: int, seed: int = 0) -> Floats:
    """Water with every atom moved at random."""
    return WATER + np.random.default_rng(seed).uniform(-0.06, 0.06, (frames, 3, 3))


def write_sampler(
    path: Path,
    species: list[int],
    masses: list[float],
    origin: Floats,
    bonds: list[list[int]],
    spread: float = 0.05,
    temperature: float | None = KELVIN,
) -> Path:
    """A sampler's file with random weights: its samples are `origin`, shaken by about `spread` angstrom."""
    random = np.random.default_rng(7)
    atoms, width, noise = len(species), 8, 4
    tensors = {
        "origin": np.asarray(origin, dtype="<f8"),
        "scale": np.array([spread], dtype="<f8"),
        "layers.0.bias": np.zeros(width, dtype="<f4"),
        "layers.0.weight": random.normal(0.0, 0.7, (width, noise)).astype("<f4"),
        "layers.1.bias": np.zeros(3 * atoms, dtype="<f4"),
        "layers.1.weight": random.normal(0.0, 0.7, (3 * atoms, width)).astype("<f4"),
    }
    record = {
        "format_version": 1,
        "library_version": "test",
        "species": species,
        "masses": masses,
        "temperature": temperature,
        "length_unit": "angstrom",
        "symmetry": [{"permutation": list(range(atoms)), "mirror": False}],
        "bonds": bonds,
        "network": {"noise": noise, "width": width, "depth": 1, "activation": "silu"},
        "training": None,
        "data_digest": "",
        "data_frames": 0,
        "figures": None,
        "calibration": None,
    }
    header: dict[str, object] = {"__metadata__": {"boltzdrift": json.dumps(record)}}
    body = b""
    for name, array in tensors.items():
        kind = {"<f8": "F64", "<f4": "F32"}[array.dtype.str]
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [len(body), len(body) + array.nbytes],
        }
        body += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


@pytest.fixture
def data() -> boltzdrift.Dataset:
    """400 frames of shaken water without forces."""
    return boltzdrift.Dataset.from_arrays(SPECIES, shaken(400))


@pytest.fixture
def potential() -> boltzdrift.Potential:
    """The three springs."""
    return boltzdrift.Potential.from_function(springs, name="springs")


@pytest.fixture(scope="session")
def sampler_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sampler of water, made by hand."""
    path = tmp_path_factory.mktemp("sampler") / "water.safetensors"
    return write_sampler(path, SPECIES, [15.999, 1.008, 1.008], WATER, [[0, 1], [0, 2]])


@pytest.fixture
def sampler(sampler_file: Path) -> boltzdrift.Sampler:
    """The same, loaded."""
    return boltzdrift.Sampler.load(sampler_file)
