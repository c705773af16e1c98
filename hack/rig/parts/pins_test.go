package parts

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/internal/strictyaml"
	"github.com/alertlab/alertlab/lab/fault"
)

// checkout is the root of the repository, from this folder.
const checkout = "../../.."

func committed(t *testing.T) *Pins {
	t.Helper()
	pins, err := Load(t.Context(), checkout)
	if err != nil {
		t.Fatal(err)
	}
	return pins
}

// small is a pins file with one part of each kind.
const small = `apiVersion: alertlab/v1alpha1
kind: RigParts
epoch: 1760000000
mavenPlugin: org.example:copy:1.0
lines:
  - name: apples
    go: 1.24.0
    disk: 100
    staging: v0.31.0
    replaces:
      - example.org/a v1.0.0 => example.org/b v1.2.0
      - k8s.io/api => k8s.io/api v0.31.2
      - example.org/local => ./local
    excludes: [example.org/bad v0.1.0]
  - {name: tools, go: 1.24.0, disk: 10, tools: [example.org/gen]}
parts:
  - name: apple
    version: v1.2.3
    licence: MIT
    go:
      line: apples
      module: example.org/apple
      programs:
        - {name: apple, package: example.org/apple/cmd/core/v3}
        - {name: pip, package: ./pip}
      variables: {main.version: $version, main.short: $major.$minor}
  - {name: pear, version: "1", licence: MIT, maven: {artifacts: ["org.example:pear:1"]}}
  - name: root
    version: trixie
    licence: MIT
    debian: {suite: trixie, packages: [bash], links: {usr/bin/sh: bash}}
`

