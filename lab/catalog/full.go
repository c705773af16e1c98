package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/component/confluentregistry"
	"github.com/alertlab/alertlab/component/kafka"
	"github.com/alertlab/alertlab/component/kafkatopics"
	"github.com/alertlab/alertlab/component/kafkaui"
	"github.com/alertlab/alertlab/component/kafkausers"
	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/component/minio"
	"github.com/alertlab/alertlab/component/schemaregistry"
	"github.com/alertlab/alertlab/component/strimzi"
	"github.com/alertlab/alertlab/component/strimzikafka"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/content/buckets"
	"github.com/alertlab/alertlab/content/reservoir"
	"github.com/alertlab/alertlab/content/storeusers"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/deployer/steer"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/inprocess"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
)

// The stacks with operators.
const (
	FullStack    = "alerts"
	StrimziStack = "alerts-strimzi" // Kafka by Strimzi, everything else as in the light stack
)

// operated says whether a lab's Kafka is an operator's.
func operated(desc state.Description) bool {
	return desc.Provider != Embedded && slices.Contains([]string{FullStack, StrimziStack}, desc.Stack)
}

// operatorCharts are the charts of others that only stacks with operators have.
func operatorCharts(stack string) []string {
	switch stack {
	case FullStack:
		return []string{strimzi.Chart, confluentregistry.Chart, kafkaui.Chart}
	case StrimziStack:
		return []string{strimzi.Chart}
	}
	return nil
}

// fullEntries lists what only the full stack runs on Kubernetes.
func fullEntries() map[string]entry {
	brokers := func(c *cluster) plan.Part {
		probes := func(c *cluster) map[string]component.Probe { return kafka.Probes(c.Secrets) }
		return trusting{roused{c.released("kafka", probes, strimzikafka.Watched()), c.api}, c.Secrets.Trust}
	}
	return map[string]entry{
		"strimzi-crds/chart": {want: released(strimzi.WantDefinitions), inCluster: byHelm("strimzi", strimzi.Definitions())},
		"strimzi/chart":      {want: released(strimzi.WantOperator), inCluster: byHelm("strimzi", strimzi.Operator())},
		"kafka/strimzi-loadbalancer": {want: released(strimzikafka.WantBalanced), inCluster: brokers, choose: func(p *profiles.Profile, _ state.Description) string {
			if metallb.Wanted(p) {
				return "strimzi-loadbalancer"
			}
			return "strimzi-nodeport"
		}},
		"kafka/strimzi-nodeport":            {want: released(strimzikafka.WantNodePorts), inCluster: brokers},
		"kafka-users/strimzi-user-operator": {want: released(kafkausers.Want), inCluster: watched("kafka-users", kafkausers.Watched())},
		"kafka-topics/strimzi-topic-operator": {want: released(kafkatopics.Want), inCluster: func(c *cluster) plan.Part {
			return kafkatopics.Part{Release: c.released("kafka-topics", nil, kafkatopics.Watched()), Gone: c.gone}
		}},
		"object-store/minio":             {want: released(minio.Want), inCluster: deployed("object-store", asks(minio.Probes))},
		"buckets/s3-lifecycle":           {want: profile(buckets.WantExpiring), part: func(h *embedded.Host) plan.Part { return buckets.New(h.Secrets) }},
		"object-store-users/minio-admin": {want: profile(storeusers.Want), part: func(h *embedded.Host) plan.Part { return storeusers.New(h.Secrets) }},
		"registry-operator-crds/chart":   {want: released(confluentregistry.WantDefinitions), inCluster: byHelm("registry-operator", confluentregistry.Definitions())},
		"registry-operator/chart":        {want: released(confluentregistry.WantOperator), inCluster: byHelm("registry-operator", confluentregistry.Operator())},
		"schema-registry/strimzi-registry-operator": {want: released(confluentregistry.Want), inCluster: func(c *cluster) plan.Part {
			return revived{c.released("schema-registry", asks(schemaregistry.Probes), confluentregistry.Watched()), c.api}
		}},
		// The simulator's user has a certificate, which only the cluster has.
		"reservoir/by-superuser": {want: func(p *profiles.Profile, desc state.Description) plan.Want {
			return reservoir.By(p.Kafka.Superuser, inprocess.Entries()["reservoir/built-in"].Want(p, desc))
		}, part: inprocess.Entries()["reservoir/built-in"].Part},
		"kafka-ui/kafbat": {want: alone(released(kafkaui.Want)), inCluster: byHelm("kafka-ui", kafkaui.Watched())},
	}
}

// roused is the brokers of an operator, which is told of those that it has overlooked.
type roused struct {
	release
	api func() (*kube.Client, error)
}

// Observe implements plan.Part. Brokers that were halted with the lab do not come before
// somebody says so, whatever their operator said of them last.
func (p roused) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	o, err := p.release.Observe(ctx, look)
	if err != nil || o.State != plan.Present || o.Drift != "" {
		return o, err
	}
	r, err := helm.Applied(look)
	if err != nil {
		return o, err
	}
	client, err := p.api()
	if err != nil {
		return o, err
	}
	halted, err := steer.IsHalted(ctx, client, r.Namespace, clusterOf(r))
	if halted {
		o.Drift = "it is halted, as for a stop of the lab"
	}
	return o, err
}

