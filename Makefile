# `make help` says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

RIG := tests/rig/rig

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: demo
demo: ## the whole product on embedded parts, at http://localhost:4460
	cargo run --quiet -- demo

.PHONY: test
test: lint ## every test, on real parts: installs, builds and starts what is missing
	$(RIG) install
	$(RIG) build
	cargo build --tests --bins
	tests/with-rig cargo test

.PHONY: lint
lint: ## formatting, lints, docs, forbidden dependencies
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --quiet
	tests/forbidden-dependencies
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; \
	 else echo "cargo-deny is not installed: licences were not looked at (cargo install cargo-deny)"; fi

.PHONY: quick
quick: ## the tests that need a Rust toolchain alone
	cargo test

.PHONY: rig
rig: ## the real parts, left running: Kubernetes, ingress-nginx, two providers
	$(RIG) install
	$(RIG) build
	$(RIG) up
	@$(RIG) status
	@echo
	@echo "To use it:      eval \"\$$($(RIG) env)\"    then kubectl, and cargo test, find it"
	@echo "To sign in:     alice (k8s-admins), victor (k8s-viewers), nora (no group); any password"
	@echo "To read more:   tests/rig/README.md"
	@echo "To stop it:     make rig-down"

.PHONY: rig-down
rig-down: ## stop them, and leave nothing behind
	$(RIG) down

IMAGE_TARGET := $(shell uname -m)-unknown-linux-gnu
IMAGE_PROFILE ?= release
# cargo's folder for the profile `dev` has another name.
IMAGE_FOLDER := target/$(IMAGE_TARGET)/$(IMAGE_PROFILE:dev=debug)
IMAGE_FILE := target/lamplighter-image.tar

.PHONY: image
image: ## an OCI image of a static binary, as target/lamplighter-image.tar: no daemon, no shell in it, uid 65532
	RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR=target \
	  cargo build --bin lamplighter --profile $(IMAGE_PROFILE) --target $(IMAGE_TARGET)
	python3 tests/rig/image.py --user 65532:65532 \
	  --label org.opencontainers.image.title=lamplighter \
	  --label org.opencontainers.image.licenses=Apache-2.0 \
	  --label "org.opencontainers.image.version=$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)" \
	  localhost/lamplighter:dev '["/bin/lamplighter"]' \
	  $(IMAGE_FOLDER)/lamplighter=/bin/lamplighter \
	  /etc/ssl/certs/ca-certificates.crt=/etc/ssl/certs/ca-certificates.crt >$(IMAGE_FILE)
	@ls -l $(IMAGE_FILE)

.PHONY: image-test
image-test: image ## the pods of the tests on real parts, from that image
	$(RIG) up
	$(RIG) import $(IMAGE_FILE)
	eval "$$($(RIG) env)" && export LAMPLIGHTER_REQUIRE_RIG=1 LAMPLIGHTER_IMAGE=localhost/lamplighter:dev && \
	  cargo test --test real -- in_cluster && cargo test --test real -- fallback

.PHONY: bench
bench: ## what it costs beside nginx, HAProxy and mod_auth_openidc, written to docs/benchmarks.md; PEER_URL= PEER_COOKIE= add a peer
	benches/install
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --bin lamplighter --target $(IMAGE_TARGET)
	cargo build --release --example bench
	@target="$${CARGO_TARGET_DIR:-target}"; \
	  "$$target/release/examples/bench" --binary "$$target/$(IMAGE_TARGET)/release/lamplighter"

.PHONY: docs
docs: ## write docs/configuration.md and docs/providers anew from what the code says
	UPDATE_DOCS=1 cargo test --lib up_to_date
