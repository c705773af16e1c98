package kube

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	k8stesting "k8s.io/client-go/testing"
)

// forgetful maps a kind that is known from before, until it looks again.
type forgetful struct {
	meta.RESTMapper
	known bool
}

func (m *forgetful) Reset() { m.known = false }

func (m *forgetful) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	if !m.known {
		return nil, &meta.NoKindMatchError{GroupKind: kind, SearchedVersions: versions}
	}
	return m.RESTMapper.RESTMapping(kind, versions...)
}

// An object whose kind goes while it is waited for is gone.
func TestWaitGoneWithItsKind(t *testing.T) {
	t.Parallel()
	c := fakeDynamic(t, "Service", "one")
	gone := apierrors.NewGenericServerResponse(404, "get", schema.GroupResource{Resource: "services"}, "", "", 0, true)
	c.Dynamic.(*dynamicfake.FakeDynamicClient).PrependReactor("list", "*", func(k8stesting.Action) (bool, runtime.Object, error) { return true, nil, gone })
	ref := Ref{Kind: corev1.SchemeGroupVersion.WithKind("Service"), Namespace: "n", Name: "one"}
	mapper := c.mapper

	bound, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var w *WaitError
	if err := c.WaitGone(bound, ref); !errors.As(err, &w) {
		t.Errorf("a kind that is known and not served: %v", err)
	}
	c.mapper = &forgetful{RESTMapper: mapper, known: true}
	if err := c.WaitGone(t.Context(), ref); err != nil {
		t.Errorf("a kind that went: %v", err)
	}
	if err := c.WaitGone(t.Context(), ref); err != nil {
		t.Errorf("a kind that is not known: %v", err)
	}
}
