# Everything a contributor or an owner of a lab types. `make` alone lists the targets.

STACK ?= staging
BIN   := $(CURDIR)/bin
# The version the Go SDK is pinned to; a CLI of the same major version and at least this minor version serves as well.
PULUMI_VERSION := 3.259.0

export PATH := $(BIN):$(PATH)
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PACKAGES      := ./...
RECOVER_ARGS  ?=
BENCH_COUNT   ?= 3
GOTESTSUM      = gotestsum --format pkgname-and-test-fails --format-hide-empty-pkg

## help: list the targets (the default)
.PHONY: help
help:
	@echo "usage: make <target> [STACK=staging|homelab]"
	@sed -n 's/^## \([a-z0-9]*\): /  \1\t/p' $(MAKEFILE_LIST) | expand -t 14

## rehearse: run the stack's whole life with Pulumi's real engine and simulated providers; no hardware needed
.PHONY: rehearse
rehearse: bin/pulumi
	@go run ./tests/rehearsal/rehearse --stack $(STACK)

## test: run every test; end-to-end cases skip with the reason where their parts are missing
.PHONY: test
test: bin/pulumi bin/gotestsum
	@mkdir -p .cache && rm -f .cache/test-*.json
	@status=0; \
	REHEARSAL_REQUIRE=1 $(GOTESTSUM) --jsonfile .cache/test-lab.json -- -count=1 -timeout 15m $(PACKAGES) || status=1; \
	cd tools/recover && $(GOTESTSUM) --jsonfile $(CURDIR)/.cache/test-recover.json -- -count=1 ./... || status=1; \
	exit $$status

## lint: check format, vet and the linters of .golangci.yml
.PHONY: lint
lint: bin/golangci-lint
	@golangci-lint fmt --diff
	@golangci-lint run --allow-parallel-runners $(PACKAGES)
	@cd tools/recover && golangci-lint run --allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...

## fmt: format all Go files
.PHONY: fmt
fmt: bin/golangci-lint
	@golangci-lint fmt

## preview: show what `make up` would change on STACK
.PHONY: preview
preview:
	@tools/require-pulumi
	@pulumi preview --stack $(STACK) --diff

## up: converge STACK; Pulumi shows the changes and asks first
.PHONY: up
up:
	@tools/require-pulumi
	@pulumi up --stack $(STACK)

## recover: repair Helm releases of STACK that a killed update left pending
.PHONY: recover
recover:
	@tools/require-pulumi
	@go run -C tools/recover . --stack $(STACK) $(RECOVER_ARGS)

## e2e: run the end-to-end suite; E2E_REQUIRE=1 turns every skip into a failure
.PHONY: e2e
e2e:
	@go test ./tests/e2e/... -count=1 -timeout 60m -v

## bench: measure cold build, preview and up in the rehearsal; prints the machine and medians
.PHONY: bench
bench: bin/pulumi
	@go run ./tests/rehearsal/bench --count $(BENCH_COUNT)

## tools: build the pinned tools into bin/ where they are missing
.PHONY: tools
tools: bin/pulumi bin/golangci-lint bin/gotestsum

## clean: remove built tools
.PHONY: clean
clean:
	@rm -rf $(BIN)

# A CLI on PATH is linked rather than built anew, which takes minutes.
bin/pulumi: tools/pulumi/go.mod
	@tools/install-pulumi $(PULUMI_VERSION) $(BIN)

bin/golangci-lint: tools/go.mod
	@echo "building $(@F) (once, some minutes)"
	@go build -C tools -trimpath -ldflags "-s -w" -o $(BIN)/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/gotestsum: tools/go.mod
	@go build -C tools -trimpath -ldflags "-s -w" -o $(BIN)/ gotest.tools/gotestsum
