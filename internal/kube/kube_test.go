package kube

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func pod(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Status: corev1.PodStatus{
		Phase: corev1.PodPending,
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-time.Minute))},
		},
	}}
	change(p)
	return p
}

func waiting(reason, message string, restarts int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "c", Image: "quay.io/x:1", RestartCount: restarts,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}}
	}
}

func TestPodState(t *testing.T) {
	unschedulable := func(ago time.Duration) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions[0] = corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
				Message: "0/3 nodes are available", LastTransitionTime: metav1.NewTime(now.Add(-ago))}
		}
	}
	phase := func(phase corev1.PodPhase, ready corev1.ConditionStatus) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Phase = phase
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: ready, Reason: "ContainersNotReady", Message: "c"})
		}
	}
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   State
	}{
		"ready":     {phase(corev1.PodRunning, corev1.ConditionTrue), State{Ready: true, Seen: "Ready"}},
		"not ready": {phase(corev1.PodRunning, corev1.ConditionFalse), State{Seen: "Running, not Ready: ContainersNotReady c"}},
		"succeeded": {phase(corev1.PodSucceeded, corev1.ConditionFalse), State{Ready: true, Seen: "Succeeded"}},
		"new":       {func(*corev1.Pod) {}, State{Seen: "Pending"}},
		"going": {func(p *corev1.Pod) {
			phase(corev1.PodRunning, corev1.ConditionTrue)(p)
			p.DeletionTimestamp = &metav1.Time{Time: now}
		}, State{Seen: "is being deleted"}},
		"failed": {func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodFailed
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error"}}}}
		}, State{Seen: "container c ended with exit code 3 Error", Terminal: "container c ended with exit code 3 Error"}},
		"evicted": {func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted" },
			State{Seen: "Failed Evicted", Terminal: "Failed Evicted"}},
		"unschedulable now":      {unschedulable(time.Second), State{Seen: "Unschedulable: 0/3 nodes are available"}},
		"unschedulable for long": {unschedulable(time.Minute), State{Seen: "Unschedulable: 0/3 nodes are available", Terminal: "Unschedulable: 0/3 nodes are available"}},
		"no image": {waiting("ErrImageNeverPull", "not present", 0),
			State{Seen: "container c: ErrImageNeverPull not present", Terminal: "image quay.io/x:1 cannot be pulled: ErrImageNeverPull not present"}},
		"no image yet": {func(p *corev1.Pod) {
			waiting("ImagePullBackOff", "back-off", 0)(p)
			p.Status.Conditions[0].LastTransitionTime = metav1.NewTime(now.Add(-time.Second))
		}, State{Seen: "container c: ImagePullBackOff back-off"}},
		"crashed twice": {waiting("CrashLoopBackOff", "back-off", 2), State{Seen: "container c: CrashLoopBackOff back-off"}},
		"crashes": {func(p *corev1.Pod) {
			waiting("CrashLoopBackOff", "back-off", 4)(p)
			p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 2}
		}, State{Seen: "container c: CrashLoopBackOff back-off (last exit code 2, 4 restarts)", Terminal: "container c: CrashLoopBackOff back-off (last exit code 2, 4 restarts)"}},
		"creating": {waiting("ContainerCreating", "", 0), State{Seen: "Pending"}},
		"init container has no image": {func(p *corev1.Pod) {
			waiting("ErrImageNeverPull", "", 0)(p)
			p.Status.InitContainerStatuses, p.Status.ContainerStatuses = p.Status.ContainerStatuses, nil
		}, State{Seen: "container c: ErrImageNeverPull", Terminal: "image quay.io/x:1 cannot be pulled: ErrImageNeverPull"}},
	} {
		if got := PodState(pod(tc.change), now); got != tc.want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, tc.want)
		}
	}
}

