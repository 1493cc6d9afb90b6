"""What owns an object of the library: freed once, never while it is used, and by the process that made it.

A forked process has the objects of its parent, and may use them: they are its own copies. It has only the
thread that forked, so what other threads had borrowed is given back.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from . import _library
from .errors import BusyError, ClosedError, ForkError

_alive: weakref.WeakSet[Handle] = weakref.WeakSet()


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
        self._torn = False
        _alive.add(self)

    def inherit(self) -> None:
        """In a forked process: other threads are gone, with what they had borrowed."""
        me = threading.get_ident()
        self._changed = threading.Condition()
        self._readers = [reader for reader in self._readers if reader == me]
        if self._writer not in (None, me):
            self._writer, self._torn = None, True

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
        me = threading.get_ident()
        with self._changed:
            self._wait_for_turn(me, exclusive)
            if self._closed or not self.pointer:
                raise ClosedError(f"this {self.what} was closed")
            if self._torn:
                raise ForkError(
                    f"this process was forked: another thread was changing this {self.what} then; use one "
                    "of this process's own"
                )
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
        # A call that uses the object refers to it, so nobody does here. A fork leaves its parent's objects
        # alone: a plug-in may end something outside the process with them.
        if getattr(self, "pointer", None) and self._process == os.getpid():
            self._free(self.pointer)


def _inherit() -> None:
    for handle in list(_alive):
        handle.inherit()


os.register_at_fork(after_in_child=_inherit)


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
