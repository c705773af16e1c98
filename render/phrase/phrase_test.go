package phrase

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/alertlab/alertlab/lab/event"
)

func TestTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d              time.Duration
		elapsed, about string
	}{
		{-time.Second, "0.0s", "0s"},
		{0, "0.0s", "0s"},
		{840 * time.Millisecond, "0.8s", "1s"},
		{59940 * time.Millisecond, "59.9s", "1m00s"},
		{59970 * time.Millisecond, "1m00s", "1m00s"},
		{65 * time.Second, "1m05s", "1m05s"},
		{59*time.Minute + 59600*time.Millisecond, "1h00m", "1h00m"},
		{127 * time.Minute, "2h07m", "2h07m"},
	} {
		if got := Elapsed(c.d); got != c.elapsed {
			t.Errorf("Elapsed(%v) = %q, want %q", c.d, got, c.elapsed)
		}
		if got := About(c.d); got != c.about {
			t.Errorf("About(%v) = %q, want %q", c.d, got, c.about)
		}
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	t0 := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	type obs struct {
		at float64
		n  int64
	}
	for _, c := range []struct {
		name  string
		seen  []obs
		total int64
		want  string
	}{
		{"nothing seen", nil, 300, ""},
		{"one sample says no speed", []obs{{0, 50}}, 300, ""},
		{"no movement", []obs{{0, 50}, {5, 50}}, 300, ""},
		{"speed and time left", []obs{{0, 0}, {10, 120}}, 300, "12/s, 15s left"},
		{"does not count what was there before", []obs{{0, 100}, {10, 120}}, 300, "2.0/s, 1m30s left"},
		{"no total, no time left", []obs{{0, 0}, {10, 120}}, 0, "12/s"},
		{"all there", []obs{{0, 0}, {10, 300}}, 300, "30/s"},
		{"the last moment", []obs{{0, 0}, {10, 299}}, 300, "30/s, 1s left"},
		{"a count that fell begins anew", []obs{{0, 0}, {10, 290}, {20, 0}, {30, 10}}, 300, "1.0/s, 4m50s left"},
	} {
		var m Meter
		for _, o := range c.seen {
			m.Observe(at(o.at), o.n)
		}
		if got := m.Text(c.total, "alerts"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestReasonAndRemedy(t *testing.T) {
	t.Parallel()
	p := &event.Problem{What: "no\x1b[2J broker", Why: "dial tcp:\nrefused", Next: "one\ntwo", Code: 3}
	if got, want := Reason(p), "no broker: dial tcp: refused"; got != want {
		t.Errorf("Reason = %q, want %q", got, want)
	}
	if got, want := Remedy(p), "error: no broker: dial tcp:\nrefused\n next: one\n       two"; got != want {
		t.Errorf("Remedy = %q, want %q", got, want)
	}
	if got := Fault(p).Code; got != 3 {
		t.Errorf("code %d, want 3", got)
	}
	if Reason(nil) != "" || Remedy(nil) != "" {
		t.Error("no problem has a text")
	}
}

func FuzzLine(f *testing.F) {
	for _, s := range []string{"", "plain", "a\r\nb\tc", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07x", "\u009b2Jx", "\xff\xfe", "日本\u202eabc", "\x1b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line := Line(s)
		if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsGraphic(r) }); i >= 0 {
			t.Errorf("Line(%q) = %q: not printable at %d", s, line, i)
		}
		if strings.Contains(line, "  ") || strings.TrimSpace(line) != line {
			t.Errorf("Line(%q) = %q: white space left", s, line)
		}
		for _, l := range strings.Split(Lines(s), "\n") {
			if i := strings.IndexFunc(l, func(r rune) bool { return !unicode.IsGraphic(r) }); i >= 0 {
				t.Errorf("Lines(%q) has %q: not printable at %d", s, l, i)
			}
		}
	})
}

// TestLineOfPlainText: what is a line already is left as it is, and what only looks
// like one is not.
func TestLineOfPlainText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "a": "a", "a b.c": "a b.c", " a": "a", "a ": "a", "a  b": "a b", "a\tb": "a b", "a\x7f": "a", "\x1b[2Ja": "a", "é b": "é b", " ": "",
	} {
		if got := Line(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count, total int64
		unit, want   string
	}{
		{12, 40, "alerts", "12 of 40 alerts"}, {12, 0, "alerts", "12 alerts"}, {12, 40, "", "12 of 40"}, {144623104, 289246208, "bytes", "145 of 289 MB"},
		{999, 289246208, "bytes", "999 B of 289 MB"}, {26935878, 0, "bytes", "26.9 MB"},
	} {
		if got := Progress(c.count, c.total, c.unit); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	var m Meter
	m.Observe(time.Unix(0, 0), 0)
	m.Observe(time.Unix(1, 0), 26935878)
	if got := m.Text(80e6, "bytes"); got != "26.9 MB/s, 2s left" {
		t.Errorf("%q", got)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	f := func(v float64) *float64 { return &v }
	for _, c := range [][2]string{
		{Bytes(999), "999 B"}, {Bytes(16015790), "16.0 MB"}, {Bytes(271e9), "271 GB"},
		{Number(0), "0"}, {Number(999), "999"}, {Number(1234567), "1 234 567"}, {Number(-1000), "-1 000"},
		{Rate(nil, Number), "-"}, {Rate(f(0), Number), "0/s"}, {Rate(f(2.34), Number), "2.3/s"}, {Rate(f(1234.5), Number), "1 235/s"},
		{About(59 * time.Second), "59s"}, {About(61 * time.Second), "1m01s"}, {About(26 * time.Hour), "1d02h"}, {About(-time.Second), "0s"},
	} {
		if c[0] != c[1] {
			t.Errorf("got %q, want %q", c[0], c[1])
		}
	}
}
