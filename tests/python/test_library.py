"""Finding and loading the library, its prototypes, and processes."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import re
import subprocess
import sys
from pathlib import Path

import boltzdrift
import numpy as np
import pytest
from boltzdrift import _library

HEADER = Path(__file__).resolve().parents[2] / "include" / "boltzdrift.h"


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


def kinds(parameters: str) -> str:
    """The letters of _library.PROTOTYPES for a list of C parameters."""
    letters = ""
    for each in (part.strip() for part in parameters.split(",")):
        if "bzd_progress_fn" in each:
            letters += "c"
        elif "**" in each or re.search(
            r"(size_t|double|bzd_potential_desc) \*(frames|atoms|count|kelvin|factor|description)\b", each
        ):
            letters += "o"
        elif "char *" in each:
            letters += "s"
        elif "*" in each:
            letters += "p"
        else:
            letters += {"size_t": "n", "uint64_t": "u", "int32_t": "i", "double": "d"}[each.split()[0]]
    return letters


@pytest.mark.skipif(not HEADER.exists(), reason="no include/boltzdrift.h beside the tests")
def test_prototypes_are_those_of_the_header() -> None:
    """Every function of the header is declared with its own arguments, and no other is."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    declared = dict(re.findall(r"bzd_status_t (bzd_\w+)\(([^;]*?)\);", text, flags=re.S))
    own = dict(_library.PROTOTYPES)
    log = own.pop("bzd_set_log")
    assert len(log) == len(declared.pop("bzd_set_log").split(","))
    assert own == {name: kinds(" ".join(inside.split())) for name, inside in declared.items()}
    version = re.search(r"#define BZD_ABI_VERSION (\d+)", text)
    assert version is not None
    assert int(version[1]) == _library.ABI_VERSION


def test_a_missing_library_is_an_import_error_that_says_what_to_do() -> None:
    """The variable wins over every other place."""
    done = python("import boltzdrift", BOLTZDRIFT_LIBRARY="/no/such/libboltzdrift.so")
    assert "ImportError: libboltzdrift.so is not found: looked for /no/such" in done.stderr


def test_another_library_is_an_import_error(tmp_path: Path) -> None:
    """A file that is no library, and a library that is not ours."""
    path = tmp_path / "libboltzdrift.so"
    path.write_bytes(b"no library")
    assert "ImportError: cannot load" in python("import boltzdrift", BOLTZDRIFT_LIBRARY=str(path)).stderr
    libm = next(Path("/usr/lib").rglob("libm.so.6"), None)
    if libm is not None:
        done = python("import boltzdrift", BOLTZDRIFT_LIBRARY=str(libm))
        assert "is no libboltzdrift" in done.stderr


@pytest.mark.skipif(not boltzdrift.can_train(), reason="the sampler-only library has no libtorch")
def test_a_torch_of_another_version_is_named() -> None:
    """Two libtorch cannot share a process: the import says so before anything is loaded."""
    code = (
        "import sys, types; t = types.ModuleType('torch'); t.__version__ = '{}'; sys.modules['torch'] = t\n"
    )
    other = python(code.format("2.4.1+cpu") + "import boltzdrift")
    assert "torch 2.4.1+cpu is imported in this process" in other.stderr
    assert "sampler-only" in other.stderr
    same = python(code.format("2.11.0") + "import boltzdrift; print(boltzdrift.can_train())")
    assert same.stdout == "True\n", same.stderr


@pytest.mark.skipif(not boltzdrift.can_train(), reason="the sampler-only library has no libtorch")
def test_a_torch_that_could_not_be_imported_later_is_a_warning(tmp_path: Path) -> None:
    """One that is installed, and not imported yet."""
    fake = tmp_path / "torch-2.4.1.dist-info"
    fake.mkdir()
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.4.1\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = python("import boltzdrift; print(boltzdrift.can_train())", PYTHONPATH=path)
    assert "RuntimeWarning: boltzdrift trains with libtorch 2.11; torch 2.4.1" in done.stderr
    assert done.stdout == "True\n"


@pytest.mark.skipif(not boltzdrift.can_train(), reason="the sampler-only library has no libtorch")
def test_the_training_package_takes_the_torch_of_its_environment(tmp_path: Path) -> None:
    """It is preferred, and says what is missing where there is no torch."""
    package = tmp_path / "boltzdrift_training"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "libboltzdrift.so").symlink_to(_library.PATH)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    code = "import os; os.environ.pop('BOLTZDRIFT_LIBRARY', None)\n"
    code += "import boltzdrift; print(boltzdrift._library.PATH)"
    done = python(code, PYTHONPATH=path)
    try:
        matching = importlib.metadata.version("torch").startswith("2.11.")
    except importlib.metadata.PackageNotFoundError:
        matching = False
    if matching:
        assert done.stdout == f"{package / 'libboltzdrift.so'}\n", done.stderr
    else:
        assert "ImportError: boltzdrift-training needs the package torch 2.11" in done.stderr


def needed_glibc(library: Path) -> tuple[int, int]:
    """The highest version of glibc's symbols that a library names: it runs with that glibc and newer ones."""
    names = re.findall(rb"\0GLIBC_(\d+)\.(\d+)(?=[.\d]*\0)", library.read_bytes())
    return max((int(major), int(minor)) for major, minor in names)


def test_the_wheels_tag_claims_what_its_library_needs() -> None:
    """py3-none-manylinux_X_Y: every library inside runs with glibc X.Y, and no older glibc would do."""
    try:
        installed = importlib.metadata.distribution("boltzdrift")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed from a wheel")
    tags = re.findall(r"^Tag: (\S+)$", installed.read_text("WHEEL") or "", flags=re.M)
    claims = [re.fullmatch(r"py3-none-manylinux_(\d+)_(\d+)_(\w+)", tag) for tag in tags]
    claimed = [(int(claim[1]), int(claim[2])) for claim in claims if claim is not None]
    assert claimed and len(claimed) == len(tags), tags
    machine = os.uname().machine
    assert all(claim is not None and claim[3] == machine for claim in claims)
    libraries = [Path(str(file.locate())) for file in installed.files or [] if ".so" in file.name]
    assert _library.PATH in [library.resolve() for library in libraries]
    needed = max(needed_glibc(library) for library in libraries)
    # manylinux knows no 2.32 and 2.33: their symbols need 2.34.
    least = max(needed, (2, 34)) if needed > (2, 31) else needed
    assert min(claimed) == least, f"the tag claims {claimed}, the library needs {needed}"


def drawn(sampler: boltzdrift.Sampler, first: int) -> bytes:
    """What a worker does."""
    return sampler.sample(10, seed=3, first=first).tobytes()


def test_processes_that_are_spawned_draw_parts_of_one_ensemble(sampler: boltzdrift.Sampler) -> None:
    """A sampler is pickled to them."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        parts = pool.starmap(drawn, [(sampler, 0), (sampler, 10)])
    assert b"".join(parts) == sampler.sample(20, seed=3).tobytes()


def test_the_log_is_pythons(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """A warning of the library reaches logging."""
    x = np.zeros((2, 3, 3)) + np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    boltzdrift.set_log_level(4)
    try:
        boltzdrift.Dataset.from_arrays([8, 1, 1], x).write(tmp_path / "a.xyz")
        boltzdrift.Dataset.read(tmp_path / "a.xyz")
    finally:
        boltzdrift.set_log_level(2)
    for level in (-1, 5):
        with pytest.raises(boltzdrift.InvalidError, match="level"):
            boltzdrift.set_log_level(level)
