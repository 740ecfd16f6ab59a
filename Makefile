# Two commands do all the set-up: `make demo` (train, judge and use a network) and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ORACLE := .oracle/.ready
PYTEST := $(BIN)/python -m pytest

.PHONY: demo test slow faults mutants mutants-short miniature check format clean

demo: $(READY)
	$(BIN)/python -m resnext demo

test: $(READY) $(ORACLE)
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

# What starts many processes or compiles (about two minutes).
slow: $(READY) $(ORACLE)
	$(PYTEST) -n 2 -m slow

# Everything that is broken on purpose, in full (about half an hour); results go to results/faults.jsonl.
faults: $(READY)
	RESNEXT_FAULTS=full $(PYTEST) -s tests/faults

# Bugs planted one at a time, and whether the tests notice (about an hour); results go to results/mutants.jsonl.
mutants: $(READY) $(ORACLE)
	$(BIN)/python tools/mutants.py

# The quick ones, and one sampled mutant of each room (under three minutes); nothing is kept.
mutants-short: $(READY) $(ORACLE)
	$(BIN)/python tools/mutants.py --short

# Every experiment end to end, in seconds each, and the page about them; nothing is kept.
miniature: $(READY)
	place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && \
	run="$(BIN)/python -m resnext experiments" where="--results $$place/results" && \
	$$run run --scale miniature $$where --runs $$place/runs && \
	$$run run --scale miniature $$where --runs $$place/none | grep "everything has been run" && \
	$$run report $$where --out $$place/results.md && ls $$place/results/*.jsonl $$place/results.md

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("resnext needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

# Peers to compare with: without their dependencies, outside the environment, used by tests only.
$(ORACLE): $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps --upgrade --target .oracle torchvision timm \
		openvino-model-api opencv-python-headless mapie
	touch $@

clean:
	rm -rf $(VENV) .oracle
