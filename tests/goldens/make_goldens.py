"""Writes the golden numbers of this folder from the NumPy reference implementation.

    python make_goldens.py FOLDER_OF_THE_REFERENCE

Inputs are synthetic (fixed seed, rounded to four decimals) and stand in the files beside the answers, so
that the tests need neither Python nor the reference.
"""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, sys.argv[1])
import boltz_reference as ref

Floats = NDArray[np.float64]
Quantity = Callable[[Floats], Floats]

HERE = Path(__file__).resolve().parent
rng = np.random.default_rng(20240607)
Z = np.array([6, 6, 8, 1, 1, 1, 1, 1, 1])
# An ethanol-like shape, angstrom; the numbers need not be a minimum of anything.
SHAPE = np.array(
    [
        [0, 0, 0],
        [1.51, 0, 0],
        [1.95, 1.36, 0],
        [1.89, -0.52, 0.89],
        [1.89, -0.52, -0.89],
        [-0.37, -1.02, 0],
        [-0.37, 0.51, 0.89],
        [-0.37, 0.51, -0.89],
        [2.92, 1.32, 0.05],
    ]
)


def frames(count: int, width: float, turned: float) -> Floats:
    """Frames of the shape with noise; a share `turned` of them with the hydroxyl turned by a random angle."""
    R = SHAPE + width * rng.standard_normal((count, 9, 3))
    axis = (SHAPE[2] - SHAPE[1]) / np.linalg.norm(SHAPE[2] - SHAPE[1])
    for f in np.flatnonzero(rng.random(count) < turned):
        a = rng.uniform(-math.pi, math.pi)
        v = R[f, 8] - R[f, 2]
        R[f, 8] = (
            R[f, 2]
            + v * math.cos(a)
            + np.cross(axis, v) * math.sin(a)
            + axis * (axis @ v) * (1 - math.cos(a))
        )
    return R.round(4)


def quantities(values: Floats) -> dict[str, Any]:
    return dict(
        mean=values.mean(),
        std=values.std(),
        p05=np.quantile(values, 0.05),
        median=np.median(values),
        p95=np.quantile(values, 0.95),
    )


def angles(R: Floats, i: int, j: int, k: int) -> Floats:
    u, v = R[:, i] - R[:, j], R[:, k] - R[:, j]
    return np.degrees(np.arccos((u * v).sum(1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)))


def tvd(a: Floats, b: Floats, edges: Floats) -> float:
    h = lambda d: np.histogram(d, edges)[0] / np.size(d)
    return float(0.5 * np.abs(h(a) - h(b)).sum() + 0.5 * abs(h(a).sum() - h(b).sum()))


def ranged(a: Floats, b: Floats, margin: float) -> float:
    return tvd(a, b, np.linspace(b.min() - margin, b.max() + margin, 41))


def over_group(R: Floats, quantity: Quantity) -> Floats:
    """Values over all images of the frames: permutations, the odd ones with an inversion."""
    return np.concatenate(
        [quantity((1 if k % 2 == 0 else -1) * R[:, p]) for k, p in enumerate(ref.ethanol_symmetry())]
    )


