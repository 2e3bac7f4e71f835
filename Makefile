# `make demo` shows the main job, `make test` runs all checks, `make quick` the fast ones.
PYTHON ?= python3
VENV ?= .venv
# Tested with this release. For PyTorch's smaller CPU build on Linux, see the README.
TORCH ?= torch==2.13.0
OUT ?= unblind-quickstart
SOAK_MINUTES ?= 60

BIN = $(VENV)/bin

.PHONY: demo test quick check fix soak audit clean

demo: $(VENV)/installed
	$(BIN)/unblind quickstart --out $(OUT)

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# What a change breaks first, in minutes.
quick: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m "not slow"

check: test

fix: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Hours of abuse: every command killed 20 times, then an hour of generate and train with the memory watched.
soak: $(VENV)/installed-dev
	UNBLIND_KILLS=20 $(BIN)/python -m pytest tests/e2e/test_killed.py
	$(BIN)/python benchmarks/soak.py --minutes $(SOAK_MINUTES) --figure docs/images/soak.png

# Known holes in what is installed; asks an advisory service, so it needs the network.
audit: $(VENV)/installed-dev
	$(BIN)/pip install --quiet pip-audit
	$(BIN)/pip-audit --skip-editable

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@
