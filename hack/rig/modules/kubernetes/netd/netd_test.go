package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func node(name, cidr string, addresses ...string) *v1.Node {
	n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.NodeSpec{PodCIDR: cidr}}
	if cidr != "" {
		n.Spec.PodCIDRs = strings.Split(cidr, ",")
		n.Spec.PodCIDR = n.Spec.PodCIDRs[0]
	}
	n.Status.Addresses = []v1.NodeAddress{{Type: v1.NodeHostName, Address: name}}
	for _, a := range addresses {
		n.Status.Addresses = append(n.Status.Addresses, v1.NodeAddress{Type: v1.NodeInternalIP, Address: a})
	}
	return n
}

func TestPlan(t *testing.T) {
	text := func(n network) string { return fmt.Sprint(n.own, n.routes) }
	for _, c := range []struct {
		name  string
		nodes []*v1.Node
		want  string
	}{
		{"nobody", nil, "invalid Prefix map[]"},
		{"not yet given a range", []*v1.Node{node("me", "", "10.0.0.1"), node("b", "", "10.0.0.2")}, "invalid Prefix map[]"},
		{"three", []*v1.Node{node("b", "10.42.1.0/24", "10.0.0.2"), node("me", "10.42.0.0/24", "10.0.0.1"), node("c", "10.42.2.0/24", "10.0.0.3")},
			"10.42.0.0/24 map[10.42.1.0/24:10.0.0.2 10.42.2.0/24:10.0.0.3]"},
		{"no address yet", []*v1.Node{node("me", "10.42.0.0/24"), node("b", "10.42.1.0/24")}, "10.42.0.0/24 map[]"},
		{"two families", []*v1.Node{node("me", "fd00::/64,10.42.0.0/24", "10.0.0.1"), node("b", "fd00:1::/64,10.42.1.0/24", "fd01::2", "10.0.0.2")},
			"10.42.0.0/24 map[10.42.1.0/24:10.0.0.2]"},
	} {
		got, err := plan(c.nodes, "me")
		if err != nil || text(got) != c.want {
			t.Errorf("%s: %s %v", c.name, text(got), err)
		}
	}
	if _, err := plan([]*v1.Node{node("me", "10.42.0.0/24"), node("b", "10.42.0.0/24")}, "me"); err == nil {
		t.Error("two nodes with one range")
	}
	if _, err := plan([]*v1.Node{node("me", "10.42/24")}, "me"); err == nil {
		t.Error("a range that is none")
	}
}

func TestConflist(t *testing.T) {
	var doc struct {
		Plugins []struct {
			Type string
			IPAM struct{ Ranges [][]struct{ Subnet string } }
		}
	}
	if err := json.Unmarshal([]byte(conflist(netip.MustParsePrefix("10.42.3.0/24"))), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Plugins) != 2 || doc.Plugins[0].IPAM.Ranges[0][0].Subnet != "10.42.3.0/24" {
		t.Errorf("%+v", doc)
	}
}

// recorder is a node that notes what is done to it.
type recorder struct {
	mu    sync.Mutex
	calls []string
	fail  map[string]bool
}

func (r *recorder) note(format string, args ...any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	call := fmt.Sprintf(format, args...)
	r.calls = append(r.calls, call)
	if r.fail[call] {
		return errors.New(call + " failed")
	}
	return nil
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.calls
	r.calls = nil
	slices.Sort(out)
	return out
}

func (r *recorder) Route(_ context.Context, to netip.Prefix, via netip.Addr) error {
	return r.note("route %s %s", to, via)
}
func (r *recorder) Unroute(_ context.Context, to netip.Prefix) error { return r.note("unroute %s", to) }
func (r *recorder) Masquerade(_ context.Context, own, all netip.Prefix) error {
	return r.note("masquerade %s %s", own, all)
}
func (r *recorder) Configure(text string) error { return r.note("configure %d", len(text)) }

func TestApply(t *testing.T) {
	r := &recorder{fail: map[string]bool{}}
	a := &applier{host: r, pods: netip.MustParsePrefix("10.42.0.0/16"), log: slog.New(slog.DiscardHandler)}
	step := func(nodes []*v1.Node, bad bool, want ...string) {
		t.Helper()
		n, err := plan(nodes, "me")
		if err != nil {
			t.Fatal(err)
		}
		if err := a.apply(t.Context(), n); (err != nil) != bad {
			t.Errorf("error %v", err)
		}
		if got := r.take(); !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 {
			t.Errorf("did %q, want %q", got, want)
		}
	}
	me, b := node("me", "10.42.0.0/24", "10.0.0.1"), node("b", "10.42.1.0/24", "10.0.0.2")
	configure := fmt.Sprintf("configure %d", len(conflist(netip.MustParsePrefix("10.42.0.0/24"))))
	step([]*v1.Node{node("me", "")}, false)
	step([]*v1.Node{me, b}, false, configure, "masquerade 10.42.0.0/24 10.42.0.0/16", "route 10.42.1.0/24 10.0.0.2")
	step([]*v1.Node{me, b}, false)
	moved := node("b", "10.42.1.0/24", "10.0.0.9")
	r.fail["route 10.42.1.0/24 10.0.0.9"] = true
	step([]*v1.Node{me, moved}, true, "route 10.42.1.0/24 10.0.0.9")
	delete(r.fail, "route 10.42.1.0/24 10.0.0.9")
	step([]*v1.Node{me, moved}, false, "route 10.42.1.0/24 10.0.0.9")
	r.fail["unroute 10.42.1.0/24"] = true
	step([]*v1.Node{me}, true, "unroute 10.42.1.0/24")
	delete(r.fail, "unroute 10.42.1.0/24")
	step([]*v1.Node{me}, false, "unroute 10.42.1.0/24")
	step([]*v1.Node{me}, false)
}

func TestWatch(t *testing.T) {
	client := fake.NewClientset(node("me", "10.42.0.0/24", "10.0.0.1"))
	r := &recorder{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- watch(ctx, client, "me", &applier{host: r, pods: netip.MustParsePrefix("10.42.0.0/16"), log: slog.New(slog.DiscardHandler)})
	}()
	wait := func(call string) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
			if slices.Contains(r.take(), call) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("it never did %q", call)
			}
		}
	}
	wait("masquerade 10.42.0.0/24 10.42.0.0/16")
	nodes := client.CoreV1().Nodes()
	if _, err := nodes.Create(ctx, node("b", "10.42.1.0/24", "10.0.0.2"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	wait("route 10.42.1.0/24 10.0.0.2")
	if err := nodes.Delete(ctx, "b", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	wait("unroute 10.42.1.0/24")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestConfigure(t *testing.T) {
	root := t.TempDir()
	h := chrooted{root}
	for _, text := range []string{"one", "two"} {
		if err := h.Configure(text); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(root, "etc/cni/net.d/*"))
		if err != nil || len(files) != 1 || filepath.Base(files[0]) != "10-rig.conflist" {
			t.Fatalf("%q %v", files, err)
		}
		if got, _ := os.ReadFile(files[0]); string(got) != text {
			t.Errorf("%q", got)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for _, c := range []struct{ me, pods, says string }{
		{"", "10.42.0.0/16", "NODE_NAME"},
		{"n", "pods", "POD_SUBNET"},
	} {
		env := map[string]string{"NODE_NAME": c.me, "POD_SUBNET": c.pods}
		err := run(t.Context(), slog.New(slog.DiscardHandler), func(k string) string { return env[k] })
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
