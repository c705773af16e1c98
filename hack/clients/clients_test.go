package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
)

func TestChoose(t *testing.T) {
	all := []client{{name: "a"}, {name: "b"}, {name: "c"}}
	for _, c := range []struct {
		only string
		want []selection
	}{
		{"", []selection{{client: all[0]}, {client: all[1]}, {client: all[2]}}},
		{"b", []selection{{client: all[1]}}},
		{"c, a", []selection{{client: all[0]}, {client: all[2]}}},
		{"b/x,b/y", []selection{{all[1], []string{"x", "y"}}}},
		{"b/x,b", []selection{{client: all[1]}}},
		{"c/z,a", []selection{{client: all[0]}, {all[2], []string{"z"}}}},
	} {
		got, err := choose(all, c.only)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q chooses %v (%v), want %v", c.only, got, err, c.want)
		}
	}
	for _, only := range []string{"d", "a,", "a/", "a,d/x", "A"} {
		if got, err := choose(all, only); fault.CodeOf(err) != fault.BadInput || !strings.Contains(err.Error(), "there are a, b, c") {
			t.Errorf("%q chooses %v (%v)", only, got, err)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := options([]string{"--only", "kcat", "--output", "json", "--keep"}, io.Discard)
	if err != nil || len(o.chosen) != 1 || o.output != "json" || !o.keep {
		t.Errorf("%+v (%v)", o, err)
	}
	if o, err = options(nil, io.Discard); err != nil || len(o.chosen) != len(clients) || o.output != "table" || o.keep {
		t.Errorf("without words: %+v (%v)", o, err)
	}
	for _, words := range [][]string{{"kcat"}, {"--output", "xml"}, {"--only", "cat"}, {"--nope"}} {
		if _, err := options(words, io.Discard); fault.CodeOf(err) != fault.BadInput {
			t.Errorf("%q: %v", words, err)
		}
	}
}

// Every program is some client's, and every client's program is there.
func TestEveryProgramRuns(t *testing.T) {
	var want []string
	for _, c := range clients {
		path := filepath.Join("python", c.file)
		if slices.Contains(c.needs, java) {
			path = filepath.Join("java", c.file)
		}
		want = append(want, path)
	}
	got, err := filepath.Glob("python/check_*.py")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("java/*.java")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, sources...)
	slices.Sort(got)
	slices.Sort(want)
	want = slices.Compact(want)
	if !slices.Equal(got, want) {
		t.Errorf("there are the programs %q, and the clients have %q", got, want)
	}
}

func TestNeeded(t *testing.T) {
	got := needed([]selection{{client: client{needs: []tool{kcat, python}}}, {client: client{needs: []tool{python}}}, {client: client{needs: []tool{java}}}})
	if want := []tool{kcat, python, java}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := needed(nil); len(got) != 0 {
		t.Errorf("nothing needs %q", got)
	}
}

