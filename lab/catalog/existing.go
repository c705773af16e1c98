package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"strings"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/component/ingress"
	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/existing"
)

// namespaces are those that a lab lives in. They are called as at the real sites, so
// that a cluster has one lab at a time.
func namespaces() []string { return []string{component.Namespace} }

// source is the cluster that a description names.
func source(desc state.Description) existing.Source {
	return existing.Source{Context: desc.Cluster.Context, File: desc.Cluster.Kubeconfig}
}

// existingEntries lists what a lab on a cluster that was there has of its own.
func existingEntries() map[string]entry {
	open := func(c *cluster) func() (*kube.Client, error) { return c.api }
	return map[string]entry{
		"cluster/context": {
			want: func(_ *profiles.Profile, desc state.Description) plan.Want {
				return existing.Want(desc.Name, source(desc), namespaces(), desc.Cluster.Adopt, desc.Cluster.NodeAddress)
			},
			inCluster: func(c *cluster) plan.Part {
				log := c.Log("cluster")
				return &existing.Cluster{Lab: c.Dir.Lab(), Kubeconfig: c.Dir.Kubeconfig(), Namespaces: namespaces(), Say: func(s string) { log.Info(s) },
					Homes: c.homes, Operated: operators{c.Dir.Lab()},
					Uninstall: func(client *kube.Client, namespace string) ([]string, error) {
						return helm.UninstallOf(client, namespace, c.Dir.Lab())
					}}
			}},
		"images/cluster-images": {
			want: func(p *profiles.Profile, desc state.Description) plan.Want {
				names, err := known(p, desc)
				if err != nil {
					return plan.Want{Title: err.Error()} // rewrite says it
				}
				var all []string
				for _, image := range append([]string{desc.Cluster.Image}, images(p, desc)...) {
					all = append(all, names[image])
				}
				return existing.WantImages(all, desc.Cluster.ImagesLoaded)
			},
			inCluster: func(c *cluster) plan.Part { return &existing.Images{Open: open(c)} }},
		"storage-classes/cluster-classes": {
			want: func(p *profiles.Profile, desc state.Description) plan.Want {
				s := p.Kafka.Brokers.Storage
				return existing.WantClasses(desc.Name, s.Class, desc.Cluster.StorageClass, s.ReclaimPolicy)
			},
			inCluster: func(c *cluster) plan.Part { return &existing.Classes{Open: open(c)} }},
		"volumes/reclaim-policy": {
			want: func(p *profiles.Profile, desc state.Description) plan.Want {
				return existing.WantVolumes(desc.Name, component.Namespace, p.Kafka.Cluster, p.Kafka.Brokers.Storage.ReclaimPolicy)
			},
			inCluster: func(c *cluster) plan.Part { return &existing.Volumes{Open: open(c)} }},
	}
}

// known gives the names by which nodes know a lab's images.
func known(p *profiles.Profile, desc state.Description) (map[string]string, error) {
	out := map[string]string{}
	for _, image := range append([]string{desc.Cluster.Image}, images(p, desc)...) {
		out[image] = image
		if r := desc.Cluster.Registry; r != "" {
			var err error
			if out[image], err = bundle.RegistryAt(r).Image(image); err != nil {
				return nil, fault.Wrap(fault.BadInput, "the registry cannot be called so", err, "alertlab up --registry HOST/PATH")
			}
		}
	}
	return out, nil
}

// rewrite puts the names of a site's registry in the place of images' own, wherever they
// stand as a value of a step.
func rewrite(parts []plan.Want, p *profiles.Profile, desc state.Description) error {
	names, err := known(p, desc)
	if err != nil || desc.Cluster.Registry == "" {
		return err
	}
	for image, name := range maps.Clone(names) { // some objects name an image and its tag apart
		tag := image[strings.LastIndex(image, ":"):]
		if repository, ok := strings.CutSuffix(name, tag); ok {
			names[strings.TrimSuffix(image, tag)] = repository
		}
	}
	for i := range parts {
		var value any
		d := json.NewDecoder(bytes.NewReader(parts[i].Input))
		d.UseNumber()
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("the input of %s: %w", parts[i].Key, err)
		}
		parts[i].Input = plan.Input(renamed(value, names))
	}
	return nil
}

func renamed(value any, names map[string]string) any {
	switch v := value.(type) {
	case string:
		if other, ok := names[v]; ok {
			return other
		}
	case []any:
		for i := range v {
			v[i] = renamed(v[i], names)
		}
	case map[string]any:
		for key := range v {
			v[key] = renamed(v[key], names)
		}
	}
	return value
}

// checkExisting looks, before anything is begun, at what needs no cluster.
func checkExisting(desc state.Description) error {
	if desc.Cluster.Registry == "" && !desc.Cluster.ImagesLoaded {
		return fault.New(fault.BadInput, "the nodes have no way to this program's own image", "it is in no public registry",
			"alertlab up --provider existing --registry HOST/PATH   # a registry that has it; or --images-loaded, where the nodes do")
	}
	if _, err := source(desc).Kubeconfig(); err != nil {
		return err
	}
	if err := guestAddress(desc); err != nil {
		return err
	}
	if desc.Cluster.Bundle == "" {
		return nil
	}
	p, _, err := profileOf(desc)
	if err != nil {
		return err
	}
	if missing := missingCharts(p, desc); len(missing) > 0 {
		return fault.New(fault.StepFailed, "the bundle lacks what the lab is made of", desc.Cluster.Bundle+" has no "+strings.Join(missing, ", "), "alertlab up --bundle FILE   # another one")
	}
	return nil
}

