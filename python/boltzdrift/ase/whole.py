"""Molecules of ase.Atoms, made whole over their bonds.

The library's molecules are in vacuum and whole. Where Atoms are periodic, each bond says in which image its
neighbor is; a molecule whose bonds lead back to another image of itself spans the cell, and is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .._arguments import Floats
from ..errors import InvalidError

BOND_FACTOR = 1.25
"""Two atoms are bonded below this times the sum of their covalent radii, as in the library."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Molecule:
    """A molecule in a larger Atoms.

    Attributes:
        indices: Its atoms (atoms), ascending unless the caller gave another order.
        positions: (atoms, 3) in angstrom, whole; the first atom is where it is in the Atoms.
        bonds: (bonds, 2) numbers within the molecule.
    """

    indices: Indices
    positions: Floats
    bonds: Indices


class BondGraph:
    """Bonds of Atoms, each with the image of its second atom."""

    def __init__(self, atoms: Atoms) -> None:
        self._atoms = atoms
        cutoffs = natural_cutoffs(atoms, mult=BOND_FACTOR)
        self._i, self._j, self._images = neighbor_list("ijS", atoms, cutoffs)
        number = len(atoms)
        graph = coo_array((np.ones(len(self._i)), (self._i, self._j)), shape=(number, number))
        self._pieces, self._labels = connected_components(graph, directed=False)
        self._start = np.searchsorted(self._i, np.arange(number + 1))

    def pieces(self) -> list[Indices]:
        """The atoms of each connected piece, ascending."""
        order = np.argsort(self._labels, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self._labels, minlength=self._pieces))[:-1])

    def molecule(self, indices: Sequence[int] | Indices) -> Molecule:
        """The molecule of these atoms, whole.

        Raises:
            InvalidError: The bonds do not connect them, or they span the cell.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        local = {int(atom): number for number, atom in enumerate(chosen)}
        images: dict[int, Indices] = {int(chosen[0]): np.zeros(3, dtype=np.int64)}
        waiting, bonds = [int(chosen[0])], set()
        while waiting:
            i = waiting.pop()
            for at in range(self._start[i], self._start[i + 1]):
                j, image = int(self._j[at]), images[i] + self._images[at]
                if j not in local:
                    continue
                if j not in images:
                    images[j] = image
                    waiting.append(j)
                elif not np.array_equal(images[j], image):
                    raise InvalidError(
                        f"the molecule of atoms {_few(chosen)} spans the cell: its bonds lead to an image "
                        "of itself"
                    )
                bonds.add((min(local[i], local[j]), max(local[i], local[j])))
        if len(images) != len(chosen):
            away = [atom for atom in local if atom not in images]
            raise InvalidError(
                f"atoms {_few(away)} are not bonded to the rest of the molecule of atom {chosen[0]}: give "
                "one whole "
                "molecule, with the cell and pbc that it was wrapped by"
            )
        shifts = np.array([images[int(atom)] for atom in chosen]) @ self._atoms.cell.array
        pairs = np.array(sorted(bonds), dtype=np.int64).reshape(-1, 2)
        return Molecule(chosen, self._atoms.positions[chosen] + shifts, pairs)


def whole_positions(atoms: Atoms) -> Floats:
    """Positions (atoms, 3) of a single molecule, made whole where it is periodic.

    Raises:
        InvalidError: There are several molecules, or it spans the cell.
    """
    if len(atoms) == 1:
        return np.array(atoms.positions)
    return BondGraph(atoms).molecule(np.arange(len(atoms))).positions


def _few(atoms: Sequence[int] | Indices) -> str:
    text = ", ".join(str(int(atom)) for atom in atoms[:6])
    return text + (", ..." if len(atoms) > 6 else "")
