package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/render"
)

func (a *app) token() *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Add, revoke and list the tokens that open the alert database",
		Long: `token says who may fetch alerts from a lab whose profile asks for a scope
(alertDatabase.scope), as Gafaelfawr does at the real sites. A client sends its token
as "Authorization: Bearer TOKEN", or by basic authentication with the token as the
user and x-oauth-basic as the password, or the other way round. Without a token, or
with one that is unknown, revoked or expired, it gets 401, without the scope 403.

Every change is written down in the lab as wanted, on top of its profile, and then
carried out. The secrets lie in the lab's credentials, which only you can read.`,
		Example: `  alertlab token add antares
  alertlab token add visitor --lifetime 24h
  alertlab token list
  alertlab token revoke visitor`,
	}
	c.AddCommand(a.tokenAdd(), a.tokenRevoke(), a.tokenList())
	return c
}

// noScope says that a lab asks for no token.
func noScope(p *profiles.Profile) error {
	return fault.New(fault.BadInput, "the lab's alert database asks for no token", "the profile "+p.Name+" names no alertDatabase.scope",
		"alertlab profile show idfint   # one that does")
}

// tokenNames lists the tokens that were added to the lab.
func tokenNames(o profiles.Overlay) []string {
	var names []string
	for _, t := range o.Tokens {
		names = append(names, t.Name)
	}
	return names
}

func (a *app) tokenAdd() *cobra.Command {
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a token and print it, once",
		Long: `add makes a token and prints it on standard output; "alertlab env --user NAME" gives it
too, as ALERTDB_TOKEN, where a Kafka user of the lab has the same name. Without
--scope it has the scope that the profile asks for, without --lifetime it does not
expire.`,
		Example: `  alertlab token add antares
  TOKEN=$(alertlab token add visitor --lifetime 24h)
  curl -H "Authorization: Bearer $TOKEN" "$ALERTDB_URL/v1/alerts/281323062375219200"
  alertlab token add stranger --scope read:tap`,
		Args: cobra.ExactArgs(1),
	}
	scopes := c.Flags().StringArray("scope", nil, "scope that the token has (default: the one that the profile asks for); again for each")
	lifetime := c.Flags().Duration("lifetime", 0, "how long the token is of use, e.g. 24h (default: until it is revoked)")
	how := editFlags(c)
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		name := args[0]
		if c.Flags().Changed("lifetime") && *lifetime <= 0 {
			return fault.New(fault.BadInput, fmt.Sprintf("a lifetime of %s is none", *lifetime), "a token must be of use for a while", "alertlab token add "+name+" --lifetime 24h")
		}
		added := profiles.Token{Name: name, Scopes: *scopes}
		if *lifetime > 0 {
			added.Expires = time.Now().Add(*lifetime).UTC().Truncate(time.Millisecond)
		}
		err := a.edit(c, how, func(e *edit) error {
			switch scope := e.Profile.AlertDatabase.Scope; {
			case scope == "":
				return noScope(e.Profile)
			case name == profiles.LabToken || name == profiles.ScopelessToken:
				return fault.New(fault.BadInput, "the token "+name+" is the lab's own", "its clients come with it", "alertlab token add ANOTHER")
			case slices.Contains(tokenNames(*e.Overlay), name):
				return fault.New(fault.BadInput, "there is a token "+name+" already", "its secret was printed when it was made", "alertlab token revoke "+name+"   # then add it again")
			case len(added.Scopes) == 0:
				added.Scopes = []string{scope}
			}
			e.Overlay.Tokens = append(e.Overlay.Tokens, added)
			return nil
		})
		left := errors.Is(err, errDetached)
		if err != nil && !left {
			return a.said(err, "")
		}
		_, creds, err := a.card()
		if err != nil {
			return err
		}
		if left && creds.Tokens[name] == "" {
			return fault.New(fault.StepFailed, "the token "+name+" is not there yet, and will not be printed", "its making goes on in the background, and was not waited for",
				"alertlab token revoke "+name+"   # then add it again")
		}
		if *output == "json" {
			return a.printJSON(struct {
				profiles.Token
				Secret string `json:"token"`
			}{added, creds.Tokens[name]})
		}
		fmt.Fprintf(a.err, "token %s has the scopes %s%s; it is not printed again\n", name, strings.Join(added.Scopes, ", "), until(added))
		_, err = fmt.Fprintln(a.out, creds.Tokens[name])
		return err
	}
	return c
}

// until says when a token ends to be of use.
func until(t profiles.Token) string {
	if t.Expires.IsZero() {
		return ""
	}
	return " until " + t.Expires.Local().Format("2006-01-02 15:04:05 MST")
}

func (a *app) tokenRevoke() *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Take a token back: it is refused from now on",
		Long: `revoke forgets a token and its secret. One that is added again under the same name
is another one.`,
		Example: `  alertlab token revoke visitor`,
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			desc, err := a.describedLab()
			if err != nil || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return tokenNames(desc.Overlay), cobra.ShellCompDirectiveNoFileComp
		},
	}
	how := editFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		err := a.edit(c, how, func(e *edit) error {
			if !e.Overlay.Drop("token/" + args[0]) {
				why := "none was added"
				if names := tokenNames(*e.Overlay); len(names) > 0 {
					why = "there are: " + strings.Join(names, ", ")
				}
				return fault.New(fault.BadInput, fmt.Sprintf("there is no token %q to revoke", args[0]), why, "alertlab token list")
			}
			return nil
		})
		return a.said(err, "token %s is revoked", args[0])
	}
	return c
}

// tokenLine is one token in a list.
type tokenLine struct {
	profiles.Token
	Opens bool   `json:"opens"` // whether its bearer may fetch alerts now
	From  string `json:"from"`  // lab: its own; added
}

func (a *app) tokenList() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the tokens, their scopes and when they expire",
		Long: `list shows the tokens of the lab, its own and those that were added, and whether each
opens the alert database now. It prints no secret.`,
		Example: `  alertlab token list
  alertlab token list -o json | jq -r '.[] | select(.opens).name'`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(c, "table", "json")
	c.RunE = func(*cobra.Command, []string) error {
		_, applied, err := a.wantedProfile()
		if err != nil {
			return err
		}
		desc, err := a.describedLab()
		if err != nil {
			return err
		}
		scope, now := applied.AlertDatabase.Scope, time.Now()
		lines := []tokenLine{}
		for _, t := range desc.Overlay.AllTokens(applied) {
			line := tokenLine{Token: t, From: "added", Opens: scope != "" && slices.Contains(t.Scopes, scope) && (t.Expires.IsZero() || now.Before(t.Expires))}
			if !slices.Contains(tokenNames(desc.Overlay), t.Name) {
				line.From = "lab"
			}
			lines = append(lines, line)
		}
		if *output == "json" {
			return a.printJSON(lines)
		}
		if scope == "" {
			fmt.Fprintf(a.err, "the alert database asks for no token: the profile %s names no alertDatabase.scope\n", applied.Name)
		}
		table := render.NewTable(a.out, "TOKEN", "SCOPES", "EXPIRES", "OPENS", "FROM")
		for _, l := range lines {
			opens := "no"
			if l.Opens {
				opens = "yes"
			}
			table.Row(l.Name, strings.Join(l.Scopes, ", "), first(strings.TrimPrefix(until(l.Token), " until "), "never"), opens, l.From)
		}
		return table.Flush()
	}
	return c
}
