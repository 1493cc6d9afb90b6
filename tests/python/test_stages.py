"""Fit, equilibrate, train, evaluate; and the bars of progress."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import boltzdrift
import numpy as np
import pytest
from boltzdrift import Dataset, Potential, ProgressBar
from boltzdrift.units import BOLTZMANN
from conftest import KELVIN, SPECIES, Floats, needs_training, springs

SMALL = {"steps": 400, "width": 48, "depth": 2, "noise": 8, "batch": 128, "device": "cpu"}


def test_states_of_a_python_potential_are_boltzmanns(data: Dataset, potential: Potential) -> None:
    """Three springs: three halves of kT, from frames that were far from it."""
    pool = boltzdrift.equilibrate(data, potential, temperature=KELVIN, frames=4000, effective=2000.0)
    energies = pool.states.energies
    assert energies is not None
    assert energies.mean() / (BOLTZMANN * KELVIN) == pytest.approx(1.5, abs=0.12)
    assert pool.report["converged"] is True
    np.testing.assert_allclose(energies, springs(SPECIES, pool.states.positions)[0], rtol=1e-9)


def test_an_equilibration_goes_on_after_an_exception(
    data: Dataset, potential: Potential, tmp_path: Path
) -> None:
    """Only the iteration that was cut off is computed again; the states are those of an undisturbed run."""
    calls = 0

    def function(species: object, x: Floats) -> tuple[Floats, Floats]:
        nonlocal calls
        calls += 1
        if calls in (700, 1500):
            raise ZeroDivisionError
        return springs(species, x)

    same = {"temperature": KELVIN, "frames": 300, "effective": 300.0, "chains": 16}
    whole = boltzdrift.equilibrate(data, potential, **same)
    kept = tmp_path / "run.checkpoint"
    fails = Potential.from_function(function, name="fails")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as caught:
            boltzdrift.equilibrate(data, fails, checkpoint=kept, **same)
        assert "iterations before are kept in" in caught.value.__notes__[0]
    with pytest.raises(boltzdrift.InvalidError, match="other settings"):
        boltzdrift.equilibrate(data, fails, checkpoint=kept, **(same | {"chains": 20}))
    with pytest.raises(boltzdrift.BoltzdriftError, match="another potential"):
        boltzdrift.equilibrate(data, potential, checkpoint=kept, **same)
    pool = boltzdrift.equilibrate(data, fails, checkpoint=kept, **same)
    np.testing.assert_array_equal(pool.states.positions, whole.states.positions)
    assert not kept.exists()
    with pytest.raises(TypeError):
        boltzdrift.equilibrate(data, potential, checkpoint=7, **same)  # type: ignore[arg-type]


def test_settings_are_checked(data: Dataset, potential: Potential) -> None:
    """By the library, and by Python before it."""
    with pytest.raises(boltzdrift.InvalidError, match="chains"):
        boltzdrift.equilibrate(data, potential, temperature=KELVIN, chains=1)
    with pytest.raises(boltzdrift.InvalidError, match="temperature"):
        boltzdrift.equilibrate(data, potential, temperature=-1.0)
    with pytest.raises(TypeError, match="seed must be"):
        boltzdrift.equilibrate(data, potential, temperature=KELVIN, seed=object())  # type: ignore[arg-type]
    with pytest.raises(boltzdrift.InvalidError, match="r_hat is nan"):
        boltzdrift.equilibrate(data, potential, temperature=KELVIN, r_hat=float("nan"))


@needs_training
def test_from_forces_to_a_sampler(data: Dataset, potential: Potential) -> None:
    """The fit has the forces of the springs; the sampler's samples are states of them; figures come out."""
    data.label(potential)
    heard: set[str] = set()
    field = boltzdrift.fit(
        data, frames=60, sigma=10.0, ridge=1e-9, progress=lambda progress: heard.add(progress.stage)
    )
    forces = springs(SPECIES, data.positions)[1]
    assert np.abs(field.evaluate(SPECIES, data.positions)[1] - forces).max() < 0.02 * np.abs(forces).max()
    assert field.info()["fit"]["held_out"]["force_mae"] < 0.01 * np.abs(forces).mean()
    pool = boltzdrift.equilibrate(data, field, temperature=KELVIN, frames=4000, effective=2000.0)
    first: list[boltzdrift.Progress] = []
    sampler = boltzdrift.train(pool.states, temperature=KELVIN, progress=first.append, **SMALL)
    assert first[-1].done == first[-1].total == 400
    assert first[-1].value is not None
    assert heard == {"fitting"}
    x = sampler.sample(2000)
    drawn = Dataset.from_arrays(SPECIES, x, energies=springs(SPECIES, x)[0])
    figures = boltzdrift.evaluate(drawn, pool.states)
    assert figures["tvd"] < 0.3
    assert "floor_tvd" in figures


