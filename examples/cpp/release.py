"""Draws the release test of `driver release MODEL --csv release.csv`: release.py release.csv release.svg

Needs matplotlib.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

COLORS = {"refined seeds": "C0", "raw seeds": "C1", "frames of the run": "C2", "minimized starts": "C3"}


def main(source: str, target: str) -> None:
    with Path(source).open(newline="") as file:
        rows = list(csv.DictReader(file))
    column = {name: [float(row[name]) for row in rows] for name in rows[0]}
    fs, wanted, error = column["fs"], column["long run"][0], column["long run error"][0]
    plt.rcParams["svg.hashsalt"] = "boltzdrift"
    figure, (near, far) = plt.subplots(2, figsize=(6.4, 5.0), sharex=True, layout="constrained")
    for axes in (near, far):
        axes.axhspan(
            wanted - 2 * error, wanted + 2 * error, color="0.85", lw=0, label="long run, 2 standard errors"
        )
        for name, color in COLORS.items():
            value, spread = column[name], column[f"{name} error"]
            axes.plot(fs, value, color=color, lw=1.2, label=name)
            low = [v - 2 * s for v, s in zip(value, spread, strict=True)]
            high = [v + 2 * s for v, s in zip(value, spread, strict=True)]
            axes.fill_between(fs, low, high, color=color, alpha=0.15, lw=0)
    near.set(ylim=(wanted - 0.4, wanted + 0.4), xlim=(0, fs[-1]))
    far.set(ylim=(0, wanted + 1), xlabel="time at constant energy, fs")
    far.legend(fontsize="small", loc="lower right", ncols=2)
    figure.supylabel("mean potential energy, kcal/mol", fontsize="medium")
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: release.py RELEASE.csv FIGURE.svg")
    main(sys.argv[1], sys.argv[2])
