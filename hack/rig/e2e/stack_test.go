package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/docker/docker/client"
	"helm.sh/helm/v3/pkg/chart/loader"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/hack/rig/cluster"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
)

//go:embed testdata
var testdata embed.FS

// stack is one cluster with what the tests need to fill it.
type stack struct {
	*testing.T
	ctx      context.Context
	clusters *cluster.Clusters
	cluster  *cluster.Cluster
	kube     *kube.Client
	bundle   *bundle.Bundle
	pool     cluster.Range
}

// need reads what `rig e2e` gives.
func need(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Skipf("%s is not set: this test makes real clusters, and runs by `make e2e`", name)
	}
	return value
}

// TestStack is the stack's components together on one k3d cluster. Its parts use what
// those before them made, so that they run in order, and the first failure ends it.
func TestStack(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Minute)
	defer cancel()
	file, image := need(t, "ALERTLAB_RIG_BUNDLE"), need(t, "ALERTLAB_RIG_NODE_IMAGE")
	b, err := bundle.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	docker, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer docker.Close()
	clusters, err := cluster.Open(cluster.Options{Docker: docker,
		// Where `rig down` finds what a killed test leaves.
		State:      filepath.Join(need(t, "ALERTLAB_RIG_CACHE"), "clusters"),
		ToolsImage: os.Getenv("ALERTLAB_RIG_TOOLS_IMAGE"), ProxyImage: os.Getenv("ALERTLAB_RIG_PROXY_IMAGE")})
	if err != nil {
		t.Fatal(err)
	}
	const name = "e2e"
	begun := time.Now()
	made, err := clusters.Create(ctx, cluster.Config{
		Name: name, Maker: cluster.K3d, Servers: 1, Image: image,
		// As at the IDF: a pool for Kafka, with a label and a taint.
		Pools: []cluster.NodePool{
			{Agents: 1, Labels: map[string]string{"infrastructure": "ok"}},
			{Agents: 1, Labels: map[string]string{"kafka": "ok"}, Taints: []string{"kafka=ok:NoSchedule"}},
		},
		Report: func(p cluster.Progress) { t.Logf("%6.1fs %s", p.Elapsed.Seconds(), p.Text) },
	})
	if err != nil {
		t.Fatal(fault.Text(err))
	}
	t.Cleanup(func() {
		begun := time.Now()
		if err := clusters.Delete(context.WithoutCancel(ctx), name, nil); err != nil {
			t.Error(fault.Text(err))
		}
		t.Logf("deleted in %.1f s", time.Since(begun).Seconds())
	})
	t.Logf("a server and two agents Ready in %.1f s", time.Since(begun).Seconds())
	k, err := kube.New(made.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := clusters.LoadBalancerRange(ctx, name, 20)
	if err != nil {
		t.Fatal(fault.Text(err))
	}
	s := &stack{T: t, ctx: ctx, clusters: clusters, cluster: made, kube: k, bundle: b, pool: pool}
	for _, part := range []struct {
		name string
		run  func(*stack)
	}{
		{"pools", (*stack).pools},
		{"egress", (*stack).egress},
		{"volumes", (*stack).volumes},
		{"load balancer", (*stack).loadBalancer},
		{"kafka", (*stack).kafka},
		{"cert-manager", (*stack).certManager},
		{"argo-cd", (*stack).argoCD},
		{"object store behind an ingress", (*stack).ingress},
		{"object store of the full stack", (*stack).ownStore},
		{"hosts of the full stack", (*stack).hosts},
	} {
		ok := t.Run(part.name, func(t *testing.T) {
			begun := time.Now()
			one := *s
			one.T = t
			part.run(&one)
			t.Logf("%s: %.1f s", part.name, time.Since(begun).Seconds())
		})
		if !ok {
			s.describe()
			t.Fatalf("%s failed: what comes after it needs it", part.name)
		}
	}
}

// image finds the one image of the bundle whose repository ends in this name.
func (s *stack) image(repository string) string {
	s.Helper()
	var found []string
	for _, e := range s.bundle.Images() {
		if path := e.Reference[:strings.LastIndex(e.Reference, ":")]; path == repository || strings.HasSuffix(path, "/"+repository) {
			found = append(found, e.Reference)
		}
	}
	if len(found) != 1 {
		s.Fatalf("the bundle has %d images of %s: %v", len(found), repository, found)
	}
	return found[0]
}

// load brings images into the nodes that may run them: all, or those of one label.
func (s *stack) load(label string, repositories ...string) {
	s.Helper()
	var wanted []string
	for _, r := range repositories {
		wanted = append(wanted, s.image(r))
	}
	list, err := s.kube.Clientset.CoreV1().Nodes().List(s.ctx, metav1.ListOptions{LabelSelector: label})
	s.must(err)
	var nodes []bundle.Node
	for _, n := range list.Items {
		nodes = append(nodes, s.cluster.Node(n.Name))
	}
	if len(nodes) == 0 {
		s.Fatalf("no node has %q", label)
	}
	reports, err := s.bundle.Import(s.ctx, nodes, bundle.ImportOptions{Images: wanted})
	for _, r := range reports {
		s.Logf("%s took %d images, %d bytes, in %.1f s; it had %d", r.Node, len(r.Sent), r.Bytes, r.Took.Seconds(), len(r.Skipped))
	}
	s.must(err)
}

