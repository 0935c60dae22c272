# Hilum's commands. Everything is installed into .venv/ and all state is kept in var/, both inside this folder.
#   make run   [PORT=8000] [TORCH=cpu]   the whole site, until Ctrl-C
#   make setup [TORCH=cpu]               the environment only
#   make test                            the fast tests and the linter
export PORT ?= 8000
export TORCH
# Threads that spin while they wait for each other waste the cores that others need.
export OMP_WAIT_POLICY ?= PASSIVE
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3 python,$(shell \
	$(name) -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	2>/dev/null && echo $(name))))
BOOTSTRAP = $(or $(PYTHON),$(error Hilum needs Python 3.11, 3.12 or 3.13 with its venv module, and found none. \
	Install one, or name it: make run PYTHON=/path/to/python3.12)) tools/bootstrap.py

.PHONY: run setup test

run: setup
	@exec .venv/bin/python tools/supervise.py

setup:
	@$(BOOTSTRAP)

test:
	@$(BOOTSTRAP) --dev
	.venv/bin/python -m ruff check .
	.venv/bin/python -m pytest -n 2 -m "not slow and not services and not browser and not gpu and not shared_data"
