package e2e

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/hack/rig/cluster"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/internal/ownimage"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/provider/kind"
)

// killedAt is the step after which the runner is killed. Its seed is in the log.
func (l *lab) killedAt() string {
	steps := []string{"images", "credentials", "object-store", "kafka", "kafka-topics", "schema-registry"}
	seed := uint64(time.Now().UnixNano())
	step := steps[rand.New(rand.NewPCG(seed, 0)).IntN(len(steps))]
	l.Logf("seed %d: the runner is killed after %s", seed, step)
	return step
}

// killBroker kills the lab's broker as a crash would.
func (l *lab) killBroker(k *kube.Client) {
	l.Helper()
	now := int64(0)
	err := k.Clientset.CoreV1().Pods("alert-stream-broker").Delete(l.ctx, "alert-broker-kafka-0", metav1.DeleteOptions{GracePeriodSeconds: &now})
	if err != nil && !apierrors.IsNotFound(err) {
		l.Fatal(err)
	}
}

// ends takes the lab down for good, and looks whether anything stayed.
func (l *lab) ends(state string) string {
	l.Helper()
	gone := l.timed("down --purge --verify", "down", "--purge", "--verify")
	if !strings.Contains(gone, "nothing of lab ") || !strings.Contains(gone, " is left") {
		l.Errorf("after the purge:\n%s", gone)
	}
	if left, err := os.ReadDir(state); !errors.Is(err, fs.ErrNotExist) {
		l.Errorf("the state directory is still there: %v, %v", left, err)
	}
	return gone
}

// TestKindLab is a lab of the profile ci on kind through its life: its runner killed at a
// seeded step of up, its broker killed, stopped and started, deleted without a trace.
func TestKindLab(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	engine, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	withoutNetwork(ctx, t, engine, kind.NetworkName)
	l, state := newLab(t, ctx, "e2e", "ALERTLAB_PROFILE=ci", "ALERTLAB_PROVIDER=kind", "ALERTLAB_BUNDLE="+need(t, "ALERTLAB_RIG_BUNDLE"), "ALERTLAB_NODE_IMAGE="+need(t, "ALERTLAB_RIG_NODE_IMAGE"))
	if code := l.cutShort(l.killedAt(), func(*os.Process) { l.killRunner() }); code != 1 {
		t.Errorf("up whose runner was killed ended with %d", code)
	}
	l.timed("up after the runner was killed", "up", "--progress", "plain")
	l.smoke("smoke")
	if again := l.timed("up with nothing to do", "up", "--progress", "plain"); !strings.Contains(again, "nothing to do") {
		t.Errorf("the second up did something:\n%s", again)
	}
	k := l.client()
	l.validate(k, plain)
	l.byOwnCertificate(k)
	l.killBroker(k)
	l.timed("up after a killed broker", "up")
	// The visit that was due meanwhile was late, as it should be.
	l.timed("smoke after a killed broker", "smoke", "--skip", "visit-cadence")
	l.timed("down", "down")
	if plan := l.run(0, "plan"); !strings.Contains(plan, "start  cluster (kind)") {
		t.Errorf("plan of a stopped lab:\n%s", plan)
	}
	l.timed("up after down", "up")
	l.smoke("smoke after down and up")
	l.ends(state)
}

// client is the cluster by the lab's own kubeconfig.
func (l *lab) client() *kube.Client {
	l.Helper()
	kubeconfig, err := os.ReadFile(strings.TrimSpace(l.run(0, "kubeconfig", "--path")))
	l.must(err)
	k, err := kube.New(kubeconfig)
	l.must(err)
	return k
}

