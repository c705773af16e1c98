package cmd

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestCalled looks at which command a name stands for.
func TestCalled(t *testing.T) {
	a := func() *app { return &app{getenv: func(string) string { return "" }} }
	for _, name := range []string{"alertlab", "/usr/local/bin/alertlab", "./lab", "alertlab-1.0"} {
		if got := a().called(name).Name(); got != "alertlab" {
			t.Errorf("called as %s, it is %s", name, got)
		}
	}
	for _, name := range Programs() {
		for _, argv0 := range []string{name, filepath.Join("/opt/venv/bin", name)} {
			if got := a().called(argv0).Name(); got != name {
				t.Errorf("called as %s, it is %s", argv0, got)
			}
		}
	}
}

// TestProgramsHaveHelp looks at the help of each program: one line, a text that
// names its own command, and no verb or flag of alertlab.
func TestProgramsHaveHelp(t *testing.T) {
	for _, name := range Programs() {
		c := (&app{getenv: func(string) string { return "" }}).called(name)
		if c.Short == "" || len(c.Long) <= len(c.Short) || !strings.Contains(c.Long+c.Example, name) {
			t.Errorf("%s: its help says %q, %q, %q", name, c.Short, c.Long, c.Example)
		}
		if c.Flags().Lookup("lab") != nil || c.PersistentFlags().Lookup("lab") != nil {
			t.Errorf("%s: it knows labs", name)
		}
	}
}
