# Every target does its own set-up: a fresh machine needs Python 3.11+ and make, nothing else.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=
SECONDS ?= 60
EXAMPLES ?= 100
COMPILED_TESTS ?= tests/packaging/test_compiled.py tests/sidecar/wire tests/sidecar/test_observer.py tests/sidecar/journal/test_writer.py \
  tests/sidecar/journal/test_layout.py tests/sidecar/journal/test_recovery.py tests/domain/test_ingest_signal.py tests/domain/test_redaction.py \
  tests/sidecar/observation tests/sidecar/providers/test_chat.py tests/sidecar/providers/test_routes.py tests/sidecar/providers/test_fixtures.py \
  tests/sidecar/test_trace.py
# The tests start hundreds of processes: each reads what the first one compiled, whatever the shell says.
export PYTHONDONTWRITEBYTECODE :=

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %d.%d; set PYTHON=..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing locked dependencies into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make the virtual environment with locked dependencies

demo: $(READY) ## simulated provider and dispatcher with the sidecar between; ARGS="--duration 30"
	@$(BIN)/sidecar demo $(ARGS)

run: $(READY) ## the sidecar for your own gateway: PROVIDER_URL=... [DISPATCHER_URL=...]
	@SIDECAR_PROVIDER_URL="$(PROVIDER_URL)" $(if $(DISPATCHER_URL),SIDECAR_DISPATCHER_URL="$(DISPATCHER_URL)") $(BIN)/sidecar run $(ARGS)

test: $(READY) ## all tests
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

coverage: $(READY) ## every line and branch of the domain is taken by its own tests
	@$(BIN)/python -m coverage run -m pytest -q --hypothesis-seed=0 -m "not slow" --ignore tests/domain/test_fold_mutants.py tests/domain tests/vectors $(ARGS)
	@$(BIN)/python -m coverage report

vectors: $(READY) ## run recorded rule cases: DIR=... (default: those of the tests)
	@$(BIN)/python -m tests.vectors $(if $(DIR),"$(DIR)")

fixtures: $(READY) ## run recorded provider traffic: DIR=... (default: that of the tests)
	@$(BIN)/python -m tests.fixtures $(DIR)

bench: $(READY) ## measure: ARGS="p1 p2"; never part of the tests
	@$(BIN)/python -m bench $(ARGS)

bench-tools: ## install the proxies to compare with that need an environment of their own (mitmproxy)
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt

dashboards: $(READY) ## renew and check boards, rules, alerts: [RUNBOOKS_URL=...] (promtool comes with Debian's prometheus)
	@$(if $(RUNBOOKS_URL),$(BIN)/python -m dashboards.runbook_address "$(RUNBOOKS_URL)")
	@$(BIN)/python -m dashboards.grafana
	@$(BIN)/python deploy/kubernetes/print_rules.py > deploy/kubernetes/rules.yml
	@promtool check rules --lint-fatal dashboards/prometheus/rules.yml dashboards/prometheus/alerts.yml
	@promtool test rules dashboards/prometheus/tests/*.yml
	@$(BIN)/python -m pytest -q tests/dashboards

native: $(READY) ## the compose wiring without containers: a real Prometheus, scripted incidents, alerts that fire
	@$(BIN)/python -m dashboards.native

chaos: $(READY) ## kills, outages and full disks at length; make test runs a short form
	@SIDECAR_CHAOS=full $(BIN)/python -m pytest -q tests/chaos $(ARGS)

soak: $(READY) ## mixed load, faults in turn, hostile peers: ARGS="--minutes 480"; make test runs a short form
	@$(BIN)/python -m tests.soak $(ARGS)

package: $(READY) ## build dist/, install the wheel with its locked run-time dependencies only, run the demo from it
	@rm -rf dist && $(BIN)/python -m hatchling build -d dist
	@$(PYTHON) -m venv dist/venv
	@dist/venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@dist/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps dist/*.whl
	@cd dist && venv/bin/sidecar --version && venv/bin/sidecar demo --duration 5

compiled: $(READY) ## the wheel with its hot path compiled (needs a C compiler), and the suites of that path against it
	@rm -rf build/compiled
	@SIDECAR_COMPILED=1 $(BIN)/python -m hatchling build -t wheel -d build/compiled
	@$(BIN)/python -m zipfile -e build/compiled/*.whl build/compiled/lib
	@SIDECAR_COMPILED_LIB="$(CURDIR)/build/compiled/lib" PYTHONSAFEPATH=1 PYTHONPATH="$(CURDIR)/build/compiled/lib:$(CURDIR)" \
	  $(BIN)/python -m pytest -n 3 -o pythonpath= $(COMPILED_TESTS) $(ARGS)

conformance: $(READY) ## the API against its own OpenAPI at length: EXAMPLES=100 an operation; make test runs 6
	@CONFORMANCE_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q tests/sidecar/api/test_conformance.py $(ARGS)

fuzz: $(READY) ## fuzz the wire with coverage: SECONDS=60; ends at the first input that breaks a rule
	@$(BIN)/python -m tests.sidecar.wire.fuzz_wire -max_total_time=$(SECONDS) $(ARGS)

docs: $(READY) ## renew what the docs print from the code
	@$(BIN)/python -m docs.print_tables
	@$(BIN)/python -m tests.sidecar.cli.transcript
	@$(BIN)/python -m tests.telemetry_docs
	@$(BIN)/python -m domain.rules_page > docs/rules.md
	@$(BIN)/python -m docs.simulation.page
	@$(BIN)/python -m sidecar.api > docs/openapi.json
	@$(BIN)/python deploy/kubernetes/print_rules.py > deploy/kubernetes/rules.yml

reputation: $(READY) ## simulate six days and renew docs/reputation.md with its plots
	@$(BIN)/python -m docs.simulation.page

lint: $(READY) ## ruff, its formatter, and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY) ## let the formatter decide the layout
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## renew requirements/*.txt from pyproject.toml
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra postgres pyproject.toml -o requirements/run.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header requirements/build.in -o requirements/build.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra postgres --extra otlp-grpc --extra parquet --group dev pyproject.toml requirements/build.in -o requirements/dev.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header requirements/bench.in -o requirements/bench.txt

.PHONY: help setup demo run test coverage vectors fixtures bench bench-tools dashboards native chaos compiled conformance soak package docs reputation lint format lock
