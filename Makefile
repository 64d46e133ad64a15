# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PAGE := $(shell git ls-files src/plaudit/studio/web 2>/dev/null)  # an install builds the page of the studio
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements/lock.txt
export PYTHONHASHSEED := 0

.PHONY: demo test test-all lint types unit wheel docs licences vulnerabilities claims lock clean

demo: $(VENV)/.control  ## install the control extra, teach Pendulum from 50 comparisons, write a report
	@du -sm $(VENV) | awk '{printf "size of the control install: %.2f GB\n", $$1 / 1024}'
	$(BIN)/plaudit demo

test: $(VENV)/.dev lint types unit wheel docs licences  ## the gate: style, types, tests, wheel, docs, licences

test-all: test $(VENV)/.sweep  ## everything, with the slow tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m slow --timeout 1800

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests benchmarks examples docs requirements
	$(BIN)/ruff format --check src tests benchmarks examples docs requirements

types: $(VENV)/.dev
	$(BIN)/pyright --pythonpath $(BIN)/python

unit: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

wheel: $(VENV)/.dev  ## the built wheel carries all it needs: the tests of its outer layers run against it
	rm -rf build/wheel && $(BIN)/python -m build --quiet --wheel --outdir build/wheel
	$(BIN)/python -m pip install --quiet --no-deps --target build/wheel/site build/wheel/*.whl
	cd build/wheel && PYTHONPATH=site ../../$(BIN)/python -m pytest -p no:cacheprovider -q --rootdir ../.. -c ../../pyproject.toml \
		../../tests/test_wheel.py ../../tests/test_cli.py ../../tests/test_records.py

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py --check
	$(BIN)/zensical build --clean --strict

licences: $(VENV)/.dev
	$(BIN)/python requirements/check_licences.py

vulnerabilities:  ## ask PyPI's advisories about every locked version; needs the network, so it is no part of the gate
	$(PYTHON) -m venv build/pip-audit && build/pip-audit/bin/pip install --quiet pip-audit
	build/pip-audit/bin/pip-audit --requirement requirements/lock.txt --no-deps --disable-pip --strict

claims: $(VENV)/.dev  ## compare committed results with every claim; SPOT=1 reruns one cheap row of each benchmark
	$(BIN)/python -m benchmarks.claims $(if $(SPOT),--spot)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.control: $(VENV)/bin/python pyproject.toml requirements/lock.txt $(PAGE)
	$(PIP) --editable ".[control]"
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml requirements/lock.txt $(PAGE)
	$(PIP) --editable ".[all,dev]"
	@touch $@

$(VENV)/.sweep: $(VENV)/.dev  ## minigrid, highway-env and dm_control, for the sweep over their worlds
	$(PIP) --editable ".[all,dev,sweep]"
	@touch $@

clean:
	rm -rf $(VENV) build dist site
