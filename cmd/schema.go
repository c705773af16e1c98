package cmd

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/alertlab/alertlab/alerts/drafts"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/content/schemas"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render"
)

func (a *app) schema() *cobra.Command {
	c := &cobra.Command{
		Use:   "schema",
		Short: "List, show, compare, synchronise and draft alert schemas",
		Long: `schema looks at what a schema registry holds, registers the published alert schema
versions in one, and takes a version that is not released into a lab.`,
		Example: `  alertlab schema list
  alertlab schema show 11.0
  alertlab schema diff 10.0 11.0
  alertlab schema sync https://registry.example.org
  alertlab schema add python/lsst/alert/packet/schema/12/0`,
	}
	c.AddCommand(a.schemaList(), a.schemaSubjects(), a.schemaShow(), a.schemaDiff(), a.schemaSync(), a.schemaAdd(), a.schemaRemove())
	return c
}

const (
	// registryAuth is where the credentials of a registry come from, USER:PASSWORD,
	// as Confluent's own tools call it.
	registryAuth  = "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO"
	registryToken = "SCHEMA_REGISTRY_TOKEN"
	// registryHelp says how a registry that is not the lab's is reached.
	registryHelp = `Another registry than the lab's is reached with what is in the environment:
` + registryAuth + ` (USER:PASSWORD) or ` + registryToken + ` (a
bearer token), and with --ca for an authority that the system does not know.`
)

// registryFlags are how verbs find a registry.
type registryFlags struct{ url, ca string }

func (f *registryFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.url, "url", "", "address of a schema registry (default: the lab's)")
	f.addCA(c)
}

func (f *registryFlags) addCA(c *cobra.Command) {
	c.Flags().StringVar(&f.ca, "ca", "", "PEM file of the authority that signed the registry's certificate")
}

// registryClient gives a client of the registry that the flags name, and its
// address; without any the lab's, at the address that takes writes if they are wanted.
func (a *app) registryClient(ctx context.Context, f registryFlags, writes bool) (*registry.Client, string, error) {
	if f.url == "" {
		if _, _, err := a.needRunning(ctx); err != nil {
			return nil, "", err
		}
		card, _, err := a.card()
		if err != nil {
			return nil, "", err
		}
		address := card.Registry.URL
		if writes {
			address = card.Registry.AdminURL
		}
		client, err := registry.NewClient(address)
		return client, address, err
	}
	bad := func(why string) (*registry.Client, string, error) {
		return nil, "", fault.New(fault.BadInput, "this is no way to a schema registry", why, "alertlab schema list --url https://HOST:PORT")
	}
	u, err := url.Parse(f.url)
	switch {
	case err != nil:
		return bad("the address cannot be read") // what it says may hold a password
	case u.User != nil:
		return bad("credentials do not belong in an address, where others see them: they come from " + registryAuth)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return bad(fmt.Sprintf("%q does not begin with http:// or https:// and a host", f.url))
	}
	var opts []sr.ClientOpt
	if info := a.getenv(registryAuth); info != "" {
		user, password, ok := strings.Cut(info, ":")
		if !ok {
			return bad(registryAuth + " is not of the form USER:PASSWORD")
		}
		opts = append(opts, sr.BasicAuth(user, password))
	} else if token := a.getenv(registryToken); token != "" {
		opts = append(opts, sr.BearerToken(token))
	}
	if f.ca != "" {
		var config *tls.Config
		if config, err = kafka.TLS(f.ca, "", ""); err != nil {
			return bad(err.Error())
		}
		opts = append(opts, sr.DialTLSConfig(config))
	}
	address := strings.TrimSuffix(f.url, "/")
	client, err := registry.NewClient(address, opts...)
	return client, address, err
}

// unanswered says that a registry could not be asked.
func unanswered(address string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var answer *sr.ResponseError
	if errors.As(err, &answer) && (answer.StatusCode == 401 || answer.StatusCode == 403) {
		return fault.Wrap(fault.StepFailed, "the schema registry at "+address+" refuses", err, "export "+registryAuth+"=USER:PASSWORD, or name the address that takes writes")
	}
	return fault.Wrap(fault.StepFailed, "the schema registry at "+address+" does not do it", err, "alertlab status   # or check the address")
}

// registered is one place of a schema.
type registered struct {
	ID      int    `json:"id"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
	Name    string `json:"name"` // of the record
}

func (a *app) schemaList() *cobra.Command {
	var from registryFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "List what a schema registry holds",
		Long:  "list shows every version of every subject, by id.\n\n" + registryHelp,
		Example: `  alertlab schema list
  alertlab schema list --url https://registry.example.org -o json`,
		Args: cobra.NoArgs,
	}
	from.add(c)
	output := outputFlag(c, "table", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		client, address, err := a.registryClient(c.Context(), from, false)
		if err != nil {
			return err
		}
		held, err := registry.List(c.Context(), client.API())
		if err != nil {
			return unanswered(address, err)
		}
		lines := []registered{}
		for _, s := range held {
			lines = append(lines, registered{ID: s.ID, Subject: s.Subject, Version: s.Version, Name: registry.RecordName(s.Schema.Schema)})
		}
		slices.SortFunc(lines, func(x, y registered) int {
			if x.ID != y.ID {
				return x.ID - y.ID
			}
			if n := strings.Compare(x.Subject, y.Subject); n != 0 {
				return n
			}
			return x.Version - y.Version
		})
		if *output == "json" {
			return a.printJSON(lines)
		}
		table := render.NewTable(a.out, "ID", "SUBJECT", "VERSION", "NAME")
		for _, l := range lines {
			table.Row(l.ID, l.Subject, l.Version, l.Name)
		}
		return table.Flush()
	}
	return c
}

