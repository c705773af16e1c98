package existing

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/doctor"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
)

const kubeconfig = `apiVersion: v1
kind: Config
current-context: other
clusters: [{name: c, cluster: {server: "https://192.0.2.1:6443"}}]
users: [{name: u, user: {token: secret}}]
contexts:
- {name: site, context: {cluster: c, user: u}}
- {name: other, context: {cluster: c, user: u}}
`

func file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A context that is not there, is not named or cannot be read is bad input, and what
// there is is named.
func TestContexts(t *testing.T) {
	t.Parallel()
	path := file(t)
	for name, tc := range map[string]struct {
		source Source
		want   string
	}{
		"unknown":   {Source{"nope", path}, `there is no context "nope": ` + path + ": it has other, site"},
		"not named": {Source{"", path}, "which cluster is meant is not said"},
		"no file":   {Source{"site", path + "x"}, "the kubeconfig cannot be read"},
	} {
		_, err := tc.source.Kubeconfig()
		if fault.CodeOf(err) != fault.BadInput || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := Source{"site", path}.Kubeconfig()
	if err != nil || strings.Contains(string(text), "other") || !strings.Contains(string(text), "current-context: site") {
		t.Errorf("%v\n%s", err, text)
	}
}

func node(name, address string, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
		Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
	for _, c := range change {
		c(n)
	}
	return n
}

func storageClass(name string, isDefault bool) *storagev1.StorageClass {
	c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "csi.example"}
	if isDefault {
		c.Annotations = map[string]string{defaultClass: "true"}
	}
	return c
}

func namespace(name, lab string) *corev1.Namespace {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if lab != "" {
		n.Labels = map[string]string{LabelLab: lab}
	}
	return n
}

// client makes a cluster on which a user may do what may says.
func client(may func(authorizationv1.ResourceAttributes) bool, objects ...runtime.Object) *kube.Client {
	set := fake.NewClientset(objects...)
	set.PrependReactor("create", "selfsubjectaccessreviews", func(a k8stesting.Action) (bool, runtime.Object, error) {
		review := a.(k8stesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview)
		review.Status.Allowed = may(*review.Spec.ResourceAttributes)
		return true, review, nil
	})
	return &kube.Client{Clientset: set}
}

func anything(authorizationv1.ResourceAttributes) bool { return true }

var need = Need{Lab: "t", Namespaces: []string{"alert-stream-broker"}, Class: "fast"}

// What is found, and what would be added.
func TestLook(t *testing.T) {
	t.Parallel()
	s, err := look(t.Context(), client(anything, node("a", "192.0.2.7"), storageClass("slow", true)), "site", need)
	if err != nil || s.Err() != nil || s.Address != "192.0.2.7" {
		t.Fatalf("%+v, %v", s, err)
	}
	if want := []string{"storage class fast, as the cluster's slow (csi.example)", "namespace alert-stream-broker"}; !slices.Equal(s.Adds, want) {
		t.Errorf("adds %q", s.Adds)
	}
	for _, want := range []string{"node        a at 192.0.2.7", "class       slow of csi.example, Delete, Immediate, the default", "alert-stream-broker is not there", "rights      all"} {
		if !strings.Contains(s.Text(), want) {
			t.Errorf("%q is not in\n%s", want, s.Text())
		}
	}
}

