"""Python functions as potentials: numbers, exceptions, threads, Ctrl-C."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boltzdrift
import numpy as np
import pytest
from boltzdrift import Dataset, Potential
from conftest import KELVIN, SPECIES, Floats, shaken, springs


class OwnError(Exception):
    """An exception of the user's."""


def failing(_species: object, positions: Floats) -> tuple[Floats, Floats]:
    """Raises from inside."""
    raise OwnError(f"{len(positions)} frames")


def test_units_of_a_function_are_converted() -> None:
    """eV and nm in the function are kcal/mol and angstrom outside."""
    kcal = 4184.0 / 6.02214076e23 / 1.602176634e-19  # eV, by the definitions of the SI

    def function(species: object, positions: Floats) -> tuple[Floats, Floats]:
        energies, forces = springs(species, positions * 10.0)
        return energies * kcal, forces * kcal * 10.0

    other = Potential.from_function(function, name="eV and nm", length_unit="nm", energy_unit="eV")
    x = shaken(5)
    energies, forces = other.evaluate(SPECIES, x)
    expected = springs(SPECIES, x)
    np.testing.assert_allclose(energies, expected[0], rtol=1e-9)
    np.testing.assert_allclose(forces, expected[1], rtol=1e-9, atol=1e-9)


def test_an_exception_comes_out_as_itself(data: Dataset) -> None:
    """Its type, its message, its traceback down to the user's line, and the library's message as a note."""
    bad = Potential.from_function(failing, name="bad")
    before = data.positions
    with pytest.raises(OwnError, match="256 frames") as caught:
        data.label(bad)
    assert any("failing" in line for line in traceback.format_tb(caught.value.__traceback__))
    assert "potential bad, frame 0" in caught.value.__notes__[0]
    assert data.energies is None
    np.testing.assert_array_equal(data.positions, before)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda e, f: (e[:-1], f), "energies of shape"),
        (lambda e, f: (e, f[0]), "forces of shape"),
        (lambda e, f: (e, f.astype(complex)), "real forces"),
        (lambda e, f: (e.sum(), f), "energies of shape"),
        (lambda e, f: (np.ma.masked_less(e, 1e9), f), "energies that are masked"),
        (lambda e, f: e, r"\(energies, forces\)"),
        (lambda e, f: None, r"\(energies, forces\)"),
    ],
)
def test_a_wrong_answer_is_named(answer: Callable[..., object], words: str) -> None:
    """Nothing is broadcast."""
    wrong = Potential.from_function(lambda z, x: answer(*springs(z, x)), name="wrong")
    with pytest.raises((TypeError, boltzdrift.InvalidError), match=words):
        wrong.evaluate(SPECIES, shaken(3))


def test_a_number_that_is_not_finite_names_its_frame() -> None:
    """NaN never passes."""

    def function(species: object, positions: Floats) -> tuple[Floats, Floats]:
        energies, forces = springs(species, positions)
        forces[2, 1, 0] = np.nan
        return energies, forces

    with pytest.raises(boltzdrift.PotentialError, match="frame 2"):
        Potential.from_function(function, name="holes").evaluate(SPECIES, shaken(4))


def test_what_a_function_keeps_stays_what_it_was() -> None:
    """Its arguments are its own, after the call too."""
    kept = []

    def function(species: object, positions: Floats) -> tuple[Floats, Floats]:
        kept.append((species, positions))
        return springs(species, positions)

    x = shaken(4)
    Potential.from_function(function, name="keeper").evaluate(SPECIES, x)
    np.testing.assert_array_equal(kept[0][1], x)
    kept[0][1][:] = 0.0


def test_a_potential_cannot_use_itself(data: Dataset) -> None:
    """Nor change the frames that it is labeling: that would wait for ever."""
    box: list[Potential] = []

    def again(species: object, positions: Floats) -> tuple[Floats, Floats]:
        return box[0].evaluate(species, positions)

    box.append(Potential.from_function(again, name="snake"))
    with pytest.raises(boltzdrift.BusyError, match="used by the call"):
        box[0].evaluate(SPECIES, shaken(1))

    def closes(species: object, positions: Floats) -> tuple[Floats, Floats]:
        data.close()
        return springs(species, positions)

    with pytest.raises(boltzdrift.BusyError, match="not over"):
        data.label(Potential.from_function(closes, name="closes"))


