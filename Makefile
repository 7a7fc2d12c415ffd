# The commands of this repository. Each sets up what it needs.

PYTHON ?= python3
VENV := .venv
TARGET := $(or $(CARGO_TARGET_DIR),target)
BIN := $(VENV)/bin
PYRIGHT := $(VENV)/pyright/node_modules/.bin/pyright

NODE := bindings/node
BIOME := node_modules/.bin/biome
INBOX := examples/inbox-web
NODE_EXAMPLES := $(addprefix ../../,examples/quickstart/quickstart.ts examples/two-processes/desk.ts $(addprefix $(INBOX)/,src browser tests scripts))
PYTHON_EXAMPLES := ../../examples/quickstart ../../examples/two-processes

.PHONY: contract quickstart quickstart-node two-processes inbox postgres test test-rust test-python test-node test-web test-kotlin \
	test-swift chromium venv python-build node-build bench-python bench-node wheel test-wheel npm test-npm codegen lint fmt

quickstart: python-build ## A project, a channel and real messages in a fresh SQLite file.
	rm -f crm.db crm.db-wal crm.db-shm
	$(BIN)/python examples/quickstart/quickstart.py crm.db examples/quickstart/payloads

quickstart-node: node-build ## The same in Node.
	npm install --silent --no-package-lock --prefix examples/quickstart
	$(NODE)/node_modules/.bin/tsc --project examples/quickstart
	rm -f crm.db crm.db-wal crm.db-shm
	node examples/quickstart/build/quickstart.js crm.db examples/quickstart/payloads

two-processes: python-build node-build postgres ## A program in Python and one in Node on one PostgreSQL database, which it starts itself.
	npm install --silent --no-package-lock --prefix examples/two-processes
	$(NODE)/node_modules/.bin/tsc --project examples/two-processes
	$(BIN)/python examples/two-processes/run.py $(ADDRESS)

inbox: node-build $(INBOX)/node_modules/.package-lock.json ## A web inbox with the sample conversations at 127.0.0.1:8080.
	npm start --silent --prefix $(INBOX) -- --file "$(CURDIR)/inbox.db" --feed "$(CURDIR)/examples/quickstart/payloads"

test: test-rust test-python test-wheel test-node test-npm test-web two-processes test-kotlin test-swift

test-rust: postgres
	cargo test --workspace --exclude ventros-python --exclude ventros-node --exclude ventros-uniffi

postgres: ## Says what is missing, or installs it where this user may.
	@if [ -n "$$VENTROS_TEST_POSTGRES$$VENTROS_POSTGRES_BIN" ] || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; \
	else echo "the tests need a PostgreSQL server: install the package postgresql, or set VENTROS_TEST_POSTGRES to an address" >&2; exit 1; fi

test-python: python-build postgres
	cd bindings/python && ../../$(BIN)/python -m pytest

test-node: node-build postgres
	cd $(NODE) && npm run --silent check && npm test --silent

test-web: node-build chromium $(INBOX)/node_modules/.package-lock.json ## The web inbox in a real browser.
	npm test --silent --prefix $(INBOX)

chromium: ## Says what is missing, or installs it where this user may.
	@for name in "$${CHROMIUM:-chromium}" chromium-browser google-chrome; do command -v "$$name" >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else echo "test-web needs a browser: install the package chromium, or set CHROMIUM to the path of one" >&2; exit 1; fi

$(INBOX)/node_modules/.package-lock.json: $(INBOX)/package.json
	npm install --silent --no-audit --no-fund --no-package-lock --prefix $(INBOX)
	touch $@

contract: ## Writes what Rust answers to the scenarios of bindings/contract; review what changed.
	VENTROS_WRITE_CONTRACT=1 cargo test --quiet --package ventros-ffi --test contract

# A wheel of a quick build: what is tested is what it carries.
test-wheel: venv
	rm -rf $(TARGET)/wheel-test
	$(BIN)/maturin build --quiet --manifest-path bindings/python/Cargo.toml --out $(TARGET)/wheel-test
	PYTHON=$(abspath $(BIN)/python) packaging/try-wheel.sh $(TARGET)/wheel-test/*.whl

wheel: venv ## A release wheel for this platform, in dist/. Others: packaging/build.sh
	packaging/build.sh wheel

# The same of the npm package.
test-npm: node-build
	rm -rf $(TARGET)/npm-test
	mkdir -p $(TARGET)/npm-test
	cd $(NODE) && npm pack --silent --ignore-scripts --pack-destination $(abspath $(TARGET)/npm-test)
	packaging/try-npm.sh $(TARGET)/npm-test/*.tgz

npm: $(NODE)/node_modules/.package-lock.json ## A release package for this platform, in dist/.
	packaging/build.sh addon
	packaging/build.sh npm

test-kotlin: ## Compiles the Kotlin package and runs its tests on Java.
	$(MAKE) --no-print-directory -C bindings/uniffi test

test-swift: venv ## Parses the Swift files: there is no compiler for them.
	$(BIN)/python bindings/uniffi/swift/check.py $$(find bindings/uniffi/swift/Sources -name '*.swift')

venv: $(VENV)/ready

$(VENV)/ready: bindings/python/pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
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

bench-python: venv ## What a call costs in Python beside Rust, in release builds.
	cd bindings/python && VIRTUAL_ENV=$(abspath $(VENV)) ../../$(BIN)/maturin develop --release --quiet
	cd bindings/python && ../../$(BIN)/python bench/calls.py

bench-node: $(NODE)/node_modules/.package-lock.json ## What a call costs in Node beside Rust, in release builds.
	cd $(NODE) && npm run --silent build -- --release && node bench/calls.mjs

codegen: venv ## Writes clients and reference pages from the catalogue.
	cargo run --quiet -p ventros-codegen

$(PYRIGHT):
	npm install --silent --no-audit --no-fund --prefix $(VENV)/pyright pyright

lint: python-build node-build $(INBOX)/node_modules/.package-lock.json $(PYRIGHT)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo run --quiet -p ventros-codegen -- --verify
	cd bindings/python && ../../$(BIN)/ruff check . $(PYTHON_EXAMPLES) && ../../$(BIN)/ruff format --check . $(PYTHON_EXAMPLES)
	cd bindings/python && ../../$(PYRIGHT)
	cd $(NODE) && $(BIOME) check --error-on-warnings . $(NODE_EXAMPLES) && npm run --silent check
	npm run --silent build --prefix $(INBOX)

fmt: venv $(NODE)/node_modules/.package-lock.json
	cargo fmt --all
	cd bindings/python && ../../$(BIN)/ruff check --fix . $(PYTHON_EXAMPLES) && ../../$(BIN)/ruff format . $(PYTHON_EXAMPLES)
	cd $(NODE) && $(BIOME) check --write . $(NODE_EXAMPLES)
