package cmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/render"
)

func (a *app) status() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what runs, since when, and how it fares",
		Long: `status looks at every part of the running lab and prints whether it is present,
absent or unknown, with what it does at the moment: alerts published and archived,
dead letters, the last visit and the next one, the last trouble. The exit code is 3
if there is no lab or it does not run.`,
		Example: `  alertlab status
  alertlab status -o json | jq '.parts[] | select(.state != "present")'`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(c, "table", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		_, client, err := a.needRunning(c.Context())
		if err != nil {
			return err
		}
		st, err := client.Status(c.Context())
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(st)
		}
		return a.printStatus(st)
	}
	return c
}

func (a *app) printStatus(st runner.Status) error {
	word := "ready"
	switch {
	case st.Walking:
		word = "being changed"
	case !st.Ready:
		word = "not ready: its last bring-up failed"
	}
	fmt.Fprintf(a.out, "lab %s is %s: profile %s, provider %s, up since %s (%s), process %d\n\n", st.Lab, word, st.Profile, st.Provider,
		st.Started.Local().Format("2006-01-02 15:04:05"), time.Since(st.Started).Round(time.Second), st.PID)
	if len(st.Overrides) > 0 {
		fmt.Fprintf(a.out, "of the profile the environment changed: %s\n\n", strings.Join(st.Overrides, " "))
	}
	if len(st.Overlay) > 0 {
		fmt.Fprintln(a.out, "changed on the lab:")
		for _, e := range st.Overlay {
			fmt.Fprintln(a.out, "  "+e.Text)
		}
		fmt.Fprintln(a.out)
	}
	table := render.NewTable(a.out, "COMPONENT", "STATE", "SEEN")
	for _, p := range st.Parts {
		var facts []string
		for _, f := range p.Facts {
			facts = append(facts, f.Name+": "+f.Value)
		}
		seen := p.Seen
		if len(facts) > 0 {
			seen = strings.Join(facts, "; ")
		}
		table.Row(p.Key, p.State, seen)
	}
	return table.Flush()
}
