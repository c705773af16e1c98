package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/render"
)

func (a *app) user() *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Add, remove and change the Kafka users of a living lab",
		Long: `user changes who may read what in a lab that runs. Every change is written down
in the lab as wanted, on top of its profile, and then carried out: up keeps it until
the lab is deleted. "alertlab overlay show" lists what was changed.`,
		Example: `  alertlab user add bob --topic alerts-simulated
  alertlab user export bob -o librdkafka --file bob.conf
  alertlab user list`,
	}
	c.AddCommand(a.userAdd(), a.userRemove(), a.userGrant(), a.userRevoke(), a.userPasswd(), a.userList(), a.userExport())
	return c
}

// topicFlag adds --topic, which stands again for each.
func (a *app) topicFlag(c *cobra.Command, usage string) *[]string {
	topics := c.Flags().StringArray("topic", nil, usage)
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if len(*topics) > 0 {
			return nil
		}
		return fault.New(fault.BadInput, "no topic is named", "--topic names one, again for each", c.CommandPath()+" "+args[0]+" --topic TOPIC")
	}
	must(c.RegisterFlagCompletionFunc("topic", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		_, applied, err := a.wantedProfile()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		names := []string{"*\tevery topic"}
		for _, t := range applied.Kafka.Topics {
			names = append(names, t.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}))
	return topics
}

// completeReaders completes the first argument with the names of readers.
func (a *app) completeReaders(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	_, applied, err := a.wantedProfile()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return readerNames(applied), cobra.ShellCompDirectiveNoFileComp
}

func readerNames(p *profiles.Profile) []string {
	var names []string
	for _, r := range p.Kafka.Readers {
		names = append(names, r.Name)
	}
	return names
}

// wantedProfile gives the profile of the lab as it was last applied, without and
// with what was changed on the lab.
func (a *app) wantedProfile() (source, applied *profiles.Profile, err error) {
	desc, err := a.describedLab()
	if err != nil {
		return nil, nil, err
	}
	if source, err = profiles.Parse(desc.Profile, []byte(desc.Resolved)); err != nil {
		return nil, nil, err
	}
	applied, err = desc.Overlay.Apply(source)
	return source, applied, err
}

// reader finds a user that verbs may change, or says why there is none of a name.
func reader(p *profiles.Profile, name string) (profiles.Reader, error) {
	for _, r := range p.Kafka.Readers {
		if r.Name == name {
			return r, nil
		}
	}
	if name == p.Kafka.Superuser || slices.Contains(profiles.ServiceUsers(), name) {
		return profiles.Reader{}, fault.New(fault.BadInput, fmt.Sprintf("user %s cannot be changed", name), "a part of the lab itself logs in as it",
			"alertlab user list   # those of the role reader can be changed")
	}
	return profiles.Reader{}, fault.New(fault.BadInput, fmt.Sprintf("there is no user %q to change", name), "there are: "+strings.Join(readerNames(p), ", "),
		"alertlab user add NAME --topic TOPIC")
}

func (a *app) userAdd() *cobra.Command {
	c := &cobra.Command{
		Use:   "add NAME --topic TOPIC...",
		Short: "Add a user who may read topics and use its own consumer groups",
		Long: `add makes a Kafka user with a new password, which may read the given topics and
use the consumer groups whose names begin with its own, as the community brokers do
at the real sites. "alertlab user export" prints how to log in.`,
		Example: `  alertlab user add bob --topic alerts-simulated
  alertlab user add carol --topic '*'`,
		Args: cobra.ExactArgs(1),
	}
	topics := a.topicFlag(c, "topic that the user may read, '*' for all; again for each")
	how := editFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.said(a.edit(c, how, addUser(args[0], *topics)), "%s", userAdded(args[0], *topics))
	}
	return c
}

// addUser is the edit that adds a user.
func addUser(name string, topics []string) func(*edit) error {
	return func(e *edit) error {
		if have, err := reader(e.Profile, name); err == nil {
			if sameTopics(have.Topics, topics) {
				return nil
			}
			return fault.New(fault.BadInput, "there is a user "+name+" already", "it reads "+strings.Join(have.Topics, ", "),
				"alertlab user grant "+name+" --topic TOPIC   # or revoke, or remove")
		}
		e.Overlay.SetReader(profiles.Reader{Name: name, Topics: topics})
		creds, err := e.Dir.Credentials()
		if err == nil && creds.Kafka[name] != "" { // there was a user of this name before
			e.newPassword(name, state.NewPassword())
		}
		return err
	}
}