func (s *stack) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(fault.Text(err))
	}
}

// apply applies a manifest of testdata.
func (s *stack) apply(file string, values any) {
	s.Helper()
	text, err := testdata.ReadFile("testdata/" + file)
	s.must(err)
	t, err := template.New(file).Option("missingkey=error").Parse(string(text))
	s.must(err)
	var b bytes.Buffer
	s.must(t.Execute(&b, values))
	s.must(s.kube.Apply(s.ctx, "default", b.Bytes()))
}

// chart installs one of the bundle's charts, which makes so many pods at least, and
// waits until all are ready.
func (s *stack) chart(name, namespace string, pods int, values map[string]any) {
	s.Helper()
	for _, c := range s.bundle.Charts() {
		if c.Name != name {
			continue
		}
		archive, err := s.bundle.ChartArchive(c.Name, c.Version)
		s.must(err)
		defer archive.Close()
		content, err := loader.LoadArchive(archive)
		s.must(err)
		begun := time.Now()
		s.must(helm.Install(s.ctx, s.kube, helm.Release{Name: name, Namespace: namespace, Chart: content, Values: values}))
		ctx, cancel := context.WithTimeout(s.ctx, 5*time.Minute)
		defer cancel()
		s.must(s.kube.WaitPods(ctx, namespace, "", pods))
		s.Logf("chart %s is ready after %.1f s", name, time.Since(begun).Seconds())
		return
	}
	s.Fatalf("the bundle has no chart %s: %v", name, s.bundle.Charts())
}

// serviceAddress waits for the address of a LoadBalancer Service, and asserts that it
// is one of the pool.
func (s *stack) serviceAddress(namespace, name string) netip.Addr {
	s.Helper()
	var address netip.Addr
	s.eventually(time.Minute, "an address for Service "+namespace+"/"+name, func() error {
		svc, err := s.kube.Clientset.CoreV1().Services(namespace).Get(s.ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(svc.Status.LoadBalancer.Ingress) == 0 {
			return fmt.Errorf("it has none yet")
		}
		address, err = netip.ParseAddr(svc.Status.LoadBalancer.Ingress[0].IP)
		return err
	})
	if !s.pool.Contains(address) {
		s.Fatalf("Service %s/%s got %s, which is not of the pool %s", namespace, name, address, s.pool)
	}
	return address
}

// eventually tries until something holds, and says what it saw last otherwise.
func (s *stack) eventually(limit time.Duration, what string, try func() error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, limit)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("%s did not come within %s: %v", what, limit, err)
		case <-tick.C:
		}
	}
}

