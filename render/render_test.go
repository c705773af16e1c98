package render

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs.\n--- got\n%s--- want\n%s", name, got, want)
	}
}

var t0 = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

// tick is a pseudo-event: the clock tells the time, nothing has happened.
const tick event.Kind = "tick"

// rec makes an event of the lab "default".
func rec(seconds float64, kind event.Kind, step string, set ...func(*event.Event)) event.Event {
	e := event.Event{Time: at(seconds), Lab: "default", Kind: kind, Step: step}
	for _, f := range set {
		f(&e)
	}
	return e
}

func gate(gate, seen string) func(*event.Event) {
	return func(e *event.Event) { e.Gate, e.Seen = gate, seen }
}

func count(n, total int64, unit string) func(*event.Event) {
	return func(e *event.Event) { e.Count, e.Total, e.Unit = n, total, unit }
}

func says(s string) func(*event.Event) { return func(e *event.Event) { e.Text = s } }

func problem(p event.Problem) func(*event.Event) { return func(e *event.Event) { e.Problem = &p } }

func took(seconds float64) func(*event.Event) {
	return func(e *event.Event) { e.Elapsed = event.Duration(seconds * float64(time.Second)) }
}

func steps(e *event.Event) {
	e.Steps = []event.Step{
		{Key: "kafka", Action: "start", Title: "start six brokers"},
		{Key: "kafka-topics", Action: "create", Title: "create the topics", Needs: []string{"kafka"}},
		{Key: "reservoir", Action: "create", Title: "load 300 alerts", Needs: []string{"kafka-topics"}},
	}
}

var taken = event.Problem{
	What: "the brokers do not start",
	Why:  "listen tcp 127.0.0.11:9094: bind: address already in use",
	Next: "ss -ltnp 'sport = :9094'\nalertlab up",
	Code: 1,
}

func unchanged(e *event.Event) { e.Unchanged = true }

var walks = map[string][]event.Event{
	"success": {
		rec(0, event.Planned, "", steps),
		rec(0, event.Began, "kafka"),
		rec(0.1, event.Waiting, "kafka", gate("six brokers answer", "0 of 6 answer")),
		rec(0.4, event.Waiting, "kafka", gate("six brokers answer", "6 of 6 answer")),
		rec(0.5, event.Done, "kafka", took(0.5)),
		rec(0.5, event.Note, "", says("2 partitions a topic instead of 45")),
		rec(0.5, event.Began, "kafka-topics"),
		rec(0.9, event.Done, "kafka-topics", took(0.4), says("2 created")),
		rec(0.9, event.Began, "reservoir"),
		rec(1, event.Progress, "reservoir", count(10, 300, "alerts")),
		rec(2, event.Progress, "reservoir", count(300, 300, "alerts")),
		rec(2, event.Done, "reservoir", took(1.1)),
		rec(2.1, event.Finished, "", took(2.1)),
	},
	"failure": {
		rec(0, event.Planned, "", steps),
		rec(0, event.Began, "kafka"),
		rec(3, event.Failed, "kafka", problem(taken), took(3)),
		rec(3, event.Skipped, "kafka-topics"),
		rec(3, event.Skipped, "reservoir", says("needs kafka-topics")),
		rec(3.1, event.Finished, "", problem(taken), took(3.1)),
	},
	"cancel": {
		rec(0, event.Planned, "", steps),
		rec(0, event.Began, "kafka"),
		rec(0.5, event.Done, "kafka", took(0.5)),
		rec(0.5, event.Began, "kafka-topics"),
		rec(2, event.Failed, "kafka-topics", problem(event.Problem{What: "create the topics", Why: "context canceled", Code: 130})),
		rec(2, event.Skipped, "reservoir"),
		rec(2, event.Began, "stop-kafka", func(e *event.Event) { e.Action = "stop" }),
		rec(2, event.Began, "stop-registry", says("stop the registry")),
		rec(3, event.Done, "stop-kafka", took(1)),
		rec(3, event.Finished, "", problem(event.Problem{What: "cancelled", Why: "Ctrl-C", Next: "alertlab up", Code: 130}), took(3)),
	},
	"waiting": {
		rec(0, event.Planned, "", steps),
		rec(0, event.Began, "kafka"),
		rec(1, event.Waiting, "kafka", gate("six brokers answer", "0 of 6 answer")),
		rec(9.9, tick, ""),
		rec(10, tick, ""), // the first line
		rec(12, event.Waiting, "kafka", gate("six brokers answer", "3 of 6\nanswer")),
		rec(14, event.Waiting, "kafka", gate("six brokers answer", "4 of 6 answer")),
		rec(19.9, tick, ""),
		rec(20.5, tick, ""), // ten seconds after the last one
		rec(25, event.Waiting, "kafka", gate("every broker knows the others", "")),
		rec(31, event.Waiting, "kafka", gate("every broker knows the others", "broker 5 does not")), // an event, no tick, breaks the silence
		rec(40, event.Done, "kafka", took(40)),
		rec(40, event.Began, "kafka-topics"),
		rec(40, event.Began, "reservoir"),
		rec(41, event.Progress, "reservoir", count(0, 300, "alerts")),
		rec(46, event.Progress, "reservoir", count(60, 300, "alerts")),
		rec(51, tick, ""), // both steps, in the order of the plan
		rec(56, event.Progress, "reservoir", count(180, 300, "alerts")),
		rec(61, tick, ""),
		rec(125, event.Done, "kafka-topics", took(85)),
		rec(125, event.Done, "reservoir", took(85)),
		rec(125, event.Finished, "", took(125)),
	},
	"unchanged": {
		rec(0, event.Planned, ""),
		rec(0.02, event.Finished, "", unchanged, says("the lab is up"), took(0.02)),
	},
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for name, walk := range walks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			p := NewPlain(&out)
			for _, e := range walk {
				if e.Kind == tick {
					p.Tick(e.Time)
				} else {
					p.Event(e)
				}
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			golden(t, "plain-"+name+".txt", out.String())
		})
	}
}

