package benchdoc

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "docs", "benchmarks.md")
	for _, s := range []struct{ section, text string }{{"lab", "first"}, {"rig", "second\n"}, {"lab", "changed\n\n"}} {
		if err := Put(path, s.section, s.text); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "<!-- begin lab -->\nchanged\n<!-- end lab -->\n\n<!-- begin rig -->\nsecond\n<!-- end rig -->\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPutErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, section, text string }{
		{"no name", "", "", "x"},
		{"name with a mark", "", "a -->", "x"},
		{"text with a mark", "", "rig", "<!-- end lab -->"},
		{"cut file", "<!-- begin rig -->\nx\n", "rig", "y"},
	} {
		if got, err := put(c.old, c.section, c.text); err == nil {
			t.Errorf("%s: no error, but %q", c.name, got)
		}
	}
}
