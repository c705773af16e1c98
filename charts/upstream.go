package charts

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

//go:embed upstream.yaml
var upstream []byte

// Table is what others publish and a lab on Kubernetes runs.
type Table struct {
	Strimzi          []Strimzi          `yaml:"strimzi"`          // the newest last
	RegistryOperator []RegistryOperator `yaml:"registryOperator"` // the newest last
	Environments     []Environment      `yaml:"environments"`
	Charts           []Upstream         `yaml:"charts"`
	Images           []Image            `yaml:"images"`
}

// Strimzi is one release of the Kafka operator.
type Strimzi struct {
	Version    string   `yaml:"version"`
	Kafka      []string `yaml:"kafka"` // the versions that it runs, the newest last
	Kubernetes Range    `yaml:"kubernetes"`
	API        []string `yaml:"api"` // versions of its custom resources that it serves
}

// Range is a range of minor releases of Kubernetes, both ends in it.
type Range struct {
	From string `yaml:"from"`
	To   string `yaml:"to"` // "": none is known that it does not run on
}

// RegistryOperator is one release of strimzi-registry-operator.
type RegistryOperator struct {
	Version string   `yaml:"version"`
	Chart   string   `yaml:"chart"`
	API     []string `yaml:"api"` // of Strimzi, that it can use
}

// Environment is what a profile's source had.
type Environment struct {
	Name                  string `yaml:"name"` // of the profile
	Strimzi               string `yaml:"strimzi"`
	Kafka                 string `yaml:"kafka"`
	RegistryOperatorChart string `yaml:"registryOperatorChart"`
}

// Image is an image that a lab runs and that no chart brings.
type Image struct {
	Name      string `yaml:"name"`
	Reference string `yaml:"reference"`
}

// Upstream is a chart of others.
type Upstream struct {
	Name       string `yaml:"name"`
	Repository string `yaml:"repository"` // URL, of HTTP or OCI (oci://...)
	// Version and AppVersion, the tag of the images, are empty in the table where package
	// lab/versions finds them: an operator's.
	Version    string `yaml:"version"`
	AppVersion string `yaml:"appVersion"`
	// Images are the repositories of the images that a lab runs of it, or references
	// where a tag is another one.
	Images []string `yaml:"images"`
}

// Read reads a table strictly. The error joins everything that is wrong.
func Read(data []byte) (Table, error) {
	var t Table
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&t); err != nil {
		return Table{}, err
	}
	return t, t.problems()
}

var minorPattern = regexp.MustCompile(`^\d+\.\d+$`)

func (t Table) problems() error {
	var all []error
	add := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	last := ""
	for i, s := range t.Strimzi {
		if last != "" && Compare(last, s.Version) >= 0 {
			add("strimzi[%d]: %s stands behind %s, and the newest is the last", i, s.Version, last)
		}
		last = s.Version
		if len(s.Kafka) == 0 || len(s.API) == 0 {
			add("strimzi[%d]: it runs no Kafka, or serves no API", i)
		}
		if !slices.IsSortedFunc(s.Kafka, Compare) {
			add("strimzi[%d].kafka: the newest is the last", i)
		}
		for _, minor := range []string{s.Kubernetes.From, s.Kubernetes.To} {
			if !minorPattern.MatchString(minor) && (minor != "" || s.Kubernetes.From == "") {
				add("strimzi[%d].kubernetes: %q is no minor release, as 1.35 is", i, minor)
			}
		}
	}
	for i, o := range t.RegistryOperator {
		if i > 0 && Compare(t.RegistryOperator[i-1].Version, o.Version) >= 0 {
			add("registryOperator[%d]: %s stands behind %s, and the newest is the last", i, o.Version, t.RegistryOperator[i-1].Version)
		}
	}
	for i, c := range t.Charts {
		if c.Name == "" || c.Repository == "" || (c.Version == "") != (c.AppVersion == "") {
			add("charts[%d]: it lacks a name, a repository or one of its versions", i)
		}
	}
	return errors.Join(all...)
}

// Others gives the table that this program was made with, charts/upstream.yaml.
var Others = sync.OnceValue(func() Table {
	t, err := Read(upstream)
	if err != nil {
		panic("charts/upstream.yaml: " + err.Error()) // it is part of this program
	}
	return t
})

// Upstreams gives the charts of others, with their pinned versions where they have any.
func Upstreams() []Upstream { return slices.Clone(Others().Charts) }

// Pinned gives the chart of others of a name.
func Pinned(name string) (Upstream, bool) {
	all := Upstreams()
	i := slices.IndexFunc(all, func(u Upstream) bool { return u.Name == name })
	if i < 0 {
		return Upstream{}, false
	}
	return all[i], true
}

// References are the images of a chart, as nodes run them.
func (u Upstream) References() []string {
	var refs []string
	for _, repository := range u.Images {
		if strings.Contains(path.Base(repository), ":") {
			refs = append(refs, repository)
			continue
		}
		refs = append(refs, repository+":"+u.AppVersion)
	}
	return refs
}

// Compare compares versions number by number, as 4.10.0 is above 4.9.1. What is no
// number counts as 0.
func Compare(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if d := number(x, i) - number(y, i); d != 0 {
			return d
		}
	}
	return 0
}

func number(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimPrefix(parts[i], "v"))
	if err != nil {
		return 0
	}
	return n
}