func TestPlainShowsProblemsOfAWalkThatWasLost(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := NewPlain(&out)
	for _, e := range walks["failure"][:3] {
		p.Event(e)
	}
	if strings.Contains(out.String(), "next:") {
		t.Fatalf("the remedy comes before the end:\n%s", out.String())
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n next: ss -ltnp"); got != 1 {
		t.Errorf("the remedy is there %d times, want once:\n%s", got, out.String())
	}
}

func TestQuiet(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"success": "",
		"waiting": "",
		"failure": "error: the brokers do not start: listen tcp 127.0.0.11:9094: bind: address already in use\n" +
			" next: ss -ltnp 'sport = :9094'\n       alertlab up\n",
		"cancel": "error: cancelled: Ctrl-C\n next: alertlab up\n",
	} {
		var out bytes.Buffer
		q := NewQuiet(&out)
		for _, e := range walks[name] {
			q.Event(e)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%s: got %q, want %q", name, out.String(), want)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for name, walk := range walks {
		var out bytes.Buffer
		j := NewJSON(&out)
		for _, e := range walk {
			j.Event(e)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != len(walk) {
			t.Fatalf("%s: %d lines for %d events", name, len(lines), len(walk))
		}
		for i, l := range lines {
			var e event.Event
			if err := json.Unmarshal([]byte(l), &e); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(e, walk[i]) {
				t.Errorf("%s: line %d reads back as %+v, was %+v", name, i, e, walk[i])
			}
		}
	}
}

// failingWriter takes n writes and then fails.
type failingWriter struct{ n int }

var errFull = errors.New("no space left on device")

func (f *failingWriter) Write(b []byte) (int, error) {
	if f.n--; f.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestRenderersKeepTheFirstError(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Renderer{
		"plain": NewPlain(&failingWriter{n: 1}),
		"json":  NewJSON(&failingWriter{n: 1}),
		"quiet": NewQuiet(&failingWriter{}),
	} {
		for _, e := range walks["failure"] {
			r.Event(e)
		}
		if err := r.Close(); !errors.Is(err, errFull) {
			t.Errorf("%s: Close gives %v, want %v", name, err, errFull)
		}
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel) // after the parallel parts

	t.Run("ends with the walk", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		events := make(chan event.Event, 64) // stays open
		for _, e := range walks["success"] {
			events <- e
		}
		if err := Follow(ctx, NewPlain(&out), events); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "all done in 2.1s, 3 steps") {
			t.Errorf("no last line:\n%s", out.String())
		}
	})
	t.Run("ends with the channel", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		events := make(chan event.Event, 64)
		for _, e := range walks["failure"][:3] {
			events <- e
		}
		close(events)
		if err := Follow(ctx, NewPlain(&out), events); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "next: ss -ltnp") {
			t.Errorf("not closed:\n%s", out.String())
		}
	})
	t.Run("ends with the context", func(t *testing.T) {
		t.Parallel()
		ctx, stop := context.WithCancelCause(ctx)
		why := errors.New("SIGTERM")
		stop(why)
		if err := Follow(ctx, NewQuiet(&bytes.Buffer{}), make(chan event.Event)); !errors.Is(err, why) {
			t.Errorf("got %v, want %v", err, why)
		}
	})
}

