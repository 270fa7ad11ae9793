# Two commands are enough: `make run` starts the service with a token to try it, and `make test` runs all checks and tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000

.PHONY: help run dev test check lint types imports browser linters client postgres unit unit-postgres test-long faults bench bench-quick bench-page docs format lock clean
.DEFAULT_GOAL := help

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The pip of $(PYTHON) installs into the environment. If that pip is missing or older than 23, the environment gets its own,
# which takes ten seconds longer. The locks are complete, so pip need not resolve dependencies.
define install
	if $(PYTHON) -c 'import pip, sys; sys.exit(int(pip.__version__.split(".")[0]) < 23)' 2> /dev/null; then \
		pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	else \
		$(BIN)/python -m ensurepip > /dev/null && pip="$(BIN)/python -m pip"; \
	fi && pip="$$pip install --quiet --disable-pip-version-check --no-deps --no-compile"
endef
# Imports the service once, which stores the bytecode of the modules that it needs.
compile = env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c 'import api.cli.main'

# The packages that the service needs on SQLite.
$(VENV)/.run-ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Offer Ledger needs Python 3.11 or newer. Name one: make PYTHON=/path/to/python3.11 ...")'
	@echo "Installing the service into $(VENV). This takes about 20 seconds ..."
	@$(PYTHON) -m venv --without-pip $(VENV)
	@$(install) && $$pip --require-hashes -r requirements.txt && { $(compile) & $$pip --no-build-isolation --editable . && wait; }
	@touch $@

# In addition: PostgreSQL, Redis, Parquet, and the packages for tests and checks.
$(VENV)/.ready: requirements-dev.txt $(VENV)/.run-ready
	@echo "Installing the packages for tests and checks into $(VENV). This takes about a minute ..."
	@$(install) && $$pip --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib
	@touch $@

run: $(VENV)/.run-ready ## start the service on SQLite at 127.0.0.1:8000, with a token to try it
	@HOST=$(HOST) PORT=$(PORT) BIN=$(BIN) sh examples/try.sh

dev: $(VENV)/.ready ## install everything into .venv: PostgreSQL, Redis, Parquet, tests and checks

test: check browser linters postgres unit unit-postgres ## run all checks, and the tests on SQLite and on PostgreSQL

check: lint types imports ## run the checks only: style, types, import rules

lint: $(VENV)/.ready
	@echo "== Style: ruff"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(VENV)/.ready
	@echo "== Types: mypy"
	@$(BIN)/mypy

imports: $(VENV)/.ready
	@echo "== Import rules: lint-imports"
	@$(BIN)/lint-imports

browser: ## install Chromium and axe-core for the console's tests, if the system allows it
	@echo "== Browser: Chromium and axe-core"
	@sh tests/browser/bring.sh

linters: ## install the linters of the OpenAPI document, if npm is available
	@echo "== Linters of the OpenAPI document: Spectral and Redocly"
	@sh tests/openapi/bring.sh

postgres: ## install PostgreSQL 15, the oldest supported version, for its test, if the system allows it
	@echo "== PostgreSQL 15"
	@sh tests/support/postgres/bring.sh

# Many tests wait for a process. Four at a time finish before two at a time, on two cores, too.
AT_ONCE ?= 4
# Each commit waits for the disk. A folder in memory halves the time of many tests, so they use one with 2 GB if it exists.
MEMORY := $(shell [ -w /dev/shm ] && df -Pk /dev/shm | awk 'NR == 2 && $$4 > 2000000 {print "TMPDIR=/dev/shm"}')
PYTEST = env -u PYTHONDONTWRITEBYTECODE $(MEMORY) $(BIN)/pytest
TESTS = $(PYTEST) -n $(AT_ONCE) --dist worksteal --no-header -r fE -m "not long"

unit: $(VENV)/.ready ## run the tests on SQLite
	@echo "== Tests on SQLite"
	@$(TESTS)

# The parts whose behaviour depends on the database. All tests on PostgreSQL are part of `make test-long`.
ON_POSTGRES := tests/hostile/test_processes.py tests/faults/test_two_hosts.py tests/faults/test_mixed_kill.py tests/faults/test_full.py \
	tests/api/cli/commands/test_backup.py tests/api/cli/commands/test_replay.py tests/api/audit/test_audit_stream.py \
	tests/api/channels/merchant/test_merchant_concurrency.py tests/api/console/test_past.py \
	tests/api/dependencies/test_replica.py tests/api/dependencies/test_read_retries.py tests/api/server/test_clock_monitor.py \
	tests/domain/store tests/domain/ledgers/test_ledger.py tests/domain/ledgers/test_run_ledger.py \
	tests/domain/ledgers/test_single_request_ledger.py tests/projections

unit-postgres: $(VENV)/.ready ## run the tests that depend on the database on PostgreSQL
	@echo "== Tests on PostgreSQL"
	@OFFER_LEDGER_TEST_ENGINE=postgresql $(TESTS) $(ON_POSTGRES)

# Interpreters on which `make test-long` runs all tests, for example: PYTHONS="/usr/bin/python3.11 python3.13"
PYTHONS ?=

# A test may take hours here.
LONG = $(PYTEST) --timeout 0