func userAdded(name string, topics []string) string {
	return fmt.Sprintf("user %s reads %s; alertlab user export %s prints how to log in", name, strings.Join(topics, ", "), name)
}

// said prints what an edit has come to on standard error, unless it failed.
func (a *app) said(err error, format string, args ...any) error {
	if err == nil {
		fmt.Fprintln(a.err, a.meant(fmt.Sprintf(format, args...)))
	}
	if errors.Is(err, errDetached) {
		return nil
	}
	return err
}

func sameTopics(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func (a *app) userRemove() *cobra.Command {
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a user with its password and permissions",
		Long: `remove takes a user's password and permissions away. That a user of the profile is
gone is written down in the lab; "alertlab overlay drop removed-reader/NAME" brings
it back. A connection that is open stays open, without any permission.`,
		Example: `  alertlab user remove bob`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: a.completeReaders,
	}
	how := editFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		err := a.edit(c, how, func(e *edit) error {
			if slices.Contains(e.Overlay.RemovedReaders, args[0]) {
				return nil
			}
			if _, err := reader(e.Profile, args[0]); err != nil {
				return err
			}
			e.Overlay.RemoveReader(args[0], slices.Contains(readerNames(e.Source), args[0]))
			return nil
		})
		return a.said(err, "user %s is gone", args[0])
	}
	return c
}

// userTopics makes the verbs that change what a user may read.
func (a *app) userTopics(c *cobra.Command, usage string, alter func(have, given []string) ([]string, error)) *cobra.Command {
	c.Args, c.ValidArgsFunction = cobra.ExactArgs(1), a.completeReaders
	topics := a.topicFlag(c, usage)
	how := editFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		var now []string
		err := a.edit(c, how, func(e *edit) error {
			have, err := reader(e.Profile, args[0])
			if err != nil {
				return err
			}
			if now, err = alter(have.Topics, *topics); err != nil {
				return err
			}
			if !sameTopics(now, have.Topics) {
				e.Overlay.SetReader(profiles.Reader{Name: args[0], Topics: now})
			}
			return nil
		})
		return a.said(err, "user %s reads %s", args[0], strings.Join(now, ", "))
	}
	return c
}

func (a *app) userGrant() *cobra.Command {
	return a.userTopics(&cobra.Command{
		Use:   "grant NAME --topic TOPIC...",
		Short: "Let a user read more topics",
		Long: `grant adds topics to those that a user may read; '*' is every topic. A consumer that
runs sees it with its next request.`,
		Example: `  alertlab user grant antares --topic alert-stream-test
  alertlab user grant antares --topic '*'`,
	}, "topic that the user may read, too, '*' for all; again for each", func(have, given []string) ([]string, error) {
		if slices.Contains(have, "*") || slices.Contains(given, "*") {
			return []string{"*"}, nil
		}
		now := slices.Clone(have)
		for _, t := range given {
			if !slices.Contains(now, t) {
				now = append(now, t)
			}
		}
		return now, nil
	})
}

func (a *app) userRevoke() *cobra.Command {
	return a.userTopics(&cobra.Command{
		Use:   "revoke NAME --topic TOPIC...",
		Short: "Let a user read fewer topics",
		Long: `revoke takes topics from those that a user may read. One that may read every topic
('*') is removed and added again with those that it keeps.`,
		Example: `  alertlab user revoke antares --topic alert-stream-test`,
	}, "topic that the user may not read any more; again for each", func(have, given []string) ([]string, error) {
		for _, t := range given {
			if !slices.Contains(have, t) {
				return nil, fault.New(fault.BadInput, "topic "+t+" cannot be revoked", "the user reads "+strings.Join(have, ", "), "alertlab user list")
			}
		}
		now := slices.DeleteFunc(slices.Clone(have), func(t string) bool { return slices.Contains(given, t) })
		if len(now) == 0 {
			return nil, fault.New(fault.BadInput, "nothing would be left to read", "a user reads at least one topic", "alertlab user remove NAME")
		}
		return now, nil
	})
}

