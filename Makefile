# Two commands on a fresh machine: `make demo` and `make test`. Both share one environment, made once.
PYTHON ?= python3
VENV ?= .venv
# Many tests start interpreters. Without files of bytecode each of them would compile the package, and pytest every test.
RUN = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(VENV)/bin/python

.PHONY: demo test slow check sklearn clean

demo: $(VENV)/.installed
	$(RUN) examples/01_five_labels_a_class.py

test: $(VENV)/.installed
	$(RUN) -m pytest -n 2 --dist worksteal -m "not slow"

# the tests that take more than ten seconds each: whole examples, forks under load, a million rows
slow: $(VENV)/.installed
	$(RUN) -m pytest -n 2 --dist worksteal -m slow

# what continuous integration checks before the tests
check: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q -c constraints.txt -e .[test]
	touch $@

# scikit-learn's own tests with the classes of this package in place of its own: part of the gate
sklearn: $(VENV)/.installed
	$(RUN) -m tests.sklearn_suite

clean:
	rm -rf $(VENV) build *.egg-info
