// Package strimzikafka is a Kafka cluster as Strimzi's custom resources: Kafka, its node
// pools, and the superuser, with whom it is seen whether the brokers answer.
package strimzikafka

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/component/kafka"
	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/component/strimzi"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// api is that of Strimzi's custom resources.
const api = "kafka.strimzi.io/v1"

// API is the version of custom resources that our charts are written in.
const API = "v1"

// Controllers gives the ids of a profile's controllers. They come before the brokers
// where there is room, as at the sites, else behind them. A profile that names none has
// one, and none where there is one broker, which is its own.
func Controllers(p *profiles.Profile) []int {
	b := p.Kafka.Brokers
	n := p.Kafka.Controllers.Count
	if n == 0 && b.Count > 1 {
		n = 1
	}
	first := 0
	if int(b.FirstID) < n {
		first = int(b.FirstID) + b.Count
	}
	var ids []int
	for i := range n {
		ids = append(ids, first+i)
	}
	return ids
}

// WantNodePorts describes the cluster where every broker has a port of a node.
func WantNodePorts(p *profiles.Profile, lab component.Lab) plan.Want {
	return want(p, lab, map[string]any{"type": "nodeport", "bootstrapNodePort": nodeports.Bootstrap})
}

// WantBalanced describes the cluster where every broker has an address of its own, which
// is pinned: the one that the part addresses gave out.
func WantBalanced(p *profiles.Profile, lab component.Lab) plan.Want {
	listener := map[string]any{"type": "loadbalancer", "pool": metallb.PoolName(p, lab)}
	if share := metallb.ShareKey(lab); share != "" {
		listener["share"] = share
	}
	return want(p, lab, listener)
}

func want(p *profiles.Profile, lab component.Lab, listener map[string]any) plan.Want {
	k := p.Kafka
	listener["port"], listener["tls"], listener["bootstrap"] = k.Listener.Port, k.Listener.TLS, "${addresses.bootstrap}"
	brokers, config, outputs := kafka.Nodes(p, true)
	controllers := []any{}
	for _, id := range Controllers(p) {
		controllers = append(controllers, id)
	}
	answer := upstream.Of(p, lab)
	r := component.Release{Name: "kafka", Namespace: component.Namespace, Chart: "strimzi-kafka", Outputs: outputs, Values: map[string]any{
		"lab": lab.Name, "cluster": k.Cluster, "version": answer.Kafka, "secret": component.Secret, "superuser": k.Superuser,
		"exporter": map[string]any{"image": strimzi.KafkaImage(p, lab)},
		"brokers":  brokers, "controllers": controllers, "listener": listener, "config": config,
		"storage":      map[string]any{"size": kafka.Quantity(max(k.Brokers.Storage.Size, kafka.LeastStorage)), "class": cmp.Or(k.Brokers.Storage.Class, lab.StorageClass)},
		"controller":   map[string]any{"storage": map[string]any{"size": kafka.Quantity(kafka.LeastStorage), "class": cmp.Or(k.Controllers.Storage.Class, lab.StorageClass)}},
		"antiAffinity": k.Brokers.AntiAffinity, "nodePool": kafka.Pool(k.Brokers.NodePool),
	}}
	if certmanager.Wanted(p) {
		listener["certificate"] = "${certificates.external}"
		outputs["ca"], outputs["ca-file"] = "${authority.ca}", "${authority.ca-file}"
	}
	r.Pods = "strimzi.io/cluster=" + k.Cluster
	// After a stop the operator's word is that of before, and the brokers are yet to be made.
	const start = 5 * time.Minute
	return r.Want(title(p, answer.Kafka),
		component.Meets("the operator says that Kafka and its superuser are Ready", 15*time.Minute),
		plan.Gate{Name: kafka.GateAnswer, What: "every broker answers at its own address", Deadline: start})
}

// Watched gives what the gates watch.
func Watched() map[string]component.Objects {
	return upstream.Watches(func(r component.Release) []kube.Expected {
		cluster, _ := r.Values["cluster"].(string)
		superuser, _ := r.Values["superuser"].(string)
		return []kube.Expected{
			{Ref: kube.Object(api, "Kafka", r.Namespace, cluster), Cond: kube.Current("Ready")},
			{Ref: kube.Object(api, "KafkaUser", r.Namespace, superuser), Cond: kube.Current("Ready")},
		}
	})
}

func title(p *profiles.Profile, version string) string {
	ids := func(first, n int, what string) string {
		if n == 1 {
			return fmt.Sprintf("1 %s, id %d", what, first)
		}
		return fmt.Sprintf("%d %ss, ids %d to %d", n, what, first, first+n-1)
	}
	parts := []string{ids(int(p.Kafka.Brokers.FirstID), p.Kafka.Brokers.Count, "broker")}
	if c := Controllers(p); len(c) > 0 {
		parts = append(parts, ids(c[0], len(c), "controller"))
	}
	return strings.Join(parts, ", and ") + ", of Kafka " + version + " by Strimzi"
}
