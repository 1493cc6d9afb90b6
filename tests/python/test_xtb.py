"""xTB as a potential: ASE's own numbers, and forces that are minus the slope of the energy."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("ase")
pytest.importorskip("tblite.ase")

from ase import Atoms, units
from boltzdrift import Dataset
from boltzdrift.ase import CalculatorPotential
from conftest import SPECIES, shaken
from tblite.ase import TBLite

KCAL = units.kcal / units.mol


def _calculator() -> object:
    return TBLite(method="GFN2-xTB", accuracy=0.01, verbosity=0)


def test_labels_are_ases_own() -> None:
    """Each frame by a calculator that has seen nothing before it."""
    x = shaken(4)
    data = Dataset.from_arrays(SPECIES, x)
    data.label(CalculatorPotential(_calculator(), name="GFN2-xTB"))
    for frame in range(len(x)):
        atoms = Atoms(SPECIES, positions=x[frame], calculator=_calculator())
        # The charges start elsewhere; they end within the accuracy.
        assert data.energies[frame] == pytest.approx(atoms.get_potential_energy() / KCAL, abs=1e-3)
        np.testing.assert_allclose(data.forces[frame], atoms.get_forces() / KCAL, atol=1e-3)


def test_forces_are_the_slope_of_the_energy() -> None:
    """Central differences."""
    step, x = 1e-3, shaken(1)
    moved = np.repeat(x, 18, axis=0)
    for k in range(9):
        moved[2 * k].flat[k] += step
        moved[2 * k + 1].flat[k] -= step
    potential = CalculatorPotential(_calculator(), name="GFN2-xTB")
    energies, _ = potential.evaluate(SPECIES, moved)
    _, forces = potential.evaluate(SPECIES, x)
    slopes = (energies[0::2] - energies[1::2]) / (2.0 * step)
    np.testing.assert_allclose(forces.ravel(), -slopes, atol=0.02)
