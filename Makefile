# The same commands for people and for CI. `make` lists them.
PYTHON  ?= $(or $(shell command -v python3.11 2>/dev/null),python3)
HOST    ?= 127.0.0.1
PORT    ?= 8000
MODELS  ?= models
CORPORA ?= ../shared/corpora
NAME    ?= en-ko-transformer
RECIPE  ?= model_export/recipes/$(NAME).toml
RUN     ?= runs/$(NAME)
BUNDLE  ?= models/$(NAME)
# A bundle that a new run begins with; none if empty.
START_FROM ?=

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip install -qq --constraint constraints.txt

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help serve test lint format tokenizer train export verify evaluate openapi clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/base: pyproject.toml constraints.txt
	@echo "Installing the service into $(VENV)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(PIP) pip
	@$(PIP) --build-constraint constraints.txt --editable .
	@touch $@

$(VENV)/dev: $(VENV)/base
	@echo "Installing PyTorch, the exporter and the tools for tests into $(VENV)"
	@$(PIP) torch
	@$(PIP) --build-constraint constraints.txt --editable '.[export]' --group test --group lint
	@touch $@

serve: $(VENV)/base ## Install and serve the shipped models
	$(BIN)/seq2serve serve --host $(HOST) --port $(PORT) --models $(MODELS)

test: $(VENV)/dev ## Install and run the tests
	$(BIN)/python -m pytest

lint: $(VENV)/dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

tokenizer: $(VENV)/dev ## Train the tokenizer of RECIPE on CORPORA
	$(BIN)/model-export tokenizer $(RECIPE) --corpora $(CORPORA) --run $(RUN)

train: $(VENV)/dev ## Train RECIPE, or continue its RUN
	$(BIN)/model-export train $(RECIPE) --corpora $(CORPORA) --run $(RUN) $(if $(START_FROM),--start-from $(START_FROM))

export: $(VENV)/dev ## Write BUNDLE from RUN
	$(BIN)/model-export export $(RECIPE) $(BUNDLE) --corpora $(CORPORA) --run $(RUN)

verify: $(VENV)/dev ## Compare BUNDLE under ONNX Runtime with PyTorch
	$(BIN)/model-export verify $(BUNDLE)

evaluate: $(VENV)/dev ## Print BLEU and chrF of BUNDLE on the dev sets
	$(BIN)/model-export evaluate $(BUNDLE) $(CORPORA)/dev/*.tsv

openapi: $(VENV)/base ## Write docs/openapi.json
	$(BIN)/seq2serve openapi > docs/openapi.json

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
