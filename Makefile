# The commands of the house. Each part of the tree has a target of its own (test-rust, ...); `test` is their sum.
#
# One profile, dev, serves demo, lints and tests: dependencies, which it optimises, are built once. Only `bench` and `sim` build release.

# A build machine must not resolve other versions than those that were tested.
LOCKED := $(if $(CI),--locked)

# make demo: ONCE=1 ends instead of serving, JSON=1 prints the table as JSON, TRACKS=dir takes its GPX files as the patrols.
ONCE ?=
JSON ?=
TRACKS ?=
DEMO_FLAGS ?=

# make bench: RECORDS overrides the usual number of either bench, DELAY_MS delays each way of the network, JSON=1 as above.
RECORDS ?=
DELAY_MS ?=

# make sim: SEEDS worlds beginning with FROM, or one SEED with its story; JOBS at a time.
SEEDS ?= 1000
FROM ?= 1
SEED ?=
JOBS ?=

# All targets build the workspace as one: its dependencies are then built once, and not once for each choice of packages.
BUILT := $(or $(CARGO_TARGET_DIR),target)

# What the core's surface is built as.
LIBRARY := $(if $(filter Darwin,$(shell uname -s)),libbeatbook_ffi.dylib,libbeatbook_ffi.so)

JSON_FLAG := $(if $(JSON),--json)

.PHONY: help demo test test-rust test-swift python node check format-check lint docs bench bench-capture bench-sync bench-hostile bench-bulk bench-load \
	bench-server bench-ffi bench-live surface check-phones size test-plain fuzz sim sbom supply needs
.NOTPARALLEL:

help:
	@echo "make demo    one day at a station: [TRACKS=dir] [ONCE=1] [JSON=1]"
	@echo "make test    everything that must hold, after installing what it needs"
	@echo "make test-swift  the Swift package, with the swift on PATH or in a Debian of its own (3 GB, made once)"
	@echo "make check   formatting, lints and documentation alone"
	@echo "make bench   what it costs: [RECORDS=n] [DELAY_MS=n] [JSON=1]"
	@echo "make bench-ffi  what the core's surface costs through Kotlin"
	@echo "make check-phones  the core's surface as the compilers for Android and iOS see it, without their toolchains"
	@echo "make size    what the core's surface adds to an app, by its parts: [PLAIN=1] without SQLCipher"
	@echo "make test-plain  a build without SQLCipher refuses keys"
	@echo "make surface writes down what the core's surface is, when it changed"
	@echo "make fuzz    any bytes at all, with a nightly compiler and cargo-fuzz: [TARGET=guard] [SECONDS_EACH=60]"
	@echo "make sbom    what of others is in it, as CycloneDX: [SBOM=file]"
	@echo "make supply  licences, sources, doubles and known faults of all that, with cargo-deny"
	@echo "make sim     worlds by their seeds: [SEEDS=n] [FROM=n] [JOBS=n], or one with its story: SEED=n"

demo: needs
	@cargo build $(LOCKED) --workspace --bin beatbook-server --bin beatbook-demo
	@"$(BUILT)/debug/beatbook-demo" \
		$(if $(ONCE),--once) $(JSON_FLAG) $(if $(TRACKS),--tracks "$(TRACKS)") $(DEMO_FLAGS)

test: needs check test-rust
	@echo "All checks and tests passed."

test-rust: needs python node
	cargo test $(LOCKED) --workspace

# Not part of `test`: few machines have Swift, and the Debian that takes its place needs root, a mirror and 3 GB.
test-swift: needs
	@cargo build $(LOCKED) --workspace
	@.ci/swift

# Stock clients that the station is tried with.
python: needs
	@.ci/python

# The provider that single sign-on is tried with.
node: needs
	@.ci/node

check: needs format-check lint docs

format-check:
	cargo fmt --all -- --check

lint:
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --workspace --no-deps

bench: bench-capture bench-sync bench-hostile

bench-capture: needs bench-server
	@cargo run $(LOCKED) --release -p beatbook-tests --bin bench -- capture --records $(or $(RECORDS),10000) $(JSON_FLAG)

