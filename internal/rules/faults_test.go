package rules_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestFaults reads docs/faults.md: every row has all its cells, every test that it
// names exists, and what it quotes of an error stands in one of those tests.
func TestFaults(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 3 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| fault |") {
			continue
		}
		rows++
		if len(cells) != 7 || slices.ContainsFunc(cells[1:6], func(c string) bool { return strings.TrimSpace(c) == "" }) {
			t.Errorf("a row without its five cells: %s", line)
			continue
		}
		var sources strings.Builder
		names := quoted.FindAllStringSubmatch(cells[5], -1)
		if len(names) == 0 {
			t.Errorf("a row that names no test: %s", line)
		}
		for _, name := range names {
			source := sourceOf(t, root, name[1])
			if source == "" {
				t.Errorf("there is no test %s, which stands in the row: %s", name[1], cells[1])
			}
			sources.WriteString(source)
		}
		said := plain(sources.String())
		for _, quote := range quoted.FindAllStringSubmatch(cells[3], -1) {
			if quote[1] == "status" || quote[1] == "UNKNOWN_SERVER_ERROR" { // a verb; Kafka's word
				continue
			}
			for part := range strings.SplitSeq(quote[1], "…") {
				if !strings.Contains(said, plain(part)) {
					t.Errorf("%s: no test of the row says %q", strings.TrimSpace(cells[1]), part)
				}
			}
		}
	}
	if rows < 25 {
		t.Errorf("only %d rows were found", rows)
	}
}

// plain takes out what patterns and Go's strings put before a character, and what
// stands for a variable number or place in a pattern.
func plain(s string) string {
	return strings.NewReplacer(`\d+:\d+`, "", `\d+`, "", `\`, "", ".*", "").Replace(s)
}

// sourceOf finds a test by its name, as "folder.TestName" or, for a transcript,
// "cmd.TestScripts/name", and gives the text of its function or transcript; "" when
// there is none.
func sourceOf(t *testing.T, root, name string) string {
	t.Helper()
	folder, test, ok := strings.Cut(name, ".")
	if !ok {
		return ""
	}
	if script, ok := strings.CutPrefix(test, "TestScripts/"); ok {
		text, err := os.ReadFile(filepath.Join(root, folder, "testdata", "script", script+".txtar"))
		if err != nil {
			return ""
		}
		return string(text)
	}
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, after, ok := strings.Cut(string(text), "\nfunc "+test+"("); ok {
			body, _, _ := strings.Cut(after, "\n}\n")
			return body
		}
	}
	return ""
}
