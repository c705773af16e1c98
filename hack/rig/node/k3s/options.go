package k3s

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/alertlab/alertlab/lab/fault"
)

// Role is what a node is in its cluster.
type Role string

// The roles, as k3s calls them.
const (
	Server Role = "server" // control plane and workloads
	Agent  Role = "agent"  // workloads only
)

// Defaults of k3s (docs.k3s.io, "k3s server").
const (
	DefaultClusterCIDR = "10.42.0.0/16"
	DefaultServiceCIDR = "10.43.0.0/16"
	DefaultPort        = "6443"
)

// Components that k3s installs unless --disable names them.
const (
	CoreDNS       = "coredns"
	LocalStorage  = "local-storage"
	Traefik       = "traefik"
	ServiceLB     = "servicelb"
	MetricsServer = "metrics-server"
)

// Pair is a key with its value: a label, or an argument of a component.
type Pair struct{ Key, Value string }

func (p Pair) String() string { return p.Key + "=" + p.Value }

// Taint keeps pods without its toleration off a node.
type Taint struct{ Key, Value, Effect string }

// Options is what the words and the environment ask for.
type Options struct {
	Role        Role
	ClusterInit bool   // first server of several
	Token       string // shared secret of the cluster
	TokenFile   string // or the file that holds it
	URL         string // server to join; empty on the first server
	NodeName    string // empty: the host name

	KubeconfigOutput string // a second place for the kubeconfig; may be empty
	ClusterCIDR      string // range of pods
	ServiceCIDR      string // range of services, IPv4
	ClusterDNS       string // address of the DNS service; empty: the tenth of ServiceCIDR
	ClusterDomain    string // empty: cluster.local

	Labels  []Pair
	Taints  []Taint
	TLSSANs []string
	Disable map[string]bool // components that are not wanted

	KubeletArgs           []Pair
	KubeProxyArgs         []Pair // only reported: kubeadm has one configuration for all nodes
	APIServerArgs         []Pair
	ControllerManagerArgs []Pair
	SchedulerArgs         []Pair
	EtcdArgs              []Pair

	Ignored []string // flags without an effect here, with their values
}

// Joins tells whether the node joins a cluster that another node began.
func (o Options) Joins() bool { return o.URL != "" }

// Endpoint is the host and port of the server to join.
func (o Options) Endpoint() string {
	host := strings.TrimSuffix(strings.TrimPrefix(o.URL, "https://"), "/")
	if !strings.Contains(host, ":") {
		host += ":" + DefaultPort
	}
	return host
}

// DNSAddress is the address of the cluster's DNS service.
func (o Options) DNSAddress() (netip.Addr, error) {
	if o.ClusterDNS != "" {
		return netip.ParseAddr(o.ClusterDNS)
	}
	p, err := netip.ParsePrefix(o.ServiceCIDR)
	if err != nil {
		return netip.Addr{}, err
	}
	a := p.Masked().Addr()
	for range 10 { // the tenth address, as k3s and kubeadm have it
		a = a.Next()
	}
	return a, nil
}

// check finds values that would only fail later, in a place harder to read.
func (o *Options) check() error {
	bad := func(what, why, next string) error { return fault.New(fault.BadInput, what, why, next) }
	if o.Role == Agent && o.URL == "" {
		return bad("the agent has no server to join", "neither --server nor K3S_URL is given", "set K3S_URL=https://SERVER:6443")
	}
	if o.Token == "" && o.TokenFile == "" {
		return bad("the node has no token", "neither --token nor K3S_TOKEN is given", "set K3S_TOKEN to the same secret on every node")
	}
	if o.URL != "" && !strings.HasPrefix(o.URL, "https://") {
		return bad("the server's URL "+fmt.Sprintf("%q", o.URL)+" cannot be used", "it does not begin with https://", "set K3S_URL=https://SERVER:6443")
	}
	for flag, value := range map[string]string{"--cluster-cidr": o.ClusterCIDR, "--service-cidr": o.ServiceCIDR} {
		p, err := netip.ParsePrefix(value)
		if err != nil || !p.Addr().Is4() {
			return bad(fmt.Sprintf("%s %q cannot be used", flag, value), "it is not one IPv4 range", "give a range such as "+DefaultClusterCIDR)
		}
	}
	if o.ClusterDNS != "" {
		if _, err := netip.ParseAddr(o.ClusterDNS); err != nil {
			return bad(fmt.Sprintf("--cluster-dns %q cannot be used", o.ClusterDNS), err.Error(), "give one IPv4 address of the service range")
		}
	}
	for _, l := range o.Labels {
		if restricted(l.Key) {
			return bad(fmt.Sprintf("the label %q cannot be set by a node itself", l), "Kubernetes keeps labels of kubernetes.io and k8s.io to the control plane", "use another prefix, or label the node by kubectl once it is there")
		}
	}
	return nil
}

// restricted tells whether a kubelet refuses to give itself a label, after
// k8s.io/kubelet/pkg/apis (KubeletLabels, KubeletLabelNamespaces).
func restricted(key string) bool {
	prefix, _, found := strings.Cut(key, "/")
	within := func(domain string) bool { return prefix == domain || strings.HasSuffix(prefix, "."+domain) }
	if !found || !within("kubernetes.io") && !within("k8s.io") {
		return false
	}
	if within("kubelet.kubernetes.io") || within("node.kubernetes.io") {
		return false
	}
	switch key {
	case "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch",
		"topology.kubernetes.io/zone", "topology.kubernetes.io/region",
		"failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
		"beta.kubernetes.io/instance-type", "beta.kubernetes.io/os", "beta.kubernetes.io/arch":
		return false
	}
	return true
}
