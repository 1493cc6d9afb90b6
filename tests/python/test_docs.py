"""The documentation against the program: commands run or at least parse, programs compile.

Blocks of commands are run, page by page, in a folder with the files that a reader has, with few steps of
small networks: what is tested are the commands, not the samplers. A block below `<!-- not run: REASON -->` is
left out.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from pathlib import Path

import boltzdrift
import numpy as np
import pytest
from conftest import KELVIN, SPECIES, WATER, needs_training, shaken, springs
from documents import PAGES, ROOT, Block, anchors, blocks, links, prose

if not PAGES:
    pytest.skip("no documentation beside the tests", allow_module_level=True)

BINARY = ROOT / "target/release/boltzdrift"
QUICK = {"steps": 200, "width": 48, "depth": 2, "noise": 8, "batch": 128, "device": "cpu"}
SHORTER = [
    (r"(boltzdrift train .*--method f.*)", r"\1 --steps 40 --config small.toml --device cpu"),
    (r"(boltzdrift train (?!.*--method).*)", r"\1 --steps 200 --config small.toml --device cpu"),
    (r"(boltzdrift paper .*)", r"\1 --rows fk-dist-0.1 --steps 20 --samples 200 --device cpu"),
    (r"-n \d+", "-n 400"),
    (r"--seeds [\d,]+", "--seeds 0"),
]
"""Commands that take minutes, and how they take seconds."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages speak of: spring water at 300 K in every format, a fit of it, a sampler."""
    folder = tmp_path_factory.mktemp("room")
    potential = boltzdrift.Potential.from_function(springs, name="springs")
    start = boltzdrift.Dataset.from_arrays(SPECIES, shaken(400))
    start.label(potential)
    states = boltzdrift.equilibrate(start, potential, temperature=KELVIN, frames=2000, chains=64).states
    for name in ("run", "whole", "window"):
        states.write(folder / f"{name}.npz")
    for name in ("run", "other", "window"):
        states.write(folder / f"{name}.lammpstrj")
    positions, forces = states.positions, states.forces
    assert forces is not None
    write_xyz(folder / "molecule.xyz", positions, forces)
    electronvolt = boltzdrift.unit("eV", "energy")
    write_xyz(folder / "run.extxyz", positions, forces / electronvolt)
    write_xyz(folder / "cluster.xyz", positions[:50], None)
    write_xyz(folder / "frames.xyz", positions[:400], None)
    write_dump(folder / "md.lammpstrj", positions, neighbors=0)
    write_dump(folder / "box.lammpstrj", positions, neighbors=6)
    boltzdrift.fit(states, frames=60).save(folder / "field.npz")
    boltzdrift.train(states, temperature=KELVIN, **QUICK).save(folder / "molecule.safetensors")
    small = [f"{name} = {QUICK[name]}" for name in ("width", "depth", "noise", "batch")]
    (folder / "small.toml").write_text("\n".join(small))
    for name in ("include", "examples"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def write_xyz(path: Path, positions: np.ndarray, forces: np.ndarray | None) -> None:
    columns = "species:S:1:pos:R:3" + ("" if forces is None else ":forces:R:3")
    numbers = positions if forces is None else np.concatenate([positions, forces], axis=2)
    with path.open("w") as out:
        for frame in numbers:
            out.write(f"{len(frame)}\nProperties={columns}\n")
            for name, row in zip("OHH", frame, strict=True):
                out.write(f"{name} {' '.join(f'{x:.8f}' for x in row)}\n")


def write_dump(path: Path, positions: np.ndarray, neighbors: int) -> None:
    """A dump with numbers for elements (C, H, O), and other atoms around the molecule."""
    around = np.array([[3.0 + 2.0 * k, 4.0, 4.0] for k in range(neighbors)]).reshape(-1, 3)
    element = ["" if neighbors == 0 else f" {name}" for name in "OHH" + "O" * neighbors]
    with path.open("w") as out:
        for step, frame in enumerate(positions):
            atoms = np.concatenate([frame, around])
            out.write(f"ITEM: UNITS\nreal\nITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(atoms)}\n")
            out.write("ITEM: BOX BOUNDS ff ff ff\n" + "-50 50\n" * 3)
            out.write(f"ITEM: ATOMS id type{' element' if neighbors else ''} x y z fx fy fz\n")
            for k, row in enumerate(atoms):
                place = " ".join(f"{x:.8f}" for x in row)
                out.write(f"{k + 1} {(3, 2, 2)[k] if k < 3 else 3}{element[k]} {place} 0.1 0 0\n")


def of(page: Path, *languages: str) -> list[Block]:
    return [block for block in blocks(page) if block.language in languages]


def bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{BINARY.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "BINARY": str(BINARY)}
    command = ["bash", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@needs_training
@pytest.mark.parametrize("page", [page for page in PAGES if of(page, "sh")], ids=lambda page: page.name)
def test_commands_run(page: Path, room: Path, tmp_path: Path) -> None:
    for path in room.iterdir():
        (tmp_path / path.name).symlink_to(path)
    for block in of(page, "sh"):
        if block.reason is not None:
            # Options are read before --help prints: a wrong one is an error.
            script = 'boltzdrift() { "$BINARY" "$@" --help >/dev/null; }\n' + "\n".join(own_lines(block.text))
        else:
            script = block.text
            for pattern, shorter in SHORTER:
                script = re.sub(pattern, shorter, script)
        done = bash(script, tmp_path)
        assert done.returncode == 0, f"{block.where}:\n{script}\n{done.stdout}\n{done.stderr}"


def own_lines(text: str) -> list[str]:
    """The commands of boltzdrift in a block, continued lines whole."""
    return [line for line in re.split(r"(?<!\\)\n", text) if line.startswith("boltzdrift ")]


@needs_training
@pytest.mark.parametrize("page", [page for page in PAGES if of(page, "python")], ids=lambda page: page.name)
def test_python_runs(page: Path, room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page one after the other, with a calculator of ASE and a liquid."""
    ase, ours = pytest.importorskip("ase"), pytest.importorskip("boltzdrift.ase")
    if any("import torch" in block.text for block in of(page, "python")):
        pytest.importorskip("torch", exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.extxyz").symlink_to(room / "run.extxyz")
    monkeypatch.setattr(boltzdrift, "train", functools.partial(boltzdrift.train, **QUICK))
    shorter = functools.partial(boltzdrift.equilibrate, frames=500, chains=32)
    monkeypatch.setattr(boltzdrift, "equilibrate", shorter)
    potential = boltzdrift.Potential.from_function(springs, name="springs")
    atoms = ase.Atoms("OHH", WATER, calculator=ours.ForceField(potential))
    far = atoms.copy()
    far.translate([8.0, 0.0, 0.0])
    names = {"atoms": atoms, "liquid": atoms + far, "np": np, "boltzdrift": boltzdrift}
    for block in of(page, "python"):
        if block.reason is not None:
            compile(block.text, block.where, "exec")
            continue
        text = re.sub(r"picoseconds=\d+", "picoseconds=2", block.text)
        text = re.sub(r"atoms\(100\b", "atoms(2", text)
        exec(compile("\n" * (block.line - 1) + text, str(page), "exec"), names)


@pages
def test_options_named_in_the_text_exist(page: Path) -> None:
    for command, rest in re.findall(r"`boltzdrift ([a-z]+)([^`]*)`", prose(page)):
        help_text = subprocess.run(
            [BINARY, command, "--help"], capture_output=True, text=True, check=False
        ).stdout
        assert help_text, f"{page.name}: there is no command {command}"
        for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest):
            assert re.search(rf"(?<!\S){option}(?![\w-])", help_text), (
                f"{page.name}: {command} has no {option}"
            )


@pages
def test_files_and_targets_exist(page: Path) -> None:
    """What blocks that are not run name: the Makefile's targets, and files of the repository."""
    makefile = (ROOT / "Makefile").read_text()
    for block in of(page, "sh"):
        for target in re.findall(r"^make ([a-z-]+)", block.text, flags=re.M):
            assert re.search(rf"^{target}:", makefile, flags=re.M), f"{block.where}: no target {target}"
        for name in re.findall(r"(?<![\w/.])(?:examples|tests|docs|include|cpp)/[\w/.-]+", block.text):
            assert (ROOT / name).exists(), f"{block.where}: no {name}"


EXAMPLES = [path.read_text() for path in (ROOT / "examples").rglob("*.c*")]
KNOWN_TARGETS = {
    "boltzdrift::boltzdrift",
    "boltzdrift::cxx",
    "boltzdrift::sampler",
    "boltzdrift::sampler_cxx",
}
SURROUNDINGS = """#include <boltzdrift.hpp>
#pragma GCC diagnostic ignored "-Wunused"
double my_energy(const double *positions, double *forces);
struct MyPotential : boltzdrift::Potential { void evaluate(const boltzdrift::Batch &batch) override; };
extern MyPotential my_potential;
extern std::vector<std::int32_t> species;
extern std::vector<double> positions;
extern const std::uint64_t seed, first;
extern const std::size_t count;
void documented() {
"""
"""What a part of a program in the pages takes for granted."""


@pages
def test_programs_compile(page: Path, tmp_path: Path) -> None:
    """Whole programs are files of examples/, which other tests run; parts compile in a function."""
    bridge = BINARY.parent / "bridge/include"
    for number, block in enumerate(of(page, "c", "cpp")):
        if " main(" in block.text:
            assert any(block.text in text for text in EXAMPLES), f"{block.where} is no example as it is"
            continue
        source = tmp_path / f"part{number}.cpp"
        source.write_text(f'{SURROUNDINGS}#line {block.line} "{page.name}"\n{block.text}\n}}\n')
        flags = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
        command = ["c++", *flags, f"-I{ROOT / 'include'}", f"-I{bridge}", str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block.where}:\n{done.stderr}"
    for block in of(page, "cmake"):
        assert set(re.findall(r"boltzdrift::\w+", block.text)) <= KNOWN_TARGETS, block.where


@pages
def test_lines_of_lammps_are_those_of_the_examples(page: Path) -> None:
    """The examples' inputs are run by the tests with LAMMPS; their variables stand for any value."""
    inputs = "\n".join(path.read_text() for path in (ROOT / "examples/lammps").glob("*.in"))
    known = [line.split() for line in inputs.splitlines() if line and not line.startswith("#")]
    for block in of(page, "lammps"):
        commands = [line.split("#")[0].split() for line in block.text.splitlines()]
        new = [" ".join(words) for words in commands if words and not any(same(words, old) for old in known)]
        assert not new, f"{block.where}: {new}"


def same(words: list[str], pattern: list[str]) -> bool:
    return len(words) == len(pattern) and all(
        re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}(?:/\S*)?|v_\w+", r"\\S+", re.escape(other)), word)
        for word, other in zip(words, pattern, strict=True)
    )


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("http:", "https:")):
            assert re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/[^\s<>\"]*)?", link), f"{page.name}: {link}"
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{page.name}: {link} leads out of the repository"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link} has no such heading"
