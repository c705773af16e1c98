package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	k3dclient "github.com/k3d-io/k3d/v5/pkg/client"
	"github.com/k3d-io/k3d/v5/pkg/runtimes"
	k3ddocker "github.com/k3d-io/k3d/v5/pkg/runtimes/docker"
	k3dtypes "github.com/k3d-io/k3d/v5/pkg/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kind "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/internal/node"
	"github.com/alertlab/alertlab/lab/fault"
)

// rig opens the engine of DOCKER_HOST for a test that makes real clusters.
func rig(t *testing.T) *Clusters {
	t.Helper()
	if os.Getenv("ALERTLAB_RIG_CLUSTER") != "1" {
		t.Skip("makes real clusters: set ALERTLAB_RIG_CLUSTER=1 and DOCKER_HOST; `make e2e` does")
	}
	docker, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { docker.Close() })
	c, err := Open(Options{Docker: docker, State: t.TempDir(),
		ToolsImage: os.Getenv("ALERTLAB_RIG_TOOLS_IMAGE"), ProxyImage: os.Getenv("ALERTLAB_RIG_PROXY_IMAGE")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func nodeImage() string {
	if image := os.Getenv("ALERTLAB_RIG_NODE_IMAGE"); image != "" {
		return image
	}
	return nodeRepository + ":v1.35.4"
}

// things are what the engine has, without what other tests beside this one make
// and remove meanwhile: those are seen by their names.
func things(t *testing.T, c *Clusters) []string {
	t.Helper()
	ctx := context.Background()
	var all []string
	list, err := c.docker.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if strings.Contains(s.Names[0], TestPrefix) {
			all = append(all, "container "+s.Names[0])
		}
	}
	nets, err := c.docker.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nets {
		if strings.Contains(n.Name, TestPrefix) || n.Name == kindNetwork {
			all = append(all, "network "+n.Name)
		}
	}
	vols, err := c.docker.VolumeList(ctx, volume.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vols.Volumes {
		if strings.Contains(v.Name, TestPrefix) {
			all = append(all, "volume "+v.Name)
		}
	}
	// Where the engine listens elsewhere, k3d would have a folder made of it.
	if _, err := os.Lstat(k3ddocker.DefaultDockerSock); err == nil {
		all = append(all, k3ddocker.DefaultDockerSock)
	}
	slices.Sort(all)
	return all
}

func TestClusterOfEveryMaker(t *testing.T) {
	for _, m := range makers {
		t.Run(string(m), func(t *testing.T) { wholeLife(t, rig(t), m) })
	}
}

// wholeLife makes a cluster with a node pool, looks at it from the host, imports
// an image into one node, and by the maker's own way into all, stops and starts that node, and deletes everything.
func wholeLife(t *testing.T, c *Clusters, m Maker) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	before := things(t, c)
	cfg := Config{
		Name: TestPrefix + string(m), Maker: m, Servers: 1, Image: nodeImage(),
		Pools: []NodePool{
			{Agents: 1, Labels: map[string]string{"infrastructure": "ok"}},
			{Agents: 1, Labels: map[string]string{"kafka": "ok", "pool": "kafka"}, Taints: []string{"kafka=ok:NoSchedule"}},
		},
		Report: func(p Progress) { t.Logf("%6.1fs %s", p.Elapsed.Seconds(), p.Text) },
	}
	began := time.Now()
	cl, err := c.Create(ctx, cfg)
	if err != nil {
		t.Fatal(fault.Text(err))
	}
	t.Logf("created in %.1f s", time.Since(began).Seconds())
	deleted := false
	defer func() {
		if !deleted {
			if err := c.Delete(context.Background(), cfg.Name, nil); err != nil {
				t.Error(fault.Text(err))
			}
		}
	}()

	if info, err := os.Stat(cl.KubeconfigFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig file: %v %v", info.Mode(), err)
	}
	k, err := kube.New(cl.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	list, err := k.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 3 || len(cl.Nodes) != 3 {
		t.Fatalf("%d nodes in Kubernetes, %d in the engine, want 3", len(list.Items), len(cl.Nodes))
	}
	for _, n := range list.Items {
		if cl.Node(n.Name) == nil {
			t.Errorf("node %s has no container of its name", n.Name)
		}
	}
	last := cl.Nodes[2]
	node, err := k.Clientset.CoreV1().Nodes().Get(ctx, last.Name(), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if node.Labels["kafka"] != "ok" || node.Labels["pool"] != "kafka" {
		t.Errorf("labels of %s: %v", node.Name, node.Labels)
	}
	if want := (corev1.Taint{Key: "kafka", Value: "ok", Effect: corev1.TaintEffectNoSchedule}); !slices.Contains(node.Spec.Taints, want) {
		t.Errorf("taints of %s: %v, want %v", node.Name, node.Spec.Taints, want)
	}

	importOne(ctx, t, c, last)
	importByMaker(ctx, t, c, cl)
	useIt(ctx, t, k)

	r, err := c.LoadBalancerRange(ctx, cfg.Name, 16)
	if err != nil {
		t.Fatal(fault.Text(err))
	}
	t.Logf("addresses for load balancers in network %s: %s", cl.Network, r)

	began = time.Now()
	if err := last.Stop(ctx); err != nil {
		t.Fatal(fault.Text(err))
	}
	t.Logf("node stopped in %.1f s", time.Since(began).Seconds())
	began = time.Now()
	if err := last.Start(ctx); err != nil {
		t.Error(fault.Text(err))
	}
	t.Logf("node started and Ready in %.1f s", time.Since(began).Seconds())

	if _, err := c.Create(ctx, cfg); fault.CodeOf(err) != fault.BadInput {
		t.Errorf("a second cluster of the same name: %v", err)
	}

	began = time.Now()
	deleted = true
	if err := c.Delete(ctx, cfg.Name, cfg.Report); err != nil {
		t.Fatal(fault.Text(err))
	}
	t.Logf("deleted in %.1f s", time.Since(began).Seconds())
	if after := things(t, c); !slices.Equal(before, after) {
		t.Errorf("left behind:\nbefore %q\nafter  %q", before, after)
	}
	if _, err := os.Stat(cl.KubeconfigFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the kubeconfig is still there: %v", err)
	}
	if err := c.Delete(ctx, cfg.Name, nil); fault.CodeOf(err) != fault.NoLab {
		t.Errorf("deleting it again: %v", err)
	}
}

// useIt goes through package kube: manifests, a kind that is defined beside its
// first object, a chart, and pods that come and that never will.
func useIt(ctx context.Context, t *testing.T, k *kube.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	const image = "registry.k8s.io/pause:3.10.1"
	manifest := []byte(`
apiVersion: rig.alertlab.dev/v1
kind: Probe
metadata: {name: one}
spec: {a: b}
---
apiVersion: v1
kind: Pod
metadata: {name: comes, namespace: probe, labels: {app: comes}}
spec:
  tolerations: [{operator: Exists}]
  containers: [{name: c, image: ` + image + `, imagePullPolicy: Never}]
---
apiVersion: v1
kind: Pod
metadata: {name: never, namespace: probe, labels: {app: never}}
spec:
  containers: [{name: c, image: "rig.local/nowhere:1", imagePullPolicy: Never}]
---
apiVersion: v1
kind: Namespace
metadata: {name: probe}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: probes.rig.alertlab.dev}
spec:
  group: rig.alertlab.dev
  names: {kind: Probe, listKind: ProbeList, plural: probes, singular: probe}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`)
	began := time.Now()
	if err := k.Apply(ctx, "probe", manifest); err != nil {
		t.Error(err)
		return
	}
	if err := k.WaitPods(ctx, "probe", "app=comes", 1); err != nil {
		t.Error(err)
	}
	t.Logf("applied, and its pod is ready, in %.1f s", time.Since(began).Seconds())
	var w *kube.WaitError
	if err := k.WaitPods(ctx, "probe", "app=never", 1); !errors.As(err, &w) || w.Cause != nil || !strings.Contains(err.Error(), "image rig.local/nowhere:1 cannot be pulled") {
		t.Errorf("a pod without its image: %v", err)
	} else {
		t.Logf("a pod without its image, after %.1f s: %v", time.Since(began).Seconds(), err)
	}
	content, err := helm.LoadChart(fstest.MapFS{
		"Chart.yaml":          {Data: []byte("apiVersion: v2\nname: minimal\nversion: 0.1.0\n")},
		"values.yaml":         {Data: []byte("text: first\n")},
		"templates/map.yaml":  {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: charted}\ndata: {text: {{ .Values.text }}}\n")},
		"templates/NOTES.txt": {Data: []byte("hello")},
	})
	if err != nil {
		t.Fatal(err)
	}
	chart := helm.Release{Name: "minimal", Namespace: "charted", Values: map[string]any{"text": "second"}, Chart: content}
	for range 2 { // the second time it is an upgrade
		if err := helm.Install(ctx, k, chart); err != nil {
			t.Error(err)
		}
	}
	ref := kube.Ref{Kind: corev1.SchemeGroupVersion.WithKind("ConfigMap"), Namespace: "charted", Name: "charted"}
	if err := k.Wait(ctx, ref, kube.HasField("second", "data", "text")); err != nil {
		t.Error(err)
	}
	if err := helm.Uninstall(k, chart); err != nil {
		t.Error(err)
	}
	if err := k.WaitGone(ctx, ref); err != nil {
		t.Error(err)
	}
	if _, err := k.Logs(ctx, "probe", "app=comes", 5); err != nil {
		t.Error(err)
	}
	if err := k.Delete(ctx, "probe", manifest); err != nil {
		t.Error(err)
	}
}

// importOne brings an image of the engine into a node, and a broken one, and one
// whose reading fails.
func importOne(ctx context.Context, t *testing.T, c *Clusters, n *Node) {
	t.Helper()
	const image = "registry.k8s.io/pause:3.10.1"
	had, err := n.Images(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if had[image] == "" {
		t.Errorf("node %s has no %s: %v", n.Name(), image, had)
	}
	if _, err := n.Exec(ctx, nil, "ctr", "-n", "k8s.io", "images", "tag", image, "rig.local/probe:1"); err != nil {
		t.Fatal(err)
	}
	archive, err := n.Exec(ctx, nil, "ctr", "-n", "k8s.io", "images", "export", "-", "rig.local/probe:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Exec(ctx, nil, "ctr", "-n", "k8s.io", "images", "rm", "rig.local/probe:1"); err != nil {
		t.Fatal(err)
	}
	if err := n.Load(ctx, bytes.NewReader(archive)); err != nil {
		t.Fatal(err)
	}
	has, err := n.Images(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if has["rig.local/probe:1"] == "" {
		t.Errorf("imported, but not there: %v", has)
	}
	var failed *node.ExecError
	if err := n.Load(ctx, strings.NewReader("no archive at all")); !errors.As(err, &failed) {
		t.Errorf("a broken archive: %v, want an ExecError", err)
	}
	broken := errors.New("a flipped bit")
	if err := n.Load(ctx, io.MultiReader(bytes.NewReader(archive[:len(archive)/2]), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v, want its own error", err)
	}
	if err := n.Load(ctx, endless{}); err == nil {
		t.Error("an archive without an end was imported")
	}
}

// importByMaker brings images into every node by k3d's own way and by kind's.
func importByMaker(ctx context.Context, t *testing.T, c *Clusters, cl *Cluster) {
	t.Helper()
	began := time.Now()
	var want []string
	switch cl.Maker {
	case K3d:
		defer listenToK3d(func(format string, a ...any) { t.Logf(format, a...) })()
		k, err := k3dclient.ClusterGet(ctx, runtimes.Docker, &k3dtypes.Cluster{Name: cl.Name})
		if err != nil {
			t.Fatal(err)
		}
		// One out of an archive and one of the engine, by the tools node; and one that
		// is fed to the nodes directly.
		tools, _ := c.helpers(nodeImage())
		want = []string{"rig.local/through-k3d:1", tools, "rig.local/through-k3d:2"}
		if err := k3dclient.ImageImportIntoClusterMulti(ctx, runtimes.Docker, []string{archive(t, want[0]), tools}, k, k3dtypes.ImageImportOpts{Mode: k3dtypes.ImportModeToolsNode}); err != nil {
			t.Error(err)
		}
		if err := k3dclient.ImageImportIntoClusterMulti(ctx, runtimes.Docker, []string{archive(t, want[2])}, k, k3dtypes.ImageImportOpts{Mode: k3dtypes.ImportModeDirect}); err != nil {
			t.Error(err)
		}
	case Kind:
		want = []string{"rig.local/through-kind:1"}
		file := archive(t, want[0])
		nodes, err := kind.NewProvider(kind.ProviderWithDocker()).ListInternalNodes(cl.Name)
		if err != nil {
			t.Fatal(err)
		}
		if len(nodes) != len(cl.Nodes) {
			t.Errorf("kind knows of the nodes %v", nodes)
		}
		for _, n := range nodes {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := nodeutils.LoadImageArchive(n, f); err != nil {
				t.Errorf("node %s: %v", n, err)
			}
			f.Close()
		}
	default:
		return // a plain cluster has no way but Node.Load
	}
	t.Logf("%d images by the way of %s in %.1f s", len(want), cl.Maker, time.Since(began).Seconds())
	for _, n := range cl.Nodes {
		has, err := n.Images(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range want {
			if has[image] == "" {
				t.Errorf("node %s has no %s after %s brought it: %v", n.Name(), image, cl.Maker, slices.Sorted(maps.Keys(has)))
			}
		}
	}
}

// archive writes a container archive with an image that holds one file.
func archive(t *testing.T, tag string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: "tag.txt", Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(tag))})
	if err == nil {
		_, err = w.Write([]byte(tag))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		t.Fatal(err)
	}
	if image, err = mutate.AppendLayers(image, layer); err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.WriteToFile(file, ref, image); err != nil {
		t.Fatal(err)
	}
	return file
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// endless is an input that is never at its end: the node gives up first.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// deleteAfter cleans up behind a test that went wrong; the test itself says so.
func deleteAfter(c *Clusters, name string) {
	_ = c.Delete(context.Background(), name, nil)
}

// A Create that is interrupted, and one whose node ends, leave nothing behind and
// say why.
func TestInterruptedCreateLeavesNothing(t *testing.T) {
	for _, m := range makers {
		t.Run(string(m), func(t *testing.T) {
			c := rig(t)
			defer deleteAfter(c, TestPrefix+"cut-"+string(m))
			before := things(t, c)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			seen := time.AfterFunc(9*time.Second, cancel) // in the middle, whatever the maker does there
			defer seen.Stop()
			_, err := c.Create(ctx, Config{Name: TestPrefix + "cut-" + string(m), Maker: m, Servers: 1, Pools: []NodePool{{Agents: 1}}, Image: nodeImage(),
				Report: func(p Progress) { t.Logf("%6.1fs %s", p.Elapsed.Seconds(), p.Text) }})
			if fault.CodeOf(err) != fault.Interrupted {
				t.Errorf("%v, want an interruption", err)
			}
			if after := things(t, c); !slices.Equal(before, after) {
				t.Errorf("left behind:\nbefore %q\nafter  %q", before, after)
			}
		})
	}
}

func TestDeadNodeEndsCreate(t *testing.T) {
	for m, moment := range map[Maker]string{K3d: "Starting helpers", Plain: "waiting for 2 nodes"} {
		t.Run(string(m), func(t *testing.T) {
			c := rig(t)
			defer deleteAfter(c, TestPrefix+"dead-"+string(m))
			before := things(t, c)
			began := time.Now()
			_, err := c.Create(context.Background(), Config{Name: TestPrefix + "dead-" + string(m), Maker: m, Servers: 1, Pools: []NodePool{{Agents: 1}}, Image: nodeImage(),
				Report: func(p Progress) {
					t.Logf("%6.1fs %s", p.Elapsed.Seconds(), p.Text)
					if strings.Contains(p.Text, moment) {
						go func() {
							_ = c.docker.ContainerKill(context.Background(), prefix(m)+"-cl-dead-"+string(m)+"-agent-0", "KILL")
						}()
					}
				}})
			if err == nil || !strings.Contains(err.Error(), "agent-0 ended with exit code 137") {
				t.Errorf("%v, want the node's exit", err)
			}
			if took := time.Since(began); took > 2*time.Minute {
				t.Errorf("it took %s to say so", took)
			}
			if after := things(t, c); !slices.Equal(before, after) {
				t.Errorf("left behind:\nbefore %q\nafter  %q", before, after)
			}
		})
	}
}
