package kube

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
)

func podOf(name, uid string, ready bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", UID: types.UID(uid), Labels: map[string]string{"a": "b"}}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return p
}

// A pod counts as replaced when another of its name is ready; of one that only has to come
// back the first that is ready will do.
func TestReplaced(t *testing.T) {
	t.Parallel()
	ending := podOf("k-1", "two", true)
	ending.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	for _, tc := range []struct {
		pods []corev1.Pod
		gone map[string]string
		seen string
	}{
		{nil, map[string]string{"k-1": "one"}, "k-1 is not there"},
		{[]corev1.Pod{*podOf("k-1", "one", true)}, map[string]string{"k-1": "one"}, "k-1 ends"},
		{[]corev1.Pod{*ending}, map[string]string{"k-1": ""}, "k-1 ends"},
		{[]corev1.Pod{*podOf("k-1", "two", false)}, map[string]string{"k-1": "one"}, "k-1: "},
		{[]corev1.Pod{*podOf("k-1", "two", true)}, map[string]string{"k-1": "one", "k-2": ""}, "k-2 is not there"},
		{[]corev1.Pod{*podOf("k-1", "two", true), *podOf("k-2", "x", true)}, map[string]string{"k-1": "one", "k-2": ""}, ""},
	} {
		if v := replaced(tc.pods, tc.gone, time.Now()); v.Done != (tc.seen == "") || !strings.HasPrefix(v.Seen, tc.seen) {
			t.Errorf("%v: %+v, want %q", tc.gone, v, tc.seen)
		}
	}
}

func TestDeletePod(t *testing.T) {
	t.Parallel()
	set := fake.NewClientset(podOf("k-1", "one", true))
	c := &Client{Clientset: set}
	pods, err := c.Pods(t.Context(), "ns", "a=b")
	if err != nil || len(pods) != 1 || pods[0].UID != "one" {
		t.Fatalf("%+v, %v", pods, err)
	}
	bound, cancel := context.WithCancel(t.Context())
	cancel()
	var waited *WaitError
	if err := c.WaitReplaced(bound, "ns", "a=b", map[string]string{"k-1": "one"}); !errors.As(err, &waited) || waited.Seen != "k-1 ends" {
		t.Errorf("%v", err)
	}
	for range 2 { // the second: it is gone
		if err := c.DeletePod(t.Context(), "ns", pods[0], true); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := c.Pods(t.Context(), "ns", "a=b"); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := set.CoreV1().Pods("ns").Create(t.Context(), podOf("k-1", "two", true), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReplaced(t.Context(), "ns", "a=b", map[string]string{"k-1": "one"}); err != nil {
		t.Error(err)
	}
}

// A pod is asked through the API server, at its port.
func TestAsk(t *testing.T) {
	t.Parallel()
	pods := `{"kind":"PodList","apiVersion":"v1","items":[]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.Method + " " + r.URL.Path {
		case "GET /api/v1/namespaces/ns/pods":
			w.Write([]byte(pods))
		case "POST /api/v1/namespaces/ns/pods/s-1:8090/proxy/player/pause":
			w.Write([]byte(`"done"`))
		default:
			http.Error(w, r.Method+" "+r.URL.Path, http.StatusNotFound)
		}
	}))
	defer server.Close()
	set, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{Clientset: set}
	if _, err := c.Ask(t.Context(), "ns", "a=b", 8090, http.MethodPost, "/player/pause"); !errors.Is(err, ErrNoPod) {
		t.Errorf("nobody to ask: %v", err)
	}
	pods = `{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"s-1"},"status":{"conditions":[{"type":"Ready","status":"True"}]}}]}`
	if body, err := c.Ask(t.Context(), "ns", "a=b", 8090, http.MethodPost, "/player/pause"); err != nil || string(body) != `"done"` {
		t.Errorf("%s, %v", body, err)
	}
	if _, err := c.Ask(t.Context(), "ns", "a=b", 8090, http.MethodPost, "/player/fly"); err == nil {
		t.Error("a refusal is no answer")
	}
}
