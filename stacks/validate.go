package stacks

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/alertlab/alertlab/internal/strictyaml"
)

var labelPattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// validate adds everything that is wrong with the values of s.
func validate(s *Stack, r *strictyaml.Report) {
	label(r, "name", s.Name)
	line(r, "description", s.Description)
	if len(s.Components) == 0 && r.Sound("components") {
		r.Addf("components", "the list is empty")
	}
	var names []string
	for i, c := range s.Components {
		path := fmt.Sprintf("components[%d]", i)
		label(r, path+".name", c.Name)
		if slices.Contains(names, c.Name) && r.Sound(path+".name") {
			r.Addf(path+".name", "the component %s is declared twice", strictyaml.Quote(c.Name))
		}
		names = append(names, c.Name)
		line(r, path+".why", c.Why)
		if len(c.Implementations) == 0 && r.Sound(path) {
			r.Addf(path, "nothing implements it: a provider's key is missing")
		}
		for _, provider := range slices.Sorted(maps.Keys(c.Implementations)) {
			label(r, path+"."+provider, c.Implementations[provider])
		}
		if c.Deployer != "" {
			label(r, path+".deployer", c.Deployer)
		}
	}
	for i, c := range s.Components {
		for j, need := range c.Needs {
			path := fmt.Sprintf("components[%d].needs[%d]", i, j)
			switch {
			case !r.Sound(path):
			case slices.Contains(c.Needs[:j], need):
				r.Addf(path, "%s stands here twice", strictyaml.Quote(need))
			case !slices.Contains(names, need) && allNamed(r, s):
				hint := ""
				if near := strictyaml.Nearest(need, names); near != "" {
					hint = ", did you mean " + strictyaml.Quote(near) + "?"
				}
				r.Addf(path, "there is no component %s%s", strictyaml.Quote(need), hint)
			}
		}
	}
	for _, cycle := range findCycles(s) {
		i := slices.IndexFunc(s.Components, func(c Component) bool { return c.Name == cycle[0] })
		j := slices.Index(s.Components[i].Needs, cycle[1])
		r.Addf(fmt.Sprintf("components[%d].needs[%d]", i, j), "the components need each other: %s", strings.Join(cycle, " -> "))
	}
}

// allNamed tells whether every name could be read; while one could not, a need
// may well refer to it.
func allNamed(r *strictyaml.Report, s *Stack) bool {
	for i := range s.Components {
		if !r.Sound(fmt.Sprintf("components[%d].name", i)) {
			return false
		}
	}
	return true
}

func label(r *strictyaml.Report, path, name string) {
	if r.Sound(path) && !labelPattern.MatchString(name) {
		r.Addf(path, "%s is not a DNS label: up to 63 lower-case letters, digits and inner hyphens", strictyaml.Quote(name))
	}
}

func line(r *strictyaml.Report, path, text string) {
	switch {
	case !r.Sound(path):
	case strings.TrimSpace(text) == "":
		r.Addf(path, "is empty")
	case strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }):
		r.Addf(path, "%s holds a line break or another character that cannot be printed", strictyaml.Quote(text))
	}
}
