# Everything a person does here. Each target makes the environment it needs: only Python (3.11 to 3.13) is asked for.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
UV     := $(VENV)/uv/bin/uv
# Tests of one file run in one process, in order; files are spread over this many processes, those of servers
# first: the last ones are short, and no process waits long for another.
WORKERS ?= 2

.PHONY: help install lock up down status test test-kills test-metering-kills test-metering-worlds test-load test-dashboards test-cluster test-cluster-alone test-cluster-shared test-cluster-edge test-vllm test-vllm-pod fuzz-gateway cluster-up cluster-down lint demo demo-tasks bench-dataplane bench-gateway bench-pipeline bench-metering bench-artifacts clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

install: $(READY) ## make .venv from requirements.lock

$(UV): requirements-uv.lock
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) and "Slipway needs Python 3.11 to 3.13; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(PYTHON) -m venv $(VENV)/uv
	$(VENV)/uv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

$(READY): $(UV) requirements.lock pyproject.toml
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . \
	  --config-settings editable_mode=compat # a path, not a finder: 10 ms less for every process
	@touch $@

lock: $(UV) ## resolve pyproject.toml again into requirements.lock
	$(UV) pip compile pyproject.toml --extra dev --extra engines --extra espeak --extra demo-tasks --universal --generate-hashes --python-version 3.11 \
	  --no-emit-index-url --no-header --upgrade -o requirements.lock

up: $(READY) ## start the embedded stack; harmless when it runs
	$(BIN)/slipway up

down: $(READY) ## stop the embedded stack
	$(BIN)/slipway down

status: $(READY) ## what runs, and where
	$(BIN)/slipway status

demo: $(READY) ## take a real model from the hub to a bill
	$(BIN)/slipway demo

demo-tasks: $(READY) ## text, speech both ways, embeddings and reranking on one Ray cluster, billed each in its unit
	$(BIN)/slipway demo --tasks

test: $(READY) ## all tests: unit, dagster, services
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

test-kills: $(READY) ## kill a pull of 1 GiB 60 times, and count what is fetched in all
	SLIPWAY_KILLS=60 SLIPWAY_KILLS_MIB=1024 $(BIN)/pytest -s tests/services/artifacts/test_pull_killed.py -k Kills

test-metering-kills: $(READY) ## kill a rollup, and the closing of a month, 200 times each at random moments
	SLIPWAY_TEST_ROLLUP_KILLS=200 SLIPWAY_TEST_CLOSE_KILLS=200 $(BIN)/pytest -n $(WORKERS) \
	  tests/services/metering/test_publishing.py tests/services/metering/test_month_close.py -k killed_at_any

test-metering-worlds: $(READY) ## compare 200 generated worlds with independent billers, tiers and adjustments too
	SLIPWAY_TEST_WORLDS=200 $(BIN)/pytest -n $(WORKERS) --timeout 7200 \
	  tests/services/metering/test_independent_biller.py tests/services/metering/test_tiers_billed.py

test-load: $(READY) ## aiperf and guidellm against a gateway, and what aiperf reports against the warehouse; 6 GB
	SLIPWAY_LOAD_CLIENTS=1 $(BIN)/pytest -s tests/services/gateway/test_load_clients.py tests/services/gateway/test_load_agrees.py $(TESTS)

test-dashboards: $(READY) ## the dashboards' queries by a real Prometheus, which takes some minutes to build once
	SLIPWAY_TEST_DASHBOARDS=1 $(BIN)/pytest tests/services/gateway/test_dashboard.py

fuzz-gateway: $(READY) ## a million mutated requests and rogue answers; SLIPWAY_FUZZ_REQUESTS, SLIPWAY_FUZZ_SEED
	$(BIN)/python -m testbed.fuzz.gateway

ifdef TESTS
test-cluster: $(READY) ## the tests on a real Kubernetes; needs Go and root (docs/cluster.md)
	$(BIN)/pytest $(TESTS)
else
test-cluster: test-cluster-alone test-cluster-shared
endif

test-cluster-alone: $(READY)
	$(BIN)/python -m testbed.cluster build --with keda metrics-server
	$(BIN)/pytest tests/cluster -m alone

test-cluster-shared: $(READY)
	$(BIN)/pytest tests/cluster -m "not alone and not edge and not vllm" -n $(WORKERS) --dist loadscope --no-loadscope-reorder

test-cluster-edge: $(READY) ## the slower tier of it: cert-manager, MetalLB and Envoy Gateway
	$(BIN)/pytest tests/cluster -m edge

test-vllm: $(READY) ## real engines of the field on CPU: vLLM, Ray Serve LLM, Dynamo, KServe; 8 GB, some 10 minutes
	$(BIN)/python -m testbed.vllm.environments
	$(BIN)/pytest tests/vllm

test-vllm-pod: $(READY) ## vLLM in a pod of a real Kubernetes; needs Go and root (docs/cluster.md)
	$(BIN)/python -m testbed.vllm.environments
	$(BIN)/pytest tests/cluster -m vllm

cluster-up: $(READY) ## start a Kubernetes of one node here, built from source
	$(BIN)/python -m testbed.cluster up

cluster-down: $(READY) ## take it down, whatever state it is in
	$(BIN)/python -m testbed.cluster down $(if $(FORCE),--force)

lint: $(READY) ## ruff, strict mypy, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-dataplane: $(READY) ## plan and apply of 1,000 deployments on a real API server; needs Go and root
	$(BIN)/python -m bench.dataplane

bench-gateway: $(READY) ## a request's CPU and latency against LiteLLM, Portkey and Envoy; SLIPWAY_BENCH_SCALE=0.1 for a tenth
	@short=0; $(BIN)/python -m bench.gateway_load || short=1; $(BIN)/python -m bench.uploads || short=1; exit $$short

bench-pipeline: $(READY) ## how fast definitions load, and what the gateway adds
	$(BIN)/python -m bench.pipeline

bench-metering: $(READY) ## a rollup of five million events; SLIPWAY_BENCH_SCALE=0.1 for a tenth of them
	$(BIN)/python -m bench.metering

bench-artifacts: $(READY) ## weights and images against the usual tools, both sides measured
	$(BIN)/python -m bench.artifacts

clean: ## remove the environment and the embedded stack's state
	-test ! -x $(BIN)/slipway || $(BIN)/slipway down
	rm -rf $(VENV) .slipway
