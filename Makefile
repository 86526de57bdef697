# Two commands do all the set-up: `make build` and `make test`.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

unexport PYTHONDONTWRITEBYTECODE  # tests start hundreds of processes, each of which would compile the engine anew

.PHONY: build test lint faults servers cluster consumers review-page schema pin clean

build: $(READY)  ## the environment, then this repository's own sprites
	$(BIN)/spritebuild build

test: $(READY) lint  ## lint, types, contracts, tests
	$(BIN)/pytest -n 3 --dist loadscope --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

faults: $(READY)  ## faults at every system call, power cuts, races (strace; root for some)
	SPRITEBUILD_FAULTS=all $(BIN)/pytest tests/faults

servers: $(READY)  ## 1,000 sprites from a shared store over each real server
	SPRITEBUILD_SERVERS=all $(BIN)/pytest tests/test_shared_servers.py tests/test_places.py

cluster: $(READY)  ## 200 sprites on a Ray cluster of two nodes, and all that may go wrong there
	SPRITEBUILD_CLUSTER=all $(BIN)/pytest tests/test_cluster.py

consumers: $(READY)  ## exports in the real engines, those that are there; npm for PixiJS, Phaser and Godot 4
	cd tests/consumers/web && npm ci --no-audit --no-fund
	cd tests/consumers/godot4 && npm ci --no-audit --no-fund
	$(BIN)/pytest tests/consumers

review-page:  ## types and bundles of the pages of review and watch (npm)
	cd review-page && npm ci --no-audit --no-fund && npm run check && npm run build

schema: $(READY)  ## docs/spritefile.schema.json and docs/spritefile.md
	$(BIN)/spritebuild schema > docs/spritefile.schema.json
	$(BIN)/spritebuild schema --markdown > docs/spritefile.md

pin: $(READY)  ## write the environment as it is now to lockfiles/requirements.txt
	(head -n 1 lockfiles/requirements.txt; $(BIN)/pip freeze --exclude-editable | sed 's/+cpu//') > $(VENV)/pins
	mv $(VENV)/pins lockfiles/requirements.txt

clean:
	rm -rf $(VENV) .spritebuild assets

$(READY): lockfiles/requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r lockfiles/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@
