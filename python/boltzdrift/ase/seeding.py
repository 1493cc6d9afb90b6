"""Samples in place of molecules inside a larger Atoms."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from ase import Atoms, units
from ase.neighborlist import natural_cutoffs, neighbor_list

from .. import _arguments
from .._arguments import Floats
from ..errors import InvalidError
from ..potential import Potential
from ..sampler import Sampler
from .whole import BOND_FACTOR, BondGraph, Indices, Molecule

_BOLTZMANN = units.kB


def find_molecules(atoms: Atoms, sampler: Sampler) -> list[Indices]:
    """Atoms of every molecule with the sampler's composition: the connected pieces of the bond graph,
    ascending.
    """
    return _found(BondGraph(atoms), atoms, sampler)


def _found(graph: BondGraph, atoms: Atoms, sampler: Sampler) -> list[Indices]:
    wanted = np.sort(sampler.species)
    return [piece for piece in graph.pieces() if np.array_equal(np.sort(atoms.numbers[piece]), wanted)]


def _chosen(atoms: Atoms, number: int, molecules: Sequence[Sequence[int]]) -> list[Indices]:
    """The caller's molecules, checked."""
    seen: set[int] = set()
    chosen = []
    for k, given in enumerate(molecules):
        indices = np.asarray(given)
        if indices.dtype.kind not in "iu" or indices.ndim != 1:
            raise TypeError(f"molecule {k}: give a list of atom numbers, not {given!r}")
        if len(indices) != number:
            raise InvalidError(f"molecule {k} has {len(indices)} atoms, the sampler's has {number}")
        for atom in map(int, indices):
            if not 0 <= atom < len(atoms):
                raise InvalidError(f"molecule {k}: there is no atom {atom}, only 0 to {len(atoms) - 1}")
            if atom in seen:
                raise InvalidError(f"molecule {k}: atom {atom} is given twice")
            seen.add(atom)
        chosen.append(indices.astype(np.int64))
    return chosen


def _check_constraints(atoms: Atoms, chosen: Sequence[Indices]) -> None:
    """Constraints on other atoms stay; one that touches a molecule which is to be moved is refused."""
    moved = {int(atom): k for k, indices in enumerate(chosen) for atom in indices}
    for constraint in atoms.constraints:
        name = type(constraint).__name__
        if not hasattr(constraint, "get_indices"):
            raise InvalidError(f"{name} does not say which atoms it holds: remove it, seed, and set it again")
        held = [int(atom) for atom in np.ravel(constraint.get_indices()) if int(atom) in moved]
        if held:
            raise InvalidError(
                f"{name} holds atom {held[0]} of molecule {moved[held[0]]}, which seeding would move: "
                "remove the constraint, "
                "or leave that molecule out"
            )


def _rigid_velocities(x: Floats, masses: Floats, kelvin: float, seed: int, sample: int) -> Floats:
    """Velocities (atoms, 3) of center of mass and rotation at a temperature, in angstrom per ASE's unit of
    time.
    """
    # A stream of its own for every sample; the library's own drives the vibrations.
    random = np.random.default_rng([seed, sample, 0x72696769])
    kt = _BOLTZMANN * kelvin
    total = masses.sum()
    center = masses @ x / total
    r = x - center
    inertia = (masses * (r**2).sum(axis=1)).sum() * np.eye(3) - (masses[:, None] * r).T @ r
    moments, axes = np.linalg.eigh(inertia)
    # A linear molecule does not turn about its axis.
    turns = moments > 1e-6 * moments.max() if moments.max() > 0 else np.zeros(3, dtype=bool)
    spin = np.zeros(3)
    spin[turns] = np.sqrt(kt / moments[turns]) * random.standard_normal(3)[turns]
    drift = np.sqrt(kt / total) * random.standard_normal(3)
    return np.asarray(drift + np.cross(axes @ spin, r))


