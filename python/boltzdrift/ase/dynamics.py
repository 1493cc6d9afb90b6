"""Runs of one molecule with ASE: a thermostat that is right for it, and the release of seeds at constant
energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.velocitydistribution import Stationary, ZeroRotation
from ase.md.verlet import VelocityVerlet

from .. import _arguments
from .._arguments import Floats
from ..errors import DataError, InvalidError
from ..progress import Listener, Progress, ProgressFunction

if TYPE_CHECKING:
    from ase.calculators.calculator import BaseCalculator


def langevin(
    atoms: Atoms,
    *,
    temperature: float,
    picoseconds: float,
    warmup: float = 2.0,
    time_step: float = 1.0,
    interval: float = 10.0,
    relaxation: float = 100.0,
    seed: int = 0,
    progress: ProgressFunction | bool | None = None,
) -> list[Atoms]:
    """Frames of a canonical run of one molecule in vacuum, with the calculator of the Atoms.

    The thermostat acts on all 3n degrees of freedom, drift and rotation included, and none is taken out: then
    the configurations are canonical at the temperature asked for. Langevin dynamics that removes the drift of
    one molecule, or counts 3n degrees of freedom where 3n - 6 move, runs at another temperature. The
    splitting is BAOAB, whose error in the widths of harmonic bonds is nil.

    Args:
        atoms: Where it starts, with a calculator; it is left as it is.
        temperature: Kelvin.
        picoseconds: Length of the run that frames are taken from.
        warmup: Picoseconds before it.
        time_step: fs.
        interval: fs between frames.
        relaxation: Time of the thermostat in fs.
        seed: Of the initial velocities and the noise.
        progress: Hears of the frames.

    Returns:
        Frames with energy, forces and momenta. Drift and rotation are taken out of the frames' momenta, not
        of the run: what is left has 3n - 6 degrees of freedom at the temperature.

    Raises:
        InvalidError: No calculator, or a time that is not positive.
        DataError: An energy is not finite, or the molecule has fallen apart: a bond is 1.6 times as long as
            at the start.
    """
    if atoms.calc is None:
        raise InvalidError("the Atoms have no calculator: give them one")
    kelvin = _arguments.kelvin(temperature)
    for name, value in (("picoseconds", picoseconds), ("time_step", time_step), ("interval", interval)):
        if _arguments.real(value, name) <= 0.0:
            raise InvalidError(f"{name} is {value}: give a positive number")
    moving: Atoms = atoms.copy()
    moving.calc = atoms.calc
    rng = np.random.default_rng(_arguments.count(seed, "seed"))
    widths = np.sqrt(moving.get_masses() * units.kB * kelvin)
    moving.set_momenta(widths[:, None] * rng.standard_normal((len(moving), 3)), apply_constraint=False)
    run = LangevinBAOAB(
        moving, time_step * units.fs, temperature_K=kelvin, T_tau=relaxation * units.fs, rng=rng
    )
    every, bonds = max(1, round(interval / time_step)), _Bonds(atoms)
    run.run(round(1000.0 * warmup / time_step))
    frames: list[Atoms] = []
    listener, total = Listener(progress), round(1000.0 * picoseconds / time_step) // every
    try:
        for number in range(total):
            run.run(every)
            bonds.check(moving, f"frame {number}")
            frames.append(_snapshot(moving))
            if not listener.tell(Progress("dynamics", number + 1, total, None)):
                break
    finally:
        listener.close()
    return frames


class _Bonds:
    """Watches the bonds of the start."""

    def __init__(self, atoms: Atoms) -> None:
        from .whole import BondGraph

        if len(atoms) == 1:
            self._pairs, self._longest = np.zeros((0, 2), dtype=np.int64), np.zeros(0)
            return
        molecule = BondGraph(atoms).molecule(np.arange(len(atoms)))
        i, j = molecule.bonds.T
        self._pairs = molecule.bonds
        self._longest = 1.6 * np.linalg.norm(molecule.positions[i] - molecule.positions[j], axis=1)

    def check(self, atoms: Atoms, where: str) -> None:
        """Refuses a molecule that has fallen apart, and what is not finite."""
        i, j = self._pairs.T
        lengths = np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1)
        if not np.isfinite(atoms.positions).all():
            raise DataError(f"{where}: the positions are not finite: take a shorter time step")
        if (lengths > self._longest).any():
            at = int(np.argmax(lengths / self._longest))
            raise DataError(
                f"{where}: the bond of atoms {i[at]} and {j[at]} is {lengths[at]:.2f} A long: the molecule "
                "falls apart "
                "at this temperature, or the time step is too long"
            )


def _snapshot(atoms: Atoms) -> Atoms:
    frame: Atoms = atoms.copy()
    Stationary(frame, preserve_temperature=False)
    ZeroRotation(frame, preserve_temperature=False)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces(apply_constraint=False)
    frame.calc = SinglePointCalculator(frame, energy=energy, forces=forces)
    return frame


@dataclass(frozen=True)
class Release:
    """Seeds let go at constant energy.

    Attributes:
        times: (samples of time) in fs, the first 0.
        potential: (seeds, times), potential energies in eV.
        kinetic: (seeds, times), kinetic energies in eV.
        degrees: Degrees of freedom that move: 3n - 6, or 3n - 5 where the molecule is linear.
    """

    times: Floats
    potential: Floats
    kinetic: Floats
    degrees: int

    def drift(self) -> tuple[float, float]:
        """How far the mean potential energy moves after the start, in eV, and the standard error of that.

        Seeds of the right distribution keep it; seeds too cold or too hot in their vibrations exchange energy
        with their velocities within some tens of fs. The difference is taken seed by seed, from the first
        time to the mean of the second half.
        """
        half = len(self.times) // 2
        moved = self.potential[:, half:].mean(axis=1) - self.potential[:, 0]
        return float(moved.mean()), float(moved.std(ddof=1) / np.sqrt(len(moved)))

    def temperature(self) -> float:
        """Kinetic temperature over the second half, in kelvin."""
        half = len(self.times) // 2
        return float(2.0 * self.kinetic[:, half:].mean() / (self.degrees * units.kB))


def release(
    seeds: Sequence[Atoms],
    calculator: BaseCalculator,
    *,
    femtoseconds: float = 200.0,
    time_step: float = 0.5,
    interval: float = 5.0,
    progress: ProgressFunction | bool | None = None,
) -> Release:
    """Runs seeds at constant energy with a calculator: the release test.

    Args:
        seeds: Atoms with momenta, for example of `Sampler.atoms`; they are left as they are.
        calculator: Of the forces.
        femtoseconds: Length of each run.
        time_step: fs.
        interval: fs between the energies kept.
        progress: Hears of the seeds.

    Raises:
        InvalidError: Fewer than two seeds, or one without momenta.
    """
    if len(seeds) < 2:
        raise InvalidError("give at least two seeds: their spread is the error bar")
    every = max(1, round(interval / time_step))
    samples = max(2, round(femtoseconds / time_step) // every)
    potential, kinetic = np.empty((len(seeds), samples + 1)), np.empty((len(seeds), samples + 1))
    listener = Listener(progress)
    try:
        for k, given in enumerate(seeds):
            if not given.has("momenta"):
                raise InvalidError(f"seed {k} has no momenta: take sampler.atoms(..., velocities=True)")
            moving: Atoms = given.copy()
            moving.calc = calculator
            run = VelocityVerlet(moving, time_step * units.fs)
            for sample in range(samples + 1):
                if sample:
                    run.run(every)
                potential[k, sample] = moving.get_potential_energy()
                kinetic[k, sample] = moving.get_kinetic_energy()
            if not listener.tell(Progress("release", k + 1, len(seeds), None)):
                potential, kinetic = potential[: k + 1], kinetic[: k + 1]
                break
    finally:
        listener.close()
    times: Floats = np.arange(samples + 1, dtype=np.float64) * (every * time_step)
    moments = seeds[0].get_moments_of_inertia()
    linear = len(seeds[0]) == 2 or moments[0] < 1e-6 * moments[-1]
    return Release(times, potential, kinetic, max(1, 3 * len(seeds[0]) - (5 if linear else 6)))
