package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/alertdatabase"
	"github.com/alertlab/alertlab/component/confluentregistry"
	"github.com/alertlab/alertlab/component/ingress"
	"github.com/alertlab/alertlab/component/kafka"
	"github.com/alertlab/alertlab/component/kafkatopics"
	"github.com/alertlab/alertlab/component/kafkaui"
	"github.com/alertlab/alertlab/component/kafkausers"
	"github.com/alertlab/alertlab/component/minio"
	"github.com/alertlab/alertlab/component/schemaregistry"
	"github.com/alertlab/alertlab/component/simulator"
	"github.com/alertlab/alertlab/component/strimzi"
	"github.com/alertlab/alertlab/component/strimzikafka"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/lab/versions"
	"github.com/alertlab/alertlab/profiles"
)

// FullStack is the stack with operators.
const FullStack = "alerts"

// labOf says of a lab what components need to know.
func labOf(desc state.Description) component.Lab {
	return component.Lab{Name: desc.Name, Image: desc.Cluster.Image, Bundle: desc.Cluster.Bundle, Kubernetes: versions.Kubernetes(desc.Cluster.NodeImage)}
}

// certified adapts what logs in to Kafka by certificate.
func certified(want func(*profiles.Profile, component.Lab) plan.Want) func(*profiles.Profile, state.Description) plan.Want {
	return func(p *profiles.Profile, desc state.Description) plan.Want {
		lab := labOf(desc)
		lab.Certificates = true
		return want(p, lab)
	}
}

// fullEntries lists what only the full stack runs on Kubernetes.
func fullEntries() map[string]entry {
	return map[string]entry{
		"strimzi-crds/chart": {want: released(strimzi.WantDefinitions), inCluster: byHelm("strimzi", nil)},
		"strimzi/chart":      {want: released(strimzi.WantOperator), inCluster: byHelm("strimzi", nil)},
		"kafka/strimzi": {want: released(strimzikafka.WantNodePorts), inCluster: byHelm("kafka", func(c *cluster) map[string]component.Probe {
			return kafka.Probes(c.Secrets)
		})},
		"kafka-users/strimzi-user-operator": {
			want: func(p *profiles.Profile, desc state.Description) plan.Want {
				return kafkausers.Want(p, labOf(desc), desc.Overlay.Passwords)
			},
			inCluster: byHelm("kafka-users", nil)},
		"kafka-topics/strimzi-topic-operator": {want: released(kafkatopics.Want), inCluster: func(c *cluster) plan.Part {
			deployed := byHelm("kafka-topics", nil)(c).(*helm.Part)
			return kafkatopics.Part{Part: deployed, Waiter: deployed, Gone: func(ctx context.Context, apiVersion, kind, namespace, name string) error {
				client, err := c.api()
				if err != nil {
					return err
				}
				return client.WaitGone(ctx, kube.RefTo(apiVersion, kind, namespace, name))
			}}
		}},
		"object-store/minio":                        {want: released(minio.Want), inCluster: byHelm("object-store", asks(minio.Probes))},
		"registry-operator-crds/chart":              {want: released(confluentregistry.WantDefinitions), inCluster: byHelm("registry-operator", nil)},
		"registry-operator/chart":                   {want: released(confluentregistry.WantOperator), inCluster: byHelm("registry-operator", nil)},
		"schema-registry/strimzi-registry-operator": {want: released(confluentregistry.Want), inCluster: byHelm("schema-registry", asks(schemaregistry.Probes))},
		"alert-database-ingester/built-in-pod-mtls": {want: certified(alertdatabase.WantIngester), inCluster: byHelm("alert-database-ingester", nil)},
		"simulator/built-in-pod-mtls":               {want: certified(simulator.Want), inCluster: byHelm("simulator", nil)},
		"ingress-controller/ingress-nginx":          {want: released(ingress.WantController), inCluster: byHelm("ingress-controller", nil)},
		"ingresses/ingress":                         {want: released(ingress.Want), inCluster: byHelm("ingresses", nil)},
		"kafka-ui/kafbat":                           {want: released(kafkaui.Want), inCluster: byHelm("kafka-ui", nil)},
	}
}

