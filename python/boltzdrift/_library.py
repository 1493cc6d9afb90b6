"""Finds, loads and describes libboltzdrift.so. Nothing else names a C function's arguments."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import sys
import warnings
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_int32,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from pathlib import Path

ABI_VERSION = 1
"""BZD_ABI_VERSION of the header that the prototypes below were taken from."""

TORCH = "2.11"
"""The libtorch that a library with training is linked against. Two libtorch of other versions cannot share a
process: their files have the same names, and the second user gets the first one's."""


class ProgressStruct(Structure):
    """bzd_progress."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("stage", c_char_p),
        ("done", c_uint64),
        ("total", c_uint64),
        ("value", c_double),
    )


IN_ORDER = 2
"""BZD_IN_ORDER: a potential fills in frame after frame, so that those before a failing one are done."""

PROGRESS = CFUNCTYPE(c_int32, c_void_p, POINTER(ProgressStruct))
LOG = CFUNCTYPE(None, c_void_p, c_int32, c_char_p)
EVALUATE = CFUNCTYPE(
    c_int32,
    c_void_p,
    c_size_t,
    c_size_t,
    POINTER(c_int32),
    POINTER(c_double),
    c_void_p,
    POINTER(c_double),
    POINTER(c_double),
)
LAST_ERROR = CFUNCTYPE(c_void_p, c_void_p)


class PotentialDescription(Structure):
    """bzd_potential_desc."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("evaluate", EVALUATE),
        ("user_data", c_void_p),
        ("destroy", c_void_p),
        ("last_error", LAST_ERROR),
        ("name", c_char_p),
        ("identity", c_char_p),
        ("length_unit", c_char_p),
        ("energy_unit", c_char_p),
        ("largest_batch", c_size_t),
        ("flags", c_uint32),
        ("reserved", c_uint32),
    )


# One letter an argument, so that a prototype is a line that can be held against the header.
_KINDS = {
    "p": c_void_p,  # an object, an array, or NULL
    "o": c_void_p,  # a place for an object, a number or a string: ctypes.byref
    "s": c_char_p,
    "n": c_size_t,
    "u": c_uint64,
    "i": c_int32,
    "d": c_double,
    "c": PROGRESS,
}
PROTOTYPES = {
    "bzd_set_log": (LOG, c_void_p, c_int32),
    "bzd_unit": "sso",
    "bzd_lammps_units": "spn",
    "bzd_dataset_read": "sscpo",
    "bzd_dataset_from_arrays": "nnpppppo",
    "bzd_dataset_size": "poo",
    "bzd_dataset_species": "ppn",
    "bzd_dataset_positions": "ppn",
    "bzd_dataset_forces": "ppn",
    "bzd_dataset_energies": "ppn",
    "bzd_dataset_masses": "ppn",
    "bzd_dataset_velocities": "ppn",
    "bzd_dataset_set_velocities": "ppn",
    "bzd_dataset_write": "ps",
    "bzd_dataset_inspect": "pdo",
    "bzd_dataset_label": "ppcp",
    "bzd_dataset_labelled": "ppo",
    "bzd_dataset_label_to": "ppsscpo",
    "bzd_evaluate": "ppo",
    "bzd_potential_open": "so",
    "bzd_potential_from_callback": "oo",
    "bzd_potential_evaluate": "pnnpppp",
    "bzd_potential_info": "po",
    "bzd_potential_save": "ps",
    "bzd_fit": "pscpo",
    "bzd_equilibrate": "ppscpoo",
    "bzd_train": "pscpo",
    "bzd_sampler_load": "so",
    "bzd_sampler_save": "ps",
    "bzd_sampler_atoms": "po",
    "bzd_sampler_species": "ppn",
    "bzd_sampler_masses": "ppn",
    "bzd_sampler_temperature": "po",
    "bzd_sampler_info": "po",
    "bzd_sampler_bonds": "popn",
    "bzd_sampler_sample": "puunpn",
    "bzd_sampler_refined": "ppuunscppnpo",
    "bzd_sampler_velocities": "puudppn",
    "bzd_sampler_match": "pnppnppn",
    "bzd_sampler_place": "puunppipn",
    "bzd_maxwell_velocities": "npuudppn",
}
_FREE = ("bzd_dataset_free", "bzd_potential_free", "bzd_sampler_free", "bzd_string_free")


