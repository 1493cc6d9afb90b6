"""What a user would write in NumPy: feature forces, the symmetric gradient-domain field, and Monte Carlo."""

from __future__ import annotations

import numpy as np
from molecules import KT, MASS, Frames

ACCELERATION = 4.184e-4
"""angstrom/fs^2 per kcal/mol/angstrom/amu."""


def jacobian(x: np.ndarray, i: np.ndarray, j: np.ndarray, inverse: bool = False) -> np.ndarray:
    """d r / d x, or d (1/r) / d x, (N, P, 3n), of positions (N, n, 3)."""
    d = x[:, i] - x[:, j]
    r = np.linalg.norm(d, axis=-1, keepdims=True)
    slope = -d / r**3 if inverse else d / r
    out = np.zeros((len(x), len(i), x.shape[1], 3))
    k = np.arange(len(i))
    out[:, k, i], out[:, k, j] = slope, -slope
    return out.reshape(len(x), len(i), -1)


def feature_forces(f: Frames) -> np.ndarray:
    """Least-norm G with J^T G = F, (N, P)."""
    i, j = np.triu_indices(len(f.z), 1)
    out = np.empty((len(f.R), len(i)))
    for start in range(0, len(f.R), 256):
        part = slice(start, start + 256)
        inverse = np.linalg.pinv(jacobian(f.R[part], i, j).transpose(0, 2, 1), rcond=1e-6)
        out[part] = np.einsum("npd,nd->np", inverse, f.F[part].reshape(len(inverse), -1))
    return out


class ForceField:
    """Matern-5/2 kernel on inverse distances, summed over permutations (Chmiela et al. 2018)."""

    def __init__(self, f: Frames, symmetry: np.ndarray, sigma: float = 20.0, ridge: float = 1e-9) -> None:
        n = len(f.z)
        self.i, self.j = i, j = np.tril_indices(n, -1)
        number = np.zeros((n, n), int)
        number[i, j] = number[j, i] = np.arange(len(i))
        orders = [number[p[i], p[j]] for p in symmetry]
        self.q, self.unit = np.sqrt(5) / sigma, 5 / (3 * sigma**2)
        x = 1 / np.linalg.norm(f.R[:, i] - f.R[:, j], axis=-1)
        slope = jacobian(f.R, i, j, inverse=True)
        images = [(x[:, order], slope[:, order]) for order in orders]
        size = 3 * n
        kernel = np.empty((len(x) * size, len(x) * size))
        for a in range(len(x)):
            rows = np.zeros((size, len(x), size))
            for other, s in images:
                d = self.q * (x[a] - other)
                length = np.sqrt((d * d).sum(1))
                e = self.unit * np.exp(-length)
                rows += np.tensordot(slope[a].T, (e * (1 + length))[:, None, None] * s, axes=(1, 1))
                right = np.einsum("md,mds->ms", d, s)
                rows -= np.einsum("mr,ms->rms", e[:, None] * (d @ slope[a]), right)
            kernel[a * size : (a + 1) * size] = rows.reshape(size, -1)
        kernel[np.diag_indices_from(kernel)] += ridge * np.trace(kernel) / len(kernel)
        weights = np.linalg.solve(kernel, f.F.reshape(-1)).reshape(len(x), size)
        pull = -np.einsum("mds,ms->md", slope, weights)
        self.x = np.concatenate([x[:, order] for order in orders])
        self.a = np.concatenate([pull[:, order] for order in orders])
        self.squares, self.products = (self.x**2).sum(1), (self.x * self.a).sum(1)

    def __call__(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energies (B) and forces (B, n, 3)."""
        d = positions[:, self.i] - positions[:, self.j]
        x = 1 / np.linalg.norm(d, axis=-1)
        square = (x * x).sum(1)[:, None] + self.squares - 2 * x @ self.x.T
        length = self.q * np.sqrt(np.maximum(square, 0))
        e = self.unit * np.exp(-length)
        w = self.q * (x @ self.a.T - self.products)
        far = e * (1 + length)
        energy = (far * w).sum(1) / self.q
        ew = e * w
        slope = self.q * (ew.sum(1)[:, None] * x - ew @ self.x) - far @ self.a
        pair = -(slope * x**3)[:, :, None] * d
        forces = np.zeros_like(positions)
        for k, (i, j) in enumerate(zip(self.i, self.j, strict=True)):
            forces[:, i] += pair[:, k]
            forces[:, j] -= pair[:, k]
        return energy, forces


def hmc(field: ForceField, f: Frames, iterations: int, leapfrog: int = 20) -> int:
    """A batch of chains from the frames; returns how many frames were evaluated."""
    rng = np.random.default_rng(0)
    mass = np.array([MASS[int(one)] for one in f.z])[None, :, None]
    x = f.R.copy()
    energy, force = field(x)
    for _ in range(iterations):
        v = rng.standard_normal(x.shape) * np.sqrt(KT * ACCELERATION / mass)
        kinetic = lambda v: 0.5 * (mass * v * v).sum((1, 2)) / ACCELERATION  # noqa: E731
        before = energy + kinetic(v)
        y, pull = x.copy(), force
        for _ in range(leapfrog):
            v = v + 0.5 * ACCELERATION * pull / mass
            y = y + v
            after, pull = field(y)
            v = v + 0.5 * ACCELERATION * pull / mass
        taken = np.log(rng.random(len(x))) < (before - after - kinetic(v)) / KT
        x = np.where(taken[:, None, None], y, x)
        force = np.where(taken[:, None, None], pull, force)
        energy = np.where(taken, after, energy)
    return iterations * leapfrog * len(x)
