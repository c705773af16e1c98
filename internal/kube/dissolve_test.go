package kube

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	k8stesting "k8s.io/client-go/testing"
)

// What its operator lets go of goes; what nobody lets go of is released, but only of what
// operators have put on it.
func TestDissolve(t *testing.T) {
	t.Parallel()
	services := corev1.SchemeGroupVersion.WithResource("services")
	for name, tc := range map[string]struct {
		finalizers []string
		left       []string // after those of operators were taken off
		gone       bool
	}{
		"nothing holds it":         {nil, nil, true},
		"its operator is gone":     {[]string{"strimzi.io/topic-operator"}, nil, true},
		"somebody else's holds it": {[]string{"strimzi.io/topic-operator", "example.org/keep"}, []string{"example.org/keep"}, false},
	} {
		c := fakeDynamic(t, "Service", "one")
		fake := c.Dynamic.(*dynamicfake.FakeDynamicClient)
		held := len(tc.finalizers) > 0
		if held {
			u, err := fake.Resource(services).Namespace("n").Get(t.Context(), "one", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			u.SetFinalizers(tc.finalizers)
			if _, err := fake.Resource(services).Namespace("n").Update(t.Context(), u, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			// As the API server does: what is held is deleted when nothing holds it any more.
			fake.PrependReactor("delete", "services", func(k8stesting.Action) (bool, runtime.Object, error) { return true, nil, nil })
			fake.PrependReactor("patch", "services", func(action k8stesting.Action) (bool, runtime.Object, error) {
				if string(action.(k8stesting.PatchAction).GetPatch()) == `{"metadata":{"finalizers":[]}}` {
					return true, nil, fake.Tracker().Delete(services, "n", "one")
				}
				return false, nil, nil
			})
		}
		object := Found{Ref: Ref{Kind: corev1.SchemeGroupVersion.WithKind("Service"), Namespace: "n", Name: "one"}, Resource: services}
		bound, cancel := context.WithCancel(t.Context())
		var said []string
		err := c.Dissolve(bound, []Found{object}, 50*time.Millisecond, []string{"strimzi.io/"}, func(s string) {
			if said = append(said, s); !tc.gone {
				cancel() // nothing will come of it
			}
		})
		cancel()
		if (err == nil) != tc.gone {
			t.Errorf("%s: %v", name, err)
		}
		if held != (len(said) == 1 && strings.Contains(said[0], "strimzi.io/topic-operator")) {
			t.Errorf("%s: said %q", name, said)
		}
		u, err := fake.Resource(services).Namespace("n").Get(t.Context(), "one", metav1.GetOptions{})
		if tc.gone != apierrors.IsNotFound(err) || !tc.gone && strings.Join(u.GetFinalizers(), " ") != strings.Join(tc.left, " ") {
			t.Errorf("%s: %v, %v", name, u, err)
		}
	}
}
