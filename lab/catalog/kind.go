package catalog

import (
	"context"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/storageclasses"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/k3d"
	"github.com/alertlab/alertlab/provider/kind"
	"github.com/alertlab/alertlab/provider/nodes"
)

// kindEntries lists what a lab on kind has of its own.
func kindEntries() map[string]entry {
	return map[string]entry{
		"cluster/kind": {
			want: func(p *profiles.Profile, desc state.Description) plan.Want {
				return kind.Want(p, desc.Name, desc.Cluster.NodeImage)
			},
			inCluster: func(c *cluster) plan.Part { return kind.New(c.Dir.Lab(), c.Dir.Kubeconfig(), c.kind) }},
		"storage-classes/local-path-kind": {want: released(func(p *profiles.Profile, lab component.Lab) plan.Want {
			return storageclasses.WantBeside(kind.StorageClass, p, lab)
		}), inCluster: deployed("storage-classes", nil)},
	}
}

// nodes gives the nodes of a lab whose nodes are containers.
func (c *cluster) nodes(ctx context.Context) ([]bundle.Node, error) {
	name := nodes.Name(c.Dir.Lab())
	if c.kind != nil {
		return c.kind.Nodes(ctx, name)
	}
	return c.engine.Nodes(ctx, name)
}

// NodeImage gives the image of the nodes where a user names none; "" where the provider
// makes no nodes.
func NodeImage(provider string) string {
	switch provider {
	case K3d:
		return k3d.DefaultImage
	case Kind:
		return kind.DefaultImage
	}
	return ""
}
