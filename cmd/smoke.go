package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/render/style"
	"github.com/alertlab/alertlab/smoke"
)

func (a *app) smoke() *cobra.Command {
	var (
		o         smoke.Options
		junit     string
		list      bool
		history   bool
		repeat    int
		keepGoing bool
	)
	c := &cobra.Command{
		Use:   "smoke",
		Short: "Check that the lab does what it promises",
		Long: `smoke runs checks against the running lab, each a sentence, with ordinary
clients and nothing but the connection card. On a lab that has just come up it
waits for the second visit. It exits with 4 when a check fails.

Disruptive checks kill and restart brokers; they run with --disruptive only, after
all others, and leave the lab whole. A check that needs what the lab does not have
is skipped, with the reason.

--repeat runs the checks again and again, and stops after the first run in which
one fails; with --keep-going it makes all runs.`,
		Example: `  alertlab smoke
  alertlab smoke --only brokers-answer,registry-read-only
  alertlab smoke --disruptive --repeat 10
  alertlab smoke --history
  alertlab smoke --junit report.xml -o json > report.json`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringSliceVar(&o.Only, "only", nil, "names of the checks to run (default: all)")
	f.StringSliceVar(&o.Skip, "skip", nil, "names of checks to leave out")
	f.BoolVar(&o.Disruptive, "disruptive", false, "also run the checks that kill and restart brokers")
	f.DurationVar(&o.Timeout, "timeout", smoke.DefaultTimeout, "time for one check, without what it waits for the lab to do")
	f.IntVar(&repeat, "repeat", 1, "run the checks this many times, until one fails")
	f.BoolVar(&keepGoing, "keep-going", false, "with --repeat: go on after a failure")
	f.Uint64Var(&o.Seed, "seed", 0, "repeat the random choices of an earlier run (default: new ones)")
	f.StringVar(&junit, "junit", "", "also write the report to this file as JUnit XML")
	f.BoolVar(&list, "list", false, "list the checks and run none")
	f.BoolVar(&history, "history", false, "list the last runs that the lab remembers and run none")
	names := cobra.CompletionFunc(func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, check := range smoke.All() {
			out = append(out, check.Name+"\t"+check.Sentence)
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	})
	must(c.RegisterFlagCompletionFunc("only", names))
	must(c.RegisterFlagCompletionFunc("skip", names))
	output := outputFlag(c, "table", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		look := smoke.TableOptions{Color: style.Colour(a.out, a.getenv), Width: style.Width(a.out)}
		switch {
		case list && *output == "json":
			return smoke.ListJSON(a.out, smoke.All())
		case list:
			return smoke.List(a.out, smoke.All(), look)
		case history:
			dir, err := a.needLab()
			if err != nil {
				return err
			}
			runs, err := smokeHistory(c.Context(), dir)
			if err != nil {
				return err
			}
			return a.printSmokeHistory(runs, *output)
		case o.Timeout <= 0:
			return fault.New(fault.BadInput, fmt.Sprintf("a check cannot run for %s", o.Timeout), "--timeout is the time for one check", "alertlab smoke --timeout 30s")
		case repeat < 1:
			return fault.New(fault.BadInput, fmt.Sprintf("checks cannot run %d times", repeat), "--repeat is 1 at least", "alertlab smoke --repeat 10")
		}
		for name, chosen := range map[string][]string{"only": o.Only, "skip": o.Skip} {
			if f.Changed(name) && len(chosen) == 0 {
				return fault.New(fault.BadInput, "no check is named", "--"+name+" is empty", "alertlab smoke --list")
			}
		}
		if err := smoke.Known(o.Only, o.Skip); err != nil {
			return err
		}
		dir, client, err := a.needRunning(c.Context())
		if err != nil {
			return err
		}
		var report *os.File
		if junit != "" { // before the checks, so that no result is lost to a wrong path
			if report, err = os.Create(junit); err != nil {
				return fault.Wrap(fault.BadInput, "the JUnit report cannot be written", err, "alertlab smoke --junit FILE")
			}
			defer report.Close()
		}
		if err := a.smokeOptions(c.Context(), client, &o); err != nil {
			return err
		}
		o.Waiting = func(check, what string) { fmt.Fprintf(a.err, "  %s: %s\n", check, what) }
		var shown error
		run := 0
		series, err := smoke.Repeat(c.Context(), o, repeat, keepGoing, func(r smoke.Report) {
			run++
			if c.Context().Err() == nil { // half a run is not remembered
				shown = errors.Join(shown, keepSmoke(dir, r))
			}
			if *output == "json" {
				return
			}
			if repeat > 1 {
				fmt.Fprintf(a.out, "run %d of %d, seed %d\n", run, repeat, r.Seed)
			}
			shown = errors.Join(shown, r.Table(a.out, look))
		})
		if err = errors.Join(err, shown); err != nil {
			return err
		}
		return a.smokeReport(series, report, *output)
	}
	return c
}

// smokeOptions are the card, the secrets and the control of the running lab.
func (a *app) smokeOptions(ctx context.Context, client *runner.Client, o *smoke.Options) (err error) {
	if o.Endpoints, o.Credentials, err = a.card(); err != nil {
		return err
	}
	o.Endpoints.Handles.Brokers, err = client.BrokerControl(ctx)
	return err
}

// smokeReport writes what is left to write when all runs are over, and says whether a
// check failed.
func (a *app) smokeReport(series smoke.Series, junit *os.File, output string) error {
	last := series.Runs[len(series.Runs)-1]
	// A single run is reported as itself.
	single := series.Wanted == 1
	if junit != nil {
		write := series.JUnit
		if single {
			write = last.JUnit
		}
		if err := errors.Join(write(junit), junit.Close()); err != nil {
			return err
		}
	}
	var err error
	switch {
	case output == "json" && single:
		err = last.JSON(a.out)
	case output == "json":
		err = series.JSON(a.out)
	case !single:
		_, err = fmt.Fprintln(a.out, series.Sentence())
	}
	if err != nil {
		return err
	}
	const next = "alertlab status   # and alertlab logs COMPONENT"
	switch {
	case series.OK():
		return nil
	case single:
		return fault.New(fault.SmokeFailed, fmt.Sprintf("%d of %d checks failed", last.Count(smoke.Failed), len(last.Results)),
			fmt.Sprintf("after %s, seed %d", last.Duration.Round(time.Millisecond), last.Seed), next)
	}
	for i, r := range series.Runs {
		if !r.OK() {
			return fault.New(fault.SmokeFailed, series.Sentence(), fmt.Sprintf("the first was run %d, seed %d: %d of %d checks failed", i+1, r.Seed, r.Count(smoke.Failed), len(r.Results)), next)
		}
	}
	return nil
}
