package cmd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/runner"
)

// line is one of a pod's log, as it is kept: what its program wrote is the message.
func line(text string) string {
	quoted, err := json.Marshal(text) // as slog quotes it
	if err != nil {
		panic(err)
	}
	return "time=2026-11-22T00:23:34.338Z level=INFO msg=" + string(quoted) + " pod=alert-stream-simulator-5b89658c4b-dtjdq\n"
}

func TestVisitOfALine(t *testing.T) {
	t.Parallel()
	v, ok := visitOf(line(`time=2026-11-22T00:23:34.305Z level=INFO msg="visit played" visit=39 alerts=50 bytes=4008501 seconds=0.5 late=44.066215ms missed=2 error="a broker went away"`))
	at := time.Date(2026, 11, 22, 0, 23, 34, 305e6, time.UTC)
	if !ok || v.Number != 39 || v.Alerts != 50 || v.Bytes != 4008501 || v.Missed != 2 || v.Error != "a broker went away" || v.Late != 44066215 ||
		!v.Finished.Equal(at) || !v.Started.Equal(at.Add(-500*time.Millisecond)) || !v.Due.Equal(v.Started.Add(-v.Late)) {
		t.Errorf("%v %+v", ok, v)
	}
	for _, other := range []string{
		"", "time=2026-11-22T00:20:01.000Z level=INFO msg=\"creating 1 resource(s)\"\n", line("[2026-11-22 00:23:45,926] INFO [GroupCoordinator 0]: x"), line("panic: visit played"),
		line(`time=2026-11-22T00:23:34.305Z level=INFO msg=serves visit=39`), line(`time=yesterday level=INFO msg="visit played" visit=39 alerts=50 bytes=4008501 seconds=0.5 late=1ms missed=0`),
		`time=x level=INFO msg="time=2026-11-22T00:23:34.305Z level=INFO msg=\"visit played`,
	} {
		if v, ok := visitOf(other); ok {
			t.Errorf("%q is visit %+v", other, v)
		}
	}
}

// The visits are those since the program in the pod began, of which only some are kept.
func TestVisitsOfALog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "simulator.log")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(numbers ...string) {
		for _, n := range numbers {
			if _, err := f.WriteString(line(`time=2026-11-22T00:23:34.305Z level=INFO msg="visit played" visit=` + n + ` alerts=50 bytes=4008501 seconds=0.8 late=1ms missed=1`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	p := &playedLog{tail: &tail{files: []*tailed{{name: "simulator", path: path}}}}
	defer p.close()
	read := func(first, last, missed int) {
		t.Helper()
		if err := p.read(); err != nil {
			t.Fatal(err)
		}
		if n := len(p.visits); n == 0 || p.visits[0].Number != first || p.visits[n-1].Number != last || p.missed != int64(missed) {
			t.Errorf("%d visits, %d missed: %+v", n, p.missed, p.visits)
		}
	}
	write("7", "8")
	read(7, 8, 2)
	write("9")
	read(7, 9, 3)
	write("1", "2") // another pod
	read(1, 2, 2)
}

func TestPods(t *testing.T) {
	t.Parallel()
	var st runner.Status
	if err := json.Unmarshal([]byte(`{"parts": [
		{"key": "simulator", "detail": {"pods": [{"name": "a", "ready": true, "seen": "Ready"}, {"name": "b", "ready": false, "seen": "Pending, not Ready"}], "paused": true, "skipped": 3}},
		{"key": "alert-database-ingester", "detail": {"ready": true, "stored": 7}}]}`), &st); err != nil {
		t.Fatal(err)
	}
	of, are := podsOf(st, "simulator")
	if ready, why := of.ready(); !are || ready || !of.Paused || of.Skipped != 3 || why != "b: Pending, not Ready" {
		t.Errorf("%v %v %q", are, ready, why)
	}
	for _, key := range []string{"alert-database-ingester", "kafka"} {
		if _, are := podsOf(st, key); are {
			t.Errorf("%s consists of pods", key)
		}
	}
}
