"""Figures that show whether samples are the right ensemble: matplotlib axes in, matplotlib axes out.

Each function draws into `axes` (new ones where None) and returns them. Reference and samples are datasets of
one molecule in one order of atoms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arguments import Floats
from .dataset import Dataset
from .errors import InvalidError
from .stages import evaluate
from .units import BOLTZMANN, unit

try:
    import matplotlib.pyplot as plt
except ImportError as error:
    raise ImportError(
        "boltzdrift.plots needs the package matplotlib: install matplotlib 3.8 or newer"
    ) from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .ase import Release

BINS = 200
RANGE = (0.0, 8.0)
"""Of h(r), as in `evaluate`: 200 bins to 8 angstrom."""


def _axes(axes: Axes | None) -> Axes:
    return plt.subplots(layout="constrained")[1] if axes is None else axes


def _each(datasets: Mapping[str, Dataset]) -> Mapping[str, Dataset]:
    """The datasets by their names, refused where they are of different molecules."""
    if not datasets:
        raise InvalidError("nothing to draw: give datasets by their names, {'samples': data}")
    first = next(iter(datasets.values())).species
    for name, data in datasets.items():
        if not np.array_equal(data.species, first):
            raise InvalidError(f"{name} is of another molecule, or in another order of atoms, than the first")
    return datasets


def pair_distances(data: Dataset) -> Floats:
    """Distances (frames, pairs) of all pairs of atoms i < j, in angstrom."""
    x = data.positions
    i, j = np.triu_indices(x.shape[1], k=1)
    return np.asarray(np.linalg.norm(x[:, i] - x[:, j], axis=2))


def dihedral_angles(data: Dataset, atoms: Sequence[int]) -> Floats:
    """Dihedral angle (frames) of four atoms in degrees, -180 to 180.

    Raises:
        InvalidError: They are not four different atoms of the molecule.
    """
    number = data.shape[1]
    four = [int(atom) for atom in atoms]
    if len(set(four)) != 4 or not all(0 <= atom < number for atom in four):
        raise InvalidError(f"dihedral {tuple(atoms)}: give four different atoms, 0 to {number - 1}")
    a, b, c, d = data.positions[:, four].transpose(1, 0, 2)
    axis = (c - b) / np.linalg.norm(c - b, axis=1)[:, None]
    before, after = np.cross(b - a, axis), np.cross(axis, d - c)
    sine = (np.cross(before, after) * axis).sum(axis=1)
    return np.asarray(np.degrees(np.arctan2(sine, (before * after).sum(axis=1))))


def distances(datasets: Mapping[str, Dataset], axes: Axes | None = None) -> Axes:
    """h(r): the histogram of all pair distances pooled. It hardly sees a wrong torsion: look at the others
    too.

    Args:
        datasets: By their names, for example {"reference": reference, "samples": samples}.
        axes: Where to draw.
    """
    axes = _axes(axes)
    for name, data in _each(datasets).items():
        density, edges = np.histogram(pair_distances(data), bins=BINS, range=RANGE, density=True)
        axes.plot(0.5 * (edges[1:] + edges[:-1]), density, label=name)
    axes.set(xlabel="distance, angstrom", ylabel="h(r), 1/angstrom")
    axes.legend()
    return axes


def _variation(samples: Floats, reference: Floats) -> float:
    """As in `evaluate`: 40 bins over the reference's range widened by 0.1 angstrom, what lies outside in one
    more.
    """
    edges = (reference.min() - 0.1, reference.max() + 0.1)
    p, q = (np.histogram(each, bins=40, range=edges)[0] / len(each) for each in (samples, reference))
    return 0.5 * float(np.abs(p - q).sum() + abs(p.sum() - q.sum()))


def pair_tvd(
    samples: Dataset, reference: Dataset, axes: Axes | None = None, labels: Sequence[str] | None = None
) -> Axes:
    """Total variation of every pair's own distances, as a matrix of atoms; the mean over pairs is `pair_tvd`
    of `evaluate`.

    Args:
        samples: The samples.
        reference: What they are compared with.
        axes: Where to draw.
        labels: Names of the atoms; their numbers where None.
    """
    axes = _axes(axes)
    _each({"samples": samples, "reference": reference})
    found, wanted = pair_distances(samples), pair_distances(reference)
    number = samples.shape[1]
    matrix = np.full((number, number), np.nan)
    for k, (i, j) in enumerate(zip(*np.triu_indices(number, k=1), strict=True)):
        matrix[i, j] = matrix[j, i] = _variation(found[:, k], wanted[:, k])
    image = axes.imshow(matrix, vmin=0.0, cmap="viridis")
    figure = axes.get_figure()
    if figure is not None:
        figure.colorbar(image, ax=axes, label="total variation of the pair's distance")
    names = [str(atom) for atom in range(number)] if labels is None else list(labels)
    axes.set_xticks(range(number), names)
    axes.set_yticks(range(number), names)
    axes.set(xlabel="atom", ylabel="atom")
    return axes


def dihedrals(
    datasets: Mapping[str, Dataset], atoms: Sequence[int], axes: Axes | None = None, bins: int = 36
) -> Axes:
    """Populations of a dihedral angle, with the standard error of independent frames as a band.

    Args:
        datasets: By their names.
        atoms: The four atoms.
        axes: Where to draw.
        bins: Over 360 degrees.
    """
    axes = _axes(axes)
    for name, data in _each(datasets).items():
        density, error, centers = _populations(data, atoms, bins)
        (line,) = axes.plot(centers, density, label=name)
        axes.fill_between(centers, density - error, density + error, color=line.get_color(), alpha=0.2, lw=0)
    axes.set(
        xlabel=f"dihedral {'-'.join(map(str, atoms))}, degrees",
        ylabel="population, 1/degree",
        ylim=(0.0, None),
    )
    axes.set_xticks(range(-180, 181, 60))
    axes.legend()
    return axes


def _populations(data: Dataset, atoms: Sequence[int], bins: int) -> tuple[Floats, Floats, Floats]:
    """Density, its standard error, and bin centers."""
    angles = dihedral_angles(data, atoms)
    counts, edges = np.histogram(angles, bins=bins, range=(-180.0, 180.0))
    share = counts / len(angles)
    width = 360.0 / bins
    error = np.sqrt(share * (1.0 - share) / len(angles))
    return share / width, error / width, np.asarray(0.5 * (edges[1:] + edges[:-1]))


def free_energy(
    datasets: Mapping[str, Dataset],
    atoms: Sequence[int],
    temperature: float,
    axes: Axes | None = None,
    bins: int = 36,
) -> Axes:
    """Free energy along a dihedral, -kT ln p, its minimum at 0; bins that no frame visits are left out.

    Args:
        datasets: By their names.
        atoms: The four atoms.
        temperature: Kelvin.
        axes: Where to draw.
        bins: Over 360 degrees.
    """
    if not temperature > 0.0:
        raise InvalidError(f"temperature is {temperature} K: give a positive one")
    axes = _axes(axes)
    kt = BOLTZMANN * temperature
    for name, data in _each(datasets).items():
        density, error, centers = _populations(data, atoms, bins)
        with np.errstate(divide="ignore", invalid="ignore"):
            profile = -kt * np.log(density / density.max())
            spread = kt * error / density
        visited = density > 0.0
        profile, spread = np.where(visited, profile, np.nan), np.where(visited, spread, np.nan)
        (line,) = axes.plot(centers, profile, label=name)
        axes.fill_between(
            centers, profile - spread, profile + spread, color=line.get_color(), alpha=0.2, lw=0
        )
    axes.set(xlabel=f"dihedral {'-'.join(map(str, atoms))}, degrees", ylabel="free energy, kcal/mol")
    axes.set_xticks(range(-180, 181, 60))
    axes.legend()
    return axes


def energies(datasets: Mapping[str, Dataset | Floats], axes: Axes | None = None, bins: int = 60) -> Axes:
    """Distributions of the potential energy, relative to the median of the first.

    Args:
        datasets: Datasets with energies, or energies in kcal/mol, by their names.
        axes: Where to draw.
        bins: Over the range of all of them.

    Raises:
        InvalidError: A dataset has no energies.
    """
    axes = _axes(axes)
    found: dict[str, Any] = {}
    for name, given in datasets.items():
        values = given.energies if isinstance(given, Dataset) else np.asarray(given, dtype=np.float64)
        if values is None or not len(values):
            raise InvalidError(f"{name} has no energies: label it with a potential")
        if not np.isfinite(values).all():
            raise InvalidError(f"{name} has energies that are not finite")
        found[name] = values
    if not found:
        raise InvalidError("nothing to draw: give energies by their names")
    zero = np.median(next(iter(found.values())))
    everything = np.concatenate(list(found.values())) - zero
    # A few samples far up would squeeze the rest: the upper edge leaves out one in a thousand.
    edges = np.linspace(everything.min(), np.quantile(everything, 0.999), bins + 1)
    for name, values in found.items():
        counts = np.histogram(values - zero, bins=edges)[0]
        axes.stairs(counts / len(values) / np.diff(edges), edges, label=name)
    axes.set(xlabel="potential energy less the median, kcal/mol", ylabel="density, mol/kcal")
    axes.legend()
    return axes


def release(runs: Mapping[str, Release], axes: Axes | None = None) -> Axes:
    """The release test: mean potential energy of seeds run at constant energy, with its standard error as a
    band. Seeds of the right ensemble keep it from the start.

    Args:
        runs: From `boltzdrift.ase.release`, by their names.
        axes: Where to draw.
    """
    if not runs:
        raise InvalidError("nothing to draw: give releases by their names")
    axes = _axes(axes)
    kcal = unit("eV", "energy")
    zero = next(iter(runs.values())).potential[:, 0].mean()
    for name, run in runs.items():
        mean = kcal * (run.potential - zero).mean(axis=0)
        error = kcal * run.potential.std(axis=0, ddof=1) / np.sqrt(len(run.potential))
        (line,) = axes.plot(run.times, mean, label=name)
        axes.fill_between(run.times, mean - error, mean + error, color=line.get_color(), alpha=0.2, lw=0)
    axes.set(xlabel="time after the release, fs", ylabel="mean potential energy, kcal/mol")
    axes.legend()
    return axes


def report(
    samples: Dataset,
    reference: Dataset,
    dihedral: Sequence[int] | None = None,
    temperature: float | None = None,
) -> tuple[Any, dict[str, Any]]:
    """All figures that the two datasets have, on one page, and the numbers of `evaluate`.

    Args:
        samples: The samples.
        reference: What they are compared with.
        dihedral: Four atoms; the first dihedral that `evaluate` finds where None.
        temperature: Kelvin of the free energy; none is drawn where None.

    Returns:
        The matplotlib figure, and the numbers.
    """
    numbers = evaluate(samples, reference)
    both = {"reference": reference, "samples": samples}
    found = [each["atoms"] for each in numbers.get("dihedrals", [])]
    four = dihedral if dihedral is not None else (found[0] if found else None)
    has_energies = samples.energies is not None and reference.energies is not None
    panels = 2 + (four is not None) + (four is not None and temperature is not None) + has_energies
    figure, grid = plt.subplots(1, panels, figsize=(4.2 * panels, 3.6), layout="constrained")
    places = iter(np.ravel(grid))
    distances(both, next(places))
    pair_tvd(samples, reference, next(places))
    if four is not None:
        dihedrals(both, four, next(places))
        if temperature is not None:
            free_energy(both, four, temperature, next(places))
    if has_energies:
        energies(both, next(places))
    figure.suptitle(
        f"total variation of h(r) {numbers['tvd']:.4f}, between halves of the reference "
        f"{numbers['floor_tvd']:.4f}"
    )
    return figure, numbers
