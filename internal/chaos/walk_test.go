package chaos_test

import (
	"bufio"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/internal/chaos"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/run"
)

// TestKillAtEveryStep kills the runner of a fresh up directly before and directly
// after each entry of the journal. The next up heals the lab, which then holds
// exactly what an undisturbed one holds.
func TestKillAtEveryStep(t *testing.T) {
	t.Parallel()
	undisturbed := newLab(t)
	var p struct{ Steps []struct{ Key string } }
	if err := json.Unmarshal([]byte(undisturbed.must("plan", "-o", "json")), &p); err != nil {
		t.Fatal(err)
	}
	undisturbed.must("up", "--progress", "quiet")
	want := undisturbed.inventory()
	undisturbed.purge()
	if len(p.Steps) < 10 || len(want) < 40 {
		t.Fatalf("%d steps make this lab:\n%s", len(p.Steps), strings.Join(want, "\n"))
	}
	for _, step := range p.Steps {
		for _, when := range []string{"before", "after"} {
			t.Run(when+" "+step.Key, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				code, _, stderr := l.run([]string{chaos.CutAt + "=" + when + " " + step.Key}, "up", "--progress", "quiet")
				if code != 1 || !strings.HasPrefix(stderr, "error: the runner of lab default went away") || !strings.Contains(stderr, "next: alertlab up") {
					t.Fatalf("up whose runner died: exit code %d, %s", code, stderr)
				}
				l.dead()
				journal, err := run.ReadJournal(filepath.Join(l.dir(), "journal.jsonl"))
				if err != nil {
					t.Fatal(err)
				}
				finished, begun := run.Last(journal, step.Key)
				if (finished.Action != "") != (when == "after") || (len(begun) > 0) != (when == "before") {
					t.Fatalf("killed %s the entry of %s, but the journal has %+v and begun %+v", when, step.Key, finished, begun)
				}
				l.must("up", "--progress", "quiet")
				l.healthy()
				if got := l.inventory(); !slices.Equal(got, want) {
					t.Errorf("the healed lab holds\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				l.purge()
			})
		}
	}
}

// TestKillWhileGoingDown kills the runner as soon as it says that it begins a step
// of down, or of down --purge. The same command again ends clean.
func TestKillWhileGoingDown(t *testing.T) {
	t.Parallel()
	for _, down := range [][]string{{"down"}, {"down", "--purge"}} {
		probe := newLab(t)
		probe.must("up", "--progress", "quiet")
		steps := probe.follow(slices.Concat(down, []string{"--progress", "json"}), func(event.Event) {})
		if len(steps) < 8 {
			t.Fatalf("%s has these steps: %v", strings.Join(down, " "), steps)
		}
		probe.purge()
		for _, step := range steps {
			t.Run(strings.Join(down, " ")+" "+strings.ReplaceAll(step, "/", " "), func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.must("up", "--progress", "quiet")
				over := false
				l.follow(slices.Concat(down, []string{"--progress", "json"}), func(e event.Event) {
					over = over || (e.Kind == event.Finished && e.Problem == nil)
					if e.Kind == event.Began && e.Step == step {
						for _, p := range chaos.Running(l.state, "runner") {
							p.Kill()
						}
					}
				})
				if over {
					t.Log("the walk was faster than the kill")
				}
				l.dead()
				if len(down) > 1 {
					l.purge()
					return
				}
				l.must("down")
				l.dead()
				l.must("up", "--progress", "quiet")
				l.healthy()
				l.purge()
			})
		}
	}
}

// follow runs a command that reports its walk as JSON, hands on each event, and
// gives the steps of the walk.
func (l *lab) follow(args []string, each func(event.Event)) []string {
	l.t.Helper()
	c := l.command(nil, args...)
	stderr, err := c.StderrPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	var steps []string
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event.Event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // the text of an error: the runner died
		}
		for _, s := range e.Steps {
			steps = append(steps, s.Key)
		}
		each(e)
	}
	// Its exit code depends on how far it came; what counts is what is there after.
	_ = c.Wait()
	return steps
}