func parsed(t *testing.T, text string) *Pins {
	t.Helper()
	pins, err := Parse("parts.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return pins
}

func TestCommittedPins(t *testing.T) {
	pins := committed(t)
	for _, name := range pins.Names() {
		pin, ok := pins.Part(name)
		if !ok || pin.Version == "" || pin.Licence == "" {
			t.Errorf("part %s: version %q, licence %q", name, pin.Version, pin.Licence)
		}
		for i, artifact := range pin.Maven.Artifacts {
			// The version of a Maven part stands in its artifacts too.
			if i == 0 && !strings.HasSuffix(artifact, ":"+pin.Version) {
				t.Errorf("part %s is of version %s, its artifact is %s", name, pin.Version, artifact)
			}
		}
	}
	// What the rig's other packages ask for by name.
	for _, name := range []string{
		"own", "kubernetes", "etcd", "coredns", "net", "crictl", "kustomize", "metallb", "local-path-provisioner", "argo-cd",
		"cert-manager", "traefik", "minio", "helm", "kafka", "strimzi-crds", "debian-node", "debian-base", "debian-java",
	} {
		if _, ok := pins.Part(name); !ok {
			t.Errorf("there is no part %s", name)
		}
	}
	helm, _ := pins.Part("helm")
	text, err := os.ReadFile(filepath.Join(checkout, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "helm.sh/helm/v3 " + helm.Version; !strings.Contains(string(text), want) {
		t.Errorf("the checkout's go.mod does not say %q", want)
	}
}

// The go.mod files of the lines are those that the pins give.
func TestCommittedModules(t *testing.T) {
	pins := committed(t)
	for _, l := range pins.Lines() {
		said, err := readMod(t.Context(), filepath.Join(pins.lineDir(l.Name), "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		if err := pins.agrees(l, said); err != nil {
			t.Errorf("line %s, write it anew with the verb pin of the rig: %v", l.Name, err)
		}
	}
}

func TestModulesDisagree(t *testing.T) {
	pins := parsed(t, small)
	l := pins.line("apples")
	text, err := pins.goMod(l, statements{})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ old, new, want string }{
		"as written":  {"", "", ""},
		"version":     {"example.org/apple v1.2.3", "example.org/apple v1.2.4", "example.org/apple is"},
		"language":    {"go 1.24.0", "go 1.25.0", "go is"},
		"replacement": {"k8s.io/kubectl => k8s.io/kubectl v0.31.0", "k8s.io/kubectl => k8s.io/kubectl v0.31.1", "replacements"},
		"exclusion":   {"example.org/bad v0.1.0", "example.org/bad v0.2.0", "exclusions"},
		"tool":        {"example.org/apple/cmd/core/v3", "example.org/apple/cmd/other", "tools"},
		"module":      {modulePrefix + "apples", modulePrefix + "pears", "module is"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.ReplaceAll(string(text), test.old, test.new)
			if test.old == "" {
				changed = string(text)
			} else if changed == string(text) {
				t.Fatalf("%q is not in\n%s", test.old, text)
			}
			file := filepath.Join(t.TempDir(), "go.mod")
			if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
				t.Fatal(err)
			}
			said, err := readMod(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			err = pins.agrees(l, said)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestGoModCarriesOver(t *testing.T) {
	pins := parsed(t, small)
	var earlier statements
	earlier.Require = append(earlier.Require, struct {
		moduleVersion
		Indirect bool
	}{moduleVersion{"example.org/other", "v0.5.0"}, true}, struct {
		moduleVersion
		Indirect bool
	}{moduleVersion{"example.org/apple", "v1.0.0"}, false})
	text, err := pins.goMod(pins.line("apples"), earlier)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"example.org/other v0.5.0 // indirect\n", "example.org/apple v1.2.3\n", "example.org/local => ./local\n",
		"k8s.io/api => k8s.io/api v0.31.2\n", "k8s.io/client-go => k8s.io/client-go v0.31.0\n",
		"example.org/a v1.0.0 => example.org/b v1.2.0\n", "\texample.org/apple/cmd/core/v3\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	for _, not := range []string{"v1.0.0\n", "./pip", "k8s.io/api v0.31.0"} {
		if strings.Contains(string(text), not) {
			t.Errorf("%q is in\n%s", not, text)
		}
	}
}

func TestParse(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"unknown line":        {"line: apples", "line: pears", `parts.yaml:21:13: parts[0].go.line: there is no line "pears", there are: apples, main, tools`},
		"no kind":             {"    debian: {suite: trixie, packages: [bash], links: {usr/bin/sh: bash}}\n", "", "must have exactly one of go, maven and debian, but has 0"},
		"two of a name":       {"- {name: pear", "- {name: apple", `a part "apple" stands here already`},
		"bad version":         {"version: v1.2.3", "version: 1.2.3", `"1.2.3" is not the version of a Go module`},
		"bad require":         {"example.org/bad v0.1.0", "example.org/bad", "must be a module's path and version"},
		"bad replace":         {"=> ./local", "=> ../local", "must be ./folder of the line"},
		"replace with nought": {"example.org/local => ./local", "example.org/local", "path => ./folder"},
		"bad artifact":        {"org.example:pear:1", "org.example:pear", "must be group:artifact:version"},
		"absolute link":       {"usr/bin/sh: bash", "/usr/bin/sh: bash", "must be a path without a leading slash"},
		"bad package":         {"[bash]", "[--bash]", "is not the name of a Debian package"},
		"bad staging":         {"staging: v0.31.0", "staging: v0.31", "must be a version such as"},
		"no room":             {"disk: 100", "disk: -1", "must be what the line's build caches take in MB"},
		"typo":                {"licence: MIT\n    go:", "license: MIT\n    go:", `unknown key "license", did you mean "licence"?`},
		"module of main":      {"line: apples", "line: main", "is decided by the checkout's own go.mod"},
		"programs and folder": {"line: apples", "line: apples\n      folder: x", "exactly one of programs and folder"},
		"program twice":       {"name: pip", "name: apple", "stands here once"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(small, test.old, test.new, 1)
			if text == small {
				t.Fatalf("%q is not in the file", test.old)
			}
			_, err := Parse("parts.yaml", []byte(text))
			var problems *strictyaml.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Fuzz(func(t *testing.T, data []byte) {
		pins, err := Parse("parts.yaml", data)
		if err != nil {
			return
		}
		for _, l := range pins.Lines() {
			if _, err := pins.goMod(l, statements{}); err != nil {
				t.Errorf("sound pins give no go.mod: %v", err)
			}
		}
	})
}

func TestSelection(t *testing.T) {
	pins := committed(t)
	got, err := pins.selection([]string{"strimzi-crds", "etcd"})
	if want := []string{"etcd", "debian-java", "strimzi-crds"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	_, err = pins.selection([]string{"etcdd"})
	if fault.CodeOf(err) != fault.BadInput || !strings.Contains(err.Error(), `did you mean "etcd"?`) {
		t.Errorf("got %v", err)
	}
}

func TestLinkerFlags(t *testing.T) {
	pin, _ := parsed(t, small).Part("apple")
	if got, want := linkerFlags(pin), "-s -w -X main.short=1.2 -X main.version=v1.2.3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := expand("$number $minor $other.", "v1.2.3"); got != "1.2.3 2 ." {
		t.Errorf("got %q", got)
	}
}

func TestExecutable(t *testing.T) {
	for _, test := range [][2]string{
		{"k8s.io/kubernetes/cmd/kubelet", "kubelet"}, {"go.etcd.io/etcd/server/v3", "server"},
		{"./coredns", "coredns"}, {"example.org/v2fly", "v2fly"},
	} {
		if got := executable(test[0]); got != test[1] {
			t.Errorf("%s: got %q, want %q", test[0], got, test[1])
		}
	}
}
