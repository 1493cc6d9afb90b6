"""The wrapper script and the notebook, as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import boltzdrift
import pytest
from conftest import needs_training

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "ase"

pytest.importorskip("ase")
pytest.importorskip("tblite")
pytestmark = [
    needs_training,
    pytest.mark.skipif(not EXAMPLES.exists(), reason="no examples beside the tests"),
]

# xTB and the library each take one thread; without this their threads wait on each other.
QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


def test_the_script_goes_from_a_calculator_to_released_seeds(tmp_path: Path) -> None:
    """Small: water, a picosecond of xTB, 300 steps; all files are there and can be read."""
    ase_io = pytest.importorskip("ase.io")
    arguments = ["--calculator", "xtb", "--molecule", "H2O", "--picoseconds", "1", "--steps", "300"]
    done = subprocess.run(
        [
            sys.executable,
            str(EXAMPLES / "train_and_seed.py"),
            *arguments,
            "--number",
            "4",
            "-o",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, **QUIET},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for words in ("labelled frames", "equilibrated states", "trained", "4 seeds refined", "released"):
        assert words in done.stdout
    sampler = boltzdrift.Sampler.load(tmp_path / "sampler.safetensors")
    assert sampler.temperature == 500.0
    assert len(ase_io.read(tmp_path / "seeds.extxyz", index=":")) == 4
    assert boltzdrift.Potential.open(f"gdml:{tmp_path / 'field.npz'}").info()["fit"] is not None
    again = [
        sys.executable,
        str(EXAMPLES / "train_and_seed.py"),
        "--calculator",
        "xtb",
        "--steps",
        "200",
        "--quiet",
    ]
    labelled = ["--trajectory", str(tmp_path / "trajectory.extxyz"), "--refine", "0", "--number", "3"]
    done = subprocess.run(
        [*again, *labelled, "-o", str(tmp_path / "second")],
        capture_output=True,
        text=True,
        env={**os.environ, **QUIET},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "labeling 1000 frames" in done.stdout
    assert "3 seeds, raw" in done.stdout


def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell, in the folder of the examples."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("matplotlib")
    notebook = nbformat.read(EXAMPLES / "from_calculator_to_seeds.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "clear the outputs before committing"
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    # The kernel has its own backend, which puts figures into the notebook.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(EXAMPLES))
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 3
