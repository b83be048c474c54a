# make demo    ask, collect and report on the built-in world; the result is demo/report.html
# make test    lint, types and tests
#
# Each sets up all it needs in .venv first; a second call reuses that.

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo
WORKERS ?= auto

RUN := $(VENV)/bin/python -m
INSTALL = $(RUN) pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable

.DEFAULT_GOAL := help
.PHONY: help demo test clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: $(VENV)/.installed
	$(VENV)/bin/desiderata demo $(DEMO)

# One thread per test process: several processes with several threads each would fight over the same cores.
test: export OMP_NUM_THREADS = 1
test: $(VENV)/.installed-dev
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) pyright --pythonpath $(VENV)/bin/python
	$(RUN) pytest --numprocesses $(WORKERS) --maxprocesses 8

clean:
	rm -rf $(VENV) $(DEMO)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV) (once, a minute or two)"
	$(INSTALL) '.[personalize]'
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV), with the tools for tests (once, a minute or two)"
	$(INSTALL) '.[dev,personalize]'
	touch $(VENV)/.installed $@
