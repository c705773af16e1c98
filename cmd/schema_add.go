package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/drafts"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/content/schemas"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

// draftFolder is where a lab keeps the files of a draft, below its directory.
func draftFolder(version string) string { return filepath.Join("drafts", version) }

func (a *app) schemaAdd() *cobra.Command {
	c := &cobra.Command{
		Use:   "add DIR",
		Short: "Take a schema version that is not released into the lab",
		Long: `add reads a folder of .avsc files as in alert_packet, such as
python/lsst/alert/packet/schema/12/0, and finds everything that is wrong with them.
It copies the files into the lab and registers the schema under its id, major times
100 plus minor, as a published one; up keeps it. It says how the version differs from
the newest published one and who can read it, as information.

A version keeps its content: alerts that were archived are read with it. A draft that
was changed takes another version, such as 12.1.`,
		Example: `  alertlab schema add python/lsst/alert/packet/schema/12/0
  alertlab simulator generate --schema 12.0 visit.avro
  alertlab simulator create visit.avro`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	how := editFlags(c)
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		d, err := drafts.Load(args[0])
		if err != nil {
			var problems *drafts.Problems
			if errors.As(err, &problems) {
				return err
			}
			return fault.Wrap(fault.BadInput, "the folder cannot be read", err, "alertlab schema add DIR")
		}
		version := d.Version.String()
		if slices.Contains(schemas.Versions(), version) {
			return fault.New(fault.BadInput, "version "+version+" is published", "a draft has another one, in its files' names and namespaces too", "alertlab schema show "+version)
		}
		newest, err := packet.Published(packet.Versions()[len(packet.Versions())-1])
		if err != nil {
			return err
		}
		compared, err := d.Compare(newest)
		if err != nil {
			return err
		}
		entry := profiles.Draft{Version: version, Folder: draftFolder(version), SHA256: schemas.Sum(d.Schema)}
		err = a.edit(c, how, func(e *edit) error {
			for _, held := range e.Overlay.Drafts {
				if held.Version == version && held != entry {
					return fault.New(fault.BadInput, "the lab has another draft "+version, "a version keeps its content, since archived alerts are read with it",
						"give the draft another version in its files' names and namespaces, or: alertlab schema remove "+version)
				}
			}
			if err := copyDraft(args[0], e.Dir, entry, d.Files); err != nil {
				return fault.Wrap(fault.StepFailed, "the draft cannot be copied into the lab", err, "alertlab status")
			}
			if !slices.Contains(e.Overlay.Drafts, entry) {
				e.Overlay.Drafts = append(e.Overlay.Drafts, entry)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return a.printDraft(d, compared, *output)
	}
	return c
}

// copyDraft puts a draft's files into the lab. The folder appears whole.
func copyDraft(from string, dir state.Dir, entry profiles.Draft, files []string) error {
	if _, err := schemas.Unreleased(dir.Path(), entry); err == nil {
		return nil // the same is there
	}
	to := filepath.Join(dir.Path(), entry.Folder)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(to), ".draft-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(tmp, name), text, 0o600); err != nil {
			return err
		}
	}
	// What an earlier attempt left there is not known to the lab.
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.Rename(tmp, to)
}

func (a *app) printDraft(d *drafts.Draft, compared drafts.Comparison, output string) error {
	if output == "json" {
		return a.printJSON(struct {
			Version  string          `json:"version"`
			ID       int             `json:"id"`
			Notes    []string        `json:"notes"`
			With     string          `json:"comparedWith"`
			Changes  []drafts.Change `json:"changes"`
			Forward  []string        `json:"forwardProblems"`
			Backward []string        `json:"backwardProblems"`
		}{d.Version.String(), d.Schema.ID(), d.Notes, compared.With.String(), compared.Changes, compared.Forward, compared.Backward})
	}
	fmt.Fprintf(a.out, "schema %s is in the lab, with id %d\n", d.Version, d.Schema.ID())
	for _, note := range d.Notes {
		fmt.Fprintf(a.out, "note: %s\n", note)
	}
	fmt.Fprintf(a.out, "\nCompared with %s, the newest that is published:\n", compared.With)
	for _, change := range compared.Changes {
		fmt.Fprintf(a.out, "  %s\n", change)
	}
	if len(compared.Changes) == 0 {
		fmt.Fprintln(a.out, "  no field differs")
	}
	reads := func(who string, reasons []string) {
		if len(reasons) == 0 {
			fmt.Fprintf(a.out, "%s: yes\n", who)
			return
		}
		fmt.Fprintf(a.out, "%s: no\n", who)
		for _, reason := range reasons {
			fmt.Fprintf(a.out, "  %s\n", reason)
		}
	}
	fmt.Fprintln(a.out)
	reads(fmt.Sprintf("FORWARD, readers of %s can read alerts of %s", compared.With, d.Version), compared.Forward)
	reads(fmt.Sprintf("BACKWARD, readers of %s can read alerts of %s", d.Version, compared.With), compared.Backward)
	_, err := fmt.Fprintf(a.out, "\nnext: alertlab simulator generate --schema %s visit.avro\n", d.Version)
	return err
}

func (a *app) schemaRemove() *cobra.Command {
	c := &cobra.Command{
		Use:   "remove VERSION",
		Short: "Remove a draft from the lab",
		Long: `remove deletes a draft from the lab's registry, for good, and the lab's copy of its
files. Alerts of it that are archived keep the schema that they were archived with, so
that a draft that was changed is better off with another version. A draft that the
simulator plays alerts of is not removed: "alertlab simulator create --profile" first.`,
		Example: "  alertlab schema remove 12.0",
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: completeFirst(func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return a.draftVersions(), cobra.ShellCompDirectiveNoFileComp
		}),
	}
	how := editFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		var folder string
		err := a.edit(c, how, func(e *edit) error {
			if !e.Overlay.Drop("draft/" + args[0]) {
				return fault.New(fault.BadInput, fmt.Sprintf("the lab has no draft %q", args[0]), "only drafts can be removed", "alertlab overlay show")
			}
			folder = filepath.Join(e.Dir.Path(), draftFolder(args[0]))
			return nil
		})
		if err != nil {
			return err
		}
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "schema %s is gone\n", args[0])
		return err
	}
	return c
}

