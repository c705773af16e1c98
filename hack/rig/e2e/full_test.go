package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"helm.sh/helm/v3/pkg/chart"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/confluentregistry"
	"github.com/alertlab/alertlab/component/kafkatopics"
	"github.com/alertlab/alertlab/component/strimzi"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/hack/rig/cluster"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// TestFullStackObjects asks the API server about every object that our charts make of the
// full stack for every shipped profile, with Strimzi's definitions as they are generated
// from its published types: a field that is not known, or one that stands there twice, is
// an error. The definitions and one profile's topics are brought as a lab brings them.
func TestFullStackObjects(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	image, cache := need(t, "ALERTLAB_RIG_NODE_IMAGE"), need(t, "ALERTLAB_RIG_CACHE")
	definitions, err := filepath.Glob(filepath.Join(cache, "parts", "strimzi-crds", "*", "files", "crds", "*.yaml"))
	if err != nil || len(definitions) == 0 {
		t.Fatalf("the rig has no definitions of Strimzi's resources: %v", err)
	}
	docker, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer docker.Close()
	clusters, err := cluster.Open(cluster.Options{Docker: docker, State: filepath.Join(cache, "clusters"),
		ToolsImage: os.Getenv("ALERTLAB_RIG_TOOLS_IMAGE"), ProxyImage: os.Getenv("ALERTLAB_RIG_PROXY_IMAGE")})
	if err != nil {
		t.Fatal(err)
	}
	const name = "e2e-full"
	made, err := clusters.Create(ctx, cluster.Config{Name: name, Maker: cluster.K3d, Servers: 1, Image: image,
		Report: func(p cluster.Progress) { t.Logf("%6.1fs %s", p.Elapsed.Seconds(), p.Text) }})
	if err != nil {
		t.Fatal(fault.Text(err))
	}
	t.Cleanup(func() {
		if err := clusters.Delete(context.WithoutCancel(ctx), name, nil); err != nil {
			t.Error(fault.Text(err))
		}
	})
	k, err := kube.New(made.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := testdata.ReadFile("testdata/strimzischemaregistries.yaml")
	if err != nil {
		t.Fatal(err)
	}
	of := map[string][]byte{}
	for _, file := range definitions {
		if of[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	p, err := profiles.Load("ci")
	if err != nil {
		t.Fatal(err)
	}
	lab := component.Lab{Name: "e2e", Operators: true}
	r := releases{t, ctx, k}
	r.brought(strimzi.WantDefinitions(p, lab), strimzi.Definitions(), of)
	r.brought(confluentregistry.WantDefinitions(p, lab), confluentregistry.Definitions(), map[string][]byte{"registries.yaml": registry})

	files, err := filepath.Glob(filepath.Join("..", "..", "..", "lab", "catalog", "testdata", "full", "*.yaml"))
	if err != nil || len(files) < 60 {
		t.Fatalf("there are %d renders, %v", len(files), err)
	}
	objects, renders := 0, 0
	for _, file := range files {
		// What a lab on the rig brings to a cluster for real is not asked for here.
		if strings.HasSuffix(file, "-address-pool.yaml") || strings.HasSuffix(file, "-certificates.yaml") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("namespace: alert-stream-broker"), []byte("namespace: default"))
		if strings.HasSuffix(file, "-ingresses.yaml") {
			text = withoutCertificates(text) // TestStack has them issued
		}
		list, err := kube.Decode(text)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(file), err)
		}
		objects, renders = objects+len(list), renders+1
		for _, err := range k.Validate(ctx, "default", text) {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
	t.Logf("%d objects of %d renders are taken", objects, renders)

	// The validation is one: what is misspelt is refused.
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "lab", "catalog", "testdata", "full", "usdfdev-kafka.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("namespace: alert-stream-broker"), []byte("namespace: default"))
	text = bytes.ReplaceAll(text, []byte("superUsers:"), []byte("superusers:"))
	refused := k.Validate(ctx, "default", text)
	if len(refused) != 1 || !strings.Contains(refused[0].Error(), "superusers") {
		t.Errorf("a misspelt field: %v", refused)
	}
	r.answered(kafkatopics.Want(p, lab), kafkatopics.Watched())
}

// withoutCertificates takes the documents out that only cert-manager's definitions know.
func withoutCertificates(text []byte) []byte {
	const end = "\n---\n"
	documents := strings.Split(string(text), end)
	documents = slices.DeleteFunc(documents, func(d string) bool { return strings.Contains(d, "\nkind: Certificate\n") })
	return []byte(strings.Join(documents, end))
}

// releases brings releases to a cluster that has no operators.
type releases struct {
	*testing.T
	ctx context.Context
	k   *kube.Client
}

func (r releases) part(watched map[string]component.Objects, fetch helm.Fetch) *helm.Part {
	p := &helm.Part{Fetch: fetch}
	p.Open = func() (helm.Target, error) { return helm.Cluster{Client: r.k}, nil }
	p.Watched = watched
	return p
}

// brought brings the definitions of a chart of others as a release of their own, and waits
// until the cluster serves them; then there is nothing to do about it.
func (r releases) brought(want plan.Want, watched map[string]component.Objects, crds map[string][]byte) {
	r.Helper()
	part := r.part(watched, func(_ context.Context, _, name, version string) (*chart.Chart, error) {
		c := &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: name, Version: version}}
		for file, text := range crds {
			c.Files = append(c.Files, &chart.File{Name: "crds/" + file, Data: text})
		}
		return c, nil
	})
	r.apply(part, want)
	if err := part.Wait(r.ctx, want.Gates[0], plan.Order{Input: want.Input}, func(string) {}); err != nil {
		r.Fatal(err)
	}
	if o, err := part.Observe(r.ctx, plan.Look{Want: want, Last: want.Input}); err != nil || o.State != plan.Present || o.Drift != "" {
		r.Errorf("%s: %+v, %v", want.Title, o, err)
	}
}

func (r releases) apply(part *helm.Part, want plan.Want) {
	r.Helper()
	if _, err := part.Apply(r.ctx, plan.Order{Action: plan.Create, Input: want.Input}); err != nil {
		r.Fatal(err)
	}
}

// answered brings custom resources, which are not as they should be until an operator
// says so; the test is the operator.
func (r releases) answered(want plan.Want, watched map[string]component.Objects) {
	r.Helper()
	part := r.part(watched, nil)
	r.apply(part, want)
	look := plan.Look{Want: want, Last: want.Input}
	if o, err := part.Observe(r.ctx, look); err != nil || !strings.Contains(o.Drift, "no condition Ready") {
		r.Errorf("before any operator spoke: %+v, %v", o, err)
	}
	release, err := component.Read(want.Input)
	if err != nil {
		r.Fatal(err)
	}
	topics := schema.GroupVersionResource{Group: "kafka.strimzi.io", Version: "v1", Resource: "kafkatopics"}
	for _, object := range watched[component.GateConditions](release) {
		said := []byte(`{"status":{"observedGeneration":1,"conditions":[{"type":"Ready","status":"True"}]}}`)
		if _, err := r.k.Dynamic.Resource(topics).Namespace(object.Ref.Namespace).Patch(r.ctx, object.Ref.Name, types.MergePatchType, said, metav1.PatchOptions{}, "status"); err != nil {
			r.Fatal(err)
		}
	}
	if err := part.Wait(r.ctx, want.Gates[0], plan.Order{Input: want.Input}, func(string) {}); err != nil {
		r.Error(err)
	}
	if o, err := part.Observe(r.ctx, look); err != nil || o.Drift != "" {
		r.Errorf("after it spoke: %+v, %v", o, err)
	}
}
