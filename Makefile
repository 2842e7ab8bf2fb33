# Works with GNU make 3.81 and later (the one of macOS). PYTHON=python3.12 chooses the interpreter.
PYTHON ?= python3
BIN := .venv/bin

# One thread a process: the tests run side by side, and their numbers must not depend on the cores.
# The shapes in the signatures are checked while the tests run.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal \
  --jaxtyping-packages=fewmasks,beartype.beartype

# The labelling page as it is served, and what it is built from.
PAGE := src/fewmasks/server/static/index.html
PAGE_SOURCES := ui/index.html ui/vite.config.ts ui/tsconfig.json $(wildcard ui/public/*) \
  $(filter-out %.test.ts %.test.tsx %.bench.ts,$(wildcard ui/src/*.ts* ui/src/*/*.* ui/src/*/*/*.*))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-fast check docs bench ui ui-test serve clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

demo: .venv/.ok  ## the whole loop on data that needs no download; writes demo/report.html
	$(BIN)/fewmasks demo

test: .venv/.ok  ## all tests
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory ui-test $(PAGE); else \
	  echo "make: npm is not there, so the labelling page's own code is not tested, nor the page" \
	    "built for the tests in a browser" >&2; fi
	$(PYTEST) --durations 10

test-fast: .venv/.ok  ## the tests of a minute: without those marked slow or real
	$(PYTEST) -m "not slow and not real"

check: .venv/.ok  ## lint, format, types, import layers, generated docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/make_cli.py --check
	$(BIN)/python docs/make_openapi.py --check

docs: .venv/.ok  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: .venv/.bench  ## speed and memory against other packages, one file after the other
	@failed=; for file in benchmarks/*.py; do \
	  echo "== $$file"; $(BIN)/python "$$file" || failed="$$failed $$file"; done; \
	  test -z "$$failed" || { echo "make: a must is missed in$$failed" >&2; exit 1; }

ui-test: ui/node_modules/.ok  ## types, lint and tests of the labelling page's own code
	npm --prefix ui run --silent check
	npm --prefix ui run --silent test

ui: $(PAGE)  ## build the labelling page (needs Node 20 or newer)

$(PAGE): ui/node_modules/.ok $(PAGE_SOURCES)
	npm --prefix ui run build --silent

serve: .venv/.ok  ## label in the browser: make serve PROJECT=folder (default: the demo's)
	@test -f $(PAGE) || $(MAKE) --no-print-directory ui
	$(BIN)/fewmasks serve $(or $(PROJECT),demo/project)

clean:  ## remove caches and built files; keeps .venv/ and demo/
	rm -rf site dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.ok: pyproject.toml constraints.txt tests/clients.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: fewmasks needs Python 3.11 or newer, and $(PYTHON) is not; run: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,dev]'
	@# Afresh: over an older copy pip puts one half of that package in the place of the other.
	rm -rf .venv/clients
	$(BIN)/python -m pip install -qq --no-deps --target .venv/clients -r tests/clients.txt
	@touch $@

.venv/.bench: .venv/.ok
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,bench,dev]'
	@touch $@

ui/node_modules/.ok: ui/package.json ui/package-lock.json
	@command -v npm > /dev/null || { \
	  echo "make: the labelling page needs Node 20 or newer to be built, and npm is not there; install Node" >&2; \
	  exit 1; }
	npm --prefix ui ci --silent --no-audit --no-fund
	@touch $@
