package cmd

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render"
	"github.com/alertlab/alertlab/render/style"
	"github.com/alertlab/alertlab/smoke"
)

func (a *app) smoke() *cobra.Command {
	var (
		o     smoke.Options
		junit string
		list  bool
	)
	c := &cobra.Command{
		Use:   "smoke",
		Short: "Check that the lab does what it promises",
		Long: `smoke runs checks against the running lab, each a sentence, with ordinary
clients and nothing but the connection card. On a lab that has just come up it
waits for the second visit. It exits with 4 when a check fails.`,
		Example: `  alertlab smoke
  alertlab smoke --only brokers-answer,registry-read-only
  alertlab smoke --junit report.xml -o json > report.json`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringSliceVar(&o.Only, "only", nil, "names of the checks to run (default: all)")
	f.StringSliceVar(&o.Skip, "skip", nil, "names of checks to leave out")
	f.DurationVar(&o.Timeout, "timeout", smoke.DefaultTimeout, "time for one check, without what it waits for the lab to do")
	f.Uint64Var(&o.Seed, "seed", 0, "repeat the random choices of an earlier run (default: new ones)")
	f.StringVar(&junit, "junit", "", "also write the report to this file as JUnit XML")
	f.BoolVar(&list, "list", false, "list the checks and run none")
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
		if list {
			table := render.NewTable(a.out, "CHECK", "SENTENCE")
			for _, check := range smoke.All() {
				table.Row(check.Name, check.Sentence)
			}
			return table.Flush()
		}
		if o.Timeout <= 0 {
			return fault.New(fault.BadInput, fmt.Sprintf("a check cannot run for %s", o.Timeout), "--timeout is the time for one check", "alertlab smoke --timeout 30s")
		}
		if _, _, err := a.needRunning(c.Context()); err != nil {
			return err
		}
		var err error
		var report *os.File
		if junit != "" { // before the checks, so that no result is lost to a wrong path
			if report, err = os.Create(junit); err != nil {
				return fault.Wrap(fault.BadInput, "the JUnit report cannot be written", err, "alertlab smoke --junit FILE")
			}
			defer report.Close()
		}
		if o.Endpoints, o.Credentials, err = a.card(); err != nil {
			return err
		}
		o.Waiting = func(check, what string) { fmt.Fprintf(a.err, "  %s: %s\n", check, what) }
		result, err := smoke.Run(c.Context(), o)
		if err != nil {
			return err
		}
		if c.Context().Err() != nil {
			return c.Context().Err()
		}
		if report != nil {
			if err := errors.Join(result.JUnit(report), report.Close()); err != nil {
				return err
			}
		}
		if *output == "json" {
			err = result.JSON(a.out)
		} else {
			err = result.Table(a.out, smoke.TableOptions{Color: style.Colour(a.out, a.getenv)})
		}
		if err != nil {
			return err
		}
		if result.OK() {
			return nil
		}
		return fault.New(fault.SmokeFailed, fmt.Sprintf("%d of %d checks failed", result.Count(smoke.Failed), len(result.Results)),
			fmt.Sprintf("after %s, seed %d", result.Duration.Round(time.Millisecond), result.Seed), "alertlab status   # and alertlab logs COMPONENT")
	}
	return c
}
