# Everything here works on a machine with Go, make and git; the race detector is
# used where there is a C compiler.

GO     ?= go
BIN    := bin/alertlab
RACE   := $(shell command -v "$$($(GO) env CC)" >/dev/null 2>&1 && echo -race)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help
.PHONY: help build install run stop test lint check bench chaos fuzz clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/alertlab
	$(GO) build -trimpath -o $(BIN) .

install: ## install alertlab into Go's bin directory
	$(GO) install -trimpath .

run: build ## bring an embedded lab up, wait for two visits, run smoke, print the connection card
	@echo "This takes about a minute: the lab is up in a second, and its second visit comes 37 s after the first."
	$(BIN) up > /dev/null
	$(BIN) smoke
	@$(BIN) up --progress quiet
	@echo "The lab goes on in the background; make stop ends it."

stop: build ## stop the lab of make run and delete it
	$(BIN) down --purge --verify

# The tests of internal/chaos start a hundred processes of the whole program: they
# run without the race detector, which would multiply the cost of each.
test: ## run the tests
	$(GO) test $(RACE) -timeout 30m $$($(GO) list ./... | grep -v /internal/chaos)
	$(GO) test -timeout 30m ./internal/chaos

lint: ## gofmt, go vet, staticcheck, a tidy go.mod
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted: $$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

check: ## what CI runs: make lint and make test, each with its minutes
	@for part in lint test; do \
	  begin=$$(date +%s); $(MAKE) --no-print-directory $$part || exit 1; \
	  echo "make $$part took $$(( ($$(date +%s) - begin + 30) / 60 )) min ($$(( $$(date +%s) - begin )) s)"; \
	done

bench: ## measure, and write docs/benchmarks.md
	$(GO) run ./hack/bench -out docs/benchmarks.md

chaos: ## kill a lab many times at random moments
	ALERTLAB_CHAOS_ROUNDS=100 $(GO) test -count=1 -timeout 60m ./internal/chaos

fuzz: ## fuzz everything that parses outside input, half a minute each
	@for target in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9]+' $$target/*_test.go | cut -c6-); do \
	    $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime 30s $$target || exit 1; \
	  done; \
	done

clean: ## remove what was built
	rm -rf bin
