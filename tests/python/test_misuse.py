"""A thousand wrong calls, in a process of their own: each must be a Python exception, and the process must
live.

    python test_misuse.py SEED NUMBER

makes NUMBER calls, each right but for one wrong argument, a closed object, or an object in use by another
thread, and prints those that raised nothing.
"""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boltzdrift
import conftest
import numpy as np
import pytest
from boltzdrift import Dataset, Potential, Sampler

X = conftest.shaken(4)
NOT_A_NUMBER = [None, "500", b"5", object(), [1.0], {}, 1j, float("nan"), float("inf"), True]
NOT_A_COUNT = [-1, 2**64, 2**80, 1.5, "3", None, [2], np.float64(2.0), float("nan"), True]
NOT_TEXT = [3, b"eV", ["eV"], "eV\0", "\ud800", object()]
NOT_POSITIONS = [
    None,
    "positions",
    X[0],
    X[:, :2],
    X[:, :, :2],
    X.astype(complex),
    X.astype(object),
    X.astype("U8"),
    X.astype("M8[s]"),
    np.where(X[1, 1, 1] == X, np.nan, X),
    np.where(X[1, 1, 1] == X, np.inf, X),
    [[[0.0, 0.0], [1.0]]],
    [X, X],
    object(),
    X > 0.0,
    3.0,
]
NOT_SPECIES = [
    None,
    "HOH",
    [8, 1],
    [8, 1, 0],
    [8, 1, 200],
    [-8, 1, 1],
    [8.0, 1.0, 1.0],
    [[8, 1, 1]],
    [],
    [2**40, 1, 1],
]
NOT_PROGRESS = [3, "bar", [print]]
NOT_A_PATH = [None, 3, "/no/such/folder/file.xyz", "file\0.xyz", b"\xff\xfe", "\ud800", object()]


