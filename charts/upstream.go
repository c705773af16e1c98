package charts

import (
	"bytes"
	_ "embed"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

//go:embed upstream.yaml
var upstream []byte

// Upstream is a chart of others.
type Upstream struct {
	Name       string `yaml:"name"`
	Repository string `yaml:"repository"` // URL, of HTTP or OCI (oci://...)
	Version    string `yaml:"version"`
	AppVersion string `yaml:"appVersion"` // tag of the images
	// Images are the repositories of the images that a lab runs of it, or references
	// where a tag is another one.
	Images []string `yaml:"images"`
}

// Upstreams gives the charts of others with their pinned versions.
func Upstreams() []Upstream {
	var table struct {
		Charts []Upstream `yaml:"charts"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(upstream))
	decoder.KnownFields(true)
	if err := decoder.Decode(&table); err != nil {
		panic("charts/upstream.yaml: " + err.Error()) // it is part of this program
	}
	return table.Charts
}

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
