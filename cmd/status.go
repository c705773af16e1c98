package cmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/render"
	"github.com/alertlab/alertlab/render/style"
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
		return a.printStatus(st, style.Width(a.out))
	}
	return c
}

// printStatus fits a terminal of so many columns, 0 for any.
func (a *app) printStatus(st runner.Status, width int) error {
	word := "ready"
	switch {
	case st.Walking:
		word = "being changed"
	case !st.Ready:
		word = "not ready: its last bring-up failed"
	}
	say := func(text string) {
		if width > 0 {
			text = ansi.Wordwrap(text, width, "")
		}
		fmt.Fprintf(a.out, "%s\n\n", text)
	}
	say(fmt.Sprintf("lab %s is %s: profile %s, provider %s, up since %s (%s), process %d", st.Lab, word, st.Profile, st.Provider,
		st.Started.Local().Format("2006-01-02 15:04:05"), time.Since(st.Started).Round(time.Second), st.PID))
	if len(st.Overrides) > 0 {
		say("of the profile the environment or --set changed: " + strings.Join(st.Overrides, " "))
	}
	if len(st.Overlay) > 0 {
		fmt.Fprintln(a.out, "changed on the lab:")
		for _, e := range st.Overlay {
			fmt.Fprintln(a.out, "  "+e.Text)
		}
		fmt.Fprintln(a.out)
	}
	table := render.NewTable(a.out, "COMPONENT", "STATE", "SEEN")
	table.Fit(width)
	for _, p := range st.Parts {
		var facts []string
		for _, f := range p.Facts {
			facts = append(facts, f.Name+": "+f.Value)
		}
		seen := p.Seen
		switch {
		case p.Amiss != "": // it comes first
			seen = strings.Join(append([]string{seen}, facts...), "; ")
		case len(facts) > 0:
			seen = strings.Join(facts, "; ")
		}
		table.Row(p.Key, p.State, seen)
	}
	return table.Flush()
}
