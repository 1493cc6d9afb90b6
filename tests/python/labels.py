"""Labels that are cut off and go on, by a function: the program of tests/c/labels.c, with an exception for a
failure.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from boltzdrift import Dataset, Potential, UnsupportedError

Floats = npt.NDArray[np.float64]


class OwnError(Exception):
    """Raised at the faulty frame."""


def main(folder: Path, fault: str, frame: int) -> int:
    """Labels, and says how it ended."""
    faults = [fault]

    def springs(_species: object, x: Floats) -> tuple[Floats, Floats]:
        number = round(100.0 * (x[0, 0, 0] - 1.0))
        if number == frame and faults != ["none"]:
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "memory":
                faults[0] = "none"
            raise OwnError(number)
        with (folder / "log").open("a") as log:
            log.write(f"{number}\n")
        # Row by row in the order of memory, as the programs in C and C++ add.
        return np.array([sum(v * v for v in x[0].ravel())]), -2.0 * x

    data = Dataset.read(folder / "data.npz")
    potential = Potential.from_function(springs, name="springs", largest_batch=1)
    if fault != "memory":
        try:
            print(json.dumps(data.label_to(folder / "out.npz", potential, batch=16)))
        except OwnError as error:
            print(f"threw {error}: {error.__notes__[0]}")
            return 3
        return 0
    try:
        data.labelled(potential)
        return 1
    except UnsupportedError:
        pass
    try:
        data.label(potential)
        return 1
    except OwnError as error:
        print(f"threw {error}: {error.__notes__[0]}")
    data.labelled(potential).write(folder / "part.npz")
    data.label(potential)
    data.write(folder / "out.npz")
    try:
        data.labelled(potential)
        return 1
    except UnsupportedError:
        return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
