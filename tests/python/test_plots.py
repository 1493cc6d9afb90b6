"""What the figures show, against known distributions."""

from __future__ import annotations

import boltzdrift
import numpy as np
import pytest

pytest.importorskip("matplotlib")

from boltzdrift import Dataset, plots
from boltzdrift.units import BOLTZMANN
from conftest import Floats, shaken, springs
from matplotlib import pyplot

SPECIES = [1, 8, 8, 1]
FOUR = (0, 1, 2, 3)


@pytest.fixture(autouse=True)
def closed() -> object:
    """No figure stays open."""
    yield
    pyplot.close("all")


def peroxide(angles: Floats, seed: int = 0) -> Dataset:
    """Hydrogen peroxide with these dihedral angles in degrees and bonds that vibrate."""
    random = np.random.default_rng(seed)
    number = len(angles)
    oo, oh = random.normal(1.45, 0.03, number), random.normal(0.97, 0.02, (2, number))
    phi, (first, last) = np.radians(angles), np.radians(random.normal(100.0, 3.0, (2, number)))
    x = np.zeros((number, 4, 3))
    x[:, 2, 2] = oo
    x[:, 0] = np.stack([oh[0] * np.sin(first), np.zeros(number), oh[0] * np.cos(first)], axis=1)
    x[:, 3, 0] = oh[1] * np.sin(last) * np.cos(phi)
    x[:, 3, 1] = oh[1] * np.sin(last) * np.sin(phi)
    x[:, 3, 2] = oo - oh[1] * np.cos(last)
    return Dataset.from_arrays(SPECIES, x, energies=random.normal(5.0, 1.0, number))


def test_dihedral_angles_are_iupacs() -> None:
    """Against ASE's, sign included; four atoms that are none are refused."""
    ase = pytest.importorskip("ase")
    angles = np.array([-170.0, -60.0, 0.0, 45.0, 111.5, 179.0])
    data = peroxide(angles)
    found = plots.dihedral_angles(data, FOUR)
    for x, angle in zip(data.positions, found, strict=True):
        theirs = ase.Atoms(SPECIES, positions=x).get_dihedral(*FOUR)
        assert (theirs - angle + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(np.abs(found), np.abs(angles), atol=1e-6)
    for wrong in ((0, 1, 2), (0, 1, 2, 4), (0, 1, 1, 3)):
        with pytest.raises(boltzdrift.InvalidError, match="four different atoms"):
            plots.dihedral_angles(data, wrong)


def test_h_of_r_is_a_density() -> None:
    """It integrates to 1, and has its peaks at the bonds."""
    data = peroxide(np.random.default_rng(1).uniform(-180, 180, 2000))
    axes = plots.distances({"all": data})
    r, density = axes.get_lines()[0].get_data()
    assert np.sum(density) * (r[1] - r[0]) == pytest.approx(1.0, abs=1e-9)
    assert r[np.argmax(np.where(r < 1.2, density, 0.0))] == pytest.approx(0.97, abs=0.05)


def test_the_matrix_is_the_figure_of_evaluate() -> None:
    """Its mean over pairs is pair_tvd; a pair that differs stands out."""
    one = peroxide(np.random.default_rng(1).normal(111.0, 10.0, 4000), seed=1)
    other = peroxide(np.random.default_rng(2).normal(60.0, 10.0, 4000), seed=2)
    axes = plots.pair_tvd(one, other, labels=["H", "O", "O", "H"])
    matrix = np.asarray(axes.get_images()[0].get_array())
    upper = matrix[np.triu_indices(4, k=1)]
    assert np.mean(upper) == pytest.approx(boltzdrift.evaluate(one, other)["pair_tvd"], abs=1e-6)
    assert matrix[0, 3] == matrix[3, 0] > 0.85
    assert matrix[0, 1] < 0.1
    assert [text.get_text() for text in axes.get_xticklabels()] == ["H", "O", "O", "H"]


def test_populations_and_free_energies_are_those_of_the_distribution() -> None:
    """Angles of a von Mises distribution: its free energy is kT kappa (1 - cos)."""
    kelvin, kappa = 500.0, 1.5
    angles = np.degrees(np.random.default_rng(3).vonmises(0.0, kappa, 200_000))
    data = {"known": peroxide(angles)}
    phi, density = plots.dihedrals(data, FOUR).get_lines()[0].get_data()
    assert np.sum(density) * (phi[1] - phi[0]) == pytest.approx(1.0)
    phi, profile = plots.free_energy(data, FOUR, kelvin).get_lines()[0].get_data()
    expected = BOLTZMANN * kelvin * kappa * (1.0 - np.cos(np.radians(phi)))
    # 10-degree bins; some hundreds of frames in the emptiest one.
    np.testing.assert_allclose(profile, expected - expected.min(), atol=0.08)
    with pytest.raises(boltzdrift.InvalidError, match="temperature"):
        plots.free_energy(data, FOUR, 0.0)


def test_energies_are_densities_about_the_median() -> None:
    """A known normal distribution; no energies and NaN are refused."""
    values = np.random.default_rng(4).normal(-1000.0, 2.0, 50_000)
    axes = plots.energies({"first": values, "second": values + 1.0})
    density, edges, _ = axes.patches[0].get_data()
    assert np.sum(density * np.diff(edges)) == pytest.approx(1.0, abs=0.002)
    assert np.interp(0.0, 0.5 * (edges[1:] + edges[:-1]), density) == pytest.approx(0.1995, rel=0.05)
    with pytest.raises(boltzdrift.InvalidError, match="has no energies"):
        plots.energies({"bare": Dataset.from_arrays([8, 1, 1], shaken(3))})
    with pytest.raises(boltzdrift.InvalidError, match="not finite"):
        plots.energies({"holes": np.array([0.0, np.nan])})


def test_a_page_has_what_there_is() -> None:
    """Five panels with a dihedral, a temperature and energies; two for water without."""
    random = np.random.default_rng(5)
    one, other = (peroxide(random.uniform(-180, 180, 500), seed=k) for k in (1, 2))
    figure, numbers = plots.report(one, other, dihedral=FOUR, temperature=300.0)
    assert len([axes for axes in figure.axes if axes.get_label() != "<colorbar>"]) == 5
    assert f"{numbers['tvd']:.4f}" in figure.get_suptitle()
    water = [Dataset.from_arrays([8, 1, 1], shaken(300, seed)) for seed in (1, 2)]
    figure, _ = plots.report(*water)
    assert len([axes for axes in figure.axes if axes.get_label() != "<colorbar>"]) == 2
    with pytest.raises(boltzdrift.InvalidError, match="another molecule"):
        plots.distances({"one": one, "water": water[0]})


def test_a_release_is_drawn(potential: boltzdrift.Potential, sampler: boltzdrift.Sampler) -> None:
    """The mean over seeds, in kcal/mol."""
    pytest.importorskip("ase")
    from boltzdrift.ase import ForceField, release

    seeds = sampler.atoms(4, potential=potential)
    run = release(seeds, ForceField(potential), femtoseconds=20.0)
    times, mean = plots.release({"refined": run}).get_lines()[0].get_data()
    assert times[0] == 0.0
    assert times[-1] == 20.0
    energies = [springs([8, 1, 1], atoms.positions[None])[0][0] for atoms in seeds]
    assert mean[0] == pytest.approx(0.0, abs=1e-9)
    assert 23.06 * run.potential[:, 0].mean() == pytest.approx(np.mean(energies), rel=1e-3)
