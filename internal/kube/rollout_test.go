package kube

import (
	"cmp"
	"context"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func deployment(generation, observed int64, all, updated, available int32) appsv1.Deployment {
	two := int32(2)
	return appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "d", Namespace: "n", Generation: generation, Labels: map[string]string{"app": "a"}},
		Spec:   appsv1.DeploymentSpec{Replicas: &two},
		Status: appsv1.DeploymentStatus{ObservedGeneration: observed, Replicas: all, UpdatedReplicas: updated, AvailableReplicas: available}}
}

func set(current, update string, all, updated, ready int32) appsv1.StatefulSet {
	three := int32(3)
	return appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "s", Generation: 2}, Spec: appsv1.StatefulSetSpec{Replicas: &three},
		Status: appsv1.StatefulSetStatus{ObservedGeneration: 2, CurrentRevision: current, UpdateRevision: update, Replicas: all, UpdatedReplicas: updated, ReadyReplicas: ready}}
}

func daemon(observed int64, wanted, ready int32) appsv1.DaemonSet {
	return appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "speaker", Generation: 2},
		Status: appsv1.DaemonSetStatus{ObservedGeneration: observed, DesiredNumberScheduled: wanted, UpdatedNumberScheduled: wanted, NumberAvailable: ready}}
}

func TestRolledOut(t *testing.T) {
	broken := pod(waiting("ErrImageNeverPull", "not present", 0))
	starting := pod(func(*corev1.Pod) {})
	fresh := pod(waiting("ErrImageNeverPull", "not present", 0))
	fresh.CreationTimestamp = metav1.NewTime(now.Add(-15 * time.Second))
	for name, tc := range map[string]struct {
		deployments []appsv1.Deployment
		sets        []appsv1.StatefulSet
		daemons     []appsv1.DaemonSet
		pods        []corev1.Pod
		waited      time.Duration // zero: a minute
		want        Verdict
	}{
		"nothing":              {want: Verdict{Seen: "it has no workload yet"}},
		"not looked at yet":    {deployments: []appsv1.Deployment{deployment(2, 1, 2, 2, 2)}, want: Verdict{Seen: "d: 2 of 2 ready"}},
		"ready":                {deployments: []appsv1.Deployment{deployment(2, 2, 2, 2, 2)}, sets: []appsv1.StatefulSet{set("a", "a", 3, 0, 3)}, want: Verdict{Done: true}},
		"old pods are left":    {deployments: []appsv1.Deployment{deployment(2, 2, 3, 2, 3)}, want: Verdict{Seen: "d: 2 of 2 ready"}},
		"old pods are ready":   {deployments: []appsv1.Deployment{deployment(2, 2, 3, 1, 2)}, want: Verdict{Seen: "d: 1 of 2 ready"}},
		"on every node":        {daemons: []appsv1.DaemonSet{daemon(2, 2, 2)}, want: Verdict{Done: true}},
		"not on every node":    {daemons: []appsv1.DaemonSet{daemon(2, 2, 1)}, want: Verdict{Seen: "speaker: 1 of 2 ready"}},
		"nodes not counted":    {daemons: []appsv1.DaemonSet{daemon(1, 0, 0)}, want: Verdict{Seen: "speaker: 0 of 0 ready"}},
		"rolls":                {sets: []appsv1.StatefulSet{set("a", "b", 3, 1, 3)}, want: Verdict{Seen: "s: 1 of 3 ready"}},
		"starts":               {sets: []appsv1.StatefulSet{set("a", "a", 3, 3, 2)}, pods: []corev1.Pod{*starting}, want: Verdict{Seen: "p: Pending; s: 2 of 3 ready"}},
		"in vain":              {sets: []appsv1.StatefulSet{set("a", "a", 3, 3, 2)}, pods: []corev1.Pod{*broken}, want: Verdict{Terminal: "p: image quay.io/x:1 cannot be pulled: ErrImageNeverPull not present", Seen: "container c: ErrImageNeverPull not present"}},
		"in vain, from before": {sets: []appsv1.StatefulSet{set("a", "a", 3, 3, 2)}, pods: []corev1.Pod{*broken}, waited: 15 * time.Second, want: Verdict{Seen: "p: container c: ErrImageNeverPull not present; s: 2 of 3 ready"}},
		"in vain, made anew":   {sets: []appsv1.StatefulSet{set("a", "a", 3, 3, 2)}, pods: []corev1.Pod{*fresh}, waited: 15 * time.Second, want: Verdict{Terminal: "p: image quay.io/x:1 cannot be pulled: ErrImageNeverPull not present", Seen: "container c: ErrImageNeverPull not present"}},
		"in vain and not used": {deployments: []appsv1.Deployment{deployment(1, 1, 2, 2, 2)}, pods: []corev1.Pod{*broken}, want: Verdict{Done: true}},
	} {
		if got := rolledOut(tc.deployments, tc.sets, tc.daemons, tc.pods, now.Add(-cmp.Or(tc.waited, time.Minute)), now); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// A rollout that ends while it is watched opens by the event, and one that does not
// come ends with what was seen last.
func TestWaitRollout(t *testing.T) {
	t.Parallel()
	d := deployment(1, 1, 1, 1, 0)
	clientset := fake.NewClientset(&d)
	c := &Client{Clientset: clientset}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	told := make(chan string, 10)
	ended := make(chan error, 1)
	go func() { ended <- c.WaitRollout(ctx, "n", "app=a", func(s string) { told <- s }) }()
	if got := <-told; got != "d: 0 of 2 ready" {
		t.Errorf("seen %q", got)
	}
	d = deployment(1, 1, 2, 2, 2)
	if _, err := clientset.AppsV1().Deployments("n").UpdateStatus(ctx, &d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if err := c.WaitRollout(short, "n", "app=other", func(string) {}); err == nil || !strings.Contains(err.Error(), "it has no workload yet") {
		t.Errorf("nothing to wait for: %v", err)
	}
}

// Pods that are not ready and started before their Secret became what it is are made
// anew; those that are ready, or came later, stay.
func TestUnstickOutdated(t *testing.T) {
	t.Parallel()
	changed := time.Now().UTC().Add(-time.Minute)
	named := func(name, secret string, made time.Time, ready corev1.ConditionStatus) *corev1.Pod {
		p := pod(func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodRunning
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: ready})
		})
		p.Name, p.Namespace, p.Labels, p.CreationTimestamp = name, "n", map[string]string{"app": "a"}, metav1.NewTime(made)
		p.OwnerReferences = []metav1.OwnerReference{{Name: "s"}}
		p.Spec.Containers = []corev1.Container{{Env: []corev1.EnvVar{{Name: "PLAIN", Value: "1"}, {Name: "KAFKA_PASSWORD", ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: "k"}}}}}}
		return p
	}
	secret := func(name, at string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "n", Annotations: map[string]string{AnnotationChanged: at}}}
	}
	before, after := changed.Add(-time.Hour), changed.Add(10*time.Second)
	clientset := fake.NewClientset(secret("s", changed.Format(time.RFC3339Nano)), secret("other", ""),
		named("old", "s", before, corev1.ConditionFalse), named("old-ready", "s", before, corev1.ConditionTrue), named("new", "s", after, corev1.ConditionFalse),
		named("of-another", "other", before, corev1.ConditionFalse), named("of-none", "none", before, corev1.ConditionFalse))
	c := &Client{Clientset: clientset}
	if err := c.Unstick(t.Context(), "n", "app=a"); err != nil {
		t.Fatal(err)
	}
	left, err := clientset.CoreV1().Pods("n").List(t.Context(), metav1.ListOptions{})
	var names []string
	for _, p := range left.Items {
		names = append(names, p.Name)
	}
	if err != nil || strings.Join(names, " ") != "new of-another of-none old-ready" {
		t.Errorf("%v, %v", names, err)
	}
}

