"""The exceptions of boltzdrift: one for each status of the C interface, and those of Python's own side."""

from __future__ import annotations


class BoltzdriftError(Exception):
    """Any error of boltzdrift."""


class InvalidError(BoltzdriftError, ValueError):
    """The call is wrong: a shape, a temperature, a setting."""


class DataError(BoltzdriftError):
    """A file or a number is not what it must be."""


class UnsupportedError(BoltzdriftError):
    """Not there: in this build of the library, or in this object."""


class InternalError(BoltzdriftError):
    """A mistake of the library."""


class PotentialError(BoltzdriftError):
    """A potential failed or gave no finite answer. An exception of a Python potential comes out as itself
    instead.

    `status` is what the potential's function returned, 0 where it returned success.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[type[PotentialError], tuple[str, int]]:
        return type(self), (str(self), self.status)


class InterruptedWork(BoltzdriftError):
    """A progress function asked to stop by returning False."""


class ClosedError(BoltzdriftError, ValueError):
    """The object was closed."""


class BusyError(BoltzdriftError, RuntimeError):
    """The object is used by a call that is not over."""


class ForkError(UnsupportedError, RuntimeError):
    """Not in a forked process: training, fitting, TorchScript, or an object that another thread was just
    changing when the process was forked.
    """


BY_STATUS: dict[int, type[BoltzdriftError]] = {
    1: InvalidError,
    2: DataError,
    3: UnsupportedError,
    4: InternalError,
    6: InterruptedWork,
}
