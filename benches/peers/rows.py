"""What is compared with what."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """A case of ours and one of a peer, for the same work. Arguments with @ are files that ours wrote, or the
    folder of the reference.
    """

    what: str
    case: str
    arguments: dict[str, object]
    peer: str
    peer_case: str
    peer_arguments: dict[str, object]
    units: float = field(default=1.0)
    """What the times are divided by in the table."""


HOW = {"eager": "PyTorch eager", "compile": "torch.compile", "inference": "PyTorch, frozen for inference"}


def sampling(count: int, width: int, depth: int, how: str) -> Row:
    """Positions from a network of one size."""
    size: dict[str, object] = {"count": count, "width": width, "depth": depth}
    return Row(
        f"sample {count:,}, {depth} x {width}", "sample", size,
        HOW[how], "sample", {**size, "how": how, "symmetry": "@symmetry"},
    )  # fmt: skip


def floor(count: int, width: int, depth: int) -> Row:
    """Samples beside their matrix products alone: the ratio is the part of the floor that is reached."""
    size: dict[str, object] = {"count": count, "width": width, "depth": depth}
    return Row(
        f"sample {count:,}, {depth} x {width}", "sample", size, "its matrix products alone", "products", size
    )  # fmt: skip


def through_c(width: int, depth: int) -> Row:
    """One sample by a program in C."""
    size: dict[str, object] = {"count": 1, "width": width, "depth": depth}
    return Row(
        f"sample 1 from C, {depth} x {width}", "sample_in_c", size,
        HOW["eager"], "sample", {**size, "how": "eager", "symmetry": "@symmetry"},
    )  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A training of ours and of a peer."""

    method: str
    width: int
    depth: int
    batch: int
    atoms: int = 9

    @property
    def name(self) -> str:
        """As the table has it."""
        what = "FK" if self.method == "fk" else "sliced"
        molecule = "" if self.atoms == 9 else f", {self.atoms} atoms"
        return f"{what}, {self.depth} x {self.width}, batch {self.batch}{molecule}"

    @property
    def arguments(self) -> dict[str, object]:
        """For ours."""
        sizes = {"width": self.width, "depth": self.depth, "batch": self.batch, "atoms": self.atoms}
        return {"method": self.method, **sizes}

    @property
    def peers(self) -> dict[str, object]:
        """For a peer."""
        sizes = {"width": self.width, "depth": self.depth, "batch": self.batch, "atoms": self.atoms}
        return {"kernel": self.method == "fk", **sizes}


def training(job: Job, how: str) -> Row:
    """A step."""
    return Row(
        f"training step {job.name}", "training", {**job.arguments, "steps": 200},
        HOW[how], "training", {**job.peers, "compiled": how == "compile"},
    )  # fmt: skip


def reference_training(job: Job, compiled: bool) -> Row:
    """A step beside the reference's."""
    return Row(
        f"training step {job.name}", "training", {**job.arguments, "steps": 200},
        "reference, torch.compile" if compiled else "reference", "reference_training",
        {**job.peers, "compiled": compiled, "folder": "@reference"},
    )  # fmt: skip


def whole(job: Job, steps: int) -> Row:
    """A training from the frames to the sampler, beside the reference's."""
    return Row(
        f"whole training of {steps:,} steps, {job.name}", "whole_training", {**job.arguments, "steps": steps},
        "reference", "whole_training", {**job.peers, "steps": steps, "folder": "@reference"},
    )  # fmt: skip


SLICED, FK = Job("sliced", 256, 4, 512), Job("fk", 512, 6, 256)
OTHERS = [
    Job("sliced", 512, 6, 512), Job("fk", 256, 4, 256),
    Job("sliced", 256, 4, 512, 20), Job("fk", 512, 6, 256, 20),
]  # fmt: skip
SYMMETRY: dict[str, object] = {"symmetry": "@symmetry"}
REFERENCE: dict[str, object] = {**SYMMETRY, "folder": "@reference"}
ROWS = [
    through_c(256, 4), through_c(512, 6),
    *(sampling(count, 256, 4, how) for how in HOW for count in (1, 32, 1_000, 100_000)),
    *(sampling(count, 512, 6, "eager") for count in (1, 32, 1_000, 100_000)),
    *(floor(count, *size) for count in (1_000, 100_000) for size in ((256, 4), (512, 6))),
    *(training(job, how) for job in (SLICED, FK) for how in ("eager", "compile")),
    *(training(job, "eager") for job in OTHERS),
    *(reference_training(job, compiled) for job in (SLICED, FK) for compiled in (False, True)),
    *(reference_training(job, False) for job in OTHERS),
    whole(SLICED, 500), whole(FK, 500),
    Row("feature forces, a frame", "feature_forces", {}, "NumPy", "feature_forces", {"count": 2_000}),
    Row("fit, 150 frames", "fit", {"frames": 150}, "NumPy", "fit", {"frames": 150, **SYMMETRY}),
    Row("fit, 150 frames", "fit", {"frames": 150},
        "reference", "reference_fit", {"frames": 150, **REFERENCE}),
    Row("fit, 150 frames", "fit", {"frames": 150}, "sgdml", "sgdml_fit", {"frames": 150, **SYMMETRY}),
    Row("force field, a frame of 1,024", "prediction", {"frames": 1_024},
        "NumPy", "prediction", {"frames": 1_024, **SYMMETRY}, 1_024),
    Row("force field, a frame of 1,024", "prediction", {"frames": 1_024},
        "reference", "reference_prediction", {"frames": 1_024, "path": "@field", "folder": "@reference"},
        1_024),
    Row("force field, a frame of 1,024", "prediction", {"frames": 1_024},
        "sgdml", "sgdml", {"frames": 1_024, "path": "@field"}, 1_024),
    Row("hybrid Monte Carlo, a leapfrog step", "hmc", {"evaluations": 1_000_000},
        "NumPy", "hmc", {"iterations": 2, **SYMMETRY}),
    Row("hybrid Monte Carlo, a leapfrog step", "hmc", {"evaluations": 1_000_000},
        "reference", "reference_hmc", {"iterations": 2, "path": "@field", "folder": "@reference"}),
    Row("read extended XYZ, a frame", "reading", {"count": 5_000},
        "ASE", "reading", {"path": "@trajectory"}, 5_000),
    Row("write extended XYZ, a frame", "writing", {"count": 5_000},
        "ASE", "writing", {"path": "@trajectory"}, 5_000),
]  # fmt: skip
