package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// Ref names one object.
type Ref struct {
	Kind      schema.GroupVersionKind
	Namespace string
	Name      string
}

// String is KIND NAMESPACE/NAME.
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind.Kind + " " + r.Name
	}
	return r.Kind.Kind + " " + r.Namespace + "/" + r.Name
}

// Verdict is what a condition says of an object.
type Verdict struct {
	Done     bool
	Seen     string // what is there instead, for the error of a wait that ends
	Terminal string // why no waiting will help; "" while there is hope
}

// Condition looks at an object; nil when it is not there.
type Condition func(*unstructured.Unstructured) Verdict

// WaitError is a wait that ended without its condition.
type WaitError struct {
	What  string
	Seen  string // what was last observed
	Cause error  // of the context; nil for a terminal cause
}

func (e *WaitError) Error() string {
	if e.Cause == nil {
		return e.What + ": " + e.Seen
	}
	return fmt.Sprintf("%s: %v; last seen: %s", e.What, e.Cause, e.Seen)
}
func (e *WaitError) Unwrap() error { return e.Cause }

// Wait watches an object until the condition holds, returns a *WaitError when its
// verdict is terminal or ctx ends.
func (c *Client) Wait(ctx context.Context, ref Ref, cond Condition) error {
	last := Verdict{Seen: "nothing yet"}
	err := c.patient(ctx, func() error { return c.watch(ctx, ref, cond, &last) })
	return verdict(ctx, ref.String(), last, err)
}

// watch looks at an object, and again whenever it changes, until the verdict is final.
func (c *Client) watch(ctx context.Context, ref Ref, cond Condition, last *Verdict) error {
	r, err := c.resource(ref.Kind, "", ref.Namespace)
	if err != nil {
		return err
	}
	list := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", ref.Name).String()}
	return observe(ctx, func() (string, error) {
		found, err := r.List(ctx, list)
		if err != nil {
			return "", err
		}
		if len(found.Items) == 0 {
			*last = cond(nil)
		} else {
			*last = cond(&found.Items[0])
		}
		return found.GetResourceVersion(), nil
	}, func(version string) (watch.Interface, error) {
		return r.Watch(ctx, metav1.ListOptions{FieldSelector: list.FieldSelector, ResourceVersion: version})
	}, func() bool { return last.Done || last.Terminal != "" })
}