def test_a_function_may_use_other_objects(potential: Potential, data: Dataset) -> None:
    """The library may be called from inside a call."""
    outer = Potential.from_function(potential.evaluate, name="outer")
    data.label(outer)
    np.testing.assert_allclose(data.energies, springs(SPECIES, data.positions)[0], rtol=1e-12)


def test_threads_take_turns_with_one_potential(potential: Potential) -> None:
    """Eight threads at once: every answer is right."""
    wrong: list[object] = []

    def work(seed: int) -> None:
        x = shaken(50, seed)
        for _ in range(20):
            energies, _ = potential.evaluate(SPECIES, x)
            if not np.allclose(energies, springs(SPECIES, x)[0]):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_gil_is_free_during_work(sampler: boltzdrift.Sampler) -> None:
    """Python runs on while the library samples."""
    steps, over = 0, threading.Event()

    def work() -> None:
        sampler.sample(400_000)
        over.set()

    thread = threading.Thread(target=work)
    start = time.perf_counter()
    thread.start()
    while not over.is_set():
        steps += 1
    thread.join()
    seconds = time.perf_counter() - start
    # With the GIL held, Python would get a turn between chunks only: fewer than 100 in all.
    assert steps > 1000, f"{steps} steps in {seconds:.2f} s"


INTERRUPTED = """
import os, signal, threading, time
import boltzdrift, conftest
from boltzdrift import Dataset, Potential

# A process that was started in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
data = Dataset.from_arrays(conftest.SPECIES, conftest.shaken(400))
{potential}
potential = Potential.from_function(function, name="springs")
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    {work}
    print("finished")
except KeyboardInterrupt:
    print("interrupted")
print(len(data), potential.name)
"""
LONG = (
    "boltzdrift.equilibrate(data, potential, temperature=300, effective=1e9, frames=1000, "
    "most_evaluations=10**9)"
)
SLOW = """
def function(species, positions):
    time.sleep(0.2)
    return conftest.springs(species, positions)
"""


@pytest.mark.parametrize(
    ("potential", "work"),
    [
        ("function = conftest.springs", LONG),
        (SLOW, LONG),
        (SLOW, "[data.label(potential) for _ in range(100)]"),
    ],
)
def test_ctrl_c_stops_the_work_and_nothing_else(potential: str, work: str) -> None:
    """KeyboardInterrupt comes out at once, and everything can be used after it."""
    if "evaluations" in work:
        work = work.replace("10**9", "4 * 10**6")
        work = f"[{work} for _ in range(100)]"
    code = INTERRUPTED.format(potential=potential, work=work)
    start = time.monotonic()
    folder = os.path.dirname(__file__)  # noqa: PTH120
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, timeout=200
    )
    assert done.stdout == "interrupted\n400 springs\n", done.stderr
    assert "ignored" not in done.stderr
    assert time.monotonic() - start < 60.0


