# Thin on purpose: the set-up is tools/bootstrap.py, everything else is the `lathe` command.
HOST ?= 127.0.0.1
PORT ?= 8501
SEED ?= 0

# A Python named by the user is the one that .venv gets; otherwise the first that fits, and a .venv that is there is kept.
EXACT := $(if $(filter command environment,$(firstword $(origin PYTHON))),--exact-python)
PYTHON ?= $(or $(shell for p in python3.11 python3.12 python3; do \
	  $$p -c '' >/dev/null 2>&1 && { echo $$p; break; }; done),python3)
PY := .venv/bin/python
MAKEFLAGS += --no-print-directory

define bootstrap
@python='$(PYTHON)'; command -v "$$python" >/dev/null || { \
	  echo "No $$python on this machine. Install Python 3.11 and run the same command again, or name it:" \
	       "make PYTHON=/path/to/python3.11 $@" >&2; exit 1; }; \
	"$$python" tools/bootstrap.py $(EXACT)
endef

.DEFAULT_GOAL := help
.PHONY: help setup setup-verl demo run test test-fast thorough verl gpu faults doctor lint format docs lock clean distclean

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo "  Variables: HOST, PORT, PLATFORM_HOME, SEED, PYTHON, LATHE_TORCH_INDEX (see README.md)"

setup: ## Make .venv with everything that is pinned (the others do it, too)
	$(bootstrap)

setup-verl: ## Add verl and Ray to .venv, for trainings on the engine verl
	$(bootstrap) --with verl

demo: ## Train a small language model from nothing and watch it learn (SEED=0)
	$(bootstrap)
	@.venv/bin/lathe demo --seed $(SEED)

run: ## Serve the web page (HOST=127.0.0.1 PORT=8501 PLATFORM_HOME=./workspace)
	$(bootstrap)
	@.venv/bin/lathe serve --host $(HOST) --port $(PORT)

# Tests that start nothing but one computing process are dealt out one by one; the others run in rows (tests/conftest.py).
BESIDE := tests/unit tests/integration/engines tests/learning
IN_ROWS := tests/integration --ignore=tests/integration/engines tests/faults tests/e2e

test: ## Run the tests (some 45 minutes on two cores); installs what they need first
	$(bootstrap) --with tests
	@failed=0; \
	  $(PY) -m pytest -m "not thorough" --numprocesses logical --maxprocesses 4 --dist worksteal --durations=15 $(BESIDE) || failed=1; \
	  $(PY) -m pytest -m "not thorough" --numprocesses 2 --dist loadscope --durations=15 $(IN_ROWS) || failed=1; exit $$failed

test-fast: ## Run the quick tests that need no other process (under a minute)
	$(bootstrap) --with python-tests
	@$(PY) -m pytest tests/unit -m "not slow" --durations=5

thorough: ## Run the further cases that make test leaves out
	$(bootstrap) --with tests
	@$(PY) -m pytest -m thorough --durations=15 tests

verl: ## Run every training on verl that this machine's CPU can (several minutes)
	$(bootstrap) --with python-tests
	@LATHE_VERL=all $(PY) -m pytest --timeout=1200 --durations=0 tests/integration/verl tests/unit/verl

faults: ## Kill, fill, lock, corrupt and race at random, 200 rounds, some 20 of real trainings (ROUNDS=200 SEED=0)
	$(bootstrap) --with tests
	@LATHE_KILL_ROUNDS=$(or $(ROUNDS),200) LATHE_KILL_SEED=$(SEED) $(PY) -m pytest -s tests/faults

gpu: ## Run what needs an NVIDIA GPU: tests, and trainings of half a billion parameters beside bare TRL
	$(bootstrap) --with python-tests
	@$(PY) -m pytest --timeout=600 --durations=10 tests/gpu
	@$(PY) -m benchmarks.training --gpu --pairs 2 --steps 16

doctor: ## Try the doctor's rules on many seeded runs and on real ones (SEEDS=20)
	$(bootstrap) --with python-tests
	@LATHE_DOCTOR_SEEDS=$(or $(SEEDS),20) LATHE_DOCTOR_FIRST=$(or $(FIRST),100) \
	  $(PY) -m pytest -s --timeout=1800 tests/unit/doctor/test_seeded.py tests/integration/doctor

lint: ## Check style, types, rooms, texts and that docs/reference is up to date
	$(bootstrap) --with python-tests
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports
	@$(if $(wildcard tools/check_words.py),$(PY) tools/check_words.py)
	@$(if $(wildcard tools/reference.py),$(PY) tools/reference.py --check)

format: ## Put the code into the agreed form
	$(bootstrap) --with python-tests
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

docs: ## Write docs/reference from the specs
	$(bootstrap)
	@$(PY) tools/reference.py

lock: ## Write constraints.txt anew from the requirement files
	$(bootstrap) --with python-tests
	@$(PY) tools/lock.py

clean: ## Remove caches (not .venv, not the workspace)
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
	@find . -path ./.venv -prune -o -path ./workspace -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf

distclean: clean ## Remove .venv and the set-up's logs, too
	@rm -rf .venv .setup
