# Two commands do all the set-up: `make demo` (train, judge and use a network) and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ORACLE := .oracle/.ready
PYTEST := $(BIN)/python -m pytest

.PHONY: demo test slow faults mutants mutants-short miniature pages clients peers ray
.PHONY: docs docs-pages check format package audit matrix types clean

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

# The quick ones, and one sampled mutant of each room (over seven minutes on two cores); nothing is kept.
mutants-short: $(READY) $(ORACLE)
	$(BIN)/python tools/mutants.py --short

# Every experiment end to end, in seconds each, and the page about them; nothing is kept.
miniature: $(READY)
	place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && \
	run="$(BIN)/python -m resnext experiments" where="--results $$place/results" && \
	$$run run --scale miniature $$where --runs $$place/runs && \
	$$run run --scale miniature $$where --runs $$place/none | grep "everything has been run" && \
	$$run report $$where --out $$place/results.md && ls $$place/results/*.jsonl $$place/results.md

# The page of `resnext serve` in a headless Chromium, every job of it, with axe-core; screenshots go to SHOTS.
# Needs chromium, npm and the network.
SHOTS ?= shots
pages: $(READY) .pages/.ready
	place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && $(BIN)/python tests/serve/prepare_demo.py "$$place" && \
	.pages/bin/python tests/serve/drive_pages.py --axe .pages/package/axe.min.js --images "$$place/digits" \
		--strange "$$place/strange" --shots $(SHOTS) $(BIN)/python -- -m resnext serve "$$place/runs/demo"

# Triton's own client of the Open Inference Protocol against `resnext serve`, then 1,000 requests that
# schemathesis makes from its description.
clients: $(READY) .clients/.ready
	place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && $(BIN)/python tests/serve/prepare_demo.py "$$place" && \
	serve="$(BIN)/python -m resnext serve $$place/runs/demo" && \
	.clients/bin/python tests/serve/official_client.py "$$place/digits/digit-00.png" -- $$serve && \
	.clients/bin/python tests/serve/describe_and_ask.py -- $$serve

# Two nodes of Ray on this machine, one of which is killed in the middle of a job and of serving.
ray: $(READY) .ray/.ready
	place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && $(BIN)/python tests/serve/prepare_demo.py "$$place" && \
	.ray/bin/python tests/ray/two_nodes.py "$$place"

# What is released, built twice and tried, and its bill of materials, in dist/.
package: .package/.ready
	.package/bin/python tools/package.py

# Known vulnerabilities in the pinned versions; ends with 2 if it could not ask.
audit: .package/.ready
	.package/bin/python tools/audit.py

# The fast suite on every Python that is here, with the lowest and the newest versions (hours). Less:
#   make matrix MATRIX="--python 3.13 --versions lowest -- tests/test_arch.py"
matrix: .package/.ready
	.package/bin/python tools/matrix.py $(MATRIX)

# A program that uses the package, as mypy and pyright see it.
types: $(READY) .types/.ready
	$(BIN)/python -m mypy --config-file tests/typing/mypy.ini tests/typing/user_program.py
	.types/bin/pyright --pythonpath $(BIN)/python --project tests/typing

# The environment of `benchmarks/serve_load.py`: LitServe and mosec beside this package.
peers: $(READY) .peers/.ready

# The documentation site, in site/: open site/index.html, or serve it for its search (`python3 -m http.server -d
# site`). Needs the network once, for .docs; the site needs none.
docs: $(READY) .docs/.ready
	$(BIN)/python tools/docs/stage.py .docs/pages
	.docs/bin/python tools/docs/check_schemas.py
	.docs/bin/zensical build --strict --clean

# Its start page and its explorer in a headless Chromium with axe-core; screenshots go to SHOTS.
docs-pages: docs .pages/.ready
	.pages/bin/python tools/docs/drive.py --axe .pages/package/axe.min.js --shots $(SHOTS) site

.docs/.ready: tools/docs/requirements.txt
	$(PYTHON) -m venv .docs && .docs/bin/python -m pip install --quiet -r $<
	touch $@

.pages/.ready:
	$(PYTHON) -m venv .pages && .pages/bin/python -m pip install --quiet playwright
	cd .pages && npm pack --silent axe-core && tar xzf axe-core-*.tgz package/axe.min.js
	touch $@

.package/.ready: constraints.txt
	$(PYTHON) -m venv .package
	.package/bin/python -m pip install --quiet -c constraints.txt hatchling build twine cyclonedx-bom pip-audit uv
	touch $@

.types/.ready:
	$(PYTHON) -m venv .types && .types/bin/python -m pip install --quiet 'pyright[nodejs]'
	touch $@

.clients/.ready:
	$(PYTHON) -m venv .clients && .clients/bin/python -m pip install --quiet 'tritonclient[http]' schemathesis
	touch $@

.peers/.ready: $(READY)
	$(PYTHON) -m venv .peers
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_paths()['purelib'], '$(CURDIR)/src', sep='\n')" \
		> $$(.peers/bin/python -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")/ours.pth
	.peers/bin/python -m pip install --quiet litserve mosec
	touch $@

.ray/.ready: $(READY)
	$(PYTHON) -m venv .ray
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_paths()['purelib'], '$(CURDIR)/src', sep='\n')" \
		> $$(.ray/bin/python -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")/ours.pth
	.ray/bin/python -m pip install --quiet 'ray[data,serve]>=2.60'
	touch $@

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
	rm -rf $(VENV) .oracle .pages .clients .peers .ray .package .types .matrix .docs site
