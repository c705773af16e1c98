package kubeadm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

const (
	apiPort   = 6443
	criSocket = "unix:///run/containerd/containerd.sock"
)

// Secrets are what kubeadm needs in place of k3s's one token.
type Secrets struct {
	BootstrapToken string // "6 characters.16 characters"
	CertificateKey string // 64 hexadecimal digits: the AES key of the shared certificates
}

// Derive makes the secrets from the cluster's token, so that every node that
// has the token has them. SHA-256 in hexadecimal gives just the alphabets that
// kubeadm allows.
func Derive(token string) Secrets {
	sum := sha256.Sum256([]byte(token))
	h := hex.EncodeToString(sum[:])
	return Secrets{BootstrapToken: h[:6] + "." + h[6:22], CertificateKey: h}
}

// Node is what both ways of making a node share.
type Node struct {
	Name    string
	Address string // IPv4 address that other nodes reach it by
	Taints  []Taint
	Secrets Secrets
}

func (n Node) registration() registration {
	taints := n.Taints
	if taints == nil {
		taints = []Taint{}
	}
	return registration{
		Name: n.Name, CRISocket: criSocket, Taints: taints, ImagePullPolicy: "Never",
		// The checks are made for machines: they ask for kernel settings and
		// programs that a container has no say in.
		IgnorePreflightErrors: []string{"all"},
	}
}

func (n Node) endpoint() apiEndpoint { return apiEndpoint{n.Address, apiPort} }

// Cluster is what the first server decides for all.
type Cluster struct {
	Version           string // of Kubernetes, with its v
	PodSubnet         string
	ServiceSubnet     string
	DNSDomain         string // empty: kubeadm's default, cluster.local
	DNSAddress        string
	CertSANs          []string // further names of the API server
	APIServer         []Arg
	ControllerManager []Arg
	Scheduler         []Arg
	Etcd              []Arg
}

// Init gives the file for `kubeadm init` on a cluster's first server. DNS is
// left to the manifests that the node deploys itself.
func Init(n Node, c Cluster) ([]byte, error) {
	return documents(
		initConfiguration{
			typeMeta: typeMeta{kubeadmV1Beta4, "InitConfiguration"},
			BootstrapTokens: []bootstrapToken{{
				Token: n.Secrets.BootstrapToken, TTL: "0s",
				Usages: []string{"signing", "authentication"},
				Groups: []string{"system:bootstrappers:kubeadm:default-node-token"},
			}},
			CertificateKey:   n.Secrets.CertificateKey,
			LocalAPIEndpoint: n.endpoint(),
			NodeRegistration: n.registration(),
			SkipPhases:       []string{"preflight", "mark-control-plane", "addon/coredns", "show-join-command"},
		},
		clusterConfiguration{
			typeMeta:             typeMeta{kubeadmV1Beta4, "ClusterConfiguration"},
			KubernetesVersion:    c.Version,
			ClusterName:          "default",
			ControlPlaneEndpoint: n.Name + ":6443",
			Networking:           networking{c.PodSubnet, c.ServiceSubnet, c.DNSDomain},
			DNS:                  dns{Disabled: true},
			APIServer: apiServer{
				CertSANs:  append([]string{"localhost", "127.0.0.1", n.Name}, c.CertSANs...),
				ExtraArgs: c.APIServer,
			},
			ControllerManager: component{c.ControllerManager},
			Scheduler:         component{c.Scheduler},
			Etcd:              etcd{component{c.Etcd}},
		},
		kubeletConfiguration{
			typeMeta:   typeMeta{kubeletV1Beta1, "KubeletConfiguration"},
			FailSwapOn: false,
			// The disk below is the host's: a kubelet must not clear images or
			// evict pods because somebody else's files fill it.
			ImageGCHighThresholdPercent: 100,
			EvictionHard:                map[string]string{"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
			ClusterDNS:                  []string{c.DNSAddress},
		},
		kubeProxyConfiguration{
			typeMeta: typeMeta{kubeProxyV1Alpha, "KubeProxyConfiguration"},
			Mode:     "iptables",
		},
	)
}

// Join gives the file for `kubeadm join` of an agent, or of a further server.
func Join(n Node, endpoint string, server bool) ([]byte, error) {
	j := joinConfiguration{
		typeMeta: typeMeta{kubeadmV1Beta4, "JoinConfiguration"},
		Discovery: discovery{bootstrapDiscovery{
			APIServerEndpoint: endpoint, Token: n.Secrets.BootstrapToken,
			// The token is the trust here, as in k3s with a short token.
			UnsafeSkipCAVerification: true,
		}},
		NodeRegistration: n.registration(),
		SkipPhases:       []string{"preflight"},
	}
	if server {
		j.ControlPlane = &joinControlPlane{n.Secrets.CertificateKey, n.endpoint()}
		j.SkipPhases = append(j.SkipPhases, "control-plane-join/mark-control-plane")
	}
	return documents(j)
}

func documents(list ...any) ([]byte, error) {
	var out bytes.Buffer
	for i, d := range list {
		if i > 0 {
			out.WriteString("---\n")
		}
		enc := json.NewEncoder(&out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(d); err != nil {
			return nil, err
		}
	}
	return escape(out.Bytes()), nil
}

// escape writes the characters that JSON lets stand in a string and YAML does
// not (outside c-printable of YAML 1.2) as JSON escapes. None occurs outside
// of strings.
func escape(text []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(text) {
		if r >= 0x7f && r <= 0x9f || r == 0xfeff || r == 0xfffe || r == 0xffff {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.Bytes()
}
