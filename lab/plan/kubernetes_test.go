package plan_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/plan"
)

// object is a part's input as it would be written.
type object = map[string]any

// namespace, cluster and ids are those of the USDF development site.
const (
	namespace    = "alert-stream-broker"
	cluster      = "alert-broker"
	storageClass = "wekafs--sdf-k8s01"
	firstID      = 6
	lastID       = 11
)

// usdfdev is a lab of the USDF development site's shape on Kubernetes: addresses
// come from MetalLB before there are certificates, certificates name them before
// Kafka can use its external listener. Nothing carries it out: that a plan can
// say it is what is shown here.
func usdfdev() plan.Wanted {
	part := func(key, implementation, title string, input object, needs ...string) plan.Want {
		return plan.Want{Key: key, Implementation: implementation, Title: title, Input: plan.Input(input), Needs: needs, Behind: "cluster"}
	}
	gate := func(name, what string, deadline time.Duration) plan.Gate {
		return plan.Gate{Name: name, What: what, Deadline: deadline}
	}

	nodes := part("cluster", "k3d", "k3s cluster with one node for each broker and controller",
		object{"name": "alertlab-usdfdev", "agents": 12, "storageClasses": []string{storageClass}, "disable": []string{"traefik", "servicelb"}})
	nodes.Behind, nodes.Runs, nodes.Stores = "", true, "the nodes with every volume"
	nodes.Outputs = []string{"context"}
	nodes.Gates = []plan.Gate{gate("nodes-ready", "every node is Ready", 3*time.Minute)}

	metallb := part("metallb", "helm", "one address for bootstrap and one for each broker, from the pool sdf-dmz",
		object{"namespace": "metallb-system", "pool": "sdf-dmz", "brokers": ids()}, "cluster")
	metallb.Outputs = append(metallb.Outputs, "bootstrap.address")
	for _, id := range ids() {
		metallb.Outputs = append(metallb.Outputs, address(id))
	}
	metallb.Gates = []plan.Gate{gate("speakers", "a speaker runs on every node", 2*time.Minute)}

	certManager := part("cert-manager", "helm", "certificates from the lab's own CA", object{"namespace": "cert-manager", "issuer": "alertlab-ca"}, "cluster")
	certManager.Outputs = []string{"issuer"}
	certManager.Gates = []plan.Gate{gate("webhook", "the webhook answers", 2*time.Minute)}

	strimzi := part("strimzi", "helm", "Strimzi operator 1.2.0", object{"namespace": "strimzi", "version": "1.2.0", "watchNamespaces": []string{namespace}}, "cluster")
	strimzi.Gates = []plan.Gate{gate("operator", "the operator is Available", 3*time.Minute)}

	// The addresses must be the brokers' own before they announce them, and
	// the same after every restart: each is pinned to its Service.
	services := []object{{"name": cluster + "-kafka-external-bootstrap", "address": "${metallb.bootstrap.address}"}}
	dns := []string{"usdf-alert-stream-dev.lsst.cloud"}
	addresses := []string{"${metallb.bootstrap.address}"}
	var brokers []object
	for i, id := range ids() {
		ref := "${metallb." + address(id) + "}"
		services = append(services, object{"name": fmt.Sprintf("%s-kafka-%d", cluster, id), "address": ref})
		dns = append(dns, fmt.Sprintf("usdf-alert-stream-dev-broker-%d.lsst.cloud", i))
		addresses = append(addresses, ref)
		brokers = append(brokers, object{"name": strconv.Itoa(id), "advertisedHost": ref, "advertisedPort": 9094})
	}
	pinned := part("listener-services", "kubernetes", "a LoadBalancer Service for bootstrap and for each of 6 brokers",
		object{"namespace": namespace, "port": 9094, "services": services}, "metallb")
	pinned.Gates = []plan.Gate{gate("assigned", "every Service has the address that was asked for", time.Minute)}

	certificate := part("certificates", "cert-manager", "certificate for bootstrap and 6 brokers",
		object{"namespace": namespace, "name": cluster + "-external-tls", "issuer": "${cert-manager.issuer}", "dnsNames": dns, "ipAddresses": addresses},
		"cert-manager", "listener-services")
	certificate.Outputs = []string{"secret"}
	certificate.Gates = []plan.Gate{gate("ready", "the Certificate is Ready with every name", 2*time.Minute)}

	kafka := part("kafka", "strimzi", "6 brokers, ids 6 to 11, and 3 controllers",
		object{"namespace": namespace, "name": cluster, "version": "4.2.0", "brokers": brokers, "storage": object{"class": storageClass, "size": "2Gi"},
			"antiAffinity": object{"topologyKey": "kubernetes.io/hostname", "strimzi.io/cluster": cluster},
			"listener":     object{"port": 9094, "type": "loadbalancer", "certificate": "${certificates.secret}"}},
		"strimzi", "certificates", "listener-services")
	kafka.Stores = "6 volumes of the class " + storageClass
	kafka.Outputs = []string{"bootstrap", "bootstrap.internal"}
	kafka.Gates = []plan.Gate{
		gate("kafka-ready", "the Kafka resource is Ready", 10*time.Minute),
		gate("brokers-answer", "every broker answers at its own address", time.Minute),
	}

	topics := part("kafka-topics", "strimzi", "5 topics",
		object{"namespace": namespace, "topics": []object{
			{"name": "alert-stream-test", "partitions": 400}, {"name": "latiss-alerts", "partitions": 45},
			{"name": "lsst-alerts-v10.0", "partitions": 45}, {"name": "lsst-alerts-v11.0", "partitions": 45}, {"name": "registry-schemas", "partitions": 1},
		}}, "kafka")
	topics.Behind = "kafka"
	users := part("kafka-users", "strimzi", "9 community brokers and 3 services", object{"namespace": namespace, "readers": []string{"alerce-idfint", "poi-usdf"}}, "kafka")
	users.Behind = "kafka"

	operator := part("registry-operator", "helm", "strimzi-registry-operator 0.7.1",
		object{"namespace": namespace, "clusterName": cluster, "strimziVersion": "v1"}, "strimzi")
	registry := part("schema-registry", "registry-operator", "Confluent schema registry, its state in registry-schemas",
		object{"namespace": namespace, "name": "alert-schema-registry", "listener": "internal", "compatibility": "none", "bootstrap": "${kafka.bootstrap.internal}"},
		"registry-operator", "kafka-topics", "kafka-users")
	registry.Outputs = []string{"url"}
	registry.Gates = []plan.Gate{gate("answers", "the registry answers GET /subjects", 3*time.Minute)}

	store := part("object-store", "helm", "MinIO", object{"namespace": namespace, "size": "10Gi"}, "cluster")
	store.Outputs, store.Stores = []string{"url"}, "the bucket rubin-alert-archive"

	archive := part("alert-database", "helm", "ingester and server of the alert database",
		object{"namespace": namespace, "topics": []string{"lsst-alerts-v10.0"}, "bucket": "rubin-alert-archive",
			"objectStore": "${object-store.url}", "registry": "${schema-registry.url}", "bootstrap": "${kafka.bootstrap.internal}"},
		"object-store", "schema-registry")
	archive.Outputs = []string{"service"}
	sim := part("simulator", "helm", "a visit of alerts every 37 s",
		object{"namespace": namespace, "bootstrap": "${kafka.bootstrap.internal}", "topic": "alert-stream-test", "interval": "37s"}, "schema-registry", "alert-database")
	ingress := part("ingress", "helm", "ingress for the registry and the alert database",
		object{"class": "nginx", "hosts": object{"usdf-alert-schemas-dev.slac.stanford.edu": "${schema-registry.url}", "alertdb": "${alert-database.service}"}},
		"schema-registry", "alert-database")

	return plan.Wanted{Lab: "usdfdev", Profile: "usdfdev", Provider: "k3d", Stack: "alerts",
		Parts: []plan.Want{nodes, metallb, certManager, strimzi, pinned, certificate, kafka, topics, users, operator, registry, store, archive, sim, ingress},
		Concessions: []string{
			"35Ti -> 2Gi per broker",
			"Kafka 4.0.0 -> 4.2.0, the oldest that Strimzi 1.2.0 runs",
			"6 controllers -> 3",
		}}
}

