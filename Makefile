# `make demo` and `make test` set everything up by themselves; PYTHON picks the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export MPLBACKEND = Agg

.PHONY: demo test lint install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "imgmatch needs Python 3.11 or newer; run make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# The reference code of PDQ is compiled as it is installed: without a compiler the tests that need it are skipped.
$(VENV)/.reference-pdq: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[reference-pdq]' \
		|| echo "pdqhash was not built (it needs a C++ compiler): tests against it are skipped"
	touch $@

demo: install
	$(BIN)/imgmatch demo demo

lint: install
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint $(VENV)/.reference-pdq
	$(BIN)/pytest -n auto --dist loadfile

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
