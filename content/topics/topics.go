// Package topics brings the topics of a lab to what the profile says: it creates
// what is missing and alters what differs. It deletes only what its order says is to
// be destroyed.
package topics

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/alerts/admin"
	"github.com/alertlab/alertlab/content"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

type input struct {
	Bootstrap string  `json:"bootstrap"` // host:port
	As        string  `json:"as"`
	Topics    []Topic `json:"topics"`
}

// Topic is a topic as it should be.
type Topic struct {
	Name       string            `json:"name"`
	Partitions int32             `json:"partitions"`
	Replicas   int16             `json:"replicas"`
	Config     map[string]string `json:"config,omitempty"`
}

// Wanted gives a profile's topics, and the reservoir's: one partition, so that
// alerts keep their order, one copy, kept for ever, as the reference's load job
// makes it.
func Wanted(p *profiles.Profile) []Topic {
	var list []Topic
	for _, t := range p.Kafka.Topics {
		list = append(list, Topic(t))
	}
	if !slices.ContainsFunc(list, func(t Topic) bool { return t.Name == p.Simulator.StaticTopic }) {
		config := map[string]string{"retention.ms": "-1", "retention.bytes": "-1"}
		if _, given := p.Kafka.Config["min.insync.replicas"]; given {
			config["min.insync.replicas"] = "1" // there is one copy
		}
		list = append(list, Topic{Name: p.Simulator.StaticTopic, Partitions: 1, Replicas: 1, Config: config})
	}
	// Their order says nothing: where a profile takes over a topic that was added to
	// the lab, nothing changes.
	slices.SortFunc(list, func(a, b Topic) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Holds are what topics store.
func Holds(list []Topic) []plan.Hold {
	var holds []plan.Hold
	for _, t := range list {
		holds = append(holds, plan.Hold{Name: "topic " + t.Name, Amount: int64(t.Partitions), Unit: "partitions", Loss: "every record in it"})
	}
	return holds
}

// Want describes a profile's topics.
func Want(p *profiles.Profile) plan.Want {
	in := input{Bootstrap: "${kafka.bootstrap}", As: p.Kafka.Superuser, Topics: Wanted(p)}
	return plan.Want{
		Title:  fmt.Sprintf("%d topics", len(in.Topics)),
		Input:  plan.Input(in),
		Behind: "kafka",
		Holds:  Holds(in.Topics),
	}
}

// New makes the part.
func New(s *secrets.Store) plan.Part {
	p := &part{secrets: s}
	return content.Part[input]{Look: p.look, Make: p.apply}
}

type part struct{ secrets *secrets.Store }

// look sees whether the topics that were applied
// last are there, with their partitions.
func (p *part) look(ctx context.Context, in input, _ plan.Look) (plan.Observation, error) {
	client, err := content.Admin(p.secrets, in.Bootstrap, in.As)
	if err != nil {
		return plan.Observation{}, err
	}
	defer client.Close()
	there, err := client.ListTopics(ctx)
	if err != nil {
		return plan.Observation{}, err
	}
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d topics are there", len(in.Topics))}
	for _, t := range in.Topics {
		switch {
		case !there.Has(t.Name):
			o.Drift = fmt.Sprintf("topic %s is missing", t.Name)
		case len(there[t.Name].Partitions) != int(t.Partitions):
			o.Drift = fmt.Sprintf("topic %s has %d partitions, not %d", t.Name, len(there[t.Name].Partitions), t.Partitions)
		}
	}
	return o, nil
}

// apply makes what is missing, and deletes what the order says is to be destroyed.
func (p *part) apply(ctx context.Context, in input, order plan.Order) (map[string]string, error) {
	earlier := content.Earlier[input](order)
	list := make([]admin.Topic, 0, len(in.Topics))
	for _, t := range in.Topics {
		list = append(list, admin.Topic{Name: t.Name, Partitions: t.Partitions, Replicas: t.Replicas, Config: t.Config, Unset: unset(earlier, t)})
	}
	client, err := content.Admin(p.secrets, in.Bootstrap, in.As)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if order.Destroy {
		if _, err := admin.DeleteTopics(ctx, client, doomed(earlier, in)...); err != nil {
			return nil, err
		}
	}
	_, err = admin.EnsureTopics(ctx, client, list)
	return nil, err
}

// unset lists the settings that earlier steps gave a topic and that are not wanted
// any more. Settings that others made are left alone.
func unset(earlier []input, wanted Topic) []string {
	var out []string
	for _, was := range earlier {
		for _, t := range was.Topics {
			if t.Name != wanted.Name {
				continue
			}
			for key := range t.Config {
				if _, keep := wanted.Config[key]; !keep && !slices.Contains(out, key) {
					out = append(out, key)
				}
			}
		}
	}
	return out
}

// doomed lists the topics of earlier steps that are not wanted any more, or with
// fewer partitions, which Kafka can only give to a new topic.
func doomed(earlier []input, in input) []string {
	var out []string
	for _, was := range earlier {
		for _, t := range was.Topics {
			keep := slices.ContainsFunc(in.Topics, func(w Topic) bool { return w.Name == t.Name && w.Partitions >= t.Partitions })
			if !keep && !slices.Contains(out, t.Name) {
				out = append(out, t.Name)
			}
		}
	}
	return out
}