// guestAddress refuses a name where a certificate needs an address.
func guestAddress(desc state.Description) error {
	a := desc.Cluster.NodeAddress
	if a == "" || net.ParseIP(a) != nil {
		return nil
	}
	p, _, err := profileOf(desc)
	if err != nil || !certmanager.Wanted(p) || metallb.Wanted(p) {
		return err
	}
	return fault.New(fault.BadInput, "the listener is encrypted, and "+a+" is a name", "its certificate is for the address that brokers announce", "alertlab up --provider existing --node-address ADDRESS")
}

// Survey looks at the cluster of a lab on provider existing, and changes nothing.
func Survey(ctx context.Context, desc state.Description) (*existing.Survey, error) {
	need := existing.Need{Lab: desc.Name, Namespaces: namespaces(), Adopt: desc.Cluster.Adopt, Base: desc.Cluster.StorageClass, NodeAddress: desc.Cluster.NodeAddress}
	p, _, err := profileOf(desc)
	if err != nil {
		return nil, err
	}
	if w, err := Wanted(desc); err == nil { // what stands against the profile is said elsewhere
		if need.Shared, err = sharedBy(w.Parts); err != nil {
			return nil, err
		}
	}
	storage := p.Kafka.Brokers.Storage
	need.Class, need.Reclaim, need.Ports = storage.Class, storage.ReclaimPolicy, nodeports.Taken(p)
	if _, _, scales := p.AlertDatabase.Scales(); scales {
		need.Rights = existing.ScalingRights()
	}
	if operated(desc) {
		need.Rights = append(need.Rights, existing.OperatorRights(desc.Stack == FullStack)...)
	}
	if desc.Stack == FullStack {
		need.Ports[nodeports.KafkaUI] = "kafka-ui"
	}
	maps.Copy(need.Ports, ingressPorts(desc))
	switch c := ingressOf(desc); c.Kind {
	case ingress.None:
	case ingress.Theirs:
		need.IngressClass, need.Rights = c.Class, append(need.Rights, existing.IngressRights(false)...)
	default:
		need.Rights = append(need.Rights, existing.IngressRights(true)...)
	}
	if p.Kafka.Brokers.AntiAffinity {
		need.Apart = p.Kafka.Brokers.Count
	}
	s, err := existing.Look(ctx, source(desc), need)
	if err != nil {
		return s, err
	}
	if err := unserved(p, desc, s); err != nil {
		s.Against(err, "alertlab up --provider existing --stack alerts-light   # or a cluster of a newer Kubernetes: --context NAME")
	}
	if !metallb.Wanted(p) {
		return s, nil
	}
	return s, pooled(ctx, desc, s)
}

// pooled looks whether the pool of a lab is free on its cluster.
func pooled(ctx context.Context, desc state.Description, s *existing.Survey) error {
	list, err := existing.TakenAt(ctx, source(desc), desc.Name)
	if err != nil {
		return err
	}
	n := networkOf(list)
	if desc.Cluster.RealAddresses {
		held, err := existing.HeldAt(ctx, source(desc), desc.Name)
		if err != nil {
			return err
		}
		return realAddresses(ctx, desc, s, n, held, answers)
	}
	if err := n.Refused(desc.Cluster.AddressPool); err != nil {
		s.Against(err, "alertlab up --provider existing --address-pool FIRST-LAST   # addresses that nobody has; or auto, for ports of the nodes")
	}
	return nil
}

// homes are the namespaces of what the lab may have brought for its whole cluster.
func (c *cluster) homes() []string {
	desc, err := c.Dir.Describe()
	if err != nil {
		return nil // labels say what there is
	}
	return homes(desc)
}

// absentAsGuest states what a profile has otherwise on a cluster that others use too.
func absentAsGuest(p *profiles.Profile, desc state.Description) []string {
	var out []string
	add := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	given := desc.Cluster.AddressPool != ""
	if desc.Cluster.RealAddresses {
		out = append(out, realConceded(p, desc)...)
	}
	add(metallb.Wanted(p) && !given && !desc.Cluster.RealAddresses, "every broker has a port of a node's address, not an address of its own with port %d: no --address-pool is given", p.Kafka.Listener.Port)
	add(metallb.Wanted(p) && given, "addresses are those of --address-pool, in a pool called %s, and registry, alert database and object store have ports of a node", metallb.PoolName(p, labOf(desc)))
	add(certmanager.Wanted(p), "the issuer %s is one of the namespace %s, not of the cluster", certmanager.Issuer(p), component.Namespace)
	return out
}

// Retained lists what stays of a lab when it is deleted, because it is to be retained or
// others use it: why and what, and a command each.
func Retained(ctx context.Context, desc state.Description) (what, commands []string, err error) {
	if desc.Provider != Existing {
		return nil, nil, nil
	}
	command := "kubectl --context " + desc.Cluster.Context
	if desc.Cluster.Kubeconfig != "" {
		command = "kubectl --kubeconfig " + desc.Cluster.Kubeconfig + " --context " + desc.Cluster.Context
	}
	list, err := existing.RetainedAt(ctx, source(desc), desc.Name, namespaces())
	if err != nil {
		return nil, nil, err
	}
	for _, v := range list {
		what, commands = append(what, "as it is to be retained: "+v.String()), append(commands, command+" delete persistentvolume "+v.Name)
	}
	others, err := existing.StaysAt(ctx, source(desc), desc.Name)
	for _, s := range others {
		what, commands = append(what, "as others use it: "+s.What), append(commands, command+" delete "+s.Delete)
	}
	return what, commands, err
}
