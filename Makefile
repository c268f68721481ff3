# The words of the README and of .ci/run. `make` alone lists them.
#
# PYTHON    the Python that the virtual environment is made with (3.11 or newer)
# BENCH     arguments for the benchmark: make bench BENCH="--cases a,b --rounds 1"; --help lists them
# PYTEST    further arguments for pytest: make test PYTEST="-k store"

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench clean

PYTHON ?= python3
PYTEST ?=
BENCH ?=
BIN := .venv/bin

help: ## list these words
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/make \1\t\2/p' Makefile | expand -t 16

setup: ## make the virtual environment .venv with the pinned packages; instant when nothing changed
	@PYTHON="$(PYTHON)" dev/setup

demo: setup ## play a customer conversation on real models, then chat on (fetches about 600 MB once)
	@$(BIN)/agentkit demo examples/support_bot demo --then-chat

test: setup ## run every test, with real models and killed processes
	@$(BIN)/pytest $(PYTEST)

check: setup ## run what needs no model: lint, format, types, layers, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q tests/architecture

format: setup ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## measure agentkit beside llama.cpp, OpenVINO and smolagents on the same weights (an hour or two)
	@PYTHON="$(PYTHON)" dev/bench_setup
	@$(BIN)/python -m benchmarks.compare $(BENCH)

clean: ## remove what was built; the model cache and your databases stay
	rm -rf .venv .venv-bench build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