def calls(folder: Path) -> list[tuple[Callable[..., Any], dict[str, tuple[Any, list[Any]]]]]:
    """Functions with their arguments by name, each a right value and wrong ones. Objects are made anew for
    each call.
    """

    def data() -> Dataset:
        return Dataset.from_arrays(conftest.SPECIES, conftest.shaken(40))

    def sampler() -> Sampler:
        return Sampler.load(folder / "water.safetensors")

    def potential() -> Potential:
        return Potential.from_function(conftest.springs, name="springs")

    def closed(make: Callable[[], Any]) -> Callable[[], Any]:
        def made() -> Any:
            one = make()
            one.close()
            return one

        return made

    not_data = [closed(data), sampler, potential, lambda: None, lambda: 3]
    not_sampler = [closed(sampler), data, potential, lambda: None, lambda: "sampler"]
    not_potential = [closed(potential), data, sampler, lambda: None, lambda: conftest.springs]
    seeds = {"seed": (1, NOT_A_COUNT), "first": (2, [*NOT_A_COUNT, 2**64 - 1])}
    x, z = (X, NOT_POSITIONS), (conftest.SPECIES, NOT_SPECIES)
    kelvin = (300.0, [*NOT_A_NUMBER, 0.0, -300.0])
    return [
        (
            Dataset.from_arrays,
            {"species": z, "positions": x, "length_unit": ("nm", [*NOT_TEXT, "eV", "K", "furlong"])},
        ),
        (
            Dataset.from_arrays,
            {"species": z, "positions": x, "forces": (X, [v for v in NOT_POSITIONS if v is not None])},
        ),
        (
            Dataset.from_arrays,
            {"species": z, "positions": x, "masses": ([16.0, 1.0, 1.0], ["m", [1.0], [0.0] * 3, [-1.0] * 3])},
        ),
        (
            Dataset.from_arrays,
            {"species": z, "positions": x, "energies": ([0.0] * 4, ["e", [1.0], [np.nan] * 4, [[0.0] * 4]])},
        ),
        (
            Dataset.read,
            {"path": (folder / "none.xyz", NOT_A_PATH), "units": ("metal", [*NOT_TEXT, "imperial"])},
        ),
        (
            Dataset.set_velocities,
            {"self": (data, not_data), "velocities": (conftest.shaken(40), NOT_POSITIONS)},
        ),
        (Dataset.write, {"self": (data, not_data), "path": (folder / "out.xyz", NOT_A_PATH)}),
        (
            Dataset.inspect,
            {"self": (data, not_data), "temperature": (300.0, [v for v in kelvin[1] if v is not None])},
        ),
        (
            Dataset.label,
            {
                "self": (data, not_data),
                "potential": (potential, not_potential),
                "progress": (None, NOT_PROGRESS),
            },
        ),
        (Dataset.labelled, {"self": (data, not_data), "potential": (potential, not_potential)}),
        (
            Dataset.label_to,
            {
                "self": (data, not_data),
                "path": (folder / "labels.npz", NOT_A_PATH),
                "potential": (potential, not_potential),
                "batch": (10, [v for v in NOT_A_COUNT if v is not None]),
                "skip_failing": (False, ["yes", 3, object()]),
                "progress": (None, NOT_PROGRESS),
            },
        ),
        (Dataset.__len__, {"self": (data, not_data)}),
        (lambda self: self.positions + 0.0, {"self": (data, not_data[:1])}),
        (Potential.evaluate, {"self": (potential, not_potential), "species": z, "positions": x}),
        (
            Potential.open,
            {"spec": ("gdml:none", [*NOT_TEXT, "", "gdml", "magic:file", "plugin:/etc/passwd"])},
        ),
        (Potential.from_function, {"function": (conftest.springs, [None, 3, "f"]), "name": ("p", NOT_TEXT)}),
        (
            Potential.from_function,
            {
                "function": (conftest.springs, [None]),
                "name": ("p", [None]),
                "energy_unit": ("eV", [*NOT_TEXT, "nm", ""]),
            },
        ),
        (Potential.save, {"self": (potential, not_potential), "path": (folder / "f.npz", NOT_A_PATH)}),
        (boltzdrift.evaluate, {"samples": (data, not_data), "reference": (data, not_data)}),
        (
            boltzdrift.equilibrate,
            {
                "dataset": (data, not_data),
                "potential": (potential, not_potential),
                "temperature": kelvin,
                "frames": (10, [v for v in NOT_A_COUNT if v is not None]),
            },
        ),
        (boltzdrift.fit, {"dataset": (data, not_data)}),
        (
            boltzdrift.train,
            {
                "dataset": (data, not_data),
                "steps": (3, ["3", -1, 1.5, [3], object()]),
                "device": ("cpu", ["tpu", "cuda:77", 3]),
            },
        ),
        (Sampler.load, {"path": (folder / "none", [*NOT_A_PATH, folder, "/dev/null", __file__])}),
        (Sampler.save, {"self": (sampler, not_sampler), "path": (folder / "s", NOT_A_PATH)}),
        (Sampler.sample, {"self": (sampler, not_sampler), "number": (3, NOT_A_COUNT), **seeds}),
        (
            Sampler.refined,
            {
                "self": (sampler, not_sampler),
                "number": (3, NOT_A_COUNT),
                "potential": (potential, not_potential),
                "steps": (1, [-1, "1", 0.5]),
            },
        ),
        (
            Sampler.velocities,
            {
                "self": (sampler, not_sampler),
                "positions": x,
                "temperature": (300.0, [v for v in kelvin[1] if v is not None]),
                **seeds,
            },
        ),
        (
            Sampler.match,
            {
                "self": (sampler, not_sampler),
                "species": z,
                "positions": (X[0], [*NOT_POSITIONS[:2], *NOT_POSITIONS[3:]]),
            },
        ),
        (
            Sampler.place,
            {
                "self": (sampler, not_sampler),
                "positions": x,
                "onto": x,
                "orientation": ("keep", ["", None, 1]),
                **seeds,
            },
        ),
        (
            boltzdrift.unit,
            {
                "name": ("eV", [*NOT_TEXT, "", "eV/", "1"]),
                "quantity": ("energy", [*NOT_TEXT, "length", "", "beauty"]),
            },
        ),
        (boltzdrift.lammps_units, {"style": ("metal", [*NOT_TEXT, "lj", ""])}),
        (boltzdrift.set_log_level, {"level": (2, NOT_A_COUNT)}),
    ]


def one(random_: random.Random, all_calls: list[Any]) -> str | None:
    """Makes one wrong call; what it was where nothing was raised."""
    function, arguments = random_.choice(all_calls)
    wrong = random_.choice(list(arguments))
    at = random_.randrange(len(arguments[wrong][1]))
    given = {}
    for name, (right, bad) in arguments.items():
        value = bad[at] if name == wrong else right
        made = getattr(value, "__qualname__", "").startswith(("calls.", "one."))
        given[name] = value() if made else value
    raised: list[BaseException] = []

    def work() -> None:
        try:
            function(**given)
        except Exception as error:
            raised.append(error)

    if random_.random() < 0.3:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    else:
        work()
    if raised:
        return None
    return f"{getattr(function, '__qualname__', function)} with {wrong} = {given[wrong]!r} raised nothing"


def main(seed: int, number: int) -> int:
    """Makes the calls; 1 where one raised nothing."""
    faulthandler.enable()
    random_ = random.Random(seed)
    silent = set()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        conftest.write_sampler(
            path / "water.safetensors",
            conftest.SPECIES,
            [15.999, 1.008, 1.008],
            conftest.WATER,
            [[0, 1], [0, 2]],
        )
        all_calls = calls(path)
        for _ in range(number):
            silent.add(one(random_, all_calls))
    silent.discard(None)
    print("\n".join(map(str, sorted(map(str, silent)))))
    print("alive")
    return 1 if silent else 0


