// Package upstream is what components need to know of other people's charts and images:
// the versions that go together for a profile, and where a chart comes from. The table
// is charts/upstream.yaml, the rules are lab/versions'.
package upstream

import (
	"sync"

	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/lab/versions"
	"github.com/alertlab/alertlab/profiles"
)

// table reads the table once; that it can be read is tested.
var table = sync.OnceValue(func() *versions.Table {
	t, err := versions.Parse("charts/upstream.yaml", charts.Table())
	if err != nil {
		panic(err)
	}
	return t
})

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

// Release is a release of a chart of the table, with what it makes.
func Release(name, namespace, chart string, p *profiles.Profile, lab component.Lab, workloads ...component.Workload) component.Release {
	c, err := table().Chart(chart, Of(p, lab))
	if err != nil {
		panic(err) // only a mistake in a component can name a chart that there is not
	}
	return component.Release{Name: name, Namespace: namespace, Chart: chart, Version: c.Version,
		Outside: &component.Outside{Repository: c.Repository, Bundle: lab.Bundle, Workloads: workloads}}
}

// Images gives the images that a lab runs of a chart of the table.
func Images(chart string) []string {
	c, err := table().Chart(chart, versions.Answer{})
	if err != nil {
		panic(err) // as above
	}
	return c.References()
}

// Image gives an image of the table that no chart brings.
func Image(name string) string {
	ref, err := table().Image(name)
	if err != nil {
		panic(err) // as above
	}
	return ref
}

// Available is the condition of a Deployment that has its pods.
func Available(namespace, name string) component.Condition {
	return component.Condition{APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: name, Type: "Available"}
}

// Established is the condition of a definition of custom resources that is served.
func Established(name string) component.Condition {
	return component.Condition{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition", Name: name, Type: "Established"}
}
