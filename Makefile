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

.PHONY: docs
docs: ## write docs/configuration.md anew from the settings' own comments
	UPDATE_DOCS=1 cargo test --lib the_reference
