package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// WaitNodes watches until Kubernetes says that each of the named nodes is Ready and
// takes pods.
// since, by name, is when a node was started: what Kubernetes said before, and goes on
// saying for 40 s, does not count. seen is told what was seen each time.
func (c *Client) WaitNodes(ctx context.Context, since map[string]time.Time, seen func(string)) error {
	last := Verdict{Seen: "the API server does not answer yet"}
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		err := observe(ctx, func() (string, error) {
			list, err := c.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
			if err != nil {
				return "", err
			}
			if last = nodesReady(list.Items, since); !last.Done {
				seen(last.Seen)
			}
			return list.ResourceVersion, nil
		}, func(version string) (watch.Interface, error) {
			return c.Clientset.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{ResourceVersion: version})
		}, func() bool { return last.Done })
		if last.Done || ctx.Err() != nil {
			return verdict(ctx, fmt.Sprintf("%d nodes", len(since)), last, err)
		}
		// Whatever a server that has just started answers passes: it refuses connections
		// at first, and then, until it has read its own roles, everybody.
		if err != nil {
			last = Verdict{Seen: clean(err.Error())}
			seen(last.Seen)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return verdict(ctx, fmt.Sprintf("%d nodes", len(since)), last, context.Cause(ctx))
		}
	}
}

// nodesReady judges the nodes.
func nodesReady(nodes []corev1.Node, since map[string]time.Time) Verdict {
	var waits []string
	ready := 0
	for name, started := range since {
		i := slices.IndexFunc(nodes, func(n corev1.Node) bool { return n.Name == name })
		if i < 0 {
			waits = append(waits, name+": not registered")
			continue
		}
		word := "no condition yet"
		for _, cond := range nodes[i].Status.Conditions {
			switch {
			case cond.Type != corev1.NodeReady:
			case cond.Status != corev1.ConditionTrue:
				word = clean(cond.Reason + ": " + cond.Message)
			case cond.LastHeartbeatTime.Time.Before(started.Truncate(time.Second)): // Kubernetes writes whole seconds
				word = "not heard of since its start"
			default:
				word = ""
			}
		}
		if word == "" && nodes[i].Spec.Unschedulable {
			word = "cordoned" // k3d lifts it some seconds after a start
		}
		if word == "" {
			ready++
			continue
		}
		waits = append(waits, name+": "+word)
	}
	if len(waits) == 0 {
		return Verdict{Done: true}
	}
	slices.Sort(waits)
	return Verdict{Seen: fmt.Sprintf("%d of %d nodes are Ready; %s", ready, len(since), strings.Join(waits, "; "))}
}
