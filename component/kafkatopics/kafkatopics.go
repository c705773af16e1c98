// Package kafkatopics is a profile's topics as custom resources, which Strimzi's topic
// operator carries out.
package kafkatopics

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/strimzi"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/content"
	"github.com/alertlab/alertlab/content/topics"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

const (
	api  = "kafka.strimzi.io/v1"
	kind = "KafkaTopic"
)

// resource gives the name of a topic's object: its own where Kubernetes takes it.
func resource(topic string) string {
	if strimzi.Kubernetes(topic) {
		return topic
	}
	legal := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(topic))
	sum := sha256.Sum256([]byte(topic))
	return strings.Trim("topic-"+strings.Trim(legal[:min(len(legal), 200)], "-"), "-") + "-" + hex.EncodeToString(sum[:4])
}

// Want describes the topics.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	wanted := topics.Wanted(p)
	r := component.Release{Name: "kafka-topics", Namespace: component.Namespace, Chart: "kafka-topics"}
	var list []any
	for _, t := range wanted {
		one := map[string]any{"name": resource(t.Name), "topic": t.Name, "partitions": t.Partitions, "replicas": t.Replicas}
		if len(t.Config) > 0 {
			one["config"] = t.Config
		}
		list = append(list, one)
	}
	r.Values = map[string]any{"lab": lab.Name, "cluster": p.Kafka.Cluster, "topics": list}
	w := r.Want(fmt.Sprintf("%d topics", len(list)), component.Meets("the operator says that each is Ready", 3*time.Minute))
	w.Behind, w.Holds = "kafka", topics.Holds(wanted)
	return w
}

// Watched gives what the gates watch.
func Watched() map[string]component.Objects {
	return upstream.EachReady("topics", api, kind)
}

// Release is a release by any deployer.
type Release interface {
	plan.Part
	plan.Waiter
	Attend(applied json.RawMessage)
	Activity() event.Activity
}

// Part is a deployer's part of the topics, which first takes away those that are to be
// destroyed and made anew: Kafka gives fewer partitions to new topics only. Those that there
// are no more it waits for, too: their operator lets go of them when Kafka has none.
type Part struct {
	Release
	// Gone waits until an object is not there.
	Gone func(ctx context.Context, object kube.Ref) error
}

// Apply implements plan.Part.
func (p Part) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	wanted, err := component.Read(order.Input)
	if err != nil {
		return nil, err
	}
	if order.Destroy {
		if doomed := fewer(content.Earlier[component.Release](order), wanted); len(doomed) > 0 {
			without := order
			without.Input = plan.Input(less(wanted, doomed))
			if _, err := p.Release.Apply(ctx, without); err != nil {
				return nil, err
			}
			for _, name := range doomed {
				if err := p.Gone(ctx, kube.Object(api, kind, wanted.Namespace, name)); err != nil {
					return nil, err
				}
			}
		}
	}
	outputs, err := p.Release.Apply(ctx, order)
	if err != nil || !order.Destroy {
		return outputs, err
	}
	there := partitions(wanted)
	for _, r := range content.Earlier[component.Release](order) {
		for name := range partitions(r) {
			if _, wanted := there[name]; wanted {
				continue
			}
			if err := p.Gone(ctx, kube.Object(api, kind, r.Namespace, name)); err != nil {
				return nil, err
			}
		}
	}
	return outputs, nil
}

// partitions reads the partitions of a release's topics by the objects' names.
func partitions(r component.Release) map[string]float64 {
	out := map[string]float64{}
	list, _ := r.Values["topics"].([]any)
	for _, one := range list {
		t, _ := one.(map[string]any)
		name, _ := t["name"].(string)
		out[name], _ = t["partitions"].(float64)
	}
	return out
}

// fewer lists the topics that are wanted with fewer partitions than they were given.
func fewer(earlier []component.Release, wanted component.Release) []string {
	now := partitions(wanted)
	was := map[string]float64{}
	for _, r := range earlier {
		for name, n := range partitions(r) {
			was[name] = max(was[name], n)
		}
	}
	var out []string
	list, _ := wanted.Values["topics"].([]any)
	for _, one := range list {
		t, _ := one.(map[string]any)
		if name, _ := t["name"].(string); now[name] < was[name] {
			out = append(out, name)
		}
	}
	return out
}

// less is a release without some of its topics.
func less(r component.Release, doomed []string) component.Release {
	values := map[string]any{}
	for key, value := range r.Values {
		values[key] = value
	}
	keep := []any{}
	list, _ := r.Values["topics"].([]any)
	for _, one := range list {
		t, _ := one.(map[string]any)
		gone := false
		for _, name := range doomed {
			gone = gone || t["name"] == name
		}
		if !gone {
			keep = append(keep, one)
		}
	}
	values["topics"] = keep
	r.Values = values
	return r
}
