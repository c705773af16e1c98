package kube

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNodesReady(t *testing.T) {
	node := func(name string, status corev1.ConditionStatus, heard time.Time) corev1.Node {
		return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
			{Type: corev1.NodeReady, Status: status, Reason: "KubeletNotReady", Message: "no network", LastHeartbeatTime: metav1.NewTime(heard)},
		}}}
	}
	since := map[string]time.Time{"a": now, "b": now}
	for name, tc := range map[string]struct {
		nodes []corev1.Node
		want  Verdict
	}{
		"both":        {[]corev1.Node{node("b", corev1.ConditionTrue, now), node("a", corev1.ConditionTrue, now)}, Verdict{Done: true}},
		"one":         {[]corev1.Node{node("a", corev1.ConditionTrue, now)}, Verdict{Seen: "1 of 2 nodes are Ready; b: not registered"}},
		"not ready":   {[]corev1.Node{node("a", corev1.ConditionTrue, now), node("b", corev1.ConditionFalse, now)}, Verdict{Seen: "1 of 2 nodes are Ready; b: KubeletNotReady: no network"}},
		"from before": {[]corev1.Node{node("a", corev1.ConditionTrue, now.Add(-time.Minute)), node("b", corev1.ConditionTrue, now)}, Verdict{Seen: "1 of 2 nodes are Ready; a: not heard of since its start"}},
	} {
		if got := nodesReady(tc.nodes, since); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}
