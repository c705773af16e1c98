package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/confluentregistry"
	"github.com/alertlab/alertlab/component/strimzi"
	"github.com/alertlab/alertlab/component/strimzikafka"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/deployer/steer"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/lab/versions"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/existing"
)

// operatorEntries lists the operators of a lab on a cluster that was there, which may have
// them already.
func operatorEntries() map[string]entry {
	return map[string]entry{
		"strimzi-crds/found-or-helm":           {want: brought(running(strimzi.WantDefinitions)), inCluster: shared("strimzi-crds", strimzi.Definitions())},
		"strimzi/found-or-helm":                {want: brought(running(strimzi.WantOperator)), inCluster: shared("strimzi", strimzi.Operator())},
		"registry-operator-crds/found-or-helm": {want: brought(released(confluentregistry.WantDefinitions)), inCluster: shared("registry-operator-crds", confluentregistry.Definitions())},
		"registry-operator/found-or-helm":      {want: brought(released(confluentregistry.WantOperator)), inCluster: shared("registry-operator", confluentregistry.Operator())},
	}
}

// running is what is wanted of an operator, with the version of Kafka that it has to run.
func running(want func(*profiles.Profile, component.Lab) plan.Want) func(*profiles.Profile, state.Description) plan.Want {
	return func(p *profiles.Profile, desc state.Description) plan.Want {
		return revised(released(want)(p, desc), func(r *component.Release) { r.Runs = upstream.Of(p, labOf(desc)).Kafka })
	}
}

// ofStrimzi are its definitions that a lab has objects of, or whose objects it looks at.
var ofStrimzi = []string{"kafkas.kafka.strimzi.io", "kafkanodepools.kafka.strimzi.io", "kafkatopics.kafka.strimzi.io", "kafkausers.kafka.strimzi.io", "strimzipodsets.core.strimzi.io"}

// operatesClusters tells Strimzi's cluster operator from the operators of topics and users,
// which are of the same image, and of which every Kafka has some: it alone is told the images
// of Kafka, and does not start without.
func operatesClusters(c existing.Controller) bool {
	_, told := c.Env["STRIMZI_KAFKA_IMAGES"]
	return told
}

// suitsKafka looks whether a Strimzi carries the lab's objects out, and runs its Kafka. The
// names are those of the operator's environment in upstream's chart.
func suitsKafka(version string) func(existing.Controller) (why, next string) {
	return func(c existing.Controller) (why, next string) {
		for _, name := range ofStrimzi {
			if !slices.Contains(c.Served[name], strimzikafka.API) {
				return fmt.Sprintf("does not serve %s of %s", strimzikafka.API, name), "upgrade it to 0.49 or newer, or: alertlab up --stack alerts-light"
			}
		}
		watched := strings.FieldsFunc(c.Env["STRIMZI_NAMESPACE"], func(r rune) bool { return r == ',' || r == ' ' })
		if !slices.Contains(watched, component.Namespace) && !slices.Contains(watched, "*") {
			return "does not look at the namespace " + component.Namespace + ", but at " + strings.Join(watched, ", "),
				"have it look there too: watchNamespaces or watchAnyNamespace of its chart; or: alertlab up --stack alerts-light"
		}
		if only := c.Env["STRIMZI_CUSTOM_RESOURCE_SELECTOR"]; only != "" {
			return "looks at objects with the labels " + only + " alone, which the lab's have not", "take its STRIMZI_CUSTOM_RESOURCE_SELECTOR away, or: alertlab up --stack alerts-light"
		}
		var runs []string
		for _, pair := range strings.Fields(c.Env["STRIMZI_KAFKA_IMAGES"]) {
			v, _, _ := strings.Cut(pair, "=")
			runs = append(runs, v)
		}
		if len(runs) > 0 && !slices.Contains(runs, version) {
			return fmt.Sprintf("does not run Kafka %s, but %s", version, strings.Join(runs, ", ")), "write kafka.version: \"" + runs[len(runs)-1] + "\" in a copy of the profile: alertlab profile show > mine.yaml; or: alertlab up --stack alerts-light"
		}
		return "", ""
	}
}

// unserved says why no Strimzi that a lab would bring runs on a cluster, nil where one does or
// somebody's is there.
func unserved(p *profiles.Profile, desc state.Description, s *existing.Survey) error {
	if !operated(desc) || slices.ContainsFunc(s.Shared, func(f existing.Found) bool { return f.Key == "strimzi" && f.There }) {
		return nil
	}
	lab := labOf(desc)
	lab.Kubernetes = versions.Kubernetes(":" + s.Version)
	return runsKafka(p, lab)
}

// ofRegistries are the definitions of strimzi-registry-operator.
var ofRegistries = []string{"strimzischemaregistries.roundtable.lsst.codes"}

