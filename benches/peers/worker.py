"""A process that times cases one at a time: a JSON line in asks for one, a JSON line out has its times.

Cases live in `ours.py` and `theirs.py`, each in a Python environment of its own, so that neither library sees
the other's threads. The two take turns, so that both meet the same weather on the machine.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

Case = Callable[[], object]
"""Does the work once. What it returns may be a list of its own times in seconds, else the call is timed."""


def timed(case: Case, least: float = 0.05) -> dict[str, Any]:
    """Seconds of every call, of as many as fill `least` seconds."""
    times: list[float] = []
    end = time.perf_counter() + least
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        own = case()
        times += own if isinstance(own, list) else [time.perf_counter() - start]
    return {"seconds": times}


def serve(cases: dict[str, Callable[..., Case]]) -> None:
    """Answers requests until standard input ends; a case is prepared, and run once, at its first request."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ready: dict[str, Case] = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if line not in ready:
                ready[line] = cases[request["case"]](**request["arguments"])
                ready[line]()
            answer = timed(ready[line])
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
