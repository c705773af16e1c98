package steer_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"

	"github.com/alertlab/alertlab/deployer/steer"
)

func TestRouse(t *testing.T) {
	t.Parallel()
	const namespace = "alert-stream-broker"
	object := func(api, kind, name, cluster string, spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": api, "kind": kind, "spec": spec,
			"metadata": map[string]any{"name": name, "namespace": namespace, "labels": map[string]any{"strimzi.io/cluster": cluster}}}}
	}
	set := func(name, cluster string, pods ...string) *unstructured.Unstructured {
		list := []any{}
		for _, pod := range pods {
			list = append(list, map[string]any{"metadata": map[string]any{"name": pod}})
		}
		return object("core.strimzi.io/v1", "StrimziPodSet", name, cluster, map[string]any{"pods": list})
	}
	podSets := schema.GroupVersionResource{Group: "core.strimzi.io", Version: "v1", Resource: "strimzipodsets"}
	pods := schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{podSets: "StrimziPodSetList", pods: "PodList"},
		set("alert-broker-controller", "alert-broker", "alert-broker-controller-0"),
		set("alert-broker-kafka", "alert-broker", "alert-broker-kafka-6", "alert-broker-kafka-7"),
		set("other-kafka", "other", "other-kafka-0"),
		object("v1", "Pod", "alert-broker-controller-0", "alert-broker", nil),
		object("v1", "Pod", "alert-broker-kafka-6", "alert-broker", nil))
	roused := func(name string) string {
		t.Helper()
		o, err := client.Resource(podSets).Namespace(namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return o.GetAnnotations()[steer.Roused]
	}
	if err := steer.Rouse(t.Context(), client, namespace, "alert-broker"); err != nil {
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
}