def test_another_handler_of_ctrl_c_is_called(potential: Potential, data: Dataset) -> None:
    """The user's own handler hears of it, once, and is there afterwards."""
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        own = signal.getsignal(signal.SIGINT)

        def function(species: object, positions: Floats) -> tuple[Floats, Floats]:
            if not heard:
                os.kill(os.getpid(), signal.SIGINT)
            return springs(species, positions)

        data.label(Potential.from_function(function, name="killer"))
        assert heard == [signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_exit_in_a_progress_function_comes_out(data: Dataset, potential: Potential) -> None:
    """And so does everything else it raises; False is a request to stop."""

    def leaves(_progress: boltzdrift.Progress) -> None:
        raise SystemExit(7)

    with pytest.raises(SystemExit) as caught:
        data.label(potential, progress=leaves)
    assert caught.value.code == 7
    with pytest.raises(boltzdrift.InterruptedWork):
        data.label(potential, progress=lambda progress: False)
    with pytest.raises(ZeroDivisionError):
        boltzdrift.equilibrate(data, potential, temperature=KELVIN, progress=lambda progress: 1 // 0)
    data.label(potential)


def test_only_a_named_potential_is_pickled(potential: Potential) -> None:
    """A function's is not: the message says what to do."""
    with pytest.raises(TypeError, match="gdml:FILE"):
        pickle.dumps(potential)
    with pytest.raises(boltzdrift.UnsupportedError):
        potential.save("nothing.npz")
    with pytest.raises(boltzdrift.DataError, match=r"none\.npz"):
        Potential.open("gdml:none.npz")


def data_potential() -> Potential:
    """The three springs under the name of another potential."""
    return Potential.from_function(springs, name="third")


def test_a_failing_frame_is_named_and_nothing_is_lost(data: Dataset) -> None:
    """The third call of four: the dataset is as it was, what the first two have done is kept and not done
    again.
    """
    calls: list[int] = []

    def function(species: object, positions: Floats) -> tuple[Floats, Floats]:
        calls.append(len(positions))
        if len(calls) == 3:
            raise OwnError("out of paper")
        return springs(species, positions)

    before = data.positions
    limited = Potential.from_function(function, name="third", largest_batch=100)
    with pytest.raises(OwnError) as caught:
        data.label(limited)
    assert calls == [100, 100, 100]
    assert "frame 200" in caught.value.__notes__[0]
    assert "out of paper" in caught.value.__notes__[0]
    assert "200 of 400 frames are done" in caught.value.__notes__[0]
    assert data.energies is None
    np.testing.assert_array_equal(data.positions, before)
    done = data.labelled(limited)
    np.testing.assert_array_equal(done.positions, before[:200])
    np.testing.assert_array_equal(done.energies, springs(SPECIES, before[:200])[0])
    # Other frames and other potentials have nothing to do with it.
    for frames, other in [(Dataset.from_arrays(SPECIES, before[:201]), limited), (data, data_potential())]:
        with pytest.raises(boltzdrift.UnsupportedError, match="keeps no labels"):
            frames.labelled(other)
    data.label(limited)
    assert calls == [100] * 5
    np.testing.assert_array_equal(data.energies, springs(SPECIES, before)[0])


def test_a_blocking_function_stops_nobody_else(
    potential: Potential, sampler: boltzdrift.Sampler, data: Dataset
) -> None:
    """It waits in one thread until another one has sampled and labelled."""
    inside, gate = threading.Event(), threading.Event()

    def function(species: object, positions: Floats) -> tuple[Floats, Floats]:
        inside.set()
        assert gate.wait(timeout=60.0)
        return springs(species, positions)

    answers: list[tuple[Floats, Floats]] = []
    slow = Potential.from_function(function, name="slow")
    blocked = threading.Thread(target=lambda: answers.append(slow.evaluate(SPECIES, shaken(3))))
    blocked.start()
    assert inside.wait(timeout=60.0)
    assert sampler.sample(50_000).shape == (50_000, 3, 3)
    data.label(potential)
    assert answers == []
    gate.set()
    blocked.join()
    np.testing.assert_array_equal(answers[0][0], springs(SPECIES, shaken(3))[0])


class _Springs:
    """A callable whose end is seen."""

    def __call__(self, species: object, positions: Floats) -> tuple[Floats, Floats]:
        """The springs; what was freed is given to others meanwhile."""
        gc.collect()
        return springs(species, positions)


def test_a_function_lives_as_long_as_its_potential(data: Dataset) -> None:
    """Nobody else holds it: neither it nor ctypes' callback is freed under the library."""
    function = _Springs()
    alive = weakref.ref(function)
    potential = Potential.from_function(function, name="springs")
    del function
    gc.collect()
    data.label(potential)
    assert alive() is not None
    # The last reference to the potential goes away inside a call.
    box = [potential]
    del potential

    def drops(progress: boltzdrift.Progress) -> None:
        box.clear()
        gc.collect()

    data.label(box[0], progress=drops)
    gc.collect()
    assert alive() is None
    np.testing.assert_allclose(data.energies, springs(SPECIES, data.positions)[0], rtol=1e-12)


def test_a_file_of_labels_goes_on_after_everything(data: Dataset, tmp_path: Path) -> None:
    """An exception, NaN, Ctrl-C, a progress function that stops or raises: its own error, no frame twice."""
    out = tmp_path / "out.npz"
    seen: list[float] = []
    plan: dict[int, Callable[[], float]] = {}

    def raises(what: BaseException) -> Callable[[], float]:
        def now() -> float:
            raise what

        return now

    def function(species: object, x: Floats) -> tuple[Floats, Floats]:
        frame = len(seen)
        if frame in plan:
            return np.array([plan.pop(frame)()]), np.zeros_like(x)
        seen.append(float(x[0, 0, 0]))
        return springs(species, x)

    potential = Potential.from_function(function, name="planned", largest_batch=1)

    def cut(error: type[BaseException], words: str, **options: Any) -> None:
        with pytest.raises(error, match=words or None):
            data.label_to(out, potential, batch=8, **options)
        assert not out.exists()

    plan.update({37: raises(OwnError("paper")), 80: lambda: float("nan"), 90: raises(KeyboardInterrupt())})
    cut(OwnError, "paper")
    cut(boltzdrift.PotentialError, "frame 80: in the frames from arrays: the energy is not finite")
    # Ctrl-C leaves no frame out, whatever may be left out.
    cut(KeyboardInterrupt, "", skip_failing=True)
    cut(boltzdrift.InterruptedWork, "after 120 of 400", progress=lambda now: now.done < 120)
    cut(ZeroDivisionError, "", progress=lambda now: 1 // (150 - now.done))
    plan[200] = raises(OwnError("left out"))
    report = data.label_to(out, potential, skip_failing=True)
    assert report["frames"] == 399
    assert report["kept_before"] == 150
    assert report["left_out"] == [200]
    kept = np.delete(data.positions, 200, axis=0)
    np.testing.assert_array_equal(seen, kept[:, 0, 0])
    back = Dataset.read(out)
    np.testing.assert_array_equal(back.positions, kept)
    np.testing.assert_allclose(back.energies, springs(SPECIES, kept)[0], rtol=1e-12)
    assert data.energies is None
    # Nothing of the exceptions is left over.
    potential.evaluate(SPECIES, shaken(1))


def test_what_is_raised_once_comes_out_too(data: Dataset, tmp_path: Path) -> None:
    """Also where the frames of the batch are answered when they are asked for alone: all of it is kept."""
    calls = 0

    def function(species: object, x: Floats) -> tuple[Floats, Floats]:
        nonlocal calls
        calls += 1
        if calls in (3, 4 + 16):
            raise OwnError(calls)
        return springs(species, x)

    potential = Potential.from_function(function, name="late")
    out = tmp_path / "out.npz"
    with pytest.raises(OwnError, match="3") as caught:
        data.label_to(out, potential, batch=16)
    assert "frame 32" in caught.value.__notes__[0]
    assert "with 16 frames at once, and with none of them alone" in caught.value.__notes__[0]
    # Where failing frames are left out, this one is none.
    report = data.label_to(out, potential, batch=16, skip_failing=True)
    assert report["kept_before"] == 48
    assert report["left_out"] == []


def test_partial_labels_of_others_are_not_taken(data: Dataset, potential: Potential, tmp_path: Path) -> None:
    """Another potential, other frames, another file, a wrong format or setting."""
    out = tmp_path / "out.npz"
    with pytest.raises(boltzdrift.InterruptedWork):
        data.label_to(out, potential, batch=10, progress=lambda now: now.done < 10)
    kept = out.with_suffix(".npz.partial").read_bytes()
    with pytest.raises(boltzdrift.InvalidError, match="by another potential"):
        data.label_to(out, Potential.from_function(springs, name="others"))
    with pytest.raises(boltzdrift.InvalidError, match="of other frames"):
        Dataset.from_arrays(SPECIES, shaken(400, 1)).label_to(out, potential)
    with pytest.raises(boltzdrift.InvalidError, match="no place for forces"):
        data.label_to(tmp_path / "out.pdb", potential)
    with pytest.raises(boltzdrift.InvalidError, match="batch is 0"):
        data.label_to(out, potential, batch=0)
    assert out.with_suffix(".npz.partial").read_bytes() == kept
    assert data.label_to(out, potential)["kept_before"] == 10
    assert Dataset.read(out).label_to(tmp_path / "again.npz", potential)["difference"]["forces"] == 0.0
