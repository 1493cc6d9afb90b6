"""A neural potential through the callback: needs sevenn and an importable torch (`make neural`)."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boltzdrift
import numpy as np
import pytest

try:
    import sevenn.calculator
    import torch
except (ImportError, OSError) as error:
    pytest.skip(f"SevenNet cannot be imported: {error}; make neural installs it", allow_module_level=True)

from ase import Atoms
from ase.build import molecule
from boltzdrift import Dataset
from boltzdrift.ase import CalculatorPotential, dataset_of_atoms, langevin
from conftest import Floats, needs_training


@pytest.fixture(scope="module")
def calculator() -> Any:
    """SevenNet-0, whose weights are in its package, on one thread: its sums depend on their number."""
    torch.set_num_threads(1)
    return sevenn.calculator.SevenNetCalculator(model="7net-0", device="cpu")


def water(frames: int) -> Floats:
    """Frames near the minimum."""
    start = molecule("H2O").positions
    return start + np.random.default_rng(0).normal(0.0, 0.03, (frames, 3, 3))


def test_labels_are_ases_own_to_the_last_digit(calculator: Any) -> None:
    """Ethanol through the callback and with ASE alone."""
    atoms = molecule("CH3CH2OH")
    x = atoms.positions + np.random.default_rng(1).normal(0.0, 0.03, (6, 9, 3))
    data = Dataset.from_arrays(atoms.numbers, x)
    data.label(CalculatorPotential(calculator, name="SevenNet-0"))
    factor = boltzdrift.unit("eV", "energy")
    alone = Atoms(atoms.numbers)
    alone.calc = sevenn.calculator.SevenNetCalculator(model="7net-0", device="cpu")
    energies, forces = data.energies, data.forces
    assert energies is not None
    assert forces is not None
    for frame, positions in enumerate(x):
        alone.positions[:] = positions
        assert energies[frame] == alone.get_potential_energy() * factor
        np.testing.assert_array_equal(forces[frame], alone.get_forces().astype(np.float64) * factor)


def test_many_frames_at_once_have_the_same_numbers(calculator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch function of the examples, up to single precision."""
    examples = Path(__file__).resolve().parents[2] / "examples" / "ase"
    monkeypatch.syspath_prepend(str(examples))
    batch = importlib.import_module("sevennet_batch").sevennet_batch("7net-0")
    x = water(10)
    together = CalculatorPotential(None, batch=batch, largest_batch=4, name="SevenNet-0 in batches")
    one = CalculatorPotential(calculator).evaluate([8, 1, 1], x)
    many = together.evaluate([8, 1, 1], x)
    # 15 eV in single precision: 1e-6 eV.
    np.testing.assert_allclose(many[0], one[0], atol=1e-3)
    np.testing.assert_allclose(many[1], one[1], atol=1e-2)


@needs_training
def test_a_sampler_is_trained_from_them(calculator: Any) -> None:
    """A run of water, a fit, an equilibration, a training, in one process with the torch of the
    calculator.
    """
    start = molecule("H2O")
    start.calc = calculator
    run = langevin(start, temperature=300.0, picoseconds=0.8, warmup=0.1, interval=2.0)
    data = dataset_of_atoms(run)
    field = boltzdrift.fit(data, frames=100)
    assert field.info()["fit"]["held_out"]["force_rmse"] < 2.0
    pool = boltzdrift.equilibrate(
        data, field, temperature=300.0, frames=2000, effective=1000.0, accept_fit=True
    )
    small = {"steps": 300, "width": 48, "depth": 2, "noise": 8, "batch": 128}
    sampler = boltzdrift.train(pool.states, temperature=300.0, device="cpu", **small)
    drawn = sampler.atoms(5, calculator=calculator)
    energies = [atoms.get_potential_energy() for atoms in drawn]
    # Within 1 eV of the lowest frame of the run: samples are states of the molecule.
    lowest = min(atoms.get_potential_energy() for atoms in run)
    assert max(energies) - lowest < 1.0
    assert torch.ones(3).sum().item() == 3.0


def test_what_the_callback_costs_is_little(calculator: Any) -> None:
    """Less than a tenth of the time that the processors spend on the calculator."""
    x = water(20)
    data = Dataset.from_arrays([8, 1, 1], x)
    alone = Atoms([8, 1, 1])
    alone.calc = calculator

    def seconds(work: Callable[[], object]) -> float:
        best = np.inf
        for _ in range(3):
            start = time.process_time()
            work()
            best = min(best, time.process_time() - start)
        return best

    def by_hand() -> None:
        for positions in x:
            alone.positions[:] = positions
            alone.get_forces()
            alone.get_potential_energy()

    potential = CalculatorPotential(calculator)
    assert seconds(lambda: data.label(potential)) < 1.1 * seconds(by_hand) + 0.02
