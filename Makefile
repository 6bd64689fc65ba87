# bedplate: one target a job. `make` alone prints this list.
#
# Tools are pinned here and run by `go run tool@version`, so that no go.mod of
# ours ever names them and users of the library never see them.

STATICCHECK   := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ACTIONLINT    := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
BENCHSTAT     := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# Every module of the repository, the core first.
MODULES := $(sort $(dir $(shell find . -name go.mod -not -path './dist/*' -not -path '*/testdata/*')))

# Those that promise no allocations and drive whole programs and browsers.
PROGRAMS := ./examples/service/ ./memwatch/memwatchhttp/browsertest/

PKG       ?=
ARGS      ?=
SOAK      ?= 30m
FUZZTIME  ?= 20s
COUNT     ?= 10
ROUNDS    ?= 7
BENCHTIME ?= 200ms
VERSION   ?= v0.1.0
NEW       ?=

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# in_modules runs its argument in every module and stops at the first failure.
define in_modules
for dir in $(MODULES); do echo "== $$dir: $(1)"; (cd $$dir && $(1)); done
endef

.PHONY: help
help: ## print this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PKG=breaker narrows stress, fuzz, bench and bench-peers to one package."

.PHONY: demo
demo: ## run the demo service, and open the page that it prints (ARGS="-workers 3" for its flags)
	cd examples/service && go run . -load $(ARGS)

.PHONY: test
test: ## all modules, race detector, shuffled
	@$(call in_modules,go test -race -shuffle=on -timeout=8m ./...)

.PHONY: test-plain
test-plain: MODULES := $(filter-out $(PROGRAMS),$(MODULES))
test-plain: ## the libraries without the race detector: the allocation promises count here
	@$(call in_modules,go test -shuffle=on -timeout=5m ./...)

.PHONY: test-386
test-386: ## the core module on a 32-bit platform
	GOARCH=386 CGO_ENABLED=0 go vet ./...
	GOARCH=386 CGO_ENABLED=0 go test -timeout=8m ./...

.PHONY: test-jsonv2
test-jsonv2: ## jwt on the new encoding/json
	GOEXPERIMENT=jsonv2 go test ./jwt/...
	cd jwt/jwtredis && GOEXPERIMENT=jsonv2 go test ./...

.PHONY: check
check: fmt-check vet staticcheck lint workflows test-plain examples ## everything a change must pass beside `make test`

.PHONY: fmt
fmt: ## format every Go file
	gofmt -w .

.PHONY: fmt-check
fmt-check: ## fail when a Go file is not formatted or a go.mod is not tidy
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }
	@$(call in_modules,go mod tidy -diff)

.PHONY: vet
vet: ## go vet in every module
	@$(call in_modules,go vet ./...)

.PHONY: staticcheck
staticcheck: ## staticcheck in every module
	@$(call in_modules,go run $(STATICCHECK) ./...)

.PHONY: lint
lint: ## golangci-lint in every module
	@$(call in_modules,go run $(GOLANGCI_LINT) run --config $(CURDIR)/.golangci.yml ./...)

.PHONY: workflows
workflows: ## check the CI workflow files
	go run $(ACTIONLINT) -shellcheck= -pyflakes=

.PHONY: stress
stress: ## the race detector over and over, on 1, 2 and 4 processors (COUNT=10)
	go test -race -shuffle=on -count=$(COUNT) -cpu=1,2,4 -timeout=60m $(if $(PKG),./$(PKG)/...,./...)
	go test -race -count=1 ./examples/composition -calls=1000000

.PHONY: fuzz
fuzz: ## every fuzz target in turn (FUZZTIME=20s each)
	@for dir in $$(grep -rlE '^func Fuzz' --include='*_test.go' $(if $(PKG),./$(PKG),.) | grep -v /testdata/ | xargs -rn1 dirname | sort -u); do \
	  for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | sed 's/^func //'); do \
	    echo "== $$dir $$target"; (cd $$dir && go test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=1x .); \
	  done; \
	done

.PHONY: bench
bench: ## our own benchmarks, ready for benchstat
	go test -run='^$$' -bench=. -benchmem -count=$(COUNT) $(if $(PKG),./$(PKG)/...,./...) | tee bench.out
	go run $(BENCHSTAT) bench.out

.PHONY: bench-peers
bench-peers: ## ours beside the peers and the floor, with ratios (PKG=breaker ROUNDS=7)
	cd examples/bench && go run . -rounds=$(ROUNDS) -benchtime=$(BENCHTIME) $(PKG)

.PHONY: bench-table
bench-table: ## measure the table of README.md and write it (needs a quiet machine)
	cd examples/bench && go run . -rounds=$(ROUNDS) -benchtime=$(BENCHTIME) -table=$(CURDIR)/README.md

.PHONY: examples
examples: ## run every example program, those of the adapters included
	@for dir in $$(find examples -mindepth 2 -maxdepth 2 -name main.go -not -path 'examples/bench/*' -not -path 'examples/service/*' | xargs -n1 dirname | sort) \
	  $$(find . -path './*/*/example/main.go' -not -path './dist/*' | xargs -rn1 dirname | sort); do \
	  echo "== $$dir: go run ."; (cd $$dir && go run . </dev/null >/dev/null); \
	done
	@echo "== examples/service: go run . -for 3s"; cd examples/service && go run . -addr 127.0.0.1:0 -for 3s -load </dev/null >/dev/null

.PHONY: soak
soak: ## the demo service under load for SOAK=30m: flat goroutines and heap, or it fails
	cd examples/service && SOAK=$(SOAK) go test -v -count=1 -timeout=0 -run='^TestSoak' ./...

.PHONY: dist
dist: ## module zips as a GOPROXY tree in dist/, proved by a fresh module (VERSION=v0.1.0)
	cd .ci/tools && go run ./dist -root=$(CURDIR) -version=$(VERSION)

.PHONY: rename
rename: ## move the module: make rename NEW=host/owner/name
	cd .ci/tools && go run ./rename -root=$(CURDIR) -new='$(NEW)'

.PHONY: tidy
tidy: ## go mod tidy in every module
	@$(call in_modules,go mod tidy)
