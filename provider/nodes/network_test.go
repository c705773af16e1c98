package nodes

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
)

// Every address that is somebody's counts, also that of a stopped container.
func TestNetworkOf(t *testing.T) {
	t.Parallel()
	n := network.Inspect{Name: "k3d-x", ID: "1", IPAM: network.IPAM{Config: []network.IPAMConfig{
		{Subnet: "2001:db8::/64"}, {Subnet: "172.18.0.0/16", Gateway: "172.18.0.1", AuxAddress: map[string]string{"kept": "172.18.0.9"}}}},
		Containers: map[string]network.EndpointResource{"a": {IPv4Address: "172.18.0.2/16"}}}
	list := []container.Summary{{}, {NetworkSettings: &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{
		"k3d-x": {NetworkID: "1", IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: "172.18.0.3"}},
		"other": {NetworkID: "2", IPAddress: "172.19.0.2"}}}}}
	got, err := networkOf(n, list)
	if err != nil || got.Subnet.String() != "172.18.0.0/16" || got.Name != "k3d-x" {
		t.Errorf("%+v, %v", got, err)
	}
	slices.SortFunc(got.Used, netip.Addr.Compare)
	var used []string
	for _, a := range got.Used {
		used = append(used, a.String())
	}
	if all := strings.Join(used, " "); all != "172.18.0.1 172.18.0.2 172.18.0.3 172.18.0.9" {
		t.Errorf("used: %s", all)
	}
	n.IPAM.Config = n.IPAM.Config[:1]
	if _, err := networkOf(n, nil); err == nil {
		t.Error("a network without IPv4 has a subnet")
	}
}
