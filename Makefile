# Everything here works on a machine with Go, make and git; the race detector is
# used where there is a C compiler.

GO     ?= go
BIN    := bin/alertlab
RACE   := $(shell command -v "$$($(GO) env CC)" >/dev/null 2>&1 && echo -race)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help
.PHONY: help build image install run stop test test-clients lint check rig rig-cluster rig-down rig-bench e2e e2e-all bench bench-kubernetes chaos chaos-kubernetes fuzz clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/alertlab
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o $(BIN) .

image: build ## write the image that holds alertlab to bin/alertlab-image.tar, without an engine
	$(GO) run ./hack/image -binary $(BIN) -out bin/alertlab-image.tar

install: ## install alertlab into Go's bin directory
	CGO_ENABLED=0 $(GO) install -trimpath -ldflags "-s -w" .

run: build ## bring an embedded lab up, wait for two visits, run smoke, print the connection card
	@echo "This takes about a minute: the lab is up in a second, and its second visit comes 37 s after the first."
	$(BIN) up > /dev/null
	$(BIN) smoke
	@$(BIN) up --progress quiet
	@echo "The lab goes on in the background; make stop ends it."

stop: build ## stop the lab of make run and delete it
	$(BIN) down --purge --verify

# Without the race detector: the tests of internal/chaos, which start a hundred
# processes of the whole program, and those of the rig, which link all of Kubernetes'
# client libraries. It would multiply the cost of each.
PLAIN := /internal/chaos|/hack/rig
test: ## run the tests
	$(GO) test $(RACE) -timeout 30m $$($(GO) list ./... | grep -vE '$(PLAIN)')
	$(GO) test -timeout 30m $$($(GO) list ./... | grep -E '$(PLAIN)')
	cd hack/rig/modules/kubernetes && $(GO) test ./netd ./crictl

test-clients: ## let clients that are not ours meet a lab: see docs/clients.md
	$(GO) run ./hack/clients

lint: ## gofmt, go vet, staticcheck, a tidy go.mod
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted: $$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

check: ## what CI runs: lint, test, test-clients, rig and e2e, each with its minutes
	@for part in lint test test-clients rig e2e; do \
	  begin=$$(date +%s); $(MAKE) --no-print-directory $$part || exit 1; \
	  echo "make $$part took $$(( ($$(date +%s) - begin + 30) / 60 )) min ($$(( $$(date +%s) - begin )) s)"; \
	done

rig: ## build Kubernetes and the stack's components from package registries: see docs/rig.md
	$(GO) run ./hack/rig all

rig-cluster: ## a cluster of one server and two agents on the rig; prints its kubeconfig
	$(GO) run ./hack/rig cluster

rig-down: ## take every cluster of the rig away
	$(GO) run ./hack/rig down

e2e: ## test clusters of every maker, the stack's components, and labs on the rig
	$(GO) run ./hack/rig e2e

e2e-all: ## the same with the long tests: labs on k3d by Helm, encrypted, on a cluster that was there
	$(GO) run ./hack/rig e2e --all

bench: ## measure for a quarter of an hour, and write docs/benchmarks.md
	$(GO) run ./hack/bench -out docs/benchmarks.md

rig-bench: ## measure the rig, and write its section of docs/benchmarks.md
	$(GO) run ./hack/rig bench --out docs/benchmarks.md

# FLAGS go to the program: FLAGS='-faults node-stopped -seed 7', or -rounds 1; what
# follows -- in them to up: FLAGS='-- --provider k3d --profile ci'.
bench-kubernetes: ## measure labs on Kubernetes on the rig, and write their section of docs/benchmarks.md
	$(GO) run ./hack/rig env -- $(GO) run ./hack/bench -kubernetes -out docs/benchmarks.md $(FLAGS)

chaos-kubernetes: ## break labs on Kubernetes on the rig, each fault for real: half an hour; writes docs/verification.md
	$(GO) run ./hack/rig env -- $(GO) run ./hack/chaos -out docs/verification.md $(FLAGS)

chaos: ## kill labs a thousand times at random moments: half an hour on two cores
	ALERTLAB_CHAOS_KILLS=$${ALERTLAB_CHAOS_KILLS:-1000} $(GO) test -count=1 -v -timeout 180m -run '^TestKillAtRandomMoments$$' ./internal/chaos

.PHONY: reference man
reference: ## write docs/reference, a page for each verb, from the commands
	$(GO) run ./hack/reference

man: ## write man pages from the commands to dist/man/man1
	$(GO) run ./hack/reference -man dist/man/man1

.PHONY: pictures frames
pictures: ## draw docs/pictures from the present program: needs tmux
	$(GO) run ./hack/tape

frames: ## write the dashboard's golden frames anew
	$(GO) test ./tui/... -update

fuzz: ## fuzz everything that parses outside input, half a minute each
	@for target in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9]+' $$target/*_test.go | cut -c6-); do \
	    $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime 30s -fuzzminimizetime 20x $$target || exit 1; \
	  done; \
	done

clean: ## remove what was built
	rm -rf bin
