"""Writes fit.json: closed-form fits of the NumPy reference and what they predict.

Needs the NumPy oracle (boltz_reference.py) on PYTHONPATH:
    PYTHONPATH=path/to/reference python tests/goldens/make_fit_goldens.py
Forces are those of Morse potentials between all pairs, so that they have no net force and no torque.
"""

import json
from pathlib import Path
from typing import Any

import boltz_reference as oracle
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

rng = np.random.default_rng(20261201)

# Name, atomic numbers, shape, permutations, length, ridge, frames to learn from.
CASES: list[tuple[str, list[int], list[list[float]], list[list[int]], float, float, int]] = [
    (
        "two permutations",
        [8, 1, 1],
        [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]],
        [[0, 1, 2], [0, 2, 1]],
        2.0,
        1e-9,
        7,
    ),
    (
        "none",
        [17, 8, 7, 1],
        [[0, 0, 0], [1.7, 0, 0], [2.1, 1.2, 0.1], [2.9, 1.3, 0.7]],
        [[0, 1, 2, 3]],
        3.0,
        1e-8,
        9,
    ),
    (
        "six permutations",
        [7, 1, 1, 1],
        [[0, 0, 0.3], [0.94, 0, 0], [-0.47, 0.81, 0], [-0.47, -0.81, 0]],
        [[0, 1, 2, 3], [0, 1, 3, 2], [0, 2, 1, 3], [0, 2, 3, 1], [0, 3, 1, 2], [0, 3, 2, 1]],
        5.0,
        1e-9,
        6,
    ),
]


def morse(R: Floats, z: list[int], shape: Floats) -> tuple[Floats, Floats]:
    """Energies and forces; a pair's length is that of the shape, the mean over pairs of the same elements."""
    i, j = np.tril_indices(len(z), -1)
    kinds = [tuple(sorted((z[a], z[b]))) for a, b in zip(i, j, strict=True)]
    at = np.linalg.norm(shape[i] - shape[j], axis=1)
    length = np.array([np.mean([r for r, k in zip(at, kinds, strict=True) if k == kind]) for kind in kinds])
    d = R[:, i] - R[:, j]
    r = np.linalg.norm(d, axis=2)
    e = np.exp(-1.5 * (r - length))
    g = (60 * 2 * 1.5 * (1 - e) * e / r)[..., None] * d
    F = np.zeros_like(R)
    for k, (a, b) in enumerate(zip(i, j, strict=True)):
        F[:, a] -= g[:, k]
        F[:, b] += g[:, k]
    return (60 * (1 - e) ** 2).sum(1) - 100.0, F


def main() -> None:
    out: list[dict[str, Any]] = []
    for name, z, shape, perms, sigma, ridge, count in CASES:
        mean = np.array(shape, float)
        R = (mean + 0.07 * rng.standard_normal((count + 5, len(z), 3))).round(4)
        E, F = (values.round(8) for values in morse(R, z, mean))
        field = oracle.GDML.fit(R[:count], F[:count], E[:count], np.array(perms), sig=sigma, lam=ridge)
        energies, forces = field.predict(R)
        out.append(
            {
                "name": name,
                "species": z,
                "permutations": perms,
                "sigma": sigma,
                "ridge": ridge,
                "learned": count,
                "positions": R.tolist(),
                "energies": E.tolist(),
                "forces": F.tolist(),
                "expected_energies": energies.tolist(),
                "expected_forces": forces.tolist(),
            }
        )
    Path(__file__).with_name("fit.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


main()
