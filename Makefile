# The few commands there are; `make` alone lists them. Each one installs what it needs (Debian
# packages, nothing else), configures, builds and runs.

JOBS ?= $(shell nproc)
ARGS ?=
export CTEST_PARALLEL_LEVEL ?= $(JOBS)

.DEFAULT_GOAL := help
.PHONY: help demo test tour bench clean setup-build setup-test setup-bench
.NOTPARALLEL:

help:
	@echo 'make demo    build the library and run the demonstration'
	@echo 'make test    build and run every test'
	@echo 'make tour    build and run the programs of the tour, one after the other'
	@echo 'make bench   build and run the benchmarks beside their peers'
	@echo 'make clean   remove build/'
	@echo
	@echo 'JOBS=N       compile and test N at a time (here: $(JOBS))'
	@echo 'ARGS=...     further arguments, as in make test ARGS="-R Lock" or make demo ARGS=--help'

demo: setup-build build/release/build.ninja
	@cmake --build --preset release --target demo -j $(JOBS)
	@build/release/examples/demo $(ARGS)

test: setup-test build/dev/build.ninja
	@cmake --build --preset dev --target all -j $(JOBS)
	@ctest --preset dev $(ARGS)

tour: setup-build build/release/build.ninja
	@cmake --build --preset release --target tour -j $(JOBS)
	@scripts/tour build/release/examples/tour

bench: setup-bench build/bench/build.ninja
	@cmake --build --preset bench --target procession_bench -j $(JOBS)
	@build/bench/bench/procession_bench $(ARGS)

clean:
	rm -rf build

setup-build:
	@scripts/setup build

setup-test:
	@scripts/setup build test

setup-bench:
	@scripts/setup build bench

# Ninja itself looks after changes of the CMake files and of the set of sources; only the presets
# are read here.
build/%/build.ninja: CMakePresets.json
	@cmake --preset $*
	@touch $@
