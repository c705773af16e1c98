package catalog

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/lab/fault"
	paper "github.com/alertlab/alertlab/lab/fit"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/provider/existing"
)

// Labs on machines, and what is said of them.
func TestFit(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	small := paper.Machine{CPU: 2000, Memory: 24 * gib}
	for name, tc := range map[string]struct {
		profile string
		stack   string
		machine paper.Machine
		fits    bool
		want    []string
	}{
		"ci, light":                  {"ci", "alerts-light", small, true, []string{"7 pods on 1 nodes ask for "}},
		"ci, full":                   {"ci", FullStack, small, true, []string{" pods on 1 nodes ask for "}},
		"usdfdev, full":              {"usdfdev", FullStack, paper.Machine{CPU: 8000, Memory: 32 * gib}, true, []string{"pods on 7 nodes ask for "}},
		"usdfdev on two cores":       {"usdfdev", FullStack, small, false, []string{"and the machine has 2: every node reports the same ones", "it would fit with --set alertDatabase.ingesters=", "which no longer proves how a group of 24 ingesters shares the partitions"}},
		"usdfdev on a little":        {"usdfdev", FullStack, paper.Machine{CPU: 1000, Memory: 2 * gib}, false, []string{"no smaller number of ingesters, controllers or brokers would fit"}},
		"a machine of no known size": {"usdfdev", FullStack, paper.Machine{}, true, []string{"pods on 7 nodes"}},
	} {
		desc := onK3d(t, tc.profile)
		desc.Stack = tc.stack
		f, err := Fit(desc, Room{Machine: tc.machine})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		said := strings.Join(f.Sentences(), "\n")
		if f.Result.Fits() != tc.fits {
			t.Errorf("%s: fits %t:\n%s", name, f.Result.Fits(), said)
		}
		for _, part := range tc.want {
			if !strings.Contains(said, part) {
				t.Errorf("%s, without %q:\n%s", name, part, said)
			}
		}
	}
}

// Every profile can be looked at, on every provider that runs its stack.
func TestFitEverywhere(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{K3d, Kind, Existing} {
		for _, stack := range []string{"alerts-light", FullStack, StrimziStack} {
			for _, name := range runnable {
				if provider == Existing && stack != "alerts-light" {
					continue // refused
				}
				desc := on(t, provider, name)
				desc.Stack = stack
				room := Room{Machine: paper.Machine{CPU: 16000, Memory: 64 << 30}}
				if provider == Existing {
					room = Room{Classes: []string{"fast"}}
					for i := range 6 {
						room.Nodes = append(room.Nodes, paper.Node{Name: fmt.Sprint(i), CPU: 16000, Memory: 64 << 30})
					}
				}
				if f, err := Fit(desc, room); err != nil || !f.Result.Fits() || f.Result.Pods < 7 {
					t.Errorf("%s, %s on %s: %q, %v", stack, name, provider, f.Sentences(), err)
				}
			}
		}
	}
}

// The pods that come with a cluster count: kind's control plane is made of some.
func TestFitOwnPods(t *testing.T) {
	t.Parallel()
	for provider, want := range map[string]paper.Amount{K3d: {CPU: 100, Memory: 70 << 20}, Kind: {CPU: 950, Memory: 290 << 20}} {
		f, err := Fit(on(t, provider, "usdfdev"), Room{})
		want.CPU += int64(f.Result.Nodes-1) * ownPods[provider].agent.CPU
		want.Memory += int64(f.Result.Nodes-1) * ownPods[provider].agent.Memory
		if err != nil || f.Result.Nodes < 2 || f.Result.Taken != want {
			t.Errorf("%s: %+v on %d nodes, %v", provider, f.Result.Taken, f.Result.Nodes, err)
		}
	}
}

// Of a cluster that is there, what its nodes have and bear counts.
func TestFitExisting(t *testing.T) {
	t.Parallel()
	s := &existing.Survey{Classes: []existing.Class{{Name: "fast"}}, Nodes: []existing.Node{
		{Name: "a", Ready: true, CPU: "2", Memory: 8 << 30}, {Name: "b", Ready: true, CPU: "8", Memory: 64 << 30, Taints: []string{"only=others:NoSchedule"}},
		{Name: "c", CPU: "8", Memory: 64 << 30}}}
	desc := on(t, Existing, "ci")
	f, err := Fit(desc, roomOf(s))
	if err != nil || !f.Result.Fits() || f.Result.Nodes != 2 {
		t.Errorf("%q, %v", f.Sentences(), err)
	}
	for pod, node := range f.Result.Placed {
		if node != "a" {
			t.Errorf("%s is on %s", pod, node)
		}
	}
	s.Nodes[0].TakenCPU, s.Nodes[0].TakenMemory = 1900, 1<<30
	if f, err = Fit(desc, roomOf(s)); err != nil || f.Result.Fits() || !strings.Contains(strings.Join(f.Sentences(), "\n"), "have too few processors left") {
		t.Errorf("beside what others' pods take: %q, %v", f.Sentences(), err)
	}
	s.Nodes[0].TakenCPU, s.Nodes[0].TakenMemory = 0, 0
	s.Nodes[0].Memory = 256 << 20
	if f, err = Fit(desc, roomOf(s)); err != nil || f.Result.Fits() || !strings.Contains(strings.Join(f.Sentences(), "\n"), "1 of 2 have the taint only=others:NoSchedule, 1 of 2 have too little memory left") {
		t.Errorf("%q, %v", f.Sentences(), err)
	}
	if said, err := CheckFit(t.Context(), state.Description{Provider: Embedded}); said != nil || err != nil {
		t.Errorf("an embedded lab: %q, %v", said, err)
	}
}