// reach opens a connection from the host.
func (s *stack) reach(address string) error {
	d := net.Dialer{Timeout: 2 * time.Second}
	c, err := d.DialContext(s.ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// secret is a fresh password.
func secret() string {
	b := make([]byte, 18)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// describe logs what a person would look at first: pods that are not well, and the
// newest warnings.
func (s *stack) describe() {
	ctx := context.WithoutCancel(s.ctx)
	pods, err := s.kube.Clientset.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		s.Logf("no pods can be listed: %v", err)
		return
	}
	for i := range pods.Items {
		if state := kube.PodState(&pods.Items[i], time.Now()); !state.Ready {
			s.Logf("pod %s/%s on %s: %s", pods.Items[i].Namespace, pods.Items[i].Name, pods.Items[i].Spec.NodeName, state.Seen)
		}
	}
	events, err := s.kube.Clientset.CoreV1().Events("").List(ctx, metav1.ListOptions{FieldSelector: "type=Warning"})
	if err != nil {
		s.Logf("no events can be listed: %v", err)
		return
	}
	slices.SortFunc(events.Items, func(a, b corev1.Event) int { return b.LastTimestamp.Compare(a.LastTimestamp.Time) })
	for _, e := range events.Items[:min(12, len(events.Items))] {
		s.Logf("%s %s/%s: %s: %s", e.LastTimestamp.Format(time.TimeOnly), e.Namespace, e.InvolvedObject.Name, e.Reason, e.Message)
	}
}

// pools asserts labels and taints of the node pools, as Kubernetes has them.
func (s *stack) pools() {
	list, err := s.kube.Clientset.CoreV1().Nodes().List(s.ctx, metav1.ListOptions{LabelSelector: "kafka=ok"})
	s.must(err)
	if len(list.Items) != 1 {
		s.Fatalf("%d nodes have the label kafka=ok", len(list.Items))
	}
	if taints := list.Items[0].Spec.Taints; !slices.ContainsFunc(taints, func(t corev1.Taint) bool {
		return t.Key == "kafka" && t.Value == "ok" && t.Effect == "NoSchedule"
	}) {
		s.Errorf("taints of %s: %v", list.Items[0].Name, taints)
	}
}

// egress asserts that a node sends nothing off the machine: it refuses at once,
// and not only because nobody answers.
func (s *stack) egress() {
	for _, n := range s.cluster.Nodes {
		begun := time.Now()
		// 192.0.2.0/24 is nobody's (RFC 5737): what is refused at once is refused here.
		out, err := n.Exec(s.ctx, nil, "bash", "-c", "(exec 3<>/dev/tcp/192.0.2.1/80) 2>&1; echo code $?")
		s.must(err)
		took := time.Since(begun)
		// The node's own chain answers with a reset; what only the engine rejects is
		// unreachable.
		if !strings.Contains(string(out), "Connection refused") || took > 5*time.Second {
			s.Errorf("%s: a connection to the world after %.1f s: %s", n.Name(), took.Seconds(), out)
		}
	}
	s.load("", "redis")
	s.apply("world.yaml", map[string]any{"Image": s.image("redis")})
	s.eventually(time.Minute, "the word of a pod that asked for the world", func() error {
		said, err := s.kube.Logs(s.ctx, "default", "app=world", 5)
		if err == nil && !strings.Contains(said, "Connection refused") {
			err = fmt.Errorf("it said %q", said)
		}
		return err
	})
	server := s.cluster.Nodes[0]
	gateway, err := server.Exec(s.ctx, nil, "bash", "-c", "ip -4 route show default | cut -d' ' -f3")
	s.must(err)
	if _, err := netip.ParseAddr(strings.TrimSpace(string(gateway))); err != nil {
		s.Errorf("a node has no gateway, so that nothing was tried: %q", gateway)
	}
}

// volumes asserts that claims of the real sites' storage classes bind.
func (s *stack) volumes() {
	classes := []string{"standard", "wekafs--sdf-k8s01"}
	s.apply("storage.yaml", map[string]any{"Image": s.image("redis"), "Classes": classes})
	for _, class := range classes {
		s.eventually(2*time.Minute, "a volume of class "+class, func() error {
			claim, err := s.kube.Clientset.CoreV1().PersistentVolumeClaims("default").Get(s.ctx, "claim-"+class, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if claim.Status.Phase != "Bound" {
				return fmt.Errorf("the claim is %s", claim.Status.Phase)
			}
			pod, err := s.kube.Clientset.CoreV1().Pods("default").Get(s.ctx, "writer-"+class, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if pod.Status.Phase != "Succeeded" {
				return fmt.Errorf("the claim is Bound, its pod %s", pod.Status.Phase)
			}
			return nil
		})
	}
}

// loadBalancer asserts that a Service gets an address which the host reaches, also
// after the node that announces it is stopped.
func (s *stack) loadBalancer() {
	s.load("", "quay.io/metallb/controller", "quay.io/metallb/speaker")
	s.chart("metallb", "metallb-system", 4, map[string]any{"speaker": map[string]any{"tolerations": []any{map[string]any{"operator": "Exists"}}}})
	s.apply("metallb.yaml", map[string]any{"Range": s.pool.String()})
	s.apply("service.yaml", map[string]any{"Image": s.image("redis")})
	address := net.JoinHostPort(s.serviceAddress("default", "web").String(), "6379")
	begun := time.Now()
	s.eventually(time.Minute, "an answer from "+address, func() error { return s.reach(address) })
	s.Logf("%s answers the host after %.1f s", address, time.Since(begun).Seconds())

	announcer := s.announcer("web")
	s.must(announcer.Stop(s.ctx))
	begun = time.Now()
	s.eventually(2*time.Minute, "an answer from "+address+" without "+announcer.Name(), func() error { return s.reach(address) })
	s.Logf("%s answers again %.1f s after %s was stopped", address, time.Since(begun).Seconds(), announcer.Name())
	s.must(announcer.Start(s.ctx))
}

// announcer is the node that announces a Service now.
func (s *stack) announcer(service string) *cluster.Node {
	s.Helper()
	var node *cluster.Node
	s.eventually(time.Minute, "the event of a node that announces "+service, func() error {
		events, err := s.kube.Clientset.CoreV1().Events("default").List(s.ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + service + ",reason=nodeAssigned"})
		if err != nil {
			return err
		}
		if len(events.Items) == 0 {
			return fmt.Errorf("there is no event yet")
		}
		last := slices.MaxFunc(events.Items, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
		for _, n := range s.cluster.Nodes {
			if strings.Contains(last.Message, `"`+n.Name()+`"`) {
				node = n
				return nil
			}
		}
		return fmt.Errorf("it says %q", last.Message)
	})
	return node
}
