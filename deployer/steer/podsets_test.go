package steer_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/alertlab/alertlab/deployer/steer"
	"github.com/alertlab/alertlab/internal/kube"
)

// objects is a cluster in memory.
type objects struct {
	all  map[kube.Ref]*unstructured.Unstructured
	pods map[string][]kube.Pod // by selector
}

func (o objects) Get(_ context.Context, ref kube.Ref) (*unstructured.Unstructured, error) {
	return o.all[ref], nil
}

// Patch merges objects, and puts everything else in the place of what was there.
func (o objects) Patch(_ context.Context, ref kube.Ref, patch []byte) error {
	var change map[string]any
	if err := json.Unmarshal(patch, &change); err != nil {
		return err
	}
	merge(o.all[ref].Object, change)
	return nil
}

func merge(into, change map[string]any) {
	for key, value := range change {
		inner, ok := value.(map[string]any)
		if !ok {
			if value == nil {
				delete(into, key)
			} else {
				into[key] = value
			}
			continue
		}
		below, ok := into[key].(map[string]any)
		if !ok {
			below = map[string]any{}
			into[key] = below
		}
		merge(below, inner)
	}
}

func (o objects) Pods(_ context.Context, namespace, selector string) ([]kube.Pod, error) {
	if namespace != theirs {
		return nil, nil
	}
	return slices.Clone(o.pods[selector]), nil
}

const theirs = "alert-stream-broker"

// set adds a StrimziPodSet with its pods.
func (o objects) set(cluster, pool string, pods ...string) kube.Ref {
	list := []any{}
	for _, pod := range pods {
		list = append(list, map[string]any{"metadata": map[string]any{"name": pod}})
	}
	ref := kube.Object("core.strimzi.io/v1", "StrimziPodSet", theirs, cluster+"-"+pool)
	o.all[ref] = &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{}, "spec": map[string]any{"pods": list}}}
	return ref
}

func TestRouse(t *testing.T) {
	t.Parallel()
	client := objects{all: map[kube.Ref]*unstructured.Unstructured{}, pods: map[string][]kube.Pod{
		"strimzi.io/cluster=alert-broker": {{Name: "alert-broker-controller-0"}, {Name: "alert-broker-kafka-6"}}}}
	sets := map[string]kube.Ref{}
	for _, ref := range []kube.Ref{
		client.set("alert-broker", "controller", "alert-broker-controller-0"),
		client.set("alert-broker", "kafka", "alert-broker-kafka-6", "alert-broker-kafka-7"),
		client.set("other", "kafka", "other-kafka-0"),
	} {
		sets[ref.Name] = ref
	}
	roused := func(name string) string {
		t.Helper()
		if client.all[sets[name]] == nil {
			t.Fatalf("there is no %s", name)
		}
		return client.all[sets[name]].GetAnnotations()[steer.Roused]
	}
	if err := steer.Rouse(t.Context(), client, theirs, "alert-broker"); err != nil {
		t.Fatal(err)
	}
	if roused("alert-broker-kafka") == "" {
		t.Error("a set without one of its pods is left alone")
	}
	for _, whole := range []string{"alert-broker-controller", "other-kafka"} {
		if at := roused(whole); at != "" {
			t.Errorf("%s was roused at %s", whole, at)
		}
	}
	// A cluster that is not Strimzi's, or has no such kind, has no sets.
	if err := steer.Rouse(t.Context(), objects{}, theirs, "alert-broker"); err != nil {
		t.Error(err)
	}
}
