package kube

import (
	"context"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pod is how a pod fares.
type Pod struct {
	Name     string `json:"name"`
	UID      string `json:"-"`              // of this pod: the next one of its name has another
	Node     string `json:"node,omitempty"` // "" while nobody has placed it
	Ready    bool   `json:"ready"`
	Restarts int    `json:"restarts"` // of its containers since it was made
	Seen     string `json:"seen"`     // its phase, or what holds it up
}

// Pods lists the pods of a selector by name, those that are being deleted too.
func (c *Client) Pods(ctx context.Context, namespace, selector string) ([]Pod, error) {
	list, err := c.Clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	var out []Pod
	for i := range list.Items {
		p := &list.Items[i]
		state := PodState(p, time.Now())
		one := Pod{Name: p.Name, UID: string(p.UID), Node: p.Spec.NodeName, Ready: state.Ready, Seen: state.Seen}
		for _, s := range allStatuses(p) {
			one.Restarts += int(s.RestartCount)
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b Pod) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