@pytest.mark.parametrize("seed", [0, 1])
def test_a_thousand_wrong_calls_are_exceptions(seed: int) -> None:
    """In a process whose end would be seen."""
    done = subprocess.run(
        [sys.executable, __file__, str(seed), "1000"], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "alive", done.stdout + done.stderr
    assert done.returncode == 0


def test_objects_are_not_freed_under_a_call(sampler: Sampler, data: Dataset) -> None:
    """Closing in one thread while others use it: an error there, never a crash."""
    outcomes: list[str] = []

    def use() -> None:
        while True:
            try:
                sampler.sample(200)
                len(data)
            except boltzdrift.ClosedError:
                outcomes.append("closed")
                return

    def close() -> None:
        while not sampler.closed:
            try:
                sampler.close()
            except boltzdrift.BusyError:
                outcomes.append("busy")

    threads = [threading.Thread(target=use) for _ in range(4)] + [threading.Thread(target=close)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("closed") == 4


def child(body: Callable[[], bool]) -> bool:
    """Runs `body` in a forked process; whether it was true there. One that hangs is ended."""
    made = os.fork()
    if made == 0:
        good = False
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(120)
            good = body()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0 if good else 1)
    _, status = os.waitpid(made, 0)
    return os.waitstatus_to_exitcode(status) == 0


def test_a_fork_computes_the_same(tmp_path: Path) -> None:
    """On objects of its parent and its own, from new threads too, and from a fork of the fork."""
    path = conftest.write_sampler(
        tmp_path / "w", conftest.SPECIES, [15.999, 1.008, 1.008], conftest.WATER, [[0, 1], [0, 2]]
    )
    sampler, data = Sampler.load(path), Dataset.from_arrays(conftest.SPECIES, X)
    potential = Potential.from_function(conftest.springs, name="springs")

    def work() -> bytes:
        own = Sampler.load(path)
        pool = boltzdrift.equilibrate(data, potential, temperature=300.0, frames=500, effective=50)
        assert pool.report["converged"]
        parts = [
            sampler.sample(500),
            own.sample(500),
            sampler.refined(20, potential=potential, steps=3).positions,
            *potential.evaluate(conftest.SPECIES, X),
            data.positions,
            pool.states.positions,
        ]
        own.close()
        return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)

    wanted = work()

    def same() -> bool:
        found: list[bytes] = []
        thread = threading.Thread(target=lambda: found.append(work()))
        thread.start()
        thread.join()
        return [work(), *found] == [wanted, wanted]

    assert child(lambda: same() and child(same))
    assert work() == wanted
    # Freeing what is the parent's leaves it to the parent.
    assert child(lambda: sampler.close() is None and sampler.closed)
    assert work() == wanted


def test_a_fork_while_other_threads_call(tmp_path: Path) -> None:
    """What others had borrowed is given back; what they were changing is refused."""
    path = conftest.write_sampler(
        tmp_path / "w", conftest.SPECIES, [15.999, 1.008, 1.008], conftest.WATER, [[0, 1], [0, 2]]
    )
    sampler = Sampler.load(path)
    wanted = sampler.sample(10, seed=3).tobytes()
    inside, leave = threading.Event(), threading.Event()

    def slow(species: Any, positions: Any) -> Any:
        inside.set()
        leave.wait(60)
        return conftest.springs(species, positions)

    potential = Potential.from_function(slow, name="slow")
    stop = threading.Event()

    def draw() -> None:
        while not stop.is_set():
            sampler.sample(300)

    threads = [threading.Thread(target=draw) for _ in range(2)]
    threads.append(threading.Thread(target=lambda: potential.evaluate(conftest.SPECIES, X)))
    for thread in threads:
        thread.start()
    assert inside.wait(60)

    def body() -> bool:
        with pytest.raises(boltzdrift.ForkError, match="another thread was changing this potential"):
            potential.evaluate(conftest.SPECIES, X)
        return sampler.sample(10, seed=3).tobytes() == wanted

    try:
        assert all(child(body) for _ in range(10))
    finally:
        stop.set()
        leave.set()
        for thread in threads:
            thread.join()


def test_training_in_a_fork_is_refused() -> None:
    """Libraries behind it lose their threads, and would wait for them."""
    if not boltzdrift.can_train():
        pytest.skip("needs a library that trains")
    data = Dataset.from_arrays(conftest.SPECIES, X)

    def body() -> bool:
        attempts: list[Callable[[], Any]] = [
            lambda: boltzdrift.train(data, temperature=300.0),
            lambda: boltzdrift.fit(data),
            lambda: Potential.open("torchscript:none.pt"),
        ]
        for attempt in attempts:
            with pytest.raises(boltzdrift.ForkError, match="spawn") as refusal:
                attempt()
            assert isinstance(refusal.value, boltzdrift.UnsupportedError)
        return True

    assert child(body)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
