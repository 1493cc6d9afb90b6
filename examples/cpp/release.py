"""Draws the release test of `driver release MODEL --csv release.csv`: release.py release.csv release.svg

Needs matplotlib.
"""

from __future__ import annotations

import csv
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

COLORS = {"refined seeds": "C0", "raw seeds": "C1", "frames of the run": "C2", "minimized starts": "C3"}


def main(source: str, target: str) -> None:
    with open(source, newline="") as file:
        rows = list(csv.DictReader(file))
    column = {name: [float(row[name]) for row in rows] for name in rows[0]}
    fs = column["fs"]
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    wanted, error = column["long run"][0], column["long run error"][0]
    axes.axhspan(wanted - 2 * error, wanted + 2 * error, color="0.85", lw=0, label="long run ± 2 standard errors")
    for name, color in COLORS.items():
        value, spread = column[name], column[f"{name} error"]
        axes.plot(fs, value, color=color, lw=1.2, label=name)
        low = [v - 2 * s for v, s in zip(value, spread, strict=True)]
        high = [v + 2 * s for v, s in zip(value, spread, strict=True)]
        axes.fill_between(fs, low, high, color=color, alpha=0.2, lw=0)
    axes.set(xlabel="time at constant energy, fs", ylabel="mean potential energy, kcal/mol", xlim=(0, fs[-1]))
    axes.legend(fontsize="small", loc="center right")
    plt.rcParams["svg.hashsalt"] = "boltzdrift"
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: release.py RELEASE.csv FIGURE.svg")
    main(sys.argv[1], sys.argv[2])
