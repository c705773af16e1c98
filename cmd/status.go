package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/run"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/render"
)

func (a *app) status() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what runs, since when, and how it fares",
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

func (a *app) plan() *cobra.Command {
	var ch choice
	c := &cobra.Command{
		Use:   "plan",
		Short: "Show what up would do, and why, without doing it",
		Example: `  alertlab plan
  alertlab plan --profile my-profile.yaml
  alertlab plan -o json | jq '.steps[].key'`,
		Args: cobra.NoArgs,
	}
	ch.flags(c)
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir, err := a.dir()
		if err != nil {
			return err
		}
		desc, err := a.describe(dir, ch)
		if err != nil {
			return err
		}
		wanted, err := catalog.Wanted(desc)
		if err != nil {
			return err
		}
		seen, err := a.snapshot(c.Context(), dir, desc, wanted)
		if err != nil {
			return err
		}
		p, err := plan.Make(wanted, seen)
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(p)
		}
		_, err = fmt.Fprint(a.out, p)
		return err
	}
	return c
}

// snapshot asks the runner what it sees, or looks at what a lab that does not run
// has kept.
func (a *app) snapshot(ctx context.Context, dir state.Dir, desc state.Description, wanted plan.Wanted) (plan.Snapshot, error) {
	client, err := runner.Dial(ctx, dir)
	if err == nil {
		return client.Snapshot(ctx, desc)
	}
	if !errors.Is(err, runner.ErrNotRunning) {
		return nil, err
	}
	server, err := a.server(dir)
	if err != nil {
		return nil, err
	}
	lab, err := server.Open(desc)
	if err != nil {
		return nil, err
	}
	entries, err := run.ReadJournal(dir.Journal())
	if err != nil {
		return nil, err
	}
	return run.Observe(ctx, wanted, lab.Parts(), entries), nil
}

func (a *app) attach() *cobra.Command {
	c := &cobra.Command{
		Use:     "attach",
		Short:   "Follow the bring-up that goes on in the background",
		Long:    "attach shows the walk that goes on, from its beginning, or the last one.\nCtrl-C leaves; the walk goes on.",
		Example: "  alertlab attach",
		Args:    cobra.NoArgs,
	}
	progress := progressFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		_, client, err := a.needRunning(c.Context())
		if err != nil {
			return err
		}
		err = a.follow(c.Context(), *progress, func(ctx context.Context, sink event.Sink) error { return client.Attach(ctx, sink) })
		if errors.Is(err, errDetached) || errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	return c
}

func (a *app) env() *cobra.Command {
	var user string
	c := &cobra.Command{
		Use:   "env",
		Short: "Print addresses and credentials as export lines, for eval",
		Example: `  eval "$(alertlab env)"
  eval "$(alertlab env --user antares)"
  alertlab env --user lasair -o json`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&user, "user", "", "Kafka user (default: the superuser)")
	must(c.RegisterFlagCompletionFunc("user", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		dir, err := a.dir()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		card, err := dir.Endpoints()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for _, u := range card.Users {
			names = append(names, u.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}))
	output := outputFlag(c, "shell", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		card, creds, err := a.card()
		if err != nil {
			return err
		}
		if user == "" && c.Flags().Changed("user") {
			return fault.New(fault.BadInput, "no user is named", "--user is empty", "alertlab env --user NAME")
		}
		name := first(user, card.Superuser())
		// Passwords of users that the profile no longer has are kept, for the
		// day it has them again.
		var names []string
		for _, u := range card.Users {
			names = append(names, u.Name)
		}
		password, ok := creds.Kafka[name]
		if !ok || !slices.Contains(names, name) {
			return fault.New(fault.BadInput, fmt.Sprintf("lab %s has no user %q", card.Lab, name), "there are: "+strings.Join(names, ", "), "alertlab env --user NAME")
		}
		vars := [][2]string{
			{"KAFKA_BOOTSTRAP_SERVERS", card.Kafka.Bootstrap},
			{"KAFKA_SECURITY_PROTOCOL", card.Kafka.Security},
			{"KAFKA_SASL_MECHANISM", card.Kafka.Mechanism},
			{"KAFKA_USERNAME", name},
			{"KAFKA_PASSWORD", password},
			{"SSL_CA_FILE", card.Kafka.CAFile},
			{"SCHEMA_REGISTRY_URL", card.Registry.URL},
			{"ALERTDB_URL", card.AlertDB.URL},
		}
		if reader := slices.ContainsFunc(card.Users, func(u endpoints.User) bool { return u.Name == name && u.Role == endpoints.Reader }); !reader {
			// What no reader has at the real sites, none gets here: a client that
			// works with these would not work there.
			vars = append(vars, [][2]string{
				{"SCHEMA_REGISTRY_ADMIN_URL", card.Registry.AdminURL},
				{"AWS_ENDPOINT_URL", card.ObjectStore.URL},
				{"AWS_REGION", card.ObjectStore.Region},
				{"AWS_ACCESS_KEY_ID", creds.ObjectStore.AccessKey},
				{"AWS_SECRET_ACCESS_KEY", creds.ObjectStore.SecretKey},
				{"ALERT_BUCKET", card.ObjectStore.AlertBucket},
				{"SCHEMA_BUCKET", card.ObjectStore.SchemaBucket},
			}...)
		}
		if *output == "json" {
			out := map[string]string{}
			for _, v := range vars {
				if v[1] != "" {
					out[v[0]] = v[1]
				}
			}
			return a.printJSON(out)
		}
		for _, v := range vars {
			if v[1] != "" {
				fmt.Fprintf(a.out, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
			}
		}
		return nil
	}
	return c
}
