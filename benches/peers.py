"""Whole jobs beside their peers, in turns: a table with ratios and the machine, JSON, a plot of growth.

    make bench                               everything, one and two threads
    make bench REFERENCE=FOLDER              also beside boltz_reference.py and torch_training.py there
    .venv/bin/python benches/peers.py --quick --threads 1

The library runs in `.venv`, PyTorch, ASE and sgdml in `.venv-bench`, each in a process of its own
(`benches/peers/`). Rounds alternate between the two. A side counts with its least time of all rounds, so that
what else the machine does is left out as far as it can be; beside the ratio of these stands the median of the
rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "benches" / "peers"
sys.path.insert(0, str(SCRIPTS))

from growth import growth, memory, plot  # noqa: E402
from rows import ROWS, Row  # noqa: E402

GEMMS = [(96, 256, False), (1_000, 256, False), (256, 512, False), (1_024, 512, True)]
"""Rows, inner size and outputs, and whether in double precision, of the matrix products measured."""


PATIENCE = 15.0
"""Seconds after which a row of long jobs ends with two rounds."""


class Worker:
    """A process that times cases."""

    def __init__(self, python: Path, script: str, threads: int) -> None:
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT / "python")}
        # The library shares out a batch itself; its libtorch then has one thread.
        own = threads if script == "theirs.py" else 1
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[name] = str(own if name != "OPENBLAS_NUM_THREADS" else threads)
        self.process = subprocess.Popen(
            [python, script], cwd=SCRIPTS, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, case: str, **arguments: object) -> dict[str, Any]:
        """One timing."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("a worker without pipes")
        self.process.stdin.write(json.dumps({"case": case, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "the process ended"}

    def seconds(self, case: str, **arguments: object) -> float:
        """Least time of one round; an error ends the program with its message."""
        answer = self.ask(case, **arguments)
        if "error" in answer:
            sys.exit(f"{case} {arguments}: {answer['error']}")
        return min(answer["seconds"])

    def end(self) -> None:
        """Ends the process."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()


def grown_memory(
    ours: Worker, model: str, folder: Path, counts: list[float]
) -> dict[str, dict[str, list[float]]]:
    """Memory of the commands for trajectories of several lengths."""
    paths = {count: str(folder / f"{count}.extxyz") for count in map(int, counts)}
    for count, path in paths.items():
        ours.seconds("export", path=path, kind="trajectory", count=count)
    found = memory(ROOT / "target/release/boltzdrift", model, paths, folder)
    for path in paths.values():
        Path(path).unlink()
    return found


def compared(row: Row, ours: Worker, theirs: Worker, rounds: int, files: dict[str, str]) -> dict[str, Any]:
    """Times of both sides in turns, and the median of their ratios."""
    if "@reference" in row.peer_arguments.values() and "@reference" not in files:
        return {"what": row.what, "peer": row.peer, "error": "skipped, needs --reference FOLDER"}
    peer = {key: files.get(str(value), value) for key, value in row.peer_arguments.items()}
    times: list[tuple[float, float]] = []
    start = time.perf_counter()
    for _ in range(rounds):
        if len(times) > 1 and time.perf_counter() - start > PATIENCE:
            break
        pair = ours.ask(row.case, **row.arguments), theirs.ask(row.peer_case, **peer)
        wrong = next((one["error"] for one in pair if "error" in one), None)
        if wrong:
            return {"what": row.what, "peer": row.peer, "error": wrong}
        times.append((min(pair[0]["seconds"]), min(pair[1]["seconds"])))
    return {
        "what": row.what,
        "peer": row.peer,
        **least(times, row.units),
    }


def least(times: list[tuple[float, float]], units: float = 1.0) -> dict[str, Any]:
    """The least time of each side, their ratio, and the rounds'."""
    mine, other = (min(column) for column in zip(*times, strict=True))
    ratios = [b / a for a, b in times]
    return {
        "seconds": mine / units,
        "peer_seconds": other / units,
        "ratio": other / mine,
        "median_ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def started(threads: int, folder: Path, model: str) -> list[dict[str, Any]]:
    """A process that loads a sampler and writes one sample, and one that imports PyTorch."""
    ours = [ROOT / "target/release/boltzdrift", "-q", "sample", model, "-n", "1", "-o", folder / "one.npz"]
    bench = ROOT / ".venv-bench/bin/python"
    peers = {"import torch": "import torch", "import numpy": "import numpy"}
    rows = []
    for name, code in peers.items():
        times = []
        for _ in range(5):
            pair = []
            for command in (ours, [bench, "-c", code]):
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                pair.append(time.perf_counter() - start)
            times.append((pair[0], pair[1]))
            (folder / "one.npz").unlink()
        what = "command that draws one sample, start to end"
        rows.append({"what": what, "peer": name, **least(times)})
    return rows


def machine(theirs: Worker) -> dict[str, Any]:
    """What the machine is and what it reaches: matrix products and copies."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    best = lambda case, **a: min(min(theirs.ask(case, **a)["seconds"]) for _ in range(5))  # noqa: E731
    return {
        "processor": cpu,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "gemm_gflops": {
            f"{rows} x {inner}, {'double' if double else 'single'}": 2e-9
            * rows
            * inner**2
            / best("gemm", rows=rows, inner=inner, double=double)
            for rows, inner, double in GEMMS
        },
        "copy_gb_per_second": 0.512 / best("copy", megabytes=256),
    }


def shown(seconds: float) -> str:
    """In the unit that reads best."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def table(result: dict[str, Any]) -> str:
    """The rows as Markdown."""
    lines = []
    for threads, part in result["threads"].items():
        lines += [
            f"\n{threads} thread(s)\n",
            "| | ours | peer | | times faster | median |",
            "|---|---|---|---|---|---|",
        ]
        for row in part["rows"]:
            if "error" in row:
                lines.append(f"| {row['what']} | | | {row['peer']} | not measured: {row['error']} | |")
            else:
                times = shown(row["seconds"]), shown(row["peer_seconds"])
                lines.append(
                    f"| {row['what']} | {times[0]} | {times[1]} | {row['peer']} "
                    f"| {row['ratio']:.2f} | {row['median_ratio']:.2f} |"
                )
        found = part["machine"]
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in found["gemm_gflops"].items())
        lines.append(f"\nGEMM in GFLOP/s: {rates}. Copy: {found['copy_gb_per_second']:.1f} GB/s.")
    first = next(iter(result["threads"].values()))["machine"]
    head = f"{result['date']}, {first['processor']}, {first['cores']} cores, load {first['load']:.1f} before"
    return "\n".join([head, *lines])


def main() -> int:
    """Runs the rows and writes `table.md`, `result.json` and `growth.svg`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--quick", action="store_true", help="two rounds, no growth")
    parser.add_argument("--growth", choices=("also", "no", "alone"), default="also", help="beside the rows")
    parser.add_argument("--most", type=float, default=60.0, help="seconds of the longest point of growth")
    parser.add_argument(
        "--reference",
        type=Path,
        help="folder of boltz_reference.py and torch_training.py; without it no rows",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "target/bench")
    options = parser.parse_args()
    bench = ROOT / ".venv-bench/bin/python"
    if not bench.exists():
        sys.exit("no .venv-bench: run make bench, or .ci/setup.sh bench")
    if options.reference is not None and not (options.reference / "torch_training.py").exists():
        sys.exit(f"--reference {options.reference}: there is no torch_training.py")
    options.out.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "threads": {}}
    rounds = 2 if options.quick else options.rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = {"symmetry": "npy", "field": "npz", "trajectory": "extxyz", "sampler": "safetensors"}
        files = {f"@{kind}": str(folder / f"{kind}.{ending}") for kind, ending in kinds.items()}
        if options.reference is not None:
            files["@reference"] = str(options.reference.resolve())
        with_growth = options.growth == "alone" or not (
            options.quick or options.only or options.growth == "no"
        )
        rows = [] if options.growth == "alone" else [row for row in ROWS if options.only in row.what]
        for threads in options.threads:
            ours = Worker(ROOT / ".venv/bin/python", "ours.py", threads)
            theirs = Worker(bench, "theirs.py", threads)
            for kind in kinds:
                ours.seconds("export", path=files[f"@{kind}"], kind=kind)
            part: dict[str, Any] = {"machine": machine(theirs), "rows": []}
            for row in rows:
                part["rows"].append(compared(row, ours, theirs, rounds, files))
                print(json.dumps(part["rows"][-1]), file=sys.stderr, flush=True)
            if rows and not options.only:
                part["rows"] += started(threads, folder, files["@sampler"])
            if with_growth:
                part["growth"] = growth(ours.seconds, options.most)
                if threads == options.threads[-1]:
                    read = part["growth"]["frames: reading extended XYZ"]["x"]
                    part["memory"] = grown_memory(ours, files["@sampler"], folder, read)
            for worker in (ours, theirs):
                worker.end()
            result["threads"][str(threads)] = part
            # What is measured stays where a later part is stopped.
            (options.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    text = table(result)
    (options.out / "table.md").write_text(text + "\n")
    print(text)
    if with_growth:
        exponents = plot(result, options.out / "growth.svg")
        with (options.out / "table.md").open("a") as file:
            file.write(exponents + "\n")
        print(exponents)
    return 0


if __name__ == "__main__":
    sys.exit(main())
