"""The library's log, as Python's logging."""

from __future__ import annotations

import logging
import threading
import traceback
from typing import Any

from . import _arguments, _library
from ._call import call
from .errors import BusyError

LOGGER = logging.getLogger("boltzdrift")
"""Where the log goes: warnings of files and fits, what a training runs on."""

_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}


_inside = threading.local()


def _heard(_: int | None, level: int, message: bytes) -> None:
    # Also called from the library's own threads. An exception here has nobody to go to, so none
    # of a handler's leaves.
    _inside.on = True
    try:
        LOGGER.log(_LEVELS.get(level, logging.INFO), "%s", bytes(message).decode(errors="replace"))
    except Exception:
        traceback.print_exc()
    finally:
        _inside.on = False


_CALLBACK: Any = _library.LOG(_heard)


def set_log_level(level: int) -> None:
    """Sends the library's log up to a level to the logger "boltzdrift": 0 none, 1 errors, 2 warnings, 3
    information, 4 details. Warnings and errors are sent from the start.

    Raises:
        InvalidError: The level is none of these.
        BusyError: A handler of the log calls this.
        UnsupportedError: The library's log belongs to another logger in this process.
    """
    if getattr(_inside, "on", False):
        raise BusyError("the log level cannot be set by a handler of the log")
    level = _arguments.count(level, "level", 0, 4)
    call("bzd_set_log", _CALLBACK, None, level)
