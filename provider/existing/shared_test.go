package existing

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
)

// withObjects is a cluster with objects of the usual kinds, and custom ones.
func withObjects(custom []runtime.Object, objects ...runtime.Object) *kube.Client {
	c := client(anything, objects...)
	c.Dynamic = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		definitionsOfCRDs: "CustomResourceDefinitionList", pools: "IPAddressPoolList"}, custom...)
	return c
}

const poolsDefinition = "ipaddresspools.metallb.io"

func labelled(lab string) map[string]any {
	if lab == "" {
		return map[string]any{}
	}
	return map[string]any{LabelLab: lab, kube.LabelBrought: "metallb"}
}

func definition(lab string) runtime.Object {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": poolsDefinition, "labels": labelled(lab)},
		"spec": map[string]any{"group": "metallb.io", "names": map[string]any{"plural": "ipaddresspools", "kind": "IPAddressPool"},
			"versions": []any{map[string]any{"name": "v1beta1", "served": true}, map[string]any{"name": "v1alpha1", "served": false}}}}}
}

func pool(name, namespace, lab string, addresses ...any) runtime.Object {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
		"metadata": map[string]any{"name": name, "namespace": namespace, "labels": labelled(lab)}, "spec": map[string]any{"addresses": addresses}}}
}

func controller(namespace, image, lab string, available int32) runtime.Object {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "controller", Namespace: namespace}, Status: appsv1.DeploymentStatus{AvailableReplicas: available}}
	if lab != "" {
		d.Labels = map[string]string{LabelLab: lab, kube.LabelBrought: "metallb"}
	}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "other", Image: "example.org/other/metallb-controller:v1"},
		{Name: "c", Image: image, Args: []string{"--port=1"}, Env: []corev1.EnvVar{{Name: "A", Value: "b"},
			{Name: "NS", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}}}}}
	return d
}

var someShared = Shared{Key: "metallb", Name: "MetalLB", Image: "metallb/controller", Definitions: []string{poolsDefinition}, Brings: "MetalLB v9", Namespace: "metallb-system",
	Suits: func(c Controller) (string, string) {
		if c.Older("0.14.9") {
			return "is too old", "upgrade it"
		}
		if c.Env["A"] != "b" || c.Env["NS"] != c.Namespace || !slices.Equal(c.Args, []string{"--port=1"}) || !slices.Equal(c.Served[poolsDefinition], []string{"v1beta1"}) {
			return "was not told as it is", "correct the test"
		}
		return "", ""
	}}