func (a *app) schemaShow() *cobra.Command {
	var from registryFlags
	c := &cobra.Command{
		Use:   "show VERSION|ID",
		Short: "Show a schema that a registry holds",
		Long: `show prints a schema, found by an alert schema version such as 11.0 or by its id
such as 1100: as JSON, with -o text exactly as the registry has it, or with -o fields
every record's fields, one a line.

` + registryHelp,
		Example: `  alertlab schema show 11.0
  alertlab schema show 1100 -o fields`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: completeFirst(a.completeKnown),
	}
	from.add(c)
	output := outputFlag(c, "json", "fields", "text")
	c.RunE = func(c *cobra.Command, args []string) error {
		id, err := schemaID(args[0])
		if err != nil {
			return err
		}
		client, address, err := a.registryClient(c.Context(), from, false)
		if err != nil {
			return err
		}
		text, err := a.schemaText(c.Context(), client, address, id)
		if err != nil {
			return err
		}
		switch *output {
		case "text":
			_, err = fmt.Fprintln(a.out, text)
			return err
		case "fields":
			s, err := packet.ParseSchema(text)
			if err != nil {
				return err
			}
			fields, err := drafts.Fields(s)
			if err != nil {
				return err
			}
			table := render.NewTable(a.out, "RECORD", "FIELD", "TYPE")
			for _, f := range fields {
				table.Row(f.Record, f.Field, f.Type)
			}
			return table.Flush()
		}
		return a.printJSON(json.RawMessage(text))
	}
	return c
}

// completeKnown completes a version that the lab knows, published or not.
func (a *app) completeKnown(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return append(schemas.Versions(), a.draftVersions()...), cobra.ShellCompDirectiveNoFileComp
}

// completeFirst completes the first argument only.
func completeFirst(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(c, args, begun)
	}
}

func (a *app) schemaSync() *cobra.Command {
	var from registryFlags
	var subject string
	c := &cobra.Command{
		Use:   "sync [URL]",
		Short: "Register the published alert schema versions that a registry lacks",
		Long: `sync makes a registry hold every published alert schema version under its id, major
times 100 plus minor, in the subject of all versions and in that of each version's
topic. It works with any registry that speaks the Confluent API; without a URL it is
the lab's own, which then gets the lab's drafts too.

Only what is missing is posted, and nothing is deleted: the registry can be read all
the while, and sync can be repeated at any time. An id or a place that other content
holds is refused before anything is changed. Subjects end in mode READWRITE, also
when sync fails or is interrupted, or when an earlier one was killed.

` + registryHelp,
		Example: `  alertlab schema sync
  alertlab schema sync https://registry.example.org`,
		Args: cobra.MaximumNArgs(1),
	}
	from.addCA(c)
	c.Flags().StringVar(&subject, "subject", "", `subject of all versions (default: the lab's, else "alert-packet")`)
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		wanted, err := schemas.Published()
		if err != nil {
			return err
		}
		if len(args) == 1 {
			if from.url = args[0]; from.url == "" {
				return fault.New(fault.BadInput, "the address is empty", "without any it is the lab's registry", "alertlab schema sync")
			}
		} else {
			card, _, err := a.card()
			if err != nil {
				return err
			}
			subject = first(subject, card.Registry.Subject)
			more, err := a.unreleased()
			if err != nil {
				return err
			}
			wanted = append(wanted, more...)
		}
		client, address, err := a.registryClient(c.Context(), from, true)
		if err != nil {
			return err
		}
		entries := schemas.Entries(first(subject, "alert-packet"), wanted...)
		report, err := registry.Sync(c.Context(), client.API(), entries)
		var settled []string
		if c.Context().Err() == nil {
			var unsettled error
			settled, unsettled = registry.Settle(c.Context(), client.API(), entries)
			if err == nil {
				err = unsettled
			}
		}
		if err != nil && c.Context().Err() != nil {
			return errors.Join(c.Context().Err(), err)
		}
		var conflict *registry.ConflictError
		if errors.As(err, &conflict) {
			return fault.Wrap(fault.StepFailed, "the registry at "+address+" holds other content", err,
				"if it should not be there, delete it, softly and then permanently; then repeat this command")
		}
		if err != nil {
			return unanswered(address, err)
		}
		if *output == "json" {
			return a.printJSON(struct {
				URL      string   `json:"url"`
				Versions int      `json:"versions"`
				Present  int      `json:"present"`
				Added    int      `json:"added"`
				Settled  []string `json:"settled"`
			}{address, len(wanted), report.Present, report.Added, append([]string{}, settled...)})
		}
		text := fmt.Sprintf("%s holds %d schema versions: %d entries were there, %d were added", address, len(wanted), report.Present, report.Added)
		if len(settled) > 0 {
			text += "; " + strings.Join(settled, ", ") + " had been left in mode IMPORT"
		}
		_, err = fmt.Fprintln(a.out, text)
		return err
	}
	return c
}
