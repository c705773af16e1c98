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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	kubetest "k8s.io/client-go/testing"
)

func TestNodesReady(t *testing.T) {
	node := func(name string, status corev1.ConditionStatus, heard time.Time) corev1.Node {
		return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
			{Type: corev1.NodeReady, Status: status, Reason: "KubeletNotReady", Message: "no network", LastHeartbeatTime: metav1.NewTime(heard)},
		}}}
	}
	cordoned := node("b", corev1.ConditionTrue, now)
	cordoned.Spec.Unschedulable = true
	since := map[string]time.Time{"a": now, "b": now}
	for name, tc := range map[string]struct {
		nodes []corev1.Node
		want  Verdict
	}{
		"both":        {[]corev1.Node{node("b", corev1.ConditionTrue, now), node("a", corev1.ConditionTrue, now)}, Verdict{Done: true}},
		"one":         {[]corev1.Node{node("a", corev1.ConditionTrue, now)}, Verdict{Seen: "1 of 2 nodes are Ready; b: not registered"}},
		"not ready":   {[]corev1.Node{node("a", corev1.ConditionTrue, now), node("b", corev1.ConditionFalse, now)}, Verdict{Seen: "1 of 2 nodes are Ready; b: KubeletNotReady: no network"}},
		"cordoned":    {[]corev1.Node{node("a", corev1.ConditionTrue, now), cordoned}, Verdict{Seen: "1 of 2 nodes are Ready; b: cordoned"}},
		"from before": {[]corev1.Node{node("a", corev1.ConditionTrue, now.Add(-time.Minute)), node("b", corev1.ConditionTrue, now)}, Verdict{Seen: "1 of 2 nodes are Ready; a: not heard of since its start"}},
	} {
		if got := nodesReady(tc.nodes, since); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// A server that has just started refuses everybody until it has read its roles.
func TestWaitNodesPatience(t *testing.T) {
	t.Parallel()
	clientset := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.NewTime(now)}}}})
	refusals := 2
	clientset.PrependReactor("list", "nodes", func(kubetest.Action) (bool, runtime.Object, error) {
		if refusals--; refusals >= 0 {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "", nil)
		}
		return false, nil, nil
	})
	c := &Client{Clientset: clientset}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var seen []string
	if err := c.WaitNodes(ctx, map[string]time.Time{"a": now}, func(s string) { seen = append(seen, s) }); err != nil || len(seen) != 2 || !strings.Contains(seen[0], "forbidden") {
		t.Errorf("%v, seen %q", err, seen)
	}
	refusals = 1 << 30
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if err := c.WaitNodes(short, map[string]time.Time{"a": now}, func(string) {}); err == nil || !strings.Contains(err.Error(), "last seen: nodes is forbidden") {
		t.Errorf("refused for ever: %v", err)
	}
}