def metrics() -> dict[str, Any]:
    gen, data = frames(70, 0.06, 0.6), frames(90, 0.04, 0.3)
    gen[3, 8] += 9.0  # one sample falls out of the histogram
    gen = gen.round(4)
    eg, ed = rng.normal(1, 4, 70).round(4), rng.normal(0, 3, 90).round(4)
    want = ref.histogram_metrics(gen, data, Z)
    symbols = {1: "H", 6: "C", 8: "O"}
    want["type_tvd"] = {"-".join(sorted(symbols[a] for a in t)): v for t, v in want["type_tvd"].items()}
    i, j = ref.pairs(9)
    pair = lambda k: lambda R: np.linalg.norm(R[:, i[k]] - R[:, j[k]], axis=1)
    sym = [ranged(over_group(gen, pair(k)), over_group(data, pair(k)), 0.1) for k in range(36)]
    bond = [k for k in range(36) if pair(k)(data).mean() < 1.6]
    width = [over_group(gen, pair(k)).std() / over_group(data, pair(k)).std() for k in bond]
    neighbors = [[b if a == c else a for a, b in ref.mean_bonds(data, Z) if c in (a, b)] for c in range(9)]
    triples = [(a, c, b) for c in range(9) for a in neighbors[c] for b in neighbors[c] if a < b]
    angle = lambda t: lambda R: angles(R, *t)
    edges = np.linspace(-math.pi, math.pi, 25)
    quads = [[5, 0, 1, 2], [0, 1, 2, 8]]
    turn = lambda q: lambda R: ref.dihedral(R, q)[0]
    F = lambda a, b: np.abs(
        (a[:, None] <= np.concatenate([a, b])).mean(0) - (b[:, None] <= np.concatenate([a, b])).mean(0)
    ).max()
    want.update(
        pair_tvd_sym=np.mean(sym),
        bond_sigma_sym=np.mean(width),
        angle_tvd=np.mean([ranged(angle(t)(gen), angle(t)(data), 5) for t in triples]),
        angle_tvd_sym=np.mean(
            [ranged(over_group(gen, angle(t)), over_group(data, angle(t)), 5) for t in triples]
        ),
        angle_sigma=np.mean([angle(t)(gen).std() / angle(t)(data).std() for t in triples]),
        dihedral_tvd=[tvd(turn(q)(gen), turn(q)(data), edges) for q in quads],
        dihedral_tvd_sym=[tvd(over_group(gen, turn(q)), over_group(data, turn(q)), edges) for q in quads],
        energy=dict(
            samples=quantities(eg),
            reference=quantities(ed),
            ks=F(eg, ed),
            median_difference=np.median(eg) - np.median(ed),
        ),
    )
    return dict(
        species=Z, samples=gen, reference=data, sample_energies=eg, reference_energies=ed, expected=want
    )


def molecule() -> dict[str, Any]:
    R = frames(50, 0.05, 0.4)
    F = (600 * (SHAPE - R) + rng.standard_normal(R.shape)).round(4)
    T, _ = ref.configurational_temperature(R, F, Z)
    quads = [[5, 0, 1, 2], [0, 1, 2, 8]]
    return dict(
        species=Z,
        positions=R,
        forces=F,
        bonds=ref.mean_bonds(R, Z),
        temperature=T,
        dihedrals=quads,
        angles=[ref.dihedral(R, q)[0] for q in quads],
        harmonics=[ref.dihedral(R[:5], q)[1] for q in quads],
        group=ref.ethanol_symmetry(),
    )


def force_field() -> dict[str, Any]:
    z = np.array([8, 1, 1])
    shape = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    R = (shape + 0.08 * rng.standard_normal((6, 3, 3))).round(4)
    F = (400 * (shape - R)).round(4)
    m = ref.GDML.fit(R[:4], F[:4], np.zeros(4) - 47000.0, np.array([[0, 1, 2], [0, 2, 1]]), sig=3.0)
    X, A = m.X.round(8), m.A.round(8)
    m.X, m.A, m.std, m.c = X, A, round(float(m.std), 8), round(m.c, 6)
    m._finish()
    E, F = m.predict(R)
    # The same model as a file of the later layout, in nm and kJ/mol: x = 10 / r, sigma and std scale along.
    np.savez(
        HERE / "force_field.npz",
        type="m",
        z=z.astype(np.uint8),
        perms=np.array([[0, 1, 2], [0, 2, 1]]),
        R_desc=10 * X[:4].T,
        R_d_desc_alpha=A[:4],
        sig=10 * m.sig,
        std=m.std * 10 * 4.184,
        c=m.c * 4.184,
        r_unit="nm",
        e_unit="kJ/mol",
    )
    return dict(
        species=z,
        descriptors=X,
        coefficients=A,
        sigma=m.sig,
        scale=m.std,
        constant=m.c,
        positions=R,
        energies=E,
        forces=F,
    )


def plain(x: Any) -> Any:
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    if isinstance(x, np.ndarray):
        return plain(x.tolist())
    return x.item() if isinstance(x, np.generic) else x


for name, make in (("metrics", metrics), ("molecule", molecule), ("force_field", force_field)):
    (HERE / f"{name}.json").write_text(json.dumps(plain(make()), separators=(",", ":")) + "\n")