func (a *app) userPasswd() *cobra.Command {
	c := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Give a user another password",
		Long: `passwd makes a new password for a user, or reads it from the first line of standard
input: a password never stands on a command line. The old one is refused from then
on; connections that are open stay. "alertlab user export" prints the new one.`,
		Example: `  alertlab user passwd antares
  alertlab user passwd antares --stdin < password.txt`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeReaders,
	}
	stdin := c.Flags().Bool("stdin", false, "read the password from standard input")
	how := editFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		password := state.NewPassword()
		if *stdin {
			var err error
			if password, err = readPassword(c.Context(), a.in); err != nil {
				return fault.Wrap(fault.BadInput, "the password cannot be used", err, "alertlab user passwd "+args[0]+"   # makes one")
			}
		}
		return a.said(a.edit(c, how, setPassword(args[0], password)), "%s", passwordSet(args[0]))
	}
	return c
}

// setPassword is the edit that gives a user another password.
func setPassword(name, password string) func(*edit) error {
	return func(e *edit) error {
		if _, err := reader(e.Profile, name); err != nil {
			return err
		}
		e.newPassword(name, password)
		return nil
	}
}

func passwordSet(name string) string {
	return fmt.Sprintf("user %s has a new password; alertlab user export %s prints it", name, name)
}

// Bounds of a password: the least is what nobody guesses by trying, the most what
// fits into one line of any client's configuration.
const (
	minPassword = 8
	maxPassword = 256
)

// readPassword reads one line: printable ASCII without spaces, because clients
// write it into files whose encodings and separators differ. Errors do not show it.
func readPassword(ctx context.Context, from io.Reader) (string, error) {
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		line, err := bufio.NewReader(io.LimitReader(from, maxPassword+2)).ReadString('\n')
		read <- result{line, err}
	}()
	var got result
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case got = <-read:
	}
	if got.err != nil && !errors.Is(got.err, io.EOF) {
		return "", got.err
	}
	password := strings.TrimRight(got.line, "\r\n")
	switch {
	case len(password) < minPassword:
		return "", fmt.Errorf("it has fewer than %d characters", minPassword)
	case len(password) > maxPassword:
		return "", fmt.Errorf("it has more than %d characters", maxPassword)
	case strings.ContainsFunc(password, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", errors.New("it holds a space or a character that is not in ASCII")
	}
	return password, nil
}

// userLine is one user in a list.
type userLine struct {
	Name   string         `json:"name"`
	Role   endpoints.Role `json:"role"`
	Topics []string       `json:"topics,omitempty"`
	From   string         `json:"from"` // profile, or changed on the lab: added, changed
}

func (a *app) userList() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the users, what they may read, and whether they were changed",
		Long: `list prints the users that are wanted: the superuser, those of the parts of the
system, and the readers, each with its topics and whether the profile has it so. It
prints no password: "alertlab user export" does.`,
		Example: `  alertlab user list
  alertlab user list -o json | jq -r '.[] | select(.role == "reader").name'`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(c, "table", "json")
	c.RunE = func(*cobra.Command, []string) error {
		lines, err := a.userLines()
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(lines)
		}
		table := render.NewTable(a.out, "USER", "ROLE", "READS", "FROM")
		for _, l := range lines {
			table.Row(l.Name, l.Role, first(strings.Join(l.Topics, ", "), "-"), l.From)
		}
		return table.Flush()
	}
	return c
}

// userLines are the users that are wanted.
func (a *app) userLines() ([]userLine, error) {
	source, applied, err := a.wantedProfile()
	if err != nil {
		return nil, err
	}
	lines := []userLine{{Name: applied.Kafka.Superuser, Role: endpoints.Superuser, From: "profile"}}
	for _, name := range profiles.ServiceUsers() {
		lines = append(lines, userLine{Name: name, Role: endpoints.Service, From: "profile"})
	}
	for _, r := range applied.Kafka.Readers {
		line := userLine{Name: r.Name, Role: endpoints.Reader, Topics: r.Topics, From: "added"}
		if was, err := reader(source, r.Name); err == nil {
			line.From = "profile"
			if !sameTopics(was.Topics, r.Topics) {
				line.From = "changed"
			}
		}
		lines = append(lines, line)
	}
	return lines, nil
}