// drafted lists the drafts of the lab, and its directory; none if there is no lab.
func (a *app) drafted() (state.Dir, []profiles.Draft, error) {
	dir, err := a.dir()
	if err != nil {
		return dir, nil, err
	}
	desc, err := dir.Describe()
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil, nil
	}
	return dir, desc.Overlay.Drafts, err
}

// draftVersions gives the versions of the lab's drafts, for what is only helpful.
func (a *app) draftVersions() []string {
	_, known, err := a.drafted()
	if err != nil {
		return nil
	}
	var out []string
	for _, d := range known {
		out = append(out, d.Version)
	}
	return out
}

// unreleased gives the schemas of the lab's drafts.
func (a *app) unreleased() ([]*packet.Schema, error) {
	dir, known, err := a.drafted()
	if err != nil {
		return nil, err
	}
	var out []*packet.Schema
	for _, d := range known {
		s, err := schemas.Unreleased(dir.Path(), d)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// schemaOf gives a published schema, or a draft of the lab.
func (a *app) schemaOf(text string) (*packet.Schema, error) {
	version, err := packet.ParseVersion(text)
	if err != nil {
		return nil, err
	}
	published, unpublished := packet.Published(version)
	if unpublished == nil {
		return published, nil
	}
	dir, known, err := a.drafted()
	if err != nil {
		return nil, err
	}
	for _, d := range known {
		if d.Version == version.String() {
			return schemas.Unreleased(dir.Path(), d)
		}
	}
	return nil, unpublished
}
