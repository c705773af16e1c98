package steer_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/alertlab/alertlab/deployer/steer"
	"github.com/alertlab/alertlab/internal/kube"
)

// operated is a cluster in memory with a Kafka, whose sets somebody may fill again.
type operated struct {
	objects
	refills int      // how often the brokers' set is filled again behind our back
	did     []string // what was done, in order
}

const brokerPods, controllerPods = "strimzi.io/cluster=alert-broker,strimzi.io/pool-name=kafka", "strimzi.io/cluster=alert-broker,strimzi.io/pool-name=controller"

func (o *operated) DeletePod(_ context.Context, _ string, p kube.Pod, atOnce bool) error {
	if atOnce {
		o.did = append(o.did, "at once")
	}
	o.did = append(o.did, "delete "+p.Name)
	for selector := range o.pods {
		o.pods[selector] = slices.DeleteFunc(o.pods[selector], func(q kube.Pod) bool { return q.Name == p.Name })
	}
	return nil
}

func (o *operated) WaitNoPods(_ context.Context, _, selector string, _ func(string)) error {
	if selector == brokerPods && o.refills > 0 {
		o.refills--
		o.set("alert-broker", "kafka", "alert-broker-kafka-6")
		o.pods[brokerPods] = []kube.Pod{{Name: "alert-broker-kafka-6", UID: "again"}}
	}
	return nil
}

func (o *operated) Wait(_ context.Context, ref kube.Ref, _ kube.Condition) error {
	o.did = append(o.did, "wait for "+ref.Kind.Kind)
	return &kube.WaitError{What: "the operator", Seen: "it is busy"} // and is not waited for for ever
}

func newOperated(annotations map[string]any) (*operated, *unstructured.Unstructured) {
	kafka := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"annotations": annotations}}}
	o := &operated{objects: objects{all: map[kube.Ref]*unstructured.Unstructured{kube.Object("kafka.strimzi.io/v1", "Kafka", theirs, "alert-broker"): kafka},
		pods: map[string][]kube.Pod{brokerPods: {{Name: "alert-broker-kafka-6"}, {Name: "alert-broker-kafka-7"}}, controllerPods: {{Name: "alert-broker-controller-0"}}}}}
	o.set("alert-broker", "kafka", "alert-broker-kafka-6", "alert-broker-kafka-7")
	o.set("alert-broker", "controller", "alert-broker-controller-0")
	return o, kafka
}

// A Kafka is halted whoever works on it, also when its set is filled again meanwhile, and
// resumed.
func TestHalt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		attended bool
		refills  int
		did      string
	}{
		"the operator is the lab's, and gone": {false, 0, "delete alert-broker-kafka-6, delete alert-broker-kafka-7, delete alert-broker-controller-0"},
		"somebody's":                          {true, 0, "wait for Kafka, delete alert-broker-kafka-6, delete alert-broker-kafka-7, delete alert-broker-controller-0"},
		"somebody's, and in the middle of something": {true, 2,
			"wait for Kafka, delete alert-broker-kafka-6, delete alert-broker-kafka-7, delete alert-broker-kafka-6, delete alert-broker-kafka-6, delete alert-broker-controller-0"},
	} {
		o, kafka := newOperated(map[string]any{"a": "b"})
		o.refills = tc.refills
		if err := steer.Halt(t.Context(), o, theirs, "alert-broker", tc.attended, func(string) {}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.Join(o.did, ", "); got != tc.did {
			t.Errorf("%s: %s", name, got)
		}
		if kafka.GetAnnotations()["strimzi.io/pause-reconciliation"] != "true" || kafka.GetAnnotations()["a"] != "b" {
			t.Errorf("%s: %v", name, kafka.GetAnnotations())
		}
		for ref, u := range o.all {
			if pods, there, err := unstructured.NestedSlice(u.Object, "spec", "pods"); err != nil || there && len(pods) > 0 {
				t.Errorf("%s: %s lists %v, %v", name, ref, pods, err)
			}
		}
		halted, err := steer.IsHalted(t.Context(), o, theirs, "alert-broker")
		if err != nil || !halted {
			t.Errorf("%s: halted %v, %v", name, halted, err)
		}
		for _, want := range []bool{true, false} {
			if resumed, err := steer.Resume(t.Context(), o, theirs, "alert-broker"); err != nil || resumed != want {
				t.Errorf("%s: resumed %v, %v", name, resumed, err)
			}
		}
		if a := kafka.GetAnnotations(); len(a) != 1 || a["a"] != "b" {
			t.Errorf("%s: %v", name, a)
		}
	}
	if err := steer.Halt(t.Context(), &operated{}, theirs, "alert-broker", true, nil); err != nil {
		t.Errorf("where there is no Kafka: %v", err)
	}
}

// Somebody's own pause is nobody else's to take back.
func TestHaltPaused(t *testing.T) {
	t.Parallel()
	o, kafka := newOperated(map[string]any{"strimzi.io/pause-reconciliation": "true"})
	if err := steer.Halt(t.Context(), o, theirs, "alert-broker", false, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if resumed, err := steer.Resume(t.Context(), o, theirs, "alert-broker"); err != nil || resumed || kafka.GetAnnotations()["strimzi.io/pause-reconciliation"] != "true" {
		t.Errorf("resumed %v, %v, %v", resumed, err, kafka.GetAnnotations())
	}
}
