package cmd

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/provider/embedded/loopback"
	"github.com/alertlab/alertlab/render"
)

// labLine is one lab in the list.
type labLine struct {
	Name      string `json:"name"`
	Provider  string `json:"provider,omitempty"`
	Profile   string `json:"profile,omitempty"`
	State     string `json:"state"`           // ready, not ready, being changed, stopped or never ready
	Since     string `json:"since,omitempty"` // RFC 3339: when its runner started; empty when none runs
	PID       int    `json:"pid,omitempty"`   // of its runner
	Bootstrap string `json:"bootstrap,omitempty"`
	Directory string `json:"directory"`
}

func (a *app) list() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the labs of this host and whether they run",
		Long: `list shows every lab of the state directory: whether it runs and since when, its
profile and its bootstrap address. With --all it also shows your labs of other state
directories that have addresses.`,
		Example: `  alertlab list
  alertlab list -o json | jq -r '.[] | select(.state == "ready").name'`,
		Args: cobra.NoArgs,
	}
	all := c.Flags().Bool("all", false, "labs of other state directories, too")
	output := outputFlag(c, "table", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		root, err := state.Root(a.getenv)
		if err != nil {
			return fault.Wrap(fault.BadInput, "there is no place for the lab's state", err, "export ALERTLAB_STATE_DIR=DIRECTORY")
		}
		dirs, err := labsOf(root, *all)
		if err != nil {
			return err
		}
		lines := make([]labLine, len(dirs))
		var wg sync.WaitGroup
		for i, dir := range dirs {
			wg.Go(func() { lines[i] = lineOf(c.Context(), dir) })
		}
		wg.Wait()
		if err := c.Context().Err(); err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(lines)
		}
		headings := []string{"LAB", "STATE", "SINCE", "PROFILE", "PROVIDER", "BOOTSTRAP"}
		if *all {
			headings = append(headings, "DIRECTORY")
		}
		table := render.NewTable(a.out, headings...)
		for _, l := range lines {
			since := ""
			if at, err := time.Parse(time.RFC3339, l.Since); err == nil {
				since = at.Local().Format("2006-01-02 15:04:05")
			}
			row := []any{l.Name, l.State, since, l.Profile, l.Provider, l.Bootstrap}
			if *all {
				row = append(row, l.Directory)
			}
			table.Row(row...)
		}
		return table.Flush()
	}
	return c
}

// labsOf gives the labs under root, and with others those that have addresses and lie
// elsewhere.
func labsOf(root string, others bool) ([]state.Dir, error) {
	names, err := state.Labs(root)
	if err != nil {
		return nil, err
	}
	dirs := []state.Dir{}
	for _, name := range names {
		dirs = append(dirs, state.At(root, name))
	}
	if !others {
		return dirs, nil
	}
	for _, path := range loopback.Owners() {
		dir := state.At(filepath.Dir(filepath.Dir(path)), filepath.Base(path))
		if dir.Path() == path && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// lineOf looks at one lab. What cannot be seen of it is left out.
func lineOf(ctx context.Context, dir state.Dir) labLine {
	line := labLine{Name: dir.Lab(), State: "stopped", Directory: dir.Path()}
	desc, err := dir.Describe()
	if err == nil {
		line.Provider, line.Profile = desc.Provider, desc.Profile
		if strings.ContainsRune(desc.Profile, filepath.Separator) {
			line.Profile = filepath.Base(desc.Profile)
		}
	}
	card, err := dir.Endpoints()
	if err == nil {
		line.Bootstrap = card.Kafka.Bootstrap
	}
	if errors.Is(err, fs.ErrNotExist) {
		line.State = "never ready"
	}
	client, err := runner.Dial(ctx, dir)
	if err != nil {
		return line
	}
	st, err := client.Status(ctx)
	if err != nil { // its runner is on its way out
		return line
	}
	line.Since, line.PID = st.Started.UTC().Format(time.RFC3339), st.PID
	switch {
	case st.Walking:
		line.State = "being changed"
	case st.Ready:
		line.State = "ready"
	default:
		line.State = "not ready"
	}
	return line
}
