"""How the cost grows with atoms, frames and samples: times, the exponents fitted to them, and a plot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CARBONS = (1, 2, 3, 6, 10, 19)
"""Straight alkanes of 5 to 59 atoms."""
FRAMES = (1_000, 3_000, 10_000, 30_000)
SAMPLES = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)


def growth(seconds: Callable[..., float]) -> dict[str, dict[str, list[float]]]:
    """x and seconds of every line; `seconds` times a case of ours."""
    atoms = [3.0 * c + 2 for c in CARBONS]
    return {
        "training step, sliced, against atoms": {
            "x": atoms,
            "y": [seconds("training", method="sliced", steps=150, carbons=c) for c in CARBONS],
        },
        "1,000 samples against atoms": {
            "x": atoms,
            "y": [seconds("sample", count=1_000, width=256, depth=4, carbons=c) for c in CARBONS],
        },
        "reading extended XYZ against frames": {
            "x": [float(n) for n in FRAMES],
            "y": [seconds("reading", count=n) for n in FRAMES],
        },
        "feature forces against frames": {
            "x": [float(n) for n in FRAMES],
            "y": [seconds("feature_forces", count=n) for n in FRAMES],
        },
        "sampling against samples": {
            "x": [float(n) for n in SAMPLES],
            "y": [seconds("sample", count=n, width=256, depth=4) for n in SAMPLES],
        },
    }


def exponent(x: list[float], y: list[float]) -> float:
    """Slope of log y over log x in the upper half of the points, where constant costs no longer count."""
    half = len(x) // 2
    return float(np.polyfit(np.log(x[half:]), np.log(np.maximum(y[half:], 1e-9)), 1)[0])


def plot(result: dict[str, Any], path: Path) -> str:
    """Writes the plot and returns the exponents as Markdown."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5))
    lines = ["\n| growth | threads | exponent | largest measured |", "|---|---|---|---|"]
    for threads, part in result["threads"].items():
        for name, line in part["growth"].items():
            slope = exponent(line["x"], line["y"])
            label = f"{name}, {threads} thread(s): {slope:.2f}"
            style = "-" if threads == "1" else "--"
            axes.loglog(line["x"], line["y"], style, marker="o", label=label)
            lines.append(
                f"| {name} | {threads} | {slope:.2f} | {line['x'][-1]:,.0f}: {line['y'][-1]:.3g} s |"
            )
            if name.startswith("sampling"):
                far = line["y"][-1] * 1e8 / line["x"][-1]
                lines.append(
                    f"| {name}, extrapolated in proportion | {threads} | | 100,000,000: {far:.0f} s |"
                )
    axes.set_xlabel("atoms, frames or samples")
    axes.set_ylabel("seconds")
    axes.legend(fontsize=6)
    axes.grid(alpha=0.3)
    figure.savefig(path)
    return "\n".join(lines)
