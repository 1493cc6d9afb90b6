"""Frames of one molecule."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _arguments
from ._arguments import Floats, Integers, StrPath
from ._call import Text, call
from ._handle import Handle, Owner, borrow
from ._handle import keepers as keepers_of
from .errors import UnsupportedError
from .progress import Listener, ProgressFunction
from .units import unit

if TYPE_CHECKING:
    from ase import Atoms

    from .potential import Potential


class Dataset(Owner):
    """Positions of one molecule in many frames, with forces, energies and velocities where there are any.

    Numbers are in angstrom, kcal/mol, fs and amu. The arrays are copies: changing them does not change the
    frames.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    @classmethod
    def read(
        cls,
        path: StrPath,
        *,
        units: str | None = None,
        length_unit: str | None = None,
        energy_unit: str | None = None,
        force_unit: str | None = None,
        types: list[str] | None = None,
        select: str | None = None,
        frames: str | None = None,
        format: str | None = None,
        need_forces: bool = False,
        progress: ProgressFunction | bool | None = None,
    ) -> Dataset:
        """Reads a LAMMPS dump, extended XYZ, .npz of MD17 or sGDML, or a format of chemfiles.

        Args:
            path: The file.
            units: Unit style of a file that does not declare its own: "real", "metal", ...
            length_unit: Unit of length, for example "nm".
            energy_unit: Unit of energy, for example "eV".
            force_unit: Unit of force, where it is not energy over length.
            types: Elements of LAMMPS' types 1, 2, 3, ...
            select: One molecule of a larger system as a chemfiles selection, for example "index < 9".
            frames: START:STOP:STEP, counted from 0.
            format: Where the name and content do not tell.
            need_forces: Whether a file without forces is an error.
            progress: Hears of the frames read.

        Raises:
            DataError: The file is missing or damaged, or declares no units where none are given.
        """
        reading = _arguments.settings(
            units=units,
            length_unit=length_unit,
            energy_unit=energy_unit,
            force_unit=force_unit,
            types=None if types is None else list(types),
            select=select,
            frames=frames,
            format=format,
            need_forces=need_forces or None,
        )
        handle, listener = Handle("dataset", "bzd_dataset_free"), Listener(progress)
        place = ctypes.byref(handle.pointer)
        try:
            call(
                "bzd_dataset_read",
                _arguments.path(path),
                reading,
                listener.callback,
                None,
                place,
                keepers=(listener,),
            )
        finally:
            listener.close()
        return cls(handle)

    @classmethod
    def from_arrays(
        cls,
        species: npt.ArrayLike,
        positions: npt.ArrayLike,
        *,
        forces: npt.ArrayLike | None = None,
        energies: npt.ArrayLike | None = None,
        velocities: npt.ArrayLike | None = None,
        masses: npt.ArrayLike | None = None,
        length_unit: str = "angstrom",
        energy_unit: str = "kcal/mol",
    ) -> Dataset:
        """Frames from arrays, which are copied. The molecule must be whole.

        Args:
            species: Atomic numbers (atoms).
            positions: (frames, atoms, 3) in `length_unit`.
            forces: (frames, atoms, 3) in `energy_unit` per `length_unit`.
            energies: (frames) in `energy_unit`.
            velocities: (frames, atoms, 3) in `length_unit` per fs.
            masses: (atoms) in amu; those of the elements where None.

        Raises:
            InvalidError: A shape, a unit, or a number that is not finite.
        """
        z = _arguments.species(species)
        length, energy = unit(length_unit, "length"), unit(energy_unit, "energy")
        x = _arguments.floats(positions, "positions", (None, len(z), 3), "(frames, atoms, 3)")

        def optional(
            value: npt.ArrayLike | None, name: str, shape: tuple[int, ...], axes: str
        ) -> Floats | None:
            return None if value is None else _arguments.floats(value, name, shape, axes)

        f = optional(forces, "forces", x.shape, "(frames, atoms, 3)")
        e = optional(energies, "energies", x.shape[:1], "(frames)")
        v = optional(velocities, "velocities", x.shape, "(frames, atoms, 3)")
        m = optional(masses, "masses", (len(z),), "(atoms)")
        if (length, energy) != (1.0, 1.0):
            x, v = x * length, None if v is None else v * length
            f, e = None if f is None else f * (energy / length), None if e is None else e * energy
        handle = Handle("dataset", "bzd_dataset_free")
        pointers = [None if array is None else array.ctypes.data for array in (f, e, m)]
        place = ctypes.byref(handle.pointer)
        call("bzd_dataset_from_arrays", len(x), len(z), z.ctypes.data, x.ctypes.data, *pointers, place)
        made = cls(handle)
        if v is not None:
            call("bzd_dataset_set_velocities", handle.pointer, v.ctypes.data, v.size)
        return made

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of frames and atoms."""
        frames, atoms = ctypes.c_size_t(), ctypes.c_size_t()
        with borrow(self, "dataset") as pointer:
            call("bzd_dataset_size", pointer, ctypes.byref(frames), ctypes.byref(atoms))
        return frames.value, atoms.value

    def __len__(self) -> int:
        return self.shape[0]

    def _floats(self, function: str, shape: tuple[int, ...]) -> Floats:
        array = np.empty(shape)
        with borrow(self, "dataset") as pointer:
            call(function, pointer, array.ctypes.data, array.size)
        return array

    def _optional(self, function: str, shape: tuple[int, ...]) -> Floats | None:
        try:
            return self._floats(function, shape)
        except UnsupportedError:
            return None

    @property
    def species(self) -> Integers:
        """Atomic numbers (atoms)."""
        numbers = np.empty(self.shape[1], dtype=np.int32)
        with borrow(self, "dataset") as pointer:
            call("bzd_dataset_species", pointer, numbers.ctypes.data, numbers.size)
        return numbers

    @property
    def masses(self) -> Floats:
        """Masses (atoms) in amu."""
        return self._floats("bzd_dataset_masses", self.shape[1:])

    @property
    def positions(self) -> Floats:
        """(frames, atoms, 3) in angstrom."""
        return self._floats("bzd_dataset_positions", (*self.shape, 3))

    @property
    def forces(self) -> Floats | None:
        """(frames, atoms, 3) in kcal/mol/angstrom; None where the frames have none."""
        return self._optional("bzd_dataset_forces", (*self.shape, 3))

    @property
    def energies(self) -> Floats | None:
        """(frames) in kcal/mol; None where the frames have none."""
        return self._optional("bzd_dataset_energies", self.shape[:1])

    @property
    def velocities(self) -> Floats | None:
        """(frames, atoms, 3) in angstrom/fs; None where the frames have none."""
        return self._optional("bzd_dataset_velocities", (*self.shape, 3))

    def set_velocities(self, velocities: npt.ArrayLike) -> None:
        """Gives the frames velocities (frames, atoms, 3) in angstrom/fs, in place of those they have."""
        v = _arguments.floats(velocities, "velocities", (*self.shape, 3), "(frames, atoms, 3)")
        with borrow(self, "dataset", exclusive=True) as pointer:
            call("bzd_dataset_set_velocities", pointer, v.ctypes.data, v.size)

    def write(self, path: StrPath) -> None:
        """Writes the frames, through a temporary file; the extension tells the format."""
        with borrow(self, "dataset") as pointer:
            call("bzd_dataset_write", pointer, _arguments.path(path))

    def inspect(self, temperature: float | None = None) -> dict[str, Any]:
        """What the frames hold: atoms, bonds, symmetry, thermometer, warnings.

        Args:
            temperature: Kelvin that the run was meant to have, to be compared.
        """
        kelvin = 0.0 if temperature is None else _arguments.kelvin(temperature)
        text = Text()
        with borrow(self, "dataset") as pointer:
            call("bzd_dataset_inspect", pointer, kelvin, text.place)
        return text.json()

    def label(self, potential: Potential, progress: ProgressFunction | bool | None = None) -> None:
        """Energies and forces of all frames from a potential, in place of those they have.

        After a failure the frames are as they were, and the potential keeps what is done: the next call with
        the same two goes on there, `labelled` gives it.

        Raises:
            PotentialError: It failed; the message names the frame. An exception of a Python potential comes
                out as itself.
        """
        listener = Listener(progress)
        keepers = (*keepers_of(potential), listener)
        try:
            with (
                borrow(self, "dataset", exclusive=True) as pointer,
                borrow(potential, "potential", exclusive=True) as field,
            ):
                call("bzd_dataset_label", pointer, field, listener.callback, None, keepers=keepers)
        finally:
            listener.close()

    def labelled(self, potential: Potential) -> Dataset:
        """The frames that the last `label` with this potential had done when it failed or was stopped, with
        their labels.

        Raises:
            UnsupportedError: There are none.
        """
        done = Handle("dataset", "bzd_dataset_free")
        with (
            borrow(self, "dataset") as pointer,
            borrow(potential, "potential", exclusive=True) as field,
        ):
            call("bzd_dataset_labelled", pointer, field, ctypes.byref(done.pointer))
        return Dataset(done)

    def label_to(
        self,
        path: StrPath,
        potential: Potential,
        *,
        batch: int | None = None,
        skip_failing: bool = False,
        progress: ProgressFunction | bool | None = None,
    ) -> dict[str, Any]:
        """Writes the frames with energies and forces from a potential to a file, as `boltzdrift label`.

        What is done lies in `path` + ".partial" until the file is whole. After a failure, Ctrl-C or a kill
        the same call goes on there: with the same frames and a potential of the same identity.

        Args:
            path: .npz, .xyz, or .lammpstrj, which has no place for energies.
            potential: Any potential.
            batch: Frames of a call; 64 where None.
            skip_failing: Leave out the frames on which the potential fails, instead of stopping at the
                first.
            progress: True for a bar, or a function of a `Progress`.

        Returns:
            "frames" written, "kept_before" by earlier calls, the numbers of those "left_out", and the
            "difference" from labels that they had.

        Raises:
            PotentialError: It failed; the message names the frame. An exception of a Python potential comes
                out as itself.
            InvalidError: The format has no forces, or the partial results are of other frames or another
                potential.
        """
        given = _arguments.settings(
            batch=None if batch is None else _arguments.count(batch, "batch", 1),
            skip_failing=skip_failing,
        )
        text, own = Text(), keepers_of(potential)
        listener = Listener(progress, lambda: any(keeper.leaving for keeper in own))
        try:
            with (
                borrow(self, "dataset") as pointer,
                borrow(potential, "potential", exclusive=True) as field,
            ):
                call(
                    "bzd_dataset_label_to",
                    pointer,
                    field,
                    _arguments.path(path),
                    given,
                    listener.callback,
                    None,
                    text.place,
                    keepers=(*own, listener),
                )
        finally:
            listener.close()
        return text.json()

    def atoms(self, frame: int) -> Atoms:
        """One frame as ase.Atoms, with its energy and forces in a SinglePointCalculator; needs ASE."""
        from .ase.convert import atoms_of_dataset

        return atoms_of_dataset(self, [_arguments.count(frame, "frame", 0, len(self) - 1)])[0]

    def __reduce__(self) -> tuple[Any, ...]:
        arrays = (self.species, self.positions, self.forces, self.energies, self.velocities, self.masses)
        return _unpickled, arrays

    def __repr__(self) -> str:
        if self.closed:
            return "<Dataset closed>"
        return "<Dataset of {} frames of {} atoms>".format(*self.shape)


def _unpickled(
    species: Integers,
    positions: Floats,
    forces: Floats | None,
    energies: Floats | None,
    velocities: Floats | None,
    masses: Floats,
) -> Dataset:
    return Dataset.from_arrays(
        species, positions, forces=forces, energies=energies, velocities=velocities, masses=masses
    )
