package run_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/run"
)

// fullDisk is the environment variable under which this binary is a process whose
// files may not grow beyond a limit; see TestFullDisk.
const fullDisk = "ALERTLAB_TEST_FULL_DISK"

func TestMain(m *testing.M) {
	if path := os.Getenv(fullDisk); path != "" {
		if err := fillDisk(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func entry(step string, action plan.Action, n int) run.Entry {
	return run.Entry{Step: step, Action: action, Input: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)), Outputs: map[string]string{"n": fmt.Sprint(n)}}
}

func names(entries []run.Entry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Step+"="+e.Outputs["n"])
	}
	return out
}

func open(t *testing.T, path string) *run.Journal {
	t.Helper()
	j, err := run.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestJournal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j := open(t, path)
	for _, e := range []run.Entry{
		entry("kafka", plan.Create, 1), entry("topics", plan.Create, 2), entry("kafka", plan.Update, 3),
		entry("store", plan.Create, 4), entry("store", plan.Remove, 5),
	} {
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	// The last entry of each part counts, and a removed part has none: in this
	// process, in one that only reads, and in the next owner.
	want := []string{"topics=2", "kafka=3"}
	if got := names(j.Entries()); !slices.Equal(got, want) {
		t.Errorf("entries: %v, want %v", got, want)
	}
	read, err := run.ReadJournal(path)
	if err != nil || !slices.Equal(names(read), want) {
		t.Errorf("read: %v, %v, want %v", names(read), err, want)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, path)
	if got := names(again.Entries()); !slices.Equal(got, want) {
		t.Errorf("next owner: %v, want %v", got, want)
	}
	// Opening dropped what no longer counts.
	if text := read1(t, path); strings.Count(text, "\n") != 2 || strings.Contains(text, "store") {
		t.Errorf("the file is\n%s", text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := again.Append(entry("users", plan.Create, 6)); err != nil {
		t.Fatal(err)
	}
	outputs := run.Outputs(again.Entries())
	if len(outputs) != 3 || !maps.Equal(outputs["users"], map[string]string{"n": "6"}) {
		t.Errorf("outputs: %v", outputs)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".journal-*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
}

// A step that began counts until the end of the same part's next step, in this
// process and in the next owner, however many began.
func TestJournalBegun(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j := open(t, path)
	begin := func(step string, n int) {
		t.Helper()
		e := entry(step, plan.Update, n)
		e.Resolved, e.Outputs = e.Input, nil
		if err := j.Begin(e); err != nil {
			t.Fatal(err)
		}
	}
	end := func(step string, action plan.Action, n int) {
		t.Helper()
		e := entry(step, action, n)
		e.Resolved = e.Input
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	begin("topics", 1)
	end("topics", plan.Create, 1)
	begin("topics", 2) // failed, three times, with two inputs
	begin("topics", 3)
	begin("topics", 2)
	begin("users", 4) // the first of its part
	begin("store", 5)
	end("store", plan.Remove, 5)
	begin("kafka", 6)
	end("kafka", plan.Create, 6)
	check := func(what string, entries []run.Entry) {
		t.Helper()
		for part, want := range map[string][]string{"topics": {"1", "3", "2"}, "users": {"", "4"}, "store": {""}, "kafka": {"6"}} {
			finished, begun := run.Last(entries, part)
			number := func(e run.Entry) string {
				return strings.TrimSuffix(strings.TrimPrefix(string(e.Resolved), `{"n":`), "}")
			}
			got := []string{number(finished)}
			for _, b := range begun {
				if !b.Begun {
					t.Errorf("%s: %s: %+v began and does not say so", what, part, b)
				}
				got = append(got, number(b))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s: finished and begun %q, want %q", what, part, got, want)
			}
		}
		if out := run.Outputs(entries); len(out) != 2 || out["topics"]["n"] != "1" {
			t.Errorf("%s: outputs %v", what, out)
		}
	}
	check("this process", j.Entries())
	read, err := run.ReadJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	check("a reader", read)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	check("the next owner", open(t, path).Entries())
	if text := read1(t, path); strings.Count(text, "\n") != 5 {
		t.Errorf("the file is\n%s", text)
	}
}

func read1(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNoJournal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	if entries, err := run.ReadJournal(path); err != nil || len(entries) != 0 {
		t.Errorf("got %v, %v", entries, err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("reading made the journal")
	}
	if _, err := run.OpenJournal(filepath.Join(t.TempDir(), "none", "journal.jsonl")); err == nil {
		t.Error("a journal was opened in no directory")
	}
}

// What a crash can leave, and what only a person can.
func TestBrokenJournal(t *testing.T) {
	t.Parallel()
	good, err := json.Marshal(entry("kafka", plan.Create, 1))
	if err != nil {
		t.Fatal(err)
	}
	line := string(good) + "\n"
	tests := map[string]struct {
		text string
		want []string
		err  string // behind the path
	}{
		"torn":                  {line + line[:len(line)/2], []string{"kafka=1"}, ""},
		"whole, no newline":     {strings.Replace(line, "kafka", "topics", 1) + string(good), []string{"topics=1", "kafka=1"}, ""},
		"zeros after a crash":   {line + strings.Repeat("\x00", 512), []string{"kafka=1"}, ""},
		"only a torn line":      {line[:10], nil, ""},
		"corrupt in the middle": {line + "{\"step\":\n" + line, nil, ":2: unexpected end of JSON input"},
		"an empty line":         {line + "\n" + line, nil, ":2: unexpected end of JSON input"},
		"not an entry":          {line + "{}\n" + line, nil, ":2: the entry names no step"},
		"too long a line":       {line + `{"step":"` + strings.Repeat("x", 17<<20) + "\"}\n", nil, ":2: bufio.Scanner: token too long"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "journal.jsonl")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			entries, err := run.ReadJournal(path)
			if test.err != "" {
				if err == nil || err.Error() != path+test.err {
					t.Errorf("got %v, want %s", err, test.err)
				}
				if _, err := run.OpenJournal(path); err == nil {
					t.Error("it was opened all the same")
				}
				// A journal that cannot be read is left for a person to mend.
				if read1(t, path) != test.text {
					t.Error("the file was changed")
				}
				return
			}
			if err != nil || !slices.Equal(names(entries), test.want) {
				t.Fatalf("got %v, %v, want %v", names(entries), err, test.want)
			}
			// The next owner goes on behind what is whole.
			j := open(t, path)
			if err := j.Append(entry("users", plan.Create, 2)); err != nil {
				t.Fatal(err)
			}
			entries, err = run.ReadJournal(path)
			if want := append(slices.Clone(test.want), "users=2"); err != nil || !slices.Equal(names(entries), want) {
				t.Errorf("afterwards %v, %v, want %v", names(entries), err, want)
			}
		})
	}
}

// Whoever reads while another opens sees the journal before or after, never half
// of it.
func TestRewriteIsAtomic(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j := open(t, path)
	const parts = 200
	for i := range parts {
		if err := j.Append(entry(fmt.Sprintf("part-%d", i), plan.Create, i)); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for range 30 {
			j, err := run.OpenJournal(path)
			if err != nil {
				t.Error(err)
				return
			}
			j.Close()
		}
	})
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		if entries, err := run.ReadJournal(path); err != nil || len(entries) != parts {
			t.Errorf("%d entries, %v", len(entries), err)
			break
		}
	}
	wg.Wait()
}

func TestAppendSideBySide(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j := open(t, path)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := j.Append(entry(fmt.Sprintf("part-%d", i), plan.Create, i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if entries, err := run.ReadJournal(path); err != nil || len(entries) != 20 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// A line that could be written only in part, because the disk is full, does not
// spoil the lines after it. A limit on the size of files stands for the disk, in
// a process of its own.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), fullDisk+"="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	entries, err := run.ReadJournal(path)
	if want := []string{"before=1", "after=3"}; err != nil || !slices.Equal(names(entries), want) {
		t.Errorf("got %v, %v, want %v", names(entries), err, want)
	}
}

func fillDisk(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	j, err := run.OpenJournal(path)
	if err != nil {
		return err
	}
	if err := j.Append(entry("before", plan.Create, 1)); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	limit := syscall.Rlimit{Cur: uint64(info.Size()) + 20, Max: 1 << 30}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := j.Append(entry("cut", plan.Create, 2)); err == nil {
		return fmt.Errorf("a line went over the limit")
	}
	if got := names(j.Entries()); !slices.Equal(got, []string{"before=1"}) {
		return fmt.Errorf("a line that was not written counts: %v", got)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	return j.Append(entry("after", plan.Create, 3))
}

// A journal is a file that anything may have happened to: reading it gives entries
// that can be written and read again, or an error that says where.
func FuzzReadJournal(f *testing.F) {
	line, err := json.Marshal(entry("kafka", plan.Create, 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(line, '\n'))
	f.Add(append(line, line[:20]...))
	f.Add([]byte("null\n"))
	f.Add([]byte("{}\n{\"step\":\"a\",\"action\":\"remove\"}\n"))
	f.Add([]byte("{\"step\":\"a\",\"outputs\":{\"x\":\"\xff\"}}\n\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "journal.jsonl")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		read, err := run.ReadJournal(path)
		if err != nil {
			if !strings.HasPrefix(err.Error(), path+":") || read != nil {
				t.Fatalf("%v, and %d entries", err, len(read))
			}
			return
		}
		j, err := run.OpenJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		again, err := run.ReadJournal(path)
		if err != nil || !slices.Equal(names(again), names(read)) || !slices.Equal(names(j.Entries()), names(read)) {
			t.Fatalf("%v became %v, %v", names(read), names(again), err)
		}
	})
}