func ids() []int {
	var out []int
	for id := firstID; id <= lastID; id++ {
		out = append(out, id)
	}
	return out
}

func address(id int) string { return fmt.Sprintf("broker.%d.address", id) }

// given are outputs as a k3d lab would have them: from its own network, never the
// site's own addresses.
func given() map[string]map[string]string {
	metallb := map[string]string{"bootstrap.address": "172.18.250.10"}
	for i, id := range ids() {
		metallb[address(id)] = fmt.Sprintf("172.18.250.%d", 11+i)
	}
	return map[string]map[string]string{
		"cluster": {"context": "k3d-alertlab-usdfdev"}, "metallb": metallb,
		"cert-manager": {"issuer": "alertlab-ca"}, "certificates": {"secret": cluster + "-external-tls"},
		"kafka":           {"bootstrap": "172.18.250.10:9094", "bootstrap.internal": cluster + "-kafka-bootstrap:9092"},
		"schema-registry": {"url": "http://alert-schema-registry:8081"},
		"object-store":    {"url": "http://minio:9000"}, "alert-database": {"service": "alert-stream-broker-alert-database:3000"},
	}
}

func usdfdevRunning(t *testing.T) plan.Snapshot {
	t.Helper()
	seen := plan.Snapshot{}
	for _, want := range usdfdev().Parts {
		resolved, err := plan.Resolve(want.Input, given())
		if err != nil {
			t.Fatal(err)
		}
		seen[want.Key] = plan.Observation{State: plan.Present, Why: "it is as it was applied", Applied: want.Input, Resolved: resolved, Outputs: given()[want.Key]}
	}
	return seen
}

