"""ase.Atoms from datasets and samplers, and datasets from Atoms. ASE's units are eV, angstrom and angstrom
sqrt(amu/eV).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator

from .. import _arguments
from .._arguments import Floats
from ..dataset import Dataset
from ..errors import InvalidError
from ..units import unit
from .whole import whole_positions

if TYPE_CHECKING:
    from ase.calculators.calculator import BaseCalculator

    from ..potential import Potential
    from ..sampler import Sampler


def energy_unit() -> float:
    """One eV in kcal/mol."""
    return unit("eV", "energy")


def atoms_of_dataset(dataset: Dataset, frames: Sequence[int] | None = None) -> list[Atoms]:
    """Frames as Atoms in vacuum; energies and forces in a SinglePointCalculator, in eV and angstrom.

    Args:
        dataset: The frames.
        frames: Which, counted from 0; all where None.
    """
    chosen = range(len(dataset)) if frames is None else frames
    species, masses, positions = dataset.species, dataset.masses, dataset.positions
    forces, energies, velocities = dataset.forces, dataset.energies, dataset.velocities
    factor = energy_unit()
    made = []
    for frame in chosen:
        atoms = Atoms(species, positions=positions[frame], masses=masses)
        if velocities is not None:
            atoms.set_velocities(velocities[frame] / units.fs)
        results = {}
        if energies is not None:
            results["energy"] = results["free_energy"] = energies[frame] / factor
        if forces is not None:
            results["forces"] = forces[frame] / factor
        if results:
            atoms.calc = SinglePointCalculator(atoms, **results)
        made.append(atoms)
    return made


def _stored(atoms: Atoms, frame: int) -> tuple[float | None, Floats | None]:
    """Energy and forces that a calculator holds for these positions; nothing is computed."""
    if atoms.calc is None:
        return None, None
    found: dict[str, object] = {}
    for name in ("energy", "forces"):
        try:
            found[name] = atoms.calc.get_property(name, atoms, allow_calculation=False)
        except PropertyNotImplementedError:
            found[name] = None
        except TypeError:
            raise InvalidError(
                f"frame {frame}: {type(atoms.calc).__name__} cannot say what it has computed already: label "
                "the frames "
                "with CalculatorPotential"
            ) from None
    energy, forces = found["energy"], found["forces"]
    return (
        None if energy is None else _arguments.real(energy, f"energy of frame {frame}"),
        None if forces is None else np.asarray(forces, dtype=np.float64),
    )


def dataset_of_atoms(frames: Iterable[Atoms]) -> Dataset:
    """A dataset from Atoms of one molecule in one order, with the energies, forces and momenta that all of
    them have.

    Energies and forces are those that the attached calculators hold (a trajectory that ASE read has them);
    forces are the potential's own, without constraints. Periodic molecules are made whole.

    Raises:
        InvalidError: No frame; another molecule or order of atoms; a molecule in pieces or one that spans the
            cell; energies, forces or momenta in some frames only. The message names the frame.
    """
    given = list(frames)
    if not given:
        raise InvalidError("no frames: give at least one Atoms")
    for frame, atoms in enumerate(given):
        if not isinstance(atoms, Atoms):
            raise TypeError(f"frame {frame} is a {type(atoms).__name__}, not ase.Atoms")
    first = given[0]
    positions, energies, forces, velocities = [], [], [], []
    for frame, atoms in enumerate(given):
        if not np.array_equal(atoms.numbers, first.numbers):
            raise InvalidError(
                f"frame {frame} is {atoms.get_chemical_formula()} or has another order of atoms than frame "
                "0, "
                f"{first.get_chemical_formula()}: give frames of one molecule"
            )
        try:
            positions.append(whole_positions(atoms))
        except InvalidError as error:
            raise InvalidError(f"frame {frame}: {error}") from None
        energy, force = _stored(atoms, frame)
        energies.append(energy)
        forces.append(force)
        velocities.append(atoms.get_velocities() * units.fs if atoms.has("momenta") else None)
    factor = energy_unit()
    e, f, v = (
        _all_or_none(energies, "energy"),
        _all_or_none(forces, "forces"),
        _all_or_none(velocities, "momenta"),
    )
    return Dataset.from_arrays(
        first.numbers,
        np.array(positions),
        energies=None if e is None else e * factor,
        forces=None if f is None else f * factor,
        velocities=v,
        masses=first.get_masses(),
    )


def _all_or_none(values: Sequence[float | Floats | None], what: str) -> Floats | None:
    there = [value is not None for value in values]
    if not any(there):
        return None
    if not all(there):
        raise InvalidError(
            f"frame {there.index(False)} has no {what}, but frame {there.index(True)} has: give all frames "
            "the same, or "
            "label them with CalculatorPotential"
        )
    return np.array(values, dtype=np.float64)


def atoms_of_sampler(
    sampler: Sampler,
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
    """`Sampler.atoms`."""
    if potential is None and steps is not None:
        raise InvalidError("steps refine with a potential: give one")
    if potential is None:
        positions, energies = sampler.sample(number, seed=seed, first=first), None
    else:
        done = sampler.refined(
            number, potential, seed=seed, first=first, steps=steps, temperature=temperature
        )
        positions, energies = done.positions, done.energies
    species, masses = sampler.species, sampler.masses
    momenta = None
    if velocities:
        drawn = sampler.velocities(positions, temperature=temperature, seed=seed, first=first)
        momenta = drawn * masses[:, None] / units.fs
    factor = energy_unit()
    made = []
    for k in range(len(positions)):
        atoms = Atoms(species, positions=positions[k], masses=masses)
        if momenta is not None:
            atoms.set_momenta(momenta[k])
        origin = {"seed": seed, "sample": first + k, "refined": potential is not None}
        if energies is not None:
            origin["energy"] = energies[k] / factor
        atoms.info["boltzdrift"] = origin
        atoms.calc = calculator
        made.append(atoms)
    return made