// Everything that stands against a lab is said at once.
func TestAgainst(t *testing.T) {
	t.Parallel()
	tainted := func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectNoSchedule}} }
	away := func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }
	for name, tc := range map[string]struct {
		objects []runtime.Object
		need    func(*Need)
		code    fault.Code
		want    []string
	}{
		"foreign namespace": {[]runtime.Object{node("a", "192.0.2.7"), storageClass("s", true), namespace("alert-stream-broker", "")}, nil, fault.BadInput,
			[]string{"alert-stream-broker is there, and no lab made it"}},
		"another lab's": {[]runtime.Object{node("a", "192.0.2.7"), storageClass("s", true), namespace("alert-stream-broker", "other")}, func(n *Need) { n.Adopt = true }, fault.BadInput,
			[]string{"is lab other's"}},
		"adopted": {[]runtime.Object{node("a", "192.0.2.7"), storageClass("s", true), namespace("alert-stream-broker", "")}, func(n *Need) { n.Adopt = true }, fault.OK, nil},
		"nothing fits": {[]runtime.Object{node("a", "192.0.2.7", away), node("b", "192.0.2.8", away, tainted), storageClass("s", false)}, func(n *Need) { n.Apart = 3 }, fault.StepFailed,
			[]string{"none of the cluster's 2 nodes is Ready", "3 brokers may not share a node, and 0 nodes take pods", "no default storage class: it has s"}},
		"no such class": {[]runtime.Object{node("a", "192.0.2.7"), storageClass("s", true)}, func(n *Need) { n.Base = "x" }, fault.StepFailed, []string{"no storage class x"}},
	} {
		n := need
		if tc.need != nil {
			tc.need(&n)
		}
		s, err := look(t.Context(), client(anything, tc.objects...), "site", n)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		err = s.Err()
		if fault.CodeOf(err) != tc.code {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in %v", name, want, err)
			}
		}
	}
}

func service(namespace, lab string, ports ...int32) *corev1.Service {
	v := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "some", Namespace: namespace}}
	if lab != "" {
		v.Labels = map[string]string{LabelLab: lab}
	}
	for _, port := range ports {
		v.Spec.Ports = append(v.Spec.Ports, corev1.ServicePort{NodePort: port})
	}
	return v
}

// Node ports are free, the lab's own, somebody's, or not the cluster's to give out.
func TestPorts(t *testing.T) {
	t.Parallel()
	k3s := func(n *corev1.Node) {
		n.Annotations = map[string]string{"k3s.io/node-args": `["server","--kube-apiserver-arg","service-node-port-range=30000-31100"]`}
	}
	server := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "api", Namespace: "kube-system", Labels: map[string]string{"component": "kube-apiserver"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Command: []string{"kube-apiserver", "--service-node-port-range=20000+12767"}}}}}
	for name, tc := range map[string]struct {
		objects []runtime.Object
		said    string   // of the survey
		against []string // nil: nothing
		code    fault.Code
	}{
		"another lab's place, which is said once": {[]runtime.Object{node("a", "192.0.2.7"), namespace("alert-stream-broker", "other"), service("alert-stream-broker", "other", 31200)},
			"1 of them it cannot have", []string{"is lab other's"}, fault.BadInput},
		"free":                 {[]runtime.Object{node("a", "192.0.2.7"), service("x", "", 30000)}, "the lab takes 31090 to 31092, 31200, which are free or its own", nil, 0},
		"its own":              {[]runtime.Object{node("a", "192.0.2.7"), service("x", "t", 31090, 31200)}, "free or its own", nil, 0},
		"in its own namespace": {[]runtime.Object{node("a", "192.0.2.7"), namespace("alert-stream-broker", "t"), service("alert-stream-broker", "", 31200)}, "free or its own", nil, 0},
		"wide range":           {[]runtime.Object{node("a", "192.0.2.7"), server}, "free or its own", nil, 0},
		"taken": {[]runtime.Object{node("a", "192.0.2.7"), service("x", "", 31091), service("y", "other", 31200)}, "2 of them it cannot have",
			[]string{"node ports that the lab takes are somebody's: 31091 (brokers) is that of the Service some in namespace x", "31200 (bootstrap) is that of the Service some in namespace y, lab other's", "kafka.listener.nodePort"}, fault.StepFailed},
		"out of range": {[]runtime.Object{node("a", "192.0.2.7", k3s)}, "1 of them it cannot have",
			[]string{"gives out the node ports 30000-31100 (k3s on node a), and the lab takes 31200 (bootstrap)", "--service-node-port-range=30000-32767"}, fault.StepFailed},
	} {
		n := need
		n.Ports = map[int]string{31090: "brokers", 31091: "brokers", 31092: "brokers", 31200: "bootstrap"}
		s, err := look(t.Context(), client(anything, append(tc.objects, storageClass("fast", true))...), "site", n)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(s.Text(), "node ports  the lab takes") || !strings.Contains(s.Text(), tc.said) {
			t.Errorf("%s: %q is not in\n%s", name, tc.said, s.Text())
		}
		err = s.Err()
		if (err == nil) != (tc.against == nil) || tc.code != 0 && fault.CodeOf(err) != tc.code || tc.code == fault.BadInput && strings.Contains(err.Error(), "node ports") {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range tc.against {
			if err == nil || !strings.Contains(fault.Text(err), want) {
				t.Errorf("%s: %q is not in %v", name, want, err)
			}
		}
		findings := doctor.Table(Findings(s))
		if good := strings.Contains(findings, "ok    node ports"); good != (tc.against == nil) {
			t.Errorf("%s:\n%s", name, findings)
		}
	}
}

