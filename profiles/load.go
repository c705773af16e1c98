package profiles

import (
	"embed"
	"io"
	"os"
	"slices"

	"github.com/alertlab/alertlab/internal/strictyaml"
)

//go:embed *.yaml
var embedded embed.FS

// Problems is everything that is wrong with one profile, sorted by line; its
// Error prints one "file:line:column: path: message" for each.
type Problems = strictyaml.Problems

// Problem is one of Problems.
type Problem = strictyaml.Problem

// Info is one line of the list of profiles.
type Info struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Source      string `json:"source"` // where the profile comes from: embedded
}

// UnknownError says that no embedded profile has a name.
type UnknownError = strictyaml.UnknownError

// library gives the embedded profiles.
func library() strictyaml.Library { return strictyaml.Library{Kind: "profile", Files: embedded} }

// List gives the embedded profiles, sorted by name. It panics if one of them
// cannot be read, which only a mistake in this package can cause.
func List() []Info {
	var list []Info
	for _, name := range library().Names() {
		p, err := Load(name)
		if err != nil {
			panic("embedded profile: " + err.Error())
		}
		list = append(list, Info{Name: p.Name, Description: p.Description, Source: "embedded"})
	}
	return list
}

// Load reads the embedded profile of this name. The error is an *UnknownError
// when there is none.
func Load(name string) (*Profile, error) {
	file, data, err := library().Read(name)
	if err != nil {
		return nil, err
	}
	return Parse(file, data)
}

// LoadFile reads a profile from a file. The error is that of the file system,
// or *Problems.
func LoadFile(path string) (*Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// One byte more than allowed is enough for Parse to refuse a file that
	// was named by mistake, however long it is.
	data, err := io.ReadAll(io.LimitReader(f, strictyaml.MaxSize+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads and validates a profile; filename only appears in problems. The
// error is a *Problems with everything that is wrong.
func Parse(filename string, data []byte) (*Profile, error) {
	p := new(Profile)
	report := strictyaml.Decode(filename, data, strictyaml.Header{APIVersion: APIVersion, Kind: Kind}, p)
	if report.Readable() {
		validate(p, report)
	}
	if err := report.Err(); err != nil {
		return nil, err
	}
	p.source = slices.Clone(data)
	return p, nil
}

// Source gives a YAML text that Parse reads to this profile: the file it was
// loaded from with its comments or, once Override changed it, one without.
func (p *Profile) Source() []byte { return slices.Clone(p.source) }
