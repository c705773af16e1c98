package catalog

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/alertdatabase"
	"github.com/alertlab/alertlab/component/credentials"
	"github.com/alertlab/alertlab/component/kafka"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/component/objectstore"
	"github.com/alertlab/alertlab/component/registryfront"
	"github.com/alertlab/alertlab/component/schemaregistry"
	"github.com/alertlab/alertlab/component/simulator"
	"github.com/alertlab/alertlab/component/storageclasses"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/internal/ownimage"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
	"github.com/alertlab/alertlab/provider/embedded/loopback"
	"github.com/alertlab/alertlab/provider/k3d"
)

// cluster is what the parts of a lab on Kubernetes have in common.
type cluster struct {
	*embedded.Host
	engine *k3d.Docker

	mu         sync.Mutex
	kubeconfig []byte // that client was made of
	client     *kube.Client
}

func newCluster(h *embedded.Host, desc state.Description) *cluster {
	c := &cluster{Host: h}
	if desc.Provider == K3d {
		c.engine = &k3d.Docker{Log: h.Log("cluster")}
	}
	return c
}

// api gives the cluster's API by the kubeconfig that the lab has at this moment.
func (c *cluster) api() (*kube.Client, error) {
	kubeconfig, err := os.ReadFile(c.Dir.Kubeconfig())
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil || !bytes.Equal(c.kubeconfig, kubeconfig) {
		client, err := kube.New(kubeconfig)
		if err != nil {
			return nil, err
		}
		c.client, c.kubeconfig = client, kubeconfig
	}
	return c.client, nil
}

// byHelm makes the part of a release; name is its log.
func byHelm(name string, probes func(*cluster) map[string]component.Probe) func(*cluster) plan.Part {
	return func(c *cluster) plan.Part {
		log := c.Log(name)
		p := &helm.Part{Say: func(line string) { log.Info(line) }, Hear: func(pod, line string) { log.Info(line, "pod", pod) }, Open: func() (helm.Target, error) {
			client, err := c.api()
			return helm.Cluster{Client: client}, err
		}}
		if probes != nil {
			p.Probes = probes(c)
		}
		return p
	}
}

// asks adapts probes that need nothing of the lab.
func asks(probes func() map[string]component.Probe) func(*cluster) map[string]component.Probe {
	return func(*cluster) map[string]component.Probe { return probes() }
}

// released adapts what is wanted as a release.
func released(want func(*profiles.Profile, component.Lab) plan.Want) func(*profiles.Profile, state.Description) plan.Want {
	return func(p *profiles.Profile, desc state.Description) plan.Want {
		return want(p, labOf(desc))
	}
}

// clusterEntries lists what runs on Kubernetes, by "component/implementation".
func clusterEntries() map[string]entry {
	table := map[string]entry{
		"cluster/k3d": {
			want: func(p *profiles.Profile, desc state.Description) plan.Want {
				return k3d.Want(p, desc.Name, desc.Cluster.NodeImage)
			},
			inCluster: func(c *cluster) plan.Part {
				return &k3d.Cluster{Lab: c.Dir.Lab(), Kubeconfig: c.Dir.Kubeconfig(), Engine: c.engine}
			}},
		"images/node-import": {
			want: func(p *profiles.Profile, desc state.Description) plan.Want {
				return k3d.WantImages(desc.Cluster.Image, desc.Cluster.Bundle, outsideImages(p, desc))
			},
			inCluster: func(c *cluster) plan.Part {
				return &k3d.Images{Executable: c.Executable, Nodes: func(ctx context.Context) ([]bundle.Node, error) {
					return c.engine.Nodes(ctx, k3d.Name(c.Dir.Lab()))
				}}
			}},
		"credentials/secret": {want: released(credentials.Want), inCluster: func(c *cluster) plan.Part {
			return credentials.New(c.Secrets, func() (credentials.API, error) {
				client, err := c.api()
				if err != nil {
					return nil, err
				}
				return client.Clientset, nil
			})
		}},
		"storage-classes/local-path": {want: released(storageclasses.Want), inCluster: byHelm("storage-classes", nil)},
		"addresses/node-ports":       {want: profile(nodeports.Want), part: func(*embedded.Host) plan.Part { return nodeports.New() }},
		"kafka/apache-kafka": {want: released(kafka.Want), inCluster: byHelm("kafka", func(c *cluster) map[string]component.Probe {
			return kafka.Probes(c.Secrets)
		})},
		"object-store/versitygw-pod":           {want: released(objectstore.Want), inCluster: byHelm("object-store", asks(objectstore.Probes))},
		"schema-registry/built-in-pod":         {want: released(schemaregistry.Want), inCluster: byHelm("schema-registry", asks(schemaregistry.Probes))},
		"registry-front/built-in-pod":          {want: released(registryfront.Want), inCluster: byHelm("registry-front", asks(registryfront.Probes))},
		"alert-database-ingester/built-in-pod": {want: released(alertdatabase.WantIngester), inCluster: byHelm("alert-database-ingester", nil)},
		"alert-database-server/built-in-pod":   {want: released(alertdatabase.WantServer), inCluster: byHelm("alert-database-server", asks(alertdatabase.Probes))},
		"simulator/built-in-pod":               {want: released(simulator.Want), inCluster: byHelm("simulator", nil)},
	}
	maps.Copy(table, fullEntries())
	return table
}

