# The commands of this repository. Each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYRIGHT := $(VENV)/pyright/node_modules/.bin/pyright

NODE := bindings/node
BIOME := node_modules/.bin/biome

.PHONY: quickstart quickstart-node test test-rust test-python test-node venv python-build node-build bench-node codegen lint fmt

quickstart: python-build ## A project, a channel and real messages in a fresh SQLite file.
	rm -f crm.db crm.db-wal crm.db-shm
	$(BIN)/python examples/quickstart/quickstart.py crm.db examples/quickstart/payloads

quickstart-node: node-build ## The same in Node.
	npm install --silent --no-package-lock --prefix examples/quickstart
	$(NODE)/node_modules/.bin/tsc --project examples/quickstart
	rm -f crm.db crm.db-wal crm.db-shm
	node examples/quickstart/build/quickstart.js crm.db examples/quickstart/payloads

test: test-rust test-python test-node

test-rust:
	cargo test --workspace --exclude ventros-python --exclude ventros-node

test-python: python-build
	cd bindings/python && ../../$(BIN)/python -m pytest

test-node: node-build
	cd $(NODE) && npm run --silent check && npm test --silent

venv: $(VENV)/ready

$(VENV)/ready: bindings/python/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	cd bindings/python && ../../$(BIN)/pip install --quiet --group dev "msgspec>=0.19"
	touch $@

python-build: venv
	cd bindings/python && VIRTUAL_ENV=$(abspath $(VENV)) ../../$(BIN)/maturin develop --quiet

$(NODE)/node_modules/.package-lock.json: $(NODE)/package-lock.json
	cd $(NODE) && npm install --silent --no-save
	touch $@

node-build: $(NODE)/node_modules/.package-lock.json
	cd $(NODE) && npm run --silent build

bench-node: $(NODE)/node_modules/.package-lock.json ## What a call costs in Node beside Rust, in release builds.
	cd $(NODE) && npm run --silent build -- --release && node bench/calls.mjs

codegen: venv ## Writes clients and reference pages from the catalogue.
	cargo run --quiet -p ventros-codegen

$(PYRIGHT):
	npm install --silent --no-audit --no-fund --prefix $(VENV)/pyright pyright

lint: python-build node-build $(PYRIGHT)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo run --quiet -p ventros-codegen -- --verify
	cd bindings/python && ../../$(BIN)/ruff check . ../../examples/quickstart && ../../$(BIN)/ruff format --check . ../../examples/quickstart
	cd bindings/python && ../../$(PYRIGHT)
	cd $(NODE) && $(BIOME) check --error-on-warnings . ../../examples/quickstart/quickstart.ts && npm run --silent check

fmt: venv $(NODE)/node_modules/.package-lock.json
	cargo fmt --all
	cd bindings/python && ../../$(BIN)/ruff check --fix . ../../examples/quickstart && ../../$(BIN)/ruff format . ../../examples/quickstart
	cd $(NODE) && $(BIOME) check --write . ../../examples/quickstart/quickstart.ts
