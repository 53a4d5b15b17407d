# Two commands: `make demo` and `make test`. Both set up .venv first and may be repeated.
PYTHON ?= python3
# the versions the published tables were made with; override for another build
TORCH ?= torch==2.14.1 torchvision==0.29.1
PIP = .venv/bin/python -m pip --disable-pip-version-check

.PHONY: setup demo test lint clean

setup: .venv/.ready

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) install -q $(TORCH)
	$(PIP) install -q -e '.[weights,dev]'
	touch $@

demo: setup
	.venv/bin/jsma-bench run

test: setup lint
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check -q .
	.venv/bin/pyright
	.venv/bin/lint-imports --no-cache

clean:
	rm -rf .venv build *.egg-info
