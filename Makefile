# Two commands do everything on a fresh Debian machine with a Rust toolchain:
#   make run    boots the default matrix and judges it
#   make test   runs every test
# Both first install what is missing, and say so.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: run test test-clock setup controls lint bench soak fuzz install tools clean

ARGS ?=

# Installs what is in the array `missing`.
define INSTALL
if [ "$${#missing[@]}" -gt 0 ]; then \
	echo "Installing $${missing[*]} with apt" >&2; \
	as_root=(); [ "$$(id -u)" = 0 ] || as_root=(sudo); \
	"$${as_root[@]}" apt-get update -q >&2; \
	DEBIAN_FRONTEND=noninteractive "$${as_root[@]}" apt-get -o DPkg::Lock::Timeout=600 install -y -q --no-install-recommends "$${missing[@]}" >&2; \
fi
endef

run: setup
	@cargo build --release --locked
	@target/release/backproof run $(ARGS)

# The control kernels are compiled first, a quarter of an hour for each line where they are not in the cache yet.
test: tools
	@cargo build --locked
	@target/debug/backproof controls build
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --workspace --locked $(ARGS); \
	else \
		cargo test --workspace --locked $(ARGS); \
	fi

# The library's tests on another day, in another time zone: no outcome may depend on them. The tests' programs alone see that
# clock (a target runner), so that cargo still trusts the times of its files.
CLOCK ?= @2040-02-29 23:59:30
CLOCK_TZ ?= Pacific/Auckland
test-clock: tools
	@shared=$$(dpkg -L libfaketime | grep '/libfaketimeMT\.so'); \
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="env LD_PRELOAD=$$shared FAKETIME_DONT_FAKE_MONOTONIC=1 TZ=$(CLOCK_TZ)" \
		FAKETIME="$(CLOCK)" cargo test --workspace --lib --locked --quiet $(ARGS)

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --package backproof --lib --locked -- --cfg fuzzing -D warnings

# What boots cost beside plain QEMU, what the witnesses cost that need no boot, what packages cost, and what a history of
# 1,000 nights and its site cost. A git history as large as Linux's takes
# minutes to make: `cargo bench --bench git` is asked for by name.
bench: tools
	@cargo build --release --locked
	@cargo bench --bench boot
	@cargo bench --bench witnesses
	@cargo bench --bench packages
	@cargo bench --bench nights
	@cargo bench --bench site

# Kernels whose truth is known, to judge the verifier by: a quarter of an hour of compiling for each line, once.
controls: tools
	@cargo build --release --locked
	@target/release/backproof controls build $(ARGS)

# Whether a reproducer is ever wrong: control kernels, many boots, a host far too busy. Takes most of an hour.
soak: tools
	@cargo build --release --locked
	@target/release/backproof controls build
	@cargo bench --bench soak -- $(ARGS)

# Coverage-guided fuzzing of every reader of foreign bytes, FUZZ_SECONDS each: TARGETS="deb rpm" chooses some. The flags are
# those of `cargo fuzz`, without the sanitizer that stable toolchains don't have.
FUZZ_SECONDS ?= 60
TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
fuzz: setup
	@export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
		-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
		-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"; \
	cargo build --release --manifest-path fuzz/Cargo.toml --target x86_64-unknown-linux-gnu; \
	for target in $(TARGETS); do \
		mkdir -p fuzz/corpus/$$target fuzz/artifacts/$$target; \
		fuzz/target/x86_64-unknown-linux-gnu/release/$$target fuzz/corpus/$$target -max_total_time=$(FUZZ_SECONDS) \
			-rss_limit_mb=2048 -timeout=30 -print_final_stats=0 -artifact_prefix=fuzz/artifacts/$$target/; \
	done

install: setup
	cargo install --path . --locked

# QEMU boots the guests; the compiler builds the decompressors that read packages.
setup:
	@missing=(); \
	command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86); \
	command -v cc >/dev/null || missing+=(gcc libc6-dev); \
	command -v cargo >/dev/null || { echo "make: no Rust toolchain here: install one with rustup" >&2; exit 1; }; \
	$(INSTALL)

# What control kernels are compiled with, what builds the tests' RPM packages, and the browser that reads their pages.
tools: setup
	@missing=(); \
	for tool in gcc make ld; do command -v $$tool >/dev/null || missing=(build-essential); done; \
	for tool in flex bison bc; do command -v $$tool >/dev/null || missing+=($$tool); done; \
	command -v xz >/dev/null || missing+=(xz-utils); \
	command -v rpmbuild >/dev/null || missing+=(rpm); \
	[ -e /usr/include/gelf.h ] || missing+=(libelf-dev); \
	command -v chromedriver >/dev/null || missing+=(chromium chromium-driver); \
	[ -n "$$(dpkg -L libfaketime 2>/dev/null)" ] || missing+=(libfaketime); \
	$(INSTALL)

clean:
	cargo clean
