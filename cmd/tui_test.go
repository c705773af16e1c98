package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/tui/kit"
)

// TestTrace: what is known of a crash is kept in the lab's directory, for this user
// alone; while there is no lab, in the temporary one.
func TestTrace(t *testing.T) {
	crash := &kit.Crash{Value: "the page fell over", Stack: "goroutine 1 [running]"}
	dir := state.At(t.TempDir(), "mine")
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for _, want := range []string{temporary, dir.Path()} {
		path, err := trace(dir, crash, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Dir(path) != want {
			t.Errorf("the trace is in %s, want %s", path, want)
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "panic: the page fell over") || !strings.Contains(string(text), "goroutine 1") {
			t.Errorf("the trace says %q, %v", text, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the trace's mode is %v, %v", info.Mode(), err)
		}
		if got := (&kit.Crash{Value: "the page fell over"}).Error(); got != "the dashboard crashed: the page fell over" {
			t.Errorf("the error is %q", got)
		}
		if err := dir.Create(); err != nil {
			t.Fatal(err)
		}
	}
}
