"""Trajectories through ase.io, for the formats that the library does not read or write itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase.io

from .._arguments import StrPath
from ..dataset import Dataset
from .convert import atoms_of_dataset, dataset_of_atoms


def read(path: StrPath, index: str = ":", format: str | None = None, **options: Any) -> Dataset:
    """Frames of one molecule from any file that ase.io reads, in ASE's units: .traj, .db, outputs of codes,
    and more.

    Args:
        path: The file.
        index: Frames as ase.io takes them: ":" for all, "100::10".
        format: ase.io's name of the format, where the extension does not tell.
        options: Further arguments of the format's reader.

    Raises:
        InvalidError: As `dataset_of_atoms`.
    """
    found = ase.io.read(Path(path), index=index, format=format, **options)
    return dataset_of_atoms(found if isinstance(found, list) else [found])


def write(path: StrPath, dataset: Dataset, format: str | None = None, **options: Any) -> None:
    """Writes frames to any file that ase.io writes, with energies, forces and momenta where the format has
    room.
    """
    ase.io.write(Path(path), atoms_of_dataset(dataset), format=format, **options)
