package cluster

import (
	"context"
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/container"
	k3dtypes "github.com/k3d-io/k3d/v5/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// Role is what a container is in its cluster.
type Role string

// The roles.
const (
	Server     Role = "server"
	Agent      Role = "agent"
	roleHelper Role = "helper"
)

// Labels that kind sets (sigs.k8s.io/kind v0.33.0, pkg/cluster/internal/providers/docker).
const (
	kindLabelCluster = "io.x-k8s.kind.cluster"
	kindLabelRole    = "io.x-k8s.kind.role"
)

// nodeRepository is the name of the rig's node image without its tag.
const nodeRepository = "rig.local/node"

// labelPart is on every image that the rig builds, and so on its containers: the
// engine tells an image's name only as long as no newer image has taken it.
const labelPart = "dev.alertlab.rig.part"

type key struct {
	maker Maker
	name  string
}

type member struct {
	id, name string
	role     Role
}

// found is a cluster as the engine shows it.
type found struct {
	key
	owned   bool
	network string
	members []member
}

// classify reads from a container's labels which cluster it belongs to.
func classify(labels map[string]string) (k key, role Role, ok bool) {
	if name := labels[k3dtypes.LabelClusterName]; name != "" && labels["app"] == "k3d" {
		switch role := k3dtypes.Role(labels[k3dtypes.LabelRole]); role {
		case k3dtypes.ServerRole, k3dtypes.AgentRole:
			return key{K3d, name}, Role(role), true
		}
		return key{K3d, name}, roleHelper, true
	}
	if name := labels[kindLabelCluster]; name != "" {
		switch labels[kindLabelRole] {
		case "control-plane":
			return key{Kind, name}, Server, true
		case "worker":
			return key{Kind, name}, Agent, true
		}
		return key{Kind, name}, roleHelper, true
	}
	if name := labels[LabelCluster]; name != "" && labels[labelRole] != "" {
		return key{Plain, name}, Role(labels[labelRole]), true
	}
	return key{}, "", false
}

// find lists every cluster on the engine, the rig's and others', also those that
// are stopped.
func (c *Clusters) find(ctx context.Context) (map[key]*found, error) {
	list, err := c.docker.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return nil, c.silent(err)
	}
	recorded, _, err := c.recorded(ctx)
	if err != nil {
		return nil, err
	}
	ours := sets.New[key]()
	for _, r := range recorded {
		ours.Insert(key{r.Maker, r.Name})
	}
	return group(list, ours), nil
}

// group puts containers together to clusters; ours are those with a record
// of this engine.
func group(list []container.Summary, ours sets.Set[key]) map[key]*found {
	all := map[key]*found{}
	for _, s := range list {
		k, role, ok := classify(s.Labels)
		if !ok || len(s.Names) == 0 {
			continue
		}
		f := all[k]
		if f == nil {
			f = &found{key: k, owned: ours.Has(k)}
			all[k] = f
		}
		image, _, _ := strings.Cut(s.Image, ":")
		f.owned = f.owned || s.Labels[LabelCluster] == k.name || (k.maker == Kind && (image == nodeRepository || s.Labels[labelPart] != ""))
		f.members = append(f.members, member{id: s.ID, name: strings.TrimPrefix(s.Names[0], "/"), role: role})
		if s.NetworkSettings != nil && role != roleHelper {
			for name := range s.NetworkSettings.Networks {
				f.network = name
			}
		}
	}
	return all
}

// networkName is the name of the network that a cluster gets.
func networkName(m Maker, cluster string) string {
	if m == Kind {
		return kindNetwork
	}
	return fmt.Sprintf("%s-%s", prefix(m), cluster)
}
