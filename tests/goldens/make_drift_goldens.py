"""Writes drift.json: reference numbers for features, feature forces, fields and sliced targets.

Needs the NumPy oracle (boltz_reference.py) on PYTHONPATH:
    PYTHONPATH=path/to/reference python tests/goldens/make_drift_goldens.py
The inputs are a made-up five-atom molecule with noise, drawn with a fixed seed.
"""

import json
from pathlib import Path
from typing import Any

import boltz_reference as oracle
import numpy as np

rng = np.random.default_rng(20261123)
MEAN = np.array([[0.0, 0.1, 0.0], [1.5, 0.0, 0.2], [2.0, 1.3, -0.1], [-0.5, 0.9, 0.6], [-0.4, -0.9, 0.5]])


def listed(array: Any) -> Any:
    return np.asarray(array).tolist()


def by_loops(
    x: Any,
    y: Any,
    force: Any,
    energy: Any,
    *,
    tau: float = 0.8,
    omega: float = 0.0,
    gamma: float = 0.0,
    alignment: str = "force",
    kt: float | None = None,
    force_norm: float = 1.0,
    exclude_self: bool = False,
    joint: bool = False,
    bandwidths: tuple[float, ...] = (1.0,),
    normalize: bool = False,
) -> Any:
    """The field with the image models' options, by loops. With kt: Eqs. 15, 21, 23, 32, 35; else 34, 36."""
    b, m = len(x), len(y)
    fields = []
    for factor in bandwidths:
        t = tau * factor
        positive, negative = np.zeros((b, m)), np.zeros((b, b))
        for i in range(b):
            for j in range(b):
                negative[i, j] = -np.sum((x[i] - x[j]) ** 2) / (2 * t * t)
                if exclude_self and i == j:
                    negative[i, j] = -np.inf
            aligned = [-energy[j] if alignment == "energy" else force[j] @ (y[j] - x[i]) for j in range(m)]
            for j in range(m):
                along = aligned[j] / (np.std(aligned, ddof=1) if kt is None else kt)
                positive[i, j] = -np.sum((x[i] - y[j]) ** 2) / (2 * t * t) + gamma * along
        p, n = np.exp(positive), np.exp(negative)
        if joint:
            both = np.hstack([p, n])
            both = np.sqrt(both / both.sum(1, keepdims=True) * (both / both.sum(0, keepdims=True)))
            p, n = both[:, :m], both[:, m:]
            p, n = p * n.sum(1, keepdims=True), n * p.sum(1, keepdims=True)
        else:
            p, n = p / p.sum(1, keepdims=True), n / n.sum(1, keepdims=True)
        scale = t / force_norm if kt is None else t * t / kt
        v = np.zeros_like(x)
        for i in range(b):
            for j in range(m):
                v[i] += p[i, j] * ((1 - omega) * (y[j] - x[i]) + omega * scale * force[j])
            for j in range(b):
                v[i] -= n[i, j] * (x[j] - x[i])
        fields.append(v / np.sqrt(np.mean(v**2)) if normalize else v / len(bandwidths))
    return sum(fields)


def main() -> None:
    frames = MEAN + 0.15 * rng.standard_normal((12, 5, 3))
    generated = MEAN + 0.25 * rng.standard_normal((7, 5, 3))
    forces = 20.0 * rng.standard_normal((12, 5, 3))
    x, y = oracle.distances(generated), oracle.distances(frames)
    g = oracle.feature_forces(frames, forces)
    force_norm = float(np.linalg.norm(g, axis=1).mean())
    cases = []
    for kernel, omega, gamma, space in [
        ("gaussian", 0.0, 0.0, "distance"),
        ("laplace", 0.0, 0.0, "distance"),
        ("gaussian", 0.3, 0.0, "distance"),
        ("gaussian", 0.0, 0.5, "distance"),
        ("gaussian", 0.2, 0.1, "distance"),
        ("gaussian", 0.01, 0.0, "cartesian"),
        ("gaussian", 0.0, 0.2, "cartesian"),
    ]:
        distance = space == "distance"
        at, data, force = (
            (x, y, g) if distance else (a.reshape(len(a), -1) for a in (generated, frames, forces))
        )
        settings = {"tau": 0.8, "omega": omega, "gamma": gamma, "kernel": kernel, "space": space}
        v = oracle.drift(at, data, kT=1.278, force=force, force_norm=force_norm, **settings)
        cases.append({**settings, "field": listed(v)})
    mean, width = y.mean(0), y.std(0, ddof=1)
    values, vectors = np.linalg.eigh(np.cov(y.T))
    w = vectors / np.sqrt(values + 0.03**2)
    directions = rng.standard_normal((10, 6))
    directions /= np.linalg.norm(directions, axis=0)
    projected, target = oracle.sliced_targets(x, y[:7], mean, width, w, directions)
    a = w @ directions
    data = np.concatenate([(y[:7] - mean) / width, (y[:7] - mean) @ a], 1)
    phi, harmonics = oracle.dihedral(frames, (3, 0, 1, 2))
    energies = rng.standard_normal(12)
    kt = 1.278
    options = []
    for given in [
        {"exclude_self": True},
        {"joint": True},
        {"joint": True, "exclude_self": True, "omega": 0.3, "gamma": 0.2},
        {"bandwidths": (0.5, 1.0, 2.0), "omega": 0.1},
        {"bandwidths": (0.5, 2.0), "normalize": True, "joint": True, "exclude_self": True},
        {"gamma": 0.7, "alignment": "energy"},
        {"gamma": 0.7, "alignment": "energy", "kt": kt},
        {"omega": 0.02, "kt": kt},
        {"gamma": 0.02, "kt": kt},
    ]:
        options.append(
            {**given, "field": listed(by_loops(x, y, g, energies, force_norm=force_norm, **given))}
        )
    out = {
        "energies": listed(energies),
        "options": options,
        "frames": listed(frames),
        "generated": listed(generated),
        "forces": listed(forces),
        "distances": listed(y),
        "jacobian_of_first": listed(oracle.jacobian(frames[:1])[0]),
        "exact": listed(g),
        "naive": listed(oracle.feature_forces(frames, forces, naive=True)),
        "force_norm": force_norm,
        "kt": 1.278,
        "fields": cases,
        "whitening_square": listed(w @ w.T),
        "sliced": {"x": listed(projected.T), "y": listed(data.T), "target": listed(target.T)},
        "dihedral": listed(phi),
        "harmonics": listed(harmonics.T),
    }
    Path(__file__).with_name("drift.json").write_text(json.dumps(out))


main()