// Something shared is missing, somebody's, the lab's own, or of no use with a reason.
func TestFind(t *testing.T) {
	t.Parallel()
	const good = "mirror.example:5000/metallb/controller:v0.15.2@sha256:00"
	for name, tc := range map[string]struct {
		definitions []runtime.Object
		controllers []runtime.Object
		want        Found
		why         string
	}{
		"missing": {nil, nil, Found{Namespace: "metallb-system"}, ""},
		"somebody's": {[]runtime.Object{definition("")}, []runtime.Object{controller("lb", good, "", 1)},
			Found{There: true, Version: "v0.15.2", Namespace: "lb"}, ""},
		"somebody's, whose version nobody says": {[]runtime.Object{definition("")}, []runtime.Object{controller("lb", "metallb/controller", "", 1)},
			Found{There: true, Namespace: "lb"}, ""},
		"too old": {[]runtime.Object{definition("")}, []runtime.Object{controller("lb", "metallb/controller:v0.13.12", "", 1)},
			Found{There: true, Version: "v0.13.12", Namespace: "lb"}, "MetalLB v0.13.12 in namespace lb, which the lab did not bring, is too old"},
		"does not run": {[]runtime.Object{definition("")}, []runtime.Object{controller("lb", good, "", 0)},
			Found{There: true, Version: "v0.15.2", Namespace: "lb"}, "does not run"},
		"no definitions": {nil, []runtime.Object{controller("lb", good, "", 1)},
			Found{There: true, Version: "v0.15.2", Namespace: "lb"}, "there is no " + poolsDefinition},
		"left behind": {[]runtime.Object{definition("")}, nil,
			Found{There: true, Namespace: "metallb-system"}, "the lab did not make them, and no controller of it runs"},
		"one of two is of use": {[]runtime.Object{definition("")}, []runtime.Object{controller("a", "metallb/controller:v0.1.0", "", 1), controller("b", good, "", 1)},
			Found{There: true, Version: "v0.15.2", Namespace: "b"}, ""},
		"the lab's": {[]runtime.Object{definition("mine")}, []runtime.Object{controller("metallb-system", good, "mine", 0)},
			Found{There: true, Mine: true, Version: "v0.15.2", Namespace: "metallb-system"}, ""},
		"the lab's, half made": {[]runtime.Object{definition("mine")}, nil, Found{There: true, Mine: true, Namespace: "metallb-system"}, ""},
		"another lab's": {[]runtime.Object{definition("other")}, []runtime.Object{controller("metallb-system", good, "other", 1)},
			Found{There: true, Version: "v0.15.2", Namespace: "metallb-system"}, ""},
	} {
		got, err := someShared.Find(t.Context(), withObjects(tc.definitions, tc.controllers...), "mine")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if (got.Why == "") != (tc.why == "") || !strings.Contains(got.Why, tc.why) || (got.Next == "") != (tc.why == "") {
			t.Errorf("%s: because %q, next %q", name, got.Why, got.Next)
		}
		got.Why, got.Next = "", ""
		tc.want.Key, tc.want.Name, tc.want.Brings = "metallb", "MetalLB", "MetalLB v9"
		if got != tc.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A survey says what is found and used, what would be brought, and what stands against it.
func TestLookShared(t *testing.T) {
	t.Parallel()
	n := need
	n.Shared = []Shared{someShared}
	cluster := func(custom []runtime.Object, objects ...runtime.Object) *Survey {
		t.Helper()
		s, err := look(t.Context(), withObjects(custom, append(objects, node("a", "192.0.2.7"), storageClass("s", true))...), "site", n)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := cluster(nil)
	if err := s.Err(); err != nil || !slices.Contains(s.Adds, "MetalLB v9, as a release of the lab's in namespace metallb-system") {
		t.Errorf("%v, %q", err, s.Adds)
	}
	s = cluster([]runtime.Object{definition("")}, controller("lb", "metallb/controller:v0.15.2", "", 1))
	if err := s.Err(); err != nil || !strings.Contains(s.Text(), "found       MetalLB v0.15.2 in namespace lb was there: it is used, and left as it is") || len(s.Adds) != 2 {
		t.Errorf("%v, %q\n%s", err, s.Adds, s.Text())
	}
	s = cluster([]runtime.Object{definition("")}, controller("lb", "metallb/controller:v0.13.0", "", 1))
	if err := s.Err(); fault.CodeOf(err) != fault.StepFailed || !strings.Contains(fault.Text(err), "upgrade it") {
		t.Errorf("%v", err)
	}
	s = cluster(nil, namespace("metallb-system", ""))
	if err := s.Err(); fault.CodeOf(err) != fault.BadInput || !strings.Contains(err.Error(), "the namespace metallb-system is there, and no lab made it") {
		t.Errorf("%v", err)
	}
	n.Adopt = true
	if err := cluster(nil, namespace("metallb-system", "")).Err(); err != nil {
		t.Errorf("%v", err)
	}
}

// fakeRelease remembers what was done to it.
type fakeRelease struct{ applied, waited int }

func (f *fakeRelease) Observe(context.Context, plan.Look) (plan.Observation, error) {
	return plan.Observation{State: plan.Absent, Why: "no release is there"}, nil
}

func (f *fakeRelease) Apply(context.Context, plan.Order) (map[string]string, error) {
	f.applied++
	return map[string]string{outputNamespace: "metallb-system"}, nil
}

func (f *fakeRelease) Wait(context.Context, plan.Gate, plan.Order, func(string)) error {
	f.waited++
	return errors.New("it was asked")
}

func (f *fakeRelease) Attend(json.RawMessage) {}

func (f *fakeRelease) Activity() event.Activity { return event.Activity{} }

// What is missing is brought, into a namespace of the lab's; what others brought is used,
// wherever it is, and nothing is done to it; what is of no use blocks.
func TestBrought(t *testing.T) {
	t.Parallel()
	part := func(c *kube.Client) (*Brought, *fakeRelease) {
		f := &fakeRelease{}
		return &Brought{Release: f, Lab: "mine", Open: func() (*kube.Client, error) { return c, nil },
			Shared: func(json.RawMessage) (Shared, error) { return someShared, nil }}, f
	}
	w := plan.Want{Key: "metallb", Input: json.RawMessage(`{"a": 1}`)}
	wanted := plan.Wanted{Parts: []plan.Want{w}}

	c := withObjects(nil)
	p, f := part(c)
	if o, err := p.Observe(t.Context(), plan.Look{Want: w}); err != nil || o.State != plan.Absent {
		t.Errorf("missing: %+v, %v", o, err)
	}
	out, err := p.Apply(t.Context(), plan.Order{Input: w.Input})
	if err != nil || f.applied != 1 || out[outputNamespace] != "metallb-system" {
		t.Errorf("missing: %v, %v, %+v", out, err, f)
	}
	n, err := c.Clientset.CoreV1().Namespaces().Get(t.Context(), "metallb-system", metav1.GetOptions{})
	if err != nil || n.Labels[LabelLab] != "mine" || n.Labels[kube.LabelBrought] != "metallb" {
		t.Errorf("its namespace: %+v, %v", n, err)
	}
	if err := p.Wait(t.Context(), plan.Gate{}, plan.Order{Input: w.Input}, nil); err == nil {
		t.Error("nobody waited for it")
	}

	p, f = part(withObjects([]runtime.Object{definition("")}, controller("lb", "metallb/controller:v0.15.2", "", 1)))
	o, err := p.Observe(t.Context(), plan.Look{Want: w})
	if err != nil || o.State != plan.Present || o.Outputs[outputNamespace] != "lb" {
		t.Errorf("somebody's: %+v, %v", o, err)
	}
	made, err := plan.Make(wanted, plan.Snapshot{"metallb": o})
	if err != nil || len(made.Steps) != 0 || len(made.Keeps) != 1 || !strings.Contains(made.Keeps[0].Why, "left as it is") || made.Known["metallb"][outputNamespace] != "lb" {
		t.Errorf("somebody's: %+v, %v", made, err)
	}
	out, err = p.Apply(t.Context(), plan.Order{Input: w.Input})
	if err != nil || f.applied != 0 || out[outputNamespace] != "lb" || p.Wait(t.Context(), plan.Gate{}, plan.Order{Input: w.Input}, nil) != nil {
		t.Errorf("somebody's: %v, %v, %+v", out, err, f)
	}

	p, f = part(withObjects([]runtime.Object{definition("")}, controller("lb", "metallb/controller:v0.13.0", "", 1)))
	if _, err := p.Observe(t.Context(), plan.Look{Want: w}); err == nil || !strings.Contains(err.Error(), "is too old") {
		t.Errorf("of no use: %v", err)
	}
	if _, err := p.Apply(t.Context(), plan.Order{Input: w.Input}); err == nil || f.applied != 0 {
		t.Errorf("of no use: %v, %+v", err, f)
	}

	p, _ = part(withObjects(nil, namespace("metallb-system", "")))
	if _, err := p.Apply(t.Context(), plan.Order{Input: w.Input}); fault.CodeOf(err) != fault.BadInput {
		t.Errorf("into somebody's namespace: %v", err)
	}

	stopped := controller("metallb-system", "metallb/controller:v0.15.2", "mine", 0).(*appsv1.Deployment)
	none := int32(0)
	stopped.Spec.Replicas = &none
	p, _ = part(withObjects([]runtime.Object{definition("mine")}, stopped))
	if o, err := p.Observe(t.Context(), plan.Look{Want: w}); err != nil || o.State != plan.Absent || !o.Kept || o.Why != "its 1 workloads are scaled to zero" {
		t.Errorf("stopped: %+v, %v", o, err)
	}
}

// A definition stays with the lab gone when others have objects of it, and so does the
// namespace in which they are.
func TestStays(t *testing.T) {
	t.Parallel()
	home := namespace("metallb-system", "mine")
	home.Labels[kube.LabelBrought] = "metallb"
	c := withObjects([]runtime.Object{definition("mine"), pool("own", "metallb-system", "mine")}, home)
	if list, err := stays(t.Context(), c, "mine"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	c = withObjects([]runtime.Object{definition("mine"), pool("own", "metallb-system", "mine"), pool("dmz", "metallb-system", "")}, home)
	list, err := stays(t.Context(), c, "mine")
	if err != nil || len(list) != 2 || list[0].Delete != "customresourcedefinition "+poolsDefinition || list[1].Delete != "namespace metallb-system" ||
		!strings.HasPrefix(list[0].What, "definition ipaddresspools.metallb.io, of which others have objects: IPAddressPool metallb-system/dmz") {
		t.Errorf("%+v, %v", list, err)
	}
	// Of others' definitions nothing is looked at.
	c = withObjects([]runtime.Object{definition(""), pool("dmz", "metallb-system", "")}, namespace("metallb-system", ""))
	if list, err := stays(t.Context(), c, "mine"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// Who may not bring what is missing is told so; who need not bring anything is not.
func TestRightsToBring(t *testing.T) {
	t.Parallel()
	n := need
	n.Shared = []Shared{someShared}
	may := func(a authorizationv1.ResourceAttributes) bool {
		return a.Resource != "*" && a.Resource != "clusterroles" && !(a.Resource == "customresourcedefinitions" && a.Verb == "create")
	}
	for name, tc := range map[string]struct {
		custom  []runtime.Object
		objects []runtime.Object
		lacks   []string
	}{
		"missing":    {nil, nil, []string{"clusterroles.rbac.authorization.k8s.io: get, list, create, update, patch, delete, watch", "customresourcedefinitions.apiextensions.k8s.io: create"}},
		"somebody's": {[]runtime.Object{definition("")}, []runtime.Object{controller("lb", "metallb/controller:v0.15.2", "", 1)}, nil},
	} {
		c := withObjects(tc.custom)
		c.Clientset = client(may, append(tc.objects, node("a", "192.0.2.7"), storageClass("s", true))...).Clientset
		s, err := look(t.Context(), c, "site", n)
		if err != nil || !slices.Equal(s.Missing, tc.lacks) {
			t.Errorf("%s: lacks %q, %v", name, s.Missing, err)
		}
	}
}

// The lab's pools are found in whatever namespace MetalLB is.
func TestPooledIn(t *testing.T) {
	t.Parallel()
	c := withObjects([]runtime.Object{pool("a", "lb", "mine", "192.0.2.0/28"), pool("b", "lb", "mine", "192.0.2.16/28"), pool("c", "others", "", "192.0.2.32/28")})
	if got, err := pooledIn(t.Context(), c, "mine"); err != nil || !slices.Equal(got, []string{"lb"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// Who has which address is told of nodes, Services and pools, but not of the lab's own.
func TestTaken(t *testing.T) {
	t.Parallel()
	service := func(name, lab string) *corev1.Service {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "n"}, Spec: corev1.ServiceSpec{ClusterIPs: []string{"10.43.0.9", "fd00::9"}},
			Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.50"}}}}}
		if lab != "" {
			s.Labels = map[string]string{LabelLab: lab}
		}
		return s
	}
	pods := func(n *corev1.Node) { n.Spec.PodCIDRs = []string{"10.42.0.0/24", "fd00::/64"} }
	c := withObjects([]runtime.Object{pool("dmz", "lb", "", "192.0.2.64/28", "192.0.2.80-192.0.2.90", "2001:db8::/64"), pool("own", "lb", "mine", "192.0.2.100-192.0.2.110")},
		node("a", "192.0.2.7", pods), service("web", ""), service("own", "mine"))
	list, err := TakenAddresses(t.Context(), c, "mine")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range list {
		got = append(got, x.String()+" "+x.Who)
		if isPool := strings.Contains(x.Who, "IPAddressPool"); isPool != (x.Pool == "dmz") {
			t.Errorf("%s is of the pool %q", x.Who, x.Pool)
		}
	}
	want := []string{"192.0.2.7-192.0.2.7 the node a", "10.42.0.0-10.42.0.255 the pods of the node a", "10.43.0.9-10.43.0.9 the Service web in namespace n",
		"192.0.2.50-192.0.2.50 the Service web in namespace n", "192.0.2.64-192.0.2.79 the IPAddressPool dmz in namespace lb", "192.0.2.80-192.0.2.90 the IPAddressPool dmz in namespace lb"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if own, err := held(t.Context(), c, "mine"); err != nil || !slices.Equal(own, []string{"192.0.2.50"}) {
		t.Errorf("of its own %q, %v", own, err)
	}
}
