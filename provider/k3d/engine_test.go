package k3d

import (
	"slices"
	"testing"

	"github.com/alertlab/alertlab/provider/nodes"
)

// The cluster that k3d is asked for: no other load balancer and ingress, the nodes'
// labels and taints, the lab's label on every container.
func TestSimple(t *testing.T) {
	t.Parallel()
	s := simple(nodes.Spec{Name: "alertlab-t", Image: "node:1", Agents: []nodes.AgentSpec{{}, {}}}, "6550")
	if s.Name != "alertlab-t" || s.Servers != 1 || s.Agents != 2 || s.Image != "node:1" || !s.Options.K3dOptions.DisableLoadbalancer || s.ExposeAPI.HostPort != "6550" {
		t.Errorf("%+v", s)
	}
	var args []string
	for _, a := range s.Options.K3sOptions.ExtraArgs {
		args = append(args, a.Arg)
	}
	if want := []string{"--disable=traefik", "--disable=servicelb", "--disable=metrics-server"}; !slices.Equal(args, want) {
		t.Errorf("%q", args)
	}
}
