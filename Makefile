PYTHON ?= python

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

install: ## an editable install with everything the checks need, at the versions tested
	$(PYTHON) -m pip install -c constraints.txt -e '.[dev]'

check: lint types test ## lint, format, types and tests: what CI runs

lint: ## ruff: lint and format
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: ## mypy
	$(PYTHON) -m mypy

test: ## the tests
	$(PYTHON) -m pytest -n auto --dist worksteal

format: ## let ruff format and fix
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

.PHONY: help install check lint types test format