// TestExistingLab is a lab of the profile ci on a plain cluster of one node, which has
// its images: refused where somebody else's namespace is, brought up though its runner is
// killed, scaled to zero and back, deleted; what others made stays. Then encrypted ones with
// addresses of MetalLB, which bring what the cluster has not, and use what it has.
func TestExistingLab(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	docker, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer docker.Close()
	const name = "e2e-existing"
	made := plainCluster(t, ctx, docker, name)
	l, state := newLab(t, ctx, "e2e", "ALERTLAB_PROFILE=ci", "ALERTLAB_PROVIDER=existing", "KUBECONFIG="+made.KubeconfigFile, "ALERTLAB_CONTEXT=rig-"+name)
	l.loadImages(made)
	k, err := kube.New(made.Kubeconfig)
	l.must(err)

	// Somebody's namespace is not touched, unless it is to be adopted.
	theirs, err := k.Clientset.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "alert-stream-broker"}}, metav1.CreateOptions{})
	l.must(err)
	if out := l.run(2, "up", "--images-loaded"); !strings.Contains(out, "no lab made it") {
		t.Errorf("up in somebody's namespace:\n%s", out)
	}
	l.must(k.Clientset.CoreV1().Namespaces().Delete(ctx, theirs.Name, metav1.DeleteOptions{}))
	l.must(k.WaitGone(ctx, kube.Ref{Kind: corev1.SchemeGroupVersion.WithKind("Namespace"), Name: theirs.Name}))

	l.run(0, "doctor", "--images-loaded")
	if code := l.cutShortWith(l.killedAt(), func(*os.Process) { l.killRunner() }, "--images-loaded"); code != 1 {
		t.Errorf("up whose runner was killed ended with %d", code)
	}
	l.timed("up after the runner was killed", "up", "--progress", "plain")
	l.smoke("smoke")
	if again := l.timed("up with nothing to do", "up", "--progress", "plain"); !strings.Contains(again, "nothing to do") {
		t.Errorf("the second up did something:\n%s", again)
	}
	l.validate(k, plain)
	l.killBroker(k)
	l.timed("up after a killed broker", "up")
	l.timed("down", "down")
	if plan := l.run(0, "plan"); !strings.Contains(plan, "its 7 workloads are scaled to zero") {
		t.Errorf("plan of a stopped lab:\n%s", plan)
	}
	l.timed("up after down", "up")
	l.smoke("smoke after down and up")
	l.ends(state)
	if _, err := k.Clientset.CoreV1().Namespaces().Get(ctx, "alert-stream-broker", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the lab's namespace after its purge: %v", err)
	}
	l.besideOthers(rigClusters(t, docker), made, k, state)
}

// rigClusters are the rig's.
func rigClusters(t *testing.T, docker *client.Client) *cluster.Clusters {
	t.Helper()
	clusters, err := cluster.Open(cluster.Options{Docker: docker, State: filepath.Join(need(t, "ALERTLAB_RIG_CACHE"), "clusters"),
		ToolsImage: os.Getenv("ALERTLAB_RIG_TOOLS_IMAGE"), ProxyImage: os.Getenv("ALERTLAB_RIG_PROXY_IMAGE")})
	if err != nil {
		t.Fatal(err)
	}
	return clusters
}

// plainCluster makes a cluster of one node that neither k3d nor kind made, until the test
// ends.
func plainCluster(t *testing.T, ctx context.Context, docker *client.Client, name string) *cluster.Cluster {
	t.Helper()
	clusters := rigClusters(t, docker)
	made, err := clusters.Create(ctx, cluster.Config{Name: name, Maker: cluster.Plain, Servers: 1, Image: need(t, "ALERTLAB_RIG_NODE_IMAGE"),
		Report: func(p cluster.Progress) { t.Logf("%6.1fs %s", p.Elapsed.Seconds(), p.Text) }})
	if err != nil {
		t.Fatal(fault.Text(err))
	}
	t.Cleanup(func() {
		if err := clusters.Delete(context.WithoutCancel(ctx), name, nil); err != nil {
			t.Error(fault.Text(err))
		}
	})
	return made
}

// loadImages brings what a lab runs into the nodes, as their owner would.
func (l *lab) loadImages(c *cluster.Cluster) {
	l.Helper()
	b, err := bundle.Open(need(l.T, "ALERTLAB_RIG_BUNDLE"))
	l.must(err)
	defer b.Close()
	l.loadImagesOf(c, b, func(reference string) bool {
		return reference == "docker.io/apache/kafka:4.3.1" || strings.Contains(reference, "/metallb/") || strings.Contains(reference, "/cert-manager-") || strings.Contains(reference, "/traefik:")
	})
}

// loadImagesOf brings those of a bundle's images that are wanted into the nodes, and our own.
func (l *lab) loadImagesOf(c *cluster.Cluster, b *bundle.Bundle, wanted func(reference string) bool) {
	l.Helper()
	var nodes []bundle.Node
	for _, n := range c.Nodes {
		nodes = append(nodes, c.Node(n.Name()))
	}
	var images []string
	for _, image := range b.Images() {
		if wanted(image.Reference) {
			images = append(images, image.Reference)
		}
	}
	_, err := b.Import(l.ctx, nodes, bundle.ImportOptions{Images: images, Concurrency: 1})
	l.must(err)
	reference, err := ownimage.Reference(l.binary)
	l.must(err)
	img, err := ownimage.Build(l.binary)
	l.must(err)
	file, err := os.Create(filepath.Join(l.TempDir(), "own.tar"))
	l.must(err)
	defer file.Close()
	l.must(ownimage.Write(l.ctx, file, reference, img))
	for _, n := range nodes {
		_, err := file.Seek(0, 0)
		l.must(err)
		l.must(n.Load(l.ctx, file))
	}
}
