"""What a sampler does for the molecules of a simulation: velocities, the order of atoms, places."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

from . import _arguments
from ._arguments import Floats, Integers
from ._call import call
from ._handle import Owner, borrow
from .errors import InvalidError, UnsupportedError

ORIENTATIONS = {"keep": 0, "random": 1}


class Placing(Owner):
    """Base of Sampler."""

    _atoms: int

    @property
    def temperature(self) -> float | None:
        """Kelvin that it was trained for; None where it records none."""
        kelvin = ctypes.c_double()
        try:
            with borrow(self, "sampler") as pointer:
                call("bzd_sampler_temperature", pointer, ctypes.byref(kelvin))
        except UnsupportedError:
            return None
        return kelvin.value

    def velocities(
        self,
        positions: npt.ArrayLike,
        *,
        temperature: float | None = None,
        seed: int = 0,
        first: int = 0,
        masses: npt.ArrayLike | None = None,
    ) -> Floats:
        """Maxwell velocities for samples, without momentum and angular momentum: 3n - 6 degrees of freedom
        move.

        Args:
            positions: (number, atoms, 3) in angstrom: samples `first` to `first + number` of the seed.
            temperature: Kelvin; the sampler's own where None.
            masses: (atoms) in amu; the sampler's own where None.

        Returns:
            (number, atoms, 3) in angstrom/fs.
        """
        x = _arguments.floats(positions, "positions", (None, self._atoms, 3), "(number, atoms, 3)")
        seed, first = _arguments.stream(seed, first, len(x))
        kelvin = self.kelvin(temperature)
        velocities = np.empty_like(x)
        out = (x.ctypes.data, velocities.ctypes.data, velocities.size)
        if masses is None:
            with borrow(self, "sampler") as pointer:
                call("bzd_sampler_velocities", pointer, seed, first, kelvin, *out)
        else:
            m = _arguments.floats(masses, "masses", (self._atoms,), "(atoms)")
            call("bzd_maxwell_velocities", self._atoms, m.ctypes.data, seed, first, kelvin, *out)
        return velocities

    def kelvin(self, temperature: float | None) -> float:
        """A temperature in kelvin, the sampler's own where None.

        Raises:
            InvalidError: Neither is there.
        """
        own = self.temperature if temperature is None else _arguments.kelvin(temperature)
        if own is None:
            raise InvalidError("the sampler records no temperature: give one, in kelvin")
        return own

    def match(
        self, species: npt.ArrayLike, positions: npt.ArrayLike, bonds: npt.ArrayLike | None = None
    ) -> Integers:
        """Which atom of a molecule is which of the sampler's: `order[i]` is the molecule's number of the
        sampler's atom i.

        Args:
            species: Atomic numbers (atoms), in the molecule's own order.
            positions: (atoms, 3) in angstrom, whole.
            bonds: (bonds, 2) numbers of atoms; found from the distances where None.

        Raises:
            InvalidError: It is another molecule, or the mirror image; the message has both formulas.
        """
        z = _arguments.species(species)
        x = _arguments.floats(positions, "positions", (len(z), 3), "(atoms, 3)")
        pairs = None if bonds is None else _arguments.pairs(bonds, len(z))
        given = (0, None) if pairs is None else (len(pairs), pairs.ctypes.data)
        order = np.empty(self._atoms, dtype=np.int32)
        with borrow(self, "sampler") as pointer:
            call(
                "bzd_sampler_match",
                pointer,
                len(z),
                z.ctypes.data,
                x.ctypes.data,
                *given,
                order.ctypes.data,
                order.size,
            )
        return order

    def place(
        self,
        positions: npt.ArrayLike,
        onto: npt.ArrayLike,
        *,
        orientation: str = "keep",
        seed: int = 0,
        first: int = 0,
        masses: npt.ArrayLike | None = None,
    ) -> Floats:
        """Samples moved to where molecules are, each to the center of mass of its counterpart.

        Args:
            positions: (number, atoms, 3) in angstrom: samples `first` to `first + number` of the seed.
            onto: (number, atoms, 3) in angstrom, in the sampler's order of atoms.
            orientation: "keep" turns each to the least mass-weighted squared distance from its counterpart;
                "random" draws a rotation from the stream of seed and sample.
            masses: (atoms) in amu; the sampler's own where None.

        Returns:
            (number, atoms, 3) in angstrom.
        """
        if orientation not in ORIENTATIONS:
            raise InvalidError(f'orientation is {orientation!r}: give "keep" or "random"')
        x = _arguments.floats(positions, "positions", (None, self._atoms, 3), "(number, atoms, 3)").copy()
        y = _arguments.floats(onto, "onto", x.shape, "(number, atoms, 3)")
        seed, first = _arguments.stream(seed, first, len(x))
        m = None if masses is None else _arguments.floats(masses, "masses", (self._atoms,), "(atoms)")
        with borrow(self, "sampler") as pointer:
            call(
                "bzd_sampler_place",
                pointer,
                seed,
                first,
                len(x),
                None if m is None else m.ctypes.data,
                y.ctypes.data,
                ORIENTATIONS[orientation],
                x.ctypes.data,
                x.size,
            )
        return x
