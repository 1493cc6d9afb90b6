"""Seeds of xTB molecules against long runs, by the checks that a practitioner trusts.

    python tests/acceptance/ase_xtb.py [--molecule ethanol|ethanethiol] [--seed 0] [--out FOLDER]

For each molecule: a training run of 20 ps with GFN2-xTB at 500 K, a fit, an equilibration and a training, as
in examples/ase/train_and_seed.py; then raw samples, and samples refined by Monte Carlo steps of xTB, against
an independent run of 100 ps. The rows of the refined seeds are held against their limits; those of the raw
ones stand beside them. Runs are kept in FOLDER, and used again by the next call with the same settings.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import boltzdrift
import numpy as np
import numpy.typing as npt
from ase import Atoms, units
from ase.build import molecule
from boltzdrift import Dataset, plots
from boltzdrift.ase import CalculatorPotential, dataset_of_atoms, langevin, release
from scipy.stats import ks_2samp
from tblite.ase import TBLite

# pymbar, which physical_validation uses, greets on stderr.
with open(os.devnull, "w") as null, contextlib.redirect_stderr(null):  # noqa: PTH123
    import physical_validation

Floats = npt.NDArray[np.float64]

KELVIN, HOTTER = 500.0, 600.0
TRAINING, REFERENCE = 20.0, 100.0
RAW, REFINED, RELEASED = 1000, 300, 60
STEPS = 6
# A normal deviate beyond this happens by chance once in 740 figures; p-values likewise.
SIGMAS, LEAST_P = 3.2, 0.00135


# Names in ase.build.
CASES = {"ethanol": "CH3CH2OH", "ethanethiol": "CH3CH2SH"}


@dataclass(frozen=True)
class Row:
    """A figure of raw and refined seeds, and whether the refined one is within its limit."""

    what: str
    raw: str
    refined: str
    limit: str
    fine: bool


def heavy_torsion(atoms: Atoms) -> tuple[int, int, int, int]:
    """C-C-X-H, X the hetero atom, by the bonds of the start."""
    distances = atoms.get_all_distances()
    symbols = np.array(atoms.get_chemical_symbols())
    hetero = int(np.flatnonzero((symbols != "C") & (symbols != "H"))[0])
    carbons = np.flatnonzero(symbols == "C")
    inner = int(carbons[np.argmin(distances[hetero, carbons])])
    outer = int(carbons[np.argmax(distances[hetero, carbons])])
    hydrogens = np.flatnonzero(symbols == "H")
    return outer, inner, hetero, int(hydrogens[np.argmin(distances[hetero, hydrogens])])


def kept(path: Path, make: Callable[[], Dataset]) -> Dataset:
    """A dataset from its file, or made and written."""
    if path.exists():
        print(f"using {path}", flush=True)
        return Dataset.read(path, units="real")
    started = time.monotonic()
    data = make()
    data.write(path)
    print(f"{path.name}: {time.monotonic() - started:.0f} s", flush=True)
    return data


def xtb() -> TBLite:
    """GFN2-xTB."""
    return TBLite(method="GFN2-xTB", verbosity=0)


def run(case: str, picoseconds: float, interval: float, seed: int) -> Dataset:
    """Frames of a canonical run."""
    atoms = molecule(case)
    atoms.calc = xtb()
    return dataset_of_atoms(
        langevin(atoms, temperature=KELVIN, picoseconds=picoseconds, interval=interval, seed=seed)
    )


def values(data: Dataset) -> Floats:
    """Energies, which must be there."""
    energies = data.energies
    if energies is None:
        raise SystemExit("the frames have no energies")
    return energies


def block_error(series: Floats, blocks: int = 16) -> float:
    """Standard error of the mean of a correlated series, from the means of its blocks."""
    means = np.array([part.mean() for part in np.array_split(series, blocks)])
    return float(means.std(ddof=1) / np.sqrt(blocks))


def trans(data: Dataset, torsion: tuple[int, int, int, int]) -> Floats:
    """1.0 where a torsion is beyond 120 degrees."""
    return (np.abs(plots.dihedral_angles(data, torsion)) > 120.0).astype(np.float64)


def kinetic_check(sampler: boltzdrift.Sampler, positions: Floats, seed: int) -> tuple[float, float, float]:
    """p of the whole distribution; deviates of its mean and width (physical_validation)."""
    velocities = sampler.velocities(positions, temperature=KELVIN, seed=seed)
    to_ev = 1.0 / units.fs**2
    kinetic = 0.5 * (sampler.masses[:, None] * velocities**2).sum(axis=(1, 2)) * to_ev
    data = simulation(len(sampler.species), KELVIN, kinetic=kinetic)
    check = physical_validation.kinetic_energy.distribution
    p = check(data, strict=True, verbosity=0, data_is_uncorrelated=True)
    mean, width = check(data, strict=False, verbosity=0, bootstrap_seed=1, data_is_uncorrelated=True)
    return float(p), float(mean), float(width)


def simulation(atoms: int, kelvin: float, **series: Floats) -> physical_validation.data.SimulationData:
    """Energies in eV as physical_validation takes them: 3n - 6 degrees of freedom."""
    zero = np.zeros(len(next(iter(series.values()))))
    energies = {"kinetic": zero, "potential": zero} | series
    return physical_validation.data.SimulationData(
        units=physical_validation.data.UnitData(
            kb=units.kB,
            energy_str="eV",
            energy_conversion=96.485332,
            length_str="A",
            length_conversion=0.1,
            volume_str="A^3",
            volume_conversion=1e-3,
            temperature_str="K",
            temperature_conversion=1.0,
            pressure_str="bar",
            pressure_conversion=1.0,
            time_str="ps",
            time_conversion=1.0,
        ),
        ensemble=physical_validation.data.EnsembleData("NVT", natoms=atoms, volume=1.0, temperature=kelvin),
        system=physical_validation.data.SystemData(
            natoms=atoms, nconstraints=0.0, ndof_reduction_tra=3, ndof_reduction_rot=3
        ),
        observables=physical_validation.data.ObservableData(
            kinetic_energy=energies["kinetic"],
            potential_energy=energies["potential"],
            total_energy=energies["kinetic"] + energies["potential"],
        ),
    )


def ensemble_check(sampler: boltzdrift.Sampler, field: boltzdrift.Potential, seed: int) -> float:
    """Deviates of the slope of the log ratio of energies at two temperatures from the one of Boltzmann.

    The samples are refined by many steps of the fitted field, whose energies they are: an xTB run for each
    would cost hours.
    """
    factor, series = boltzdrift.unit("eV", "energy"), []
    for number, kelvin in enumerate((KELVIN, HOTTER)):
        done = sampler.refined(RAW, field, seed=seed + number, steps=40, temperature=kelvin)
        series.append(simulation(len(sampler.species), kelvin, potential=done.energies / factor))
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):  # noqa: PTH123
        found = physical_validation.ensemble.check(
            *series, bootstrap_error=False, verbosity=0, data_is_uncorrelated=True
        )
    return float(np.ravel(found)[0])


def compare(case: str, seed: int, out: Path) -> list[Row]:
    """All rows of a molecule."""
    tag = f"{case}-{KELVIN:.0f}K"
    training = kept(
        out / f"{tag}-training-{seed}-{TRAINING:.0f}ps.npz", lambda: run(case, TRAINING, 20.0, seed)
    )
    reference = kept(
        out / f"{tag}-reference-{seed}-{REFERENCE:.0f}ps.npz", lambda: run(case, REFERENCE, 50.0, 1000 + seed)
    )
    started = time.monotonic()
    field = boltzdrift.fit(training)
    held_out = field.info()["fit"]["held_out"]
    print(f"fit: {held_out['force_mae']:.2f} kcal/mol/A, {held_out['energy_rmse']:.2f} kcal/mol", flush=True)
    pool = boltzdrift.equilibrate(training, field, temperature=KELVIN, seed=seed)
    sampler = boltzdrift.train(pool.states, temperature=KELVIN, seed=seed, device="cpu")
    sampler.save(out / f"{tag}-{seed}.safetensors")
    print(f"fit, equilibration and training: {time.monotonic() - started:.0f} s", flush=True)
    potential = CalculatorPotential(xtb(), name="xTB")
    raw = Dataset.from_arrays(sampler.species, sampler.sample(RAW, seed=seed))
    raw.label(potential)
    done = sampler.refined(REFINED, potential, seed=seed, steps=STEPS)
    refined = Dataset.from_arrays(sampler.species, done.positions, energies=done.energies)
    refined.label(potential)
    print(f"refinement: acceptance {done.report['acceptance']:.2f}", flush=True)
    rows = [
        *energy_rows(raw, refined, reference),
        *shape_rows(raw, refined, reference, heavy_torsion(molecule(case))),
    ]
    rows += release_rows(sampler, potential, seed)
    rows.append(thermometer_row(raw, refined))
    p, mean, width = kinetic_check(sampler, done.positions, seed)
    rows.append(Row("kinetic energies, p", "", f"{p:.3f}", f"> {LEAST_P}", p > LEAST_P))
    worst = max(abs(mean), abs(width))
    rows.append(Row("their mean and width, sigmas", "", f"{worst:.2f}", f"< {SIGMAS}", worst < SIGMAS))
    sigmas = ensemble_check(sampler, field, seed)
    what = f"energies at {KELVIN:.0f} and {HOTTER:.0f} K, sigmas from Boltzmann's slope"
    rows.append(Row(what, "", f"{sigmas:.2f}", f"< {SIGMAS}", abs(sigmas) < SIGMAS))
    return rows


def energy_rows(raw: Dataset, refined: Dataset, reference: Dataset) -> list[Row]:
    """Distribution of the potential energy."""
    # Every 250 fs: the thermostat's time is 100 fs.
    wanted = values(reference)[::5]
    rows, found = [], [values(raw), values(refined)]
    tests = [ks_2samp(each, wanted) for each in found]
    text = [f"D {each.statistic:.3f}, p {each.pvalue:.2g}" for each in tests]
    rows.append(Row("energies, Kolmogorov-Smirnov", *text, f"p > {LEAST_P}", tests[1].pvalue > LEAST_P))
    error = block_error(values(reference))
    means = [each.mean() - values(reference).mean() for each in found]
    errors = [float(np.hypot(each.std() / np.sqrt(len(each)), error)) for each in found]
    text = [f"{mean:+.2f} +- {each:.2f}" for mean, each in zip(means, errors, strict=True)]
    fine = abs(means[1]) < SIGMAS * errors[1]
    rows.append(Row("mean energy less the run's, kcal/mol", *text, f"{SIGMAS} sigmas", fine))
    widths = [each.std() / values(reference).std() for each in found]
    # The width of n independent energies is off by 1/sqrt(2n); both samples count.
    limit = SIGMAS * np.sqrt(0.5 / len(found[1]) + 0.5 / len(wanted))
    text = [f"{width:.3f}" for width in widths]
    rows.append(Row("their width over the run's", *text, f"1 +- {limit:.2f}", abs(widths[1] - 1.0) < limit))
    return rows


def own_parts(reference: Dataset, number: int) -> list[tuple[Dataset, Dataset]]:
    """So many random frames of one half of a run, and its other half: what chance gives for so many."""
    x, random = reference.positions, np.random.default_rng(0)
    halves = np.array_split(x, 2)
    parts = []
    for draw in range(10):
        mine, other = halves[draw % 2], halves[1 - draw % 2]
        chosen = mine[random.choice(len(mine), number, replace=False)]
        parts.append(tuple(Dataset.from_arrays(reference.species, each) for each in (chosen, other)))
    return parts


def shape_rows(
    raw: Dataset, refined: Dataset, reference: Dataset, torsion: tuple[int, int, int, int]
) -> list[Row]:
    """Torsions and distances."""
    wanted = trans(reference, torsion)
    share, error = float(wanted.mean()), block_error(wanted)
    found = [float(trans(each, torsion).mean()) for each in (raw, refined)]
    errors = [
        float(np.hypot(error, np.sqrt(each * (1.0 - each) / number)))
        for each, number in zip(found, (len(raw), len(refined)), strict=True)
    ]
    text = [f"{each:.3f} +- {own:.3f}" for each, own in zip(found, errors, strict=True)]
    fine = abs(found[1] - share) < SIGMAS * errors[1]
    rows = [
        Row(f"trans share of the torsion, run {share:.3f} +- {error:.3f}", *text, f"{SIGMAS} sigmas", fine)
    ]
    figures = [boltzdrift.evaluate(each, reference) for each in (raw, refined)]
    controls = [boltzdrift.evaluate(*pair) for pair in own_parts(reference, len(refined))]
    for name in ("tvd", "pair_tvd_sym"):
        own = np.array([each[name] for each in controls])
        limit = float(own.mean() + SIGMAS * own.std(ddof=1))
        text = [f"{each[name]:.4f}" for each in figures]
        what = f"{name}, {len(refined)} frames of one half of the run against the other {own.mean():.4f}"
        rows.append(Row(what, *text, f"< {limit:.4f}", figures[1][name] < limit))
    widths = [each["bond_sigma"] for each in figures]
    text = [f"{each:.3f}" for each in widths]
    rows.append(Row("bond width over the run's", *text, "1 +- 0.05", abs(widths[1] - 1.0) < 0.05))
    return rows


def release_rows(sampler: boltzdrift.Sampler, potential: CalculatorPotential, seed: int) -> list[Row]:
    """Runs at constant energy."""
    calculator, kcal = xtb(), boltzdrift.unit("eV", "energy")
    raw = release(sampler.atoms(RELEASED, seed=seed), calculator, femtoseconds=100.0)
    better = sampler.atoms(RELEASED, seed=seed, potential=potential, steps=STEPS)
    refined = release(better, calculator, femtoseconds=100.0)
    moved = [each.drift() for each in (raw, refined)]
    text = [f"{kcal * mean:+.2f} +- {kcal * error:.2f}" for mean, error in moved]
    fine = abs(moved[1][0]) < SIGMAS * moved[1][1]
    rows = [Row("release: potential energy moves by, kcal/mol", *text, f"{SIGMAS} sigmas", fine)]
    # A molecule at constant energy keeps a temperature of its own: the spread over seeds is the error.
    kelvins = [
        each.kinetic[:, len(each.times) // 2 :].mean(axis=1) * 2.0 / (each.degrees * units.kB)
        for each in (raw, refined)
    ]
    errors = [each.std(ddof=1) / np.sqrt(len(each)) for each in kelvins]
    text = [f"{each.mean():.0f} +- {error:.0f}" for each, error in zip(kelvins, errors, strict=True)]
    fine = abs(kelvins[1].mean() - KELVIN) < SIGMAS * errors[1]
    rows.append(Row("release: kinetic temperature, K", *text, f"500, {SIGMAS} sigmas", fine))
    return rows


def thermometer_row(raw: Dataset, refined: Dataset) -> Row:
    """Temperature of positions and forces."""
    found = [each.inspect(KELVIN)["thermometer"]["configurational"] for each in (raw, refined)]
    text = [f"{each['kelvin']:.0f} +- {each['error']:.0f}" for each in found]
    fine = abs(found[1]["kelvin"] - KELVIN) < SIGMAS * found[1]["error"]
    return Row("temperature of positions and forces, K", *text, f"500, {SIGMAS} sigmas", fine)


def main() -> int:
    """Prints a table for each molecule; 1 where a refined figure is out of its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecule", choices=sorted(CASES), action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("target/acceptance"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for name in options.molecule or sorted(CASES):
        started = time.monotonic()
        rows = compare(CASES[name], options.seed, options.out)
        print(f"\n{name}, seed {options.seed}, {time.monotonic() - started:.0f} s")
        print("| | raw | refined | limit | |\n|---|---|---|---|---|")
        for row in rows:
            verdict = "ok" if row.fine else "OUT OF LIMITS"
            print(f"| {row.what} | {row.raw} | {row.refined} | {row.limit} | {verdict} |", flush=True)
        wrong += sum(not row.fine for row in rows)
        stored = [vars(row) | {"fine": bool(row.fine)} for row in rows]
        (options.out / f"{name}-{options.seed}.json").write_text(json.dumps(stored, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
