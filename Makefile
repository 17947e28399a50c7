# make demo     install into .venv, then the whole job on generated hands (DEMO_ARGS="--fast")
# make test     install, then the tests (TEST_ARGS="-k store")
# make check    install, then style, types and import contracts, as CI does
# make setup    install only
# make clean    remove .venv and caches; runs, stores and hb-demo stay

PYTHON ?= python3
VENV ?= .venv
DEMO_ARGS ?=
TEST_ARGS ?=
JOBS ?= 2

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
comma := ,
# DALI has wheels for Linux only.
EXTRAS := $(if $(filter Linux,$(shell uname -s)),dali$(comma)dev,dev)

.PHONY: demo test check lint format types imports setup clean

demo: setup
	$(BIN)/hb demo $(DEMO_ARGS)

# One thread a worker: workers that each use every core slow one another down.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(TEST_ARGS)

check: lint format types imports

lint: setup
	$(BIN)/ruff check .

format: setup
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

setup: $(STAMP)

# The source is used in place (-e): a change to it needs no new install.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

clean:
	test ! -f $(VENV)/pyvenv.cfg || rm -rf $(VENV)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find handbone_cli plugins tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
