"""One way into the library: calls, statuses, strings."""

from __future__ import annotations

import ctypes
import json
import os
from typing import Any, Protocol

from . import _interrupt, _library
from .errors import BY_STATUS, BoltzdriftError, ForkError, InternalError, PotentialError

_UNSUPPORTED, _POTENTIAL = 3, 5
_FORKED = "this process was forked: "


class Keeper(Protocol):
    """A Python function that C calls, and that keeps the exception it ended with."""

    @property
    def ends(self) -> type[BoltzdriftError]:
        """What the library says of a call that such an exception has ended."""

    def take(self, status: int = 0) -> BaseException | None:
        """The exception since the last call, once; of a potential, the one that this status stands for."""


def _error(status: int) -> BoltzdriftError:
    message = bytes(_library.LIBRARY.bzd_last_error() or b"").decode(errors="replace")
    if status == _UNSUPPORTED and message.startswith(_FORKED):
        return ForkError(message)
    if status == _POTENTIAL:
        return PotentialError(message, int(_library.LIBRARY.bzd_last_potential_status()))
    return BY_STATUS.get(status, InternalError)(message)


def call(name: str, *arguments: Any, keepers: tuple[Keeper, ...] = ()) -> None:
    """Calls a function of the library without the GIL.

    The exception of one of the `keepers` that ended the call comes out as itself, with the library's message
    as a note; any other failure as the exception of its status.
    """
    for keeper in keepers:
        keeper.take()
    with _interrupt.deferred():
        status = getattr(_library.LIBRARY, name)(*arguments)
        failure = _error(status) if status != 0 else None
    own = failure.status if isinstance(failure, PotentialError) else 0
    for keeper in keepers:
        kept = keeper.take(own)
        # A potential may fail on a frame that is then left out; an interrupt is never swallowed.
        if kept is not None and (isinstance(failure, keeper.ends) or not isinstance(kept, Exception)):
            if failure is not None:
                kept.add_note(str(failure))
            raise kept
    if failure is not None:
        raise failure


def call_alone(name: str, *arguments: Any) -> None:
    """Calls a function that calls nothing back, neither a potential nor progress nor the log.

    No Python runs inside, so Ctrl-C is left to Python, which delivers it when the call is over: setting the
    handler aside and back takes as long as drawing a sample.
    """
    status = getattr(_library.LIBRARY, name)(*arguments)
    if status != 0:
        raise _error(status)


class Text:
    """A place for a string of the library, which is freed whatever happens."""

    def __init__(self) -> None:
        self._pointer = ctypes.c_void_p()
        self._process = os.getpid()

    @property
    def place(self) -> Any:
        """Where the library puts the string."""
        return ctypes.byref(self._pointer)

    def json(self) -> dict[str, Any]:
        """The string as JSON."""
        if not self._pointer:
            raise InternalError("the library gave no text")
        found = json.loads(ctypes.string_at(self._pointer.value or 0).decode())
        if not isinstance(found, dict):
            raise InternalError("the library gave no JSON object")
        return found

    def __del__(self) -> None:
        if self._pointer and self._process == os.getpid():
            _library.LIBRARY.bzd_string_free(self._pointer)
