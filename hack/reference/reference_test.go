package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/cmd"
)

// TestCurrent compares docs/reference with what the commands say now.
func TestCurrent(t *testing.T) {
	t.Parallel()
	pages, err := markdown(cmd.Reference())
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 20 {
		t.Fatalf("only %d verbs have a page", len(pages))
	}
	dir := filepath.Join("..", "..", "docs", "reference")
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%v; make reference writes it", err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the command says now; make reference writes it", name)
		}
	}
	there, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if pages[filepath.Base(path)] == nil {
			t.Errorf("%s belongs to no verb; make reference removes it", path)
		}
	}
}

// TestKeysCurrent compares docs/tui.md with the keys that the dashboard has now.
func TestKeysCurrent(t *testing.T) {
	t.Parallel()
	kept, err := os.ReadFile(filepath.Join("..", "..", "docs", "tui.md"))
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "tui.md")
	if err := os.WriteFile(copied, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := keys(copied); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, kept) {
		t.Error("docs/tui.md has not the keys that the dashboard has now; make reference writes them")
	}
	if n := bytes.Count(got, []byte("\n### ")); n < 9 {
		t.Errorf("docs/tui.md has the keys of %d parts of the dashboard only", n)
	}
}

// TestSameAgain makes everything twice, in an environment that differs, and follows
// the links.
func TestSameAgain(t *testing.T) {
	first, err := markdown(cmd.Reference())
	if err != nil {
		t.Fatal(err)
	}
	man, err := manPages(cmd.Reference())
	if err != nil {
		t.Fatal(err)
	}
	if len(man) != len(first) {
		t.Errorf("%d man pages and %d of Markdown", len(man), len(first))
	}
	t.Setenv("ALERTLAB_LAB", "other")
	t.Setenv("SOURCE_DATE_EPOCH", "86400")
	again, err := markdown(cmd.Reference())
	if err != nil {
		t.Fatal(err)
	}
	manAgain, err := manPages(cmd.Reference())
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range first {
		if !bytes.Equal(page, again[name]) {
			t.Errorf("%s depends on the environment", name)
		}
		for _, part := range strings.Split(string(page), "](")[1:] {
			if target, _, _ := strings.Cut(part, ")"); first[target] == nil {
				t.Errorf("%s links to %s, which is no page", name, target)
			}
		}
	}
	for name, page := range man {
		if !bytes.Equal(page, manAgain[name]) {
			t.Errorf("%s depends on the environment", name)
		}
	}
	for _, hidden := range []string{"alertlab_runner.md", "alertlab_object-store.md", "alertlab_help.md"} {
		if first[hidden] != nil {
			t.Errorf("%s is about a verb that is hidden", hidden)
		}
	}
}

// TestManPagesRender shows every man page with man, as its reader would.
func TestManPagesRender(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("man")
	if err != nil {
		t.Skip("there is no man program to show pages with")
	}
	dir := t.TempDir()
	if err := run([]string{"-man", dir}); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "alertlab*.1"))
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d man pages: %v", len(pages), err)
	}
	for _, page := range pages {
		c := exec.CommandContext(t.Context(), program, "--warnings", "-l", page)
		c.Env = append(os.Environ(), "MANWIDTH=100", "MAN_KEEP_FORMATTING=", "LC_ALL=C", "PAGER=cat", "MANPAGER=cat")
		var stdout, stderr bytes.Buffer
		c.Stdout, c.Stderr = &stdout, &stderr
		if err := c.Run(); err != nil || stderr.Len() > 0 {
			t.Errorf("%s: %v %s", filepath.Base(page), err, stderr.String())
		}
		for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"} {
			if !strings.Contains(stdout.String(), section) {
				t.Errorf("%s has no section %s", filepath.Base(page), section)
			}
		}
	}
}

func TestVerbatim(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                               "",
		"one\ntwo":                       "one\ntwo",
		"before:\n  A  a\n  B  b\nafter": "before:\n\n    A  a\n    B  b\n\nafter",
	} {
		if got := verbatim(text); got != want {
			t.Errorf("verbatim(%q) is %q, not %q", text, got, want)
		}
	}
}

// TestStaleFiles: what a verb left behind goes, and what is no Markdown stays.
func TestStaleFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"alertlab_gone.md", "picture.png"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run([]string{"-out", dir}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "alertlab_gone.md")); !os.IsNotExist(err) {
		t.Errorf("the page of a verb that is no more: %v", err)
	}
	for _, name := range []string{"picture.png", "alertlab.md", "alertlab_up.md"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if err := run([]string{"extra"}); err == nil {
		t.Error("an argument is no error")
	}
}
