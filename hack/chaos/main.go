// Command chaos breaks labs on Kubernetes, each fault for real, and proves that the next
// up heals them: smoke is green, the plan is empty, nothing is there twice, and no alert
// that the brokers acknowledged to a producer outside is lost. It writes what it saw as
// a table.
//
//	go run ./hack/rig env -- go run ./hack/chaos -out docs/verification.md
//	go run ./hack/chaos -faults broker-killed,host-reboot -seed 7
//	go run ./hack/chaos -every -faults kill-at-steps
//	go run ./hack/chaos -- --provider k3d --profile ci
//
// What follows -- are the flags of up that make the lab, so that provider, deployer and
// profile are whatever the program knows. It needs a Docker engine, and what such a lab
// needs: docs/kubernetes.md. It makes one lab at a time, named by -lab, with a state
// directory of its own, and deletes it at the end, also on Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	docker "github.com/docker/docker/client"

	"github.com/alertlab/alertlab/hack/benchdoc"
	"github.com/alertlab/alertlab/hack/ending"
)

func main() { os.Exit(ending.Main(run)) }

// byDefault are the flags of up where none are given: a lab of the smallest profile,
// whose visits leave room in its topics for what a producer outside publishes.
var byDefault = []string{"--provider", "k3d", "--profile", "ci", "--set", "simulator.alerts=10"}

// section is the part of the document that is written.
const section = "chaos-kubernetes"

func run(ctx context.Context) (err error) {
	table := faults()
	var names []string
	for _, f := range table {
		names = append(names, f.name)
	}
	only := flag.String("faults", strings.Join(names, ","), "which, in the order in which they are run")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of what is left to chance")
	every := flag.Bool("every", false, "cut up short at every step and moment, not at some")
	out := flag.String("out", "", "file whose section is written (default: standard output)")
	name := flag.String("lab", "chaos", "name of the lab")
	flag.Parse()
	var chosen []fault
	for _, n := range strings.Split(*only, ",") {
		i := slices.IndexFunc(table, func(f fault) bool { return f.name == n })
		if i < 0 {
			return fmt.Errorf("-faults %q: there are %s", n, strings.Join(names, ", "))
		}
		chosen = append(chosen, table[i])
	}
	up := flag.Args()
	if len(up) == 0 {
		up = byDefault
	}
	engine, err := docker.NewClientWithOpts(docker.FromEnv, docker.WithAPIVersionNegotiation())
	if err != nil {
		return err
	}
	defer engine.Close()
	if _, err := engine.Ping(ctx); err != nil {
		return fmt.Errorf("%w; on the offline rig: go run ./hack/rig env -- go run ./hack/chaos", err)
	}
	work, err := os.MkdirTemp("", "alertlab-chaos-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	binary := filepath.Join(work, "alertlab")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "github.com/alertlab/alertlab/hack/chaos/deadly")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // pods run it
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, text)
	}
	r := &report{seed: *seed, up: up}
	l := &lab{binary: binary, name: *name, work: work, up: up, engine: engine, say: os.Stderr, every: *every,
		random: rand.New(rand.NewPCG(*seed, 0))}
	defer func() { err = errors.Join(err, l.purge(context.WithoutCancel(ctx))) }()
	l.note("seed %d", *seed)
	for _, f := range chosen {
		if ctx.Err() != nil {
			break
		}
		r.rows = append(r.rows, l.meet(ctx, f))
	}
	if *out == "" {
		_, err = fmt.Print(r.markdown(""))
		return errors.Join(err, r.failed())
	}
	before, err := benchdoc.Get(*out, section)
	if err == nil {
		err = benchdoc.Put(*out, section, r.markdown(before))
	}
	return errors.Join(err, r.failed())
}
