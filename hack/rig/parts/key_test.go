package parts

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// project writes a checkout with pins of the small file and the sources that
// they need.
func project(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		PinsFile:                                   small,
		"go.mod":                                   "module example.org/main\n\ngo 1.24.0\n",
		"hack/rig/modules/apples/go.mod":           "module example.org/apples\n\ngo 1.24.0\n",
		"hack/rig/modules/apples/go.sum":           "",
		"hack/rig/modules/apples/local/l.go":       "package local\n",
		"hack/rig/modules/apples/pip/main.go":      "package main\n\nimport (\n\t_ \"embed\"\n\n\t_ \"example.org/apples/inner\"\n)\n\n//go:embed text\nvar text string\n\nfunc main() {}\n",
		"hack/rig/modules/apples/pip/text/a.md":    "hello\n",
		"hack/rig/modules/apples/pip/x_test.go":    "package main\n",
		"hack/rig/modules/apples/pip/w_windows.go": "package main\n",
		"hack/rig/modules/apples/inner/i.go":       "package inner\n",
		"hack/rig/modules/apples/alone/a.go":       "package alone\n",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func keys(t *testing.T, dir string) map[string]string {
	t.Helper()
	pins, err := Load(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range pins.Names() {
		if all[name], err = pins.Key(name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// Each input changes the keys of the parts that it decides, and no other.
func TestKeys(t *testing.T) {
	const apples = "hack/rig/modules/apples/"
	for name, test := range map[string]struct {
		file, text string // written, or
		old, new   string // replaced in the pins
		changed    []string
	}{
		"nothing":            {},
		"version":            {old: "v1.2.3", new: "v1.2.4", changed: []string{"apple"}},
		"variable":           {old: "$major.$minor", new: "$major", changed: []string{"apple"}},
		"another part":       {old: "org.example:pear:1", new: "org.example:pear:2", changed: []string{"pear"}},
		"package":            {old: "[bash]", new: "[bash, sed]", changed: []string{"root"}},
		"link":               {old: "sh: bash", new: "sh: dash", changed: []string{"root"}},
		"epoch":              {old: "1760000000", new: "1760000001", changed: []string{"apple", "pear", "root"}},
		"go.mod":             {file: apples + "go.mod", text: "module example.org/apples\n\ngo 1.24.1\n", changed: []string{"apple"}},
		"go.sum":             {file: apples + "go.sum", text: "x", changed: []string{"apple"}},
		"own program":        {file: apples + "pip/more.go", text: "package main\n", changed: []string{"apple"}},
		"own test":           {file: apples + "pip/x_test.go", text: "package main\n\n// x\n"},
		"other system":       {file: apples + "pip/w_windows.go", text: "package main\n\n// x\n"},
		"embedded file":      {file: apples + "pip/text/a.md", text: "bye\n", changed: []string{"apple"}},
		"imported package":   {file: apples + "inner/i.go", text: "package inner\n\n// x\n", changed: []string{"apple"}},
		"package not used":   {file: apples + "alone/a.go", text: "package alone\n\n// x\n"},
		"replacement":        {file: apples + "local/l.go", text: "package local\n\n// x\n", changed: []string{"apple"}},
		"checkout's own mod": {file: "go.mod", text: "module example.org/main\n\ngo 1.25.0\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := project(t)
			before := keys(t, dir)
			if test.file != "" {
				write(t, filepath.Join(dir, test.file), test.text)
			}
			if text := strings.Replace(small, test.old, test.new, 1); test.old != "" {
				if text == small {
					t.Fatalf("%q is not in the pins", test.old)
				}
				write(t, filepath.Join(dir, PinsFile), text)
			}
			after := keys(t, dir)
			changed := slices.DeleteFunc(slices.Sorted(maps.Keys(before)), func(name string) bool { return before[name] == after[name] })
			if !slices.Equal(changed, test.changed) {
				t.Errorf("the keys of %v changed, want %v", changed, test.changed)
			}
		})
	}
}

func TestKeyOfTarget(t *testing.T) {
	pins, err := Load(t.Context(), project(t))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]target{}
	for _, one := range []target{{"go1.24.0", "linux", "amd64"}, {"go1.24.1", "linux", "amd64"}, {"go1.24.0", "linux", "arm64"}} {
		pins.target = one
		key, err := pins.Key("apple")
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[key]; ok {
			t.Errorf("%v and %v give one key", one, other)
		}
		seen[key] = one
	}
}

func TestFolderPrograms(t *testing.T) {
	dir := project(t)
	for name, text := range map[string]string{
		"programs/one/main.go": "package main\n\nfunc main() {}\n", "programs/lib/lib.go": "package lib\n",
		"programs/empty/README": "", "programs/two/main.go": "package main\n\nfunc main() {}\n",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	pins, err := Load(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pins.programs(Pin{Go: GoPin{Line: MainLine, Folder: "programs"}})
	if want := []Program{{"one", "./programs/one"}, {"two", "./programs/two"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}
