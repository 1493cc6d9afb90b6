"""From an ASE calculator to seeds that start ASE runs: label or run, fit, equilibrate, train, refine,
release.

    python examples/ase/train_and_seed.py --calculator xtb -o ethanol
    python examples/ase/train_and_seed.py --calculator sevennet --trajectory frames.xyz -o ethanol

The calculator drives molecular dynamics of one molecule in vacuum, or labels the frames of a trajectory that
ase.io reads. boltzdrift fits a force field to its forces, equilibrates with it (--debias fit) or with the
calculator itself (--debias calculator, exact and slower), and trains a sampler of those states. Samples
refined by Monte Carlo steps of the calculator start runs at constant energy. The folder OUT has
trajectory.extxyz, pool.npz, sampler.safetensors and seeds.extxyz.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import ase.io
import boltzdrift
import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import BaseCalculator
from boltzdrift.ase import CalculatorPotential, dataset_of_atoms, langevin, release
from boltzdrift.stages import Pool

# What minutes of two cores buy (SevenNet 50 ms a call, xTB 2 ms): picoseconds of dynamics, seeds released.
LENGTHS = {"sevennet": 2.0, "xtb": 20.0}
NUMBERS = {"sevennet": 8, "xtb": 50}
KCAL = 23.06


def calculator(name: str) -> BaseCalculator:
    """The ASE calculator of a name."""
    if name == "xtb":
        from tblite.ase import TBLite

        return TBLite(method="GFN2-xTB", verbosity=0)
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator(model="7net-0", device="cpu")


def start(name: str) -> Atoms:
    """A molecule from a file, or one that ase.build knows by its name."""
    if Path(name).exists():
        found = ase.io.read(name)
        if isinstance(found, Atoms):
            return found
    return molecule(name)


def frames(
    options: argparse.Namespace, calc: BaseCalculator, potential: CalculatorPotential
) -> boltzdrift.Dataset:
    """Labelled frames: of a trajectory, or of a run of our own."""
    if options.trajectory:
        given = boltzdrift.ase.read(options.trajectory)
        print(f"labeling {len(given)} frames of {options.trajectory}", flush=True)
        given.label(potential, progress=options.progress)
        return given
    atoms = start(options.molecule)
    atoms.calc = calc
    length = options.picoseconds or LENGTHS[options.calculator]
    print(f"running {atoms.symbols} for {length} ps at {options.temperature} K", flush=True)
    run = langevin(
        atoms,
        temperature=options.temperature,
        picoseconds=length,
        warmup=length / 10.0,
        interval=length,
        seed=options.seed,
        progress=options.progress,
    )
    return dataset_of_atoms(run)


def equilibrated(
    options: argparse.Namespace, data: boltzdrift.Dataset, potential: CalculatorPotential
) -> tuple[Pool, boltzdrift.Potential]:
    """Equilibrated states, and the potential that made them."""
    if options.debias == "calculator":
        field: boltzdrift.Potential = potential
    else:
        field = boltzdrift.fit(data, progress=options.progress)
        errors = field.info()["fit"]["held_out"]
        print(f"fit: {errors}", flush=True)
        field.save(options.out / "field.npz")
    pool = boltzdrift.equilibrate(
        data, field, temperature=options.temperature, seed=options.seed, progress=options.progress
    )
    return pool, field


def main() -> int:
    """Runs the stages in order."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calculator", choices=sorted(LENGTHS), default="sevennet")
    parser.add_argument("--molecule", default="CH3CH2OH", help="a structure file, or a name ase.build knows")
    parser.add_argument("--trajectory", help="frames to label, in place of a run")
    parser.add_argument("--temperature", type=float, default=500.0, help="kelvin")
    parser.add_argument("--picoseconds", type=float, help="length of the run")
    parser.add_argument("--debias", choices=("fit", "calculator"), default="fit")
    parser.add_argument("--steps", type=int, help="of the training")
    parser.add_argument("--number", type=int, help="seeds to refine and release")
    parser.add_argument("--refine", type=int, default=5, help="Monte Carlo steps of each; 0 for raw seeds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    options.progress = None if options.quiet or not sys.stderr.isatty() else True
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def done(what: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {what}", flush=True)

    calc = calculator(options.calculator)
    potential = CalculatorPotential(calc, name=options.calculator)
    data = frames(options, calc, potential)
    boltzdrift.ase.write(options.out / "trajectory.extxyz", data)
    thermometer = data.inspect(options.temperature)
    for warning in thermometer.get("warnings", []):
        print(f"warning: {warning}")
    done(f"{len(data)} labelled frames")
    pool, _ = equilibrated(options, data, potential)
    pool.states.write(options.out / "pool.npz")
    done(f"{len(pool.states)} equilibrated states")
    sampler = boltzdrift.train(
        pool.states,
        temperature=options.temperature,
        steps=options.steps,
        seed=options.seed,
        device="cpu",
        progress=options.progress,
    )
    sampler.save(options.out / "sampler.safetensors")
    done("trained")
    exact = potential if options.refine else None
    seeds = sampler.atoms(
        options.number or NUMBERS[options.calculator],
        seed=options.seed,
        potential=exact,
        steps=options.refine or None,
        calculator=calc,
    )
    ase.io.write(options.out / "seeds.extxyz", [atoms.copy() for atoms in seeds])
    done(f"{len(seeds)} seeds" + (" refined with the calculator" if exact else ", raw"))
    runs = release(seeds, calc, femtoseconds=100.0, progress=options.progress)
    moved, error = runs.drift()
    done(
        f"released at constant energy for {runs.times[-1]:.0f} fs: the mean potential energy moves by "
        f"{KCAL * moved:.2f} +- {KCAL * error:.2f} kcal/mol, {runs.temperature():.0f} K"
    )
    spread = np.ptp(runs.potential + runs.kinetic, axis=1).max()
    print(f"the total energy of a run moves by {KCAL * spread:.2f} kcal/mol at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
