package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/profiles"
)

func TestReport(t *testing.T) {
	t.Parallel()
	table := faults()
	at := time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)
	r := &report{seed: 7, up: []string{"--provider", "k3d"}, rows: []row{
		{fault: table[0], seen: []string{"this | that", "more"}, broke: 1500 * time.Millisecond, heals: 9 * time.Second, healed: "smoke green", load: "3.1", finished: at},
		{fault: table[1], err: errors.New("never: it came back"), load: "4", finished: at},
	}}
	first := r.markdown("")
	for _, line := range []string{
		"| " + table[0].what + " | this \\| that; more | 1.5 | 9.0 | smoke green | 2026-11-21 20:00 | seed 7, load 3.1, `up --provider k3d` |\n",
		"| " + table[1].what + " |  |  |  | **not as it should be**: never: it came back | 2026-11-21 20:00 | seed 7, load 4, `up --provider k3d` |\n",
	} {
		if !strings.Contains(first, line) {
			t.Errorf("no line %q in\n%s", line, first)
		}
	}
	if err := r.failed(); err == nil || err.Error() != table[1].name+": never: it came back" {
		t.Errorf("failed: %v", err)
	}
	// What is met again has its new line; what is not keeps its own, in the table's order.
	again := &report{seed: 8, rows: []row{{fault: table[2], skipped: "another deployer", finished: at}, {fault: table[1], healed: "smoke green", finished: at}}}
	second := again.markdown(first)
	if strings.Contains(second, "never: it came back") || !strings.Contains(second, "this \\| that") || !strings.Contains(second, "not tried: another deployer") {
		t.Errorf("after another run:\n%s", second)
	}
	if a, b := strings.Index(second, table[0].what), strings.Index(second, table[1].what); a < 0 || b < a {
		t.Errorf("not in order:\n%s", second)
	}
	if err := again.failed(); err != nil {
		t.Errorf("none failed: %v", err)
	}
}

// Faults have names of their own, and those that share a lab stand together.
func TestFaults(t *testing.T) {
	t.Parallel()
	var names, seen []string
	last := ""
	for _, f := range faults() {
		if slices.Contains(names, f.name) || f.what == "" || f.do == nil {
			t.Errorf("fault %+v", f)
		}
		names = append(names, f.name)
		if f.shape != last && slices.Contains(seen, f.shape) {
			t.Errorf("%s: labs of shape %q were left behind already", f.name, f.shape)
		}
		seen, last = append(seen, f.shape), f.shape
		if f.fresh && f.publishes {
			t.Errorf("%s publishes to a lab that is not there", f.name)
		}
	}
}

func TestThreeProfile(t *testing.T) {
	t.Parallel()
	p, err := profiles.Parse("three", threeProfile)
	if err != nil {
		t.Fatal(err)
	}
	if p.Kafka.Brokers.Count != 3 || !p.Kafka.Brokers.AntiAffinity || p.Kafka.Topics[0].Replicas != 3 {
		t.Errorf("%+v", p.Kafka)
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	for want, up := range map[string][]string{"k3d": {"--profile", "ci", "--provider", "k3d"}, "kind": {"--provider=kind"}, "": {"--profile", "ci"}} {
		if got := (&lab{up: up}).provider(); got != want {
			t.Errorf("%v: %q", up, got)
		}
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	l := &lab{work: t.TempDir(), name: "x"}
	if err := os.MkdirAll(l.dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	text := `{"time":"2026-01-01T00:00:01Z","step":"old","begun":true}
{"time":"2026-01-01T00:00:03Z","step":"kafka","begun":true}
{"time":"2026-01-01T00:00:04Z","step":"kafka"}
{"time":"2026-01-01T00:00:05Z","step":"simul`
	if err := os.WriteFile(filepath.Join(l.dir(), "journal.jsonl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := l.journal(time.Date(2026, 1, 1, 0, 0, 2, 0, time.UTC))
	if len(s.begun) != 1 || len(s.done) != 1 || s.begun["kafka"].IsZero() || s.done["kafka"].IsZero() {
		t.Errorf("%+v", s)
	}
}

func TestFailedChecks(t *testing.T) {
	t.Parallel()
	out := "✓ one    0.10 s\n✗ two    0.20 s  it is late\n- three  skipped\nerror: 1 of 3 checks failed\n"
	if got := failedChecks(out); got != "✗ two    0.20 s  it is late" {
		t.Errorf("%q", got)
	}
	if got := failedChecks("error: there is no lab\n"); got != "error: there is no lab" {
		t.Errorf("%q", got)
	}
}
