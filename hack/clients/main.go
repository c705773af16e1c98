package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/alertlab/alertlab/hack/ending"
	"github.com/alertlab/alertlab/lab/fault"
)

// programLimit bounds one client's checks, each of which has deadlines of its own.
const programLimit = 5 * time.Minute

func main() {
	os.Exit(ending.Main(func(ctx context.Context) error {
		o, err := options(os.Args[1:], os.Stderr)
		if err != nil {
			return err
		}
		return run(ctx, o)
	}))
}

// choices are the flags.
type choices struct {
	chosen []selection
	output string // table or json
	keep   bool
}

func options(words []string, out io.Writer) (choices, error) {
	const help = "go run ./hack/clients --help"
	var o choices
	flags := flag.NewFlagSet("clients", flag.ContinueOnError)
	flags.SetOutput(out)
	only := flags.String("only", "", "clients to run, or `CLIENT/CHECK`, with commas between (default: all)")
	flags.StringVar(&o.output, "output", "table", "table or json")
	flags.BoolVar(&o.keep, "keep", false, "leave the lab running, and its folder")
	if err := flags.Parse(words); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, fault.Wrap(fault.BadInput, "the command line cannot be read", err, help)
	}
	if flags.NArg() > 0 {
		return o, fault.New(fault.BadInput, fmt.Sprintf("%q is not understood", flags.Arg(0)), "there are flags only", help)
	}
	if o.output != "table" && o.output != "json" {
		return o, fault.New(fault.BadInput, fmt.Sprintf("there is no output %q", o.output), "there are table and json", help)
	}
	var err error
	o.chosen, err = choose(clients, *only)
	return o, err
}

func run(ctx context.Context, o choices) (err error) {
	began := time.Now()
	root, err := projectRoot(ctx)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	work, err := os.MkdirTemp("", "alertlab-clients-")
	if err != nil {
		return err
	}
	if !o.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	}

	t := &tools{say: say, source: filepath.Join(root, "hack", "clients")}
	binary := filepath.Join(work, "alertlab")
	release, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := t.debian(ctx, o.chosen); err != nil {
		return err
	}
	jobs, jobsCtx := errgroup.WithContext(ctx)
	jobs.Go(func() error {
		build := exec.CommandContext(jobsCtx, "go", "build", "-trimpath", "-o", binary, ".")
		build.Dir = root
		if text, err := build.CombinedOutput(); err != nil {
			return fault.New(fault.StepFailed, "the binary could not be built", fmt.Sprintf("%v\n%s", err, text), "make build")
		}
		return nil
	})
	jobs.Go(func() error { return t.languages(jobsCtx, o.chosen) })
	if err := jobs.Wait(); err != nil {
		return err
	}
	// Another run may install now; it takes nothing away that is in use as long as
	// both are of the same versions.
	release()
	say("the binary and every client are there")

	var reports []report
	for _, tls := range []bool{false, true} {
		those := slices.DeleteFunc(slices.Clone(o.chosen), func(s selection) bool { return s.client.tls != tls })
		if len(those) == 0 {
			continue
		}
		met, err := meetAll(ctx, t, newLab(binary, filepath.Join(work, map[bool]string{false: "plain", true: "tls"}[tls])), those, tls, o.keep)
		reports = append(reports, met...)
		if err != nil {
			return err
		}
	}
	if o.output == "json" {
		err = writeJSON(os.Stdout, reports)
	} else {
		err = writeTable(os.Stdout, reports)
	}
	if err != nil {
		return err
	}
	var failed []string
	checks := 0
	for _, r := range reports {
		checks += len(r.Checks)
		for _, c := range r.Checks {
			if c.Outcome == failedOutcome {
				failed = append(failed, r.Client+"/"+c.Name)
			}
		}
	}
	if len(failed) > 0 {
		return fault.New(fault.StepFailed, fmt.Sprintf("%d of %d checks failed", len(failed), checks), strings.Join(failed, ", "),
			"go run ./hack/clients --keep --only "+strings.Join(failed, ","))
	}
	return nil
}

// meetAll brings a lab up, has each program meet it, and takes the lab away.
func meetAll(ctx context.Context, t *tools, l *lab, chosen []selection, tls, keep bool) (reports []report, err error) {
	kind := "the lab"
	if tls {
		kind = "the lab with TLS"
	}
	if err := os.Mkdir(l.work, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if keep {
			t.say("%s goes on: export ALERTLAB_STATE_DIR=%s; %s status", kind, l.state, l.binary)
			return
		}
		if purgeErr := l.purge(context.WithoutCancel(ctx)); purgeErr != nil {
			err = errors.Join(err, purgeErr)
			return
		}
		t.say("nothing of %s is left", kind)
	}()
	if err := l.up(ctx, tls); err != nil {
		return nil, err
	}
	t.say("%s is up", kind)
	for _, s := range chosen {
		r := l.meet(ctx, t, s)
		if ctx.Err() != nil {
			return reports, ctx.Err()
		}
		reports = append(reports, r)
		t.say("%s: %s", s.client.name, r.count())
	}
	return reports, nil
}

// projectRoot is the folder of go.mod.
func projectRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	path := strings.TrimSpace(string(out))
	if err != nil || path == "" || path == os.DevNull {
		return "", fault.New(fault.BadInput, "the project is not found", "this is not within a checkout of alertlab", "cd alertlab && make test-clients")
	}
	return filepath.Dir(path), nil
}
