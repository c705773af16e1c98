package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	d := newDocument()
	d.group = "play"
	for _, v := range []float64{1, 9, 2} {
		d.add("quick", "s", under(3), v)
		d.add("many", "1/s", atLeast(1500), 1000+v)
		d.add("said", "cores", none, v/100)
	}
	d.skip("other", "there is no key for it")
	if !d.missed("play") || d.missed("archive") {
		t.Errorf("missed: play %t, archive %t", d.missed("play"), d.missed("archive"))
	}
	text := d.markdown([]string{"-rounds", "3"})
	for _, line := range []string{
		"    go run ./hack/bench -rounds 3\n",
		"| quick | under 3 | s | 1.00 | 2.00 | 9.00 | 3 | yes |\n",
		"| many | at least 1500 | 1/s | 1001 | 1002 | 1009 | 3 | no |\n",
		"| said |  | cores | 0.010 | 0.020 | 0.090 | 3 |  |\n",
		"| other | | | | | | 0 | not measured: there is no key for it |\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
	if strings.Contains(text, "CPU time goes") {
		t.Error("it speaks of profiles that are not there")
	}
	d.profile("play", "player", "Duration: 1s\n")
	if !strings.Contains(d.markdown(nil), "play, player:\n\n```\nDuration: 1s\n```\n") {
		t.Error("the profile is not there")
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for want, values := range map[float64][]float64{0: nil, 4: {4}, 3: {4, 2}, 2: {9, 2, 1}} {
		if got := (&figure{values: values}).median(); got != want {
			t.Errorf("%v: %g", values, got)
		}
	}
}

func TestKeyBelow(t *testing.T) {
	t.Parallel()
	var schema map[string]any
	text := `{"properties": {"kafka": {"properties": {"brokers": {"properties": {"sync": {"type": "boolean"}}}}}, "name": {"type": "string"}}}`
	if err := json.Unmarshal([]byte(text), &schema); err != nil {
		t.Fatal(err)
	}
	for last, want := range map[string]string{"sync": "kafka.brokers.sync", "name": "name", "other": ""} {
		if got := keyBelow(schema, last); got != want {
			t.Errorf("%s: %q", last, got)
		}
	}
}

func TestVisitsPlayed(t *testing.T) {
	t.Parallel()
	l := &lab{dir: t.TempDir()}
	path := filepath.Join(l.dir, "labs", "default", "logs", "simulator.log")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	text := `time=2026-11-21T17:12:26.707Z level=INFO msg="visit played" visit=1 alerts=10000 bytes=800000000 seconds=2.1 late=1.25ms missed=0 error=<nil>
time=2026-11-21T17:12:27.707Z level=WARN msg="something else" late=9s
time=2026-11-21T17:13:03.707Z level=INFO msg="visit played" visit=2 alerts=9999 bytes=799920000 seconds=2.1 late=40µs missed=2 error="one is missing"
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := l.visitsPlayed()
	if err != nil || len(got) != 2 || got[0] != (visit{10000, 0, 1250 * time.Microsecond}) || got[1] != (visit{9999, 2, 40 * time.Microsecond}) {
		t.Errorf("%+v, %v", got, err)
	}
}
