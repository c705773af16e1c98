package main

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	journal "github.com/alertlab/alertlab/lab/run"
)

func TestUnattended(t *testing.T) {
	t.Parallel()
	at := func(s float64) time.Time { return time.Unix(100, 0).Add(time.Duration(s * float64(time.Second))) }
	step := func(from, to float64) journal.Entry {
		return journal.Entry{Step: "s", Time: at(to), Elapsed: at(to).Sub(at(from))}
	}
	begun := journal.Entry{Step: "s", Time: at(1), Begun: true}
	// Side by side, with a second and a half between two, and one that a longer one covers.
	idle, outside := unattended([]journal.Entry{step(1, 4), begun, step(2, 3), step(3.5, 5), step(6.5, 8)}, at(0), at(9))
	if idle != 1500*time.Millisecond || outside != 2*time.Second {
		t.Errorf("idle %s, outside %s", idle, outside)
	}
	if idle, outside := unattended(nil, at(0), at(9)); idle != 0 || outside != 9*time.Second {
		t.Errorf("nothing was done: idle %s, outside %s", idle, outside)
	}
}

func TestSamples(t *testing.T) {
	t.Parallel()
	s := cpuSamples{{time.Unix(1, 0), time.Second}, {time.Unix(3, 0), 4 * time.Second}}
	for at, want := range map[int64]time.Duration{0: 0, 1: time.Second, 2: time.Second, 3: 4 * time.Second, 9: 4 * time.Second} {
		if got := s.until(time.Unix(at, 0)); got != want {
			t.Errorf("at %d: %s", at, got)
		}
	}
}

func TestPodsReady(t *testing.T) {
	t.Parallel()
	pod := func(status corev1.ConditionStatus, at int64) corev1.Pod {
		return corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Unix(99, 0)},
			{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.Unix(at, 0)}}}}
	}
	if got := podsReady([]corev1.Pod{pod(corev1.ConditionTrue, 5), pod(corev1.ConditionTrue, 7), pod(corev1.ConditionFalse, 9)}); got.Unix() != 7 {
		t.Errorf("%s", got)
	}
	if got := podsReady(nil); !got.IsZero() {
		t.Errorf("no pod was ready at %s", got)
	}
}

func TestClusterMarkdown(t *testing.T) {
	t.Parallel()
	d := newDocument()
	d.group = "alertlab up --provider k3d"
	d.add("a gate", "s", under(1), 2)
	d.group = "alertlab up --provider kind"
	d.add("a gate", "s", under(1), 0.5)
	text := d.clusterMarkdown([]string{"-kubernetes"})
	for _, line := range []string{"go run ./hack/bench -kubernetes\n",
		"### `alertlab up --provider k3d`\n", "| a gate | under 1 | s | 2.00 | 2.00 | 2.00 | 1 | no |\n",
		"### `alertlab up --provider kind`\n", "| a gate | under 1 | s | 0.500 | 0.500 | 0.500 | 1 | yes |\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	if got := d.missedAll(); len(got) != 1 || got[0] != "alertlab up --provider k3d: a gate" {
		t.Errorf("missed %v", got)
	}
}
