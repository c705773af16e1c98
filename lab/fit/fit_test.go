package fit_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/lab/fit"
)

const gib = 1 << 30

func pods(n int, p fit.Pod) []fit.Pod {
	var out []fit.Pod
	for i := range n {
		one := p
		one.Name = p.Name + string(rune('a'+i))
		out = append(out, one)
	}
	return out
}

func nodes(n int, of fit.Node) []fit.Node {
	var out []fit.Node
	for i := range n {
		one := of
		one.Name = of.Name + string(rune('0'+i))
		out = append(out, one)
	}
	return out
}

func TestCheck(t *testing.T) {
	t.Parallel()
	apart := fit.Pod{Name: "broker-", Labels: map[string]string{"app": "kafka"}, Apart: []map[string]string{{"app": "kafka"}}, Memory: gib, CPU: 100}
	kafkaTaint := fit.Taint{Key: "kafka", Value: "ok", Effect: "NoSchedule"}
	tolerant := apart
	tolerant.Tolerations = []fit.Taint{kafkaTaint}
	tainted := fit.Node{Name: "kafka-", Taints: []fit.Taint{kafkaTaint}}
	soft := fit.Node{Name: "soft-", Taints: []fit.Taint{{Key: "a", Value: "b", Effect: "PreferNoSchedule"}}}
	claims := fit.Pod{Name: "store-", Classes: []string{"", "fast"}}
	for name, tc := range map[string]struct {
		nodes   []fit.Node
		pods    []fit.Pod
		machine fit.Machine
		want    []string // beside the sums; none: it fits
	}{
		"each on its own":    {nodes(3, fit.Node{Name: "n"}), pods(3, apart), fit.Machine{}, nil},
		"one node too few":   {nodes(2, fit.Node{Name: "n"}), pods(3, apart), fit.Machine{}, []string{"no node for broker-c: 2 of 2 have a pod that it may not share a node with"}},
		"nobody tolerates":   {nodes(1, tainted), pods(1, apart), fit.Machine{}, []string{"no node for broker-a: 1 of 1 have the taint kafka=ok:NoSchedule"}},
		"it is tolerated":    {nodes(1, tainted), pods(1, tolerant), fit.Machine{}, nil},
		"a mere preference":  {nodes(1, soft), pods(1, apart), fit.Machine{}, nil},
		"no nodes":           {nil, pods(1, apart), fit.Machine{}, []string{"no node for broker-a: there are no nodes"}},
		"memory of a node":   {nodes(1, fit.Node{Name: "n", Memory: gib / 2}), pods(1, apart), fit.Machine{}, []string{"no node for broker-a: 1 of 1 have too little memory left"}},
		"processors of it":   {nodes(1, fit.Node{Name: "n", CPU: 50}), pods(1, apart), fit.Machine{}, []string{"no node for broker-a: 1 of 1 have too few processors left"}},
		"no such class":      {nodes(1, fit.Node{Name: "n"}), pods(1, claims), fit.Machine{}, []string{"no node for store-a: there is no storage class fast"}},
		"the machine, once":  {nodes(3, fit.Node{Name: "n", CPU: 2000, Memory: 2 * gib}), pods(3, apart), fit.Machine{CPU: 250, Memory: 3 * gib, Reserved: gib}, []string{"all pods ask for 0.3 processors, and the machine has 0.25", "all pods ask for 3.0 GiB, and the machine has 3.0 GiB, of which the nodes take 1.0 GiB themselves"}},
		"the machine is big": {nodes(3, fit.Node{Name: "n"}), pods(3, apart), fit.Machine{CPU: 300, Memory: 4 * gib, Reserved: gib}, nil},
	} {
		r := fit.Check(tc.nodes, []string{"standard"}, tc.pods, tc.machine)
		got := r.Sentences()[1:]
		if len(got) != len(tc.want) || r.Fits() != (len(tc.want) == 0) {
			t.Errorf("%s: %q", name, r.Sentences())
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], tc.want[i]) {
				t.Errorf("%s: %q, want %q", name, got[i], tc.want[i])
			}
		}
	}
	// What shares a label that somebody keeps away from is kept away too.
	r := fit.Check(nodes(1, fit.Node{Name: "n"}), nil, append(pods(1, apart), fit.Pod{Name: "other", Labels: map[string]string{"app": "kafka"}}), fit.Machine{})
	if len(r.Problems) != 1 || r.Problems[0].Pod != "other" {
		t.Errorf("%+v", r)
	}
	// Pods spread: the one with the most room is taken.
	spread := fit.Check(nodes(2, fit.Node{Name: "n"}), nil, pods(4, fit.Pod{Name: "p", Memory: gib}), fit.Machine{})
	if on := slices.Sorted(maps.Values(spread.Placed)); !slices.Equal(on, []string{"n0", "n0", "n1", "n1"}) {
		t.Errorf("placed at %q", on)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	got, classes, err := fit.Read("kafka", `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {spec: "words"}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store}
spec:
  template:
    metadata: {labels: {app: store}}
    spec:
      tolerations: [{key: k, operator: Equal, value: v, effect: NoSchedule}]
      initContainers: [{resources: {requests: {cpu: 10m, memory: 300Mi}}}]
      containers: [{resources: {requests: {cpu: "0.5", memory: 100Mi}}}, {resources: {requests: {cpu: 100m, memory: 100Mi}}}]
  volumeClaimTemplates: [{spec: {storageClassName: fast}}]
---
apiVersion: kafka.strimzi.io/v1
kind: KafkaNodePool
metadata: {name: kafka, labels: {strimzi.io/cluster: c}}
spec:
  replicas: 2
  storage: {type: jbod, volumes: [{id: 0, class: fast}]}
  resources: {requests: {cpu: 1, memory: 1Gi}}
  template:
    pod:
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - labelSelector: {matchLabels: {strimzi.io/pool-name: kafka}}
            topologyKey: kubernetes.io/hostname
---
apiVersion: kafka.strimzi.io/v1
kind: Kafka
metadata: {name: c}
spec:
  entityOperator: {topicOperator: {resources: {requests: {cpu: 50m, memory: 64Mi}}}, userOperator: {resources: {requests: {cpu: 50m}}}}
  kafkaExporter: {resources: {requests: {memory: 32Mi}}}
---
apiVersion: roundtable.lsst.codes/v1beta1
kind: StrimziSchemaRegistry
metadata: {name: registry}
spec: {replicas: 1, cpuRequest: 50m, memoryRequest: 640Mi}
`)
	if err != nil || !slices.Equal(classes, []string{"fast"}) || len(got) != 6 {
		t.Fatalf("%+v, %q, %v", got, classes, err)
	}
	const mib = 1 << 20
	for i, want := range []struct {
		name        string
		cpu, memory int64
	}{{"store", 600, 300 * mib}, {"c-kafka-0", 1000, gib}, {"c-kafka-1", 1000, gib}, {"c-entity-operator", 100, 64 * mib}, {"c-kafka-exporter", 0, 32 * mib}, {"registry", 50, 640 * mib}} {
		if p := got[i]; p.Name != want.name || p.CPU != want.cpu || p.Memory != want.memory || p.Component != "kafka" {
			t.Errorf("%+v, want %+v", p, want)
		}
	}
	if p := got[0]; len(p.Tolerations) != 1 || p.Classes[0] != "fast" {
		t.Errorf("%+v", p)
	}
	if p := got[1]; len(p.Apart) != 1 || p.Labels["strimzi.io/pool-name"] != "kafka" || p.Classes[0] != "fast" {
		t.Errorf("%+v", p)
	}
	if _, _, err := fit.Read("x", "kind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {containers: [{resources: {requests: {cpu: much}}}]}}}\n"); err == nil || !strings.Contains(err.Error(), `x, Deployment d: "much" is no number of processors`) {
		t.Errorf("%v", err)
	}
	if _, _, err := fit.Read("x", "a: [\n"); err == nil {
		t.Error("read what is no YAML")
	}
	if _, err := fit.Workload("x", "w", 2, "1", "lots"); err == nil {
		t.Error("took lots for bytes")
	}
}

