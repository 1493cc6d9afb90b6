"""The library's units, and what others are in them: angstrom, kcal/mol, fs, amu, K."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from . import _arguments
from ._call import call

BOLTZMANN = 0.001987204259
"""Boltzmann's constant in kcal/mol/K."""


def unit(name: str, quantity: str) -> float:
    """How many of the library's own units one unit is: `unit("eV", "energy")` is 23.06... kcal/mol.

    Args:
        name: The unit, for example "eV", "nm", "hartree/bohr".
        quantity: "length", "energy", "force", "time", "mass", "velocity" or "temperature".

    Raises:
        InvalidError: The unit is not known, or is one of another quantity.
    """
    factor = ctypes.c_double()
    place = ctypes.byref(factor)
    call("bzd_unit", _arguments.text(name, "unit"), _arguments.text(quantity, "quantity"), place)
    return factor.value


@dataclass(frozen=True)
class Units:
    """The units of a LAMMPS style, each as a number of the library's own."""

    length: float
    energy: float
    time: float
    force: float
    velocity: float


def lammps_units(style: str) -> Units:
    """The units of a LAMMPS style: "real", "metal", "si", "cgs", "electron", "micro" or "nano".

    Raises:
        InvalidError: The style is not known, or is "lj", which has no units.
    """
    factors = np.empty(5)
    call("bzd_lammps_units", _arguments.text(style, "style"), factors.ctypes.data, 5)
    return Units(*map(float, factors))
