package kube

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// An Ingress says where it is reached by address or by name.
func TestReached(t *testing.T) {
	t.Parallel()
	for want, list := range map[string][]any{
		"": nil, "192.0.2.7": {map[string]any{"ip": "192.0.2.7"}}, "lb.example.org": {map[string]any{}, map[string]any{"hostname": "lb.example.org"}},
	} {
		u := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"loadBalancer": map[string]any{"ingress": list}}}}
		if got := Reached(u); got != want {
			t.Errorf("%v: %q", list, got)
		}
		if v := IsReached(u); v.Done != (want != "") || v.Done == (v.Seen != "") {
			t.Errorf("%v: %+v", list, v)
		}
	}
	if v := IsReached(nil); v.Done || v.Seen != "it is not there" {
		t.Errorf("%+v", v)
	}
}
