package stacks

import (
	"embed"

	"github.com/alertlab/alertlab/internal/strictyaml"
)

// APIVersion and Kind are what the first keys of a stack say.
const (
	APIVersion = "alertlab/v1alpha1"
	Kind       = "Stack"
)

//go:embed *.yaml
var embedded embed.FS

// Stack is one system: its components in the order of the file.
type Stack struct {
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Components  []Component `json:"components"`
}

// Component is one part of a system that can be applied, observed and removed.
type Component struct {
	Name string `json:"name"` // a DNS label, unique in its stack
	Why  string `json:"why"`  // the reason it is there, as the end of "because"
	// Needs names the components that must be done before this one begins.
	Needs []string `json:"needs,omitempty"`
	// Implementations maps a provider (embedded, k3d, kind, existing) to the name of what
	// implements the component there. A provider that it does not have needs
	// none of the component.
	Implementations map[string]string `json:"implementations"`
	// Deployer names the deployer (helm, argocd) that needs the component; empty for a
	// component of the system itself.
	Deployer string `json:"deployer,omitempty"`
}

// Problems is everything that is wrong with one stack, sorted by line; its
// Error prints one "file:line:column: path: message" for each.
type Problems = strictyaml.Problems

// Problem is one of Problems.
type Problem = strictyaml.Problem

// Info is one line of the list of stacks.
type Info struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// UnknownError says that no embedded stack has a name.
type UnknownError = strictyaml.UnknownError

// library gives the embedded stacks.
func library() strictyaml.Library { return strictyaml.Library{Kind: "stack", Files: embedded} }

// List gives the embedded stacks, sorted by name. It panics if one of them
// cannot be read, which only a mistake in this package can cause.
func List() []Info {
	var list []Info
	for _, name := range library().Names() {
		s, err := Load(name)
		if err != nil {
			panic("embedded stack: " + err.Error())
		}
		list = append(list, Info{Name: s.Name, Description: s.Description})
	}
	return list
}

// Load reads the embedded stack of this name. The error is an *UnknownError
// when there is none.
func Load(name string) (*Stack, error) {
	file, data, err := library().Read(name)
	if err != nil {
		return nil, err
	}
	return Parse(file, data)
}

// Parse reads and validates a stack; filename only appears in problems. The
// error is a *Problems with everything that is wrong.
func Parse(filename string, data []byte) (*Stack, error) {
	var f file
	report := strictyaml.Decode(filename, data, strictyaml.Header{APIVersion: APIVersion, Kind: Kind}, &f)
	s := f.stack()
	if report.Readable() {
		validate(s, report)
	}
	if err := report.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// file is a stack as it is written: each provider is a key of its own, so that
// a misspelt provider is an unknown key.
type file struct {
	APIVersion  string `yaml:"apiVersion"`
	Kind        string `yaml:"kind"`
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
	Components  []row  `yaml:"components"`
}

type row struct {
	Name     string   `yaml:"name"`
	Why      string   `yaml:"why"`
	Needs    []string `yaml:"needs,omitempty"`
	Embedded string   `yaml:"embedded,omitempty"`
	K3d      string   `yaml:"k3d,omitempty"`
	Kind     string   `yaml:"kind,omitempty"`
	Existing string   `yaml:"existing,omitempty"`
	Deployer string   `yaml:"deployer,omitempty"`
}

func (f file) stack() *Stack {
	s := &Stack{Name: f.Name, Description: f.Description}
	for _, row := range f.Components {
		c := Component{Name: row.Name, Why: row.Why, Needs: row.Needs, Deployer: row.Deployer, Implementations: map[string]string{}}
		for provider, name := range map[string]string{"embedded": row.Embedded, "k3d": row.K3d, "kind": row.Kind, "existing": row.Existing} {
			if name != "" {
				c.Implementations[provider] = name
			}
		}
		s.Components = append(s.Components, c)
	}
	return s
}
