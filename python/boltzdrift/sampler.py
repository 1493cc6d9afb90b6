"""The trained sampler."""

from __future__ import annotations

import ctypes
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _arguments
from ._arguments import Floats, Integers, StrPath
from ._call import Text, call, call_alone
from ._handle import Handle, borrow
from ._handle import keepers as keepers_of
from ._placing import Placing
from .errors import InterruptedWork
from .potential import Potential
from .progress import Listener, Progress, ProgressFunction

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import BaseCalculator

_CHUNK = 1 << 14
"""Samples between two looks at Ctrl-C. Sample i does not depend on how many are drawn at once."""


@dataclass(frozen=True)
class Refined:
    """Samples after Monte Carlo steps.

    Attributes:
        positions: (count, atoms, 3) in angstrom.
        energies: (count) in kcal/mol.
        report: Acceptance, samples drawn again, energies before and after.
    """

    positions: Floats
    energies: Floats
    report: dict[str, Any]


class Sampler(Placing):
    """A one-step Boltzmann sampler of a molecule at one temperature."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        atoms = ctypes.c_size_t()
        call("bzd_sampler_atoms", handle.pointer, ctypes.byref(atoms))
        self._atoms = atoms.value

    @classmethod
    def load(cls, path: StrPath) -> Sampler:
        """Loads what `boltzdrift train` or `save` wrote.

        Raises:
            DataError: The file is missing, or is no sampler.
        """
        handle = Handle("sampler", "bzd_sampler_free")
        call("bzd_sampler_load", _arguments.path(path), ctypes.byref(handle.pointer))
        return cls(handle)

    def save(self, path: StrPath) -> None:
        """Writes the sampler, through a temporary file."""
        with borrow(self, "sampler") as pointer:
            call("bzd_sampler_save", pointer, _arguments.path(path))

    @property
    def species(self) -> Integers:
        """Atomic numbers (atoms)."""
        numbers = np.empty(self._atoms, dtype=np.int32)
        with borrow(self, "sampler") as pointer:
            call("bzd_sampler_species", pointer, numbers.ctypes.data, numbers.size)
        return numbers

    @property
    def masses(self) -> Floats:
        """Masses (atoms) in amu."""
        masses = np.empty(self._atoms)
        with borrow(self, "sampler") as pointer:
            call("bzd_sampler_masses", pointer, masses.ctypes.data, masses.size)
        return masses

    @property
    def bonds(self) -> Integers:
        """Bonds (bonds, 2) as numbers of atoms."""
        number = ctypes.c_size_t()
        place = ctypes.byref(number)
        with borrow(self, "sampler") as pointer:
            call("bzd_sampler_bonds", pointer, place, None, 0)
            pairs = np.empty((number.value, 2), dtype=np.int32)
            call("bzd_sampler_bonds", pointer, place, pairs.ctypes.data, pairs.size)
        return pairs

    def info(self) -> dict[str, Any]:
        """All it says of itself: species, bonds, symmetry, settings, figures, calibration."""
        text = Text()
        with borrow(self, "sampler") as pointer:
            call("bzd_sampler_info", pointer, text.place)
        return text.json()

    def sample(
        self, number: int, *, seed: int = 0, first: int = 0, progress: ProgressFunction | bool | None = None
    ) -> Floats:
        """Positions of samples `first` to `first + number` of a seed, the center of mass at the origin.

        Sample i of a seed is the same bytes whatever the range, so processes can draw disjoint parts of one
        ensemble.

        Returns:
            (number, atoms, 3) in angstrom.
        """
        number = _arguments.count(number, "number")
        seed, first = _arguments.stream(seed, first, number)
        positions = np.empty((number, self._atoms, 3))
        listener = None if progress is None or progress is False else Listener(progress)
        try:
            for start in range(0, number, _CHUNK):
                part = positions[start : start + _CHUNK]
                count, room = len(part), part.size
                with borrow(self, "sampler") as pointer:
                    # It calls nothing back: between two parts Python itself sees to Ctrl-C.
                    call_alone(
                        "bzd_sampler_sample", pointer, seed, first + start, count, part.ctypes.data, room
                    )
                    if listener is not None and not listener.tell(
                        Progress("sampling", start + count, number, None)
                    ):
                        raise InterruptedWork("sampling was stopped by the progress function")
        finally:
            if listener is not None:
                listener.close()
        return positions

    def refined(
        self,
        number: int,
        potential: Potential,
        *,
        seed: int = 0,
        first: int = 0,
        steps: int | None = None,
        temperature: float | None = None,
        time_step: float | None = None,
        leapfrog: int | None = None,
        progress: ProgressFunction | bool | None = None,
    ) -> Refined:
        """The same samples after Monte Carlo steps that keep the potential's Boltzmann distribution exactly.

        Args:
            number: How many.
            potential: Of the molecule, in the sampler's order of atoms.
            seed: Of the ensemble.
            first: Number of the first sample.
            steps: Proposals for every sample; 20 where None.
            temperature: Kelvin; the sampler's own where None.
            time_step: fs; 1 where None.
            leapfrog: Mean steps of a proposal; 20 where None.
        """
        number = _arguments.count(number, "number")
        seed, first = _arguments.stream(seed, first, number)
        settings = _arguments.settings(
            steps=steps,
            temperature=None if temperature is None else _arguments.kelvin(temperature),
            time_step=time_step,
            leapfrog=leapfrog,
        )
        positions, energies = np.empty((number, self._atoms, 3)), np.empty(number)
        report, listener = Text(), Listener(progress)
        keepers = (*keepers_of(potential), listener)
        try:
            with borrow(self, "sampler") as pointer, borrow(potential, "potential", exclusive=True) as field:
                call(
                    "bzd_sampler_refined",
                    pointer,
                    field,
                    seed,
                    first,
                    number,
                    settings,
                    listener.callback,
                    None,
                    positions.ctypes.data,
                    positions.size,
                    energies.ctypes.data,
                    report.place,
                    keepers=keepers,
                )
        finally:
            listener.close()
        return Refined(positions, energies, report.json())

    def atoms(
        self,
        number: int,
        *,
        seed: int = 0,
        first: int = 0,
        temperature: float | None = None,
        velocities: bool = True,
        potential: Potential | None = None,
        steps: int | None = None,
        calculator: BaseCalculator | None = None,
    ) -> list[Atoms]:
        """Samples as ase.Atoms, ready to run; needs ASE.

        Args:
            number: How many.
            seed: Of the ensemble.
            first: Number of the first sample.
            temperature: Kelvin of velocities and refinement; the sampler's own where None.
            velocities: Whether they get Maxwell velocities, without momentum and angular momentum.
            potential: Refines them by Monte Carlo steps; raw samples where None.
            steps: Proposals of the refinement.
            calculator: Becomes the calculator of each.

        Returns:
            Atoms in vacuum, in the sampler's order; `info["boltzdrift"]` has seed, sample and whether it was
            refined.
        """
        from .ase.convert import atoms_of_sampler

        return atoms_of_sampler(
            self,
            number,
            seed=seed,
            first=first,
            temperature=temperature,
            velocities=velocities,
            potential=potential,
            steps=steps,
            calculator=calculator,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "sampler.safetensors"
            self.save(path)
            return _unpickled, (path.read_bytes(),)

    def __repr__(self) -> str:
        return (
            "<Sampler closed>" if self.closed else f"<Sampler of {self._atoms} atoms at {self.temperature} K>"
        )


def _unpickled(content: bytes) -> Sampler:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sampler.safetensors"
        path.write_bytes(content)
        return Sampler.load(path)