func TestPodsVerdict(t *testing.T) {
	ready := *pod(func(p *corev1.Pod) {
		p.Name, p.Status.Phase = "ready", corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	})
	fresh := *pod(func(p *corev1.Pod) { p.Name = "fresh" })
	crash := *pod(waiting("CrashLoopBackOff", "", 9))
	failed := *pod(func(p *corev1.Pod) { p.Name, p.Status.Phase = "failed", corev1.PodFailed })
	owned := *failed.DeepCopy()
	owned.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet"}}
	for name, tc := range map[string]struct {
		pods []corev1.Pod
		n    int
		want Verdict
	}{
		"none":                 {nil, 1, Verdict{Seen: "0 of 1 ready"}},
		"none wanted":          {nil, 0, Verdict{Done: true}},
		"enough":               {[]corev1.Pod{ready, ready}, 2, Verdict{Done: true}},
		"one too few":          {[]corev1.Pod{ready}, 2, Verdict{Seen: "1 of 2 ready"}},
		"one not yet":          {[]corev1.Pod{ready, fresh}, 1, Verdict{Seen: "1 of 2 ready; fresh: Pending"}},
		"one crashes":          {[]corev1.Pod{ready, crash}, 1, Verdict{Terminal: "p: container c: CrashLoopBackOff"}},
		"failed":               {[]corev1.Pod{failed}, 1, Verdict{Terminal: "failed: Failed"}},
		"failed, has an owner": {[]corev1.Pod{ready, owned}, 1, Verdict{Seen: "1 of 2 ready; failed: Failed"}},
	} {
		if got := podsVerdict(tc.pods, tc.n, now); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestDecode(t *testing.T) {
	objects, err := Decode([]byte(`# a comment only
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---

---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Secret, metadata: {name: b}}
- {apiVersion: v1, kind: Namespace, metadata: {name: c}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range sorted(objects) {
		names = append(names, o.GetKind()+" "+o.GetName())
	}
	if got := strings.Join(names, ", "); got != "Namespace c, ConfigMap a, Secret b" {
		t.Error(got)
	}
	for bad, why := range map[string]string{
		"a: [":                            "document 1",
		"---\nkind: ConfigMap\n":          "no apiVersion",
		"apiVersion: v1\nkind: ConfigMap": "no name",
		"- a\n- b":                        "document 1",
	} {
		if o, err := Decode([]byte(bad)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, %v; want an error with %q", bad, o, err, why)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n"))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems: [{}]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		objects, err := Decode(b)
		if err != nil {
			return
		}
		for _, o := range objects {
			_, _, _ = o.GetKind(), o.GetName(), o.GetNamespace()
		}
	})
}

func object(content map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: content}
}

func TestConditions(t *testing.T) {
	ready := object(map[string]any{"status": map[string]any{"phase": "Bound", "conditions": []any{
		map[string]any{"type": "Other", "status": "False"},
		map[string]any{"type": "Ready", "status": "True"},
	}}})
	not := object(map[string]any{"status": map[string]any{"conditions": []any{
		map[string]any{"type": "Ready", "status": "False", "reason": "Waiting", "message": "for\nit"},
	}}})
	for name, tc := range map[string]struct {
		cond Condition
		u    *unstructured.Unstructured
		want Verdict
	}{
		"ready":           {HasCondition("Ready", "True"), ready, Verdict{Done: true}},
		"not ready":       {HasCondition("Ready", "True"), not, Verdict{Seen: "Ready is False: Waiting for it"}},
		"no condition":    {HasCondition("Ready", "True"), object(map[string]any{}), Verdict{Seen: "no condition Ready"}},
		"absent":          {HasCondition("Ready", "True"), nil, Verdict{Seen: "it is not there"}},
		"field":           {HasField("Bound", "status", "phase"), ready, Verdict{Done: true}},
		"other field":     {HasField("Lost", "status", "phase"), ready, Verdict{Seen: "status.phase is Bound"}},
		"no field":        {HasField("Bound", "status", "phase"), not, Verdict{Seen: "no status.phase"}},
		"absent field":    {HasField("Bound", "status", "phase"), nil, Verdict{Seen: "it is not there"}},
		"field no object": {HasField("x", "status", "phase", "deeper"), ready, Verdict{Seen: `.status.phase.deeper accessor error: Bound is of the type string, expected map[string]interface{}`}},
	} {
		if got := tc.cond(tc.u); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestPasses(t *testing.T) {
	gr := schema.GroupResource{Group: "g", Resource: "r"}
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"kind unknown":      {&meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "X"}}, true},
		"unavailable":       {apierrors.NewServiceUnavailable("starting"), true},
		"webhook":           {apierrors.NewInternalError(errors.New("failed calling webhook x: connection refused")), true},
		"internal":          {apierrors.NewInternalError(errors.New("out of order")), false},
		"invalid":           {apierrors.NewInvalid(schema.GroupKind{Kind: "X"}, "n", nil), false},
		"forbidden":         {apierrors.NewForbidden(gr, "n", errors.New("no")), false},
		"object not there":  {apierrors.NewNotFound(gr, "n"), false},
		"namespace missing": {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "n"), false},
		"something else":    {errors.New("x"), false},
	} {
		if got := passes(tc.err); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A watch that ends is begun again; what is enough ends it; a context ends it.
func TestObserve(t *testing.T) {
	looks, watches := 0, 0
	err := observe(context.Background(), func() (string, error) { looks++; return "1", nil }, func(version string) (watch.Interface, error) {
		if version != "1" {
			t.Errorf("watch from %q", version)
		}
		watches++
		w := watch.NewFakeWithChanSize(2, false)
		if watches == 1 {
			w.Stop() // the server ends it at once
		} else {
			w.Add(&corev1.Pod{})
		}
		return w, nil
	}, func() bool { return watches == 2 && looks >= 3 })
	if err != nil || watches != 2 {
		t.Errorf("%v after %d watches", err, watches)
	}

	ctx, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	cancel(enough)
	err = observe(ctx, func() (string, error) { return "", nil }, func(string) (watch.Interface, error) { return watch.NewFake(), nil }, func() bool { return false })
	if !errors.Is(err, enough) {
		t.Errorf("%v, want the cause of the context", err)
	}
}

func TestVerdict(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	if err := verdict(ctx, "x", Verdict{Done: true}, nil); err != nil {
		t.Error(err)
	}
	var w *WaitError
	if err := verdict(ctx, "Pod p", Verdict{Terminal: "no image"}, nil); !errors.As(err, &w) || err.Error() != "Pod p: no image" {
		t.Error(err)
	}
	late := errors.New("too late")
	cancel(late)
	if err := verdict(ctx, "Pod p", Verdict{Seen: "Pending"}, late); !errors.Is(err, late) || err.Error() != "Pod p: too late; last seen: Pending" {
		t.Error(err)
	}
}

func TestNewRefusesNoKubeconfig(t *testing.T) {
	for _, bad := range []string{"", "a: b: c"} {
		if _, err := New([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a kubeconfig", bad)
		}
	}
}
