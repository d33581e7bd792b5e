# Everything here works in a fresh clone: it takes make and a Python >= 3.11.

PYTHON ?= $(firstword $(shell for p in python3 python3.13 python3.12 python3.11 \
	"$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[1-3].*/bin/python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p"; done))

BIN := .venv/bin
NOX := $(BIN)/nox
export PIP_DISABLE_PIP_VERSION_CHECK := 1
SOAK_SECONDS ?= 600
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: demo
demo: .venv/.demo ## Watch both worlds serve the same workload
	@$(BIN)/python -m pool demo

.PHONY: test
test: .venv/.nox ## Run all tests on every Python found, against the built wheel
	@$(NOX) -s tests

.PHONY: check
check: .venv/.nox ## Check format, lint, types, generated code and import directions
	@$(NOX) -s check

.PHONY: generate
generate: .venv/.nox ## Derive the sync world from the async one
	@$(NOX) -s generate

.PHONY: quick
quick: .venv/.nox ## Run the fast tests on one Python
	@$(NOX) -s quick

.PHONY: repeat
repeat: .venv/.nox ## Run the concurrency tests 200 times on every Python found
	@$(NOX) -s repeat

.PHONY: explore
explore: .venv/.nox ## Explore over a hundred thousand schedules in each world
	@$(NOX) -s explore

.PHONY: soak
soak: .venv/.nox ## Soak both worlds in chaos, on real servers: SOAK_SECONDS=600
	@$(NOX) -s soak -- --seconds $(SOAK_SECONDS)

.PHONY: mutants
mutants: .venv/.nox ## Change the core in every way, and see that a test fails each time
	@$(NOX) -s mutants

.PHONY: docs
docs: .venv/.nox ## Build the documentation and run its examples
	@$(NOX) -s docs

.PHONY: wheel
wheel: .venv/.nox ## Build the distribution and try the wheel by itself
	@$(NOX) -s wheel

.PHONY: bench
bench: .venv/.nox ## Measure the pool beside others
	@$(NOX) -s bench

.PHONY: clean
clean: ## Remove everything that was built
	@rm -rf .venv .nox dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 found; try make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "making .venv"
	@"$(PYTHON)" -m venv .venv

.venv/.nox: | $(BIN)/python
	@echo "installing nox"
	@$(BIN)/python -m pip install --quiet 'nox>=2025.11'
	@touch $@

.venv/.demo: pyproject.toml | $(BIN)/python
	@echo "installing twinpool[cli]"
	@$(BIN)/python -m pip install --quiet --editable '.[cli]'
	@touch $@
