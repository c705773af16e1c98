package ingress

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/alertlab/alertlab/component"
)

// Kind is who serves a lab's Ingresses.
type Kind string

// The kinds: nobody, a controller that the lab brings, or one that the cluster has.
const (
	None    Kind = "none"
	Nginx   Kind = "nginx"
	Traefik Kind = "traefik"
	Theirs  Kind = "class"
)

// Choice is who serves a lab's Ingresses, and of which class they are.
type Choice struct {
	Kind  Kind
	Class string // "" with None
}

// Words are what can be chosen, as people write it; behind the last comes a name.
func Words() []string {
	return []string{string(Nginx), string(Traefik), string(None), string(Theirs) + ":"}
}

// classPattern is what Kubernetes takes as the name of an IngressClass (RFC 1123, a
// subdomain).
var classPattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// Parse reads a choice.
func Parse(text string) (Choice, error) {
	switch kind := Kind(text); kind {
	case None:
		return Choice{Kind: None}, nil
	case Nginx, Traefik:
		return Choice{kind, text}, nil
	}
	name, ok := strings.CutPrefix(text, string(Theirs)+":")
	if !ok {
		return Choice{}, fmt.Errorf("there is no ingress %q: write nginx, traefik, none or class:NAME", text)
	}
	if !classPattern.MatchString(name) || len(name) > 253 {
		return Choice{}, fmt.Errorf("%q is no name of an ingress class: lower-case letters, digits, hyphens and dots", name)
	}
	return Choice{Theirs, name}, nil
}

// String writes it as Parse reads it.
func (c Choice) String() string {
	if c.Kind == Theirs {
		return string(Theirs) + ":" + c.Class
	}
	return string(c.Kind)
}

// Of is the choice of a lab, which was checked; nginx where none was made.
func Of(lab component.Lab) Choice {
	if c, err := Parse(lab.Ingress); err == nil {
		return c
	}
	return Choice{Nginx, string(Nginx)}
}

// Chart gives the name of upstream's chart of a controller; "" where the lab brings none.
func (c Choice) Chart() string {
	switch c.Kind {
	case Nginx:
		return ChartNginx
	case Traefik:
		return ChartTraefik
	}
	return ""
}
