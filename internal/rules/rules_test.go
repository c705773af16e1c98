package rules_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/internal/rules"
)

const module = "github.com/alertlab/alertlab"

// listed is what `go list` says of a package.
type listed struct {
	ImportPath, Name, Doc, Dir string
	Imports                    []string
	GoFiles                    []string
	IgnoredGoFiles             []string
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Doc,Dir,Imports,GoFiles,IgnoredGoFiles", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var pkgs []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return pkgs
		}
		if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// folder names a package of ours by its folder.
func folder(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

func ours(importPath string) bool {
	return importPath == module || strings.HasPrefix(importPath, module+"/")
}

func graph(pkgs []listed) rules.Graph {
	g := rules.Graph{}
	for _, p := range pkgs {
		var imports []string
		for _, i := range p.Imports {
			if ours(i) {
				i = folder(i)
			}
			imports = append(imports, i)
		}
		g[folder(p.ImportPath)] = imports
	}
	return g
}

func in(g rules.Graph) func(string) bool {
	return func(pkg string) bool {
		_, ok := g[pkg]
		return ok
	}
}

func TestProject(t *testing.T) {
	t.Parallel()
	pkgs := list(t)
	g := graph(pkgs)
	if len(g) < 30 || len(g["lab/catalog"]) < 10 {
		t.Fatalf("go list saw %d packages, of which lab/catalog imports %d", len(g), len(g["lab/catalog"]))
	}
	for _, violation := range rules.Check(g, rules.Rules(in(g))) {
		t.Error(violation)
	}
	// A rule about packages that do not exist any more guards nothing.
	for _, r := range rules.Rules(in(g)) {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(g)), r.From) {
			t.Errorf("rule %q is about no package", r.Name)
		}
		if r.Why == "" {
			t.Errorf("rule %q gives no reason", r.Name)
		}
	}
	for _, p := range pkgs {
		if p.Name == "" || (len(p.GoFiles) == 0 && len(p.IgnoredGoFiles) == 0) {
			continue // tests only
		}
		if want := "Package " + p.Name + " "; p.Name != "main" && !strings.HasPrefix(p.Doc, want) {
			t.Errorf("%s: no package comment that begins with %q says what the folder is for", folder(p.ImportPath), want)
		}
		if p.Doc == "" {
			t.Errorf("%s: no package comment says what the folder is for", folder(p.ImportPath))
		}
	}
}

