# make run    the whole chain on real Heist, under 12 minutes on 2 idle cores, into runs/default
# make test   all tests           make check   ruff, mypy --strict, the import contract and all tests
# make cluster-test   jobs on a Ray cluster whose processes are killed, some 6 minutes, into docs/cluster_test.md
# make wheel-test     the wheel in a bare environment: do all ids open?   make lock   renews requirements/tests-py311.txt
# make audit  known vulnerabilities of requirements/tests-py311.txt (asks the index of advisories over the network)
# make docs   the documentation site, into build/docs
# Each sets up .venv first, once. Another Python: make PY=python3.12 ...   (3.10, 3.11 or 3.12)

PY ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH ?= torch==2.13.0
ARGS ?=
# A file of pinned versions that the first set-up keeps to, such as requirements/tests-py311.txt
CONSTRAINTS ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
# Processes that run test files side by side; each takes some 2 GB. One more than cores: tests wait for Ray now and then.
TEST_PROCESSES ?= 3
# Tests and Ray start hundreds of processes; each of them would compile the package anew where this is set.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test cluster-test wheel-test lock audit check lint types imports docs setup clean

run: setup
	$(BIN)/heist-encoders run --out runs/default $(ARGS)

test: setup
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

cluster-test: setup
	$(BIN)/python experiments/cluster_test.py $(ARGS)

wheel-test: setup
	rm -rf build/wheel && $(BIN)/python -m build --wheel --outdir build/wheel . >/dev/null
	$(BIN)/python -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check build/wheel/*.whl
	cd build/wheel && HEIST_ENCODERS_HOME=$(CURDIR)/build/wheel/home venv/bin/python ../../experiments/open_ids.py

lock: setup
	{ echo "# What the tests ran with on Python 3.11, Linux x86-64. Use: make setup CONSTRAINTS=requirements/tests-py311.txt"; \
	  echo "# Renewed by: make lock"; \
	  $(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check 2>/dev/null | sed 's/+cpu//' | LC_ALL=C sort -f; \
	} > requirements/tests-py311.txt

audit: setup
	$(BIN)/python -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.7'
	build/audit/bin/pip-audit --requirement requirements/tests-py311.txt --no-deps --disable-pip

check: lint types imports test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports --no-logo

docs: setup $(VENV)/.docs-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo build/docs/index.html

setup: $(STAMP)

# torch goes first and by itself: pip then takes the build that this machine's package index prefers.
$(STAMP): pyproject.toml
	@command -v $(PY) >/dev/null || { echo "error: no $(PY) found; install Python 3.10, 3.11 or 3.12, or run: make PY=/path/to/python3.11"; exit 2; }
	@$(PY) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null || \
	  { echo "error: $(PY) is $$($(PY) -V 2>/dev/null || echo not runnable), expected Python 3.10, 3.11 or 3.12 (procgen has no wheel for others); run: make PY=python3.11"; exit 2; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PY) -m venv $(VENV) || { rm -rf $(VENV); echo "error: $(PY) cannot make a virtual environment; install its venv module (Debian: apt-get install python3-venv)"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=24'
	$(PIP) '$(TORCH)'
	$(PIP) -e '.[dev,openvino,optuna]'
	@touch $@

$(VENV)/.docs-installed: $(STAMP)
	$(PIP) -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