// afar is content of a place that may be away while its part is there: a broker that
// Kubernetes starts again. What cannot be looked at is unknown until the place runs; the
// plan decides whether anything that it does makes it run.
type afar struct{ plan.Part }

// Observe implements plan.Part.
func (a afar) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	o, err := a.Part.Observe(ctx, look)
	if err != nil && look.Want.Behind != "" {
		return plan.Observation{State: plan.Unknown, Until: look.Want.Behind, Why: err.Error()}, nil
	}
	return o, err
}

// fit says why a profile cannot be a lab on a provider, nil when it can.
func fit(p *profiles.Profile, desc state.Description) error {
	if desc.Provider == Embedded {
		return loopback.Fit(p)
	}
	if p.Kafka.Listener.TLS {
		// Certificates come with cert-manager, which this build does not bring.
		return fmt.Errorf("kafka.listener.tls is true, and brokers on Kubernetes have no certificates yet")
	}
	if err := nodeports.Fit(p); err != nil {
		return err
	}
	if desc.Stack == FullStack {
		if err := fitFull(p, desc); err != nil {
			return err
		}
	}
	return credentials.Fit(p)
}

// Check looks, before anything is begun, at what a lab on Kubernetes needs of this
// machine: a program that an image can hold, and a bundle with every image.
func Check(desc state.Description, executable string) error {
	if desc.Provider == Embedded {
		return nil
	}
	if err := ownimage.Static(executable); err != nil {
		return fault.Wrap(fault.BadInput, "this program cannot run in pods", err, "make build")
	}
	if desc.Cluster.Bundle == "" {
		return nil
	}
	return checkBundle(desc)
}

// checkBundle looks whether a lab's bundle has every image and chart of others.
func checkBundle(desc state.Description) error {
	p, _, err := profileOf(desc)
	if err != nil {
		return err
	}
	missing, err := k3d.Missing(desc.Cluster.Bundle, outsideImages(p, desc))
	if err != nil {
		return fault.Wrap(fault.BadInput, "the bundle cannot be used", err, "alertlab up --bundle FILE")
	}
	what := "the bundle lacks images"
	absent, err := missingCharts(desc)
	if err != nil {
		return err
	}
	if len(absent) > 0 {
		what = "the bundle lacks images and charts"
	}
	if missing = append(missing, absent...); len(missing) > 0 {
		return fault.New(fault.StepFailed, what, desc.Cluster.Bundle+" has no "+strings.Join(missing, ", "), "alertlab up --bundle FILE   # another one")
	}
	return nil
}

// Left lists what there still is of a lab outside its directory.
func Left(ctx context.Context, desc state.Description) ([]string, error) {
	if desc.Provider != K3d {
		return nil, nil
	}
	return (&k3d.Docker{}).Left(ctx, k3d.Name(desc.Name))
}

// absentInCluster states what a light lab on Kubernetes has nothing of that the
// profile names.
func absentInCluster(p *profiles.Profile) []string {
	k := p.Kafka
	out := []string{
		"services log in with SCRAM at the internal listener 9092, not with client certificates, and there is no listener 9093",
		"nodes log in at each other with a password, and nothing inside the cluster is encrypted",
	}
	add := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(k.Listener.Type != "nodeport", "every broker has a port of a node's address, not an address of its own with port %d", k.Listener.Port)
	add(k.Controllers.Count > 0, "there are no controllers of their own: %d of the brokers are controllers too", kafka.Controllers(p))
	add(k.Brokers.Storage.Class != "", "the storage class %s is local-path under that name: no capacity is enforced, and no volume grows", k.Brokers.Storage.Class)
	add(k.Brokers.Resources != (profiles.Resources{}), "brokers ask for what a small machine has, not for what the profile says")
	add(k.Brokers.NodePool != (profiles.NodePool{}) && !k.Brokers.AntiAffinity, "the pool of nodes is one node: all nodes are this machine")
	add(k.Listener.BootstrapHost != "" || p.Registry.Host != "", "host names of the source are not announced: brokers and registry are known by their addresses")
	add(p.Registry.Replicas > 1, "one registry runs, not %d", p.Registry.Replicas)
	add(p.AlertDatabase.Scope != "", "the alert database asks for no token with the scope %s", p.AlertDatabase.Scope)
	add(p.AlertDatabase.PurgeAfterDays > 0, "stored alerts are not deleted after %d days: alertlab down --purge deletes them", p.AlertDatabase.PurgeAfterDays)
	add(slices.ContainsFunc(k.Topics, func(t profiles.Topic) bool { return int(t.Replicas) > k.Brokers.Count }),
		"topics have as many copies as there are brokers at most")
	return out
}