// Every rule finds the violation that is planted for it in an otherwise sound
// project, and nothing else does.
func TestPlanted(t *testing.T) {
	t.Parallel()
	sound := rules.Graph{
		"":    {"cmd", "os"},
		"cmd": {"lab/catalog", "lab/runner", "render", "tui", "smoke", "alerts/objectstore/gateway", "provider/embedded/loopback"},
		"lab/catalog": {"lab/plan", "lab/inprocess", "profiles", "stacks", "content/topics", "provider/embedded", "provider/embedded/kafka", "provider/embedded/loopback",
			"component/kafka", "component/credentials", "deployer/helm", "provider/k3d", "internal/kube"},
		"lab/inprocess":              {"lab/plan", "content/topics", "provider/embedded", "provider/embedded/kafka"},
		"labtest":                    {"lab/inprocess", "lab/runner", "endpoints", "alerts/objectstore/gateway", "github.com/docker/docker/client"},
		"lab/plan":                   {"context", "encoding/json"},
		"lab/run":                    {"lab/plan", "lab/event", "lab/fault"},
		"lab/runner":                 {"lab/run", "lab/state", "endpoints", "net/http"},
		"lab/state":                  {"endpoints", "profiles"},
		"lab/secrets":                {"endpoints", "alerts/kafka"},
		"lab/event":                  {"time"},
		"lab/fault":                  {"context"},
		"endpoints":                  {"time"},
		"internal/strictyaml":        {"gopkg.in/yaml.v3"},
		"internal/ports":             {"net"},
		"internal/rules":             {"strings"},
		"internal/chaos":             nil,
		"profiles":                   {"internal/strictyaml"},
		"stacks":                     {"internal/strictyaml"},
		"render":                     {"lab/event", "endpoints", "render/style"},
		"render/style":               nil,
		"tui":                        {"lab/event", "render"},
		"tui/page":                   nil,
		"tui/kit":                    {"render"},
		"tui/dash":                   {"tui/page", "tui/kit"},
		"tui/lab":                    {"tui/kit", "endpoints"},
		"tui/kafka":                  {"tui/kit"},
		"tui/alerts":                 {"tui/kit", "alerts/record"},
		"alerts/record":              {"alerts/avrotype", "alerts/cutout"},
		"alerts/avrotype":            {"encoding/json"},
		"alerts/cutout":              {"math"},
		"smoke":                      {"endpoints", "alerts/kafka", "alerts/packet"},
		"content":                    {"alerts/kafka", "lab/secrets"},
		"content/topics":             {"content", "alerts/admin", "lab/plan", "profiles"},
		"provider/embedded":          {"lab/plan", "lab/state"},
		"provider/embedded/kafka":    {"provider/embedded", "alerts/broker"},
		"provider/embedded/loopback": {"provider/embedded", "internal/ports"},
		"alerts/kafka":               {"github.com/twmb/franz-go/pkg/kgo"},
		"alerts/packet":              nil,
		"alerts/admin":               {"alerts/kafka"},
		"alerts/broker":              {"alerts/kafka", "github.com/twmb/franz-go/pkg/kfake"},
		"alerts/objectstore":         {"os/exec"},
		"alerts/objectstore/gateway": {"alerts/objectstore", "github.com/versity/versitygw/s3api"},
		"charts":                     {"embed"},
		"component":                  {"charts", "lab/plan"},
		"component/credentials":      {"component", "k8s.io/client-go/kubernetes"},
		"component/kafka":            {"component", "alerts/kafka", "profiles"},
		"deployer/helm":              {"component", "internal/kube", "helm.sh/helm/v3/pkg/action"},
		"internal/kube":              {"k8s.io/client-go/kubernetes"},
		"internal/node":              {"github.com/docker/docker/client"},
		"internal/ownimage":          {"github.com/google/go-containerregistry/pkg/v1"},
		"provider/k3d":               {"lab/plan", "bundle", "internal/kube", "internal/node", "internal/ownimage", "github.com/k3d-io/k3d/v5/pkg/client"},
		"bundle":                     {"archive/tar", "github.com/google/go-containerregistry/pkg/v1"},
		"hack/rig":                   {"hack/rig/cluster", "lab/fault", "bundle"},
		"hack/rig/cluster":           {"github.com/k3d-io/k3d/v5/pkg/client", "bundle"},
		"hack/rig/node":              {"os", "golang.org/x/sys/unix"},
		"hack/rig/programs/node":     {"hack/rig/node", "gopkg.in/yaml.v3"},
	}
	if found := rules.Check(sound, rules.Rules(in(sound))); len(found) > 0 {
		t.Fatalf("violations in a sound project:\n%s", strings.Join(found, "\n"))
	}
	tests := []struct{ rule, from, to string }{
		{"the data plane stands alone", "alerts/admin", "endpoints"},
		{"the data plane stands alone", "alerts/kafka", "internal/ports"},
		{"plans are pure", "lab/plan", "lab/fault"},
		{"profiles and stacks are data", "stacks", "content"},
		{"profiles and stacks are data", "profiles", "provider/embedded"},
		{"imports make profiles", "profiles/phalanx", "lab/catalog"},
		{"leaves", "lab/event", "lab/fault"},
		{"leaves", "endpoints", "alerts/packet"},
		{"the state is a leaf but for data", "lab/state", "lab/fault"},
		{"a walk knows no component", "lab/run", "provider/embedded"},
		{"a walk knows no component", "lab/state", "content/topics"}, // reached through lab/runner
		{"smoke sees endpoints only", "smoke", "lab/state"},
		{"smoke sees endpoints only", "smoke", "alerts/broker"},
		{"views show events", "tui", "lab/runner"},
		{"views show events", "render/style", "profiles"},
		{"views show events", "tui/kafka", "alerts/admin"},
		{"views show events", "tui/alerts", "alerts/packet"},
		{"what is seen of an alert is pure", "alerts/record", "alerts/packet"},
		{"pages do not know each other", "tui/kafka", "tui/lab"},
		{"pages do not know each other", "tui/dash", "tui/kafka"},
		{"content serves every provider", "content", "provider/embedded"},
		{"content serves every provider", "lab/secrets", "provider/embedded"}, // reached through content
		{"twins meet through addresses", "provider/embedded/kafka", "provider/embedded/loopback"},
		{"only the command line composes", "lab/runner", "lab/catalog"},
		{"embedded labs are the catalog's and labtest's", "cmd", "lab/inprocess"},
		{"nobody imports the command line", "tui", "cmd"},
		{"one place for versitygw", "alerts/objectstore", "github.com/versity/versitygw/s3api"},
		{"the gateway is for the command line", "provider/embedded", "alerts/objectstore/gateway"},
		{"one place for kfake", "provider/embedded/kafka", "github.com/twmb/franz-go/pkg/kfake"},
		{"a bundle is a format", "bundle", "lab/fault"},
		{"nothing ships what only builds", "cmd", "hack/rig/cluster"},
		{"programs of nodes are small", "hack/rig/programs/node", "github.com/spf13/cobra"},
		{"programs of nodes are small", "hack/rig/node", "hack/rig/cluster"},
		{"leaves", "charts", "lab/plan"},
		{"what is decided on paper is pure", "lab/fit", "lab/plan"},
		{"components know no deployer", "component/kafka", "deployer/helm"},
		{"deployers know no provider", "deployer/helm", "provider/k3d"},
		{"one place for Argo CD's client", "lab/catalog", "github.com/argoproj/argo-cd/v2/pkg/apiclient"},
		{"the cluster's provider makes clusters", "provider/k3d", "component"},
		{"Kubernetes' libraries have their rooms", "lab/catalog", "k8s.io/client-go/kubernetes"},
		{"Kubernetes' libraries have their rooms", "cmd", "github.com/docker/docker/client"},
		{"what others import reaches no Kubernetes", "smoke", "k8s.io/client-go/kubernetes"},
		{"tests of other projects reach no Kubernetes", "labtest", "k8s.io/client-go/kubernetes"},
		{"rules are for tests", "lab/runner", "internal/rules"},
	}
	planted := map[string]bool{}
	for _, test := range tests {
		planted[test.rule] = true
		g := maps.Clone(sound)
		g[test.from] = append(slices.Clone(g[test.from]), test.to)
		found := rules.Check(g, rules.Rules(in(g)))
		hit := slices.ContainsFunc(found, func(v string) bool {
			return strings.HasPrefix(v, test.rule+": ") && strings.Contains(v, test.from+" -> "+test.to+"; ")
		})
		if !hit {
			t.Errorf("%s imports %s, and the rule %q says nothing; found:\n%s", test.from, test.to, test.rule, strings.Join(found, "\n"))
		}
	}
	for _, r := range rules.Rules(in(sound)) {
		if !planted[r.Name] {
			t.Errorf("no violation is planted for the rule %q", r.Name)
		}
	}
}

