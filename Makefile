# The commands of this project. `make help` lists them. Only Python and make are needed; uv is used where it is.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
ARGS ?=
# What runs the tests side by side: one process a core.
TEST_PROCESSES ?= logical
UV := $(shell command -v uv 2>/dev/null)

SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
	"$$each" -c '$(SUITABLE)' 2>/dev/null && echo "$$each" && break; done)

BIN := $(VENV)/bin
LOCKS := requirements/build.txt requirements/all.txt
LOCK = uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	--custom-compile-command "make lock"

ifeq ($(UV),)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
else
INSTALL = $(UV) pip install --quiet --python $(BIN)/python
endif

.PHONY: help demo test test-full check format lock clean

help: ## Say what the commands are.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  Options: ARGS="…" for demo, test and test-full; PYTHON=python3.12; VENV=.venv'

demo: $(VENV)/.installed ## Show the whole system at work on made-up settlements: make demo ARGS="--settlements 200 --stay"
	@$(BIN)/countersign demo $(ARGS)

test: $(VENV)/.installed-dev ## Run the tests that need Python only.
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal -m "not full" $(ARGS)

test-full: $(VENV)/.installed-dev ## Run all tests, with those that need Debian's redis-server.
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(ARGS)

check: $(VENV)/.installed-dev ## Run the gates: lint, format, types, import order, spelling, compose schema.
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/codespell
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml

format: $(VENV)/.installed-dev ## Format the code, and repair what ruff can repair.
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

lock: ## Write requirements/*.txt anew from pyproject.toml (needs uv; ARGS=--upgrade takes newer versions).
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	@$(LOCK) pyproject.toml --extra all --group build --group test --group gates -o requirements/dev.txt $(ARGS)
	@$(LOCK) pyproject.toml --extra all -c requirements/dev.txt -o requirements/all.txt
	@$(LOCK) pyproject.toml --extra receiver -c requirements/dev.txt -o requirements/receiver.txt
	@$(LOCK) pyproject.toml --extra worker -c requirements/dev.txt -o requirements/worker.txt
	@$(LOCK) --group build -c requirements/dev.txt -o requirements/build.txt

clean: ## Remove what the other commands made.
	@rm -rf $(VENV) .venv-ci build dist .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find countersign receiver workers tests -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Countersign needs Python 3.11, 3.12 or 3.13 with its venv module:" \
		"install it (Debian: apt-get install python3-venv), or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c '$(SUITABLE)' 2>/dev/null || { echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13" \
		"with its venv module: name another with make PYTHON=/path/to/python3" >&2; exit 1; }
ifeq ($(UV),)
	@"$(PYTHON)" -m venv --clear $(VENV)
else
	@$(UV) venv --quiet --clear --python "$$(command -v "$(PYTHON)")" $(VENV)
endif

# A stamp is newer than what it was made from, so that a second `make demo` starts at once.
$(VENV)/.installed: pyproject.toml $(LOCKS) | $(BIN)/python
	@echo "Installing Countersign into $(VENV) (once; with pip about a minute) …"
	@$(BIN)/python -c 'import pip' 2>/dev/null || test -n "$(UV)" || $(BIN)/python -m ensurepip >/dev/null
	@$(INSTALL) --require-hashes $(addprefix -r ,$(LOCKS))
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt $(VENV)/.installed
	@echo "Installing what the tests need into $(VENV) (once) …"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@
