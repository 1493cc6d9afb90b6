"""Progress of long calls, and the bar that shows it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import _interrupt
from ._library import PROGRESS
from .errors import InterruptedWork


@dataclass(frozen=True)
class Progress:
    """How far a long call is.

    Attributes:
        stage: "reading", "labeling", "fitting", "equilibrating", "training", "sampling",
            "refining", "dynamics" or "release".
        done: Frames, tries, evaluations, steps or samples done.
        total: Of them in all, at most; None where that is not known.
        value: The loss in training, the largest split-R-hat in an equilibration, else None.
    """

    stage: str
    done: int
    total: int | None
    value: float | None


ProgressFunction = Callable[[Progress], object]
"""Hears of progress. Returning False stops the call with InterruptedWork; an exception stops it and comes out
as itself.
"""

_NAMES = {"training": "loss", "equilibrating": "R-hat"}


class ProgressBar:
    """A tqdm bar for each stage: `train(..., progress=ProgressBar())`, or `progress=True`.

    Args:
        tqdm: The class of the bars; `tqdm.auto.tqdm` where None, which suits terminals and notebooks.
        options: Further arguments of the bars, for example `disable=True` or `file=...`.
    """

    def __init__(self, tqdm: Callable[..., Any] | None = None, **options: Any) -> None:
        if tqdm is None:
            try:
                from tqdm.auto import tqdm as chosen
            except ImportError:
                raise ImportError(
                    "a progress bar needs the package tqdm: install it, or give a function"
                ) from None
            tqdm = chosen
        self._tqdm = tqdm
        self._options = options
        self._bar: Any = None
        self._stage = ""

    def __call__(self, progress: Progress) -> None:
        """Moves the bar; a new stage has a new one."""
        if self._bar is None or progress.stage != self._stage:
            self.close()
            self._stage = progress.stage
            self._bar = self._tqdm(total=progress.total, desc=progress.stage, **self._options)
        if progress.value is not None:
            self._bar.set_postfix(
                {_NAMES.get(progress.stage, "value"): f"{progress.value:.4g}"}, refresh=False
            )
        self._bar.update(progress.done - self._bar.n)
        if progress.total is not None and progress.done >= progress.total:
            self.close()

    def close(self) -> None:
        """Ends the bar of the last stage."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Listener:
    """The C function that hears of progress, and delivers Ctrl-C whether anyone listens or not.

    Args:
        function: Who listens.
        leaving: Whether a potential was left by an interrupt, which stops the call.
    """

    ends = InterruptedWork

    def __init__(
        self, function: ProgressFunction | bool | None, leaving: Callable[[], bool] | None = None
    ) -> None:
        self._bar = None
        if function is True:
            self._bar = function = ProgressBar()
        if function is not None and function is not False and not callable(function):
            raise TypeError(f"progress must be a function, True or None, not {function!r}")
        self._function = function or None
        self._leaving = leaving or (lambda: False)
        self._failure: BaseException | None = None
        self.callback = PROGRESS(self._hear)

    def tell(self, progress: Progress) -> bool:
        """Whether to go on."""
        _interrupt.deliver()
        return self._function is None or self._function(progress) is not False

    def _hear(self, _: int | None, pointer: Any) -> int:
        try:
            if self._leaving():
                return 1
            now = pointer.contents
            value = None if math.isnan(now.value) else float(now.value)
            return 0 if self.tell(Progress(now.stage.decode(), now.done, now.total or None, value)) else 1
        except BaseException as failure:
            self._failure = failure
            return 1

    def take(self, status: int = 0) -> BaseException | None:
        """The exception of the function, once."""
        kept, self._failure = self._failure, None
        return kept

    def close(self) -> None:
        """Ends the bar that was made here, and lets go of the C function, which refers to this object."""
        del self.callback
        if self._bar is not None:
            self._bar.close()
