# What one can do here, one word each: `make help`.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
TOOLS := $(CURDIR)/.cache/tools
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ = $(TOOLS)/bin/cargo-fuzz-$(CARGO_FUZZ_VERSION)
PROGRAMS := valkey-server valkey-cli valkey-operator
# Other names of valkey-server.
TOOLS_OF_SERVER := valkey-check-rdb valkey-check-aof
# Static, so that the same files run here and in an image that holds nothing else. It takes --target: without it the flag would
# reach procedural macros too, which cannot be static.
STATIC := CARGO_TARGET_$(shell echo '$(HOST)' | tr a-z- A-Z_)_RUSTFLAGS="-C target-feature=+crt-static"
STATIC_DIR := target/$(HOST)/release

.PHONY: help
help: ## list these words
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: run
run: build ## a replicated pair on this machine: FILE=examples/pair.yaml
	exec target/release/valkey-operator local -f $(or $(FILE),examples/pair.yaml)

.PHONY: build
build: toolchain ## the programs, statically linked, in target/release
	$(STATIC) cargo build --release --locked --target $(HOST) --workspace --bins
	mkdir -p target/release
	cd $(STATIC_DIR) && cp --reflink=auto --remove-destination $(PROGRAMS) ../../release/
	for tool in $(TOOLS_OF_SERVER); do ln -sf valkey-server target/release/$$tool; done

.PHONY: test
test: toolchain peers ## every test that needs no cluster
	cargo build --workspace --bins --locked
	VALKEY_REPL_BIN_DIR=$(CURDIR)/target/debug cargo test --workspace --locked --no-fail-fast

.PHONY: peers
peers: ## the real Valkey and Redis that the tests talk to (minutes the first time)
	e2e/peers/build.sh all

.PHONY: lint
lint: toolchain deny ## formatting, clippy, licences and sources of dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy -p valkey-repl-e2e --test kind --test scale --locked -- -D warnings

# Unoptimised: it is built in a minute and run for a second. Advisories need a database that is fetched from its home; a machine
# that does not reach it checks the rest.
.PHONY: deny
deny: $(TOOLS)/bin/cargo-deny-$(CARGO_DENY_VERSION)
	@$< check --hide-inclusion-graph bans licenses sources
	@if $< fetch db >/dev/null 2>&1; then $< check --disable-fetch advisories; \
	else echo "advisories: not checked, their database is out of reach"; fi

$(TOOLS)/bin/cargo-deny-$(CARGO_DENY_VERSION):
	e2e/need.sh gcc=cc libc6-dev
	CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY_VERSION)
	mv $(TOOLS)/bin/cargo-deny $@

.PHONY: fuzz
fuzz: toolchain $(CARGO_FUZZ) ## hostile input for all that the server reads, with a sanitizer: SECONDS=60 TARGETS="rdb aof"
	e2e/need.sh g++=c++
	CARGO_FUZZ=$(CARGO_FUZZ) server/fuzz/run.sh $(or $(SECONDS),60) $(TARGETS)

$(CARGO_FUZZ):
	e2e/need.sh gcc=cc libc6-dev
	CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug --locked --root $(TOOLS) cargo-fuzz@$(CARGO_FUZZ_VERSION)
	mv $(TOOLS)/bin/cargo-fuzz $@

.PHONY: crds
crds: toolchain ## write the resource's definition, in crds/ and in the chart, anew from the Rust types
	cargo run --quiet --locked -p valkey-operator -- crd >target/crd.yaml
	cp target/crd.yaml crds/valkeyreplications.yaml
	cp target/crd.yaml charts/files/valkeyreplications.yaml

.PHONY: images
images: build ## container images of the programs and of the tests' own client, in the local Docker
	e2e/images/build.sh $(STATIC_DIR) $(VERSION)

.PHONY: e2e
e2e: images ## the fault tests on a kind cluster; needs docker, kind, kubectl and helm. KEEP=1 leaves the cluster up
	e2e/kind/run.sh $(TESTS)

.PHONY: scale
scale: build ## one operator and SCALE=2000 resources against a bare API server; needs etcd, kube-apiserver, kubectl, helm, openssl
	cargo test --locked -p valkey-repl-e2e --test scale --no-run
	VALKEY_REPL_BIN_DIR=$(CURDIR)/target/release e2e/scale.sh

.PHONY: simulate
simulate: toolchain ## random histories of faults for the engine: HISTORIES=100000 of each kind, beginning with FROM=0
	SIM_HISTORIES=$(or $(HISTORIES),100000) SIM_FROM=$(or $(FROM),0) cargo test --locked -p valkey-repl-engine --lib -- --nocapture sim::tests

.PHONY: conformance
conformance: build peers ## Valkey's own test suite, its results in docs/conformance.md: UNITS="unit/type/string integration/aof"
	PAGE=docs/conformance.md e2e/conformance/run.sh $(UNITS)

.PHONY: bench
bench: build peers ## speed, syncs and memory beside the real Valkey, on this machine: ROUNDS=3 SCALE=100 KEYS=1000000
	e2e/bench/run.sh
	VALKEY_REPL_BIN_DIR=$(CURDIR)/target/release $(STATIC_DIR)/bench

.PHONY: toolchain
toolchain:
	@e2e/need.sh gcc=cc make=make libc6-dev
	@command -v cargo >/dev/null || { echo "needs a Rust toolchain: https://rustup.rs" >&2; exit 1; }
