"""Calculators both ways: any ASE calculator as a potential, a potential as an ASE calculator."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, Calculator, all_changes

from .. import _interrupt
from .._arguments import Floats, Integers, StrPath
from .._handle import Handle
from ..errors import InvalidError
from ..potential import Potential, _answer, _Callback
from .convert import energy_unit
from .whole import whole_positions

BatchFunction = Callable[[Sequence[Atoms]], tuple[npt.ArrayLike, npt.ArrayLike]]
"""Energies (frames) in eV and forces (frames, atoms, 3) in eV/angstrom of many Atoms at once."""


class CalculatorPotential(Potential):
    """Any ASE calculator as a potential, for `Dataset.label`, `equilibrate` and `Sampler.refined`.

    Each frame is computed once: forces are asked for first, and calculators keep the energy that comes with
    them. Where one fails, the frames before it are done, and `Dataset.label` and `label_to` keep them.

    Args:
        calculator: The calculator.
        atoms: Atoms whose charges, magnetic moments, info, cell and pbc the calculator needs, in the order of
            the frames; bare atoms in vacuum where None. Its positions do not matter.
        name: For messages; the class of the calculator where None.
        identity: What tells it from every other potential; class and parameters where None. Give one where
            the parameters do not say all, such as the digest of a neural network's weights.
        energy: "energy", or "free_energy" where the forces are its gradient (smeared occupations).
        batch: A function that computes many Atoms at once, in place of the calculator. ASE has no common call
            for that.
        largest_batch: Most frames of a batch; any number where 0.
    """

    def __init__(
        self,
        calculator: BaseCalculator | None,
        *,
        atoms: Atoms | None = None,
        name: str | None = None,
        identity: str | None = None,
        energy: str = "energy",
        batch: BatchFunction | None = None,
        largest_batch: int = 0,
    ) -> None:
        if (calculator is None) == (batch is None):
            raise TypeError("give a calculator, or a batch function: one of the two")
        if calculator is not None and not hasattr(calculator, "get_forces"):
            raise TypeError(f"{calculator!r} is no ASE calculator")
        if energy not in ("energy", "free_energy"):
            raise InvalidError(f'energy is {energy!r}: give "energy" or "free_energy"')
        callback = _Calculator(calculator, None if atoms is None else atoms.copy(), energy, batch)
        source = calculator if calculator is not None else batch
        known = f"{type(source).__module__}.{type(source).__qualname__}"
        label = name or str(getattr(batch, "__name__", type(source).__name__))
        said = identity or f"ase:{known}:{_parameters(calculator)}:{energy}"
        super().__init__(Handle("potential", "bzd_potential_free"), (callback,))
        self._describe(callback, label, said, "angstrom", "eV", largest_batch, in_order=batch is None)


def _parameters(calculator: BaseCalculator | None) -> str:
    parameters = getattr(calculator, "parameters", {})
    return json.dumps(dict(parameters), default=repr, sort_keys=True)


class _Calculator(_Callback):
    """Computes frames one after the other, each written as soon as it is there, so that an error names the
    next.
    """

    def __init__(
        self,
        calculator: BaseCalculator | None,
        template: Atoms | None,
        energy: str,
        batch: BatchFunction | None,
    ) -> None:
        super().__init__(self._frames)
        self._calculator = calculator
        self._template = template
        self._energy = energy
        self._batch = batch

    def _frames(self, species: Integers, positions: Floats) -> tuple[Floats, Floats]:
        energies, forces = np.empty(len(positions)), np.empty_like(positions)
        self.fill(species, positions, energies, forces)
        return energies, forces

    def _bare(self, species: Integers) -> Atoms:
        if self._template is None:
            return Atoms(species)
        if not np.array_equal(self._template.numbers, species):
            raise InvalidError(
                f"the frames are of {Atoms(species).get_chemical_formula()} or in another order than the "
                "atoms given to "
                f"CalculatorPotential, {self._template.get_chemical_formula()}"
            )
        bare: Atoms = self._template.copy()
        return bare

    def fill(self, species: Integers, positions: Floats, energies: Floats, forces: Floats) -> None:
        """Energies in eV and forces in eV/angstrom, in place."""
        atoms = self._bare(species)
        if self._batch is not None:
            frames = []
            for x in positions:
                frames.append(atoms.copy())
                frames[-1].positions[:] = x
            e, f = self._batch(frames)
            energies[:] = _answer(e, "energies", energies.shape)
            forces[:] = _answer(f, "forces", forces.shape)
            return
        atoms.calc = self._calculator
        for frame, x in enumerate(positions):
            _interrupt.deliver()
            atoms.positions[:] = x
            forces[frame] = _answer(atoms.get_forces(apply_constraint=False), "forces", x.shape)
            energy = atoms.get_potential_energy(force_consistent=self._energy == "free_energy")
            energies[frame] = _answer(energy, "an energy", ())


class ForceField(Calculator):
    """A fitted field, or any potential of boltzdrift, as an ASE calculator.

    The Atoms must be the molecule of the fit, in its order. A periodic molecule is made whole.

    Args:
        potential: From `fit` or `Potential.open`, or the path of a force field of `fit` or of sGDML.
    """

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012 (as ASE declares it)

    def __init__(self, potential: Potential | StrPath, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        if not isinstance(potential, Potential):
            potential = Potential.open(f"gdml:{Path(potential)}")
        self.potential = potential

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Energy in eV and forces in eV/angstrom."""
        super().calculate(  # type: ignore[no-untyped-call]
            atoms, list(properties), list(system_changes)
        )
        molecule = self.atoms
        if molecule is None:
            raise InvalidError("give the Atoms to be computed")
        positions = whole_positions(molecule) if molecule.pbc.any() else molecule.positions
        energies, forces = self.potential.evaluate(molecule.numbers, positions[None])
        factor = energy_unit()
        energy = float(energies[0]) / factor
        self.results = {"energy": energy, "free_energy": energy, "forces": forces[0] / factor}