@needs_training
def test_feature_forces_are_kept_where_asked(data: Dataset, potential: Potential, tmp_path: Path) -> None:
    """One file for the same frames and forces, and the same sampler with it as without; nothing unasked."""
    data.label(potential)
    settings: dict[str, Any] = {
        "method": "fk",
        "temperature": KELVIN,
        "steps": 50,
        "width": 32,
        "depth": 2,
        "batch": 32,
    }
    folder = tmp_path / "kept"
    plain = boltzdrift.train(data, positives=64, device="cpu", **settings)
    assert list(tmp_path.iterdir()) == []
    for _ in range(2):
        kept = boltzdrift.train(data, positives=64, device="cpu", feature_cache=folder, **settings)
        np.testing.assert_array_equal(kept.sample(20), plain.sample(20))
        assert len(list(folder.iterdir())) == 1
    with pytest.raises(boltzdrift.InvalidError, match="feature_cache is for"):
        boltzdrift.train(data, feature_cache=folder, **SMALL)


@needs_training
def test_training_stops_when_asked(data: Dataset) -> None:
    """And unknown settings are refused by the library with their name."""
    with pytest.raises(boltzdrift.InterruptedWork):
        boltzdrift.train(data, progress=lambda progress: progress.done < 10, **SMALL)
    with pytest.raises(boltzdrift.BoltzdriftError, match="sideways"):
        boltzdrift.train(data, method="sideways")
    with pytest.raises(boltzdrift.BoltzdriftError, match="cuda:99"):
        boltzdrift.train(data, **(SMALL | {"device": "cuda:99"}))


@needs_training
def test_what_is_missing_is_said_of_the_arrays(data: Dataset) -> None:
    """Frames from arrays have no file: a message says what they are from, and begins with no empty name."""
    bare = Dataset.from_arrays(data.species, data.positions)
    few = Dataset.from_arrays(data.species, data.positions[:1])
    for call, what in (
        (lambda: boltzdrift.fit(bare), "there are no forces"),
        (lambda: boltzdrift.train(bare, method="fi", **SMALL), "needs forces"),
        (lambda: boltzdrift.train(few, **SMALL), "too few"),
        (lambda: boltzdrift.fit(few), "no forces"),
    ):
        with pytest.raises(boltzdrift.InvalidError) as caught:
            call()
        assert str(caught.value).startswith("the frames from arrays: ") and what in str(caught.value)


@pytest.mark.skipif(boltzdrift.can_train(), reason="the library can train")
def test_the_sampler_only_library_says_so(data: Dataset, potential: Potential) -> None:
    """Training and fitting are refused; equilibration is there."""
    data.label(potential)
    for stage in (boltzdrift.fit, boltzdrift.train):
        with pytest.raises(boltzdrift.UnsupportedError, match="only samples"):
            stage(data)


def test_bars_of_tqdm_follow_the_stages(data: Dataset, potential: Potential) -> None:
    """One bar a stage, to its end."""
    pytest.importorskip("tqdm")
    said = io.StringIO()
    data.label(potential, progress=ProgressBar(file=said, mininterval=0.0))
    text = said.getvalue()
    assert "labeling" in text
    assert re.search(r"400/400", text)
    data.label(potential, progress=True)
    with pytest.raises(TypeError, match="progress must be"):
        data.label(potential, progress=3)  # type: ignore[arg-type]
