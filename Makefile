PYTHON ?= python

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

install: ## an editable install with everything the checks need, at the versions tested
	$(PYTHON) -m pip install -c constraints.txt -e '.[dev]'

check: lint types docs test ## lint, format, types, the site, and the tests that take minutes; before every commit

lint: ## ruff: lint and format
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: ## mypy
	$(PYTHON) -m mypy

docs: ## the site in build/docs; a warning is an error
	$(PYTHON) -m sphinx -q -W --keep-going docs build/docs

test: ## the tests of check, and the ten slowest of them
	$(PYTHON) -m pytest -n auto --dist worksteal --durations=10 -m "not long"

check-all: ## the long tests, which check leaves out: every size, kills, S3, experiments; CI runs both
	$(PYTHON) -m pytest -n auto --dist worksteal --durations=10 -m long

format: ## let ruff format and fix
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

.PHONY: help install check check-all lint types docs test format
