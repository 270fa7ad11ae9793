# Two commands matter: `make run` (the service, with a token to try it) and `make test` (everything that must hold).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000

.PHONY: help run test check lint types imports browser unit unit-postgres test-long faults bench format lock clean
.DEFAULT_GOAL := help

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Offer Ledger needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11 ...")'
	@echo "Making the environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(VENV)/.ready ## the service on SQLite at 127.0.0.1:8000, with a partner and a token to try it
	@HOST=$(HOST) PORT=$(PORT) BIN=$(BIN) sh examples/try.sh

test: check browser unit unit-postgres ## style, types, import rules and all tests

check: lint types imports ## everything but the tests

lint: $(VENV)/.ready
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(VENV)/.ready
	@$(BIN)/mypy

imports: $(VENV)/.ready
	@$(BIN)/lint-imports

browser: ## Chromium and axe-core for the tests of the console, where they can be installed
	@sh tests/browser/bring.sh

# Many tests wait for something: four at a time take less than two do, on two cores too.
AT_ONCE ?= 4

unit: $(VENV)/.ready
	@$(BIN)/pytest -n $(AT_ONCE)

# What the database matters to; all of it would take too long every time.
ON_POSTGRES := tests/domain/store tests/domain/ledgers/test_ledger.py tests/domain/ledgers/test_run_ledger.py tests/domain/ledgers/test_single_request_ledger.py \
	tests/projections tests/api/audit/test_audit_stream.py tests/api/channels/merchant/test_merchant_concurrency.py tests/api/dependencies/test_replica.py tests/api/console/test_pages.py tests/api/console/test_past.py tests/api/cli/commands/test_backup.py tests/api/cli/commands/test_replay.py \
	tests/faults/test_mixed_kill.py tests/faults/test_full.py tests/faults/test_two_hosts.py

unit-postgres: $(VENV)/.ready ## the same on a real PostgreSQL, as far as the database matters
	@OFFER_LEDGER_TEST_ENGINE=postgresql $(BIN)/pytest -n $(AT_ONCE) -q --no-header -r fE $(ON_POSTGRES)

test-long: $(VENV)/.ready ## laws tried at length, everything on PostgreSQL, 300 kills on either database, 100,000 commits that are followed (hours)
	@OFFER_LEDGER_TEST_THOROUGH=1 $(BIN)/pytest -n $(AT_ONCE) tests/domain tests/projections tests/api/test_fuzz.py tests/api/export/test_replay.py
	@OFFER_LEDGER_TEST_ENGINE=postgresql $(BIN)/pytest -n $(AT_ONCE) -r fE tests/domain tests/projections tests/api
	@OFFER_LEDGER_TEST_ENGINE=postgresql OFFER_LEDGER_TEST_KILLS=300 $(BIN)/pytest -s tests/faults/test_mixed_kill.py
	@OFFER_LEDGER_TEST_KILLS=300 $(BIN)/pytest -s tests/faults/test_mixed_kill.py
	@OFFER_LEDGER_TEST_ENGINE=postgresql OFFER_LEDGER_TEST_COMMITS=100000 $(BIN)/pytest -s tests/domain/store/test_interleavings.py

faults: $(VENV)/.ready ## kill servers and watchers at twenty random moments (some minutes)
	@OFFER_LEDGER_TEST_KILLS=20 OFFER_LEDGER_TEST_LEASE=10 $(BIN)/pytest -s tests/faults

# On which database: sqlite, postgresql or both; and where what was found is written, a file for each benchmark.
ENGINE ?= both
FOUND ?= build/bench

bench: $(VENV)/.ready ## on SQLite and on PostgreSQL: large batches and single offers beside raw writes and rivals, what growth costs, activations, who waits for a batch, a million windows, a million offers' past, a rebuild; drawn at the end (hours)
	@for name in batch growth beside put activations windows as-of rebuild; do $(BIN)/python -m benchmarks $$name --engine $(ENGINE) --json $(FOUND)/$$name.json || exit; done
	@$(BIN)/python -m benchmarks plot $(FOUND)/*.json --to $(FOUND)

format: $(VENV)/.ready ## put the code in its format
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

lock: ## refresh requirements.txt from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --extra dev --upgrade pyproject.toml --output-file requirements.txt

clean: ## remove the environment and all caches (never the ledger)
	@rm -rf $(VENV) build *.egg-info tests/browser/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
