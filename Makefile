# make install | check | test | demo: each sets up what it needs on a fresh Debian machine.
SHELL := /bin/bash
PYTHON ?= $(or $(shell command -v python3.11),python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install check format test demo peers compiler viewer-check clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	@bash .ci/python.sh $(PYTHON) $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

install: $(STAMP) ## make .venv with the perfusion-node command in it

check: $(STAMP) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

peers: ## real peers for demo and tests, where they may be installed (root and apt)
	@bash .ci/peers.sh

compiler: ## what simulates power cuts is compiled
	@command -v cc >/dev/null || bash .ci/apt.sh gcc libc6-dev || echo "Simulated power cuts are skipped."

test: $(STAMP) peers compiler check ## everything: checks and the whole suite
	$(BIN)/python -m pytest

demo: $(STAMP) peers ## the whole loop on this machine, with pictures in demo-output/
	$(BIN)/perfusion-node demo --out demo-output

viewer-check: $(STAMP) peers ## what a radiologist sees in OHIF, asserted (chromium, npm, root)
	@bash .ci/viewer.sh $(BIN)/python

clean: ## remove what was made here
	rm -rf $(VENV) demo-output .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
