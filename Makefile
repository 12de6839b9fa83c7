# The same commands for people and for CI. `make` lists them.
PYTHON  ?= $(or $(shell command -v python3.11 2>/dev/null),python3)
HOST    ?= 127.0.0.1
PORT    ?= 8000
MODELS  ?= models
CORPORA ?= ../shared/corpora
TEXTS = --corpora $(CORPORA) --corpora corpora
NAME    ?= en-ko-transformer
RECIPE  ?= model_export/recipes/$(NAME).toml
RUN     ?= runs/$(NAME)
WEIGHTS ?= weights/$(NAME)
BUNDLE  ?= models/$(NAME)
# A bundle that a new run begins with; none if empty.
START_FROM ?=
# Anything here makes a benchmark a smoke check of a minute, which leaves docs/ alone.
QUICK ?=
# For the fuzzer.
SECONDS ?= 60
# For the tests of the web page.
CHROMIUM    ?= chromium
AXE_VERSION := 4.14.1
AXE         := build/axe-core/axe.min.js
DASHBOARD   := docker/grafana/dashboards/seq2serve.json
# For the image.
DOCKER   ?= docker
IMAGE    ?= seq2serve
VERSION  := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' service/__init__.py)
REVISION := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip install -qq --constraint constraints.txt

# The tools that check manifests need versions of their own.
DEPLOY := .venv-deploy
# Peers of the benchmarks stay out of ours.
BENCH   := .venv-bench
BENCHED  = --weights $(WEIGHTS) --bundle $(BUNDLE) $(if $(QUICK),--quick)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help serve test test-browser test-npm test-container image image-report lint lint-deploy lint-dashboard \
  format tokenizer train export quantize verify evaluate calibrate compare bench bench-engine bench-serving bench-scaling openapi clean \
  overload chaos soak fuzz

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/base: pyproject.toml constraints.txt
	@echo "Installing the service into $(VENV)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(PIP) pip
	@$(PIP) --build-constraint constraints.txt --editable .
	@touch $@

$(VENV)/dev: $(VENV)/base
	@echo "Installing PyTorch, the exporter and the tools for tests into $(VENV)"
	@$(PIP) torch
	@$(PIP) --build-constraint constraints.txt --editable '.[export,tracing]' --group test --group lint
	@touch $@

serve: $(VENV)/base ## Install and serve the shipped models
	$(BIN)/seq2serve serve --host $(HOST) --port $(PORT) --models $(MODELS)

test: $(VENV)/dev ## Install and run the tests
	$(BIN)/python -m pytest

$(VENV)/browser: $(VENV)/dev
	@echo "Installing Playwright into $(VENV)"
	@$(PIP) --group browser
	@touch $@

$(AXE):
	@echo "Fetching axe-core $(AXE_VERSION)"
	@mkdir -p $(@D)
	@npm pack --silent --pack-destination $(@D) axe-core@$(AXE_VERSION) > /dev/null
	@tar -xzf $(@D)/axe-core-$(AXE_VERSION).tgz -C $(@D) --strip-components 1 package/axe.min.js
	@touch $@

test-browser: $(VENV)/browser $(AXE) ## Test the web page in CHROMIUM; needs npm for axe-core
	@command -v $(CHROMIUM) > /dev/null || { echo "there is no $(CHROMIUM); install one or set CHROMIUM" >&2; exit 1; }
	CHROMIUM="$$(command -v $(CHROMIUM))" AXE=$(abspath $(AXE)) $(BIN)/python -m pytest tests/browser

build/npm/ready: tests/npm/package.json
	@echo "Installing clients for Node into build/npm"
	@mkdir -p $(@D) && cp $< $(@D)
	@npm install --prefix $(@D) --silent --no-package-lock --no-audit --no-fund > /dev/null
	@touch $@

test-npm: $(VENV)/dev build/npm/ready ## Test with clients for Node; needs npm
	NPM_CLIENTS=$(abspath build/npm) $(BIN)/python -m pytest tests/npm

image: ## Build the container image
	$(DOCKER) build --tag $(IMAGE):$(VERSION) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) .

image-report: ## Print size, start time and memory of the image
	sh docker/report.sh $(IMAGE):$(VERSION)

test-container: $(VENV)/dev ## Build the image and test it; needs a Docker engine
	SEQ2SERVE_TEST_CONTAINER=1 $(BIN)/python -m pytest tests/container

lint: $(VENV)/dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive service model_export docker

$(DEPLOY)/tools: pyproject.toml
	@echo "Installing the linters for images and manifests into $(DEPLOY)"
	@test -x $(DEPLOY)/bin/pip || $(PYTHON) -m venv $(DEPLOY)
	@$(DEPLOY)/bin/python -m pip install -qq --upgrade pip
	@$(DEPLOY)/bin/python -m pip install -qq --group deploy
	@touch $@

lint-deploy: $(DEPLOY)/tools ## Check Dockerfiles, manifests and YAML; needs kubectl
	$(DEPLOY)/bin/yamllint --strict .yamllint.yaml .checkov.yaml docker k8s
	$(DEPLOY)/bin/hadolint Dockerfile docker/exporter.Dockerfile
	$(DEPLOY)/bin/checkov --config-file .checkov.yaml --framework dockerfile --file Dockerfile docker/exporter.Dockerfile
	@mkdir -p build/k8s
	@for overlay in k8s/overlays/*; do \
	  rendered=build/k8s/$${overlay##*/}.yaml; \
	  echo "$$overlay"; \
	  kubectl kustomize $$overlay > $$rendered && \
	  $(DEPLOY)/bin/kubernetes-validate --strict --quiet --no-warn -k 1.33 $$rendered && \
	  $(DEPLOY)/bin/checkov --config-file .checkov.yaml --framework kubernetes --file $$rendered || exit 1; \
	done