func TestQuantities(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"100m": 100, "2": 2000, "0.5": 500, "0": 0} {
		if got, err := fit.ParseCPU(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for text, want := range map[string]int64{"384Mi": 384 << 20, "1G": 1e9, "1024": 1024, "1.5Gi": 3 << 29, "0": 0} {
		if got, err := fit.ParseBytes(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "m", "-1", "-1m", "x", "1e9"} {
		if got, err := fit.ParseCPU(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
	for _, text := range []string{"", "Mi", "-1Gi", "x", "9999999Pi"} {
		if got, err := fit.ParseBytes(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

// What pods ask for that the nodes have anyway leaves less for the lab's, on a node and of
// a machine's processors; of its memory it is part of what nodes take themselves.
func TestTaken(t *testing.T) {
	t.Parallel()
	nodes := []fit.Node{{Name: "a", CPU: 2000, Memory: 1 << 30, TakenCPU: 950, TakenMemory: 290 << 20}, {Name: "b", CPU: 2000, Memory: 1 << 30, TakenCPU: 100, TakenMemory: 50 << 20}}
	pods := []fit.Pod{{Name: "one", CPU: 900, Memory: 800 << 20}}
	r := fit.Check(nodes, nil, pods, fit.Machine{CPU: 2000, Memory: 2 << 30, Reserved: 950 << 20})
	if !r.Fits() || r.Placed["one"] != "b" || r.Taken != (fit.Amount{CPU: 1050, Memory: 340 << 20}) {
		t.Errorf("%+v", r)
	}
	if said := r.Sentences()[0]; said != "1 pods on 2 nodes ask for 0.9 processors and 0.8 GiB, beside 1.05 and 0.3 GiB of pods that the nodes have anyway" {
		t.Error(said)
	}
	pods[0].CPU = 951
	if r = fit.Check(nodes, nil, pods, fit.Machine{CPU: 2000}); r.Fits() || r.Over[0] != "all pods ask for 2.001 processors, and the machine has 2: every node reports the same ones" {
		t.Errorf("%+v", r)
	}
	if r = fit.Check(nodes[:1], nil, []fit.Pod{{Name: "one", CPU: 1051}}, fit.Machine{}); r.Fits() || r.Problems[0].Why != "1 of 1 have too few processors left" {
		t.Errorf("%+v", r)
	}
}
