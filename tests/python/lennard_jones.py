"""Energies and forces of frames of four argon atoms, in bits, by a Python function with the arithmetic of
the Lennard-Jones plug-in: lennard_jones.py EPSILON SIGMA < frames
"""

from __future__ import annotations

import math
import sys

import numpy as np
import numpy.typing as npt
from boltzdrift import Potential

Floats = npt.NDArray[np.float64]

EPSILON, SIGMA = float(sys.argv[1]), float(sys.argv[2])


def one(x: list[list[float]]) -> tuple[float, list[list[float]]]:
    """A frame, in Python's own floats: the operations of C, one by one."""
    energy, forces = 0.0, [[0.0, 0.0, 0.0] for _ in x]
    for i in range(len(x)):
        for j in range(i):
            d = [x[i][c] - x[j][c] for c in range(3)]
            square = 0.0
            for c in range(3):
                square += d[c] * d[c]
            s6 = math.pow(SIGMA * SIGMA / square, 3.0)
            energy += 4.0 * EPSILON * s6 * (s6 - 1.0)
            over_square = 24.0 * EPSILON * s6 * (2.0 * s6 - 1.0) / square
            for c in range(3):
                forces[i][c] += over_square * d[c]
                forces[j][c] -= over_square * d[c]
    return energy, forces


def function(_species: object, positions: Floats) -> tuple[Floats, Floats]:
    """All frames."""
    answers = [one(frame) for frame in positions.tolist()]
    return np.array([energy for energy, _ in answers]), np.array([forces for _, forces in answers])


bits = np.array([int(word, 16) for word in sys.stdin.read().split()], dtype="<u8")
potential = Potential.from_function(function, name="Lennard-Jones")
energies, forces = potential.evaluate([18] * 4, bits.view("<f8").reshape(-1, 4, 3))
rows = np.column_stack([energies, forces.reshape(len(energies), -1)])
print("\n".join(f"{word:016x}" for word in rows.ravel().view("<u8").tolist()))
