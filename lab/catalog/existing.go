package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/nodeports"
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
				return &existing.Cluster{Lab: c.Dir.Lab(), Kubeconfig: c.Dir.Kubeconfig(), Namespaces: namespaces(), Say: func(s string) { log.Info(s) }}
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
			if out[image], err = existing.Rewritten(r, image); err != nil {
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
	_, err := source(desc).Kubeconfig()
	return err
}

// Survey looks at the cluster of a lab on provider existing, and changes nothing.
func Survey(ctx context.Context, desc state.Description) (*existing.Survey, error) {
	need := existing.Need{Lab: desc.Name, Namespaces: namespaces(), Adopt: desc.Cluster.Adopt, Base: desc.Cluster.StorageClass, NodeAddress: desc.Cluster.NodeAddress}
	if p, _, err := profileOf(desc); err != nil {
		return nil, err
	} else {
		s := p.Kafka.Brokers.Storage
		need.Class, need.Reclaim, need.Ports = s.Class, s.ReclaimPolicy, nodeports.Taken(p)
		if _, _, scales := p.AlertDatabase.Scales(); scales {
			need.Rights = existing.ScalingRights()
		}
		if p.Kafka.Brokers.AntiAffinity {
			need.Apart = p.Kafka.Brokers.Count
		}
	}
	return existing.Look(ctx, source(desc), need)
}

// Retained lists what stays of a lab when it is deleted, because it is to be retained: a
// sentence and a command each.
func Retained(ctx context.Context, desc state.Description) (what, commands []string, err error) {
	if desc.Provider != Existing {
		return nil, nil, nil
	}
	list, err := existing.RetainedAt(ctx, source(desc), desc.Name, namespaces())
	for _, v := range list {
		what = append(what, v.String())
		command := "kubectl --context " + desc.Cluster.Context
		if desc.Cluster.Kubeconfig != "" {
			command = "kubectl --kubeconfig " + desc.Cluster.Kubeconfig + " --context " + desc.Cluster.Context
		}
		commands = append(commands, command+" delete persistentvolume "+v.Name)
	}
	return what, commands, err
}
