package parts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// modulePrefix is before the name of a line in the path of its module.
const modulePrefix = "github.com/alertlab/alertlab/hack/rig/modules/"

// staging names the modules that are developed in k8s.io/kubernetes under
// staging/src/k8s.io and published with a version of their own. Its go.mod
// requires them as v0.0.0, so whoever builds it has to replace them. The list
// is that of Kubernetes 1.31 to 1.35; one that a line does not use has no
// effect.
var staging = []string{
	"api", "apiextensions-apiserver", "apimachinery", "apiserver", "cli-runtime", "client-go",
	"cloud-provider", "cluster-bootstrap", "code-generator", "component-base", "component-helpers",
	"controller-manager", "cri-api", "cri-client", "csi-translation-lib", "dynamic-resource-allocation",
	"endpointslice", "externaljwt", "kms", "kube-aggregator", "kube-controller-manager", "kube-proxy",
	"kube-scheduler", "kubectl", "kubelet", "metrics", "mount-utils", "pod-security-admission",
	"sample-apiserver", "sample-cli-plugin", "sample-controller",
}

// moduleVersion is a module, as the go command prints it too.
type moduleVersion struct{ Path, Version string }

func (m moduleVersion) String() string { return strings.TrimSpace(m.Path + " " + m.Version) }

// replacement makes the go command take New for Old.
type replacement struct{ Old, New moduleVersion }

func (r replacement) String() string { return r.Old.String() + " => " + r.New.String() }

var (
	modulePattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*\.[a-z]+(/[A-Za-z0-9._~-]+)*$`)
	versionPattern = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+incompatible)?$`)
)

// check tells what cannot be a module path or a version.
func (m moduleVersion) check() error {
	switch {
	case !modulePattern.MatchString(m.Path):
		return fmt.Errorf("%q is not the path of a Go module", m.Path)
	case !versionPattern.MatchString(m.Version):
		return fmt.Errorf("%q is not the version of a Go module, such as v1.2.3", m.Version)
	}
	return nil
}

// parseModule reads "path version".
func parseModule(text string) (moduleVersion, error) {
	path, version, ok := strings.Cut(text, " ")
	if !ok {
		return moduleVersion{}, fmt.Errorf("must be a module's path and version, but is %q", text)
	}
	m := moduleVersion{path, version}
	return m, m.check()
}

// parseReplace reads "path [version] => path version" or "path => ./folder".
func parseReplace(text string) (replacement, error) {
	var r replacement
	before, after, ok := strings.Cut(text, " => ")
	if !ok {
		return r, fmt.Errorf("must be \"path [version] => path version\" or \"path => ./folder\", but is %q", text)
	}
	r.Old.Path, r.Old.Version, _ = strings.Cut(before, " ")
	r.New.Path, r.New.Version, ok = strings.Cut(after, " ")
	old := r.Old
	if old.Version == "" {
		old.Version = "v0.0.0"
	}
	if err := old.check(); err != nil {
		return r, err
	}
	if ok {
		return r, r.New.check()
	}
	if !strings.HasPrefix(r.New.Path, "./") || !filepath.IsLocal(r.New.Path) {
		return r, fmt.Errorf("what stands for a module and has no version must be ./folder of the line, but is %q", r.New.Path)
	}
	return r, nil
}

// statements is what a go.mod says, as `go mod edit -json` prints it.
type statements struct {
	Module  moduleVersion
	Go      string
	GoDebug []struct{ Key, Value string }
	Require []struct {
		moduleVersion
		Indirect bool
	}
	Exclude []moduleVersion
	Replace []replacement
	Tool    []moduleVersion
}

// readMod asks the go command what a go.mod says.
func readMod(ctx context.Context, file string) (statements, error) {
	var s statements
	out, err := exec.CommandContext(ctx, "go", "mod", "edit", "-json", file).Output()
	if err != nil {
		return s, fmt.Errorf("go mod edit -json %s: %w", file, err)
	}
	return s, json.Unmarshal(out, &s)
}

// goMod gives what the pins say about a line's go.mod. The versions of other
// modules are carried over from what is there: the go command looks for the
// latest version of a module that nothing requires, and that must not change
// from day to day.
func (p *Pins) goMod(l Line, earlier statements) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "// Written from %s by the verb pin of the rig.\n\nmodule %s\n\ngo %s\n\n", PinsFile, modulePrefix+l.Name, l.Go)
	if l.GoDebug != "" {
		fmt.Fprintf(&b, "godebug default=%s\n\n", l.GoDebug)
	}
	block := func(word string, list []string) {
		if len(list) == 0 {
			return
		}
		slices.Sort(list)
		fmt.Fprintf(&b, "%s (\n", word)
		for _, text := range list {
			fmt.Fprintf(&b, "\t%s\n", text)
		}
		b.WriteString(")\n\n")
	}
	block("tool", p.tools(l))
	pinned, err := p.requires(l)
	if err != nil {
		return nil, err
	}
	var direct, indirect []string
	for path, version := range pinned {
		direct = append(direct, path+" "+version)
	}
	for _, r := range earlier.Require {
		if pinned[r.Path] == "" {
			indirect = append(indirect, r.String()+" // indirect")
		}
	}
	block("require", direct)
	block("require", indirect)
	replaces, err := l.replaces()
	if err != nil {
		return nil, err
	}
	var list []string
	for _, r := range replaces {
		list = append(list, r.String())
	}
	block("replace", list)
	block("exclude", slices.Clone(l.Excludes))
	return b.Bytes(), nil
}

