// Package kafka is Apache Kafka in KRaft mode without an operator, under the names
// that Strimzi gives: pods alert-broker-kafka-<id>, Services
// alert-broker-kafka-bootstrap, -brokers, -external-bootstrap and one for each
// broker.
package kafka

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	kafkaclient "github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/component/kafkacertificates"
	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

// Image is Apache's own; Tested is the version that labs were seen to run.
const (
	repository = "docker.io/apache/kafka"
	Tested     = "4.3.1"
)

// Image gives the image that a profile's brokers run. A profile that names no version
// runs the one that was tried.
func Image(p *profiles.Profile) string { return repository + ":" + cmp.Or(p.Kafka.Version, Tested) }

// inside gives where the listeners for what runs in the cluster answer: internal at port
// 9092, tls at 9093 (facts, environments.md, A3).
func inside(p *profiles.Profile) map[string]string {
	host := fmt.Sprintf("%s-kafka-bootstrap.%s.svc", p.Kafka.Cluster, component.Namespace)
	return map[string]string{component.ListenerInternal: host + ":9092", component.ListenerTLS: host + ":9093"}
}

// Controllers says how many of a profile's brokers are controllers too: three, or one
// where there are fewer brokers than that. Two would be no quorum with one away.
func Controllers(p *profiles.Profile) int {
	if p.Kafka.Brokers.Count < 3 {
		return 1
	}
	return 3
}

// GateAnswer opens when every broker answers at its own address.
const GateAnswer = "brokers-answer"

// Nodes gives what every chart of brokers takes of a profile, whoever runs them: a value
// for each broker, with the node's port where it has one, their settings under Kafka's own
// keys, and the outputs of the component, which are addresses.
func Nodes(p *profiles.Profile, ports bool) (brokers []any, config map[string]any, outputs map[string]string) {
	outputs = inside(p)
	outputs["bootstrap"] = "${addresses.bootstrap}"
	for i := range p.Kafka.Brokers.Count {
		id := int(p.Kafka.Brokers.FirstID) + i
		address := fmt.Sprintf("${addresses.broker.%d}", id)
		outputs["broker."+strconv.Itoa(id)] = address
		// What stands in a list is known by its name when it changes.
		one := map[string]any{"name": strconv.Itoa(id), "id": id, "address": address}
		if ports {
			one["nodePort"] = nodeports.Broker(p, i)
		}
		brokers = append(brokers, one)
	}
	config = map[string]any{}
	for key, value := range p.Kafka.Config {
		config[key] = value
	}
	return brokers, config, outputs
}

// Want describes the brokers of a profile.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	k := p.Kafka
	brokers, config, outputs := Nodes(p, !metallb.Wanted(p))
	r := component.Release{Name: "kafka", Namespace: component.Namespace, Chart: "kafka", Outputs: outputs, Values: lab.Policed(map[string]any{
		"lab": lab.Name, "cluster": k.Cluster, "clusterID": lab.ClusterID(), "secret": component.Secret,
		"image":     map[string]any{"reference": Image(p), "pullPolicy": "IfNotPresent"},
		"superuser": k.Superuser, "nodesUser": component.NodesUser,
		"brokers": brokers, "controllers": Controllers(p),
		"listener":     listener(p, lab),
		"certificates": map[string]any{"brokers": kafkacertificates.Brokers(p), "clients": kafkacertificates.Clients(p), "issued": component.CertificatesIssued},
		"config":       config,
		"storage":      map[string]any{"size": Quantity(max(k.Brokers.Storage.Size, LeastStorage)), "class": cmp.Or(k.Brokers.Storage.Class, lab.StorageClass)},
		"antiAffinity": k.Brokers.AntiAffinity,
		"nodePool":     Pool(k.Brokers.NodePool),
	})}
	if certmanager.Wanted(p) {
		r.Values["tls"] = map[string]any{"secret": "${certificates.external}", "names": certmanager.Names(p, lab)}
		outputs["ca"], outputs["ca-file"] = "${authority.ca}", "${authority.ca-file}"
	}
	title := fmt.Sprintf("1 broker, id %d, of %s", k.Brokers.FirstID, Image(p))
	if n := k.Brokers.Count; n > 1 {
		title = fmt.Sprintf("%d brokers, ids %d to %d, of %s", n, k.Brokers.FirstID, int(k.Brokers.FirstID)+n-1, Image(p))
	}
	return r.Want(title,
		component.Rollout(5*time.Minute),
		plan.Gate{Name: GateAnswer, What: "every broker answers at its own address", Deadline: time.Minute})
}