func TestRead(t *testing.T) {
	const plan = `{"version": "x 1", "plan": ["one", "two"], "unknown": []}` + "\n"
	const one = `{"check": "one", "sentence": "it is one", "evidence": "1", "seconds": 0.5}` + "\n"
	const two = `{"check": "two", "sentence": "it is two", "evidence": "", "seconds": 1}` + "\n"
	exit := errors.New("exit status 1")
	for name, c := range map[string]struct {
		out  string
		exit error
		want []string // check: outcome reason
	}{
		"all is well":           {plan + one + two, nil, []string{"one: passed ", "two: passed "}},
		"a failure":             {plan + `{"check": "one", "error": "AssertionError: 1 is 2", "seconds": 0}` + "\n" + two, exit, []string{"one: failed AssertionError: 1 is 2", "two: passed "}},
		"nothing":               {"", exit, []string{"program: failed it told no plan: exit status 1"}},
		"nothing, and well":     {"", nil, []string{"program: failed it told no plan: <nil>"}},
		"it died":               {plan + one, exit, []string{"one: passed ", "two: failed the program ended without a result: exit status 1"}},
		"it left early":         {plan + one, nil, []string{"one: passed ", "two: failed the program ended without a result: <nil>"}},
		"no check":              {`{"version": "x", "plan": []}` + "\n", nil, []string{"program: failed it plans no check"}},
		"an unknown check":      {`{"version": "x", "plan": [], "unknown": ["three"]}` + "\n", exit, []string{"three: failed there is no such check"}},
		"not planned":           {plan + one + two + `{"check": "three", "seconds": 0}` + "\n", nil, []string{"one: passed ", "two: passed ", `program: failed it tells of the check "three", which it did not plan`}},
		"twice":                 {plan + one + one + two, nil, []string{"one: passed ", "one: failed it is told twice", "two: passed "}},
		"a result before it":    {one + plan, nil, []string{`program: failed it tells of the check "one", which it did not plan`, "one: failed the program ended without a result: <nil>", "two: failed the program ended without a result: <nil>"}},
		"another exit":          {plan + one + two, exit, []string{"one: passed ", "two: passed ", "program: failed every check passed, and yet: exit status 1"}},
		"no JSON":               {plan + "Traceback\n", exit, []string{"program: failed its output is not understood: invalid character 'T' looking for beginning of value: Traceback"}},
		"an unknown field":      {plan + `{"check": "one", "skipped": true}` + "\n", nil, []string{`program: failed its output is not understood: json: unknown field "skipped": {"check": "one", "skipped": true}`}},
		"a line without an end": {strings.TrimSuffix(plan+one+two, "\n"), nil, []string{"one: passed ", "two: passed "}},
	} {
		r := read([]byte(c.out), c.exit)
		var got []string
		for _, check := range r.Checks {
			got = append(got, check.Name+": "+check.Outcome+" "+check.Reason)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
		if r.failed() != (strings.Contains(strings.Join(c.want, "\n"), ": failed")) {
			t.Errorf("%s: failed is %t", name, r.failed())
		}
	}
	long := strings.Repeat("é", maxReason)
	r := read([]byte(plan+`{"check": "one", "error": "`+long+`"}`+"\n"+two), exit)
	if got := r.Checks[0].Reason; len(got) > maxReason+3 || !strings.HasSuffix(got, "é...") {
		t.Errorf("a long reason has %d bytes and ends with %q", len(got), got[len(got)-8:])
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"version": "x 1", "plan": ["one"]}` + "\n" + `{"check": "one"}`))
	f.Add([]byte(`{"version": null}`))
	f.Add([]byte("\x00\n{}"))
	f.Fuzz(func(t *testing.T, out []byte) {
		r := read(out, nil)
		if len(r.Checks) == 0 {
			t.Errorf("%q is a report without a check", out)
		}
	})
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	err := writeTable(&out, []report{
		{Client: "one", Version: "one 1.0", Seconds: 2.04, Checks: []result{{Name: "logs-in", Sentence: "it logs in", Outcome: passedOutcome, Seconds: 0.123, Evidence: "6 brokers"}}},
		{Client: "two", Version: "two 2", Seconds: 1, Said: "Traceback", Checks: []result{
			{Name: "reads", Sentence: "it reads", Outcome: passedOutcome},
			{Name: "writes", Sentence: "it writes", Outcome: failedOutcome, Seconds: 10, Reason: "refused\n  by all"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `  CLIENT  CHECK    SECONDS  SENTENCE    SEEN
✓ one     logs-in  0.12     it logs in  6 brokers
✓ two     reads    0.00     it reads    
✗ two     writes   10.00    it writes   failed: refused by all

one: 1 passed in 2.0 s (one 1.0)
two: 1 passed, 1 failed in 1.0 s (two 2)

two said:
Traceback
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestEnvironment(t *testing.T) {
	card := endpoints.Endpoints{
		Kafka:     endpoints.Kafka{Brokers: []endpoints.Broker{{ID: 6, Address: "127.0.0.11:9094"}, {ID: 7, Address: "127.0.0.12:9094"}}},
		Users:     []endpoints.User{{Name: "root", Role: endpoints.Superuser}, {Name: "antares", Role: endpoints.Reader}, {Name: "lasair", Role: endpoints.Reader}},
		Simulator: endpoints.Simulator{Topic: "alerts", StaticTopic: "static", Alerts: 20},
	}
	got, err := environment(map[string]string{"KAFKA_USERNAME": "antares"}, map[string]string{"KAFKA_USERNAME": "root"}, card)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ADMIN_KAFKA_USERNAME=root", "ALERTLAB_BROKERS=6=127.0.0.11:9094,7=127.0.0.12:9094", "ALERTLAB_OTHER_USER=lasair",
		"ALERTLAB_TOPIC=alerts", "ALERTLAB_UNGRANTED_TOPIC=static", "ALERTLAB_VISIT=20", "KAFKA_USERNAME=antares",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	card.Users = card.Users[:2]
	if _, err := environment(nil, nil, card); err == nil {
		t.Error("one community user is enough")
	}
}

func TestOwnEnvironmentStaysOut(t *testing.T) {
	for name, value := range map[string]string{
		"ALERTLAB_LAB": "mine", "ALERTLAB_SAMPLES": "folder", "KAFKA_PASSWORD": "mine", "AWS_ACCESS_KEY_ID": "mine",
		"AWS_CA_BUNDLE": "bundle", "SCHEMA_REGISTRY_URL": "mine", "PIP_CERT": "cert",
	} {
		t.Setenv(name, value)
	}
	l := newLab("alertlab", "work")
	for _, entry := range l.environ {
		if strings.HasSuffix(entry, "=mine") {
			t.Errorf("%s is passed on", entry)
		}
	}
	for _, entry := range []string{"ALERTLAB_SAMPLES=folder", "AWS_CA_BUNDLE=bundle", "PIP_CERT=cert", "ALERTLAB_STATE_DIR=" + filepath.Join("work", "state")} {
		if !slices.Contains(l.environ, entry) {
			t.Errorf("%s is not passed on", entry)
		}
	}
}

func TestJavaVersion(t *testing.T) {
	for text, want := range map[string]int{
		"openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment": 17,
		`openjdk version "21" 2023-09-19`:                                     21,
		`java version "1.8.0_412"`:                                            8,
		"":                                                                    0,
		"java: command not found":                                             0,
	} {
		if got := javaVersion(text); got != want {
			t.Errorf("%q is Java %d, want %d", text, got, want)
		}
	}
}

func TestLastLines(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"a\nb\n", "a\nb"},
		{"a\nb\nc\nd", "(2 lines before)\nc\nd"},
	} {
		if got := lastLines(c.text, 2); got != c.want {
			t.Errorf("%q ends with %q, want %q", c.text, got, c.want)
		}
	}
}

