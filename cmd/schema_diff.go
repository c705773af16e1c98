package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/alerts/schemadiff"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render"
)

// schemaID reads what names a schema by itself: an alert schema version or an id.
func schemaID(name string) (int, error) {
	id, err := strconv.Atoi(name)
	if strings.Contains(name, ".") {
		var v packet.Version
		v, err = packet.ParseVersion(name)
		id = v.ID()
	}
	if err != nil || id < 0 {
		return 0, fault.New(fault.BadInput, fmt.Sprintf("%q names no schema", name), `a version is written as "11.0", an id is a number`, "alertlab schema list")
	}
	return id, nil
}

func (a *app) schemaSubjects() *cobra.Command {
	var from registryFlags
	c := &cobra.Command{
		Use:   "subjects [SUBJECT]",
		Short: "Show subjects with their versions, compatibility and mode",
		Long: `subjects lists the subjects of a schema registry, with how many versions each has, the
id and name of the latest, the compatibility that new versions are held to, and the
mode; with a name, that subject's versions. A compatibility that is not set for the
subject is the registry's own, which is marked as the default.

` + registryHelp,
		Example: `  alertlab schema subjects
  alertlab schema subjects alert-packet -o json`,
		Args: cobra.MaximumNArgs(1),
	}
	from.add(c)
	output := outputFlag(c, "table", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		client, address, err := a.registryClient(c.Context(), from, false)
		if err != nil {
			return err
		}
		held, err := registry.Subjects(c.Context(), client.API())
		if err != nil {
			return unanswered(address, err)
		}
		if len(args) == 1 {
			s, err := oneSubject(held, args[0], address)
			if err != nil {
				return err
			}
			if *output == "json" {
				return a.printJSON(s)
			}
			fmt.Fprintf(a.out, "subject %s: compatibility %s, mode %s\n\n", s.Name, levelText(s), first(s.Mode, "not told"))
			table := render.NewTable(a.out, "VERSION", "ID", "NAME", "BYTES")
			for _, v := range s.Versions {
				table.Row(v.Version, v.ID, v.Name, v.Bytes)
			}
			return table.Flush()
		}
		if *output == "json" {
			return a.printJSON(held)
		}
		table := render.NewTable(a.out, "SUBJECT", "VERSIONS", "LATEST ID", "LATEST NAME", "COMPATIBILITY", "MODE")
		for _, s := range held {
			latest := s.Versions[len(s.Versions)-1]
			table.Row(s.Name, len(s.Versions), latest.ID, latest.Name, levelText(s), s.Mode)
		}
		return table.Flush()
	}
	return c
}

// levelText says what new versions of a subject are held to.
func levelText(s registry.Subject) string {
	text := first(s.Compatibility, "not told")
	if s.Inherited {
		text += " (default)"
	}
	return text
}

func oneSubject(held []registry.Subject, name, address string) (registry.Subject, error) {
	i := slices.IndexFunc(held, func(s registry.Subject) bool { return s.Name == name })
	if i < 0 {
		var names []string
		for _, s := range held {
			names = append(names, s.Name)
		}
		return registry.Subject{}, fault.New(fault.BadInput, fmt.Sprintf("the registry at %s has no subject %q", address, name), "there are: "+first(strings.Join(names, ", "), "none"), "alertlab schema subjects")
	}
	return held[i], nil
}

