"""Datasets: arrays in and out, files, units."""

from __future__ import annotations

import pickle
from pathlib import Path

import boltzdrift
import numpy as np
import pytest
from boltzdrift import Dataset
from conftest import SPECIES, shaken, springs


def full(frames: int = 20) -> Dataset:
    """Frames with everything."""
    x = shaken(frames)
    energies, forces = springs(SPECIES, x)
    velocities = np.random.default_rng(1).normal(0.0, 0.01, x.shape)
    return Dataset.from_arrays(SPECIES, x, forces=forces, energies=energies, velocities=velocities)


def test_arrays_come_back_as_they_were() -> None:
    """To the last bit, whatever their layout was."""
    x = np.asfortranarray(shaken(7))
    data = Dataset.from_arrays(np.array(SPECIES, dtype=np.uint8), x)
    np.testing.assert_array_equal(data.positions, x)
    assert data.shape == (7, 3)
    assert data.forces is None
    assert data.energies is None
    assert data.velocities is None
    np.testing.assert_array_equal(data.species, SPECIES)
    np.testing.assert_allclose(data.masses, [15.999, 1.008, 1.008], atol=0.001)
    heavy = Dataset.from_arrays(SPECIES, x, masses=[15.999, 2.014, 2.014])
    np.testing.assert_array_equal(heavy.masses, [15.999, 2.014, 2.014])


def test_units_of_arrays() -> None:
    """eV and nm, against the SI's own definitions."""
    ev = 1.602176634e-19 * 6.02214076e23 / 4184.0
    x, f = shaken(3), np.ones((3, 3, 3))
    data = Dataset.from_arrays(
        SPECIES,
        x / 10.0,
        forces=f,
        energies=[1.0, 2.0, 3.0],
        length_unit="nm",
        energy_unit="eV",
        velocities=f,
    )
    np.testing.assert_allclose(data.positions, x, rtol=1e-14)
    np.testing.assert_allclose(data.energies, ev * np.array([1.0, 2.0, 3.0]), rtol=1e-9)
    np.testing.assert_allclose(data.forces, ev * f / 10.0, rtol=1e-9)
    np.testing.assert_allclose(data.velocities, 10.0 * f, rtol=1e-14)
    assert boltzdrift.unit("eV", "energy") == pytest.approx(ev, rel=1e-9)
    assert boltzdrift.unit("bohr", "length") == pytest.approx(0.529177210903, rel=1e-9)
    metal = boltzdrift.lammps_units("metal")
    assert metal.length == 1.0
    assert metal.time == pytest.approx(1000.0, rel=1e-12)
    assert metal.energy == pytest.approx(ev, rel=1e-9)
    with pytest.raises(boltzdrift.InvalidError, match="lj"):
        boltzdrift.lammps_units("lj")
    with pytest.raises(boltzdrift.BoltzdriftError, match="parsec"):
        boltzdrift.unit("parsec", "length")


@pytest.mark.parametrize("name", ["frames.npz", "frames.xyz", "frames.lammpstrj"])
def test_files_keep_positions_and_forces(tmp_path: Path, name: str) -> None:
    """Written and read again."""
    data = full()
    data.write(tmp_path / name)
    heard: list[boltzdrift.Progress] = []
    back = Dataset.read(tmp_path / name, units="real", need_forces=True, progress=heard.append)
    np.testing.assert_allclose(back.positions, data.positions, atol=2e-6)
    forces = data.forces
    assert forces is not None
    np.testing.assert_allclose(back.forces, forces, rtol=1e-6, atol=1e-4)
    assert all(each.stage == "reading" for each in heard)
    part = Dataset.read(str(tmp_path / name), units="real", frames="2:8:3")
    np.testing.assert_allclose(part.positions, back.positions[2:8:3])


def test_pickled(tmp_path: Path) -> None:
    """All arrays are in it."""
    data = full()
    back = pickle.loads(pickle.dumps(data))
    for name in ("species", "positions", "forces", "energies", "velocities", "masses"):
        np.testing.assert_array_equal(getattr(back, name), getattr(data, name))


def test_inspection_finds_the_bonds() -> None:
    """Water has two."""
    report = full(200).inspect(300.0)
    assert report["bonds"] == [[0, 1], [0, 2]]
    assert report["symmetry"]["order"] == 4
    # The velocities are made up.
    assert any("positions and forces are at" in warning for warning in report["warnings"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"species": [8, 1]}, "positions has shape"),
        ({"species": [8, 1, 0]}, "atom 2 is 0"),
        ({"species": [8, 1, 119]}, "atom 2 is 119"),
        ({"positions": np.zeros((2, 3))}, "positions has shape"),
        ({"positions": np.full((2, 3, 3), np.nan)}, r"positions\[0, 0, 0\] is not finite"),
        ({"forces": np.zeros((3, 3, 3))}, "forces has shape"),
        ({"energies": [0.0]}, "energies has shape"),
        ({"energies": [0.0, np.inf]}, r"energies\[1\] is not finite"),
        ({"masses": [1.0, 2.0, -1.0]}, "mass"),
        ({"length_unit": "kg"}, "kg"),
        ({"energy_unit": "eV\0"}, "zero byte"),
    ],
)
def test_wrong_arrays_are_named(change: dict[str, object], words: str) -> None:
    """Each with the name of the argument."""
    given: dict[str, object] = {"species": SPECIES, "positions": shaken(2)} | change
    with pytest.raises(boltzdrift.BoltzdriftError, match=words):
        Dataset.from_arrays(given.pop("species"), given.pop("positions"), **given)  # type: ignore[arg-type]


def test_wrong_kinds_are_type_errors() -> None:
    """Text, objects and complex numbers are no positions; fractions are no species."""
    for bad in (shaken(2).astype(complex), shaken(2).astype(str), np.array([[[None] * 3] * 3])):
        with pytest.raises(TypeError, match="positions must hold real numbers"):
            Dataset.from_arrays(SPECIES, bad)
    with pytest.raises(TypeError, match="whole numbers"):
        Dataset.from_arrays([8.0, 1.0, 1.0], shaken(2))
    with pytest.raises(boltzdrift.DataError, match=r"nowhere\.xyz"):
        Dataset.read("nowhere.xyz")


def test_closed_is_closed(data: Dataset) -> None:
    """A second time does nothing; use after it is an error."""
    data.close()
    data.close()
    assert data.closed
    with pytest.raises(boltzdrift.ClosedError, match="dataset was closed"):
        data.positions  # noqa: B018