// Apply implements plan.Part.
func (p roused) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	outputs, err := p.release.Apply(ctx, order)
	if err != nil || order.Action == plan.Create {
		return outputs, err
	}
	r, err := component.Read(order.Input)
	if err != nil {
		return nil, err
	}
	client, err := p.api()
	if err != nil {
		return nil, err
	}
	if resumed, err := steer.Resume(ctx, client, r.Namespace, clusterOf(r)); err != nil || resumed {
		return outputs, err // the operator fills the sets, and hears of that
	}
	return outputs, steer.Rouse(ctx, client, r.Namespace, clusterOf(r))
}

// clusterOf is the name of a release's Kafka.
func clusterOf(r component.Release) string {
	name, _ := r.Values["cluster"].(string)
	return name
}

// fitFull says why a profile cannot be run by the operators, nil when it can.
func fitFull(p *profiles.Profile, desc state.Description) error {
	if err := runsKafka(p, labOf(desc)); err != nil {
		return err
	}
	return kafkausers.Fit(p)
}

// runsKafka says why no Strimzi that carries our objects out runs a profile's Kafka, nil when
// one does.
func runsKafka(p *profiles.Profile, lab component.Lab) error {
	answer, err := upstream.Solve(p, lab)
	if err != nil {
		return fmt.Errorf("kafka.version: %w", err)
	}
	if answer.API != strimzikafka.API {
		return fmt.Errorf("kafka.version: Strimzi %s, which runs Kafka %s, serves the API %s of its resources, and those of this lab are written in %s", answer.Strimzi, answer.Kafka, answer.API, strimzikafka.API)
	}
	return nil
}

// absentInFull states what the full stack has nothing of that the profile names, and what
// it runs otherwise.
func absentInFull(p *profiles.Profile, desc state.Description) []string {
	k := p.Kafka
	out := upstream.Conceded(p, labOf(desc))
	if desc.Stack != FullStack {
		out = slices.DeleteFunc(out, func(s string) bool { return strings.HasPrefix(s, confluentregistry.Chart+":") })
	}
	add := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	here := desc.Provider != Existing // the cluster is this machine's
	add(metallb.Wanted(p) && here, "addresses are of this machine's own network, never the source's, and registry, alert database and object store have ports of a node")
	add(desc.Stack == FullStack && certified(p, desc) || certmanager.Wanted(p), "the issuer %s signs with the lab's own authority, not a public one: clients are told to trust it", certmanager.Issuer(p))
	add(k.Controllers.Count == 0 && k.Brokers.Count > 1, "there is one controller: the cluster does not outlive it")
	add(k.Brokers.Storage.Class != "" && here, "the storage class %s is local-path under that name: no capacity is enforced, and no volume grows", k.Brokers.Storage.Class)
	add(k.Brokers.Storage.Class != "" && !here, "the storage class %s is the cluster's own, or where it has none of that name, its default under that name", k.Brokers.Storage.Class)
	add(k.Controllers.Storage.Size > kafka.LeastStorage, "controllers ask for a volume of %s each, not of %s", kafka.Quantity(kafka.LeastStorage), kafka.Quantity(k.Controllers.Storage.Size))
	cpu := k.Brokers.Count*k.Brokers.Resources.Requests.CPU + k.Controllers.Count*k.Controllers.Resources.Requests.CPU
	memory := int64(k.Brokers.Count)*k.Brokers.Resources.Requests.Memory + int64(k.Controllers.Count)*k.Controllers.Resources.Requests.Memory
	add(cpu > 0, "brokers and controllers ask for what a small machine has, not for %d processors and %s in all", cpu, kafka.Quantity(memory))
	add(k.Brokers.AntiAffinity && here, "controllers may share nodes with brokers: all nodes are this machine")
	add(k.Brokers.AntiAffinity && !here, "controllers may share nodes with brokers")
	add(k.Brokers.NodePool != (profiles.NodePool{}) && !k.Brokers.AntiAffinity && here, "the pool of nodes is one node: all nodes are this machine")
	add(k.Listener.BootstrapHost != "" || p.Registry.Host != "", "host names of the source are not announced: brokers and registry are known by their addresses")
	add(p.AlertDatabase.Scope != "", "tokens with the scope %s are the lab's own (alertlab token add), not Gafaelfawr's", p.AlertDatabase.Scope)
	add(desc.Stack != FullStack && p.Registry.Replicas > 1, "one registry runs, not %d", p.Registry.Replicas)
	add(p.NetworkPolicies, "NetworkPolicies are of the lab's own pods, those of operators have their operators' or none, and the cluster's network says whether any is enforced")
	add(slices.ContainsFunc(k.Topics, func(t profiles.Topic) bool { return int(t.Replicas) > k.Brokers.Count }),
		"topics have as many copies as there are brokers at most")
	return out
}

// goneTime bounds how long an operator may take to let go of an object.
const goneTime = 2 * time.Minute

// gone waits until an object is not there.
func (c *cluster) gone(ctx context.Context, object kube.Ref) error {
	client, err := c.api()
	if err != nil {
		return err
	}
	bound, cancel := context.WithTimeout(ctx, goneTime)
	defer cancel()
	return client.WaitGone(bound, object)
}