func (a *app) schemaDiff() *cobra.Command {
	var from registryFlags
	c := &cobra.Command{
		Use:   "diff [SUBJECT] FIRST SECOND",
		Short: "Show what changed between two schemas, field by field",
		Long: `diff compares two schemas of a registry by the paths of their fields: what was added
or removed, what has another type, default or words, and what stands in another place
of its record, which changes the bytes. Two schemas are named as for show, by an alert
schema version or an id; with a subject before them by the versions of that subject, of
which the last is also called latest.

A record that several fields use, such as diaSource, is compared once; "also" names the
other paths to it. A registry holds the alert schemas in their canonical form, without
words and defaults: what "schema add" says of a draft has them.

` + registryHelp,
		Example: `  alertlab schema diff 10.0 11.0
  alertlab schema diff alert-packet 1000 latest
  alertlab schema diff 7.4 8.0 -o json | jq '.changes[] | select(.what == "removed").path'`,
		Args: cobra.RangeArgs(2, 3), ValidArgsFunction: a.completeKnown,
	}
	from.add(c)
	output := outputFlag(c, "table", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		named := args
		subject := ""
		if len(args) == 3 {
			subject, named = args[0], args[1:]
		}
		var ids [2]int
		if subject == "" {
			var wrong []error
			for i, name := range named {
				var err error
				ids[i], err = schemaID(name)
				wrong = append(wrong, err)
			}
			if err := joinFaults(wrong); err != nil {
				return err
			}
		}
		client, address, err := a.registryClient(c.Context(), from, false)
		if err != nil {
			return err
		}
		if subject != "" {
			held, err := registry.Subjects(c.Context(), client.API())
			if err != nil {
				return unanswered(address, err)
			}
			s, err := oneSubject(held, subject, address)
			if err != nil {
				return err
			}
			for i, name := range named {
				if ids[i], err = versionOf(s, name); err != nil {
					return err
				}
			}
		}
		var texts [2]string
		for i, id := range ids {
			if texts[i], err = a.schemaText(c.Context(), client, address, id); err != nil {
				return err
			}
		}
		changes, err := schemadiff.Compare(texts[0], texts[1])
		if err != nil {
			return fault.Wrap(fault.StepFailed, "the schemas cannot be compared", err, "alertlab schema show ID -o text")
		}
		if *output == "json" {
			return a.printJSON(struct {
				First   int                 `json:"first"`
				Second  int                 `json:"second"`
				Changes []schemadiff.Change `json:"changes"`
			}{ids[0], ids[1], changes})
		}
		if len(changes) == 0 {
			_, err := fmt.Fprintf(a.out, "schemas %d and %d have the same fields, types, defaults and words\n", ids[0], ids[1])
			return err
		}
		table := render.NewTable(a.out, "", "FIELD", "WHAT", strconv.Itoa(ids[0]), strconv.Itoa(ids[1]), "ALSO")
		for _, ch := range changes {
			table.Row(ch.Sign(), ch.Path, string(ch.What), ch.Before, ch.After, strings.Join(ch.Also, ", "))
		}
		return table.Flush()
	}
	return c
}

// joinFaults makes one error of several wrong inputs, so that all are told at once.
func joinFaults(errs []error) error {
	var whats []string
	var last *fault.Fault
	for _, err := range errs {
		var f *fault.Fault
		if errors.As(err, &f) {
			whats, last = append(whats, f.What), f
		}
	}
	if last == nil {
		return errors.Join(errs...)
	}
	return fault.New(last.Code, strings.Join(whats, ", and "), last.Why, last.Next)
}

// versionOf gives the id of a subject's version.
func versionOf(s registry.Subject, name string) (int, error) {
	if name == "latest" {
		return s.Versions[len(s.Versions)-1].ID, nil
	}
	n, err := strconv.Atoi(name)
	if err == nil {
		for _, v := range s.Versions {
			if v.Version == n {
				return v.ID, nil
			}
		}
	}
	var there []string
	for _, v := range s.Versions {
		there = append(there, strconv.Itoa(v.Version))
	}
	return 0, fault.New(fault.BadInput, fmt.Sprintf("subject %s has no version %q", s.Name, name), "there are: "+strings.Join(there, ", ")+" and latest", "alertlab schema subjects "+s.Name)
}

// schemaText fetches a schema that must be there.
func (a *app) schemaText(ctx context.Context, client *registry.Client, address string, id int) (string, error) {
	text, err := client.SchemaByID(ctx, id)
	if errors.Is(err, registry.ErrNotFound) {
		return "", fault.Wrap(fault.StepFailed, fmt.Sprintf("the registry at %s has no schema %d", address, id), err, "alertlab schema list")
	}
	if err != nil {
		return "", unanswered(address, err)
	}
	return text, nil
}