// Who may not list everybody's Services is told what is not known.
func TestPortsHidden(t *testing.T) {
	t.Parallel()
	c := client(anything, node("a", "192.0.2.7"), storageClass("fast", true))
	c.Clientset.(*fake.Clientset).PrependReactor("list", "services", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("services"), "", nil)
	})
	n := need
	n.Ports = map[int]string{31200: "bootstrap"}
	s, err := look(t.Context(), c, "site", n)
	if err != nil || s.Err() != nil {
		t.Fatal(err, s.Err())
	}
	if findings := doctor.Table(Findings(s)); !strings.Contains(findings, "warn  node ports     the lab takes 31200; whether Services of others have them is not known") || !strings.Contains(findings, "kubectl --context site get services --all-namespaces") {
		t.Error(findings)
	}
}

// All rights that are missing are listed, a line for each kind.
func TestRights(t *testing.T) {
	t.Parallel()
	c := client(func(a authorizationv1.ResourceAttributes) bool {
		return a.Verb != "*" && a.Resource != "nodes" && (a.Resource != "statefulsets" || a.Verb == "get") && a.Subresource != "log"
	})
	missing, err := Missing(t.Context(), c.Clientset, Rights(), []string{"ns"})
	want := []string{"nodes: get, list, watch", "pods/log in namespace ns: get", "statefulsets.apps in namespace ns: list, create, update, patch, delete, watch"}
	if err != nil || !slices.Equal(missing, want) {
		t.Errorf("%q, %v", missing, err)
	}
}

