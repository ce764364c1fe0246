# Everything a person or a machine does with this tree. `make help` lists it.
#
# Needed: a Rust toolchain by rustup, a C compiler, Python 3 (for the stores of `make test`). Programs that only tests
# need are installed from the system's packages where that is possible, and skipped loudly where it is not.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

# The address and the data directory of `make run`.
LISTEN ?= 127.0.0.1:9292
DATA_DIR ?= var/dev

target := $(or $(CARGO_TARGET_DIR),target)
oriel := $(target)/release/oriel
deny_version := 0.20.2
deny := var/tools/bin/cargo-deny

.PHONY: help
help: ## This list.
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf 'make %-8s %s\n' "$$name" "$$text"; done

.PHONY: run
run: build ## Serve the Image API on 127.0.0.1:9292, everything inside; data stays in var/dev.
	@exec $(oriel) dev --listen $(LISTEN) --data-dir $(DATA_DIR)

.PHONY: build
build: tools ## The release binary.
	@cargo build --release --locked

.PHONY: test
test: tools ## Every test, on real stores as well; ends with a line of counts.
	@tests/run.sh

.PHONY: fresh
fresh: ## The README's two commands in a minimal system made for it; needs root and an hour.
	@tests/fresh.sh

.PHONY: fmt
fmt: tools ## Is every file formatted?
	@cargo fmt --all --check

.PHONY: lint
lint: fmt ## Formatting, clippy, documentation and dependencies; a warning is an error.
	@cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
	$(MAKE) --no-print-directory deny

# One build of a few minutes at most, then kept; without a network or a way to build it the rest of `lint` still counts.
.PHONY: deny
deny: tools ## Licences, sources and duplicates of dependencies.
	@if cargo deny --version >/dev/null 2>&1; then deny="cargo deny"; else deny="$(deny)"; fi
	if [ "$$deny" = "$(deny)" ] && ! [ -x "$(deny)" ]; then
	  echo "building cargo-deny $(deny_version), once, into var/tools"
	  # Unoptimised: it builds in a third of the time, and its checks take a second either way.
	  CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=var/tools/target \
	    cargo install cargo-deny --version $(deny_version) --locked --debug --quiet --root var/tools --no-track || true
	  rm -rf var/tools/target
	fi
	if ! $$deny --version >/dev/null 2>&1; then
	  echo "SKIPPED: licences, sources and duplicates of dependencies: cargo-deny cannot be had here" >&2
	  exit 0
	fi
	$$deny --locked check bans licenses sources

.PHONY: check
check: fmt lint test ## What has to be green before a change is sent.

.PHONY: bench
bench: tools ## The performance figures; takes a while and wants a quiet machine.
	@cargo bench --locked --bench transfer

.PHONY: demo
demo: build ## A real disk image, up and down again, on a server of its own.
	@tests/run.sh packages qemu-img:qemu-utils curl:curl
	dir="$$(mktemp -d)"
	server=
	clean() { if [ -n "$$server" ]; then kill "$$server" 2>/dev/null || true; wait "$$server" 2>/dev/null || true; fi; rm -rf "$$dir"; }
	trap clean EXIT
	say() { printf '\n== %s\n' "$$*"; }

	say "A disk image, made by qemu-img"
	qemu-img create -q -f raw "$$dir/disk.raw" 64M
	head -c 24M /dev/urandom | dd of="$$dir/disk.raw" bs=1M seek=8 conv=notrunc status=none
	qemu-img convert -f raw -O qcow2 "$$dir/disk.raw" "$$dir/disk.qcow2"
	qemu-img info "$$dir/disk.qcow2" | sed -n '2,4s/^/  /p'

	say "A server on a free port, with everything inside"
	$(oriel) dev --listen 127.0.0.1:0 --data-dir "$$dir/data" >"$$dir/out" 2>"$$dir/log" &
	server=$$!
	for _ in $$(seq 100); do
	  url="$$(sed -nE 's/.* (http:[^;]*);.*/\1/p' "$$dir/out" | head -n 1)"
	  [ -z "$$url" ] || break
	  if ! kill -0 "$$server" 2>/dev/null; then cat "$$dir/log" >&2; exit 1; fi
	  sleep 0.1
	done
	if [ -z "$$url" ]; then echo "the server does not start" >&2; exit 1; fi
	echo "  $$url"

	say "Upload"
	id="$$(python3 -c 'import uuid; print(uuid.uuid4())')"
	curl -fsS -o /dev/null "$$url/v2/images" -d '{"id": "'"$$id"'", "name": "demo", "disk_format": "qcow2", "container_format": "bare"}'
	curl -fsS -w '  %{http_code}, %{size_upload} bytes in %{time_total} s\n' -T "$$dir/disk.qcow2" -H 'Content-Type: application/octet-stream' "$$url/v2/images/$$id/file"

	say "The record"
	curl -fsS "$$url/v2/images/$$id" | python3 -m json.tool

	say "A range of it"
	curl -fsS -r 0-3 "$$url/v2/images/$$id/file" | od -c | head -n 1
	curl -fsS -r 1000000-1999999 -o "$$dir/range" -w '  %{http_code}, %{size_download} bytes\n' "$$url/v2/images/$$id/file"
	cmp -i 1000000:0 -n 1000000 "$$dir/disk.qcow2" "$$dir/range"

	say "Download, and compare"
	curl -fsS -o "$$dir/copy.qcow2" -w '  %{http_code}, %{size_download} bytes in %{time_total} s\n' "$$url/v2/images/$$id/file"
	cmp "$$dir/disk.qcow2" "$$dir/copy.qcow2"
	qemu-img check -q "$$dir/copy.qcow2"
	qemu-img compare "$$dir/disk.raw" "$$dir/copy.qcow2" | sed 's/^/  /'

# What a build needs and cannot fetch by itself.
.PHONY: tools
tools:
	@if ! command -v cargo >/dev/null; then
	  echo "cargo is not here. Rust comes by rustup, see https://rustup.rs; rust-toolchain.toml says which version." >&2
	  exit 1
	fi
	tests/run.sh packages cc:gcc,libc6-dev