// suitsRegistries looks whether a strimzi-registry-operator carries the lab's object out: one
// of it is for one Kafka cluster (its handlers, which read their environment). Whoever has
// no Kafka in mind gives "".
func suitsRegistries(kafka string) func(existing.Controller) (why, next string) {
	return func(c existing.Controller) (why, next string) {
		const or = "; or: alertlab up --stack alerts-strimzi"
		if !slices.Contains(c.Served[ofRegistries[0]], "v1beta1") {
			return "does not serve roundtable.lsst.codes/v1beta1", "upgrade it" + or
		}
		if c.Older("0.7.0") {
			return "asks for objects of kafka.strimzi.io/v1beta2, which no Strimzi of ours serves", "upgrade it to 0.7 or newer" + or
		}
		if of := c.Env["SSR_CLUSTER_NAME"]; kafka != "" && of != "" && of != kafka {
			return "is for the Kafka cluster " + of, "have it be for " + kafka + ": clusterName of its chart" + or
		}
		if in := c.Env["SSR_NAMESPACE"]; in != "" && in != component.Namespace {
			return "looks at the namespace " + in + " alone", "have it look at " + component.Namespace + ": clusterNamespace of its chart" + or
		}
		return "", ""
	}
}

// alone is a release of others' chart that is the lab's alone, in the lab's namespace: on a
// cluster that others use too, its objects carry the lab's label.
func alone(want func(*profiles.Profile, state.Description) plan.Want) func(*profiles.Profile, state.Description) plan.Want {
	return func(p *profiles.Profile, desc state.Description) plan.Want {
		w := want(p, desc)
		if desc.Provider != Existing {
			return w
		}
		return revised(w, func(r *component.Release) { r.Owner, r.Registry = desc.Name, desc.Cluster.Registry })
	}
}

// revived is a registry whose Deployment its operator made, and does not scale back after a
// stop: it looks at a new object, and at another certificate.
type revived struct {
	release
	api func() (*kube.Client, error)
}

// Observe implements plan.Part.
func (p revived) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	o, err := p.release.Observe(ctx, look)
	if err != nil || o.State != plan.Present || o.Drift != "" {
		return o, err
	}
	client, err := p.api()
	if err != nil {
		return o, err
	}
	stopped, err := client.IsStopped(ctx, component.Namespace, confluentregistry.Pods)
	if stopped {
		o.Drift = "it is scaled to zero"
	}
	return o, err
}

// Apply implements plan.Part.
func (p revived) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	outputs, err := p.release.Apply(ctx, order)
	if err != nil {
		return outputs, err
	}
	client, err := p.api()
	if err != nil {
		return outputs, err
	}
	return outputs, client.ScaleBack(ctx, component.Namespace, confluentregistry.Pods)
}

// operators is what operators run of a lab on a cluster that was there.
type operators struct{ lab string }

// objects lists those of a lab that operators work on, and the names of its Kafkas.
func (o operators) objects(ctx context.Context, client *kube.Client) (all []kube.Found, kafkas []string, err error) {
	all, _, err = client.Labelled(ctx, existing.Selector(o.lab), component.Namespace)
	all = slices.DeleteFunc(all, func(f kube.Found) bool { return f.Kind.Group != "kafka.strimzi.io" })
	for _, f := range all {
		if f.Kind.Kind == "Kafka" {
			kafkas = append(kafkas, f.Name)
		}
	}
	return all, kafkas, err
}

// Halt implements existing.Operated.
func (o operators) Halt(ctx context.Context, client *kube.Client, say func(string)) error {
	if err := client.ScaleToZero(ctx, component.Namespace, confluentregistry.Pods, say); err != nil {
		return err
	}
	_, names, err := o.objects(ctx, client)
	if err != nil || len(names) == 0 {
		return err
	}
	own, _, err := client.Workloads(ctx, strimzi.Namespace, kube.LabelBrought+","+existing.Selector(o.lab))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := steer.Halt(ctx, client, component.Namespace, name, own == 0, say); err != nil {
			return err
		}
	}
	return nil
}

// letGoTime is how long the topic operator may take to let go of all topics.
const letGoTime = time.Minute

// Dissolve implements existing.Operated: topics and users go while their operator runs,
// which is of the Kafka's own pods, and then the Kafka; its pods and all that was made for it
// go with it.
func (o operators) Dissolve(ctx context.Context, client *kube.Client, say func(string)) error {
	all, names, err := o.objects(ctx, client)
	if err != nil {
		return err
	}
	of := func(kinds ...string) []kube.Found {
		return slices.DeleteFunc(slices.Clone(all), func(f kube.Found) bool { return !slices.Contains(kinds, f.Kind.Kind) })
	}
	patience := time.Duration(0)
	for _, name := range names {
		pods, err := client.Pods(ctx, component.Namespace, "strimzi.io/cluster="+name)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(pods, func(p kube.Pod) bool { return p.Ready && strings.HasPrefix(p.Name, name+"-entity-operator-") }) {
			patience = letGoTime
		}
	}
	theirs := []string{"strimzi.io/"}
	if err := client.Dissolve(ctx, of("KafkaTopic", "KafkaUser"), patience, theirs, say); err != nil {
		return err
	}
	return client.Dissolve(ctx, of("Kafka", "KafkaNodePool"), letGoTime, nil, say)
}

var _ existing.Operated = operators{}
