package kafkatopics

import (
	"context"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

func TestResource(t *testing.T) {
	t.Parallel()
	for topic, want := range map[string]string{"alerts-simulated": "alerts-simulated", "lsst-alerts-v10.0": "lsst-alerts-v10.0", "My_Topic": "topic-my-topic-", "...": "topic-"} {
		got := resource(topic)
		if got != want && (!strings.HasSuffix(want, "-") || !strings.HasPrefix(got, want)) {
			t.Errorf("%s is called %s", topic, got)
		}
	}
	if resource("My_Topic") == resource("my_topic") {
		t.Error("two topics have one object")
	}
}

// deployed remembers the topics of each release that was applied.
type deployed struct {
	Release
	applied []string
}

func (d *deployed) Apply(_ context.Context, order plan.Order) (map[string]string, error) {
	r, err := component.Read(order.Input)
	names := []string{}
	list, _ := r.Values["topics"].([]any)
	for _, one := range list {
		names = append(names, one.(map[string]any)["name"].(string))
	}
	d.applied = append(d.applied, strings.Join(names, " "))
	return nil, err
}

// A topic with fewer partitions is taken away and made anew, where that was allowed.
func TestFewerPartitions(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("ci")
	if err != nil {
		t.Fatal(err)
	}
	before := Want(p, component.Lab{Name: "default"})
	if len(before.Holds) == 0 || before.Behind != "kafka" {
		t.Errorf("%+v", before)
	}
	p.Kafka.Topics[0].Partitions--
	after := Want(p, component.Lab{Name: "default"})
	var gone []string
	d := &deployed{}
	part := Part{Release: d, Gone: func(_ context.Context, object kube.Ref) error {
		gone = append(gone, object.Kind.Kind+" "+object.Name)
		return nil
	}}
	order := plan.Order{Input: after.Input, LastInput: before.Input}
	if _, err := part.Apply(t.Context(), order); err != nil || len(d.applied) != 1 || len(gone) != 0 {
		t.Errorf("not allowed: %q, %q, %v", d.applied, gone, err)
	}
	order.Destroy, d.applied = true, nil
	if _, err := part.Apply(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	name := p.Kafka.Topics[0].Name
	if len(d.applied) != 2 || strings.Contains(d.applied[0], name) || !strings.Contains(d.applied[1], name) || strings.Join(gone, ",") != "KafkaTopic "+name {
		t.Errorf("allowed: %q, %q", d.applied, gone)
	}
	// A topic that there is no more is waited for, too.
	p.Kafka.Topics = p.Kafka.Topics[1:]
	fewer := Want(p, component.Lab{Name: "default"})
	order, gone = plan.Order{Input: fewer.Input, LastInput: after.Input, Destroy: true}, nil
	if _, err := part.Apply(t.Context(), order); err != nil || strings.Join(gone, ",") != "KafkaTopic "+name {
		t.Errorf("not wanted any more: %q, %v", gone, err)
	}
}
