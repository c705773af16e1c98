package cmd

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/profiles"
)

func (a *app) env() *cobra.Command {
	var user string
	c := &cobra.Command{
		Use:   "env",
		Short: "Print addresses and credentials as export lines, for eval",
		Long: `env prints what a client of the lab needs, as export lines for a shell: Kafka's
bootstrap address, login and password, the schema registry and the alert database.
For the superuser, which is the default, the registry that takes writes and the
object store come with it; a user named by --user gets what the real system gives
to a reader. Where the alert database asks for a token, the superuser gets the lab's,
and another user the one of its own name, if "alertlab token add" made it. It reads
what the last up wrote, so that a lab which is stopped answers too.`,
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
			{"ALERTDB_TOKEN", tokenOf(card, creds, name)},
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

// tokenOf gives the secret of a user's token for the alert database: the lab's own
// for the superuser, for others the one of their name; "" when there is none, or none
// is asked for.
func tokenOf(card endpoints.Endpoints, creds endpoints.Credentials, user string) string {
	if user == card.Superuser() {
		return card.AlertDB.Secret(creds, time.Now())
	}
	// A user who is called like one of the lab's own tokens was not given it.
	if card.AlertDB.Scope == "" || user == profiles.LabToken || user == profiles.ScopelessToken {
		return ""
	}
	return creds.Tokens[user]
}
