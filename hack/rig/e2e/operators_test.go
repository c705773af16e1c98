package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/kube"
)

// TestExistingStrimzi is a lab with Kafka by Strimzi on a plain cluster of one node, which
// has its images: first with an operator of its own, then beside somebody else's, which is
// as it was when the lab is gone. Both are stopped and started: nothing that an operator
// makes runs meanwhile. The images and the operator's chart are the user's: rig e2e --images.
func TestExistingStrimzi(t *testing.T) {
	cache := need(t, "ALERTLAB_RIG_CACHE")
	folder := os.Getenv("ALERTLAB_RIG_STRIMZI")
	if folder == "" {
		t.Skip("images of Strimzi's operator and its Kafka are not to be had of package registries, and none were given: rig e2e --images FOLDER")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Minute)
	defer cancel()
	docker, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer docker.Close()
	file, operator, version := withStrimzi(t, ctx, cache, folder)
	const name = "e2e-operators"
	made := plainCluster(t, ctx, docker, name)
	l, state := newLab(t, ctx, "e2eoperators", "ALERTLAB_PROVIDER=existing", "KUBECONFIG="+made.KubeconfigFile, "ALERTLAB_CONTEXT=rig-"+name,
		"ALERTLAB_BUNDLE="+file)
	b, err := bundle.Open(file)
	l.must(err)
	defer b.Close()
	l.loadImagesOf(made, b, func(reference string) bool { return strings.Contains(reference, "/strimzi/") })
	k, err := kube.New(made.Kubeconfig)
	l.must(err)
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "profiles", "ci.yaml"))
	l.must(err)
	const brokers = "  brokers: {count: 1}\n"
	if strings.Count(string(text), brokers) != 1 {
		t.Fatalf("the profile ci has no %q any more", brokers)
	}
	profile := filepath.Join(t.TempDir(), "operated.yaml")
	l.must(os.WriteFile(profile, []byte(strings.Replace(string(text), brokers, "  version: \""+version+"\"\n  brokers: {count: 2, firstID: 6}\n", 1)), 0o600))
	up := []string{"up", "--progress", "plain", "--images-loaded", "--stack", "alerts-strimzi", "--profile", profile, "--set", "simulator.interval=30s"}

	for name, live := range map[string]func(*lab){
		"its own": func(l *lab) {
			if said := l.run(0, append([]string{"plan"}, up[3:]...)...); !strings.Contains(said, "Strimzi "+operator) || !strings.Contains(said, "as a release of the lab's in namespace strimzi") {
				l.Errorf("plan where there is no operator:\n%s", said)
			}
			l.livesWithStrimzi(k, up)
			l.ends(state)
			for _, namespace := range []string{"alert-stream-broker", "strimzi"} {
				if _, err := k.Clientset.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
					l.Errorf("the lab's namespace %s after its purge: %v", namespace, err)
				}
			}
			if left := l.ofStrimzi(k); len(left) > 0 {
				l.Errorf("left of Strimzi: %v", left)
			}
		},
		"somebody else's": func(l *lab) {
			// As its owner would bring it.
			const home = "site-kafka"
			site := &stack{T: l.T, ctx: ctx, kube: k, bundle: b}
			site.chart("strimzi-kafka-operator", home, 1, map[string]any{"watchAnyNamespace": true, "image": map[string]any{"imagePullPolicy": "IfNotPresent"}})
			had := l.ofStrimzi(k)
			if said := l.run(0, append([]string{"plan"}, up[3:]...)...); !strings.Contains(said, "Strimzi "+operator+" in namespace "+home+" was there: it is used, and left as it is") {
				l.Errorf("plan beside somebody's operator:\n%s", said)
			}
			l.livesWithStrimzi(k, up)
			// Purged while it is stopped: nobody is there who takes finalizers off topics.
			l.timed("down", "down")
			l.ends(state)
			for name, uid := range l.ofStrimzi(k) {
				if had[name] != uid {
					l.Errorf("%s is another one, or new: %q, it was %q", name, uid, had[name])
				}
				delete(had, name)
			}
			if len(had) > 0 {
				l.Errorf("gone with the lab: %v", had)
			}
			// The next one finds none: neither this one's definitions, which Helm leaves.
			theirs := l.ofStrimzi(k)
			l.must(helm.Uninstall(k, helm.Release{Name: "strimzi-kafka-operator", Namespace: home}))
			l.must(k.Clientset.CoreV1().Namespaces().Delete(ctx, home, metav1.DeleteOptions{}))
			definitions := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
			l.must(k.Dynamic.Resource(definitions).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=strimzi"}))
			for name := range theirs {
				if definition, ok := strings.CutPrefix(name, definitions.Resource+" /"); ok {
					l.must(k.WaitGone(ctx, kube.Object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", definition)))
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			one := *l
			one.T = t
			live(&one)
		})
	}
}

// livesWithStrimzi brings a lab up, stops it, and brings it up again.
func (l *lab) livesWithStrimzi(k *kube.Client, up []string) {
	l.Helper()
	l.Log(l.timed("up", up...))
	l.smoke("smoke")
	if again := l.timed("up with nothing to do", "up", "--progress", "plain"); !strings.Contains(again, "nothing to do") {
		l.Errorf("the second up did something:\n%s", again)
	}
	claims := l.claims(k)
	l.timed("down", "down")
	pods, err := k.Pods(l.ctx, "alert-stream-broker", "")
	if err != nil || len(pods) > 0 {
		l.Errorf("after down these run: %+v, %v", pods, err)
	}
	if now := l.claims(k); now == "" || now != claims {
		l.Errorf("claims before and after:\n%s\n%s", claims, now)
	}
	if plan := l.run(0, "plan"); !strings.Contains(plan, "workloads are scaled to zero") {
		l.Errorf("plan of a stopped lab:\n%s", plan)
	}
	l.Log(l.timed("up after down", "up", "--progress", "plain"))
	l.smoke("smoke after down and up")
}

// claims lists the lab's, with their identity.
func (l *lab) claims(k *kube.Client) string {
	l.Helper()
	list, err := k.Clientset.CoreV1().PersistentVolumeClaims("alert-stream-broker").List(l.ctx, metav1.ListOptions{})
	l.must(err)
	var out strings.Builder
	for _, c := range list.Items {
		out.WriteString(c.Name + " " + string(c.UID) + "\n")
	}
	return out.String()
}

// ofStrimzi gives what a cluster has of Strimzi, by name, with its identity.
func (l *lab) ofStrimzi(k *kube.Client) map[string]string {
	return l.have(k, "strimzi", "site-kafka")
}
