"""What owns an object of the library: freed once, never while it is used, never in a fork."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from . import _library
from .errors import BusyError, ClosedError


class Handle:
    """An object of the library. Many threads may read it at once; one that changes it has it alone."""

    def __init__(self, what: str, free: str) -> None:
        self.what = what
        self.pointer = ctypes.c_void_p()
        self._free: Callable[[ctypes.c_void_p], None] = getattr(_library.LIBRARY, free)
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._readers: list[int] = []
        self._writer: int | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def _wait_for_turn(self, me: int, exclusive: bool) -> None:
        if self._writer == me or (exclusive and me in self._readers):
            raise BusyError(f"this {self.what} is used by the call that this one is made from")
        while self._writer is not None or (exclusive and self._readers):
            self._changed.wait()

    @contextmanager
    def borrowed(self, exclusive: bool = False) -> Iterator[ctypes.c_void_p]:
        """The pointer, for one call. Waits for other threads; a callback may not use what its own caller
        changes.
        """
        _library.check_process()
        me = threading.get_ident()
        with self._changed:
            self._wait_for_turn(me, exclusive)
            if self._closed or not self.pointer:
                raise ClosedError(f"this {self.what} was closed")
            if exclusive:
                self._writer = me
            else:
                self._readers.append(me)
        try:
            yield self.pointer
        finally:
            with self._changed:
                if exclusive:
                    self._writer = None
                else:
                    self._readers.remove(me)
                self._changed.notify_all()

    def close(self) -> None:
        """Frees the object. A second time does nothing."""
        if self._process != os.getpid():
            self._closed = True
            return
        with self._changed:
            if self._writer is not None or self._readers:
                raise BusyError(f"this {self.what} is used by a call that is not over")
            self._closed = True
            pointer, self.pointer = self.pointer, ctypes.c_void_p()
        if pointer:
            self._free(pointer)

    def __del__(self) -> None:
        # A call that uses the object refers to it, so nobody does here. A fork leaves the memory alone.
        if getattr(self, "pointer", None) and self._process == os.getpid():
            self._free(self.pointer)


class Owner:
    """Base of the classes that own one object of the library."""

    _handle: Handle
    _keepers: tuple[Any, ...] = ()

    def close(self) -> None:
        """Frees the memory now instead of with the last reference; raises BusyError while a call uses the
        object.
        """
        self._handle.close()

    @property
    def closed(self) -> bool:
        """Whether the object was closed."""
        return self._handle.closed


def borrow(owner: Any, what: str, exclusive: bool = False) -> AbstractContextManager[ctypes.c_void_p]:
    """The pointer of an argument, which must be of this kind: C takes any pointer for what it expects."""
    handle = getattr(owner, "_handle", None)
    if not isinstance(owner, Owner) or not isinstance(handle, Handle) or handle.what != what:
        raise TypeError(f"give a {what.capitalize()}, not {owner!r}")
    return handle.borrowed(exclusive)


def keepers(owner: Any) -> tuple[Any, ...]:
    """The Python functions behind an object, which keep their exceptions."""
    return tuple(getattr(owner, "_keepers", ()))
