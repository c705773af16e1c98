// Package upstream is what components need to know of other people's operators: the
// versions that go together for a profile, and the conditions of what they make. The
// table is charts/upstream.yaml, the rules are lab/versions'.
package upstream

import (
	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/versions"
	"github.com/alertlab/alertlab/profiles"
)

func table() versions.Table { return versions.Table(charts.Others()) }

func question(p *profiles.Profile, lab component.Lab) versions.Question {
	return versions.Question{Kafka: p.Kafka.Version, Kubernetes: lab.Kubernetes}
}

// Solve gives the versions that are run for a profile. The error is a *versions.NoneError.
func Solve(p *profiles.Profile, lab component.Lab) (versions.Answer, error) {
	return table().Solve(question(p, lab))
}

// Of is Solve for who comes after its error was seen; then every version is empty.
func Of(p *profiles.Profile, lab component.Lab) versions.Answer {
	a, _ := Solve(p, lab)
	return a
}

// Conceded says how the operators that are run differ from those of a profile's source.
func Conceded(p *profiles.Profile, lab component.Lab) []string {
	a, err := Solve(p, lab)
	if err != nil {
		return nil
	}
	return table().Conceded(p.Name, question(p, lab), a)
}

// Operator gives the chart of an operator in the version that goes with a profile.
func Operator(name string, p *profiles.Profile, lab component.Lab) charts.Upstream {
	c, err := table().Chart(name, Of(p, lab))
	if err != nil {
		panic(err) // only a mistake in a component can name a chart that there is not
	}
	return c
}

// Image gives an image of the table that no chart brings.
func Image(name string) string {
	ref, err := table().Image(name)
	if err != nil {
		panic(err) // as above
	}
	return ref
}

// Available watches a Deployment that should have its pods, in the release's namespace.
func Available(name string) map[string]component.Objects {
	return Watches(func(r component.Release) []kube.Expected {
		return []kube.Expected{{Ref: kube.Object("apps/v1", "Deployment", r.Namespace, name), Cond: kube.Current("Available")}}
	})
}

// Established watches definitions of custom resources that should be served.
func Established(names ...string) map[string]component.Objects {
	return Watches(func(component.Release) []kube.Expected {
		var out []kube.Expected
		for _, name := range names {
			out = append(out, kube.Expected{Ref: kube.Object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name), Cond: kube.Current("Established")})
		}
		return out
	})
}

// Watches are the objects of component.GateConditions.
func Watches(objects component.Objects) map[string]component.Objects {
	return map[string]component.Objects{component.GateConditions: objects}
}

// EachReady watches the operator's objects that a list of a release's values names: each
// of them has to be Ready.
func EachReady(list, apiVersion, kind string) map[string]component.Objects {
	return Watches(func(r component.Release) []kube.Expected {
		var out []kube.Expected
		all, _ := r.Values[list].([]any)
		for _, one := range all {
			values, _ := one.(map[string]any)
			name, _ := values["name"].(string)
			out = append(out, kube.Expected{Ref: kube.Object(apiVersion, kind, r.Namespace, name), Cond: kube.Current("Ready")})
		}
		return out
	})
}
