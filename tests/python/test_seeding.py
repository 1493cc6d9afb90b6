"""Samples in place of molecules in a larger Atoms, and runs of one molecule."""

from __future__ import annotations

import warnings
from pathlib import Path

import boltzdrift
import numpy as np
import pytest

pytest.importorskip("ase")

from ase import Atoms, units
from ase.build import bulk, molecule
from ase.constraints import FixAtoms, FixCom
from boltzdrift import Potential, Sampler
from boltzdrift.ase import ForceField, find_molecules, langevin, release, seed
from conftest import KELVIN, SPECIES, WATER, write_sampler

SIDE = 7.0


def box(shuffled: bool = True) -> Atoms:
    """Eight waters, atoms in any order, an argon between them, all wrapped into a periodic cell."""
    random = np.random.default_rng(2)
    atoms = Atoms("Ar", positions=[[SIDE / 4] * 3])
    for k in range(8):
        water = molecule("H2O")
        water.rotate(random.uniform(0.0, 360.0), random.normal(size=3))
        water.translate(SIDE / 2 * np.array([k % 2, k // 2 % 2, k // 4]) + 0.1)
        atoms += water
    atoms.cell, atoms.pbc = [SIDE] * 3, True
    atoms.set_velocities(random.normal(0.0, 0.01, (len(atoms), 3)))
    atoms.wrap()
    return atoms[random.permutation(len(atoms))] if shuffled else atoms


def centers(atoms: Atoms, molecules: list[np.ndarray]) -> np.ndarray:
    """Centers of mass of whole molecules."""
    return np.array([atoms[indices].get_center_of_mass() for indices in molecules])


def test_molecules_are_found_and_replaced(sampler: Sampler) -> None:
    """Centers stay up to the cell, the species stay where they are, everything else is untouched."""
    atoms = box()
    molecules = find_molecules(atoms, sampler)
    assert len(molecules) == 8
    before = atoms.copy()
    seeded = seed(atoms, sampler, seed=3)
    np.testing.assert_array_equal(atoms.positions, before.positions)
    np.testing.assert_array_equal(seeded.numbers, atoms.numbers)
    argon = int(np.flatnonzero(atoms.numbers == 18)[0])
    np.testing.assert_array_equal(seeded.positions[argon], atoms.positions[argon])
    np.testing.assert_array_equal(seeded.get_momenta()[argon], atoms.get_momenta()[argon])
    drawn = sampler.sample(8, seed=3)
    for k, indices in enumerate(molecules):
        rows = [int(i) for i in indices if atoms.numbers[i] == 8] + [
            int(i) for i in indices if atoms.numbers[i] == 1
        ]
        x = seeded.positions[rows]
        # The sample's own distances, one hydrogen or the other first.
        found = np.sort(np.linalg.norm(x[1:] - x[0], axis=1))
        np.testing.assert_allclose(found, np.sort(np.linalg.norm(drawn[k, 1:] - drawn[k, 0], axis=1)))
        # By minimum images from the oxygen, where the molecule was.
        old = atoms.get_distances(rows[0], rows, mic=True, vector=True) + atoms.positions[rows[0]]
        moved = atoms.get_masses()[rows] @ (x - old) / atoms.get_masses()[rows].sum()
        np.testing.assert_allclose(moved - SIDE * np.round(moved / SIDE), 0.0, atol=1e-9)
        assert np.abs(x - x[0]).max() < 2.0


def test_orientation_is_kept_or_drawn(sampler: Sampler) -> None:
    """Kept: the O-H bonds point as they did. Drawn: not, and the same for the same seed."""
    atoms = box(shuffled=False)
    rows = np.array([1 + 3 * k for k in range(8)])
    old = atoms.get_distance(1, 2, mic=True, vector=True)

    def bond(seeded: Atoms) -> float:
        new = seeded.get_distance(1, 2, mic=True, vector=True)
        return float(old @ new / np.linalg.norm(old) / np.linalg.norm(new))

    assert bond(seed(atoms, sampler)) > 0.9
    turned = [bond(seed(atoms, sampler, orientation="random", seed=k)) for k in range(12)]
    assert min(turned) < 0.5
    assert len(rows) == 8
    again = [seed(atoms, sampler, orientation="random").positions for _ in range(2)]
    np.testing.assert_array_equal(*again)


def test_velocities_in_a_system_are_those_of_all_degrees_of_freedom(sampler: Sampler) -> None:
    """Drift and rotation included: nine halves of kT a water, with the masses of the Atoms."""
    atoms = box()
    molecules = find_molecules(atoms, sampler)
    atoms.set_masses(np.where(atoms.numbers == 1, 2.014, atoms.get_masses()))
    energies, drifts = [], []
    for k in range(60):
        seeded = seed(atoms, sampler, seed=k)
        for indices in molecules:
            one = seeded[indices]
            energies.append(one.get_kinetic_energy())
            drifts.append((one.get_momenta().sum(axis=0) ** 2).sum() / (2.0 * one.get_masses().sum()))
    kt, number = units.kB * KELVIN, len(energies)
    assert np.mean(energies) == pytest.approx(4.5 * kt, abs=4 * np.sqrt(4.5 / number) * kt)
    assert np.var(energies) == pytest.approx(4.5 * kt**2, rel=0.35)
    assert np.mean(drifts) == pytest.approx(1.5 * kt, abs=4 * np.sqrt(1.5 / number) * kt)
    alone = Atoms(SPECIES, positions=WATER)
    still = seed(alone, sampler)
    np.testing.assert_allclose(still.get_momenta().sum(axis=0), 0.0, atol=1e-10)
    moving = seed(alone, sampler, rigid_motion=True)
    assert np.abs(moving.get_momenta().sum(axis=0)).max() > 1e-3
    quiet = seed(atoms, sampler, velocities=False)
    np.testing.assert_array_equal(quiet.get_momenta(), atoms.get_momenta())


def test_chosen_molecules_only(sampler: Sampler) -> None:
    """Others stay; indices in any order; what is no molecule is refused by name."""
    atoms = box(shuffled=False)
    seeded = seed(atoms, sampler, molecules=[[3, 1, 2], [7, 8, 9]])
    changed = np.flatnonzero(np.abs(seeded.positions - atoms.positions).max(axis=1) > 1e-12)
    assert set(changed) <= {1, 2, 3, 7, 8, 9}
    for wrong, words in (
        ([[1, 2]], "has 2 atoms"),
        ([[1, 2, 99]], "no atom 99"),
        ([[1, 2, 3], [3, 4, 5]], "atom 3 is given twice"),
        ([[1, 2, 6]], "not bonded"),
        ([[1.0, 2.0, 3.0]], "list of atom numbers"),
    ):
        with pytest.raises((boltzdrift.InvalidError, TypeError), match=words):
            seed(atoms, sampler, molecules=wrong)  # type: ignore[arg-type]
    with pytest.raises(boltzdrift.InvalidError, match="no molecule H2O in Cu"):
        seed(bulk("Cu", cubic=True), sampler)


def test_constraints_are_kept_or_refused_by_name(sampler: Sampler) -> None:
    """On the argon it stays; on a water it is refused; one that names no atoms too."""
    atoms = box(shuffled=False)
    atoms.set_constraint(FixAtoms([0]))
    assert seed(atoms, sampler).constraints[0].get_indices().tolist() == [0]
    atoms.set_constraint(FixAtoms([5]))
    with pytest.raises(boltzdrift.InvalidError, match="FixAtoms holds atom 5 of molecule 1"):
        seed(atoms, sampler)
    seed(atoms, sampler, molecules=[[1, 2, 3]])
    atoms.set_constraint(FixCom())
    with pytest.raises(boltzdrift.InvalidError, match="FixCom"):
        seed(atoms, sampler)


def test_a_molecule_that_spans_the_cell_is_none(tmp_path: Path) -> None:
    """A chain bonded to its own image."""
    chain = Atoms("C3", positions=[[0, 0, 0], [1.4, 0, 0], [2.8, 0, 0]], cell=[4.2, 9, 9], pbc=True)
    origin = np.array([[0.0, 0, 0], [1.4, 0, 0], [2.8, 0, 0.3]])
    line = write_sampler(tmp_path / "c3", [6, 6, 6], [12.011] * 3, origin, [[0, 1], [1, 2]])
    with pytest.raises(boltzdrift.InvalidError, match="spans the cell"):
        seed(chain, Sampler.load(line))


def test_contacts_are_said(sampler: Sampler) -> None:
    """A sample on top of a neighbor is a warning."""
    atoms = Atoms(SPECIES, positions=WATER) + Atoms("Ne", positions=[[0.0, -1.7, 0.0]])
    with pytest.warns(UserWarning, match="1 of 1 samples touch"):
        for k in range(30):
            seed(atoms, sampler, seed=k, orientation="random")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seed(box(), sampler)


def test_langevin_runs_at_the_temperature_asked(potential: Potential) -> None:
    """Three halves of kT kinetic without drift and rotation, three of springs; the start is left alone."""
    start = Atoms(SPECIES, positions=WATER)
    start.calc = ForceField(potential)
    times = {"picoseconds": 8.0, "warmup": 1.0, "time_step": 0.5, "interval": 10.0, "relaxation": 30.0}
    frames = langevin(start, temperature=KELVIN, **times)
    assert len(frames) == 800
    np.testing.assert_array_equal(start.positions, WATER)
    kt = units.kB * KELVIN
    kinetic = np.mean([atoms.get_kinetic_energy() for atoms in frames]) / kt
    stored = np.mean([atoms.get_potential_energy() for atoms in frames]) / kt
    # About 240 independent frames: 4 standard errors.
    assert kinetic == pytest.approx(1.5, abs=4 * np.sqrt(1.5 / 240))
    assert stored == pytest.approx(1.5, abs=4 * np.sqrt(1.5 / 240))
    with pytest.raises(boltzdrift.InvalidError, match="no calculator"):
        langevin(Atoms(SPECIES, positions=WATER), temperature=300.0, picoseconds=1.0)
    with pytest.raises(boltzdrift.DataError, match=r"is .* A long"):
        langevin(start, temperature=60000.0, picoseconds=1.0, warmup=0.0)


def test_the_release_test_tells_right_seeds_from_cold_ones(sampler: Sampler, potential: Potential) -> None:
    """Refined seeds keep their potential energy; water at rest takes it from the velocities: (3/2 kT) / 2."""
    calculator = ForceField(potential)
    right = release(sampler.atoms(60, potential=potential, steps=30), calculator, femtoseconds=60.0)
    moved, error = right.drift()
    assert abs(moved) < 4 * error
    assert right.degrees == 3
    assert right.temperature() == pytest.approx(KELVIN, rel=0.25)
    total = right.potential + right.kinetic
    assert np.ptp(total, axis=1).max() < 0.01
    cold = sampler.atoms(60)
    for atoms in cold:
        atoms.positions[:] = WATER
    moved, error = release(cold, calculator, femtoseconds=60.0).drift()
    assert moved == pytest.approx(0.75 * units.kB * KELVIN, abs=4 * error)
    assert moved > 4 * error
    with pytest.raises(boltzdrift.InvalidError, match="seed 0 has no momenta"):
        release([Atoms(SPECIES, positions=WATER)] * 2, calculator)
