# Two commands do all their own set-up: `make serve` and `make test`.
# ARGS passes options on: make serve ARGS="--set http.port=9000", make test ARGS="-k settings".

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$name; break; }; \
	done)
ARGS ?=

# Tests that start servers wait longer than they work.
WORKERS := $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2))))

# Another environment beside .venv, for another Python: make test VENV=.venv-3.13 PYTHON=python3.13
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# The package `task_queue`, as links to its folders: an editable install is an import hook, which mypy
# and editors do not follow. First on the path, so that all see the same files.
SOURCE := $(VENV)/source
define LINK
rm -rf $(SOURCE) && mkdir -p $(SOURCE)/task_queue && cd $(SOURCE)/task_queue && \
	ln -s ../../../actors ../../../api ../../../config ../../../api/public/*.* . && cd ../../.. && \
	$(BIN)/python -c 'import os, sysconfig; packages = sysconfig.get_path("purelib"); \
		source = os.path.relpath("$(SOURCE)", packages); \
		open(os.path.join(packages, "task_queue_source.pth"), "w").write(source)'
endef

.DEFAULT_GOAL := help
.PHONY: help serve test check bench soak fuzz format clean

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

# exec, so that Ctrl-C and SIGTERM reach the server and not a shell in front of it.
serve: $(VENV)/.runtime ## Run the service on the embedded database.
	@exec $(BIN)/task-queue serve $(ARGS)

test: $(VENV)/.test ## Run the whole test suite, on all cores.
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: $(VENV)/.dev ## Check format, lint, types and import arrows.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy docs/examples
	$(BIN)/lint-imports

bench: $(VENV)/.bench ## Measure this system and its peers side by side: bench-results/.
	@exec $(BIN)/python -m tests.benchmarks $(ARGS)

soak: $(VENV)/.dev ## Watch a server under a mixed load, ten minutes: soak-results/.
	@exec $(BIN)/python -m tests.soak $(ARGS)

fuzz: $(VENV)/.dev ## Send 100,000 requests at random to a server, by the description: fuzz-results/.
	@exec $(BIN)/python -m tests.fuzz $(ARGS)

format: $(VENV)/.dev ## Format the code and apply safe fixes.
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

clean: ## Remove the virtual environment, caches and build results; data/ stays.
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps say what is installed; a change of pyproject.toml installs again.
$(VENV)/.runtime: pyproject.toml
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found."; exit 1; }; \
		"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
			{ echo "$(PYTHON) cannot be used: Python 3.11 or newer is needed."; exit 1; }; \
		"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
			{ echo "$(PYTHON) cannot create virtual environments: install python3-venv."; exit 1; }; \
		echo "Creating $(VENV) with $(PYTHON)"; \
		"$(PYTHON)" -m venv --clear $(VENV); \
	fi
	@echo "Installing the service into $(VENV)"
	@$(PIP) --editable .
	@$(LINK)
	@touch $@

$(VENV)/.test: $(VENV)/.runtime
	@echo "Installing what the tests need into $(VENV)"
	@$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	@echo "Installing the development tools into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	@echo "Installing the systems to compare with into $(VENV)"
	@$(PIP) --editable '.[dev,bench]'
	@touch $@
