# `make demo` and `make test` need Python 3.11+ and make; each sets up what it needs, once. With another Python:
# make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_READY := $(VENV)/.ready-demo
C_SOURCES := $(wildcard src/tallymark/engine/native/*.[ch] src/tallymark/integrations/native/*.[ch] src/tallymark/bench/native/*/*.[ch])

# Tests run in as many processes as there are cores, those of named files in one: `make test ARGS=tests/metric/test_null.py`.
WORKERS ?= $(if $(findstring tests/,$(ARGS)),0,auto)
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal
# Where it is set, as in many containers, each of the thousand interpreters that the tests start compiles all that it imports.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo ready test quick bench check lint sanitize soak format clean

demo: $(DEMO_READY)
	$(BIN)/tallymark demo $(ARGS)

# What `make test` sets up, once.
ready: $(READY)

test: $(READY)
	$(PYTEST) $(ARGS)

# After each edit, in half a minute: lint, and all tests but those marked as slow.
quick: $(READY)
	$(BIN)/ruff check .
	$(PYTEST) -m 'not slow' $(ARGS)

# The whole benchmark plan, in a quarter of an hour; `make bench ARGS=--quick` takes a minute.
bench: $(READY)
	$(BIN)/python benchmarks/run.py $(ARGS)

# `make --jobs=2 check` takes less time.
check: lint sanitize

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/record_path.py
	$(BIN)/python tools/warnings_of_c.py

# The engine's tests on a build with AddressSanitizer and UndefinedBehaviorSanitizer, in a copy of the tree.
sanitize: $(READY)
	$(BIN)/python tools/sanitize.py $(ARGS)

# Processes that share a registry, killed two thousand times in each of four ways, the model of their protocol, and ten thousand
# lifetimes of workers: ten minutes. Then ten more of fuzzing the file that they share (needs clang); TALLYMARK_FUZZ_SECONDS
# sets another time.
soak: $(READY)
	TALLYMARK_KILLS=2000 TALLYMARK_LIFETIMES=10000 $(BIN)/python -m pytest --timeout 1800 \
		tests/processes/test_kill.py tests/processes/test_exponential_kill.py tests/processes/test_model.py \
		tests/processes/test_buckets_model.py tests/processes/test_lifetimes.py $(ARGS)
	$(BIN)/python tools/fuzz

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): EXTRA = dev
$(DEMO_READY): EXTRA = demo,top
$(READY) $(DEMO_READY): pyproject.toml setup.py $(C_SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tallymark needs Python 3.11 or newer; this is " + sys.version)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRA)]'
	@touch $(if $(filter dev,$(EXTRA)),$(READY) $(DEMO_READY),$(DEMO_READY))  # the developers' tools are more than the demo's

clean:
	rm -rf .venv* build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src -name '*.so' -delete