// A cluster that does not answer is said so, with its context.
func TestSilent(t *testing.T) {
	t.Parallel()
	text, err := Source{"site", file(t)}.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	c, err := kube.New([]byte(strings.Replace(string(text), "192.0.2.1:6443", "127.0.0.1:1", 1)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = look(t.Context(), c, "site", need)
	if fault.CodeOf(err) != fault.StepFailed || !strings.Contains(fault.Text(err), "the cluster of context site does not answer") || !strings.Contains(fault.Text(err), "kubectl --context site version") {
		t.Errorf("%v", err)
	}
}

// A cluster can be used when it answers, knows the user and lets them look.
func TestReach(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error // of the question for the namespace
		want string
	}{
		"there":       {nil, ""},
		"not there":   {apierrors.NewNotFound(corev1.Resource("namespaces"), "ns"), ""},
		"unknown":     {apierrors.NewUnauthorized("token expired"), "token expired"},
		"not allowed": {apierrors.NewForbidden(corev1.Resource("namespaces"), "ns", errors.New("no right")), "no right"},
	} {
		c := client(anything)
		c.Clientset.(*fake.Clientset).PrependReactor("get", "namespaces", func(k8stesting.Action) (bool, runtime.Object, error) { return true, namespace("ns", "t"), tc.err })
		err := reach(t.Context(), c, "site", "ns")
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := Source{"site", file(t)}.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	err = Reach(t.Context(), []byte(strings.Replace(string(text), "192.0.2.1:6443", "127.0.0.1:1", 1)), "site", "ns")
	if err == nil || !strings.Contains(err.Error(), "the cluster of context site does not answer") {
		t.Errorf("%v", err)
	}
}

// A lab through its life: claimed, looked at, scaled to zero, scaled back.
func TestLife(t *testing.T) {
	t.Parallel()
	api := client(anything, node("a", "192.0.2.7"))
	path := file(t)
	c := &Cluster{Lab: "t", Kubeconfig: filepath.Join(t.TempDir(), "own"), Namespaces: []string{"ns"}, open: func([]byte) (*kube.Client, error) { return api, nil }}
	want := Want("t", Source{"site", path}, []string{"ns"}, false, "")
	ctx := t.Context()
	see := func(state plan.State, kept bool, why, drift string) {
		t.Helper()
		o, err := c.Observe(ctx, plan.Look{Want: want})
		if err != nil || o.State != state || o.Kept != kept || o.Why != why || o.Drift != drift {
			t.Errorf("%+v, %v", o, err)
		}
	}
	if err := errors.Join(c.Stop(ctx), c.Remove(ctx)); err != nil {
		t.Errorf("before anything was made: %v", err)
	}
	see(plan.Absent, false, "the lab has no namespace there", "")
	for range 2 {
		out, err := c.Apply(ctx, plan.Order{Input: want.Input})
		if err != nil || out["address"] != "192.0.2.7" || out["name"] != "site" {
			t.Fatalf("%v, %v", out, err)
		}
	}
	if info, err := os.Stat(c.Kubeconfig); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	n := int32(3)
	labels := map[string]string{LabelLab: "t"}
	_, err := api.Clientset.AppsV1().StatefulSets("ns").Create(ctx, &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "kafka", Labels: labels}, Spec: appsv1.StatefulSetSpec{Replicas: &n}}, metav1.CreateOptions{})
	_, err2 := api.Clientset.AppsV1().Deployments("ns").Create(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}, metav1.CreateOptions{})
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	see(plan.Present, false, "1 of 1 workloads are to run", "")
	if a := c.Activity(); !a.Running {
		t.Errorf("%+v", a)
	}
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	set, err := api.Clientset.AppsV1().StatefulSets("ns").Get(ctx, "kafka", metav1.GetOptions{})
	if err != nil || *set.Spec.Replicas != 0 || set.Annotations[kube.Stopped] != "3" {
		t.Errorf("%+v, %v", set, err)
	}
	if theirs, err := api.Clientset.AppsV1().Deployments("ns").Get(ctx, "theirs", metav1.GetOptions{}); err != nil || theirs.Spec.Replicas != nil {
		t.Errorf("another's workload: %+v, %v", theirs, err)
	}
	see(plan.Absent, true, "its 1 workloads are scaled to zero", "")
	other := Want("other", Source{"site", path}, []string{"ns"}, true, "")
	if _, err := c.Apply(ctx, plan.Order{Input: other.Input}); err == nil || !strings.Contains(err.Error(), "is lab t's") {
		t.Errorf("another lab: %v", err)
	}
	if err := os.WriteFile(c.Kubeconfig, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	*set.Spec.Replicas = 3
	if _, err := api.Clientset.AppsV1().StatefulSets("ns").Update(ctx, set, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	see(plan.Present, false, "1 of 1 workloads are to run", "the context site leads elsewhere, or logs in otherwise, than when it was applied")
}

// A class that the cluster has is used, another one is made as its default.
func TestClasses(t *testing.T) {
	t.Parallel()
	api := client(anything, storageClass("slow", true), storageClass("local-path", false))
	c := &Classes{Open: func() (*kube.Client, error) { return api, nil }}
	for class, made := range map[string]bool{"": false, "local-path": false, "wekafs": true} {
		in := WantClasses("t", class, "", "Retain").Input
		if _, err := c.Apply(t.Context(), plan.Order{Input: in}); err != nil {
			t.Fatal(err)
		}
		o, err := c.Observe(t.Context(), plan.Look{Last: in})
		if err != nil || o.State != plan.Present || o.Drift != "" {
			t.Errorf("%s: %+v, %v", class, o, err)
		}
		if !made {
			continue
		}
		got, err := api.Clientset.StorageV1().StorageClasses().Get(t.Context(), class, metav1.GetOptions{})
		if err != nil || got.Provisioner != "csi.example" || reclaim(got) != corev1.PersistentVolumeReclaimRetain || got.Labels[LabelLab] != "t" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if o, err := c.Observe(t.Context(), plan.Look{Last: WantClasses("t", "gone", "", "").Input}); err != nil || o.Drift != "the class gone is missing" {
		t.Errorf("%+v, %v", o, err)
	}
}

// The brokers' volumes are retained, and nobody else's.
func TestVolumes(t *testing.T) {
	t.Parallel()
	claim := func(name, cluster string) runtime.Object {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", Labels: map[string]string{LabelLab: "t", "strimzi.io/cluster": cluster}},
			Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv-" + name}}
	}
	volume := func(name string) runtime.Object {
		return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("15Gi")},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data/" + name}}}}
	}
	api := client(anything, claim("a", "alert-broker"), volume("a"), claim("b", "other"), volume("b"))
	v := &Volumes{Open: func() (*kube.Client, error) { return api, nil }}
	in := WantVolumes("t", "ns", "alert-broker", "Retain").Input
	if o, err := v.Observe(t.Context(), plan.Look{Last: in}); err != nil || o.Drift != "the volumes of a are not retained" {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := v.Apply(t.Context(), plan.Order{Input: in}); err != nil {
		t.Fatal(err)
	}
	if o, err := v.Observe(t.Context(), plan.Look{Last: in}); err != nil || o.Drift != "" {
		t.Errorf("%+v, %v", o, err)
	}
	kept, err := Retained(t.Context(), api, "t", []string{"ns"})
	if err != nil || len(kept) != 1 || kept[0].String() != "volume pv-a of a, 15Gi, /data/a of its node" {
		t.Errorf("%v, %v", kept, err)
	}
	if left, err := going(t.Context(), api, "t", []string{"ns"}); err != nil || len(left) != 1 || left[0].Name != "pv-b" {
		t.Errorf("%v, %v", left, err)
	}
	if _, err := v.Apply(t.Context(), plan.Order{Input: WantVolumes("t", "ns", "none", "Retain").Input}); err == nil {
		t.Error("no volume at all is retained")
	}
}

// What a registry or a node lacks is named, all of it.
func TestImages(t *testing.T) {
	t.Parallel()
	p := &Images{head: func(_ context.Context, image string) error {
		if strings.HasPrefix(image, "r/none") {
			return &transport.Error{StatusCode: 404}
		}
		return errors.New("this machine may not ask")
	}}
	_, err := p.Apply(t.Context(), plan.Order{Input: WantImages([]string{"r/a:1", "r/none:1", "r/none:2"}, false).Input})
	if err == nil || !strings.Contains(err.Error(), "it has no r/none:1, r/none:2") {
		t.Errorf("%v", err)
	}
	with := func(names ...string) func(*corev1.Node) {
		return func(n *corev1.Node) {
			for _, name := range names {
				n.Status.Images = append(n.Status.Images, corev1.ContainerImage{Names: []string{name}})
			}
		}
	}
	full := make([]string, most)
	lacks, err := lacking([]corev1.Node{*node("a", "1", with("docker.io/apache/kafka:4.3.1")), *node("b", "2", with("docker.io/library/x:1")), *node("c", "3", with(full...))}, []string{"apache/kafka:4.3.1", "x:1"})
	if err != nil || !slices.Equal(lacks, []string{"a lacks x:1", "b lacks apache/kafka:4.3.1"}) {
		t.Errorf("%q, %v", lacks, err)
	}
}
