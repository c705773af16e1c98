package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Current holds when an object has the condition, and its operator speaks of the object as
// it now is: what it says of what was wanted before does not count.
func Current(kind string) Condition {
	return func(u *unstructured.Unstructured) Verdict {
		v := HasCondition(kind, "True")(u)
		if !v.Done {
			return v
		}
		if of, found, err := unstructured.NestedInt64(u.Object, "status", "observedGeneration"); found && err == nil && of < u.GetGeneration() {
			return Verdict{Seen: fmt.Sprintf("%s is of generation %d, and not of %d", kind, of, u.GetGeneration())}
		}
		return v
	}
}

// podsSeen is what was seen last of pods: what holds up those that are not ready, and why
// no waiting helps one of them.
type podsSeen struct{ seen, terminal string }

// watchAiling looks at the pods behind objects until one waits for what will not come, or
// ctx ends. A server that cannot be asked is the objects' wait's to tell of.
func (c *Client) watchAiling(ctx context.Context, behind Behind, say func(string)) podsSeen {
	var last podsSeen
	var names []string
	began := time.Now()
	_ = c.patient(ctx, func() error {
		return c.observePods(ctx, behind.Namespace, behind.Selector, func(pods []corev1.Pod) {
			names = names[:0]
			for _, p := range pods {
				names = append(names, p.Name)
			}
			seen, terminal := ailing(pods, began, time.Now())
			now := podsSeen{strings.Join(seen, "; "), terminal}
			switch {
			case now.seen == "" && last.seen != "":
				say("their pods are ready, and their operator does not say so yet")
			case now.seen != last.seen:
				say(now.seen)
			}
			last = now
		}, func() bool { return last.terminal != "" })
	})
	if last.terminal != "" {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		more := []string{last.terminal, c.warnings(after, behind.Namespace, names), c.lastWords(after, behind.Namespace, behind.Selector)}
		last.terminal = strings.Join(slices.DeleteFunc(more, func(s string) bool { return s == "" }), "; ")
	}
	return last
}

// ailing says of pods that are not ready what holds them up; terminal is of one for which
// no waiting helps. A cause that was there before the wait began is not terminal before it
// could have been seen to pass.
func ailing(pods []corev1.Pod, began, now time.Time) (seen []string, terminal string) {
	for i := range pods {
		state := PodState(&pods[i], now)
		if state.Ready {
			continue
		}
		seen = append(seen, pods[i].Name+": "+state.Seen)
		fresh := pods[i].CreationTimestamp.After(began.Add(-time.Second))
		if state.Terminal != "" && pods[i].Status.Phase != corev1.PodFailed && (fresh || now.Sub(began) >= schedulePatience) && terminal == "" {
			terminal = pods[i].Name + ": " + state.Terminal
		}
	}
	return seen, terminal
}