func TestKey(t *testing.T) {
	a := key([]byte("ab"), []byte("c"))
	if b := key([]byte("a"), []byte("bc")); a == b || len(a) != 16 {
		t.Errorf("the keys are %q and %q", a, b)
	}
	if b := key([]byte("ab"), []byte("c")); a != b {
		t.Errorf("the same content has the keys %q and %q", a, b)
	}
}

// What is complete is used, what is not is made again, and old versions go.
func TestInstall(t *testing.T) {
	tl := &tools{cache: t.TempDir(), say: t.Logf}
	made := 0
	do := func(fail error) func() (string, error) {
		return func() (string, error) {
			return tl.install(t.Context(), "x", "2", func(_ context.Context, folder string) error {
				made++
				if err := os.MkdirAll(folder, 0o755); err != nil {
					return err
				}
				if _, err := os.Stat(filepath.Join(folder, "half")); err == nil {
					t.Error("it is made on top of a half of it")
				}
				if err := os.WriteFile(filepath.Join(folder, "half"), nil, 0o644); err != nil {
					return err
				}
				return fail
			})
		}
	}
	folders := map[string]time.Duration{"x-0": 8 * 24 * time.Hour, "x-1": time.Hour, "y-1": 8 * 24 * time.Hour} // by age
	for folder, age := range folders {
		folder = filepath.Join(tl.cache, folder)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		stamp, at := filepath.Join(folder, complete), time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(stamp, nil, 0o644), os.Chtimes(stamp, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := do(errors.New("no network"))(); err == nil {
		t.Error("a failure is told as a success")
	}
	for range 2 {
		folder, err := do(nil)()
		if err != nil || folder != filepath.Join(tl.cache, "x-2") {
			t.Errorf("%q (%v)", folder, err)
		}
	}
	if made != 2 {
		t.Errorf("it was made %d times, want 2: once in vain", made)
	}
	var left []string
	entries, err := os.ReadDir(tl.cache)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{"x-1", "x-2", "y-1"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("there are %q (%v), want %q: what is old goes, what is another client's stays", left, err, want)
	}
}

// One run installs at a time, and who waits can be interrupted.
func TestLock(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	release, err := (&tools{say: t.Logf}).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan struct{})
	second := &tools{say: func(string, ...any) { close(waiting) }}
	got := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := second.open(ctx)
		got <- err
	}()
	<-waiting
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("who waited ended with %v", err)
	}
	release()
	release()
	if release, err = (&tools{say: t.Logf}).open(t.Context()); err != nil {
		t.Fatal(err)
	}
	release()
}

// Whoever may not install is told what to install.
func TestAptGetIsNotForEverybody(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := aptGet(t.Context(), t.Logf, []string{"kcat", "maven"})
	if err == nil || !strings.Contains(fault.Text(err), "apt-get install kcat maven") || !strings.Contains(err.Error(), "clients are missing") {
		t.Errorf("without apt-get: %v", err)
	}
}

func TestProgram(t *testing.T) {
	tl := &tools{source: "src", venv: "venv", jars: "jars"}
	if got := tl.program(client{file: "check_x.py"}); !slices.Equal(got, []string{"venv/bin/python", "src/python/check_x.py"}) {
		t.Errorf("Python: %q", got)
	}
	if got := tl.program(client{file: "X.java"}); !slices.Equal(got, []string{"java", "-cp", "jars/*", "src/java/X.java"}) {
		t.Errorf("Java: %q", got)
	}
}
