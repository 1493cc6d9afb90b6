# boltzdrift: `make` lists the targets. libtorch is found through .cargo/config.toml, or LIBTORCH if you set it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# A fresh rustup is on the PATH of new shells only.
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help setup build demo install lammps-plugin wheel wheel-training neural docs test audit sbom check-memory check-threads coverage acceptance acceptance-ase lint bench clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24
	@echo
	@echo '  PYTHON=/path/to/python3    the Python to use, 3.11 or newer'
	@echo '  LIBTORCH=/path/to/libtorch a libtorch of your own instead of the downloaded one'
	@echo '  PREFIX=/path/to/prefix     where make install puts the library'
	@echo '  LAMMPS_DIR=FOLDER          the LAMMPS that lammps-plugin is for, MPI_INCLUDE=FOLDER its mpi.h'
	@echo '  REFERENCE=FOLDER           reference scripts that make bench compares with too'

setup: ## install what is missing: system packages, .venv, libtorch
	@.ci/setup.sh

build: setup ## build the library and the command line, target/release/boltzdrift
	cargo build --release --locked

lammps-plugin: build ## the plug-in for LAMMPS, target/lammps-plugin/boltzdriftplugin.so
	@lammps="$(LAMMPS_DIR)"; mpi="$(MPI_INCLUDE)"; \
	if [ -z "$$lammps" ]; then lammps=$$(echo .venv/lib/python3*/site-packages/lammps); mpi=$${mpi:-.venv/include}; fi; \
	cmake -S cpp/lammps -B target/lammps-plugin -DLAMMPS_DIR="$$(realpath -m "$$lammps")" \
		-DMPI_INCLUDE="$${mpi:+$$(realpath -m "$$mpi")}" -DBOLTZDRIFT_DIR="$(CURDIR)" >target/lammps-plugin.log || \
		{ cat target/lammps-plugin.log; exit 1; }
	@MAKEFLAGS= cmake --build target/lammps-plugin --parallel 2 && echo 'plugin load $(CURDIR)/target/lammps-plugin/boltzdriftplugin.so'

# The wheels are for the Python of .venv and later ones, on this machine's glibc and newer ones.
wheel: setup ## the Python wheel with the sampler-only library inside, in dist/
	cargo build --release --locked --no-default-features --target-dir target/sampler
	.venv/bin/python python/make_wheel.py --library target/sampler/release/libboltzdrift.so

wheel-training: build ## the wheel that adds fitting and training to it, in dist/
	.venv/bin/python python/make_wheel.py --training --library target/release/libboltzdrift.so

neural: setup ## SevenNet and a torch that Python can import (5 GB), in .venv-neural
	@.ci/setup.sh neural

demo: build ## ethanol from LAMMPS to seeds and back, in demo/
	@.venv/bin/python examples/lammps/demo.py

install: setup ## libraries, headers, CMake package and pkg-config files into PREFIX
	@[ -n "$(PREFIX)" ] || { echo 'make install needs PREFIX=FOLDER, for example PREFIX=$$HOME/.local' >&2; exit 2; }
	cmake -S cpp -B target/cmake -DBOLTZDRIFT_SAMPLER=ON -DCMAKE_BUILD_TYPE=Release \
		-DCMAKE_INSTALL_PREFIX='$(PREFIX)' -DCMAKE_INSTALL_LIBDIR=lib
	cmake --build target/cmake
	cmake --install target/cmake

docs: setup ## the documentation as a site, target/site/index.html; a dead link fails
	@.venv/bin/mkdocs build --quiet --strict --clean && echo 'target/site/index.html'

test: setup ## every check: lint, Rust tests of both builds, tests with a real LAMMPS
	@.ci/test.sh

acceptance: acceptance-ase ## the same, and with DATA=FOLDER training on MD17 frames, each against its limits
	@if [ -z "$(DATA)" ]; then echo 'MD17: skipped, needs DATA=FOLDER with md17/ and sgdml/: see docs/quality.md'; else \
		.venv/bin/python tests/acceptance/md17.py '$(DATA)' --molecule ethanol && \
		.venv/bin/python tests/acceptance/md17.py '$(DATA)' --molecule aspirin && \
		.venv/bin/python tests/acceptance/calibrated.py '$(DATA)'; fi

acceptance-ase: build ## xTB ethanol and ethanethiol: train, refine, and hold ASE's and physical_validation's checks
	PYTHONPATH="$(CURDIR)/python" OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive \
		.venv/bin/python tests/acceptance/ase_xtb.py --out target/acceptance

check-memory: setup ## C and C++ programs with AddressSanitizer and UndefinedBehaviorSanitizer, the sampler under valgrind
	@.ci/sanitize.sh

check-threads: ## tests of many threads with ThreadSanitizer; needs rustup component add rust-src
	@.ci/threads.sh --test concurrent

coverage: setup ## lines of the Rust code that cargo test runs; needs rustup component add llvm-tools
	@command -v cargo-llvm-cov >/dev/null || cargo install --locked cargo-llvm-cov
	cargo llvm-cov --release --locked --no-fail-fast --no-report
# Processes that tests kill leave half a profile.
	cargo llvm-cov report --release --summary-only --failure-mode all --ignore-filename-regex '(^|/)tests/'

audit: ## licenses, sources and known vulnerabilities of every crate, against deny.toml
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny --all-features check licenses bans sources
	cargo deny --all-features check advisories || { \
		cargo deny --all-features fetch db 2>/dev/null && exit 1; \
		echo 'audit: the database of vulnerabilities cannot be reached: not checked'; }

sbom: ## what is in the library, as CycloneDX: boltzdrift.cdx.json, and of the sampler-only one
	@command -v cargo-cyclonedx >/dev/null || cargo install --locked cargo-cyclonedx
	cargo cyclonedx --format json --spec-version 1.5 --target x86_64-unknown-linux-gnu --override-filename boltzdrift.cdx
	cargo cyclonedx --format json --spec-version 1.5 --target x86_64-unknown-linux-gnu --no-default-features \
		--override-filename boltzdrift-sampler.cdx
	@sed -i 's|file://$(CURDIR)|file://.|g' boltzdrift.cdx.json boltzdrift-sampler.cdx.json

lint: setup ## formatting and lints of Rust, Python and shell code
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	cargo clippy --release --locked --all-targets --no-default-features -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --release --locked --no-deps -q
	.venv/bin/ruff check -q .
	.venv/bin/ruff format -q --check .
	.venv/bin/mypy --config-file python/pyproject.toml python/boltzdrift
	.venv/bin/mkdocs build --quiet --strict --clean
	.venv/bin/shellcheck .ci/run .ci/*.sh .cargo/linker.sh fuzz/run.sh

bench: build ## kernels, and whole jobs beside PyTorch, NumPy, ASE and sgdml (5 GB), in target/bench
	@.ci/setup.sh bench
	cargo bench --locked --bench kernels
	.venv/bin/python benches/peers.py $(if $(REFERENCE),--reference "$(REFERENCE)")

clean: ## delete what was built; .venv and demo/ stay
	cargo clean