// outsideImages lists the images of others that a profile's lab on Kubernetes runs.
func outsideImages(p *profiles.Profile, desc state.Description) []string {
	if desc.Stack != FullStack {
		return []string{kafka.Image(p)}
	}
	lab := labOf(desc)
	images := []string{strimzi.OperatorImage(p, lab), strimzi.KafkaImage(p, lab), confluentregistry.OperatorImage(p, lab), confluentregistry.Image(), minio.Image()}
	images = append(images, upstream.Images("ingress-nginx")...)
	return append(images, upstream.Images("kafka-ui")...)
}

// missingCharts lists the charts of others that a lab's bundle lacks.
func missingCharts(desc state.Description) ([]string, error) {
	w, err := Wanted(desc)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Open(desc.Cluster.Bundle)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	var missing []string
	for _, want := range w.Parts {
		r, err := component.Read(want.Input)
		if err != nil || r.Outside == nil {
			continue
		}
		chart := "chart " + r.Chart + " " + r.Version
		has := slices.ContainsFunc(b.Charts(), func(c bundle.Chart) bool { return c.Name == r.Chart && c.Version == r.Version })
		if !has && !slices.Contains(missing, chart) {
			missing = append(missing, chart)
		}
	}
	slices.Sort(missing)
	return missing, nil
}

// fitFull says why a profile cannot be run by the operators, nil when it can.
func fitFull(p *profiles.Profile, desc state.Description) error {
	answer, err := upstream.Solve(p, labOf(desc))
	if err != nil {
		return fmt.Errorf("kafka.version: %w", err)
	}
	if answer.API != strimzikafka.API {
		return fmt.Errorf("kafka.version: Strimzi %s, which runs Kafka %s, serves the API %s of its resources, and those of this lab are written in %s", answer.Strimzi, answer.Kafka, answer.API, strimzikafka.API)
	}
	return kafkausers.Fit(p)
}

// absentInFull states what the full stack on k3d has nothing of that the profile names,
// and what it runs otherwise.
func absentInFull(p *profiles.Profile, desc state.Description) []string {
	k := p.Kafka
	out := upstream.Conceded(p, labOf(desc))
	add := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(k.Listener.Type != "nodeport", "every broker has a port of a node's address, not an address of its own with port %d", k.Listener.Port)
	add(k.Controllers.Count == 0 && k.Brokers.Count > 1, "there is one controller: the cluster does not outlive it")
	add(k.Brokers.Storage.Class != "", "the storage class %s is local-path under that name: no capacity is enforced, and no volume grows", k.Brokers.Storage.Class)
	add(k.Controllers.Storage.Size > kafka.LeastStorage, "controllers ask for a volume of %s each, not of %s", kafka.Quantity(kafka.LeastStorage), kafka.Quantity(k.Controllers.Storage.Size))
	cpu := k.Brokers.Count*k.Brokers.Resources.Requests.CPU + k.Controllers.Count*k.Controllers.Resources.Requests.CPU
	memory := int64(k.Brokers.Count)*k.Brokers.Resources.Requests.Memory + int64(k.Controllers.Count)*k.Controllers.Resources.Requests.Memory
	add(cpu > 0, "brokers and controllers ask for what a small machine has, not for %d processors and %s in all", cpu, kafka.Quantity(memory))
	add(k.Brokers.AntiAffinity, "controllers may share nodes with brokers: all nodes are this machine")
	add(k.Brokers.NodePool != (profiles.NodePool{}) && !k.Brokers.AntiAffinity, "the pool of nodes is one node: all nodes are this machine")
	add(k.Listener.BootstrapHost != "" || p.Registry.Host != "", "host names of the source are not announced: brokers and registry are known by their addresses")
	add(p.AlertDatabase.Scope != "", "the alert database asks for no token with the scope %s", p.AlertDatabase.Scope)
	add(slices.ContainsFunc(k.Topics, func(t profiles.Topic) bool { return int(t.Replicas) > k.Brokers.Count }),
		"topics have as many copies as there are brokers at most")
	return out
}
