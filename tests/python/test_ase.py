"""Calculators both ways, and Atoms in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boltzdrift
import numpy as np
import pytest

pytest.importorskip("ase")

import ase.io
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixBondLengths
from ase.md.verlet import VelocityVerlet
from boltzdrift import Dataset, Potential, Sampler
from boltzdrift.ase import (
    CalculatorPotential,
    ForceField,
    atoms_of_dataset,
    dataset_of_atoms,
    read,
    write,
)
from conftest import KELVIN, SPECIES, WATER, Floats, shaken, springs

EV = 1.602176634e-19 * 6.02214076e23 / 4184.0  # kcal/mol, by the definitions of the SI


class Springs(Calculator):  # type: ignore[misc]
    """Water of three springs, in eV, counting its calls."""

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012 (as ASE declares it)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.calls = 0

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        energies, forces = springs(SPECIES, self.atoms.positions[None])
        energy = float(energies[0]) / EV
        self.results = {"energy": energy, "free_energy": energy - 0.5, "forces": forces[0] / EV}


def test_ases_units_are_ours() -> None:
    """ASE's own constants (CODATA 2014) against the library's."""
    assert units.kcal / units.mol == pytest.approx(1.0 / boltzdrift.unit("eV", "energy"), rel=1e-7)
    assert units.Bohr == pytest.approx(boltzdrift.unit("bohr", "length"), rel=1e-7)
    assert units.kB * EV == pytest.approx(boltzdrift.units.BOLTZMANN, rel=1e-6)


@pytest.mark.parametrize("calculator", [EMT, lambda: MorsePotential(epsilon=0.3, r0=1.1, rho0=3.0)])
def test_labels_are_ases_own(calculator: Any) -> None:
    """To the last digit: eV times one factor, for every frame."""
    x = shaken(20)
    data = Dataset.from_arrays(SPECIES, x)
    data.label(CalculatorPotential(calculator()))
    atoms = Atoms(SPECIES)
    atoms.calc = calculator()
    energies, forces = data.energies, data.forces
    assert energies is not None
    assert forces is not None
    factor = boltzdrift.unit("eV", "energy")
    for frame, positions in enumerate(x):
        atoms.positions[:] = positions
        assert energies[frame] == atoms.get_potential_energy() * factor
        np.testing.assert_array_equal(forces[frame], atoms.get_forces() * factor)


def test_nothing_is_computed_twice(data: Dataset) -> None:
    """One call a frame; the energy that belongs to the forces can be taken."""
    calculator = Springs()
    data.label(CalculatorPotential(calculator))
    assert calculator.calls == len(data)
    expected = springs(SPECIES, data.positions)[0]
    np.testing.assert_allclose(data.energies, expected, rtol=1e-9)
    data.label(CalculatorPotential(Springs(), energy="free_energy"))
    np.testing.assert_allclose(data.energies, expected - 0.5 * EV, rtol=1e-9)


def test_a_batch_function_has_many_atoms_at_once(data: Dataset) -> None:
    """In place of a calculator."""
    sizes: list[int] = []

    def batch(frames: Any) -> tuple[Floats, Floats]:
        sizes.append(len(frames))
        energies, forces = springs(SPECIES, np.array([atoms.positions for atoms in frames]))
        return energies / EV, forces / EV

    data.label(CalculatorPotential(None, batch=batch, largest_batch=64))
    assert sum(sizes) == len(data)
    assert max(sizes) == 64
    np.testing.assert_allclose(data.energies, springs(SPECIES, data.positions)[0], rtol=1e-9)


def test_a_calculators_exception_is_its_own(data: Dataset) -> None:
    """And the note names the frame."""

    class Tired(Springs):
        def calculate(self, *arguments: Any, **options: Any) -> None:
            if self.calls == 7:
                raise ZeroDivisionError("tired")
            super().calculate(*arguments, **options)

    with pytest.raises(ZeroDivisionError, match="tired") as caught:
        data.label(CalculatorPotential(Tired(), name="tired"))
    assert "potential tired, frame 7" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match="no ASE calculator"):
        CalculatorPotential(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="one of the two"):
        CalculatorPotential(None)
    with pytest.raises(boltzdrift.InvalidError, match="energy is"):
        CalculatorPotential(Springs(), energy="enthalpy")


def test_identities_tell_calculators_apart() -> None:
    """By class and parameters, or the user's own word."""
    names = [
        CalculatorPotential(calculator, identity=identity).info()["identity"]
        for calculator, identity in (
            (MorsePotential(r0=1.0), None),
            (MorsePotential(r0=1.1), None),
            (Springs(), None),
            (Springs(), "mine"),
        )
    ]
    assert len(set(names)) == 4
    assert names[3] == "mine"


