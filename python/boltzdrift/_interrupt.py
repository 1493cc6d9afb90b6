"""Ctrl-C during a call of the library.

A Python signal handler runs at the start of the next Python function, here a callback that C called: an
exception raised there, before any `try` of that function, is printed and lost. So the signal is only noted
while a call is on, and the handler that was there runs inside the callbacks' own `try`, or when the call is
over.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_depth = 0
_noted: FrameType | None = None
_is_noted = False
_before: object = None
_thread = 0


def _note(_number: int, frame: FrameType | None) -> None:
    global _noted, _is_noted
    _noted, _is_noted = frame, True


def deliver() -> None:
    """Runs the handler of a Ctrl-C that came since the call began; raises what it raises, KeyboardInterrupt
    as a rule.
    """
    global _noted, _is_noted
    if not _is_noted or threading.current_thread() is not threading.main_thread():
        return
    frame, _noted, _is_noted = _noted, None, False
    if callable(_before):
        _before(signal.SIGINT, frame)


def _inherit() -> None:
    """In a process forked by another thread: the call that noted Ctrl-C is not on here."""
    global _depth, _is_noted
    if _depth > 0 and threading.get_ident() != _thread:
        _depth, _is_noted = 0, False
        signal.signal(signal.SIGINT, _before)  # type: ignore[arg-type]


os.register_at_fork(after_in_child=_inherit)


@contextmanager
def deferred() -> Iterator[None]:
    """Notes Ctrl-C while the block runs, and delivers it at its end if nobody did. Calls may be nested."""
    global _depth, _before, _thread
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if _depth == 0:
        handler = signal.getsignal(signal.SIGINT)
        # SIG_DFL ends the process, SIG_IGN ignores, and a handler set from C is not ours to call: all stay.
        if not callable(handler):
            yield
            return
        _before, _thread = handler, threading.get_ident()
        signal.signal(signal.SIGINT, _note)
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if _depth == 0:
            signal.signal(signal.SIGINT, _before)  # type: ignore[arg-type]
            deliver()
