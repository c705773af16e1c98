package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
)

const manifestOfThree = `
apiVersion: v1
kind: Service
metadata: {name: there}
---
apiVersion: v1
kind: Service
metadata: {name: gone}
---
apiVersion: batch/v1
kind: Job
metadata: {name: done}
`

// fixedMapper maps the kinds that it was given.
type fixedMapper struct{ meta.RESTMapper }

func (fixedMapper) Reset() {}

// fakeDynamic is a cluster with one object in the namespace n.
func fakeDynamic(t *testing.T, kind, name string) *Client {
	t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: kind})
	u.SetNamespace("n")
	u.SetName(name)
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	return &Client{Dynamic: dynamicfake.NewSimpleDynamicClient(scheme.Scheme, u), mapper: fixedMapper{mapper}}
}
