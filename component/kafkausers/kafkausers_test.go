package kafkausers

import (
	"context"
	"slices"
	"testing"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// deployed takes every release.
type deployed struct{ Release }

func (deployed) Apply(context.Context, plan.Order) (map[string]string, error) { return nil, nil }

// A user that there is no more is waited for until its object is gone, and no other.
func TestRemoved(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("ci")
	if err != nil {
		t.Fatal(err)
	}
	before := Want(p, component.Lab{Name: "default"})
	p.Kafka.Readers = p.Kafka.Readers[1:] // without alerce
	after := Want(p, component.Lab{Name: "default"})
	var gone []string
	part := Part{Release: deployed{}, Gone: func(_ context.Context, object kube.Ref) error {
		gone = append(gone, object.Kind.Kind+" "+object.Namespace+"/"+object.Name)
		return nil
	}}
	for _, order := range []plan.Order{{Input: before.Input}, {Input: after.Input, LastInput: before.Input}} {
		if _, err := part.Apply(t.Context(), order); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(gone, []string{"KafkaUser alert-stream-broker/alerce"}) {
		t.Errorf("waited for %q", gone)
	}
}
