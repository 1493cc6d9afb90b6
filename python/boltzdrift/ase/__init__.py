"""boltzdrift for ASE: calculators both ways, Atoms in and out. In ASE's units: eV, angstrom, amu."""

from __future__ import annotations

try:
    import ase as _ase
except ImportError as error:
    raise ImportError("boltzdrift.ase needs the package ase: install ase 3.27 or newer") from error

from .calculators import CalculatorPotential, ForceField
from .convert import atoms_of_dataset, dataset_of_atoms
from .dynamics import Release, langevin, release
from .files import read, write
from .seeding import find_molecules, seed

del _ase

__all__ = [
    "CalculatorPotential",
    "ForceField",
    "Release",
    "atoms_of_dataset",
    "dataset_of_atoms",
    "find_molecules",
    "langevin",
    "read",
    "release",
    "seed",
    "write",
]
