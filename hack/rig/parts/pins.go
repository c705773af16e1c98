package parts

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/internal/strictyaml"
	"github.com/alertlab/alertlab/lab/fault"
)

// The first keys of the pins file.
const (
	APIVersion = "alertlab/v1alpha1"
	Kind       = "RigParts"
)

// PinsFile is where the pins stand, relative to the root of the checkout.
const PinsFile = "hack/rig/parts.yaml"

// MainLine is the name of the checkout's own Go module among the lines. Its
// go.mod is not written from the pins.
const MainLine = "main"

// Pin is everything that decides how one part is built. Exactly one of Go,
// Maven and Debian says how, and Go may be joined by CRDs.
type Pin struct {
	Name    string    `yaml:"name"`
	Version string    `yaml:"version"` // of upstream; "own" for our programs
	Licence string    `yaml:"licence"` // SPDX expression of upstream
	Note    string    `yaml:"note,omitempty"`
	Go      GoPin     `yaml:"go,omitempty"`
	CRDs    []CRDPin  `yaml:"crds,omitempty"`
	Maven   MavenPin  `yaml:"maven,omitempty"`
	Debian  DebianPin `yaml:"debian,omitempty"`
}

// GoPin builds Go programs.
type GoPin struct {
	Line string `yaml:"line"` // name of a Line, or MainLine
	// Module is the module that Version belongs to, and so is required by
	// the line; empty for our own programs and for those of MainLine.
	Module   string    `yaml:"module,omitempty"`
	Programs []Program `yaml:"programs,omitempty"`
	// Folder makes a program of each folder in it that holds one, instead of
	// Programs: a path in the line's module.
	Folder string   `yaml:"folder,omitempty"`
	Tags   []string `yaml:"tags,omitempty"`
	// Variables are set by the linker; $version, $number (without the v),
	// $major and $minor stand for those of Version.
	Variables map[string]string `yaml:"variables,omitempty"`
}

// Program is one Go program: a package path, or ./folder in the line's module.
type Program struct {
	Name    string `yaml:"name"`
	Package string `yaml:"package"`
}

// CRDPin generates custom resource definitions from Go types.
type CRDPin struct {
	Package string   `yaml:"package"`           // pattern of Go packages
	Options []string `yaml:"options,omitempty"` // of the crd generator, as key=value
	// Groups keeps only the definitions of these API groups; all when empty.
	Groups []string `yaml:"groups,omitempty"`
	// Published takes the module's own files, by glob from its root, where
	// generating gives less than what upstream publishes; Package is then
	// only that of the module's types.
	Published string `yaml:"published,omitempty"`
}

// MavenPin copies jars, or runs a program that they hold.
type MavenPin struct {
	Artifacts []string `yaml:"artifacts"`         // group:artifact:version
	Exclude   []string `yaml:"exclude,omitempty"` // group:artifact
	Run       RunPin   `yaml:"run,omitempty"`
}

// RunPin is a Java program whose output is the part, instead of its jars.
type RunPin struct {
	Main string `yaml:"main"`
	Java int    `yaml:"java"` // the oldest Java release that runs it
	// Root is the part with a Java runtime, for when the machine's is older.
	Root string   `yaml:"root"`
	Args []string `yaml:"args,omitempty"`
	// CRDs are the custom resources: class, and the file to write.
	CRDs map[string]string `yaml:"crds"`
}

// DebianPin unpacks Debian packages and what they depend on.
type DebianPin struct {
	Suite    string            `yaml:"suite"`
	Packages []string          `yaml:"packages"`
	Remove   []string          `yaml:"remove,omitempty"` // patterns of path.Match; folders with what is in them
	Links    map[string]string `yaml:"links,omitempty"`  // path: target
}

// Line is one Go module, in which the parts of one Kubernetes release are
// built, so that they share what is compiled.
type Line struct {
	Name     string   `yaml:"name"`
	Go       string   `yaml:"go"`                 // language version, e.g. 1.26.0
	GoDebug  string   `yaml:"godebug,omitempty"`  // default GODEBUG of the programs
	Requires []string `yaml:"requires,omitempty"` // "path version", beyond the parts' modules
	Tools    []string `yaml:"tools,omitempty"`    // programs that the build itself runs
	// Staging is the version of the modules that are developed inside
	// k8s.io/kubernetes: each is replaced by it.
	Staging  string   `yaml:"staging,omitempty"`
	Replaces []string `yaml:"replaces,omitempty"` // "path [version] => path version" or "path => ./folder"
	Excludes []string `yaml:"excludes,omitempty"` // "path version"
	// Disk is what the build caches take when everything in the line has been
	// built, in MB: downloaded modules and compiled packages.
	Disk int64 `yaml:"disk"`
}

type document struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	// Epoch is the modification time of files in roots, in seconds since
	// 1970: a build that runs at another time must not give other bytes.
	Epoch int64 `yaml:"epoch"`
	// MavenPlugin is the plugin that copies artifacts, group:artifact:version.
	MavenPlugin string `yaml:"mavenPlugin"`
	Lines       []Line `yaml:"lines"`
	Parts       []Pin  `yaml:"parts"`
}

// Pins is the pins file of one checkout.
type Pins struct {
	project string
	doc     document
	target  target
}

// target is what the parts are built with and for.
type target struct{ Go, OS, Arch string }

// Load reads the pins of the checkout whose root is project, and asks the go
// command there for its version. The error is *strictyaml.Problems with
// everything that is wrong with the file, that of the file system, or a
// *fault.Fault when there is no usable go command.
func Load(ctx context.Context, project string) (*Pins, error) {
	project, err := filepath.Abs(project)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(project, PinsFile))
	if err != nil {
		return nil, err
	}
	pins, err := Parse(PinsFile, data)
	if err != nil {
		return nil, err
	}
	version, err := goVersion(ctx, project)
	if err != nil {
		return nil, err
	}
	pins.project = project
	pins.target = target{Go: version, OS: "linux", Arch: runtime.GOARCH}
	return pins, nil
}

// Parse reads and checks a pins file; filename only appears in problems. The
// error is *strictyaml.Problems. What it gives has no checkout: it has parts
// and lines, but no keys, and cannot be built.
func Parse(filename string, data []byte) (*Pins, error) {
	pins := new(Pins)
	report := strictyaml.Decode(filename, data, strictyaml.Header{APIVersion: APIVersion, Kind: Kind}, &pins.doc)
	if report.Readable() {
		pins.doc.check(report)
	}
	return pins, report.Err()
}

// Names gives the names of all parts in the order of the file, which is the
// order in which they are wanted.
func (p *Pins) Names() []string {
	names := make([]string, len(p.doc.Parts))
	for i, pin := range p.doc.Parts {
		names[i] = pin.Name
	}
	return names
}

// Part gives the pin of a part.
func (p *Pins) Part(name string) (Pin, bool) {
	i := slices.IndexFunc(p.doc.Parts, func(pin Pin) bool { return pin.Name == name })
	if i < 0 {
		return Pin{}, false
	}
	return p.doc.Parts[i], true
}

// Lines gives the Go modules of the pins, in the order of the file.
func (p *Pins) Lines() []Line { return slices.Clone(p.doc.Lines) }

func (p *Pins) line(name string) Line {
	i := slices.IndexFunc(p.doc.Lines, func(l Line) bool { return l.Name == name })
	if i < 0 {
		return Line{Name: MainLine}
	}
	return p.doc.Lines[i]
}

// unknown is the error for a part that nobody pinned.
func (p *Pins) unknown(name string) error {
	why := "the parts are " + strings.Join(p.Names(), ", ")
	if near := strictyaml.Nearest(name, p.Names()); near != "" {
		why = "did you mean " + strictyaml.Quote(near) + "?"
	}
	return fault.New(fault.BadInput, "there is no part "+strictyaml.Quote(name), why, "name a part of "+PinsFile)
}

// lineDir gives the folder of a line's module.
func (p *Pins) lineDir(name string) string {
	if name == MainLine {
		return p.project
	}
	return filepath.Join(p.project, modulesFolder, name)
}

// modulesFolder holds a folder for each line, relative to the checkout.
const modulesFolder = "hack/rig/modules"

// toolsLine is the line of programs that the build itself runs.
const toolsLine = "tools"

var (
	namePattern     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	artifactPattern = regexp.MustCompile(`^[\w.-]+:[\w.-]+:[\w.-]+$`)
	excludePattern  = regexp.MustCompile(`^[\w.-]+:[\w.-]+$`)
	packagePattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	programPattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	importPattern   = regexp.MustCompile(`^[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*$`)
	goPattern       = regexp.MustCompile(`^1\.[0-9]+(\.[0-9]+)?$`)
)

func (d *document) check(r *strictyaml.Report) {
	lines := map[string]bool{MainLine: true}
	for i, l := range d.Lines {
		at := fmt.Sprintf("lines[%d]", i)
		switch {
		case !namePattern.MatchString(l.Name):
			r.Addf(at+".name", "must be lower-case letters, digits and inner hyphens, but is %s", strictyaml.Quote(l.Name))
		case lines[l.Name]:
			r.Addf(at+".name", "%s is taken", strictyaml.Quote(l.Name))
		}
		lines[l.Name] = true
		l.check(r, at)
	}
	names := map[string]bool{}
	for i, pin := range d.Parts {
		at := fmt.Sprintf("parts[%d]", i)
		switch {
		case !namePattern.MatchString(pin.Name):
			r.Addf(at+".name", "must be lower-case letters, digits and inner hyphens, but is %s", strictyaml.Quote(pin.Name))
		case names[pin.Name]:
			r.Addf(at+".name", "a part %s stands here already", strictyaml.Quote(pin.Name))
		}
		names[pin.Name] = true
	}
	for i, pin := range d.Parts {
		pin.check(r, fmt.Sprintf("parts[%d]", i), lines, names)
	}
	if !artifactPattern.MatchString(d.MavenPlugin) && r.Sound("mavenPlugin") {
		r.Addf("mavenPlugin", "must be group:artifact:version, but is %s", strictyaml.Quote(d.MavenPlugin))
	}
	if d.Epoch <= 0 && r.Sound("epoch") {
		r.Addf("epoch", "must be a time after 1970")
	}
}

func (l Line) check(r *strictyaml.Report, at string) {
	if !goPattern.MatchString(l.Go) && r.Sound(at+".go") {
		r.Addf(at+".go", "must be a Go language version such as 1.26.0, but is %s", strictyaml.Quote(l.Go))
	}
	if l.Disk <= 0 && r.Sound(at+".disk") {
		r.Addf(at+".disk", "must be what the line's build caches take in MB, such as 2500")
	}
	if l.Staging != "" && !versionPattern.MatchString(l.Staging) {
		r.Addf(at+".staging", "must be a version such as v0.35.4, but is %s", strictyaml.Quote(l.Staging))
	}
	for i, text := range l.Requires {
		if _, err := parseModule(text); err != nil {
			r.Addf(fmt.Sprintf("%s.requires[%d]", at, i), "%s", err)
		}
	}
	for i, text := range l.Excludes {
		if _, err := parseModule(text); err != nil {
			r.Addf(fmt.Sprintf("%s.excludes[%d]", at, i), "%s", err)
		}
	}
	for i, text := range l.Replaces {
		if _, err := parseReplace(text); err != nil {
			r.Addf(fmt.Sprintf("%s.replaces[%d]", at, i), "%s", err)
		}
	}
}

func (pin Pin) check(r *strictyaml.Report, at string, lines, names map[string]bool) {
	kinds := 0
	if pin.Go.Line != "" || !r.Sound(at+".go") {
		kinds++
		pin.checkGo(r, at, lines)
	}
	if len(pin.Maven.Artifacts) > 0 || !r.Sound(at+".maven") {
		kinds++
		pin.Maven.check(r, at+".maven", names)
	}
	if pin.Debian.Suite != "" || !r.Sound(at+".debian") {
		kinds++
		pin.Debian.check(r, at+".debian")
	}
	if kinds != 1 && r.Sound(at) {
		r.Addf(at, "must have exactly one of go, maven and debian, but has %d", kinds)
	}
	if len(pin.CRDs) > 0 && pin.Go.Module == "" {
		r.Addf(at+".crds", "needs go.module, whose types they are generated from")
	}
	if len(pin.CRDs) > 0 && !lines[toolsLine] {
		r.Addf(at+".crds", "needs a line %s with the generator", toolsLine)
	}
	for i, crd := range pin.CRDs {
		if _, err := path.Match(crd.Published, ""); err != nil {
			r.Addf(fmt.Sprintf("%s.crds[%d].published", at, i), "is not a pattern of paths")
		}
	}
}

func (pin Pin) checkGo(r *strictyaml.Report, at string, lines map[string]bool) {
	g := pin.Go
	if !lines[g.Line] && g.Line != "" {
		known := slices.Sorted(maps.Keys(lines))
		r.Addf(at+".go.line", "there is no line %s, there are: %s", strictyaml.Quote(g.Line), strings.Join(known, ", "))
	}
	if g.Module != "" {
		if g.Line == MainLine {
			r.Addf(at+".go.module", "is decided by the checkout's own go.mod, so it cannot stand here")
		}
		if err := (moduleVersion{g.Module, pin.Version}).check(); err != nil && r.Sound(at+".version", at+".go.module") {
			r.Addf(at+".version", "cannot be required: %s", err)
		}
	}
	if (len(g.Programs) > 0) == (g.Folder != "") && r.Sound(at+".go") {
		r.Addf(at+".go", "must have exactly one of programs and folder")
	}
	seen := map[string]bool{}
	for i, program := range g.Programs {
		where := fmt.Sprintf("%s.go.programs[%d]", at, i)
		if !programPattern.MatchString(program.Name) || seen[program.Name] {
			r.Addf(where+".name", "must be a file name of lower-case letters, digits and hyphens that stands here once, but is %s", strictyaml.Quote(program.Name))
		}
		seen[program.Name] = true
		if local := strings.TrimPrefix(program.Package, "./"); !importPattern.MatchString(local) {
			r.Addf(where+".package", "is neither an import path nor ./folder: %s", strictyaml.Quote(program.Package))
		}
	}
}

func (m MavenPin) check(r *strictyaml.Report, at string, names map[string]bool) {
	for i, text := range m.Artifacts {
		if !artifactPattern.MatchString(text) {
			r.Addf(fmt.Sprintf("%s.artifacts[%d]", at, i), "must be group:artifact:version, but is %s", strictyaml.Quote(text))
		}
	}
	for i, text := range m.Exclude {
		if !excludePattern.MatchString(text) {
			r.Addf(fmt.Sprintf("%s.exclude[%d]", at, i), "must be group:artifact, but is %s", strictyaml.Quote(text))
		}
	}
	if m.Run.Main == "" {
		return
	}
	if !names[m.Run.Root] && m.Run.Root != "" {
		r.Addf(at+".run.root", "there is no part %s", strictyaml.Quote(m.Run.Root))
	}
	for class, file := range m.Run.CRDs {
		if file != filepath.Base(file) || file == "." {
			r.Addf(at+".run.crds."+class, "must be a file name, but is %s", strictyaml.Quote(file))
		}
	}
}

func (d DebianPin) check(r *strictyaml.Report, at string) {
	if len(d.Packages) == 0 && r.Sound(at+".packages") {
		r.Addf(at+".packages", "is empty")
	}
	for i, name := range d.Packages {
		if !packagePattern.MatchString(name) {
			r.Addf(fmt.Sprintf("%s.packages[%d]", at, i), "is not the name of a Debian package: %s", strictyaml.Quote(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Links)) {
		if !cleanPath(name) {
			r.Addf(at+".links."+name, "must be a path without a leading slash")
		}
	}
	for i, pattern := range d.Remove {
		if _, err := path.Match(pattern, ""); err != nil || !cleanPath(pattern) {
			r.Addf(fmt.Sprintf("%s.remove[%d]", at, i), "must be a pattern of paths without a leading slash")
		}
	}
}

// cleanPath tells whether name is a plain path below a root.
func cleanPath(name string) bool { return filepath.IsLocal(name) && path.Clean(name) == name }
