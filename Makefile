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

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
REVISION ?= $(shell git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null || echo unknown)
# When what is packed was written: the same binary makes the same files.
image dist: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

# amd64 or arm64, as images are called.
THIS_ARCH := $(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(shell uname -m)))
ARCH ?= $(THIS_ARCH)
MACHINE := $(patsubst amd64,x86_64,$(patsubst arm64,aarch64,$(ARCH)))
STATIC_TARGET := $(MACHINE)-unknown-linux-gnu
STATIC_PROFILE ?= release
# A compiler for the other machine: Debian's gcc-aarch64-linux-gnu with libc6-dev-arm64-cross, or gcc-x86-64-linux-gnu.
LINKER := $(if $(filter-out $(THIS_ARCH),$(ARCH)),CARGO_TARGET_$(shell echo $(MACHINE) | tr a-z A-Z)_UNKNOWN_LINUX_GNU_LINKER=$(MACHINE)-linux-gnu-gcc)
# cargo's folder for the profile `dev` has another name.
STATIC_BINARY := target/$(STATIC_TARGET)/$(STATIC_PROFILE:dev=debug)/lamplighter
OUT ?= target/lamplighter-$(ARCH)
IMAGE_FILE := target/lamplighter-image.tar

# $(call build,FLAGS): a static binary, by flags of its own.
build = $(LINKER) RUSTFLAGS="-C target-feature=+crt-static $(1)" CARGO_TARGET_DIR=target LAMPLIGHTER_REVISION="$(REVISION)" \
  cargo build --locked --bin lamplighter --profile $(STATIC_PROFILE) --target $(STATIC_TARGET)

# A release is compiled twice: what the first one did under load guides the second. One for another machine cannot be run here, and
# in another profile everything has another name. GUIDE=FILE takes what was learnt before, in half the time.
GUIDED ?= $(if $(and $(filter release,$(STATIC_PROFILE)),$(filter $(THIS_ARCH),$(ARCH))),yes,no)
ifeq ($(origin GUIDE),undefined)
GUIDE := target/guide/lamplighter.profdata
$(GUIDE): $(shell find benches src static -type f) Cargo.lock Cargo.toml rust-toolchain.toml
	benches/guide $(STATIC_TARGET) $@
endif

.PHONY: binary
binary: $(if $(filter yes,$(GUIDED)),$(GUIDE)) ## a static binary, as target/lamplighter-ARCH; ARCH=amd64|arm64 for another machine; GUIDED=no in half the time
ifneq ($(ARCH),$(THIS_ARCH))
	rustup target add $(STATIC_TARGET)
endif
ifeq ($(GUIDED),yes)
	@# Cargo looks at flags and at the time of the file: by its sum, another guide has another name, and the same one its time.
	guide=$(CURDIR)/target/guide-$$(sha256sum <$(GUIDE) | cut -c1-16).profdata && cp -p $(GUIDE) $$guide && \
	$(call build,-C profile-use=$$guide)
else
	$(call build)
endif
	install -D $(STATIC_BINARY) $(OUT)

.PHONY: image
image: binary ## an OCI image of it, as target/lamplighter-image.tar, with a list of its crates: no daemon, no shell in it, uid 65532
	python3 tests/rig/image.py --dockerfile Dockerfile --arch $(ARCH) --source /out/lamplighter=$(OUT) \
	  --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) localhost/lamplighter:dev >$(IMAGE_FILE)
	tests/dist/sbom $(STATIC_TARGET) >$(IMAGE_FILE:.tar=.cdx.json)
	@ls -l $(IMAGE_FILE)

DIST := lamplighter-$(VERSION)-linux-$(ARCH)
DIST_FOLDER := target/dist/$(DIST)

.PHONY: dist
dist: binary ## target/dist: a tarball of it with completions, man pages and a list of its crates; what guided its build; SHA256SUMS
	rm -rf $(DIST_FOLDER) && mkdir -p $(DIST_FOLDER)/completions $(DIST_FOLDER)/man/man1
	install $(OUT) $(DIST_FOLDER)/lamplighter
	install -m 644 CHANGELOG.md LICENSE README.md $(DIST_FOLDER)
	tests/dist/sbom $(STATIC_TARGET) >$(DIST_FOLDER)/lamplighter.cdx.json
	cargo run --quiet -- completions bash >$(DIST_FOLDER)/completions/lamplighter.bash
	cargo run --quiet -- completions fish >$(DIST_FOLDER)/completions/lamplighter.fish
	cargo run --quiet -- completions zsh >$(DIST_FOLDER)/completions/_lamplighter
	cargo run --quiet -- man $(DIST_FOLDER)/man/man1
	tar --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner --mode=u+rwX,go+rX,go-w \
	  --format=ustar -C target/dist -cf - $(DIST) | gzip -9n >target/dist/$(DIST).tar.gz
	rm -rf $(DIST_FOLDER)
	$(if $(filter yes,$(GUIDED)),install -m 644 $(GUIDE) target/dist/$(DIST).profdata)
	cd target/dist && sha256sum lamplighter-* >SHA256SUMS && cat SHA256SUMS

.PHONY: image-test
image-test: image ## the pods of the tests on real parts, from that image
	$(RIG) up
	$(RIG) import $(IMAGE_FILE)
	eval "$$($(RIG) env)" && export LAMPLIGHTER_REQUIRE_RIG=1 LAMPLIGHTER_IMAGE=localhost/lamplighter:dev && \
	  for part in in_cluster fallback chart k3s; do cargo test --test real -- $$part:: || exit 1; done

.PHONY: bench
bench: binary ## what it costs beside nginx, HAProxy and mod_auth_openidc, written to docs/benchmarks.md; PEER_URL= PEER_COOKIE= add a peer
	benches/install
	cargo build --release --example bench
	@"$${CARGO_TARGET_DIR:-target}/release/examples/bench" --binary $(OUT)

.PHONY: docs
docs: ## write docs/configuration.md and docs/providers anew from what the code says
	UPDATE_DOCS=1 cargo test --lib up_to_date