test-long: $(VENV)/.ready client ## run the long tests: more examples, everything on PostgreSQL, 300 kills on each database (hours)
	@echo "== Long tests on SQLite"
	@$(LONG) -n $(AT_ONCE) -m long
	@echo "== Laws with more examples"
	@OFFER_LEDGER_TEST_THOROUGH=1 $(LONG) -n $(AT_ONCE) tests/domain tests/projections tests/api/test_fuzz.py tests/api/export/test_replay.py
	@echo "== Mutants: small changes of the core that a test must detect"
	@$(MEMORY) $(BIN)/python -m tests.mutation
	@echo "== All tests on PostgreSQL"
	@OFFER_LEDGER_TEST_ENGINE=postgresql $(LONG) -n $(AT_ONCE) -r fE tests/domain tests/projections tests/api
	@echo "== All tests of the database on PostgreSQL 15, the oldest supported version"
	@$(BIN)/python -m tests.support.postgres.debian_server 15 $(LONG) -n $(AT_ONCE) -r fE tests/domain tests/projections tests/api
	@for python in $(PYTHONS); do echo "== All tests on $$python"; $(MAKE) VENV="build/venv-$$(basename $$python)" PYTHON=$$python unit unit-postgres || exit; done
	@echo "== 300 kills on PostgreSQL, then on SQLite"
	@OFFER_LEDGER_TEST_ENGINE=postgresql OFFER_LEDGER_TEST_KILLS=300 $(LONG) -s tests/faults/test_mixed_kill.py
	@OFFER_LEDGER_TEST_KILLS=300 $(LONG) -s tests/faults/test_mixed_kill.py
	@echo "== 100,000 commits on PostgreSQL"
	@OFFER_LEDGER_TEST_ENGINE=postgresql OFFER_LEDGER_TEST_COMMITS=100000 $(LONG) -s tests/domain/store/test_interleavings.py

faults: $(VENV)/.ready ## kill servers and watchers at twenty random moments (some minutes)
	@OFFER_LEDGER_TEST_KILLS=20 OFFER_LEDGER_TEST_LEASE=10 $(LONG) -s tests/faults

# The figures of docs/performance.md: five pairs with nothing else running.
bench-page: $(VENV)/.ready ## measure what docs/performance.md shows, into benchmarks/results (an hour, on an idle machine)
	@$(BIN)/python -m benchmarks batch --engine both --offers 100000 --most-plain 1000 --json benchmarks/results/batch.json
	@$(BIN)/python -m benchmarks put --engine both --json benchmarks/results/put.json
	@$(BIN)/python -m benchmarks beside --engine both --json benchmarks/results/beside.json
	@$(BIN)/python -m benchmarks rebuild --engine both --events 120000 --json benchmarks/results/rebuild.json
	@$(BIN)/python -m tests.support.generated_pages

# ENGINE is sqlite, postgresql or both. FOUND is the folder for the results, one file for each benchmark.
ENGINE ?= both
FOUND ?= build/bench

bench: $(VENV)/.ready ## run all benchmarks on SQLite and on PostgreSQL, and draw the results (hours)
	@for name in batch growth beside put activations windows as-of rebuild; do $(BIN)/python -m benchmarks $$name --engine $(ENGINE) --json $(FOUND)/$$name.json || exit; done
	@$(BIN)/python -m benchmarks plot $(FOUND)/*.json --to $(FOUND)

bench-quick: $(VENV)/.ready ## run small batches, PUTs and a small rebuild on both databases (three minutes)
	@$(BIN)/python -m benchmarks batch --engine $(ENGINE) --offers 5000 --pairs 1 --most-plain 0 --json build/bench-quick/batch.json
	@$(BIN)/python -m benchmarks put --engine $(ENGINE) --connections 64 --seconds 1 --pairs 2 --json build/bench-quick/put.json
	@$(BIN)/python -m benchmarks rebuild --engine $(ENGINE) --events 10000 --pairs 1 --json build/bench-quick/rebuild.json

CLIENT_VENV := build/client-venv
DOCS_VENV := build/docs-venv

build/%-venv/.ready: requirements-%.txt
	@echo "Installing the packages of requirements-$*.txt into build/$*-venv ..."
	@$(PYTHON) -m venv build/$*-venv
	@build/$*-venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-$*.txt
	@touch $@

client: $(CLIENT_VENV)/.ready ## install the generator of clients, which one of the long tests needs

docs: $(DOCS_VENV)/.ready ## build the documentation as a site in build/site; broken links fail
	@NO_COLOR=1 $(DOCS_VENV)/bin/zensical build --strict --clean --config-file mkdocs.yml
	@echo "The site is in build/site: open build/site/index.html"

format: $(VENV)/.ready ## format the code
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

# The second lock is a part of the first one, with the same versions.
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --upgrade pyproject.toml --group build

lock: ## update the requirements*.txt from pyproject.toml (needs uv)
	$(COMPILE) --extra dev --output-file requirements-dev.txt
	$(COMPILE) --constraint requirements-dev.txt --output-file requirements.txt
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --upgrade --group docs --output-file requirements-docs.txt
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --upgrade --group client --output-file requirements-client.txt

clean: ## remove the environment and all caches; the ledger and its token stay
	@rm -rf $(VENV) build *.egg-info tests/browser/node_modules tests/openapi/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +
