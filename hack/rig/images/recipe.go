package images

import (
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/alertlab/alertlab/internal/strictyaml"
	"github.com/alertlab/alertlab/lab/fault"
)

// APIVersion and Kind are what the first keys of a file of recipes say.
const (
	APIVersion = "alertlab/v1alpha1"
	Kind       = "RigImages"
)

// Recipes is what images.yaml says.
type Recipes struct {
	APIVersion string   `yaml:"apiVersion" json:"apiVersion"`
	Kind       string   `yaml:"kind" json:"kind"`
	Images     []Recipe `yaml:"images" json:"images"`
}

// Recipe is one image.
type Recipe struct {
	Name string `yaml:"name" json:"name"` // a DNS label, for this file and for reports
	// Reference is the full name with registry and tag. ${part} stands for the
	// version of a part, ${part#v} for the version without a leading v.
	Reference string `yaml:"reference" json:"reference"`
	// Part is the part whose version and licence label the image.
	Part       string            `yaml:"part" json:"part"`
	Source     string            `yaml:"source,omitempty" json:"source,omitempty"` // address of the upstream sources
	Layers     []Layer           `yaml:"layers" json:"layers"`
	Entrypoint []string          `yaml:"entrypoint" json:"entrypoint"`
	Cmd        []string          `yaml:"cmd,omitempty" json:"cmd,omitempty"`
	Env        map[string]string `yaml:"env,omitempty" json:"env,omitempty"`
	// User is numeric, UID or UID:GID: Kubernetes cannot tell whether a name
	// is root.
	User    string   `yaml:"user" json:"user"`
	Workdir string   `yaml:"workdir,omitempty" json:"workdir,omitempty"`
	Volumes []string `yaml:"volumes,omitempty" json:"volumes,omitempty"`
	// Node marks the one image that is not for the layout: it is written as an
	// archive for a Docker engine.
	Node bool `yaml:"node,omitempty" json:"node,omitempty"`
	// Engine marks images that run beside the nodes, in the Docker engine.
	Engine bool `yaml:"engine,omitempty" json:"engine,omitempty"`
}

// Layer is a Debian root, or files.
type Layer struct {
	// Root is a part with a root.tar, which becomes the first layer.
	Root string `yaml:"root,omitempty" json:"root,omitempty"`
	// Only are patterns of path.Match: of the root, what they match, and what
	// that needs to run. Without any, all of the root.
	Only  []string `yaml:"only,omitempty" json:"only,omitempty"`
	Files []File   `yaml:"files,omitempty" json:"files,omitempty"`
}

// File is one thing in a layer; exactly one of From, Own, Text, Link, Folder,
// Archive and References says what it is.
type File struct {
	// Path is where it goes; it ends in a slash when From is a pattern.
	Path string `yaml:"path" json:"path"`
	Part string `yaml:"part,omitempty" json:"part,omitempty"`
	// From is a file of Part, or a pattern of path.Match for several.
	From string `yaml:"from,omitempty" json:"from,omitempty"`
	// Own is a file that this package holds.
	Own string `yaml:"own,omitempty" json:"own,omitempty"`
	// Text is the content itself, with versions in place of ${part}.
	Text   string `yaml:"text,omitempty" json:"text,omitempty"`
	Link   string `yaml:"link,omitempty" json:"link,omitempty"` // target of a symbolic link
	Folder bool   `yaml:"folder,omitempty" json:"folder,omitempty"`
	// Archive lists images of this file that go in as one docker-archive,
	// their layers not compressed: the layer around it is.
	Archive []string `yaml:"archive,omitempty" json:"archive,omitempty"`
	// References lists images of this file whose references are the text, one
	// a line.
	References []string `yaml:"references,omitempty" json:"references,omitempty"`
	// Mode is octal. Without it: 0755 for folders and for what a part has as
	// executable, else 0644.
	Mode  string `yaml:"mode,omitempty" json:"mode,omitempty"`
	Owner string `yaml:"owner,omitempty" json:"owner,omitempty"` // UID:GID, 0:0 without it
}

// Load reads and validates a file of recipes. Its error names every problem,
// each with its line.
func Load(file string) (*Recipes, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fault.Wrap(fault.BadInput, "the image recipes cannot be read", err, "git checkout hack/rig/images.yaml")
	}
	defer f.Close()
	// One byte more than allowed is enough for Parse to refuse the file.
	data, err := io.ReadAll(io.LimitReader(f, strictyaml.MaxSize+1))
	if err != nil {
		return nil, fault.Wrap(fault.BadInput, "the image recipes cannot be read", err, "git checkout hack/rig/images.yaml")
	}
	return Parse(file, data)
}

// Parse is Load for a text; file only appears in problems.
func Parse(file string, data []byte) (*Recipes, error) {
	r := new(Recipes)
	report := strictyaml.Decode(file, data, strictyaml.Header{APIVersion: APIVersion, Kind: Kind}, r)
	if report.Readable() {
		validator{r, report}.all()
	}
	if err := report.Err(); err != nil {
		return nil, fault.Wrap(fault.BadInput, "the image recipes have mistakes", err, "mend these lines of "+file)
	}
	return r, nil
}

// Parts gives the names of all parts that the recipes take anything from, sorted.
func (r *Recipes) Parts() []string {
	var names []string
	for i := range r.Images {
		names = append(names, r.Images[i].parts()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// parts gives the names of the parts of one image, sorted.
func (r *Recipe) parts() []string {
	names := append(r.packed(), r.Part)
	names = append(names, versionsIn(r.Reference)...)
	for _, l := range r.Layers {
		for _, f := range l.Files {
			names = append(names, versionsIn(f.Text)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// packed gives the names of the parts whose files go into one image, sorted.
func (r *Recipe) packed() []string {
	var names []string
	for _, l := range r.Layers {
		if l.Root != "" {
			names = append(names, l.Root)
		}
		for _, f := range l.Files {
			if f.Part != "" {
				names = append(names, f.Part)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// held gives the names of the images that this one holds or names.
func (r *Recipe) held() []string {
	var names []string
	for _, l := range r.Layers {
		for _, f := range l.Files {
			names = append(append(names, f.Archive...), f.References...)
		}
	}
	return names
}

var (
	version = regexp.MustCompile(`\$\{([a-z0-9][a-z0-9-]*)(#v)?\}`)
	label   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	octal   = regexp.MustCompile(`^[01]?[0-7]{3}$|^0[0-7]{3,4}$`)
	userID  = regexp.MustCompile(`^\d{1,9}(:\d{1,9})?$`)
	ownerID = regexp.MustCompile(`^\d{1,7}:\d{1,7}$`)
	envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// versionsIn gives the parts whose version a text asks for.
func versionsIn(text string) []string {
	var names []string
	for _, m := range version.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

type validator struct {
	*Recipes
	r *strictyaml.Report
}

// bad adds a problem, unless reading the value failed already.
func (v validator) bad(path, format string, args ...any) {
	if v.r.Sound(path) {
		v.r.Addf(path, format, args...)
	}
}

func (v validator) all() {
	if len(v.Images) == 0 {
		v.bad("images", "there is no image")
	}
	names, references, nodes := map[string]bool{}, map[string]bool{}, 0
	for i := range v.Images {
		at, one := fmt.Sprintf("images[%d]", i), &v.Images[i]
		if !label.MatchString(one.Name) {
			v.bad(at+".name", "%s is not a DNS label", strictyaml.Quote(one.Name))
		} else if names[one.Name] {
			v.bad(at+".name", "%s stands here a second time", strictyaml.Quote(one.Name))
		}
		if err := checkReference(one.Reference); err != nil {
			v.bad(at+".reference", "%s", err)
		} else if references[one.Reference] {
			v.bad(at+".reference", "another image has the same reference")
		}
		names[one.Name], references[one.Reference] = true, true
		if one.Node {
			if nodes++; nodes > 1 {
				v.bad(at+".node", "one image at most is the node image")
			}
		}
		v.image(at, one)
	}
	for i := range v.Images {
		for j, l := range v.Images[i].Layers {
			for k, f := range l.Files {
				at := fmt.Sprintf("images[%d].layers[%d].files[%d]", i, j, k)
				v.held(at+".archive", &v.Images[i], f.Archive)
				v.held(at+".references", &v.Images[i], f.References)
			}
		}
	}
}

// held checks the images that go into another: only a node holds some, so
// that no image can come to hold itself.
func (v validator) held(at string, holder *Recipe, names []string) {
	if len(names) > 0 && !holder.Node {
		v.bad(at, "only the node image can hold other images")
		return
	}
	var known []string
	for _, one := range v.Images {
		if !one.Node {
			known = append(known, one.Name)
		}
	}
	for i, n := range names {
		switch {
		case !slices.Contains(known, n):
			text := fmt.Sprintf("there is no image %s to put in", strictyaml.Quote(n))
			if near := strictyaml.Nearest(n, known); near != "" {
				text += ", did you mean " + strictyaml.Quote(near) + "?"
			}
			v.bad(fmt.Sprintf("%s[%d]", at, i), "%s", text)
		case slices.Contains(names[:i], n):
			v.bad(fmt.Sprintf("%s[%d]", at, i), "%s stands here a second time", strictyaml.Quote(n))
		}
	}
}

func checkReference(text string) error {
	plain := version.ReplaceAllString(text, "0")
	if strings.ContainsAny(plain, "${}") {
		return fmt.Errorf("%s: only ${part} and ${part#v} can stand in it", strictyaml.Quote(text))
	}
	if short, ok := strings.CutPrefix(text, "docker.io/"); ok && !strings.Contains(short, "/") {
		return fmt.Errorf("%s: nodes know this image as docker.io/library/%s", strictyaml.Quote(text), short)
	}
	// The library's own words name other formats; these are the rules that
	// apply to all references here.
	tag, err := name.NewTag(plain, name.StrictValidation)
	if err != nil || tag.RegistryStr() == name.DefaultRegistry && !strings.HasPrefix(plain, "docker.io/") {
		return fmt.Errorf("%s is not a full image name: REGISTRY/NAME:TAG", strictyaml.Quote(text))
	}
	return nil
}

func (v validator) image(at string, one *Recipe) {
	if !label.MatchString(one.Part) {
		v.bad(at+".part", "%s is not the name of a part", strictyaml.Quote(one.Part))
	}
	if !userID.MatchString(one.User) {
		v.bad(at+".user", "%s is not UID or UID:GID", strictyaml.Quote(one.User))
	}
	if len(one.Entrypoint) == 0 {
		v.bad(at+".entrypoint", "is empty")
	}
	if one.Workdir != "" && !absolute(one.Workdir) {
		v.bad(at+".workdir", "%s is not an absolute path", strictyaml.Quote(one.Workdir))
	}
	for i, p := range one.Volumes {
		if !absolute(p) {
			v.bad(fmt.Sprintf("%s.volumes[%d]", at, i), "%s is not an absolute path", strictyaml.Quote(p))
		}
	}
	for k := range one.Env {
		if !envName.MatchString(k) {
			v.bad(at+".env."+k, "%s is not the name of a variable", strictyaml.Quote(k))
		}
	}
	if len(one.Layers) == 0 {
		v.bad(at+".layers", "there is no layer")
	}
	for i, l := range one.Layers {
		at := fmt.Sprintf("%s.layers[%d]", at, i)
		switch {
		case l.Root == "" && len(l.Files) == 0:
			v.bad(at, "needs root or files")
		case l.Root != "" && len(l.Files) > 0:
			v.bad(at, "has both root and files: make it two layers")
		case l.Root != "" && i > 0:
			v.bad(at+".root", "a root can only be the first layer")
		case l.Root != "" && !label.MatchString(l.Root):
			v.bad(at+".root", "%s is not the name of a part", strictyaml.Quote(l.Root))
		}
		if len(l.Only) > 0 && l.Root == "" {
			v.bad(at+".only", "needs a root to choose from")
		}
		for j, p := range l.Only {
			if _, err := path.Match(p, ""); err != nil || !absolute(p) {
				v.bad(fmt.Sprintf("%s.only[%d]", at, j), "%s is not a pattern of absolute paths", strictyaml.Quote(p))
			}
		}
		paths := map[string]bool{}
		for j, f := range l.Files {
			at := fmt.Sprintf("%s.files[%d]", at, j)
			v.file(at, f)
			if !strings.HasSuffix(f.Path, "/") && paths[f.Path] {
				v.bad(at+".path", "%s stands here a second time", strictyaml.Quote(f.Path))
			}
			paths[f.Path] = true
		}
	}
}

func (v validator) file(at string, f File) {
	kinds := 0
	for _, is := range []bool{f.From != "", f.Own != "", f.Text != "", f.Link != "", f.Folder, len(f.Archive) > 0, len(f.References) > 0} {
		if is {
			kinds++
		}
	}
	if kinds != 1 && v.r.Sound(at) {
		v.bad(at, "needs exactly one of from, own, text, link, folder, archive and references, but has %d of them", kinds)
	}
	several := f.From != "" && strings.HasSuffix(f.Path, "/")
	if !absolute(strings.TrimSuffix(f.Path, "/")) || strings.HasSuffix(f.Path, "/") && !several {
		v.bad(at+".path", "%s is not an absolute path in its shortest form", strictyaml.Quote(f.Path))
	}
	switch {
	case f.From != "" && f.Part == "":
		v.bad(at+".from", "needs a part that the file comes from")
	case f.From == "" && f.Part != "":
		v.bad(at+".part", "needs a file of the part, in from")
	case f.Part != "" && !label.MatchString(f.Part):
		v.bad(at+".part", "%s is not the name of a part", strictyaml.Quote(f.Part))
	}
	if f.From != "" {
		pattern := strings.ContainsAny(f.From, `*?[\`)
		_, err := path.Match(f.From, "x")
		switch {
		case err != nil || path.IsAbs(f.From) || path.Clean(f.From) != f.From || strings.HasPrefix(f.From, ".."):
			v.bad(at+".from", "%s is not a path or pattern inside a part", strictyaml.Quote(f.From))
		case pattern && !several:
			v.bad(at+".path", "must end in a slash, since %s can match several files", strictyaml.Quote(f.From))
		}
	}
	if f.Own != "" {
		if _, err := ownFile(f.Own); err != nil {
			v.bad(at+".own", "this package holds no file %s", strictyaml.Quote(f.Own))
		}
	}
	if f.Mode != "" && (!octal.MatchString(f.Mode) || f.Link != "") {
		v.bad(at+".mode", "%s is not an octal mode of a file or folder", strictyaml.Quote(f.Mode))
	}
	if f.Owner != "" && !ownerID.MatchString(f.Owner) {
		v.bad(at+".owner", "%s is not UID:GID", strictyaml.Quote(f.Owner))
	}
}

// absolute tells whether p is an absolute path in its shortest form, not the root.
func absolute(p string) bool {
	return path.IsAbs(p) && path.Clean(p) == p && p != "/" && !strings.ContainsRune(p, 0)
}

// mode gives the permission bits, or otherwise for a file that names none.
func (f *File) mode(otherwise int64) int64 {
	if f.Mode == "" {
		return otherwise
	}
	n, _ := strconv.ParseInt(f.Mode, 8, 64) // checked by validate
	return n
}

func (f *File) owner() (uid, gid int) {
	u, g, _ := strings.Cut(f.Owner, ":")
	uid, _ = strconv.Atoi(u) // checked by validate, 0 without one
	gid, _ = strconv.Atoi(g)
	return uid, gid
}
