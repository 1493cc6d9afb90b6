"""What is compared with what."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """A case of ours and one of a peer, for the same work. Arguments with @ are files that ours wrote."""

    what: str
    case: str
    arguments: dict[str, object]
    peer: str
    peer_case: str
    peer_arguments: dict[str, object]
    units: float = field(default=1.0)
    """What the times are divided by in the table."""


def sampling(count: int, width: int, depth: int, compiled: bool) -> Row:
    """Positions from a network of one size."""
    size: dict[str, object] = {"count": count, "width": width, "depth": depth}
    return Row(
        f"sample {count:,}, {depth} x {width}", "sample", size,
        "torch.compile" if compiled else "PyTorch eager", "sample",
        {**size, "compiled": compiled, "symmetry": "@symmetry"},
    )  # fmt: skip


def training(method: str, steps: int, compiled: bool) -> Row:
    """One step of a training at its default sizes."""
    name = "FK, 6 x 512, batch 256" if method == "fk" else "sliced, 4 x 256, batch 512"
    return Row(
        f"training step {name}", "training", {"method": method, "steps": steps},
        "torch.compile" if compiled else "PyTorch eager", "training",
        {"kernel": method == "fk", "compiled": compiled},
    )  # fmt: skip


SYMMETRY: dict[str, object] = {"symmetry": "@symmetry"}
ROWS = [
    *(sampling(count, 256, 4, False) for count in (1, 32, 1_000, 100_000)),
    *(sampling(count, 256, 4, True) for count in (1, 32, 1_000, 100_000)),
    *(sampling(count, 512, 6, False) for count in (1, 1_000)),
    training("sliced", 200, False),
    training("sliced", 200, True),
    training("fk", 150, False),
    training("fk", 150, True),
    Row("feature forces, 2,000 frames", "feature_forces", {"count": 2_000},
        "NumPy", "feature_forces", {"count": 2_000}),
    Row("fit, 150 frames", "fit", {"frames": 150}, "NumPy", "fit", {"frames": 150, **SYMMETRY}),
    Row("force field, a frame of 1,024", "prediction", {"frames": 1_024},
        "NumPy", "prediction", {"frames": 1_024, **SYMMETRY}, 1_024),
    Row("force field, a frame of 1,024", "prediction", {"frames": 1_024},
        "sgdml", "sgdml", {"frames": 1_024, "path": "@field"}, 1_024),
    Row("hybrid Monte Carlo, an evaluation", "hmc", {"evaluations": 100_000},
        "NumPy", "hmc", {"iterations": 2, **SYMMETRY}),
    Row("read extended XYZ, a frame", "reading", {"count": 5_000},
        "ASE", "reading", {"path": "@trajectory"}, 5_000),
    Row("write extended XYZ, a frame", "writing", {"count": 5_000},
        "ASE", "writing", {"path": "@trajectory"}, 5_000),
]  # fmt: skip
