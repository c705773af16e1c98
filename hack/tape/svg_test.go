package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestDraw(t *testing.T) {
	t.Parallel()
	svg := draw("plain \x1b[1;31mred & <bold>\x1b[0m\n\x1b[7mchosen\x1b[27m \x1b[38;5;196m\x1b[48;2;1;2;3m▀\x1b[39;49m\x1b[2mfaint\x1b[m\n\x1b[92mover the\nend\x1b[0m\n\n", 20)
	for _, want := range []string{
		`>plain </text>`, `font-weight="bold" textLength=`, `red &amp; &lt;bold&gt;</text>`, `fill="` + palette[1] + `"`,
		`fill="` + background + `" textLength="50.58" lengthAdjust="spacingAndGlyphs" xml:space="preserve">chosen</text>`, // reversed, on a rectangle of the text's colour
		`fill="` + foreground + `" shape-rendering="crispEdges" d="M14 32h50.58v18h-50.58z"`,
		`fill="#010203"`, `fill="#ff0000" shape-rendering="crispEdges" d="M73.01 32h8.43v9h-8.43z"`, `opacity="0.6"`,
		`fill="` + palette[10] + `" textLength="25.29" lengthAdjust="spacingAndGlyphs" xml:space="preserve">end</text>`,
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s in\n%s", want, svg)
		}
	}
	for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
	}
	if strings.Contains(svg, "\x1b") {
		t.Error("a sequence is left over")
	}
}

func TestIndexed(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{1: palette[1], 16: "#000000", 21: "#0000ff", 231: "#ffffff", 232: "#080808", 255: "#eeeeee", 256: "", -1: ""} {
		if got := indexed(n); got != want {
			t.Errorf("colour %d is %q, want %q", n, got, want)
		}
	}
}
