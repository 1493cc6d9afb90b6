"""One-step Boltzmann samplers of molecules, learned from molecular dynamics with forces.

    data = boltzdrift.Dataset.read("run.extxyz", units="metal")
    field = boltzdrift.fit(data)
    pool = boltzdrift.equilibrate(data, field, temperature=500)
    sampler = boltzdrift.train(pool.states, temperature=500)
    sampler.save("molecule.safetensors")
    for atoms in sampler.atoms(10): ...

Numbers are in angstrom, kcal/mol, fs, amu and kelvin, where no unit is named; ase.Atoms are in ASE's units.
Calls release the GIL. `boltzdrift.ase` has what needs ASE, `boltzdrift.plots` what needs matplotlib.
"""

from __future__ import annotations

from ._library import can_train, version
from .dataset import Dataset
from .errors import (
    BoltzdriftError,
    BusyError,
    ClosedError,
    DataError,
    ForkError,
    InternalError,
    InterruptedWork,
    InvalidError,
    PotentialError,
    UnsupportedError,
)
from .log import set_log_level
from .potential import Potential
from .progress import Progress, ProgressBar
from .sampler import Refined, Sampler
from .stages import Pool, equilibrate, evaluate, fit, train
from .units import Units, lammps_units, unit

__version__ = version()

__all__ = [
    "BoltzdriftError",
    "BusyError",
    "ClosedError",
    "DataError",
    "Dataset",
    "ForkError",
    "InternalError",
    "InterruptedWork",
    "InvalidError",
    "Pool",
    "Potential",
    "PotentialError",
    "Progress",
    "ProgressBar",
    "Refined",
    "Sampler",
    "Units",
    "UnsupportedError",
    "can_train",
    "equilibrate",
    "evaluate",
    "fit",
    "lammps_units",
    "set_log_level",
    "train",
    "unit",
    "version",
]

set_log_level(2)