def seed(
    atoms: Atoms,
    sampler: Sampler,
    *,
    molecules: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
    first: int = 0,
    temperature: float | None = None,
    orientation: str = "keep",
    velocities: bool = True,
    rigid_motion: bool | None = None,
    potential: Potential | None = None,
    steps: int | None = None,
) -> Atoms:
    """A copy of Atoms in which molecules have been replaced by samples, ready to run.

    Molecule k gets sample `first + k`, at its own center of mass, in its own order of atoms. Everything else
    stays: cell, other atoms and their momenta, constraints on other atoms, the calculator. The sampler knows
    nothing of the surroundings: relax them, or accept samples by their energy, before you trust the run.

    Args:
        atoms: The system. Molecules that are split by periodic boundaries are made whole.
        sampler: Of the molecule.
        molecules: Atom numbers of each molecule; all with the sampler's composition where None.
        seed: Of the ensemble.
        first: Number of the first sample.
        temperature: Kelvin of velocities and refinement; the sampler's own where None.
        orientation: "keep" turns each sample to its molecule's orientation, "random" to any.
        velocities: Whether the molecules get Maxwell velocities, from the masses of the Atoms.
        rigid_motion: Whether these include drift and rotation: False for a molecule alone, True in a system,
            where None.
        potential: Refines the samples by Monte Carlo steps, each alone in vacuum; raw samples where None.
        steps: Proposals of the refinement.

    Raises:
        InvalidError: No such molecule, another one, one that spans the cell, or a constraint on one of its
            atoms.
    """
    if not isinstance(atoms, Atoms):
        raise TypeError(f"give ase.Atoms, not {type(atoms).__name__}")
    if potential is None and steps is not None:
        raise InvalidError("steps refine with a potential: give one")
    graph = BondGraph(atoms)
    number = len(sampler.species)
    chosen = _found(graph, atoms, sampler) if molecules is None else _chosen(atoms, number, molecules)
    if not chosen:
        raise InvalidError(
            f"there is no molecule {Atoms(sampler.species).get_chemical_formula()} in "
            f"{atoms.get_chemical_formula()}: give "
            "the atoms of each in `molecules`"
        )
    _check_constraints(atoms, chosen)
    found = [graph.molecule(indices) for indices in chosen]
    seed_number, first = _arguments.stream(seed, first, len(found))
    if potential is None:
        drawn = sampler.sample(len(found), seed=seed_number, first=first)
    else:
        drawn = sampler.refined(
            len(found), potential, seed=seed_number, first=first, steps=steps, temperature=temperature
        ).positions
    rigid = (number < len(atoms)) if rigid_motion is None else bool(rigid_motion)
    result: Atoms = atoms.copy()
    result.calc = atoms.calc
    positions, momenta, masses = result.get_positions(), result.get_momenta(), result.get_masses()
    for k, molecule in enumerate(found):
        rows, onto = _in_order(sampler, molecule, atoms, k)
        m, sample = masses[rows], first + k
        x = sampler.place(
            drawn[k : k + 1], onto[None], orientation=orientation, seed=seed_number, first=sample, masses=m
        )
        positions[rows] = x[0]
        if velocities:
            v = (
                sampler.velocities(x, temperature=temperature, seed=seed_number, first=sample, masses=m)[0]
                / units.fs
            )
            if rigid:
                v = v + _rigid_velocities(x[0], m, sampler.kelvin(temperature), seed_number, sample)
            momenta[rows] = m[:, None] * v
    result.set_positions(positions, apply_constraint=False)
    if velocities:
        result.set_momenta(momenta, apply_constraint=False)
    _warn_of_contacts(result, chosen)
    return result


def _in_order(sampler: Sampler, molecule: Molecule, atoms: Atoms, k: int) -> tuple[Indices, Floats]:
    """Atom numbers and whole positions of a molecule in the sampler's order."""
    try:
        order = sampler.match(atoms.numbers[molecule.indices], molecule.positions, molecule.bonds)
    except InvalidError as error:
        raise InvalidError(f"molecule {k}, atoms {molecule.indices.tolist()}: {error}") from None
    return molecule.indices[order], molecule.positions[order]


def _warn_of_contacts(atoms: Atoms, chosen: Sequence[Indices]) -> None:
    """Says where a sample touches its surroundings as closely as a bond."""
    owner = np.full(len(atoms), -1)
    for k, indices in enumerate(chosen):
        owner[indices] = k
    i, j = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=BOND_FACTOR))
    touching = (owner[i] >= 0) & (owner[i] != owner[j])
    if touching.any():
        at = int(np.argmax(touching))
        warnings.warn(
            f"{len(set(owner[i[touching]]))} of {len(chosen)} samples touch their surroundings as closely "
            "as a bond, the first "
            f"with atom {i[at]} at atom {j[at]}: take other samples (`first`), another orientation, or "
            "relax the system",
            stacklevel=3,
        )
