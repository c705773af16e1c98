package kube

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// Rollout looks once at the Deployments, StatefulSets, DaemonSets and pods of a selector in a
// namespace. Done: there is one at least, and each runs, ready, in as many pods as
// it should have, all of them made after its last change.
func (c *Client) Rollout(ctx context.Context, namespace, selector string) (Verdict, error) {
	v, _, err := c.rollout(ctx, namespace, selector, time.Now())
	return v, err
}

// rollout also gives the names of the pods. began is when the wait began.
func (c *Client) rollout(ctx context.Context, namespace, selector string, began time.Time) (Verdict, []string, error) {
	chosen := metav1.ListOptions{LabelSelector: selector}
	deployments, err := c.Clientset.AppsV1().Deployments(namespace).List(ctx, chosen)
	if err != nil {
		return Verdict{}, nil, err
	}
	sets, err := c.Clientset.AppsV1().StatefulSets(namespace).List(ctx, chosen)
	if err != nil {
		return Verdict{}, nil, err
	}
	daemons, err := c.Clientset.AppsV1().DaemonSets(namespace).List(ctx, chosen)
	if err != nil {
		return Verdict{}, nil, err
	}
	pods, err := c.Clientset.CoreV1().Pods(namespace).List(ctx, chosen)
	if err != nil {
		return Verdict{}, nil, err
	}
	var names []string
	for _, p := range pods.Items {
		names = append(names, p.Name)
	}
	return rolledOut(deployments.Items, sets.Items, daemons.Items, pods.Items, began, time.Now()), names, nil
}

// rolledOut judges what was listed. A cause that was there before the wait began may
// be cured by what was done just then: a node that takes pods again, an image that was
// brought. So none is terminal before it could have been seen to pass.
func rolledOut(deployments []appsv1.Deployment, sets []appsv1.StatefulSet, daemons []appsv1.DaemonSet, pods []corev1.Pod, began, now time.Time) Verdict {
	var waits []string
	for _, d := range deployments {
		want := replicas(d.Spec.Replicas)
		if want == 0 && d.Annotations[Stopped] != "" {
			waits = append(waits, d.Name+": is scaled to zero")
		}
		s := d.Status
		if least, err := strconv.Atoi(d.Annotations[LeastReplicas]); err == nil {
			// How many there are is somebody else's to say: none of them is of before the last
			// change, and as many as there are at least are ready.
			if s.ObservedGeneration < d.Generation || s.UpdatedReplicas != s.Replicas || int(min(want, s.UpdatedReplicas, s.AvailableReplicas)) < least {
				waits = append(waits, fmt.Sprintf("%s: %d of at least %d ready", d.Name, min(s.UpdatedReplicas, s.AvailableReplicas), least))
			}
			continue
		}
		// AvailableReplicas counts old pods too, Replicas all that are left of them.
		if s.ObservedGeneration < d.Generation || s.UpdatedReplicas != want || s.Replicas != want || s.AvailableReplicas != want {
			waits = append(waits, fmt.Sprintf("%s: %d of %d ready", d.Name, min(s.UpdatedReplicas, s.AvailableReplicas), want))
		}
	}
	for _, d := range sets {
		want := replicas(d.Spec.Replicas)
		if want == 0 && d.Annotations[Stopped] != "" {
			waits = append(waits, d.Name+": is scaled to zero")
		}
		s := d.Status
		fresh := s.UpdatedReplicas
		if s.CurrentRevision == s.UpdateRevision {
			fresh = s.Replicas
		}
		if s.ObservedGeneration < d.Generation || fresh != want || s.ReadyReplicas != want {
			waits = append(waits, fmt.Sprintf("%s: %d of %d ready", d.Name, min(fresh, s.ReadyReplicas), want))
		}
	}
	for _, d := range daemons {
		// On how many nodes it should run is known once it was looked at.
		want, s := d.Status.DesiredNumberScheduled, d.Status
		if s.ObservedGeneration < d.Generation || s.UpdatedNumberScheduled != want || s.NumberAvailable != want {
			waits = append(waits, fmt.Sprintf("%s: %d of %d ready", d.Name, min(s.UpdatedNumberScheduled, s.NumberAvailable), want))
		}
	}
	switch {
	case len(deployments)+len(sets)+len(daemons) == 0:
		return Verdict{Seen: "it has no workload yet"}
	case len(waits) == 0:
		return Verdict{Done: true}
	}
	for i := range pods {
		state := PodState(&pods[i], now)
		if state.Ready {
			continue
		}
		hopeless := state.Terminal != "" && now.Sub(began) >= schedulePatience
		if hopeless || (state.Terminal != "" && pods[i].CreationTimestamp.After(began.Add(-time.Second))) {
			hopeless = pods[i].Status.Phase != corev1.PodFailed // a failed one is replaced by its owner
		}
		if hopeless {
			return Verdict{Terminal: pods[i].Name + ": " + state.Terminal, Seen: state.Seen}
		}
		waits = append(waits, pods[i].Name+": "+state.Seen)
	}
	slices.Sort(waits)
	return Verdict{Seen: strings.Join(waits, "; ")}
}