// Missing names what of a manifest is not there; a Job may be gone.
func TestMissing(t *testing.T) {
	t.Parallel()
	client := fakeDynamic(t, "Service", "there")
	missing, err := client.Missing(t.Context(), "n", []byte(manifestOfThree))
	if err != nil || strings.Join(missing, ", ") != "Service gone" {
		t.Errorf("%v, %v", missing, err)
	}
}

// Pods that wait longer and longer are made anew; others, and those that nobody would
// make again, stay.
func TestUnstick(t *testing.T) {
	t.Parallel()
	named := func(name string, owned bool, change func(*corev1.Pod)) *corev1.Pod {
		p := pod(change)
		p.Name, p.Namespace, p.Labels = name, "n", map[string]string{"app": "a"}
		if owned {
			p.OwnerReferences = []metav1.OwnerReference{{Name: "s"}}
		}
		return p
	}
	clientset := fake.NewClientset(named("pull", true, waiting("ImagePullBackOff", "", 0)), named("crash", true, waiting("CrashLoopBackOff", "", 7)),
		named("alone", false, waiting("CrashLoopBackOff", "", 7)), named("starts", true, waiting("ContainerCreating", "", 0)))
	c := &Client{Clientset: clientset}
	if err := c.Unstick(t.Context(), "n", "app=a"); err != nil {
		t.Fatal(err)
	}
	left, err := clientset.CoreV1().Pods("n").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) != 2 || left.Items[0].Name != "alone" || left.Items[1].Name != "starts" {
		t.Errorf("%v, %v", left, err)
	}
}