func TestCard(t *testing.T) {
	t.Parallel()
	full := endpoints.Endpoints{
		Lab: "default", Profile: "usdfdev", Provider: "embedded",
		Kafka: endpoints.Kafka{
			Bootstrap: "127.0.0.10:9094",
			Brokers:   []endpoints.Broker{{ID: 6, Address: "127.0.0.11:9094"}, {ID: 11, Address: "127.0.0.16:9094"}},
			Security:  "SASL_SSL", Mechanism: "SCRAM-SHA-512", CAFile: "/home/u/.local/state/alertlab/default/ca.pem",
		},
		Users: []endpoints.User{
			{Name: "kafka-admin", Role: endpoints.Superuser},
			{Name: "lasair-idfint", Role: endpoints.Reader, Topics: []string{"alerts-simulated", "alerts-static"}},
			{Name: "rubin-testing", Role: endpoints.Reader, Topics: []string{"*"}},
			{Name: "alert-stream-simulator", Role: endpoints.Service},
		},
		Registry: endpoints.Registry{URL: "http://127.0.0.10:8081", AdminURL: "http://127.0.0.10:8082", Subject: "alert-packet",
			Versions: []string{"3.0", "4.0", "7.4", "10.0", "11.0"}},
		Simulator:   endpoints.Simulator{StaticTopic: "alerts-static", Topic: "alerts-simulated", Interval: endpoints.Duration(37 * time.Second), Alerts: 300, Schema: "11.0"},
		AlertDB:     endpoints.AlertDB{URL: "http://127.0.0.10:3000"},
		ObjectStore: endpoints.ObjectStore{URL: "http://127.0.0.10:9000", Region: "us-east-1", AlertBucket: "alert-packets", SchemaBucket: "alert-schemas"},
		Concessions: []string{"35Ti -> 2Gi per broker", "no mTLS\nlistener when embedded"},
	}
	one := endpoints.Endpoints{
		Lab:         "ci",
		Kafka:       endpoints.Kafka{Bootstrap: "127.0.1.10:9094", Security: "SASL_PLAINTEXT", AutoCreateTopics: true},
		Simulator:   endpoints.Simulator{Topic: "t", Interval: endpoints.Duration(2 * time.Minute), Alerts: 1, Schema: "7.4"},
		ObjectStore: endpoints.ObjectStore{URL: "http://127.0.1.10:9000", AlertBucket: "alerts", SchemaBucket: "alerts"},
	}
	for name, c := range map[string]func(*bytes.Buffer) error{
		"card-full.txt": func(b *bytes.Buffer) error {
			return Card(b, full, "alertlab env --user NAME",
				Command{"alertlab smoke", "check that everything works"},
				Command{"alertlab down", "stop and keep the data"})
		},
		"card-small.txt": func(b *bytes.Buffer) error { return Card(b, one, "alertlab env --user NAME") },
	} {
		var out bytes.Buffer
		if err := c(&out); err != nil {
			t.Fatal(err)
		}
		golden(t, name, out.String())
	}
	if err := Card(&failingWriter{n: 2}, full, "x"); !errors.Is(err, errFull) {
		t.Errorf("Card gives %v, want %v", err, errFull)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	headings := []string{"name", "brokers", "note"}
	table := NewTable(&out, headings...)
	table.Row("usdfdev", 6, "the last one of 2026")
	table.Row("ci", 1)
	table.Row("local", 6, "two\nlines\tand a tab")
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "NAME     BROKERS  NOTE\n" +
		"usdfdev  6        the last one of 2026\n" +
		"ci       1        -\n" +
		"local    6        two lines and a tab\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if headings[0] != "name" {
		t.Error("the caller's headings were changed")
	}
	table = NewTable(&failingWriter{}, "name")
	table.Row("x")
	if err := table.Flush(); !errors.Is(err, errFull) {
		t.Errorf("Flush gives %v, want %v", err, errFull)
	}
}

func TestTableFits(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	table := NewTable(&out, "component", "state", "seen")
	table.Fit(60)
	table.Row("schema-registry", "present", "127.0.1.10:8081; 14 schemas; leader since 12:00:00")
	table.Row("simulator", "present", "published: 300 alerts")
	table.Row("x", "absent", strings.Repeat("a", 70))
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `COMPONENT        STATE    SEEN
schema-registry  present  127.0.1.10:8081; 14 schemas;
                          leader since 12:00:00
simulator        present  published: 300 alerts
x                absent   ` + strings.Repeat("a", 34) + `
                          ` + strings.Repeat("a", 34) + `
                          aa
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	for line := range strings.Lines(out.String()) {
		if len(strings.TrimRight(line, "\n")) > 60 {
			t.Errorf("%q is wider than the terminal", line)
		}
	}
	// A terminal that is hopelessly narrow still shows words.
	out.Reset()
	table = NewTable(&out, "component", "state", "seen")
	table.Fit(10)
	table.Row("schema-registry", "present", "it runs since 12:00:00")
	if err := table.Flush(); err != nil || !strings.Contains(out.String(), "it runs since 12:00:00") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// A step that was not begun is said to be so once.
func TestNotBegunOnce(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := NewPlain(&b)
	p.Event(event.Event{Kind: event.Skipped, Step: "kafka", Text: "addresses failed"})
	if got := b.String(); !strings.Contains(got, "kafka") || !strings.Contains(got, "not begun: addresses failed") || strings.Count(got, "not begun") != 1 {
		t.Errorf("got %q", got)
	}
}
