"""Molecules of springs: frames at a temperature with exact forces and energies, for any number of atoms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KT = 0.0019872041 * 500
"""kcal/mol at 500 K."""
RADIUS = {1: 0.31, 6: 0.76, 8: 0.66}
"""Covalent radii in angstrom."""
MASS = {1: 1.008, 6: 12.011, 8: 15.999}

ETHANOL = np.array(
    [
        [-1.25, -0.22, 0.0],
        [0.0, 0.6, 0.0],
        [1.17, -0.18, 0.0],
        [-2.14, 0.41, 0.0],
        [-1.28, -0.86, 0.89],
        [-1.28, -0.86, -0.89],
        [0.03, 1.24, -0.89],
        [0.03, 1.24, 0.89],
        [1.93, 0.38, 0.02],
    ]
)


@dataclass(frozen=True)
class Frames:
    """Atomic numbers z (n); R (N, n, 3) in angstrom, F in kcal/mol/angstrom, E (N) in kcal/mol."""

    z: np.ndarray
    R: np.ndarray
    F: np.ndarray
    E: np.ndarray


def ethanol(count: int, seed: int = 0) -> Frames:
    """Frames of ethanol."""
    return drawn(np.array([6, 6, 8, 1, 1, 1, 1, 1, 1]), ETHANOL, count, seed)


def alkane(carbons: int, count: int, seed: int = 0) -> Frames:
    """Frames of a straight alkane, 3 * carbons + 2 atoms."""
    step, height = 1.53 * np.sin(np.radians(56)), 1.53 * np.cos(np.radians(56))
    chain = np.array([[k * step, (k % 2) * height, 0.0] for k in range(carbons)])
    hydrogens = []
    for k, c in enumerate(chain):
        up = 1.0 if k % 2 else -1.0
        hydrogens += [c + np.array([0.0, up * 0.63, side]) for side in (0.89, -0.89)]
    first = chain[0] + [-1.09 * np.sin(np.radians(56)), 1.09 * np.cos(np.radians(56)), 0.0]
    up = -1.0 if (carbons - 1) % 2 else 1.0
    last = chain[-1] + [1.09 * np.sin(np.radians(56)), up * 1.09 * np.cos(np.radians(56)), 0.0]
    z = np.array([6] * carbons + [1] * (2 * carbons + 2))
    return drawn(z, np.array([*chain, *hydrogens, first, last]), count, seed)


def of_size(atoms: int, count: int, seed: int = 0) -> Frames:
    """Frames of a molecule of so many atoms: water, ethanol, or a straight alkane."""
    if atoms == 3:
        shape = np.array([[0.0, 0.0, 0.117], [0.0, 0.757, -0.469], [0.0, -0.757, -0.469]])
        return drawn(np.array([8, 1, 1]), shape, count, seed)
    return ethanol(count, seed) if atoms == 9 else alkane((atoms - 2) // 3, count, seed)


def drawn(z: np.ndarray, shape: np.ndarray, count: int, seed: int) -> Frames:
    """Frames of a spring between every two atoms, in the harmonic approximation about `shape` (n, 3)."""
    n = len(z)
    i, j = np.triu_indices(n, 1)
    between = shape[i] - shape[j]
    rest = np.linalg.norm(between, axis=1)
    bonded = rest < 1.25 * np.array(
        [RADIUS[int(z[a])] + RADIUS[int(z[b])] for a, b in zip(i, j, strict=True)]
    )
    stiff = np.where(bonded, 600.0, np.where(rest < 2.7, 80.0, 6.0))
    units = np.zeros((len(i), n, 3))
    k = np.arange(len(i))
    units[k, i], units[k, j] = between / rest[:, None], -between / rest[:, None]
    units = units.reshape(len(i), 3 * n)
    values, vectors = np.linalg.eigh(units.T @ (stiff[:, None] * units))
    moving = values > 1e-6 * values[-1]
    width = np.sqrt(KT / values[moving])
    noise = np.random.default_rng(seed).standard_normal((count, width.size))
    x = shape + ((noise * width) @ vectors[:, moving].T).reshape(count, n, 3)
    d = x[:, i] - x[:, j]
    r = np.linalg.norm(d, axis=-1)
    pull = (-stiff * (r - rest) / r)[..., None] * d
    forces = np.zeros_like(x)
    for pair in range(len(i)):
        forces[:, i[pair]] += pull[:, pair]
        forces[:, j[pair]] -= pull[:, pair]
    return Frames(z, x, forces, 0.5 * (stiff * (r - rest) ** 2).sum(1))