func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// WaitRollout watches until Rollout is done; seen is told what was seen each time
// that it is another. The error is a *WaitError where a cause is terminal or ctx
// ended, with Kubernetes' newest warnings about the pods, and, of a pod that
// crashes, the end of its log.
func (c *Client) WaitRollout(ctx context.Context, namespace, selector string, seen func(string)) error {
	last := Verdict{Seen: "nothing yet"}
	var names []string
	began := time.Now()
	chosen := metav1.ListOptions{LabelSelector: selector}
	err := c.patient(ctx, func() error {
		return observe(ctx, func() (string, error) {
			var err error
			if last, names, err = c.rollout(ctx, namespace, selector, began); err != nil {
				return "", err
			}
			if !last.Done && last.Seen != "" {
				seen(last.Seen)
			}
			return "", nil
		}, func(string) (watch.Interface, error) {
			return merge(
				func() (watch.Interface, error) { return c.Clientset.CoreV1().Pods(namespace).Watch(ctx, chosen) },
				func() (watch.Interface, error) { return c.Clientset.AppsV1().Deployments(namespace).Watch(ctx, chosen) },
				func() (watch.Interface, error) {
					return c.Clientset.AppsV1().StatefulSets(namespace).Watch(ctx, chosen)
				},
				func() (watch.Interface, error) { return c.Clientset.AppsV1().DaemonSets(namespace).Watch(ctx, chosen) },
			)
		}, func() bool { return last.Done || last.Terminal != "" })
	})
	if !last.Done && len(names) > 0 {
		after := context.WithoutCancel(ctx)
		why := c.warnings(after, namespace, names)
		if last.Terminal != "" {
			last.Terminal = strings.Join(slices.DeleteFunc([]string{last.Terminal, why, c.lastWords(after, namespace, selector)}, func(s string) bool { return s == "" }), "; ")
		} else if why != "" {
			last.Seen += "; " + why
		}
	}
	return verdict(ctx, fmt.Sprintf("%s in namespace %s", selector, namespace), last, err)
}

// Unstick deletes the pods of a selector that wait longer and longer before they are
// tried again, after an image that was not there or after crashes, and those that are not
// ready and may have started with other passwords than their Secret holds now, so that
// their owners make them anew at once.
func (c *Client) Unstick(ctx context.Context, namespace, selector string) error {
	pods, err := c.Clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return err
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		stuck := slices.ContainsFunc(allStatuses(p), func(s corev1.ContainerStatus) bool {
			return s.State.Waiting != nil && slices.Contains([]string{"ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "CrashLoopBackOff"}, s.State.Waiting.Reason)
		})
		if !stuck && !PodState(p, time.Now()).Ready {
			if stuck, err = c.outdated(ctx, p); err != nil {
				return err
			}
		}
		if !stuck || len(p.OwnerReferences) == 0 {
			continue
		}
		if err := c.Clientset.CoreV1().Pods(namespace).Delete(ctx, p.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// lastWords are the last lines that containers wrote before they ended.
func (c *Client) lastWords(ctx context.Context, namespace, selector string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	pods, err := c.Clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return ""
	}
	const lines = 5
	for i := range pods.Items {
		p := &pods.Items[i]
		for _, s := range allStatuses(p) {
			if s.RestartCount == 0 {
				continue
			}
			n := int64(lines)
			words, err := c.Clientset.CoreV1().Pods(namespace).GetLogs(p.Name, &corev1.PodLogOptions{Container: s.Name, Previous: true, TailLines: &n}).DoRaw(ctx)
			if err == nil && len(words) > 0 {
				return fmt.Sprintf("%s said last: %s", p.Name, clean(string(words)))
			}
		}
	}
	return ""
}

// merged is several watches as one. It ends when one of them does.
type merged struct {
	parts  []watch.Interface
	events chan watch.Event
	stop   context.CancelFunc
}

func merge(begin ...func() (watch.Interface, error)) (watch.Interface, error) {
	ctx, stop := context.WithCancel(context.Background())
	m := &merged{events: make(chan watch.Event), stop: stop}
	for _, b := range begin {
		w, err := b()
		if err != nil {
			m.Stop()
			return nil, err
		}
		m.parts = append(m.parts, w)
	}
	for _, w := range m.parts {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case e, ok := <-w.ResultChan():
					if !ok {
						e = watch.Event{Type: watch.Error} // whoever listens begins anew
					}
					select {
					case m.events <- e:
					case <-ctx.Done():
						return
					}
					if !ok {
						return
					}
				}
			}
		}()
	}
	return m, nil
}

func (m *merged) Stop() {
	m.stop()
	for _, w := range m.parts {
		w.Stop()
	}
}

func (m *merged) ResultChan() <-chan watch.Event { return m.events }