def test_a_template_carries_what_a_calculator_needs(data: Dataset) -> None:
    """Charges and cell; in another order of atoms it is refused."""
    seen: list[Any] = []

    class Charged(Springs):
        def calculate(self, atoms: Any = None, *arguments: Any, **options: Any) -> None:
            seen.append((atoms.get_initial_charges().sum(), atoms.cell.lengths()[0], atoms.info["spin"]))
            super().calculate(atoms, *arguments, **options)

    template = Atoms(SPECIES, charges=[1, 0, 0], cell=[9.0] * 3, info={"spin": 3})
    data.label(CalculatorPotential(Charged(), atoms=template))
    assert set(seen) == {(1.0, 9.0, 3)}
    with pytest.raises(boltzdrift.InvalidError, match="another order"):
        data.label(CalculatorPotential(Charged(), atoms=template[[1, 0, 2]]))


def test_a_force_field_is_a_calculator(potential: Potential) -> None:
    """Forces are the gradient of the energy; a run conserves the energy; periodic water is made whole."""
    atoms = Atoms(SPECIES, positions=shaken(1)[0])
    atoms.calc = ForceField(potential)
    assert atoms.get_potential_energy() == pytest.approx(springs(SPECIES, atoms.positions[None])[0][0] / EV)
    forces = atoms.get_forces()
    step = 1e-4
    for atom, axis in ((0, 0), (1, 1), (2, 0)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.positions[atom, axis] += sign * step
            energies.append(moved.get_potential_energy())
        assert (energies[1] - energies[0]) / (2 * step) == pytest.approx(forces[atom, axis], abs=1e-6)
    atoms.set_velocities(np.random.default_rng(0).normal(0.0, 0.02, (3, 3)))
    start = atoms.get_total_energy()
    VelocityVerlet(atoms, 0.1 * units.fs).run(500)
    assert atoms.get_total_energy() == pytest.approx(start, abs=1e-4)
    split = Atoms(SPECIES, positions=WATER + np.array([4.9, 4.9, 0.1]), cell=[5.0] * 3, pbc=True)
    split.wrap()
    split.calc = ForceField(potential)
    assert np.linalg.norm(split.positions[1] - split.positions[0]) > 2.0
    assert split.get_potential_energy() == pytest.approx(springs(SPECIES, WATER[None])[0][0] / EV)


def labelled(frames: int = 5) -> list[Atoms]:
    """Water with energies, forces and momenta."""
    made = []
    for x in shaken(frames):
        atoms = Atoms(SPECIES, positions=x)
        atoms.set_velocities(0.01 * x)
        energies, forces = springs(SPECIES, x[None])
        atoms.calc = SinglePointCalculator(atoms, energy=energies[0] / EV, forces=forces[0] / EV)
        made.append(atoms)
    return made


def test_atoms_become_a_dataset_and_come_back() -> None:
    """Energies, forces, velocities, in each side's units; forces without constraints."""
    frames = labelled()
    for atoms in frames:
        atoms.set_constraint(FixAtoms([0]))
    data = dataset_of_atoms(frames)
    x = shaken(5)
    np.testing.assert_array_equal(data.positions, x)
    np.testing.assert_allclose(data.energies, springs(SPECIES, x)[0], rtol=1e-8)
    np.testing.assert_allclose(data.forces, springs(SPECIES, x)[1], rtol=1e-8, atol=1e-9)
    # ASE's time is angstrom sqrt(amu/eV): 10.18 fs.
    time = np.sqrt(1.66053906660e-27 * 1e-20 / 1.602176634e-19) * 1e15
    velocities = data.velocities
    assert velocities is not None
    np.testing.assert_allclose(velocities[:, 1:], 0.01 * x[:, 1:] / time, rtol=1e-6)
    back = atoms_of_dataset(data)
    for one, other in zip(back, frames, strict=True):
        assert one.get_potential_energy() == pytest.approx(other.get_potential_energy(), rel=1e-12)
        np.testing.assert_allclose(one.get_momenta(), other.get_momenta(), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(data.atoms(3).positions, x[3])
    with pytest.raises(boltzdrift.InvalidError, match="frame is 5"):
        data.atoms(5)


@pytest.mark.parametrize("name", ["run.traj", "run.extxyz", "run.json"])
def test_files_of_ase(tmp_path: Path, name: str) -> None:
    """Written and read through ase.io; a part of them too."""
    data = dataset_of_atoms(labelled())
    write(tmp_path / name, data)
    back = read(tmp_path / name)
    np.testing.assert_allclose(back.positions, data.positions, atol=1e-7)
    np.testing.assert_allclose(back.forces, data.forces, atol=1e-5)
    np.testing.assert_allclose(back.energies, data.energies, rtol=1e-7)
    assert len(read(tmp_path / name, index="1:3")) == 2
    ase.io.write(tmp_path / "one.xyz", labelled(1)[0])
    assert len(read(tmp_path / "one.xyz")) == 1


def test_frames_that_do_not_fit_are_refused() -> None:
    """Each by its number."""
    frames = labelled()
    with pytest.raises(boltzdrift.InvalidError, match="frame 5 is"):
        dataset_of_atoms([*frames, molecule("CO2")])
    with pytest.raises(boltzdrift.InvalidError, match=r"frame 1 is .* order"):
        dataset_of_atoms([frames[0], frames[1][[1, 0, 2]]])
    frames[3].calc = None
    with pytest.raises(boltzdrift.InvalidError, match="frame 3 has no energy"):
        dataset_of_atoms(frames)
    with pytest.raises(boltzdrift.InvalidError, match="no frames"):
        dataset_of_atoms([])
    with pytest.raises(TypeError, match="frame 0 is a str"):
        dataset_of_atoms(["water"])  # type: ignore[list-item]
    apart = Atoms("OHH", positions=WATER + np.array([[0, 0, 0], [0, 0, 0], [3.0, 0, 0]]))
    with pytest.raises(boltzdrift.InvalidError, match="frame 0: atoms 2 are not bonded"):
        dataset_of_atoms([apart])


def test_a_calculator_that_has_computed_nothing_is_no_label() -> None:
    """Positions only: no energy of other positions is taken."""
    atoms = Atoms(SPECIES, positions=WATER)
    atoms.calc = Springs()
    assert dataset_of_atoms([atoms]).energies is None
    atoms.get_forces()
    assert dataset_of_atoms([atoms]).energies is not None
    atoms.positions[0, 0] += 0.01
    assert dataset_of_atoms([atoms]).energies is None


def test_samples_are_atoms_ready_to_run(sampler: Sampler, potential: Potential) -> None:
    """Velocities in ASE's units, calculator attached, what they are in info."""
    drawn = sampler.atoms(200, first=3, calculator=Springs())
    np.testing.assert_array_equal([atoms.positions for atoms in drawn], sampler.sample(200, first=3))
    # 3n - 6 = 3 of 3n = 9 degrees of freedom move.
    kelvin = np.mean([atoms.get_temperature() for atoms in drawn]) * 3.0
    assert kelvin == pytest.approx(KELVIN, abs=4 * KELVIN * np.sqrt(2 / 3 / 200))
    assert drawn[5].info["boltzdrift"] == {"seed": 0, "sample": 8, "refined": False}
    VelocityVerlet(drawn[0], 0.2 * units.fs).run(10)
    refined = sampler.atoms(3, potential=potential, steps=3, velocities=False)
    assert not refined[0].has("momenta")
    energy = springs(SPECIES, refined[1].positions[None])[0][0] / EV
    assert refined[1].info["boltzdrift"]["energy"] == pytest.approx(energy)
    with pytest.raises(boltzdrift.InvalidError, match="steps refine"):
        sampler.atoms(3, steps=3)


def test_constraints_do_not_hide_forces_from_a_potential() -> None:
    """A template with constraints still gives the forces of the potential."""
    template = Atoms(SPECIES, positions=WATER)
    template.set_constraint([FixAtoms([0]), FixBondLengths([[1, 2]])])
    potential = CalculatorPotential(Springs(), atoms=template)
    x = shaken(3)
    expected = springs(SPECIES, x)[1]
    np.testing.assert_allclose(potential.evaluate(SPECIES, x)[1], expected, rtol=1e-8, atol=1e-9)
