package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// ObjectCondition is a condition that an object should have.
type ObjectCondition struct {
	Ref  Ref
	Type string // its status must be True
}

// Conditions looks once at objects' conditions, and at the pods of a selector (none
// where it is empty) that operators make of them. Done: every object has its condition,
// seen of its newest generation. Terminal: a pod waits for what will not come.
func (c *Client) Conditions(ctx context.Context, wanted []ObjectCondition, namespace, pods string) (Verdict, error) {
	return c.conditions(ctx, wanted, namespace, pods, time.Now(), nil)
}

func (c *Client) conditions(ctx context.Context, wanted []ObjectCondition, namespace, selector string, began time.Time, names *[]string) (Verdict, error) {
	there := map[Ref]*unstructured.Unstructured{}
	for kind, spaces := range places(wanted) {
		for _, space := range spaces {
			r, err := c.resource(kind, "", space)
			if meta.IsNoMatchError(err) {
				c.mapper.Reset()
				return Verdict{Seen: "the cluster does not know " + kind.String() + " yet"}, nil
			}
			if err != nil {
				return Verdict{}, err
			}
			list, err := r.List(ctx, metav1.ListOptions{})
			if err != nil {
				return Verdict{}, err
			}
			for i := range list.Items {
				u := &list.Items[i]
				there[Ref{Kind: kind, Namespace: space, Name: u.GetName()}] = u
			}
		}
	}
	v := met(wanted, there)
	if v.Done && slices.ContainsFunc(wanted, func(w ObjectCondition) bool { return w.Ref.Kind.Kind == "CustomResourceDefinition" }) {
		// The cluster has new kinds, and what was found before lacks them.
		c.mapper.Reset()
	}
	if v.Done || selector == "" {
		return v, nil
	}
	list, err := c.Clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return Verdict{}, err
	}
	if names != nil {
		*names = (*names)[:0]
		for _, p := range list.Items {
			*names = append(*names, p.Name)
		}
	}
	seen, terminal := ailing(list.Items, began, time.Now())
	v.Seen = strings.Join(append([]string{v.Seen}, seen...), "; ")
	v.Terminal = terminal
	return v, nil
}

// places gives the kinds that are looked at, each with its namespaces.
func places(wanted []ObjectCondition) map[schema.GroupVersionKind][]string {
	out := map[schema.GroupVersionKind][]string{}
	for _, w := range wanted {
		if !slices.Contains(out[w.Ref.Kind], w.Ref.Namespace) {
			out[w.Ref.Kind] = append(out[w.Ref.Kind], w.Ref.Namespace)
		}
	}
	return out
}

// met judges what was listed.
func met(wanted []ObjectCondition, there map[Ref]*unstructured.Unstructured) Verdict {
	var waits []string
	for _, w := range wanted {
		u := there[w.Ref]
		v := HasCondition(w.Type, "True")(u)
		if v.Done {
			// What an operator says of what was wanted before does not count.
			if seen, found, err := unstructured.NestedInt64(u.Object, "status", "observedGeneration"); found && err == nil && seen < u.GetGeneration() {
				v = Verdict{Seen: fmt.Sprintf("%s is of generation %d, and not of %d", w.Type, seen, u.GetGeneration())}
			}
		}
		if !v.Done {
			waits = append(waits, w.Ref.Kind.Kind+" "+w.Ref.Name+": "+v.Seen)
		}
	}
	const shown = 3
	if more := len(waits) - shown; more > 0 {
		waits = append(waits[:shown], fmt.Sprintf("and %d more", more))
	}
	return Verdict{Done: len(waits) == 0, Seen: strings.Join(waits, "; ")}
}

// ailing says of pods that are not ready what holds them up; terminal is of one for
// which no waiting helps.
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

// WaitConditions watches until Conditions is done; seen is told what was seen. The error
// is a *WaitError where a pod's cause is terminal or ctx ended.
func (c *Client) WaitConditions(ctx context.Context, wanted []ObjectCondition, namespace, pods string, seen func(string)) error {
	last := Verdict{Seen: "nothing yet"}
	var names []string
	began := time.Now()
	err := c.patient(ctx, func() error {
		return observe(ctx, func() (string, error) {
			var err error
			if last, err = c.conditions(ctx, wanted, namespace, pods, began, &names); err != nil {
				return "", err
			}
			if !last.Done && last.Seen != "" {
				seen(last.Seen)
			}
			return "", nil
		}, func(string) (watch.Interface, error) {
			var begin []func() (watch.Interface, error)
			for kind, spaces := range places(wanted) {
				for _, space := range spaces {
					r, err := c.resource(kind, "", space)
					if err != nil {
						return nil, err
					}
					begin = append(begin, func() (watch.Interface, error) { return r.Watch(ctx, metav1.ListOptions{}) })
				}
			}
			if pods != "" {
				begin = append(begin, func() (watch.Interface, error) {
					return c.Clientset.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{LabelSelector: pods})
				})
			}
			return merge(begin...)
		}, func() bool { return last.Done || last.Terminal != "" })
	})
	if !last.Done && len(names) > 0 {
		after := context.WithoutCancel(ctx)
		if why := c.warnings(after, namespace, names); why != "" {
			last.Seen += "; " + why
			if last.Terminal != "" {
				last.Terminal += "; " + why
			}
		}
		if words := c.lastWords(after, namespace, pods); words != "" && last.Terminal != "" {
			last.Terminal += "; " + words
		}
	}
	return verdict(ctx, fmt.Sprintf("%d objects in namespace %s", len(wanted), namespace), last, err)
}

// RefTo names an object by its API as manifests write it.
func RefTo(apiVersion, kind, namespace, name string) Ref {
	return Ref{Kind: schema.FromAPIVersionAndKind(apiVersion, kind), Namespace: namespace, Name: name}
}
