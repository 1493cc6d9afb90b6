"""How time and memory grow with atoms, frames and samples: numbers, the exponents fitted to them, a plot."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Line = dict[str, list[float]]

FEWEST = 4
"""Points that an exponent is fitted to; half of them count."""

ATOMS = (3, 5, 9, 11, 20, 32, 59)
"""Water, methane, ethanol and straight alkanes."""
FRAMES = (1_000, 10_000, 100_000, 1_000_000)
SAMPLES = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
PART = 100_000
"""Samples that are drawn at once where there are more."""


def growth(seconds: Callable[..., float], most: float) -> dict[str, Line]:
    """x and seconds of every line; `seconds` times a case of ours. A line ends before a point that would take
    more than `most` seconds if it grew in proportion.
    """
    size = {"width": 256, "depth": 4}
    lines: dict[str, tuple[tuple[int, ...], Callable[[int], float]]] = {
        "atoms: a training step, sliced": (
            ATOMS,
            lambda n: seconds("training", method="sliced", steps=150, batch=512, atoms=n, **size),
        ),
        "atoms: a training step, FK": (
            ATOMS,
            lambda n: seconds("training", method="fk", steps=150, batch=256, atoms=n, width=512, depth=6),
        ),
        "atoms: 1,000 samples": (ATOMS, lambda n: seconds("sample", count=1_000, atoms=n, **size)),
        "frames: reading extended XYZ": (FRAMES, lambda n: seconds("reading", count=n)),
        "frames: all of an FK training but its steps": (FRAMES, lambda n: seconds("preparation", count=n)),
        "samples: sampling": (
            SAMPLES,
            lambda n: (
                seconds("sample", count=n, **size) if n <= PART else seconds("stream", count=n, part=PART)
            ),
        ),
    }
    return {name: drawn(points, time, most) for name, (points, time) in lines.items()}


def drawn(points: tuple[int, ...], time: Callable[[int], float], most: float) -> Line:
    """A line, as far as it goes in `most` seconds a point."""
    x: list[float] = []
    y: list[float] = []
    for point in points:
        if x and y[-1] * point / x[-1] > most:
            break
        y.append(time(point))
        x.append(float(point))
    return {"x": x, "y": y}


def memory(program: Path, model: str, trajectories: dict[int, str], folder: Path) -> dict[str, Line]:
    """Largest resident memory in MB of commands that read so many frames, or write so many samples."""
    reading: Line = {"x": [], "y": []}
    sampling: Line = {"x": [], "y": []}
    for count, path in trajectories.items():
        reading["x"].append(float(count))
        reading["y"].append(largest([program, "-q", "inspect", path]))
    for count in (1, 1_000, 10_000, 100_000, 1_000_000):
        out = folder / "samples.npz"
        sampling["x"].append(float(count))
        sampling["y"].append(largest([program, "-q", "sample", model, "-n", str(count), "-o", str(out)]))
        out.unlink()
    return {"frames: inspect": reading, "samples: sample": sampling}


def largest(command: list[Any]) -> float:
    """Largest resident memory of a command in MB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return used.ru_maxrss / 1e3


def exponent(x: list[float], y: list[float]) -> float:
    """Slope of log y over log x in the upper half of the points, where constant costs no longer count."""
    half = len(x) // 2
    return float(np.polyfit(np.log(x[half:]), np.log(np.maximum(y[half:], 1e-9)), 1)[0])


def plot(result: dict[str, Any], path: Path) -> str:
    """Writes the plot and returns the exponents as Markdown."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "boltzdrift"
    plt.rcParams["font.size"] = 8
    figure, panels = plt.subplots(2, 2, figsize=(8, 6.4), layout="constrained")
    places = dict(zip(("atoms", "frames", "samples", "memory"), panels.flat, strict=True))
    lines = ["\n| growth | threads | exponent | largest measured |", "|---|---|---|---|"]
    for threads, part in result["threads"].items():
        kinds = [("growth", "s"), *([("memory", "MB")] if "memory" in part else [])]
        for kind, unit in kinds:
            for name, line in part[kind].items():
                if len(line["x"]) < 2:
                    continue
                slope = (
                    f"{exponent(line['x'], line['y']):.2f}" if len(line["x"]) >= FEWEST else "too few points"
                )
                against, what = name.split(": ")
                panel = places["memory" if kind == "memory" else against]
                label = f"{what}, {threads} thread(s): {slope}"
                panel.loglog(line["x"], line["y"], "-" if threads == "1" else "--", marker=".", label=label)
                end = f"{line['x'][-1]:,.0f} {against}: {line['y'][-1]:.3g} {unit}"
                full = f"{what}, {'memory ' if kind == 'memory' else ''}against {against}"
                lines.append(f"| {full} | {threads} | {slope} | {end} |")
    for name, panel in places.items():
        panel.set(
            xlabel="frames or samples" if name == "memory" else name,
            ylabel="largest memory, MB" if name == "memory" else "seconds",
        )
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})
    return "\n".join(lines)
