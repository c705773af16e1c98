package smoke

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alertlab/alertlab/endpoints"
)

// fixed is a check that ends as it is told.
func fixed(name string, ev Evidence, err error) Check {
	return Check{Name: name, Sentence: name + " is so", Run: func(context.Context, *Env) (Evidence, error) { return ev, err }}
}

func TestAllChecksAreWellFormed(t *testing.T) {
	t.Parallel()
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	for _, c := range All() {
		if !kebab.MatchString(c.Name) || seen[c.Name] {
			t.Errorf("name %q is not kebab-case or not unique", c.Name)
		}
		seen[c.Name] = true
		if c.Sentence == "" || strings.HasSuffix(c.Sentence, ".") || c.Run == nil || len(c.Needs) == 0 {
			t.Errorf("%s: sentence, needs or run is missing", c.Name)
		}
	}
}

func TestEmptyCardSkipsEverythingWithAReason(t *testing.T) {
	t.Parallel()
	r, err := Run(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != len(All()) || !r.OK() {
		t.Errorf("%d results, OK %v", len(r.Results), r.OK())
	}
	for _, res := range r.Results {
		if res.Status != Skipped || !strings.HasPrefix(res.Reason, "the c") && !strings.HasPrefix(res.Reason, "disruptive checks run with") {
			t.Errorf("%s: %s %q, want skipped because of what the card lacks", res.Check, res.Status, res.Reason)
		}
	}
}

func TestOnlyAndSkip(t *testing.T) {
	t.Parallel()
	checks := []Check{fixed("a", "", nil), fixed("b", "", nil), fixed("c", "", nil)}
	r, err := Run(context.Background(), Options{Checks: checks, Only: []string{"c", "a"}, Skip: []string{"c"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 2 || r.Results[0].Check != "a" || r.Results[0].Status != Passed ||
		r.Results[1].Check != "c" || r.Results[1].Status != Skipped || r.Results[1].Reason != "asked to skip it" {
		t.Errorf("%+v", r.Results)
	}
	if len(checks) != 3 || checks[1].Name != "b" {
		t.Error("the caller's checks were changed")
	}
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		options Options
		name    string
		nearest string
	}{
		{Options{Only: []string{"visit-cadense"}}, "visit-cadense", "visit-cadence"},
		{Options{Skip: []string{"broker-answers"}}, "broker-answers", "brokers-answer"},
		{Options{Only: []string{"brokers-answer", "registry"}}, "registry", "registry-read-only"},
		{Options{Only: []string{"Cadence"}}, "Cadence", "visit-cadence"},
		{Options{Only: []string{""}}, "", "every-reader"},
	} {
		_, err := Run(context.Background(), c.options)
		var unknown *UnknownCheckError
		if !errors.As(err, &unknown) || unknown.Name != c.name {
			t.Errorf("%+v: error %v", c.options, err)
			continue
		}
		if c.name != "" && (unknown.Nearest[0] != c.nearest || !strings.Contains(err.Error(), c.nearest)) {
			t.Errorf("%q: nearest %v, want %s first", c.name, unknown.Nearest, c.nearest)
		}
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection refused")
	stuck := fixed("stuck", "", nil)
	stuck.Run = func(ctx context.Context, e *Env) (Evidence, error) {
		e.Waiting("the first visit")
		<-ctx.Done()
		return "", ctx.Err()
	}
	needy := fixed("needy", "", nil)
	needy.Needs = []Need{{Name: "moon", Missing: func(*Env) string { return "there is no moon" }}}
	patient := fixed("patient", "", nil)
	patient.Wait = func(*Env) time.Duration { return time.Hour }
	patient.Run = func(ctx context.Context, e *Env) (Evidence, error) {
		deadline, _ := ctx.Deadline()
		return evidence("%v", time.Until(deadline) > 59*time.Minute), nil
	}
	var waits []string
	r, err := Run(context.Background(), Options{
		Checks: []Check{
			fixed("good", "42 of 42", nil),
			fixed("bad", "41 of 42", &Failure{Expected: "42", Seen: "41", Next: "alertlab mend", Err: cause}),
			fixed("ugly", "", cause),
			fixed("moot", "", &Skip{Reason: "nothing there"}),
			stuck, needy, patient,
		},
		Timeout: 100 * time.Millisecond,
		Waiting: func(check, what string) { waits = append(waits, check+": "+what) },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		status             Status
		reason, seen, next string
		evidence           Evidence
	}{
		{Passed, "", "", "", "42 of 42"},
		{Failed, "expected 42; saw 41", "41", "alertlab mend", "41 of 42"},
		{Failed, "expected that ugly is so; saw connection refused", "connection refused", "alertlab status", ""},
		{Skipped, "nothing there", "", "", ""},
		{Failed, "expected an answer within 100ms; saw it still waited for the first visit", "it still waited for the first visit", "alertlab status", ""},
		{Skipped, "there is no moon", "", "", ""},
		{Passed, "", "", "", "true"},
	}
	for i, w := range want {
		got := r.Results[i]
		if got.Status != w.status || got.Reason != w.reason || got.Seen != w.seen || got.Next != w.next || got.Evidence != w.evidence {
			t.Errorf("%s: %+v\nwant %+v", got.Check, got, w)
		}
	}
	if r.OK() || r.Count(Failed) != 3 || r.Count(Passed) != 2 || r.Count(Skipped) != 2 {
		t.Errorf("counts: %d %d %d", r.Count(Passed), r.Count(Failed), r.Count(Skipped))
	}
	if !slices.Equal(waits, []string{"stuck: the first visit"}) {
		t.Errorf("waits %q", waits)
	}
}

func TestSideBySideIsBoundedAndTheReportOrdered(t *testing.T) {
	t.Parallel()
	const n, parallel = 8, 3
	var now, most atomic.Int32
	// The first ones wait for each other, so that they must run together.
	together := make(chan struct{})
	var checks []Check
	for i := range n {
		c := fixed(string(rune('a'+i)), "", nil)
		c.Run = func(ctx context.Context, _ *Env) (Evidence, error) {
			running := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); running > m && !most.CompareAndSwap(m, running); m = most.Load() {
			}
			if running == parallel {
				close(together)
			}
			select {
			case <-together:
				return "", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		if i >= parallel {
			c.Run = func(context.Context, *Env) (Evidence, error) {
				running := now.Add(1)
				defer now.Add(-1)
				for m := most.Load(); running > m && !most.CompareAndSwap(m, running); m = most.Load() {
				}
				return "", nil
			}
		}
		checks = append(checks, c)
	}
	told, telling := 0, false
	r, err := Run(context.Background(), Options{Checks: checks, Parallel: parallel, Observer: func(Result) {
		if telling {
			t.Error("two results told at once")
		}
		telling = true
		told++
		telling = false
	}})
	if err != nil {
		t.Fatal(err)
	}
	if most.Load() != parallel || told != n || !r.OK() {
		t.Errorf("%d at once, want %d; %d told; report %+v", most.Load(), parallel, told, r.Results)
	}
	for i, res := range r.Results {
		if res.Check != checks[i].Name {
			t.Errorf("place %d has %s", i, res.Check)
		}
	}
}

func TestStoppedRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	stop := fixed("stop", "", nil)
	stop.Run = func(ctx context.Context, _ *Env) (Evidence, error) { cancel(); return "", ctx.Err() }
	r, err := Run(ctx, Options{Checks: []Check{stop, fixed("later", "", nil)}, Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r.Results[0].Status != Failed || r.Results[0].Seen != "the run was stopped" {
		t.Errorf("%+v", r.Results[0])
	}
	if r.Results[1].Status != Skipped || !strings.Contains(r.Results[1].Reason, "stopped") {
		t.Errorf("%+v", r.Results[1])
	}
}

func TestCAFileMustHoldCertificates(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{empty: "no PEM certificate", empty + ".gone": "no such file"} {
		_, err := Run(context.Background(), Options{Endpoints: endpoints.Endpoints{Kafka: endpoints.Kafka{CAFile: path}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
}

// Disruptive checks run only when allowed, after all others, one at a time.
func TestDisruptiveChecksComeLast(t *testing.T) {
	t.Parallel()
	var others, disruptive, most atomic.Int32
	one := func(name string, bad bool) Check {
		c := fixed(name, "", nil)
		c.Disruptive = bad
		c.Run = func(context.Context, *Env) (Evidence, error) {
			if !bad {
				others.Add(1)
				return "", nil
			}
			most.Store(max(most.Load(), disruptive.Add(1)))
			defer disruptive.Add(-1)
			if others.Load() != 2 {
				return "", errors.New("others still run")
			}
			return "", nil
		}
		return c
	}
	checks := []Check{one("a", true), one("b", false), one("c", true), one("d", false)}
	r, err := Run(t.Context(), Options{Checks: checks, Disruptive: true})
	if err != nil || r.Count(Passed) != 4 || most.Load() != 1 {
		t.Errorf("%+v, %v, %d at once", r.Results, err, most.Load())
	}
	r, err = Run(t.Context(), Options{Checks: checks})
	if err != nil || r.Count(Passed) != 2 || r.Results[0].Reason != "disruptive checks run with --disruptive only" {
		t.Errorf("%+v, %v", r.Results, err)
	}
}

func TestRepeat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failing   int // the run that fails, from 1
		keepGoing bool
		runs      int
		sentence  string
	}{
		{0, false, 4, "4 of 4 runs made, 0 failed"},
		{2, false, 2, "2 of 4 runs made, 1 failed"},
		{2, true, 4, "4 of 4 runs made, 1 failed"},
		{4, false, 4, "4 of 4 runs made, 1 failed"},
	} {
		run, told := 0, 0
		var seeds []uint64
		once := fixed("a", "", nil)
		once.Run = func(_ context.Context, e *Env) (Evidence, error) {
			run++
			seeds = append(seeds, e.Seed)
			if run == c.failing {
				return "", &Failure{Expected: "an end", Seen: "none"}
			}
			return "", nil
		}
		s, err := Repeat(t.Context(), Options{Checks: []Check{once}, Seed: 7}, 4, c.keepGoing, func(Report) { told++ })
		if err != nil || len(s.Runs) != c.runs || told != c.runs || s.Sentence() != c.sentence || s.OK() != (c.failing == 0) {
			t.Errorf("failing %d, keep going %t: %d runs, %d told, %q, %v", c.failing, c.keepGoing, len(s.Runs), told, s.Sentence(), err)
		}
		for i, seed := range seeds {
			if seed != 7+uint64(i) {
				t.Errorf("seeds are %v", seeds)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Repeat(ctx, Options{Checks: []Check{fixed("a", "", nil)}}, 3, true, func(Report) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
