package smoke

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew")

func sampleReport() Report {
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	return Report{
		Lab: "main", Profile: "usdfdev", Provider: "embedded",
		Started: at, Duration: 2340 * time.Millisecond, Seed: 1234,
		Results: []Result{
			{
				Check: "brokers-answer", Sentence: "every broker answers at its own address", Status: Passed,
				Evidence: "brokers 6 7 8 9 10 11, bootstrap 127.0.0.10:9094", Started: at, Duration: 41 * time.Millisecond,
			},
			{
				Check: "reader-refused", Sentence: "a wrong password, another's group, a write and an ungranted topic are refused",
				Status: Failed, Reason: `expected "a" < b & c; saw a write that was allowed`,
				Expected: `"a" < b & c`, Seen: "a write\nthat was \x1ballowed", Next: "alertlab plan",
				Started: at.Add(time.Second), Duration: 1200 * time.Millisecond,
			},
			{
				Check: "unknown-ids", Sentence: "unknown ids give 404", Status: Skipped,
				Reason: "the card has no alert database", Started: at,
			},
			{
				Check: "visit-cadence", Sentence: "two visits start one interval apart, within a second", Status: Failed,
				Reason: "expected a visit; saw none", Expected: "a visit", Seen: "none", Evidence: "3 of µ",
				Started: at, Duration: 2300 * time.Millisecond,
			},
		},
	}
}

func TestRenderings(t *testing.T) {
	t.Parallel()
	r := sampleReport()
	short := sampleReport()
	short.Results = short.Results[:1]
	series := Series{Wanted: 4, Started: r.Started, Runs: []Report{short, r}}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"table.txt":        func(b *bytes.Buffer) error { return r.Table(b, TableOptions{}) },
		"table-color.txt":  func(b *bytes.Buffer) error { return r.Table(b, TableOptions{Color: true}) },
		"junit.xml":        func(b *bytes.Buffer) error { return r.JUnit(b) },
		"report.json":      func(b *bytes.Buffer) error { return r.JSON(b) },
		"table-narrow.txt": func(b *bytes.Buffer) error { return r.Table(b, TableOptions{Width: 60}) },
		"series.json":      func(b *bytes.Buffer) error { return series.JSON(b) },
		"series.xml":       func(b *bytes.Buffer) error { return series.JUnit(b) },
		"list.txt":         func(b *bytes.Buffer) error { return List(b, All(), TableOptions{Width: 80}) },
		"list.json":        func(b *bytes.Buffer) error { return ListJSON(b, All()[:2]) },
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s differs (go test -update writes it anew); got:\n%s", path, got.String())
			}
		})
	}
}

func TestRenderingsAreReadable(t *testing.T) {
	t.Parallel()
	r := sampleReport()
	var out bytes.Buffer
	if err := r.JUnit(&out); err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Failures int `xml:"failures,attr"`
		Suite    struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Text string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(out.Bytes(), &suites); err != nil {
		t.Fatal(err)
	}
	if suites.Failures != 2 || len(suites.Suite.Cases) != 4 || suites.Suite.Cases[1].Failure == nil ||
		!strings.Contains(suites.Suite.Cases[1].Failure.Text, `"a" < b & c`) {
		t.Errorf("read back as %+v", suites)
	}

	out.Reset()
	if err := r.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OK     bool
		Checks []struct{ Name, Status string }
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OK || len(doc.Checks) != 4 || doc.Checks[2].Status != "skipped" {
		t.Errorf("read back as %+v", doc)
	}

	out.Reset()
	if err := (Report{}).JSON(&out); err != nil || !strings.Contains(out.String(), `"checks": []`) {
		t.Errorf("empty report: %v\n%s", err, out.String())
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		width int
		want  []string
	}{
		{"", 10, []string{""}},
		{"one two three", 20, []string{"one two three"}},
		{"one two three", 7, []string{"one two", "three"}},
		{"µµµ µµµ", 7, []string{"µµµ µµµ"}},
		{"a-word-of-some-length b", 6, []string{"a-word", "-of-so", "me-len", "gth b"}},
	} {
		if got := wrap(c.text, c.width); strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%q in %d: %q", c.text, c.width, got)
		}
	}
}

// No line of what a terminal of 80 columns gets is longer.
func TestNarrowTable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for _, width := range []int{60, 80} {
		b.Reset()
		o := TableOptions{Width: width}
		if err := errors.Join(sampleReport().Table(&b, o), List(&b, All(), o)); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
				t.Errorf("%d columns in a terminal of %d: %q", n, width, line)
			}
		}
	}
}

// docs/ci.md names every key of the JSON documents and every element of the XML.
func TestDocumentedReports(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{Document{}, DocumentCheck{}, jsonSeries{}, junitSuite{}, junitCase{}, junitFailure{}, junitSkipped{}} {
		shape := reflect.TypeOf(v)
		for i := range shape.NumField() {
			tag := shape.Field(i).Tag
			name, _, _ := strings.Cut(tag.Get("json")+tag.Get("xml"), ",")
			name, _, _ = strings.Cut(name, ">")
			if name != "" && !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("docs/ci.md does not name %s of %s", name, shape.Name())
			}
		}
	}
}
