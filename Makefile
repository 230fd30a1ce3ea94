# Every task of the house. On a machine with Python 3.11+ and make, `make demo` and `make test` do all the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := $(VENV)/.demo
DEV := $(VENV)/.dev
CLIENTS := .venv-clients/.ready
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PROTO := src/augurium/protocols

.PHONY: help setup demo serve clients test soak check format bench docs proto lock clean
.DEFAULT_GOAL := help

help: ## show the tasks
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(DEMO) ## create .venv with the augurium command and what the demo needs

$(DEMO): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Augurium needs Python 3.11 or newer; run: make setup PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "this Python has no venv module (Debian: apt-get install python3-venv)"; exit 1; }
	$(INSTALL) --editable '.[demo]'
	@touch $@

# every framework, a PostgreSQL and an S3 server: about 3 GB
$(DEV): $(DEMO)
	$(INSTALL) --editable '.[dev]'
	@touch $@

demo: $(DEMO) ## train two models, serve them, and compare answers with their frameworks
	$(BIN)/python -m examples.demo

serve: $(DEMO) ## leave a node running with the demo's models
	$(BIN)/python -m examples.demo --serve

# published clients that ask for other versions of our dependencies
$(CLIENTS): tests/acceptance/clients/requirements.txt
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

clients: $(CLIENTS) ## install the published clients that need an environment of their own

# the tests of a file stay together, because they share what they start
test: $(DEV) $(CLIENTS) ## run every test, as many at a time as there are cores
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# an hour of traffic and trouble; `make soak SOAK_S=600` is ten minutes
SOAK_S ?= 3600
soak: $(DEV) ## run the long scenarios for an hour
	AUGURIUM_SOAK_S=$(SOAK_S) $(BIN)/python -m pytest tests/acceptance/test_soak.py

check: $(DEV) ## lint, format, types, layers, generated code and pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/generate_proto.py --check
	$(BIN)/python tools/generate_docs.py --check

format: $(DEV) ## format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV) ## measure against Triton, mosec and FastAPI; needs wrk, h2load and gcc
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.payloads
	$(BIN)/python -m benchmarks.batch
	$(BIN)/python -m benchmarks.batch_beside

docs: $(DEV) ## write the reference pages that come from the code
	$(BIN)/python tools/generate_docs.py

proto: $(DEV) ## generate the protobuf modules
	$(BIN)/python tools/generate_proto.py

lock: $(DEV) ## write the versions installed now to constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt

clean: ## remove what was built
	rm -rf $(VENV) .venv-clients .demo-home dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
