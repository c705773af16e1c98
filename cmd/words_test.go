package cmd

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

func testRoot() *cobra.Command {
	none := func(string) string { return "" }
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: none, environ: func() []string { return nil }}
	return a.root()
}

// TestEveryVerbHasHelp looks at the help of every verb and group of verbs: one line
// that says what it does, a text that says more, and examples that can be typed.
func TestEveryVerbHasHelp(t *testing.T) {
	root := testRoot()
	verbs := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			visit(sub)
		}
		if c.Hidden {
			return
		}
		verbs++
		name := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: its one line is %q", name, c.Short)
		}
		if len(c.Long) <= len(c.Short) || strings.HasSuffix(c.Long, "\n") {
			t.Errorf("%s: its long text is %q", name, c.Long)
		}
		for line := range strings.Lines(c.Long) {
			if len(strings.TrimRight(line, "\n")) > 90 && !strings.HasPrefix(line, "  ALERTLAB_") {
				t.Errorf("%s: a line of its long text does not fit a terminal: %q", name, line)
			}
		}
		if !strings.Contains(c.Example, name) {
			t.Errorf("%s has no example of itself: %q", name, c.Example)
		}
		for line := range strings.Lines(c.Example) {
			if why := untypable(root, line); why != "" {
				t.Errorf("%s: example %q: %s", name, strings.TrimSpace(line), why)
			}
		}
	}
	visit(root)
	if verbs < 15 {
		t.Errorf("only %d verbs were found", verbs)
	}
}

// TestCommandsInTextsExist looks at every text in the program that tells a person
// to type an alertlab command: its verbs, flags and components exist.
func TestCommandsInTextsExist(t *testing.T) {
	root := testRoot()
	p, err := profiles.Load("local")
	if err != nil {
		t.Fatal(err)
	}
	components := []string{"runner", "COMPONENT"}
	for _, provider := range catalog.Providers() {
		wanted, err := catalog.Wanted(state.Description{Name: "x", Provider: provider, Profile: "local", Stack: "alerts-light", Resolved: string(p.Source())})
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range wanted.Parts {
			components = append(components, part.Key)
		}
	}
	texts := 0
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil || !strings.HasPrefix(text, "alertlab ") || strings.Contains(text, "\n") {
				return true
			}
			// What a text ends with may be put in later: "alertlab up --lab " + name.
			texts++
			if why := untypable(root, text); why != "" {
				t.Errorf("%s: %q: %s", files.Position(lit.Pos()), text, why)
			}
			if words := strings.Fields(text); len(words) > 2 && words[1] == "logs" && !strings.HasPrefix(words[2], "-") && words[2] != "#" && !slices.Contains(components, words[2]) {
				t.Errorf("%s: %q: there is no component %s", files.Position(lit.Pos()), text, words[2])
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if texts < 30 {
		t.Errorf("only %d texts were found", texts)
	}
}

// TestCommandsInDocumentsExist looks at what the documents tell a person to type: the
// lines of their blocks that begin with alertlab, and what stands in backquotes.
func TestCommandsInDocumentsExist(t *testing.T) {
	root := Reference()
	inline := regexp.MustCompile("`(alertlab [^`]+)`")
	var paths []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/ci/*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	commands := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var typed []string
			if line := strings.TrimPrefix(strings.TrimSpace(line), "$ "); strings.HasPrefix(line, "alertlab ") {
				typed = append(typed, line)
			}
			for _, m := range inline.FindAllStringSubmatch(line, -1) {
				typed = append(typed, m[1])
			}
			for _, command := range typed {
				commands++
				if why := untypable(root, command); why != "" {
					t.Errorf("%s: %q: %s", path, command, why)
				}
			}
		}
	}
	if commands < 20 {
		t.Errorf("only %d commands were found", commands)
	}
	// The workflow of docs/ci.md is YAML, and runs a script that is there.
	text, err := os.ReadFile("../docs/ci/workflow.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct{ Uses, Run string }
		}
	}
	if err := yaml.Unmarshal(text, &workflow); err != nil {
		t.Fatal(err)
	}
	runs := ""
	for _, step := range workflow.Jobs["suite"].Steps {
		runs += step.Run + "\n"
	}
	if script := "docs/ci/with-lab.sh"; !strings.Contains(runs, ".alertlab/"+script+" ") {
		t.Errorf("the workflow does not run %s: %s", script, runs)
	} else if info, err := os.Stat("../" + script); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("%s cannot be run: %v", script, err)
	}
}

// untypable says why a command line cannot be typed, "" when it can. Only what
// stands between alertlab and a comment, a pipe or a placeholder is looked at.
func untypable(root *cobra.Command, line string) string {
	_, line, ok := strings.Cut(line, "alertlab ")
	if !ok {
		return ""
	}
	line, _, _ = strings.Cut(line, " #")
	for _, end := range []string{"|", ">", ",", ")", "%", "2>"} {
		line, _, _ = strings.Cut(line, end)
	}
	c := root
	words := strings.Fields(strings.Trim(line, "\"'` "))
	for i, word := range words {
		name, isFlag := strings.CutPrefix(word, "-")
		if isFlag {
			name, _, _ = strings.Cut(strings.TrimPrefix(name, "-"), "=")
			name = strings.Trim(name, "\"'`")
			known := c.Flags().Lookup(name) != nil || c.InheritedFlags().Lookup(name) != nil || c.PersistentFlags().Lookup(name) != nil ||
				name == "help" || (len(name) == 1 && c.Flags().ShorthandLookup(name) != nil)
			if name != "" && !known {
				return c.CommandPath() + " has no flag " + word
			}
			continue
		}
		if i > 0 && strings.HasPrefix(words[i-1], "-") {
			continue // a flag's value
		}
		if !c.HasSubCommands() {
			continue // an argument
		}
		sub := slices.IndexFunc(c.Commands(), func(s *cobra.Command) bool { return s.Name() == word })
		if sub < 0 {
			if strings.ToUpper(word) == word { // a placeholder: NAME, ...
				return ""
			}
			return c.CommandPath() + " has no verb " + word
		}
		c = c.Commands()[sub]
	}
	return ""
}