// listener is how the external listener is reached.
func listener(p *profiles.Profile, lab component.Lab) map[string]any {
	l := map[string]any{"port": p.Kafka.Listener.Port}
	if metallb.Wanted(p) {
		l["type"], l["pool"], l["bootstrapAddress"] = "LoadBalancer", metallb.PoolName(p, lab), "${addresses.bootstrap}"
		if share := metallb.ShareKey(lab); share != "" {
			l["share"] = share
		}
	} else {
		l["bootstrapNodePort"] = nodeports.Bootstrap
	}
	return l
}

// LeastStorage is what a broker is given where the profile says nothing: 1 GiB.
const LeastStorage = 1 << 30

// Quantity writes bytes as Kubernetes does: in the largest unit that they are whole in.
func Quantity(bytes int64) string {
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"Ti", 1 << 40}, {"Gi", 1 << 30}, {"Mi", 1 << 20}} {
		if bytes%unit.bytes == 0 {
			return strconv.FormatInt(bytes/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(bytes, 10)
}

// Pool reads key=value and key=value:effect.
func Pool(n profiles.NodePool) map[string]any {
	out := map[string]any{"label": map[string]any{}, "taint": map[string]any{}}
	if key, value, ok := strings.Cut(n.Label, "="); ok {
		out["label"] = map[string]any{"key": key, "value": value}
	}
	if head, effect, ok := strings.Cut(n.Taint, ":"); ok {
		key, value, _ := strings.Cut(head, "=")
		out["taint"] = map[string]any{"key": key, "value": value, "effect": effect}
	}
	return out
}

// Probes gives the probes of the gates, as the superuser.
func Probes(s *secrets.Store) map[string]component.Probe {
	return map[string]component.Probe{GateAnswer: func(ctx context.Context, r component.Release) (bool, string, error) {
		superuser, _ := r.Values["superuser"].(string)
		var all []string
		for _, name := range slices.Sorted(maps.Keys(r.Outputs)) {
			if strings.HasPrefix(name, "broker.") {
				all = append(all, r.Outputs[name])
			}
		}
		answers := 0
		var last error
		for _, address := range append(all, r.Outputs["bootstrap"]) {
			login, err := s.Login(address, superuser)
			if err != nil {
				return false, "", err
			}
			if err := ask(ctx, login, all); err != nil {
				last = fmt.Errorf("%s: %w", address, err)
				continue
			}
			answers++
		}
		seen := fmt.Sprintf("%d of %d addresses answer", answers, len(all)+1)
		if last != nil {
			seen += "; " + last.Error()
		}
		return last == nil, seen, nil
	}}
}

// Answers asks whether a broker answers at one address, whatever it knows of others.
func Answers(ctx context.Context, login kafkaclient.Login) error {
	_, err := metadata(ctx, login)
	return err
}

func metadata(ctx context.Context, login kafkaclient.Login) (kadm.Metadata, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	client, err := kafkaclient.NewClient(login, kgo.RetryTimeout(time.Second), kgo.DialTimeout(time.Second))
	if err != nil {
		return kadm.Metadata{}, err
	}
	defer client.Close()
	return kadm.NewClient(client).BrokerMetadata(ctx)
}

// ask asks for the cluster's metadata at one address: all brokers announce theirs.
func ask(ctx context.Context, login kafkaclient.Login, want []string) error {
	meta, err := metadata(ctx, login)
	if err != nil {
		return err
	}
	var got []string
	for _, b := range meta.Brokers {
		got = append(got, fmt.Sprintf("%s:%d", b.Host, b.Port))
	}
	slices.Sort(got)
	want = slices.Clone(want)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("it knows the brokers %s, and not %s", strings.Join(got, " "), strings.Join(want, " "))
	}
	return nil
}