// tools gives the programs that a line builds from other modules.
func (p *Pins) tools(l Line) []string {
	list := slices.Clone(l.Tools)
	for _, pin := range p.doc.Parts {
		if pin.Go.Line != l.Name {
			continue
		}
		for _, program := range pin.Go.Programs {
			if !strings.HasPrefix(program.Package, "./") {
				list = append(list, program.Package)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// requires gives the versions that the pins fix for a line, by module path.
func (p *Pins) requires(l Line) (map[string]string, error) {
	list := map[string]string{}
	for _, text := range l.Requires {
		m, err := parseModule(text)
		if err != nil {
			return nil, err
		}
		list[m.Path] = m.Version
	}
	for _, pin := range p.doc.Parts {
		if pin.Go.Line == l.Name && pin.Go.Module != "" {
			list[pin.Go.Module] = pin.Version
		}
	}
	return list, nil
}

// replaces gives those of the line, with Staging written out. A replacement
// that the line names wins over that of Staging.
func (l Line) replaces() ([]replacement, error) {
	var list []replacement
	named := map[string]bool{}
	for _, text := range l.Replaces {
		r, err := parseReplace(text)
		if err != nil {
			return nil, err
		}
		named[r.Old.Path] = true
		list = append(list, r)
	}
	if l.Staging != "" {
		for _, name := range staging {
			if path := "k8s.io/" + name; !named[path] {
				list = append(list, replacement{moduleVersion{Path: path}, moduleVersion{path, l.Staging}})
			}
		}
	}
	return list, nil
}

// WriteModules writes the go.mod and go.sum of every line from the pins, in
// hack/rig/modules of the checkout. It needs the module registry, and the
// module cache is that of the store. To give up the versions of indirect
// requirements, for instance when a pin moves down, remove the line's go.mod
// first.
func WriteModules(ctx context.Context, pins *Pins, store *Store) error {
	for _, l := range pins.doc.Lines {
		if err := pins.writeModule(ctx, store, l); err != nil {
			return fmt.Errorf("go.mod of line %s: %w", l.Name, err)
		}
	}
	return nil
}

func (p *Pins) writeModule(ctx context.Context, store *Store, l Line) error {
	dir := p.lineDir(l.Name)
	file := filepath.Join(dir, "go.mod")
	var said statements
	earlier, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if said, err = readMod(ctx, file); err != nil {
			return err
		}
	}
	text, err := p.goMod(l, said)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return err
	}
	c := command{dir: dir, env: goEnv(store.buildDir(""), "-mod=mod"), log: store.logFile("pin-" + l.Name), registry: goRegistry}
	if err := c.run(ctx, "go", "mod", "tidy"); err != nil {
		// What does not resolve must not stay: no build could use it.
		if earlier != nil {
			err = errors.Join(err, os.WriteFile(file, earlier, 0o644))
		}
		return err
	}
	if said, err = readMod(ctx, file); err != nil {
		return err
	}
	return p.agrees(l, said)
}

// agrees tells what a line's go.mod says otherwise than the pins; nil when it
// is what they give.
func (p *Pins) agrees(l Line, said statements) error {
	var wrong []error
	differ := func(what, got, want string) {
		if got != want {
			wrong = append(wrong, fmt.Errorf("%s is %q, but %q by the pins", what, got, want))
		}
	}
	lists := func(what string, got, want []string) {
		slices.Sort(got)
		slices.Sort(want)
		differ("the list of "+what, strings.Join(got, "; "), strings.Join(want, "; "))
	}
	differ("module", said.Module.Path, modulePrefix+l.Name)
	differ("go", said.Go, l.Go)
	var debug, wantDebug []string
	for _, one := range said.GoDebug {
		debug = append(debug, one.Key+"="+one.Value)
	}
	if l.GoDebug != "" {
		wantDebug = []string{"default=" + l.GoDebug}
	}
	lists("godebug settings", debug, wantDebug)
	var tools []string
	for _, tool := range said.Tool {
		tools = append(tools, tool.Path)
	}
	lists("tools", tools, p.tools(l))
	replaces, err := l.replaces()
	if err != nil {
		return err
	}
	replaced := map[string]bool{}
	var got, want []string
	for _, r := range said.Replace {
		got = append(got, r.String())
	}
	for _, r := range replaces {
		want = append(want, r.String())
		replaced[r.Old.Path] = true
	}
	lists("replacements", got, want)
	pinned, err := p.requires(l)
	if err != nil {
		return err
	}
	// The go command drops a requirement that nothing imports, and the
	// version of a replaced one decides nothing.
	for _, r := range said.Require {
		if version := pinned[r.Path]; version != "" && !replaced[r.Path] {
			differ(r.Path, r.Version, version)
		}
	}
	got = nil
	for _, e := range said.Exclude {
		got = append(got, e.String())
	}
	lists("exclusions", got, slices.Clone(l.Excludes))
	return errors.Join(wrong...)
}

// localReplacements gives the folders of a line that stand for modules.
func (l Line) localReplacements() []string {
	var list []string
	for _, text := range l.Replaces {
		if r, err := parseReplace(text); err == nil && r.New.Version == "" {
			list = append(list, r.New.Path)
		}
	}
	return list
}
