package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/alertdatabase"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/component/confluentregistry"
	"github.com/alertlab/alertlab/component/credentials"
	"github.com/alertlab/alertlab/component/kafka"
	"github.com/alertlab/alertlab/component/kafkacertificates"
	"github.com/alertlab/alertlab/component/kafkaui"
	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/component/minio"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/component/objectstore"
	"github.com/alertlab/alertlab/component/registryfront"
	"github.com/alertlab/alertlab/component/schemaregistry"
	"github.com/alertlab/alertlab/component/simulator"
	"github.com/alertlab/alertlab/component/storageclasses"
	"github.com/alertlab/alertlab/component/strimzi"
	argo "github.com/alertlab/alertlab/deployer/argocd"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/internal/ownimage"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/lab/versions"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
	"github.com/alertlab/alertlab/provider/embedded/loopback"
	"github.com/alertlab/alertlab/provider/existing"
	"github.com/alertlab/alertlab/provider/k3d"
	"github.com/alertlab/alertlab/provider/kind"
	"github.com/alertlab/alertlab/provider/nodes"
)

// cluster is what the parts of a lab on Kubernetes have in common.
type cluster struct {
	*embedded.Host
	engine *k3d.Docker  // of a lab on k3d, else nil
	kind   *kind.Docker // of a lab on kind, else nil

	argo *argo.Session // nil where Argo CD does not deploy

	source existing.Source // of a lab on a cluster that was there
	adopt  bool

	mu         sync.Mutex
	kubeconfig []byte // that client was made of
	client     *kube.Client
}

