# Every recipe is a line or two over a script, so that each can also be run by hand.
SHELL := /bin/sh

# Agent CLIs are kept here, and in CI the build output too: a fresh clone is then warm the second time.
export MIDWATCH_CACHE ?= $(HOME)/.cache/midwatch
ifdef CI
export CARGO_TARGET_DIR ?= $(MIDWATCH_CACHE)/target
export CARGO_INCREMENTAL ?= 0
endif

.PHONY: help demo test lint gen matrix bench soak crash units

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: ## a failing test becomes a verified branch; LIVE=1 uses your own login
	@tools/install/demo-deps.sh
	@cargo run --quiet --locked --package midwatch-app -- demo $(if $(LIVE),--live)

test: ## install what the tests need and run all of them
	@tools/install/test-deps.sh
	@tools/test.sh

lint: ## formatting, clippy, shell syntax, licences
	@tools/lint.sh

gen: ## write the generated files under docs/reference
	@cargo xtask gen --cli

matrix: ## drive the real CLIs through every failure; its output is kept under docs/matrix
	@cargo run --quiet --locked --package midwatch-agents --example matrix

bench: ## take the figures of docs/BENCHMARKS.md, and the counts of the last make test
	@tools/bench/bench.py
	@tools/bench/counts.sh

soak: ## 2,000 tasks while the server and runs are killed 100 times, then an audit; half an hour or more
	@tools/soak/soak.py --keep docs/soak.json

crash: ## every crash point, each passing of it, by one death and by two; half an hour or more
	@MIDWATCH_SOAK=1 cargo test --locked --package midwatch-app --test it -- crash:: --nocapture

units: ## the units of install-service under a live systemd of their own; needs root
	@tools/systemd/live.sh system
	@tools/systemd/live.sh user