func verdict(ctx context.Context, what string, last Verdict, err error) error {
	switch {
	case last.Done:
		return nil
	case last.Terminal != "":
		return &WaitError{What: what, Seen: last.Terminal}
	case ctx.Err() != nil:
		return &WaitError{What: what, Seen: last.Seen, Cause: context.Cause(ctx)}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// observe looks, and looks again after each event and once a second (some causes
// become terminal by lasting), until enough or the end of ctx. A watch that ends
// is begun anew.
func observe(ctx context.Context, look func() (version string, err error), begin func(version string) (watch.Interface, error), enough func() bool) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		version, err := look()
		if err != nil || enough() {
			return err
		}
		w, err := begin(version)
		if err != nil {
			return err
		}
		for open := true; open; {
			select {
			case <-ctx.Done():
				w.Stop()
				return context.Cause(ctx)
			case e, ok := <-w.ResultChan():
				open = ok && e.Type != watch.Error
			case <-tick.C:
			}
			if _, err := look(); err != nil || enough() {
				w.Stop()
				return err
			}
		}
		w.Stop()
		select { // a server that ends every watch at once is not asked in a tight loop
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// observePods looks at the pods of a selector, and again as observe does.
func (c *Client) observePods(ctx context.Context, namespace, selector string, look func([]corev1.Pod), enough func() bool) error {
	pods := c.Clientset.CoreV1().Pods(namespace)
	return observe(ctx, func() (string, error) {
		list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return "", err
		}
		look(list.Items)
		return list.ResourceVersion, nil
	}, func(version string) (watch.Interface, error) {
		return pods.Watch(ctx, metav1.ListOptions{LabelSelector: selector, ResourceVersion: version})
	}, enough)
}

// WaitGone waits until an object is not there. With the definition of its kind it is gone,
// also when that goes meanwhile.
func (c *Client) WaitGone(ctx context.Context, ref Ref) error {
	last := Verdict{Seen: "nothing yet"}
	err := c.patient(ctx, func() error {
		err := c.watch(ctx, ref, func(u *unstructured.Unstructured) Verdict {
			if u == nil {
				return Verdict{Done: true}
			}
			return Verdict{Seen: "is still there" + finalizers(u)}
		}, &last)
		if !unserved(err) {
			return err
		}
		c.mapper.Reset() // it may know the kind from before
		if _, kindErr := c.resource(ref.Kind, "", ref.Namespace); meta.IsNoMatchError(kindErr) {
			last = Verdict{Done: true}
			return nil
		}
		return err
	})
	return verdict(ctx, ref.String(), last, err)
}

func finalizers(u *unstructured.Unstructured) string {
	if f := u.GetFinalizers(); len(f) > 0 {
		return ", held by " + strings.Join(f, ", ")
	}
	return ""
}

// HasCondition holds when status.conditions has one of the type with the status.
func HasCondition(kind, status string) Condition {
	return func(u *unstructured.Unstructured) Verdict {
		if u == nil {
			return Verdict{Seen: "it is not there"}
		}
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		seen := "no condition " + kind
		for _, one := range conditions {
			m, _ := one.(map[string]any)
			if m["type"] != kind {
				continue
			}
			if m["status"] == status {
				return Verdict{Done: true}
			}
			seen = clean(fmt.Sprintf("%s is %v: %v %v", kind, m["status"], orEmpty(m["reason"]), orEmpty(m["message"])))
		}
		return Verdict{Seen: seen}
	}
}

func orEmpty(v any) any {
	if v == nil {
		return ""
	}
	return v
}

// HasField holds when the field at the path has the value, e.g. Bound at
// status.phase.
func HasField(value string, path ...string) Condition {
	return func(u *unstructured.Unstructured) Verdict {
		if u == nil {
			return Verdict{Seen: "it is not there"}
		}
		got, found, err := unstructured.NestedFieldNoCopy(u.Object, path...)
		switch {
		case err != nil:
			return Verdict{Seen: err.Error()}
		case !found:
			return Verdict{Seen: "no " + strings.Join(path, ".")}
		case fmt.Sprint(got) == value:
			return Verdict{Done: true}
		}
		return Verdict{Seen: fmt.Sprintf("%s is %v", strings.Join(path, "."), got)}
	}
}

// WaitPods waits until there are at least n pods of the selector in the namespace,
// and all of them are ready (see PodState). The error of a wait that ran out of
// time also has the newest warnings of Kubernetes about these pods.
func (c *Client) WaitPods(ctx context.Context, namespace, selector string, n int) error {
	last := Verdict{Seen: "nothing yet"}
	var names []string
	err := c.patient(ctx, func() error {
		return c.observePods(ctx, namespace, selector, func(pods []corev1.Pod) {
			names = names[:0]
			for _, p := range pods {
				names = append(names, p.Name)
			}
			last = podsVerdict(pods, n, time.Now())
		}, func() bool { return last.Done || last.Terminal != "" })
	})
	if !last.Done {
		if w := c.warnings(context.WithoutCancel(ctx), namespace, names); w != "" {
			last.Seen += "; " + w
			if last.Terminal != "" {
				last.Terminal += "; " + w
			}
		}
	}
	return verdict(ctx, fmt.Sprintf("pods %s in namespace %s", selector, namespace), last, err)
}

// podsVerdict judges a set of pods.
func podsVerdict(pods []corev1.Pod, n int, now time.Time) Verdict {
	var seen []string
	ready := 0
	for i := range pods {
		s := PodState(&pods[i], now)
		switch {
		case s.Terminal != "" && len(pods[i].OwnerReferences) > 0 && pods[i].Status.Phase == corev1.PodFailed:
			// Evicted or failed, and its owner makes another: no verdict by itself.
			seen = append(seen, pods[i].Name+": "+s.Seen)
		case s.Terminal != "":
			return Verdict{Terminal: pods[i].Name + ": " + s.Terminal}
		case s.Ready:
			ready++
		default:
			seen = append(seen, pods[i].Name+": "+s.Seen)
		}
	}
	if ready >= n && len(seen) == 0 {
		return Verdict{Done: true}
	}
	return Verdict{Seen: strings.Join(append([]string{fmt.Sprintf("%d of %d ready", ready, max(n, len(pods)))}, seen...), "; ")}
}

// warnings are the newest three events of type Warning about the pods.
func (c *Client) warnings(ctx context.Context, namespace string, pods []string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	list, err := c.Clientset.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning"})
	if err != nil {
		return ""
	}
	items := slices.DeleteFunc(list.Items, func(e corev1.Event) bool { return !slices.Contains(pods, e.InvolvedObject.Name) })
	slices.SortFunc(items, func(a, b corev1.Event) int { return eventTime(b).Compare(eventTime(a)) })
	var texts []string
	for _, e := range items[:min(3, len(items))] {
		texts = append(texts, clean(fmt.Sprintf("%s: %s: %s", e.InvolvedObject.Name, e.Reason, e.Message)))
	}
	return strings.Join(texts, "; ")
}

func eventTime(e corev1.Event) time.Time {
	if !e.LastTimestamp.IsZero() {
		return e.LastTimestamp.Time
	}
	return e.EventTime.Time
}

// Logs returns the last lines of every container of the pods of a selector, each
// under a line with its name.
func (c *Client) Logs(ctx context.Context, namespace, selector string, lines int64) (string, error) {
	list, err := c.Clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	var problems []error
	for _, p := range list.Items {
		for _, ct := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
			fmt.Fprintf(&b, "== %s %s\n", p.Name, ct.Name)
			r, err := c.Clientset.CoreV1().Pods(namespace).GetLogs(p.Name, &corev1.PodLogOptions{Container: ct.Name, TailLines: &lines}).Stream(ctx)
			if apierrors.IsBadRequest(err) {
				fmt.Fprintln(&b, "(not started)")
				continue
			}
			if err != nil {
				problems = append(problems, fmt.Errorf("%s %s: %w", p.Name, ct.Name, err))
				continue
			}
			_, err = io.Copy(&b, r)
			problems = append(problems, err, r.Close())
		}
	}
	return b.String(), errors.Join(problems...)
}
