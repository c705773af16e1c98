package existing

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
)

// fakeOperated tells what was asked of it, and when.
type fakeOperated struct{ did *[]string }

var errDissolved = errors.New("it was dissolved first")

func (f fakeOperated) Halt(context.Context, *kube.Client, func(string)) error {
	*f.did = append(*f.did, "halt")
	return nil
}

func (f fakeOperated) Dissolve(context.Context, *kube.Client, func(string)) error {
	return errDissolved
}

// The lab's own operators end first, then its workloads, then what operators made; and
// what operators have to let go of goes before anything else.
func TestOperated(t *testing.T) {
	t.Parallel()
	n := int32(1)
	workload := func(name, namespace string, labels map[string]string) *appsv1.Deployment {
		labels[LabelLab] = "t"
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels}, Spec: appsv1.DeploymentSpec{Replicas: &n}}
	}
	api := withObjects(nil, workload("operator", "strimzi", map[string]string{kube.LabelBrought: "strimzi"}), workload("ingester", "ns", map[string]string{}), node("a", "192.0.2.7"))
	var did []string
	api.Clientset.(*fake.Clientset).PrependReactor("patch", "deployments", func(a k8stesting.Action) (bool, runtime.Object, error) {
		did = append(did, a.(k8stesting.PatchAction).GetName())
		return false, nil, nil
	})
	c := &Cluster{Lab: "t", Kubeconfig: filepath.Join(t.TempDir(), "own"), Namespaces: []string{"ns"}, Homes: func() []string { return []string{"strimzi"} },
		Operated: fakeOperated{&did}, open: func([]byte) (*kube.Client, error) { return api, nil }}
	if _, err := c.Apply(t.Context(), plan.Order{Input: Want("t", Source{"site", file(t)}, []string{"ns"}, false, "").Input}); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(t.Context()); err != nil || strings.Join(did, " ") != "operator ingester halt" {
		t.Errorf("in the order %q, %v", did, err)
	}
	if err := c.Remove(t.Context()); !errors.Is(err, errDissolved) {
		t.Errorf("%v", err)
	}
}

// An operator and its definitions are two parts and one thing to find, and only rights for
// what is used are asked for.
func TestOperatorFound(t *testing.T) {
	t.Parallel()
	n := need
	crds, operator := someShared, someShared
	crds.Key, crds.Brings = "metallb-crds", "its definitions"
	n.Shared = []Shared{crds, operator}
	lacks := func(a authorizationv1.ResourceAttributes) bool {
		return a.Resource != "*" && a.Group != "metallb.io" && a.Group != "cert-manager.io"
	}
	for version, want := range map[string]int{"v0.15.2": 0, "v0.13.0": 1} {
		c := withObjects([]runtime.Object{definition("")})
		c.Clientset = client(lacks, controller("lb", "metallb/controller:"+version, "", 1), node("a", "192.0.2.7"), storageClass("s", true)).Clientset
		s, err := look(t.Context(), c, "site", n)
		if err != nil {
			t.Fatal(err)
		}
		problems := slices.DeleteFunc(s.Problems, func(p Problem) bool { return strings.Contains(p.What, "lacks rights") })
		if strings.Count(s.Text(), "found       ") != 1 || len(problems) != want {
			t.Errorf("%s: %+v\n%s", version, problems, s.Text())
		}
		if missing := strings.Join(s.Missing, "; "); !strings.Contains(missing, "ipaddresspools.metallb.io") || strings.Contains(missing, "cert-manager.io") {
			t.Errorf("lacks %s", missing)
		}
	}
}

// What is of a controller's image and does something else is none: every Kafka has operators
// of its own of the image of the cluster's.
func TestFindByWhatItIs(t *testing.T) {
	t.Parallel()
	s := someShared
	s.Is = func(c Controller) bool { return c.Namespace != "kafka" }
	const image = "metallb/controller:v0.15.2"
	for name, tc := range map[string]struct {
		controllers []runtime.Object
		mine        bool
	}{
		"theirs, beside what the lab has of its image": {[]runtime.Object{controller("lb", image, "", 1), controller("kafka", image, "mine", 1)}, false},
		"the lab's": {[]runtime.Object{controller("lb", image, "mine", 1), controller("kafka", image, "", 1)}, true},
	} {
		if f, err := s.Find(t.Context(), withObjects([]runtime.Object{definition("")}, tc.controllers...), "mine"); err != nil || !f.There || f.Mine != tc.mine || f.Namespace != "lb" {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// Of two releases that a lab brought to one namespace, each is stopped by its own workloads.
func TestBroughtBeside(t *testing.T) {
	t.Parallel()
	none := int32(0)
	stopped := controller("metallb-system", "metallb/controller:v0.15.2", "mine", 0).(*appsv1.Deployment)
	stopped.Spec.Replicas = &none
	for release, want := range map[string]string{"": "its 1 workloads are scaled to zero", "metallb": "its 1 workloads are scaled to zero", "metallb-crds": "no release is there"} {
		s := someShared
		s.Release = release
		p := &Brought{Release: &fakeRelease{}, Lab: "mine", Shared: func(json.RawMessage) (Shared, error) { return s, nil },
			Open: func() (*kube.Client, error) {
				return withObjects([]runtime.Object{definition("mine")}, stopped.DeepCopy()), nil
			}}
		if o, err := p.Observe(t.Context(), plan.Look{Want: plan.Want{Key: "metallb", Input: plan.Input(1)}}); err != nil || o.Why != want {
			t.Errorf("%q: %+v, %v", release, o, err)
		}
	}
}