func TestKubernetes(t *testing.T) {
	t.Parallel()
	running := usdfdevRunning(t)
	see := func(seen plan.Snapshot, key string, o plan.Observation) plan.Snapshot {
		return with(seen, key, func(was *plan.Observation) { *was = o })
	}

	// A lab in which a node was lost, Strimzi is to be upgraded and somebody
	// deleted the Kafka resource. Everything that a plan can meet, at once.
	mixed := with(running, "cluster", func(o *plan.Observation) { o.Drift = "11 of 12 agents run: alertlab-usdfdev-agent-9 does not" })
	mixed = with(mixed, "metallb", func(o *plan.Observation) { o.Why = "7 addresses of sdf-dmz are given out" })
	mixed = with(mixed, "strimzi", func(o *plan.Observation) {
		o.Applied = plan.Input(object{"namespace": "strimzi", "version": "1.0.1", "watchNamespaces": []string{namespace}})
	})
	mixed = with(mixed, "listener-services", func(o *plan.Observation) { o.Drift = "Service alert-broker-kafka-9 has no address" })
	mixed = see(mixed, "certificates", plan.Observation{State: plan.Unknown,
		Why: "the API server does not answer for certificates.cert-manager.io: context deadline exceeded"})
	mixed = see(mixed, "kafka", plan.Observation{State: plan.Absent, Kept: true, Why: "no Kafka resource alert-broker is there, its 6 volumes are"})
	for _, key := range []string{"kafka-topics", "kafka-users"} {
		mixed = see(mixed, key, plan.Observation{State: plan.Unknown, Until: "kafka", Why: "it cannot be seen before kafka runs"})
	}
	mixed = see(mixed, "schema-registry", plan.Observation{State: plan.Absent, Why: "no StrimziSchemaRegistry is there"})
	mixed = see(mixed, "alert-database", plan.Observation{State: plan.Absent, Why: "no release is there"})
	mixed = see(mixed, "simulator", plan.Observation{State: plan.Absent, Why: "no release is there"})
	mixed = see(mixed, "ingress", plan.Observation{State: plan.Unknown, Until: "cluster", Why: "its pods are on alertlab-usdfdev-agent-9"})

	// The same with an API server that answers: the plan is free to run.
	unblocked := see(mixed, "certificates", plan.Observation{State: plan.Absent, Why: "no Certificate alert-broker-external-tls is there"})

	// The machine was restarted: the cluster is there and stopped, nothing
	// behind it can be seen.
	stopped := plan.Snapshot{"cluster": {State: plan.Absent, Kept: true, Why: "12 stopped nodes are there"}}
	for _, want := range usdfdev().Parts {
		if want.Key != "cluster" {
			stopped = see(stopped, want.Key, plan.Observation{State: plan.Unknown, Until: want.Behind, Why: "it cannot be seen before " + want.Behind + " runs",
				Applied: want.Input, Outputs: given()[want.Key]})
		}
	}

	for name, seen := range map[string]plan.Snapshot{
		"kubernetes-fresh": fresh(usdfdev()), "kubernetes-running": running, "kubernetes-stopped": stopped,
		"kubernetes-mixed": mixed, "kubernetes-unblocked": unblocked,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := plan.Make(usdfdev(), seen)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, p.String())
			checkOrder(t, p)
		})
	}
	for name, goal := range map[string]plan.Goal{"kubernetes-down": plan.Down, "kubernetes-purge": plan.Purge} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := plan.MakeDown(usdfdev(), running, goal)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, p.String())
			checkOrder(t, p)
		})
	}

	// What the kept MetalLB gave is what the certificate and the brokers get.
	t.Run("addresses", func(t *testing.T) {
		t.Parallel()
		p, err := plan.Make(usdfdev(), unblocked)
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(p.Known["metallb"], given()["metallb"]) {
			t.Fatalf("known of metallb: %v", p.Known["metallb"])
		}
		for _, s := range p.Steps {
			if s.Key != "certificates" {
				continue
			}
			resolved, err := plan.Resolve(s.Input, p.Known)
			if err != nil {
				t.Fatal(err)
			}
			var in struct{ IPAddresses, DNSNames []string }
			if err := json.Unmarshal(resolved, &in); err != nil {
				t.Fatal(err)
			}
			if len(in.DNSNames) != 7 || len(in.IPAddresses) != 7 || in.IPAddresses[0] != "172.18.250.10" || in.IPAddresses[6] != "172.18.250.16" {
				t.Errorf("the certificate is for %v and %v", in.DNSNames, in.IPAddresses)
			}
			return
		}
		t.Errorf("no step makes the certificate:\n%s", p)
	})
}
