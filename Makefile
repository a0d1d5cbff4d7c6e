# Everything happens in .venv, which is made anew only when pyproject.toml or the interpreter changes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check slow clean

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "omnifuse needs Python 3.11 or newer; make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: .venv/ready  ## the main job on real data, into runs/demo
	$(BIN)/omnifuse demo --out runs/demo

test: .venv/ready  ## all tests but the long ones, on all cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "not slow" -n auto --dist loadfile

slow: .venv/ready  ## the long tests
	$(BIN)/python -m pytest -q -m slow

check: .venv/ready  ## style, types, who imports whom
	$(BIN)/ruff check omnifuse tests benchmarks
	$(BIN)/ruff format --check omnifuse tests benchmarks
	$(BIN)/pyright
	$(BIN)/lint-imports

clean:
	rm -rf .venv runs