build/grafana/ready: tests/deploy/grafana/package.json
	@echo "Installing Grafana's schema into build/grafana"
	@mkdir -p $(@D) && cp $< $(@D)
	@npm install --prefix $(@D) --silent --no-package-lock --no-audit --no-fund > /dev/null
	@touch $@

# A JSON module would lose its literal types; a constant keeps them.
lint-dashboard: build/grafana/ready ## Check the dashboard against Grafana's schema; needs npm
	@cp tests/deploy/grafana/written.ts build/grafana
	@{ echo 'import type { WrittenDashboard } from "./written.js";'; \
	  echo 'export const dashboard: WrittenDashboard ='; cat $(DASHBOARD); } > build/grafana/dashboard.ts
	build/grafana/node_modules/.bin/tsc --noEmit --strict --skipLibCheck --target es2022 --module nodenext \
	  build/grafana/dashboard.ts

format: $(VENV)/dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

tokenizer: $(VENV)/dev ## Train the tokenizer of RECIPE on CORPORA
	$(BIN)/model-export tokenizer $(RECIPE) $(TEXTS) --run $(RUN)

train: $(VENV)/dev ## Train RECIPE, or continue its RUN
	$(BIN)/model-export train $(RECIPE) $(TEXTS) --run $(RUN) $(if $(START_FROM),--start-from $(START_FROM))

export: $(VENV)/dev ## Write WEIGHTS, a float32 bundle, from RUN
	$(BIN)/model-export export $(RECIPE) $(WEIGHTS) $(TEXTS) --run $(RUN)

quantize: $(VENV)/dev ## Write BUNDLE, which is served, as int8 from WEIGHTS
	$(BIN)/model-export quantize $(WEIGHTS) $(BUNDLE) --calibration $(CORPORA)/train/authored.en-ko.tsv.gz \
	  --pairs $(CORPORA)/dev/authored.en-ko.tsv --pairs $(CORPORA)/dev/jhe-dev.en-ko.tsv

verify: $(VENV)/dev ## Compare WEIGHTS and BUNDLE under ONNX Runtime with PyTorch
	$(BIN)/model-export verify $(WEIGHTS)
	$(BIN)/model-export verify $(BUNDLE)

evaluate: $(VENV)/dev ## Print BLEU and chrF of BUNDLE on the dev sets
	$(BIN)/model-export evaluate $(BUNDLE) $(CORPORA)/dev/*.tsv

calibrate: $(VENV)/dev ## Measure on the dev sets how sure translations of BUNDLE are; writes its manifest
	$(BIN)/model-export calibrate $(BUNDLE) $(CORPORA)/dev/*.tsv

compare: $(VENV)/dev ## Compare the shipped models by source length; writes docs/models.md
	$(BIN)/model-export compare models/en-ko-rnn-seq2seq models/en-ko-rnn-attention models/en-ko-transformer \
	  --pairs $(CORPORA)/dev

$(BENCH)/ready: pyproject.toml constraints.txt
	@echo "Installing the service, the exporter and their peers into $(BENCH)"
	@test -x $(BENCH)/bin/pip || $(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install -qq --constraint constraints.txt pip
	@$(BENCH)/bin/python -m pip install -qq --constraint constraints.txt torch
	@$(BENCH)/bin/python -m pip install -qq --constraint constraints.txt --build-constraint constraints.txt \
	  --editable '.[export]' --group bench
	@touch $@

bench: bench-engine bench-serving bench-scaling ## Run all benchmarks; writes docs/benchmarks.md; QUICK=1 for a smoke check

bench-engine: $(BENCH)/ready ## Measure the engine against CTranslate2 and PyTorch on the same weights
	$(BENCH)/bin/python -m benchmarks engine $(BENCHED)

bench-serving: $(BENCH)/ready ## Measure the service over HTTP against applications around CTranslate2
	$(BENCH)/bin/python -m benchmarks serving $(BENCHED)

bench-scaling: $(BENCH)/ready ## Measure what length, batch, text and beam cost, and memory over time
	$(BENCH)/bin/python -m benchmarks scaling $(BENCHED)

overload: $(VENV)/dev ## Ask ten times as much as the service can answer; QUICK=1 for seconds
	$(BIN)/python -m benchmarks.reliability overload --models $(MODELS) $(if $(QUICK),--quick)

chaos: $(VENV)/dev ## Kill workers, fill the disk, cut clients, swap models, and compare every answer
	$(BIN)/python -m benchmarks.reliability chaos --models $(MODELS) $(if $(QUICK),--quick)

soak: $(VENV)/dev ## Put load on the service for 20 minutes and watch what it takes
	$(BIN)/python -m benchmarks.reliability soak --models $(MODELS) $(if $(QUICK),--quick)

$(VENV)/fuzz: $(VENV)/dev
	@echo "Installing atheris into $(VENV)"
	@$(PIP) --group fuzz
	@touch $@

fuzz: $(VENV)/fuzz ## Look for input that breaks a promise, SECONDS for each target
	@for target in segmentation protection graphs keys requests; do \
	  echo "$$target"; $(BIN)/python -m tests.fuzz $$target $(SECONDS) || exit 1; \
	done

openapi: $(VENV)/base ## Write docs/openapi.json
	$(BIN)/seq2serve openapi > docs/openapi.json

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) $(DEPLOY) $(BENCH) .pytest_cache .mypy_cache .ruff_cache .hypothesis