// A violation says which way it goes and why it matters.
func TestViolationText(t *testing.T) {
	t.Parallel()
	g := rules.Graph{"a": {"b"}, "b": {"c", "d"}, "c": {"d"}, "d": {"a"}}
	rule := rules.Rule{Name: "a stays away from d", Why: "d is far", Deep: true,
		From: func(pkg string) bool { return pkg == "a" }, May: func(_, imported string) bool { return imported != "d" }}
	if got := rules.Check(g, []rules.Rule{rule}); !slices.Equal(got, []string{"a stays away from d: a -> b -> d; d is far"}) {
		t.Errorf("got %q", got)
	}
	rule.Deep = false
	if got := rules.Check(g, []rules.Rule{rule}); len(got) > 0 {
		t.Errorf("got %q", got)
	}
}

// Only main and the command line may end the process, and labtest where it is not a test
// but its lab's object store.
func TestExit(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		if p.Name == "main" || folder(p.ImportPath) == "cmd" {
			continue
		}
		for _, f := range p.GoFiles {
			if folder(p.ImportPath)+"/"+f == "labtest/child.go" {
				continue
			}
			for _, line := range exits(t, p.Dir+"/"+f) {
				t.Errorf("%s ends the process at %s: whoever calls it cannot clean up, and gets no error", folder(p.ImportPath), line)
			}
		}
	}
}