// Each broker of usdfdev is on a node of its own, and nothing of them on the server.
func TestFitPlaces(t *testing.T) {
	t.Parallel()
	f, err := Fit(fullOnK3d(t, "usdfdev"), Room{})
	if err != nil {
		t.Fatal(err)
	}
	on := map[string]string{}
	for pod, node := range f.Result.Placed {
		if strings.HasPrefix(pod, "alert-broker-kafka-") && len(pod) == len("alert-broker-kafka-0") {
			if other := on[node]; other != "" {
				t.Errorf("%s and %s share %s", pod, other, node)
			}
			on[node] = pod
		}
	}
	if len(on) != 6 {
		t.Errorf("brokers are at %v", on)
	}
}

// What does not fit is refused with all that is known, and with what would fit.
func TestFitRefusal(t *testing.T) {
	t.Parallel()
	desc := fullOnK3d(t, "usdfdev")
	f, err := Fit(desc, Room{Machine: paper.Machine{CPU: 2000, Memory: 24 << 30}})
	if err != nil {
		t.Fatal(err)
	}
	said, err := refused(desc, f, "")
	if fault.CodeOf(err) != fault.BadInput || len(said) < 4 {
		t.Fatalf("%q, %v", said, err)
	}
	for _, part := range []string{"the lab does not fit on this machine, nothing was begun", "alertlab up --provider k3d --profile usdfdev --set alertDatabase.ingesters="} {
		if !strings.Contains(fault.Text(err), part) {
			t.Errorf("without %q:\n%s", part, fault.Text(err))
		}
	}
	t.Log(strings.Join(said, "\n"))
	if f, err = Fit(desc, Room{Machine: paper.Machine{CPU: 500}}); err != nil {
		t.Fatal(err)
	}
	if _, err := refused(desc, f, ""); !strings.Contains(fault.Text(err), "a larger one has room") {
		t.Errorf("%v", err)
	}
	if f, err = Fit(desc, Room{}); err != nil {
		t.Fatal(err)
	}
	if said, err := refused(desc, f, "its engine does not answer"); err != nil || !strings.Contains(said[len(said)-1], "its engine does not answer") {
		t.Errorf("%q, %v", said, err)
	}
}

// A bundle that lacks images and charts of the full stack: all of them are named before
// anything is begun.
func TestFullMissing(t *testing.T) {
	t.Parallel()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, cfg); err != nil {
		t.Fatal(err)
	}
	desc := fullOnK3d(t, "usdfdev")
	desc.Cluster.Bundle = filepath.Join(t.TempDir(), "some.bundle")
	if _, err := bundle.Save(t.Context(), desc.Cluster.Bundle, bundle.Contents{
		Sources: []bundle.Source{bundle.Images{{Reference: "quay.io/strimzi/operator:1.2.0", Image: img}}}}, nil); err != nil {
		t.Fatal(err)
	}
	err = checkBundle(desc)
	if fault.CodeOf(err) != fault.StepFailed {
		t.Fatal(err)
	}
	text := fault.Text(err)
	for _, part := range []string{"the bundle lacks what the lab is made of", "quay.io/strimzi/kafka:1.2.0-kafka-4.2.0", "ghcr.io/lsst-sqre/strimzi-registry-operator:0.7.1",
		"docker.io/confluentinc/cp-schema-registry:8.0.0", "quay.io/minio/minio:", "registry.k8s.io/ingress-nginx/controller:v1.15.1", "ghcr.io/kafbat/kafka-ui:v1.3.0",
		"chart strimzi-kafka-operator 1.2.0", "chart strimzi-registry-operator 2.1.3", "chart ingress-nginx 4.15.1", "chart kafka-ui 1.5.2"} {
		if !strings.Contains(text, part) {
			t.Errorf("without %q:\n%s", part, text)
		}
	}
	if strings.Contains(text, "quay.io/strimzi/operator:1.2.0") {
		t.Errorf("what it has is missed:\n%s", text)
	}
	desc.Cluster.Bundle = filepath.Join(t.TempDir(), "none.bundle")
	if err := checkBundle(desc); fault.CodeOf(err) != fault.BadInput {
		t.Errorf("a bundle that is not there: %v", err)
	}
}

// The bound is 50 ms for usdfdev (docs/verification.md has what was seen).
func BenchmarkFit(b *testing.B) {
	desc := on(b, K3d, "usdfdev")
	desc.Stack = FullStack
	for b.Loop() {
		if _, err := Fit(desc, Room{}); err != nil {
			b.Fatal(err)
		}
	}
}
