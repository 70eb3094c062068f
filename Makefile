# Every target sets itself up: the first run makes .venv and installs into it, later runs go straight to their job.
# Where packages come from is pip's own configuration.

PYTHON ?= python3
JOBS ?= 2
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench bench-peers clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## make data, train on it, show what the model answers
	$(BIN)/seqsmith demo $(ARGS)

test: $(INSTALLED) ## run the tests, JOBS at a time; ARGS go to pytest
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) $(ARGS)

check: $(INSTALLED) ## format, lint, types, tests: what a change must pass
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(MAKE) test

format: $(INSTALLED) ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(INSTALLED) ## time training and answering on this machine, which must be idle; ARGS go to both
	$(BIN)/python bench/training.py T R Rif $(ARGS)
	OMP_NUM_THREADS=1 $(BIN)/python bench/answering.py --sentences 200 --rounds 2 $(ARGS)

bench-peers: $(INSTALLED) ## install other tools in bench/.peers, train with each in turn, write docs/performance.md
	$(BIN)/python bench/peers.py $(ARGS)

clean: ## remove the environment and all caches, no run and no model
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# pip is the last thing that venv puts in place: where it is missing, a first attempt was interrupted.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@
