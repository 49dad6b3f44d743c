# `make demo` and `make test` need Python 3.11+ and make; each sets up what it needs, once. With another Python:
# make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
C_SOURCES := $(wildcard src/tallymark/engine/native/*.[ch] src/tallymark/bench/*.[ch])

.PHONY: demo test bench check sanitize soak format clean

demo: $(READY)
	$(BIN)/tallymark demo $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest $(ARGS)

# The whole benchmark plan, in a quarter of an hour; `make bench ARGS=--quick` takes a minute.
bench: $(READY)
	$(BIN)/python benchmarks/run.py $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) sanitize

# The engine's tests on a build with AddressSanitizer and UndefinedBehaviorSanitizer, in a copy of the tree.
sanitize: $(READY)
	$(BIN)/python tools/sanitize.py $(ARGS)

# Processes that share a registry, killed two thousand times in each of four ways, and the model of their protocol: ten minutes.
soak: $(READY)
	TALLYMARK_KILLS=2000 $(BIN)/python -m pytest --timeout 1800 tests/processes/test_kill.py tests/processes/test_model.py $(ARGS)

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml setup.py $(C_SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tallymark needs Python 3.11 or newer; this is " + sys.version)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

clean:
	rm -rf .venv* build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src -name '*.so' -delete
