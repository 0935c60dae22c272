# Hilum's commands. Everything is installed into .venv/ and all state is kept in var/, both inside this folder.
#   make run   [PORT=8000] [DICOM_PORT=11112] [TORCH=cpu]   the whole site, until Ctrl-C
#   make setup [TORCH=cpu]               the environment only
#   make test                            linter, formatter, types and the fast tests
#   make types                           accept fewer type errors: rewrite mypy-baseline.txt
#   make lock [UPGRADE=1]                resolve requirements*.in into the hashed requirements*.txt
#   make wheelhouse [TORCH=cpu]          download the packages to wheelhouse/, for a closed network
export PORT ?= 8000
export TORCH
# Threads that spin while waiting for each other waste cores.
export OMP_WAIT_POLICY ?= PASSIVE
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3 python,$(shell \
	$(name) -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	2>/dev/null && echo $(name))))
BOOTSTRAP = $(or $(PYTHON),$(error Hilum needs Python 3.11, 3.12 or 3.13 with its venv module, which was not found. \
	Install one, or name it: make run PYTHON=/path/to/python3.12)) tools/bootstrap.py

.PHONY: run setup test types lock wheelhouse

run: setup
	@exec .venv/bin/python tools/supervise.py

setup:
	@$(BOOTSTRAP)

lock:
	@$(BOOTSTRAP) --dev
	.venv/bin/python tools/lock.py $(if $(UPGRADE),--upgrade)

wheelhouse:
	@$(BOOTSTRAP) --download wheelhouse

types:
	.venv/bin/python -m mypy --no-pretty | .venv/bin/python -m mypy_baseline sync --hide-stats

test:
	@$(BOOTSTRAP) --dev
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy --no-pretty | .venv/bin/python -m mypy_baseline filter
	.venv/bin/python -m pytest -n 2 -m "not slow and not services and not browser and not gpu and not shared_data"
