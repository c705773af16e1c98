// Package schemas registers every published alert schema version under its own
// id, major*100 + minor, in the subject that holds all of them and in the one of
// each version's own topic, as the reference's schema synchronisation does.
package schemas

import (
	"context"
	"fmt"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/content"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

type input struct {
	Registry string   `json:"registry"` // URL
	Subject  string   `json:"subject"`
	Versions []string `json:"versions"`
}

// Want describes the schemas of a profile's registry: all that are published.
func Want(p *profiles.Profile) plan.Want {
	in := input{Registry: "${schema-registry.url}", Subject: p.Registry.Subject, Versions: Versions()}
	return plan.Want{
		Title:  fmt.Sprintf("%d alert schema versions, %s to %s", len(in.Versions), in.Versions[0], in.Versions[len(in.Versions)-1]),
		Input:  plan.Input(in),
		Behind: "schema-registry",
	}
}

// Versions lists the published versions, oldest first.
func Versions() []string {
	var out []string
	for _, v := range packet.Versions() {
		out = append(out, v.String())
	}
	return out
}

// TopicSubject is the subject of the topic that carries one version's alerts.
func TopicSubject(version string) string { return "lsst-alerts-v" + version + "-value" }

// New makes the part.
func New() plan.Part { return content.Part[input]{Look: look, Make: apply} }

// look asks for the subjects only: whether every schema is there costs as much to
// find out as to ensure, so a registry that answers counts as present, and one
// that lost a subject as drifted.
func look(ctx context.Context, in input, _ plan.Look) (plan.Observation, error) {
	client, err := registry.NewClient(in.Registry)
	if err != nil {
		return plan.Observation{}, err
	}
	subjects, err := client.API().Subjects(ctx)
	if err != nil {
		return plan.Observation{}, err
	}
	there := map[string]bool{}
	for _, s := range subjects {
		there[s] = true
	}
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d subjects are registered", len(subjects))}
	wanted := []string{in.Subject}
	for _, v := range in.Versions {
		wanted = append(wanted, TopicSubject(v))
	}
	for _, s := range wanted {
		if !there[s] {
			o.Drift = "subject " + s + " is missing"
		}
	}
	return o, nil
}

// apply makes what is missing.
func apply(ctx context.Context, in input, _ plan.Order) (map[string]string, error) {
	var entries []registry.Entry
	for _, text := range in.Versions {
		v, err := packet.ParseVersion(text)
		if err != nil {
			return nil, err
		}
		s, err := packet.Published(v)
		if err != nil {
			return nil, err
		}
		entries = append(entries,
			registry.Entry{ID: v.ID(), Version: v.ID(), Schema: s.Canonical(), Subject: in.Subject},
			registry.Entry{ID: v.ID(), Version: 1, Schema: s.Canonical(), Subject: TopicSubject(text)})
	}
	client, err := registry.NewClient(in.Registry)
	if err != nil {
		return nil, err
	}
	_, err = registry.Sync(ctx, client.API(), entries)
	return nil, err
}
