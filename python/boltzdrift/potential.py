"""Potentials: opened by name, or a Python function."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from . import _arguments, _interrupt, _library
from ._arguments import Floats, Integers, StrPath
from ._call import Keeper, Text, call
from ._handle import Handle, Owner, borrow
from ._handle import keepers as keepers_of
from .errors import InvalidError, PotentialError

PotentialFunction = Callable[[Integers, Floats], tuple[npt.ArrayLike, npt.ArrayLike]]
"""Energies (frames) and forces (frames, atoms, 3) of species (atoms) and positions (frames, atoms, 3)."""


class Potential(Owner):
    """Energies and forces of many frames of one molecule.

    `open` gives one by its name; `from_function` makes one of a Python function; `fit` fits one. One call
    uses it at a
    time: other threads wait.
    """

    def __init__(self, handle: Handle, keepers: tuple[Keeper, ...] = (), spec: str | None = None) -> None:
        self._handle = handle
        self._keepers = keepers
        self._spec = spec

    @classmethod
    def open(cls, spec: str) -> Potential:
        """A potential by its name, as the command line's --potential.

        Args:
            spec: "gdml:FILE", "plugin:LIB.so:options" or "torchscript:FILE".

        Raises:
            DataError: The file is missing or damaged.
            UnsupportedError: "torchscript" needs a library with training.
        """
        handle = Handle("potential", "bzd_potential_free")
        call("bzd_potential_open", _arguments.text(spec, "spec"), ctypes.byref(handle.pointer))
        return Potential(handle, spec=spec)

    @classmethod
    def from_function(
        cls,
        function: PotentialFunction,
        *,
        name: str,
        identity: str | None = None,
        length_unit: str = "angstrom",
        energy_unit: str = "kcal/mol",
        largest_batch: int = 0,
    ) -> Potential:
        """A potential of a Python function, which is called with the GIL, on the thread that called the
        library.

        Args:
            function: `function(species, positions) -> (energies, forces)`: species (atoms) are atomic
                numbers, positions (frames, atoms, 3) are its own to keep; energies (frames) in `energy_unit`,
                forces (frames, atoms, 3) in `energy_unit` per `length_unit`. What it raises stops the work
                and comes out as itself.
            name: For messages.
            identity: What tells it from every other potential; the name where None.
            length_unit: Unit of the positions.
            energy_unit: Unit of the energies.
            largest_batch: Most frames of a call; any number where 0.

        Raises:
            InvalidError: A unit is not known.
        """
        return cls._of(_Callback(function), name, identity, length_unit, energy_unit, largest_batch)

    @classmethod
    def _of(
        cls,
        callback: _Callback,
        name: str,
        identity: str | None,
        length_unit: str,
        energy_unit: str,
        largest_batch: int,
    ) -> Potential:
        made = cls.__new__(cls)
        Potential.__init__(made, Handle("potential", "bzd_potential_free"), (callback,))
        made._describe(callback, name, identity, length_unit, energy_unit, largest_batch)
        return made

    def _describe(
        self,
        callback: _Callback,
        name: str,
        identity: str | None,
        length_unit: str,
        energy_unit: str,
        largest_batch: int,
        in_order: bool = False,
    ) -> None:
        """Makes the library's side of a Python function."""
        description = _library.PotentialDescription(
            struct_size=ctypes.sizeof(_library.PotentialDescription),
            evaluate=callback.evaluate,
            last_error=callback.last_error,
            name=_arguments.text(name, "name"),
            identity=None if identity is None else _arguments.text(identity, "identity"),
            length_unit=_arguments.text(length_unit, "length_unit"),
            energy_unit=_arguments.text(energy_unit, "energy_unit"),
            largest_batch=_arguments.count(largest_batch, "largest_batch"),
            flags=_library.IN_ORDER if in_order else 0,
        )
        place = ctypes.byref(self._handle.pointer)
        call("bzd_potential_from_callback", ctypes.byref(description), place)

    def evaluate(self, species: npt.ArrayLike, positions: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Energies (frames) in kcal/mol and forces (frames, atoms, 3) in kcal/mol/angstrom.

        Args:
            species: Atomic numbers (atoms).
            positions: (frames, atoms, 3) in angstrom.

        Raises:
            PotentialError: It failed, or gave a number that is not finite; the message names the frame.
        """
        z = _arguments.species(species)
        x = _arguments.floats(positions, "positions", (None, len(z), 3), "(frames, atoms, 3)")
        energies, forces = np.empty(len(x)), np.empty_like(x)
        with borrow(self, "potential", exclusive=True) as pointer:
            call(
                "bzd_potential_evaluate",
                pointer,
                len(x),
                len(z),
                z.ctypes.data,
                x.ctypes.data,
                energies.ctypes.data,
                forces.ctypes.data,
                keepers=keepers_of(self),
            )
        return energies, forces

    def info(self) -> dict[str, Any]:
        """Name, identity and, for a fitted one, the report of the fit."""
        text = Text()
        with borrow(self, "potential", exclusive=True) as pointer:
            call("bzd_potential_info", pointer, text.place)
        return text.json()

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.info()["name"])

    def save(self, path: StrPath) -> None:
        """Writes a fitted force field (.npz; of a plain fit in sGDML's layout), to be opened as "gdml:FILE".

        Raises:
            UnsupportedError: Another potential has nothing to write.
        """
        with borrow(self, "potential", exclusive=True) as pointer:
            call("bzd_potential_save", pointer, _arguments.path(path))

    def __reduce__(self) -> tuple[Any, ...]:
        if self._spec is None:
            raise TypeError(
                "only a potential opened by its name can be pickled: save a fit and open it as gdml:FILE"
            )
        return Potential.open, (self._spec,)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self.closed else self._spec or 'of a function'}>"


class _Callback:
    """The C functions of a Python potential."""

    ends = PotentialError

    def __init__(self, function: PotentialFunction) -> None:
        if not callable(function):
            raise TypeError(f"a potential needs a function, not {function!r}")
        self._function = function
        self._failure: BaseException | None = None
        self._status = 0
        self._message = ctypes.create_string_buffer(b"")
        self.evaluate = _library.EVALUATE(self._evaluate)
        self.last_error = _library.LAST_ERROR(self._last_error)

    def fill(self, species: Integers, positions: Floats, energies: Floats, forces: Floats) -> None:
        """Energies and forces of all frames, in place."""
        given = self._function(species, positions)
        try:
            e, f = given
        except (TypeError, ValueError):
            raise TypeError("the potential's function must return (energies, forces)") from None
        energies[:] = _answer(e, "energies", energies.shape)
        forces[:] = _answer(f, "forces", forces.shape)

    def _evaluate(
        self,
        _: int | None,
        systems: int,
        atoms: int,
        species: Any,
        positions: Any,
        cells: Any,
        energies: Any,
        forces: Any,
    ) -> int:
        try:
            _interrupt.deliver()
            shape = (systems, atoms, 3)
            # Copies: the function may keep its arguments, but the library's arrays are gone after the call.
            z = np.ctypeslib.as_array(species, (atoms,)).copy()
            x = np.ctypeslib.as_array(positions, shape).copy()
            self.fill(z, x, np.ctypeslib.as_array(energies, (systems,)), np.ctypeslib.as_array(forces, shape))
            return 0
        except BaseException as failure:
            # The library may go on after it, and says by this status whether it was the end.
            self._status += 1
            self._failure = failure
            return self._status

    def _last_error(self, _: int | None) -> int:
        try:
            failure = self._failure
            said = "" if failure is None else f"{type(failure).__name__}: {failure}"
            self._message = ctypes.create_string_buffer(said.replace("\0", " ").encode(errors="replace"))
        except BaseException:
            # The message is for the note only; the exception itself is kept and raised.
            self._message = ctypes.create_string_buffer(b"an exception that cannot be printed")
        return ctypes.addressof(self._message)

    @property
    def leaving(self) -> bool:
        """Whether it was left by KeyboardInterrupt or the like, which no frame is left out for."""
        return self._failure is not None and not isinstance(self._failure, Exception)

    def take(self, status: int = 0) -> BaseException | None:
        """The exception since the last call, once: an interrupt, or the one that this status stands for."""
        kept = self._failure if self.leaving or status == self._status else None
        self._failure, self._status = None, 0
        return kept


def _answer(value: npt.ArrayLike, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """What a function returned, refused where its shape or kind is wrong: broadcasting would hide it."""
    if np.ma.is_masked(value):
        _refuse(f"the potential's function returned {name} that are masked")
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        _refuse(f"the potential's function must return real {name}, not {array.dtype}")
    if array.shape != shape:
        _refuse(f"the potential's function returned {name} of shape {array.shape}, not {shape}")
    return array


def _refuse(message: str) -> NoReturn:
    raise InvalidError(message)
