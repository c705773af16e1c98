package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/alertlab/alertlab/internal/kube"
)

var applicationKind = schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Application"}

// TestLabByArgoCD is a lab whose components Argo CD brings: from nothing to smoke, each
// component an Application under their parent; what is changed behind its back is seen
// and healed, while Argo CD itself is restarted and the runner killed; stopped, started,
// deleted without a trace.
func TestLabByArgoCD(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Minute)
	defer cancel()
	l, state := newLab(t, ctx, "argo", append(onK3d(t), "ALERTLAB_PROFILE=ci", "ALERTLAB_DEPLOYER=argocd")...)

	if plan := l.run(0, "plan"); !strings.Contains(plan, "create argocd (argo-cd)") || !strings.Contains(plan, "create applications (app-of-apps)") {
		t.Errorf("plan:\n%s", plan)
	}
	t.Logf("up:\n%s", l.timed("up from nothing", "up", "--progress", "plain"))
	l.smoke("smoke")
	if again := l.timed("up with nothing to do", "up", "--progress", "plain"); !strings.Contains(again, "nothing to do") {
		t.Errorf("the second up did something:\n%s", again)
	}
	refused := l.run(2, "up", "--deployer", "helm")
	if !strings.Contains(refused, "is deployed by argocd and cannot change to helm") {
		t.Errorf("another deployer:\n%s", refused)
	}

	kubeconfig, err := os.ReadFile(strings.TrimSpace(l.run(0, "kubeconfig", "--path")))
	l.must(err)
	client, err := kube.New(kubeconfig)
	l.must(err)
	l.validate(client, holds(groupArgoCD))
	apps := l.applications(client)
	if len(apps) != 9 {
		t.Errorf("there are %d Applications", len(apps))
	}
	var secrets struct {
		Kafka, Accounts map[string]string
	}
	text, err := os.ReadFile(filepath.Join(state, "labs", "argo", "credentials.json"))
	l.must(err)
	l.must(json.Unmarshal(text, &secrets))
	for _, app := range apps {
		content, err := app.MarshalJSON()
		l.must(err)
		for _, all := range []map[string]string{secrets.Kafka, secrets.Accounts} {
			for name, password := range all {
				if bytes.Contains(content, []byte(password)) {
					t.Errorf("the Application %s holds the password of %s", app.GetName(), name)
				}
			}
		}
		if _, found, err := unstructured.NestedMap(app.Object, "spec", "syncPolicy", "automated"); found || err != nil {
			t.Errorf("%s syncs by itself: %v", app.GetName(), err)
		}
	}
	l.pages(state)

	// A value changed in an Application, and an object changed under it.
	ref := func(name string) kube.Ref {
		return kube.Ref{Kind: applicationKind, Namespace: "argocd", Name: name}
	}
	change := func() {
		l.must(client.Patch(ctx, ref("registry-front"), []byte(`{"spec":{"source":{"helm":{"valuesObject":{"replicas":2}}}}}`)))
		l.must(client.Patch(ctx, kube.Ref{Kind: schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, Namespace: "alert-stream-broker", Name: "alert-database-server"},
			[]byte(`{"spec":{"replicas":0}}`)))
		l.must(client.Wait(ctx, ref("alert-database-server"), kube.HasField("OutOfSync", "status", "sync", "status")))
	}
	change()
	plan := l.run(0, "plan")
	for _, want := range []string{"in its Application source.helm.valuesObject.replicas added: 2", "its Application is OutOfSync: Deployment alert-database-server"} {
		if !strings.Contains(plan, want) {
			t.Errorf("the plan does not say %q:\n%s", want, plan)
		}
	}
	l.timed("up after changes behind its back", "up", "--progress", "plain")
	l.applications(client)

	// healed is one of the steps that heal it.
	healed := func() string { return []string{"registry-front", "alert-database-server"}[rand.IntN(2)] }

	// Again, and all of Argo CD restarted while up heals it.
	change()
	if code := l.cutShort(healed(), func(*os.Process) {
		l.must(client.Clientset.CoreV1().Pods("argocd").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=argocd"}))
	}); code != 0 {
		t.Errorf("an up during which Argo CD was restarted ended with %d", code)
	}
	l.timed("up after Argo CD was restarted", "up", "--progress", "plain")
	l.applications(client)

	// Again, and the runner killed while up heals it.
	change()
	if code := l.cutShort(healed(), func(*os.Process) { l.killRunner() }); code != 1 {
		t.Errorf("an up whose runner was killed ended with %d", code)
	}
	l.timed("up after a killed runner", "up", "--progress", "plain")
	l.applications(client)
	l.smoke("smoke after all that")

	l.timed("down", "down")
	l.timed("up after down", "up", "--progress", "plain")
	l.applications(client)
	l.smoke("smoke after down and up")
	if gone := l.timed("down --purge --verify", "down", "--purge", "--verify"); !strings.Contains(gone, "nothing of lab argo is left") {
		t.Errorf("after the purge:\n%s", gone)
	}
}

// applications gives those of the cluster; all are to be Synced and Healthy. What Argo CD
// says follows what it sees: that of the parent comes a moment after that of its children.
func (l *lab) applications(client *kube.Client) []unstructured.Unstructured {
	l.Helper()
	list, err := client.Dynamic.Resource(schema.GroupVersionResource{Group: applicationKind.Group, Version: applicationKind.Version, Resource: "applications"}).
		Namespace("argocd").List(l.ctx, metav1.ListOptions{})
	l.must(err)
	soon, cancel := context.WithTimeout(l.ctx, time.Minute)
	defer cancel()
	for _, app := range list.Items {
		ref := kube.Ref{Kind: applicationKind, Namespace: app.GetNamespace(), Name: app.GetName()}
		err := client.Wait(soon, ref, func(u *unstructured.Unstructured) kube.Verdict {
			if v := kube.HasField("Synced", "status", "sync", "status")(u); !v.Done {
				return v
			}
			return kube.HasField("Healthy", "status", "health", "status")(u)
		})
		if err != nil {
			l.Errorf("the Application %s: %v", app.GetName(), err)
		}
	}
	return list.Items
}

// pages asserts that people reach Argo CD, with the lab's authority and password.
func (l *lab) pages(state string) {
	l.Helper()
	url := strings.TrimSpace(l.run(0, "open", "argocd", "--print"))
	password := strings.TrimSpace(l.run(0, "open", "argocd", "--password"))
	ca, err := os.ReadFile(filepath.Join(state, "labs", "argo", "tls", "ca.pem"))
	l.must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	for _, tc := range []struct {
		password string
		want     int
	}{{password, http.StatusOK}, {"another", http.StatusUnauthorized}} {
		response, err := client.Post(url+"/api/v1/session", "application/json", strings.NewReader(fmt.Sprintf(`{"username":"admin","password":%q}`, tc.password)))
		l.must(err)
		response.Body.Close()
		if response.StatusCode != tc.want {
			l.Errorf("a login to %s: %s", url, response.Status)
		}
	}
}
