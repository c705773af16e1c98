package lightcurve

import (
	"bytes"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/alerts/record"
	"github.com/alertlab/alertlab/render/style"
)

func looks(term string) Looks {
	return LooksOf(style.New(&bytes.Buffer{}, func(name string) string { return map[string]string{"TERM": term}[name] }))
}

func sample() record.Curve {
	sigma := 3.0
	return record.Curve{Points: []record.Point{
		{Kind: record.Forced, MJD: 1, Band: "g", Flux: 10, Err: &sigma}, {Kind: record.Detected, MJD: 1, Band: "g", Flux: 10, Err: &sigma},
		{Kind: record.Detected, MJD: 2, Band: "white", Flux: -5}, {Kind: record.Forced, MJD: 2.5, Band: "?", Flux: 0},
		{Kind: record.Current, MJD: 3, Band: "y", Flux: 20},
	}}
}

func TestLines(t *testing.T) {
	t.Parallel()
	lines := Lines(sample(), looks("xterm"), 50, 12)
	if len(lines) != 12 || lines[0] != "difference flux in nJy over MJD, TAI   ■ detected, □ forced" || lines[1] != "g ●1 ○1  y ★1  ? ?1  white W1" {
		t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	plot := strings.Join(lines[2:], "\n")
	// The detection covers the forced measurement of the same time.
	if !strings.Contains(plot, "●") || strings.Contains(plot, "○") || !strings.Contains(plot, "★") || !strings.Contains(plot, "W") || !strings.Contains(plot, "?") {
		t.Error(plot)
	}
	for _, l := range lines {
		if ansi.StringWidth(l) > 60 {
			t.Errorf("a line of %d cells", ansi.StringWidth(l))
		}
	}
	for _, r := range strings.Join(Lines(sample(), looks("linux"), 50, 12), "\n") {
		if r > 126 {
			t.Errorf("%q on a terminal without such signs", r)
		}
	}
	if l := Lines(sample(), looks("xterm"), 20, 12); len(l) != 4 || !strings.Contains(l[3], "no room") {
		t.Errorf("%q", l)
	}
	if l := Lines(record.Curve{}, looks("xterm"), 80, 12); len(l) != 1 || !strings.Contains(l[0], "no measurement") {
		t.Errorf("%q", l)
	}
}