func newCluster(h *embedded.Host, desc state.Description) *cluster {
	c := &cluster{Host: h, source: source(desc), adopt: desc.Cluster.Adopt}
	switch desc.Provider {
	case K3d:
		c.engine = &k3d.Docker{Log: h.Log("cluster"), Bundle: desc.Cluster.Bundle}
	case Kind:
		c.kind = &kind.Docker{Log: h.Log("cluster")}
	}
	if desc.Cluster.Deployer == ArgoCD {
		c.argo = c.session()
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

// bundle is the file that the lab takes images and charts of, "" for none.
func (c *cluster) bundle() (string, error) {
	desc, err := c.Dir.Describe()
	return desc.Cluster.Bundle, err
}

// lastWritten gives when a log was written to last; never is the zero time.
func lastWritten(log string) func() time.Time {
	return func() time.Time {
		info, err := os.Stat(log)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
}

// deployed makes the part of a release of ours, by the lab's deployer; name is its log.
func deployed(name string, probes func(*cluster) map[string]component.Probe) func(*cluster) plan.Part {
	return gated(name, probes, nil)
}

// watched is deployed, of a release with gates that objects open.
func watched(name string, objects map[string]component.Objects) func(*cluster) plan.Part {
	return gated(name, nil, objects)
}

// gated is deployed, of a release with gates of both kinds.
func gated(name string, probes func(*cluster) map[string]component.Probe, objects map[string]component.Objects) func(*cluster) plan.Part {
	return func(c *cluster) plan.Part { return c.released(name, probes, objects) }
}

// release is the part of one, by either deployer.
type release interface {
	plan.Part
	plan.Waiter
	runner.Attender
	Activity() event.Activity
}

func (c *cluster) released(name string, probes func(*cluster) map[string]component.Probe, objects map[string]component.Objects) release {
	if c.argo != nil {
		p := c.byArgoCD(name, probes)
		p.Watched = objects
		return p
	}
	p := c.byHelm(name, probes)
	p.Watched = objects
	return p
}

// byHelm makes the part of a release that Helm brings.
func (c *cluster) byHelm(name string, probes func(*cluster) map[string]component.Probe) *helm.Part {
	log := c.Log(name)
	p := &helm.Part{Say: func(line string) { log.Info(line) }, Fetch: helm.FromBundle(c.bundle)}
	p.Open = func() (helm.Target, error) {
		client, err := c.api()
		return helm.Cluster{Client: client}, err
	}
	p.Hear, p.Since = func(pod, line string) { log.Info(line, "pod", pod) }, lastWritten(c.Dir.Log(name))
	if probes != nil {
		p.Probes = probes(c)
	}
	return p
}

// byHelm makes the part of a release of others' charts, which Helm brings under every
// deployer: Argo CD's registry of charts has ours. objects open its gates, if any do.
func byHelm(name string, objects map[string]component.Objects) func(*cluster) plan.Part {
	return func(c *cluster) plan.Part {
		p := c.byHelm(name, nil)
		p.Watched = objects
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
		lab := labOf(desc)
		lab.NetworkPolicies = p.NetworkPolicies
		lab.Passwords, lab.Tokens = desc.Overlay.Passwords, desc.Overlay.AllTokens(p)
		return want(p, lab)
	}
}

// labOf is what components need to know of a lab.
func labOf(desc state.Description) component.Lab {
	lab := component.Lab{Name: desc.Name, Image: desc.Cluster.Image, StorageClass: desc.Cluster.StorageClass,
		Ingress: ingressOf(desc).String(), IngressAddress: desc.Cluster.IngressAddress, Guest: desc.Provider == Existing, Operators: operated(desc), StoreExpires: desc.Stack == FullStack, StoreUsers: desc.Stack == FullStack, ArgoCD: desc.Cluster.Deployer == ArgoCD, RealAddresses: desc.Cluster.RealAddresses, Kubernetes: versions.Kubernetes(desc.Cluster.NodeImage)}
	for _, c := range desc.Cluster.Charts {
		if u, ok := charts.Pinned(c.Name); ok {
			u.Version, u.AppVersion = c.Version, c.AppVersion
			if len(c.Images) > 0 {
				u.Images = c.Images
			}
			lab.Charts = append(lab.Charts, u)
		}
	}
	return lab
}

// clusterEntries lists what runs on Kubernetes, by "component/implementation".
func clusterEntries() map[string]entry {
	return map[string]entry{
		"cluster/k3d": {
			want: func(p *profiles.Profile, desc state.Description) plan.Want {
				return k3d.Want(p, desc.Name, desc.Cluster.NodeImage)
			},
			inCluster: func(c *cluster) plan.Part {
				return k3d.New(c.Dir.Lab(), c.Dir.Kubeconfig(), c.engine)
			}},
		"images/node-import": {
			want: func(p *profiles.Profile, desc state.Description) plan.Want {
				return nodes.WantImages(desc.Cluster.Image, desc.Cluster.Bundle, images(p, desc))
			},
			inCluster: func(c *cluster) plan.Part {
				return &nodes.Images{Executable: c.Executable, Nodes: c.nodes}
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
		"storage-classes/local-path":           {want: released(storageclasses.Want), inCluster: deployed("storage-classes", nil)},
		"object-store/versitygw-pod":           {want: released(objectstore.Want), inCluster: deployed("object-store", asks(objectstore.Probes))},
		"schema-registry/built-in-pod":         {want: released(schemaregistry.Want), inCluster: deployed("schema-registry", asks(schemaregistry.Probes))},
		"registry-front/built-in-pod":          {want: released(registryfront.Want), inCluster: deployed("registry-front", asks(registryfront.Probes))},
		"alert-database-ingester/built-in-pod": {want: released(alertdatabase.WantIngester), inCluster: deployed("alert-database-ingester", nil)},
		"alert-database-server/built-in-pod":   {want: released(alertdatabase.WantServer), inCluster: deployed("alert-database-server", asks(alertdatabase.Probes))},
		"simulator/built-in-pod":               {want: released(simulator.Want), inCluster: player},
	}
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

// images lists the images of others that a profile's lab on Kubernetes runs.
func images(p *profiles.Profile, desc state.Description) []string {
	list := []string{kafka.Image(p)}
	if operated(desc) {
		list = []string{strimzi.KafkaImage(p, labOf(desc))}
	}
	if desc.Stack == FullStack {
		list = append(list, confluentregistry.Image(), minio.Image())
	}
	if desc.Provider == Existing {
		if desc.Stack == FullStack {
			list = append(list, labOf(desc).Upstream(kafkaui.Chart).References()...)
		}
		return list // what the cluster has for everybody already needs no image: who brings it sees
	}
	for _, u := range upstreams(p, desc) {
		list = append(list, u.References()...)
	}
	return list
}

// fit says why a profile cannot be a lab on a provider, nil when it can.
func fit(p *profiles.Profile, desc state.Description) error {
	if desc.Provider == Embedded {
		return loopback.Fit(p)
	}
	if err := fitCertificates(p, desc); err != nil {
		return err
	}
	given := desc.Cluster.AddressPool
	switch {
	case desc.Cluster.RealAddresses:
		if err := CheckReal(desc); err != nil {
			return err
		}
	case metallb.Wanted(p):
		if err := metallb.Fit(p, given); err != nil {
			return err
		}
	case given != "":
		return &metallb.PoolError{Range: given, Why: "kafka.listener.type is nodeport: brokers have ports of a node, and take no address of it"}
	default:
		if err := nodeports.Fit(p); err != nil {
			return err
		}
	}
	if operated(desc) {
		if err := fitFull(p, desc); err != nil {
			return err
		}
	}
	return errors.Join(credentials.Fit(p), kafkacertificates.Fit(p))
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
	if desc.Provider == Existing {
		return checkExisting(desc)
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
	missing, err := nodes.Missing(desc.Cluster.Bundle, images(p, desc))
	if err != nil {
		return fault.Wrap(fault.BadInput, "the bundle cannot be used", err, "alertlab up --bundle FILE")
	}
	if missing = append(missing, missingCharts(p, desc)...); len(missing) > 0 {
		return fault.New(fault.StepFailed, "the bundle lacks what the lab is made of", desc.Cluster.Bundle+" has no "+strings.Join(missing, ", "), "alertlab up --bundle FILE   # another one")
	}
	return nil
}

// Left lists what there still is of a lab outside its directory.
func Left(ctx context.Context, desc state.Description) ([]string, error) {
	switch desc.Provider {
	case K3d:
		return (&k3d.Docker{}).Left(ctx, nodes.Name(desc.Name))
	case Kind:
		return (&kind.Docker{}).Left(ctx, nodes.Name(desc.Name))
	case Existing:
		return existing.Left(ctx, source(desc), desc.Name, append(namespaces(), homes(desc)...))
	}
	return nil, nil
}

// absentInCluster states what a light lab on Kubernetes has nothing of that the
// profile names.
func absentInCluster(p *profiles.Profile, provider string) []string {
	k := p.Kafka
	out := []string{
		"certificates inside the cluster are the lab's own, last as long as the lab, and are renewed by nobody; nodes log in at each other with a password, in plain text",
	}
	add := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(metallb.Wanted(p) && provider != Existing, "addresses are of this machine's own network, never the source's, and registry, alert database and object store have ports of a node")
	add(certmanager.Wanted(p), "the issuer %s signs with the lab's own authority, not a public one: clients are told to trust it", certmanager.Issuer(p))
	add(k.Controllers.Count > 0, "there are no controllers of their own: %d of the brokers are controllers too", kafka.Controllers(p))
	add(k.Brokers.Storage.Class != "" && provider != Existing, "the storage class %s is local-path under that name: no capacity is enforced, and no volume grows", k.Brokers.Storage.Class)
	add(k.Brokers.Storage.Class != "" && provider == Existing, "the storage class %s is the cluster's own, or where it has none of that name, its default under that name", k.Brokers.Storage.Class)
	add(k.Brokers.Resources != (profiles.Resources{}), "brokers ask for what a small machine has, not for what the profile says")
	add(k.Brokers.NodePool != (profiles.NodePool{}) && !k.Brokers.AntiAffinity && provider != Existing, "the pool of nodes is one node: all nodes are this machine")
	add(k.Listener.BootstrapHost != "" || p.Registry.Host != "", "host names of the source are not announced: brokers and registry are known by their addresses")
	add(p.Registry.Replicas > 1, "one registry runs, not %d", p.Registry.Replicas)
	add(p.AlertDatabase.Scope != "", "tokens with the scope %s are the lab's own (alertlab token add), not Gafaelfawr's", p.AlertDatabase.Scope)
	add(p.NetworkPolicies, "NetworkPolicies are made, and the cluster's network says whether they are enforced")
	add(slices.ContainsFunc(k.Topics, func(t profiles.Topic) bool { return int(t.Replicas) > k.Brokers.Count }),
		"topics have as many copies as there are brokers at most")
	return out
}
