"""Samplers: the same bytes, the right velocities, molecules matched and placed."""

from __future__ import annotations

import pickle
from pathlib import Path

import boltzdrift
import numpy as np
import pytest
from boltzdrift import Potential, Sampler
from boltzdrift.units import BOLTZMANN
from conftest import KELVIN, SPECIES, WATER, springs, write_sampler

MASSES = np.array([15.999, 1.008, 1.008])
# kcal/mol in amu (angstrom/fs)^2: 4184 J / (6.022e23 x 1.6605e-27 kg x 1e10 m^2/s^2).
KINETIC = 4184.0 / (6.02214076e23 * 1.66053906660e-27 * 1e10)


def test_samples_do_not_depend_on_how_they_are_drawn(sampler: Sampler) -> None:
    """Ranges, chunks, another object, a file, a pickle: the same bytes."""
    whole = sampler.sample(40_000, seed=5)
    parts = [
        sampler.sample(number, seed=5, first=first)
        for first, number in ((0, 1), (1, 20_000), (20_001, 19_999))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sampler)).sample(10, seed=5), whole[:10])
    assert np.abs(MASSES @ whole).max() < 1e-9 * MASSES.sum()
    assert sampler.sample(0).shape == (0, 3, 3)
    last = sampler.sample(1, seed=2**64 - 1, first=2**64 - 2)
    assert last.shape == (1, 3, 3)


def test_a_sampler_says_what_it_is(sampler: Sampler, tmp_path: Path) -> None:
    """Species, masses, temperature, bonds; saved and loaded."""
    np.testing.assert_array_equal(sampler.species, SPECIES)
    np.testing.assert_array_equal(sampler.masses, MASSES)
    np.testing.assert_array_equal(sampler.bonds, [[0, 1], [0, 2]])
    assert sampler.temperature == KELVIN
    assert sampler.info()["format_version"] == 1
    sampler.save(tmp_path / "again.safetensors")
    again = Sampler.load(tmp_path / "again.safetensors")
    np.testing.assert_array_equal(again.sample(3), sampler.sample(3))
    cold = Sampler.load(
        write_sampler(tmp_path / "cold", SPECIES, MASSES.tolist(), WATER, [[0, 1], [0, 2]], temperature=None)
    )
    assert cold.temperature is None
    with pytest.raises(boltzdrift.InvalidError, match="records no temperature"):
        cold.velocities(cold.sample(2))
    assert cold.velocities(cold.sample(2), temperature=KELVIN).shape == (2, 3, 3)
    (tmp_path / "broken").write_bytes((tmp_path / "cold").read_bytes()[:-3])
    with pytest.raises(boltzdrift.DataError, match="broken"):
        Sampler.load(tmp_path / "broken")


@pytest.mark.parametrize("masses", [None, [15.999, 2.014, 2.014]])
def test_velocities_are_maxwells(sampler: Sampler, masses: list[float] | None) -> None:
    """No momentum, no angular momentum, 3n - 6 = 3 halves of kT, spread as a gamma distribution of that
    shape.
    """
    x = sampler.sample(20_000)
    v = sampler.velocities(x, temperature=400.0, masses=masses)
    m = MASSES if masses is None else np.array(masses)
    assert np.abs(m @ v).max() < 1e-12
    spin = np.cross(x - (m @ x / m.sum())[:, None], m[:, None] * v).sum(axis=1)
    assert np.abs(spin).max() < 1e-10
    kinetic = 0.5 * (m[:, None] * v**2).sum(axis=(1, 2)) / KINETIC
    kt = BOLTZMANN * 400.0
    # Standard errors: sqrt(3/2) kT / sqrt(N) of the mean; four of them.
    assert kinetic.mean() == pytest.approx(1.5 * kt, abs=4 * np.sqrt(1.5) * kt / np.sqrt(len(x)))
    assert kinetic.var() == pytest.approx(1.5 * kt**2, rel=0.06)
    np.testing.assert_array_equal(
        sampler.velocities(x[7:9], temperature=400.0, first=7, masses=masses), v[7:9]
    )


def test_a_molecule_in_another_order_is_matched(sampler: Sampler) -> None:
    """H O H; the caller's own order where it fits; another molecule is refused with both formulas."""
    order = sampler.match([1, 8, 1], WATER[[1, 0, 2]])
    assert order[0] == 1
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_array_equal(sampler.match(SPECIES, WATER), [0, 1, 2])
    np.testing.assert_array_equal(sampler.match(SPECIES, WATER, bonds=[[0, 1], [2, 0]]), [0, 1, 2])
    with pytest.raises(boltzdrift.InvalidError, match="H2O"):
        sampler.match([16, 1, 1], WATER)
    with pytest.raises(boltzdrift.InvalidError, match="bonds name atom 3"):
        sampler.match(SPECIES, WATER, bonds=[[0, 3]])


def test_samples_are_placed_where_molecules_are(sampler: Sampler) -> None:
    """Center of mass, orientation, and distances as they were; a sample on itself, turned, comes back to
    it.
    """
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    x = sampler.sample(5, first=10)
    onto = x @ turn.T + np.array([10.0, -20.0, 30.0])
    np.testing.assert_allclose(sampler.place(x, onto, first=10), onto, atol=1e-9)
    placed = sampler.place(x, onto, orientation="random", first=10, seed=4)
    center = MASSES @ placed / MASSES.sum()
    np.testing.assert_allclose(center, MASSES @ onto / MASSES.sum(), atol=1e-9)
    for i, j, _ in ((0, 1, 0), (0, 2, 0), (1, 2, 0)):
        np.testing.assert_allclose(
            np.linalg.norm(placed[:, i] - placed[:, j], axis=1), np.linalg.norm(x[:, i] - x[:, j], axis=1)
        )
    np.testing.assert_array_equal(
        sampler.place(x[2:], onto[2:], orientation="random", first=12, seed=4), placed[2:]
    )
    with pytest.raises(boltzdrift.InvalidError, match="sideways"):
        sampler.place(x, onto, orientation="sideways")


def test_refined_samples_have_the_potentials_energies(sampler: Sampler, potential: Potential) -> None:
    """Three springs hold three halves of kT, wherever the samples began."""
    heard: list[boltzdrift.Progress] = []
    done = sampler.refined(1000, potential, steps=40, progress=heard.append)
    np.testing.assert_allclose(done.energies, springs(SPECIES, done.positions)[0], rtol=1e-9)
    kt = BOLTZMANN * KELVIN
    assert done.energies.mean() == pytest.approx(1.5 * kt, abs=4 * np.sqrt(1.5) * kt / np.sqrt(1000))
    assert 0.5 < done.report["acceptance"] <= 1.0
    assert {each.stage for each in heard} == {"refining"}
    with pytest.raises(boltzdrift.InterruptedWork):
        sampler.refined(1000, potential, steps=40, progress=lambda progress: False)


def test_sampling_can_be_watched_and_stopped(sampler: Sampler) -> None:
    """Chunk by chunk."""
    heard: list[int] = []
    sampler.sample(50_000, progress=lambda progress: heard.append(progress.done))
    assert heard[-1] == 50_000
    assert heard == sorted(heard)
    with pytest.raises(boltzdrift.InterruptedWork):
        sampler.sample(50_000, progress=lambda progress: False)