bench-sync: needs bench-server
	@cargo run $(LOCKED) --release -p beatbook-tests --bin bench -- sync --records $(or $(RECORDS),1000) \
		$(if $(DELAY_MS),--delay-ms $(DELAY_MS)) $(JSON_FLAG)

# How long a change takes from one phone that is online to another.
bench-live: needs bench-server
	@cargo run $(LOCKED) --release -p beatbook-tests --bin bench -- live $(JSON_FLAG)

bench-hostile: needs bench-server
	@cargo run $(LOCKED) --release -p beatbook-tests --bin bench -- hostile $(JSON_FLAG)

# What the surface costs through Kotlin: the release library and station, in a package of their own folder.
bench-ffi: needs bench-server
	@cargo build $(LOCKED) --release -p beatbook-ffi
	@ffi/package kotlin "$(BUILT)/release/$(LIBRARY)"
	@BEATBOOK_SERVER="$(abspath $(BUILT))/release/beatbook-server" \
		mvn -q -B -ntp -f ffi/kotlin/pom.xml -Dbeatbook.generated="$(abspath $(BUILT))/ffi/kotlin" -Pbench test-compile exec:exec

# Not part of `test`: the standard libraries of three more targets, and all that is below the surface, three times.
check-phones: needs
	@.ci/check-phones

# Not part of `test`: it links everything as one, a quarter of an hour. PLAIN=1 without SQLCipher.
size: needs
	@ffi/size $(if $(PLAIN),plain)

# Not part of `test`: a build without SQLCipher is another SQLite, and all that is built on it once more. Nothing in it needs to be fast.
test-plain: needs
	cargo test $(LOCKED) --config 'profile.dev.package."*".opt-level=0' --config profile.dev.opt-level=0 --config profile.dev.debug=false \
		-p beatbook-client-core --no-default-features --lib --target-dir "$(BUILT)/plain" plain::

# Writes down what the surface is: with a change of it, in the same commit as a line of CHANGELOG.
surface: needs
	@cargo build $(LOCKED) --workspace
	@ffi/package swift "$(BUILT)/debug/$(LIBRARY)"
	@"$(BUILT)/bindgen/debug/beatbook-bindgen" surface "$(BUILT)/debug/$(LIBRARY)" > ffi/surface.json
	@echo "CHANGELOG.md is to say what changed, and: \`ffi/surface.json\` $$(sha256sum ffi/surface.json | cut -c 1-12)"

# Needs a nightly compiler and cargo-fuzz, and fails without them. TARGET=guard|page|wire|gpx, SECONDS_EACH=60.
fuzz:
	@TARGET="$(TARGET)" SECONDS_EACH="$(SECONDS_EACH)" .ci/fuzz

# What the station bears: bulk pushes (RECORDS), and PHONES that come home at once.
bench-bulk: needs bench-server
	@cargo run $(LOCKED) --release -p beatbook-tests --bin bench -- bulk --records $(or $(RECORDS),100000) $(JSON_FLAG)

bench-load: needs bench-server
	@cargo run $(LOCKED) --release -p beatbook-tests --bin bench -- load --phones $(or $(PHONES),300) $(JSON_FLAG)

# The station is a process of its own, in the benchmarks as in the field.
bench-server: needs
	@cargo build $(LOCKED) --release -p beatbook-server --bin beatbook-server

sim: needs
	@cargo run $(LOCKED) --quiet --release -p beatbook-tests --bin sim -- \
		$(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --from $(FROM) --keep tests/seeds/kept.txt) $(if $(JOBS),--jobs $(JOBS))

# The bill of materials: every crate of Cargo.lock, with licence and checksum.
SBOM ?= $(or $(CARGO_TARGET_DIR),target)/beatbook.cdx.json
sbom: needs
	@cargo build $(LOCKED) --workspace --bin sbom
	@"$(BUILT)/debug/sbom" "$(SBOM)"
	@echo "$(SBOM)"

supply: needs
	@.ci/supply

needs:
	@.ci/needs
