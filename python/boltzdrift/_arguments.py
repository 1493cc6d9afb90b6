"""Arguments of the caller, converted or refused by name before C sees them."""

from __future__ import annotations

import json
import math
import operator
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int32]
StrPath = str | os.PathLike[str]


def count(value: Any, name: str, least: int = 0, most: int = 2**63 - 1) -> int:
    """A whole number in a range: ctypes would wrap one that is not."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if not least <= number <= most:
        raise InvalidError(f"{name} is {number}: give {least} to {most}")
    return number


def stream(seed: Any, first: Any, number: int) -> tuple[int, int]:
    """A seed and the number of its first sample, so that the last one is a number of 64 bits too."""
    seed = count(seed, "seed", 0, 2**64 - 1)
    return seed, count(first, "first", 0, 2**64 - 1 - number)


def real(value: Any, name: str) -> float:
    """A finite number."""
    if isinstance(value, bool | np.bool_ | str | bytes):
        raise TypeError(f"{name} must be a number, not {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} must be a number, not {value!r}") from None
    if not math.isfinite(number):
        raise InvalidError(f"{name} is {number}: give a finite number")
    return number


def kelvin(value: Any) -> float:
    """A positive temperature."""
    number = real(value, "temperature")
    if number <= 0.0:
        raise InvalidError(f"temperature is {number} K: give a positive one")
    return number


def text(value: Any, name: str) -> bytes:
    """A string for C, which ends at the first zero byte."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    if "\0" in value:
        raise InvalidError(f"{name} has a zero byte in it: {value!r}")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise InvalidError(f"{name} is not UTF-8: {value!r}") from None


def path(value: Any) -> bytes:
    """A file's name for C."""
    return text(os.fsdecode(os.fspath(value)), "path")


def floats(value: Any, name: str, shape: tuple[int | None, ...], axes: str) -> Floats:
    """Finite float64, row-major, of a shape; None stands for any length. Not copied where it is so
    already.
    """
    try:
        given = np.asarray(value)
    except ValueError as error:
        raise InvalidError(f"{name}: give an array of shape {axes}: {error}") from None
    if given.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, not {given.dtype}")
    fits = given.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, given.shape, strict=True)
    )
    if not fits:
        wanted = tuple("any" if want is None else want for want in shape)
        raise InvalidError(f"{name} has shape {given.shape}: give {axes} = {wanted}".replace("'", ""))
    array = np.ascontiguousarray(given, dtype=np.float64)
    if not np.isfinite(array).all():
        where = ", ".join(map(str, np.argwhere(~np.isfinite(array))[0]))
        raise InvalidError(f"{name}[{where}] is not finite")
    return array


def species(value: Any, atoms: int | None = None) -> Integers:
    """Atomic numbers, 1 to 118."""
    try:
        given = np.asarray(value)
    except ValueError:
        raise InvalidError("species: give one atomic number per atom") from None
    if given.dtype.kind not in "iu":
        raise TypeError(f"species must be atomic numbers (whole numbers), not {given.dtype}")
    if given.ndim != 1 or given.size == 0 or (atoms is not None and len(given) != atoms):
        wanted = "one number per atom" if atoms is None else f"{atoms} numbers"
        raise InvalidError(f"species has shape {given.shape}: give {wanted}")
    if given.min() < 1 or given.max() > 118:
        atom = int(np.argmax((given < 1) | (given > 118)))
        raise InvalidError(f"species of atom {atom} is {given[atom]}: give an atomic number, 1 to 118")
    return np.ascontiguousarray(given, dtype=np.int32)


def pairs(value: Any, atoms: int) -> Integers:
    """Bonds as (count, 2) numbers of atoms."""
    given = np.asarray(value)
    if given.size == 0:
        given = np.zeros((0, 2), dtype=np.int32)
    if given.dtype.kind not in "iu" or given.ndim != 2 or given.shape[1] != 2:
        raise InvalidError(
            f"bonds are {given.dtype} of shape {given.shape}: give (bonds, 2) numbers of atoms"
        )
    if given.size and (given.min() < 0 or given.max() >= atoms):
        raise InvalidError(
            f"bonds name atom {int(given.max())} or {int(given.min())}: there are 0 to {atoms - 1}"
        )
    return np.ascontiguousarray(given, dtype=np.int32)


def settings(**given: Any) -> bytes:
    """Settings as JSON, those that are None left out for their defaults."""
    chosen = {}
    for name, value in given.items():
        if value is None:
            continue
        plain = value.item() if isinstance(value, np.generic) else value
        if isinstance(plain, float) and not math.isfinite(plain):
            raise InvalidError(f"{name} is {plain}: give a finite number")
        if not isinstance(plain, bool | int | float | str | list):
            raise TypeError(f"{name} must be a number, a string or a truth value, not {type(value).__name__}")
        chosen[name] = plain
    return text(json.dumps(chosen), "settings")
