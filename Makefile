# The two commands: `make demo` and `make test`. Both install the system packages they lack (Debian, Ubuntu; macOS with Homebrew).

SHELL := /bin/bash
SWIFT ?= swift
PYTHON ?= python3
RELEASE := .build/release/fraudctl

.PHONY: help demo test build release dependencies python lint format coverage check examples clean

help: ## what there is
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/' | sort | expand -t 16

demo: release ## real events through Kafka's protocol into PostgreSQL, with alerts and a summary
	$(RELEASE) demo

test: dependencies python ## every test, the release build, the linter and the examples
	bash Scripts/test

release: dependencies ## .build/release/fraudctl
	$(SWIFT) build -c release --product fraudctl

build: dependencies ## a debug build of everything
	$(SWIFT) build --build-tests

dependencies: ## install the C libraries and PostgreSQL where they are missing
	@bash Scripts/install-dependencies

python: ## pyarrow and DuckDB in .venv, which tests read our files with
	@bash Scripts/install-python

lint: ## swift-format over every source
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests Examples Benchmarks

format: ## rewrite every source as swift-format wants it
	$(SWIFT) format --in-place --recursive --parallel Package.swift Sources Tests Examples Benchmarks

coverage: dependencies ## line coverage of FraudCore
	@bash Scripts/coverage

examples: dependencies ## build and run the examples that are packages of their own
	@bash Scripts/examples

check: test ## test, and what takes long: sanitizers and fuzzing
	@bash Scripts/check

clean: ## remove what was built; data under .fraud stays
	rm -rf .build .build-* Examples/*/.build Benchmarks/.build
