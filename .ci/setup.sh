#!/usr/bin/env bash
# Installs what the build, the demo and the tests need: system packages, .venv, libtorch.
# Does nothing, and says nothing, when all is there. With the argument `neural` or `bench`, also .venv-neural or .venv-bench.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
venv=$root/.venv

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    printf 'setup: error: %s\n' "$*" >&2
    exit 1
}

# --- Rust -------------------------------------------------------------------------------------
rust_needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
cargo_version=$(cargo --version 2>/dev/null | cut -d' ' -f2) ||
    die "cargo is missing or does not run. Install Rust $rust_needed or newer (rustup is the usual way: https://rustup.rs), open a new shell, and run make again."
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }
at_least "$rust_needed" "$cargo_version" ||
    die "cargo is $cargo_version, but boltzdrift needs $rust_needed or newer: run 'rustup update'."

# --- Python -----------------------------------------------------------------------------------
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
find_python() {
    local name
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null || die "PYTHON=$PYTHON does not exist."
        new_enough "$PYTHON" || die "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1); Python 3.11 or newer is needed."
        python=$PYTHON
        return
    fi
    for name in python3 python3.13 python3.12 python3.11 python3.14; do
        if new_enough "$name"; then
            python=$name
            return
        fi
    done
    return 1
}

# --- System packages: only what is missing, so that a prepared machine needs no root -------------
missing=()
need() { # need PACKAGE COMMAND...: PACKAGE is missing when COMMAND fails
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
need cmake command -v cmake
need g++ command -v g++
need pkg-config command -v pkg-config
need valgrind command -v valgrind
# Compiles, rather than asking pkg-config, which may be among the missing.
need libopenblas-dev sh -c 'printf "#include <cblas.h>\nint main(void){cblas_dscal(0,0.,0,1);}" |
    g++ -x c++ - -I/usr/include/openblas -lopenblas -o /dev/null'
python=
if find_python; then
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=("python3-venv")
elif ! command -v python3 >/dev/null 2>&1; then
    missing+=(python3 python3-venv)
else
    die "the Python found is $(python3 --version 2>&1); 3.11 or newer is needed. Install one, or name it: make setup PYTHON=/path/to/python3.12"
fi

if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null 2>&1 ||
        die "please install these (Debian's names), then run make again: ${missing[*]}"
    if [ "$(id -u)" = 0 ]; then
        as_root=(env)
    elif command -v sudo >/dev/null 2>&1; then
        as_root=(sudo)
    else
        die "system packages are missing, and neither root nor sudo is available. Ask for: apt-get install ${missing[*]}"
    fi
    say "installing system packages: ${missing[*]}"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    if ! { "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
        >"$log" 2>&1; then
        cat "$log" >&2
        die "apt-get could not install ${missing[*]}"
    fi
    [ -n "$python" ] || find_python ||
        die "the Python installed is $(python3 --version 2>&1); 3.11 or newer is needed: make setup PYTHON=/path/to/python3.12"
fi

# --- libtorch: the user's own, or the wheel that suits the machine --------------------------------
if [ -n "${LIBTORCH:-}" ] && [ "$LIBTORCH" != "$venv/libtorch" ]; then
    [ -e "$LIBTORCH/lib/libtorch_cpu.so" ] ||
        die "LIBTORCH=$LIBTORCH holds no lib/libtorch_cpu.so. Point it at an unpacked libtorch or a torch package folder, or unset it."
    variant=user
    version=unknown
    if [ -r "$LIBTORCH/build-version" ]; then
        version=$(cat "$LIBTORCH/build-version")
    elif [ -r "$LIBTORCH/version.py" ]; then
        version=$(sed -n "s/^__version__ = '\(.*\)'/\1/p" "$LIBTORCH/version.py")
    fi
    say "using libtorch $version at $LIBTORCH"
    case $version in
    2.11.* | unknown) ;;
    *) say "warning: boltzdrift is tested with libtorch 2.11; the build may refuse $version" ;;
    esac
elif [ -e /proc/driver/nvidia/version ] || nvidia-smi >/dev/null 2>&1; then
    variant=cuda
else
    variant=cpu
fi

# --- .venv: one stamp for each set, holding what was asked for, so that a change installs again -----
if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    say "making .venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
pip() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
stamped() { # stamped NAME FILE ARG...: pip installs FILE unless it already has
    local stamp=$venv/.$1.stamp wanted
    wanted="$("$venv/bin/python" --version) $1 $(cat "$2")"
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    rm -f "$venv"/."${1%%-*}"*.stamp
    say "installing $(basename "$2" .txt) into $(basename "$venv")"
    pip "${@:3}" -r "$2" || die "pip could not install $2 (see above)"
    printf '%s\n' "$wanted" >"$stamp"
}
stamped tools .ci/requirements.txt
stamped python .ci/requirements-python.txt
case $variant in
cpu) stamped libtorch-cpu .ci/libtorch-cpu.txt --no-deps ;;
cuda) stamped libtorch-cuda .ci/libtorch-cuda.txt ;;
esac

# A path without the Python version in it, for .cargo/config.toml.
if [ "$variant" != user ]; then
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    [ "$(readlink "$venv/libtorch" || true)" = "${site#"$venv"/}/torch" ] ||
        ln -sfn "${site#"$venv"/}/torch" "$venv/libtorch"
    [ -e "$venv/libtorch/lib/libtorch_cpu.so" ] ||
        die "the torch wheel in .venv holds no lib/libtorch_cpu.so: delete .venv and run make setup again"
fi

# --- .venv-neural: SevenNet, for the tests and examples that use a neural potential ----------------
# --- .venv-bench: PyTorch, ASE and sgdml, which `make bench` compares with -------------------------
case ${1:-} in
neural | bench)
    venv=$root/.venv-$1
    "$venv/bin/python" -c 'import pip' 2>/dev/null || "$python" -m venv --clear "$venv"
    stamped "$1" ".ci/requirements-$1.txt"
    ;;
esac
