# Capelet. `make demo` shows it at work, `make test` tests it; README.md says more.
#
# Variables: SWIFT (the toolchain's swift), SWIFTFLAGS (more arguments for release builds), PREFIX and DESTDIR (where to install to).
SWIFT ?= swift
PREFIX ?= /usr/local
export SWIFT SWIFTFLAGS DIR

# What the demo indexes: a folder of text. Empty: this machine's documentation.
DIR ?=
SEEDS ?= 10000
ROUNDS ?= 200
MINUTES ?= 10
TARGET ?=

help:
	@echo 'make demo [DIR=folder]        builds Capelet and shows it at work on real files'
	@echo 'make test                     builds and runs every test'
	@echo 'make build                    builds in release: .build/release/capelet, .build/plugins'
	@echo 'make install [PREFIX=folder]  installs what was built, by default below /usr/local'
	@echo 'make simulate [SEEDS=n]       runs the scheduler through n random histories'
	@echo 'make kill-rounds [ROUNDS=n]   kills processes at random under load, n times'
	@echo 'make soak [MINUTES=n]         kills processes at random under load for n minutes'
	@echo 'make hostile                  runs the fault matrix: hostile plugins against real hosts'
	@echo 'make fuzz [MINUTES=n] [TARGET=name]  feeds the decoders made-up bytes, n minutes each'
	@echo 'make bench-isolation          measures deaths, many workers and hostile neighbours, after make build'
	@echo 'make lint, make format        checks or mends the format of the Swift sources'
	@echo 'make clean                    removes what was built'

dependencies:
	@scripts/dependencies

# Also what only tests need: without it they say which part they leave out.
test-dependencies:
	@scripts/dependencies tests

demo:
	@scripts/demo $${DIR:+"$$DIR"}

build: dependencies
	scripts/build

test: test-dependencies
	scripts/test

# Installs what is there, so that root needs no toolchain of its own: make build && sudo make install
install:
	@scripts/install '$(PREFIX)' '$(DESTDIR)'

# The long versions of tests that are in `make test` too.
simulate: test-dependencies
	$(SWIFT) build --build-tests
	CAPELET_SEEDS=$(SEEDS) $(SWIFT) test --skip-build --disable-xctest --filter SimulationTests/promisesHold

kill-rounds: test-dependencies
	CAPELET_KILL_ROUNDS=$(ROUNDS) scripts/test --filter KillTests

soak: test-dependencies
	CAPELET_SOAK_SECONDS=$$(($(MINUTES) * 60)) scripts/test --filter SoakTests

hostile: test-dependencies
	$(SWIFT) build --build-tests
	scripts/test-hostile

# The same as in .ci/run, for longer and optimised. Targets: make -s -C Fuzz list
fuzz: dependencies
	scripts/fuzz --optimised --seconds $$((60 * $(MINUTES))) $(TARGET)

# Figures of the release build.
bench-isolation:
	scripts/bench-isolation

# The SDK and the templates are embedded in a source file, which has to follow.
format:
	scripts/swift-files | xargs -0 $(SWIFT) format --in-place --parallel
	PluginSDK/embed.sh

lint:
	@scripts/swift-files | xargs -0 $(SWIFT) format lint --strict --parallel

clean:
	rm -rf .build

.PHONY: help dependencies test-dependencies demo build test install simulate kill-rounds soak hostile fuzz bench-isolation format lint clean
