# The commands of this repository. Each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYRIGHT := $(VENV)/pyright/node_modules/.bin/pyright

.PHONY: quickstart test test-rust test-python venv python-build codegen lint fmt

quickstart: python-build ## A project, a channel and real messages in a fresh SQLite file.
	rm -f crm.db crm.db-wal crm.db-shm
	$(BIN)/python examples/quickstart/quickstart.py crm.db examples/quickstart/payloads

test: test-rust test-python

test-rust:
	cargo test --workspace --exclude ventros-python

test-python: python-build
	cd bindings/python && ../../$(BIN)/python -m pytest

venv: $(VENV)/ready

$(VENV)/ready: bindings/python/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	cd bindings/python && ../../$(BIN)/pip install --quiet --group dev "msgspec>=0.19"
	touch $@

python-build: venv
	cd bindings/python && VIRTUAL_ENV=$(abspath $(VENV)) ../../$(BIN)/maturin develop --quiet

codegen: venv ## Writes clients and reference pages from the catalogue.
	cargo run --quiet -p ventros-codegen

$(PYRIGHT):
	npm install --silent --no-audit --no-fund --prefix $(VENV)/pyright pyright

lint: python-build $(PYRIGHT)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo run --quiet -p ventros-codegen -- --verify
	cd bindings/python && ../../$(BIN)/ruff check . ../../examples/quickstart && ../../$(BIN)/ruff format --check . ../../examples/quickstart
	cd bindings/python && ../../$(PYRIGHT)

fmt: venv
	cargo fmt --all
	cd bindings/python && ../../$(BIN)/ruff check --fix . ../../examples/quickstart && ../../$(BIN)/ruff format . ../../examples/quickstart