def _candidates() -> list[Path]:
    """Where the library may be, best first."""
    named = os.environ.get("BOLTZDRIFT_LIBRARY")
    if named:
        return [Path(named)]
    package = Path(__file__).resolve().parent
    found = []
    training = importlib.util.find_spec("boltzdrift_training")
    if training is not None and training.origin is not None:
        found.append(Path(training.origin).parent / "libboltzdrift.so")
    found.append(package / "libboltzdrift.so")
    root = package.parents[1]
    if (root / "Cargo.toml").exists():
        target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
        found.append(target / "release" / "libboltzdrift.so")
    return found


def _needs_torch(path: Path) -> bool:
    """Whether a library is linked against libtorch. The name stands in its dynamic section as it is."""
    return b"libtorch_cpu.so\0" in path.read_bytes()


def _torch_version() -> str | None:
    """Version of the torch package of this environment, without importing it."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def _matches(version: str) -> bool:
    return version == TORCH or version.startswith(TORCH + ".")


def _check_torch(path: Path) -> None:
    """Refuses a library with training beside a torch of another version; warns where one may be imported
    later.
    """
    imported = getattr(sys.modules.get("torch"), "__version__", None)
    advice = (
        "use the sampler-only library (BOLTZDRIFT_LIBRARY, or a wheel without boltzdrift-training), "
        "or train in a process of its own"
    )
    if imported is not None and not _matches(str(imported)):
        raise ImportError(
            f"{path} trains with libtorch {TORCH}, but torch {imported} is imported in this process, and "
            "two versions "
            f"cannot share one: {advice}"
        )
    installed = _torch_version()
    if imported is None and installed is not None and not _matches(installed):
        warnings.warn(
            f"boltzdrift trains with libtorch {TORCH}; torch {installed}, which is installed here, cannot "
            "be imported "
            f"into this process any more: {advice}",
            RuntimeWarning,
            stacklevel=4,
        )


def _load_torch() -> None:
    """Loads the libtorch of the installed torch package, which boltzdrift-training is linked against by
    name.
    """
    version = _torch_version()
    if version is None or not _matches(version):
        found = "none" if version is None else version
        raise ImportError(
            f"boltzdrift-training needs the package torch {TORCH}, and there is {found}: install "
            f"torch=={TORCH}.*, or "
            "remove boltzdrift-training to use samplers only"
        )
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise ImportError("the package torch is installed, but its folder is not found: install it again")
    folder = Path(spec.origin).parent / "lib"
    for name in ("libc10.so", "libtorch_cpu.so"):
        try:
            ctypes.CDLL(str(folder / name))
        except OSError as error:
            raise ImportError(f"cannot load {name} of torch {version}: {error}") from error


def _find() -> Path:
    tried = _candidates()
    for path in tried:
        if path.is_file():
            return path
    raise ImportError(
        "libboltzdrift.so is not found: looked for "
        + ", ".join(map(str, tried))
        + "; build it (make build), or set BOLTZDRIFT_LIBRARY to its path"
    )


def _open() -> tuple[ctypes.CDLL, Path]:
    path = _find()
    if _needs_torch(path):
        _check_torch(path)
        if path.parent.name == "boltzdrift_training":
            _load_torch()
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ImportError(f"cannot load {path}: {error}") from error
    try:
        library.bzd_abi_version.restype = c_uint32
        abi = int(library.bzd_abi_version())
    except AttributeError as error:
        raise ImportError(f"{path} is no libboltzdrift: it has no bzd_abi_version") from error
    if abi != ABI_VERSION:
        raise ImportError(
            f"{path} has version {abi} of the C interface, this package needs {ABI_VERSION}: take both from "
            "one release"
        )
    for name, kinds in PROTOTYPES.items():
        try:
            function = getattr(library, name)
        except AttributeError as error:
            raise ImportError(
                f"{path} has no {name}: take the library and this package from one release"
            ) from error
        function.argtypes = [_KINDS[kind] if isinstance(kind, str) else kind for kind in kinds]
        function.restype = c_int32
    for name in _FREE:
        function = getattr(library, name)
        function.argtypes = [c_void_p]
        function.restype = None
    library.bzd_version.restype = c_char_p
    library.bzd_last_error.restype = c_char_p
    library.bzd_last_potential_status.restype = c_int32
    library.bzd_can_train.restype = c_int32
    return library, path


LIBRARY, PATH = _open()


def version() -> str:
    """Version of the library, for example "0.1.0"."""
    return bytes(LIBRARY.bzd_version()).decode()


def can_train() -> bool:
    """Whether the library that was loaded can fit and train; the sampler-only one cannot."""
    return bool(LIBRARY.bzd_can_train())
