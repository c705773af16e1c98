package k3s

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/lab/fault"
)

func env(list ...string) func(string) string {
	return func(name string) string {
		for _, e := range list {
			if k, v, _ := strings.Cut(e, "="); k == name {
				return v
			}
		}
		return ""
	}
}

// The commands and environments below are those of containers that k3d v5.8.3
// made (docker inspect), with the tokens shortened.
func TestParseWhatK3dSends(t *testing.T) {
	defaults := func(o Options) Options {
		o.ClusterCIDR, o.ServiceCIDR = DefaultClusterCIDR, DefaultServiceCIDR
		if o.Disable == nil {
			o.Disable = map[string]bool{}
		}
		return o
	}
	const output = "/output/kubeconfig.yaml"
	sans := []string{"0.0.0.0", "k3d-ne-serverlb"}
	for _, c := range []struct {
		name  string
		words []string
		env   []string
		want  Options
	}{
		{
			"first of three servers",
			[]string{"server", "--cluster-init", "--tls-san", "0.0.0.0", "--tls-san", "k3d-ne-serverlb"},
			[]string{"K3S_TOKEN=vKSQ", "K3S_KUBECONFIG_OUTPUT=" + output},
			Options{Role: Server, ClusterInit: true, Token: "vKSQ", KubeconfigOutput: output, TLSSANs: sans},
		},
		{
			"further server",
			[]string{"server", "--tls-san", "0.0.0.0", "--tls-san", "k3d-ne-serverlb"},
			[]string{"K3S_TOKEN=vKSQ", "K3S_URL=https://k3d-ne-server-0:6443", "K3S_KUBECONFIG_OUTPUT=" + output},
			Options{Role: Server, Token: "vKSQ", URL: "https://k3d-ne-server-0:6443", KubeconfigOutput: output, TLSSANs: sans},
		},
		{
			"single server with arguments",
			[]string{"server", "--disable=traefik,servicelb", "--kube-apiserver-arg=audit-log-maxage=3", "--tls-san", "0.0.0.0", "--tls-san", "k3d-ne-serverlb"},
			[]string{"K3S_TOKEN=pjeY", "K3S_KUBECONFIG_OUTPUT=" + output},
			Options{Role: Server, Token: "pjeY", KubeconfigOutput: output, TLSSANs: sans,
				Disable: map[string]bool{"traefik": true, "servicelb": true}, APIServerArgs: []Pair{{"audit-log-maxage", "3"}}},
		},
		{
			"agent with label, taint and an argument",
			[]string{"agent", "--node-taint=dedicated=infra:NoSchedule", "--kubelet-arg=max-pods=50", "--node-label", "zone=a"},
			[]string{"K3S_TOKEN=pjeY", "K3S_URL=https://k3d-ne-server-0:6443", "K3S_KUBECONFIG_OUTPUT=" + output},
			Options{Role: Agent, Token: "pjeY", URL: "https://k3d-ne-server-0:6443", KubeconfigOutput: output,
				Labels: []Pair{{"zone", "a"}}, Taints: []Taint{{"dedicated", "infra", "NoSchedule"}}, KubeletArgs: []Pair{{"max-pods", "50"}}},
		},
		{
			"node create: the words of another agent, and more",
			[]string{"agent", "--node-taint=dedicated=infra:NoSchedule", "--kubelet-arg=max-pods=50", "--node-label", "zone=a", "--node-label", "pool=b"},
			[]string{"K3S_TOKEN=pjeY", "K3S_URL=https://k3d-ne-server-0:6443", "K3S_KUBECONFIG_OUTPUT=" + output},
			Options{Role: Agent, Token: "pjeY", URL: "https://k3d-ne-server-0:6443", KubeconfigOutput: output,
				Labels: []Pair{{"zone", "a"}, {"pool", "b"}}, Taints: []Taint{{"dedicated", "infra", "NoSchedule"}}, KubeletArgs: []Pair{{"max-pods", "50"}}},
		},
	} {
		got, err := Parse(c.words, env(c.env...))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if want := defaults(c.want); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, want)
		}
	}
}

func TestParseFlags(t *testing.T) {
	base := []string{"server", "--token", "s"}
	for _, c := range []struct {
		words string
		get   func(Options) any
		want  any
	}{
		{"-t other", func(o Options) any { return o.Token }, "other"}, // the last one counts
		{"--token-file /t", func(o Options) any { return o.TokenFile }, "/t"},
		{"-s https://a", func(o Options) any { return o.Endpoint() }, "a:6443"},
		{"--server=https://a:7443/", func(o Options) any { return o.Endpoint() }, "a:7443"},
		{"--node-name n", func(o Options) any { return o.NodeName }, "n"},
		{"-o /k", func(o Options) any { return o.KubeconfigOutput }, "/k"},
		{"--cluster-init=false", func(o Options) any { return o.ClusterInit }, false},
		{"--cluster-init --cluster-cidr 10.1.0.0/16", func(o Options) any { return fmt.Sprint(o.ClusterInit, " ", o.ClusterCIDR) }, "true 10.1.0.0/16"},
		{"--cluster-domain x.y", func(o Options) any { return o.ClusterDomain }, "x.y"},
		{"--no-deploy a --disable b, --disable=c,d", func(o Options) any { return len(o.Disable) }, 4},
		{"--tls-san a,b --tls-san=c", func(o Options) any { return strings.Join(o.TLSSANs, " ") }, "a b c"},
		{"--kubelet-arg -v=3", func(o Options) any { return fmt.Sprint(o.KubeletArgs) }, "[v=3]"},
		{"--kubelet-arg=--feature-gates=A=true,B=false", func(o Options) any { return fmt.Sprint(o.KubeletArgs) }, "[feature-gates=A=true,B=false]"},
		{"--kube-controller-manager-arg x", func(o Options) any { return fmt.Sprint(o.ControllerManagerArgs) }, "[x=true]"},
		{"--kube-scheduler-arg a=1 --etcd-arg b=2", func(o Options) any { return fmt.Sprint(o.SchedulerArgs, o.EtcdArgs) }, "[a=1] [b=2]"},
		{"--node-taint k:NoExecute", func(o Options) any { return fmt.Sprint(o.Taints) }, "[{k  NoExecute}]"},
		{"--node-taint k=v:NoSchedule,l=w:PreferNoSchedule", func(o Options) any { return len(o.Taints) }, 2},
		{"--node-label a=b,node.kubernetes.io/x=1,topology.kubernetes.io/zone=z", func(o Options) any { return fmt.Sprint(o.Labels) }, "[a=b node.kubernetes.io/x=1 topology.kubernetes.io/zone=z]"},
		{"--flannel-backend none --secrets-encryption --debug=true -v 3", func(o Options) any { return strings.Join(o.Ignored, "|") }, "--flannel-backend=none|--secrets-encryption|--debug=true|-v=3"},
		{"--kube-proxy-arg metrics-bind-address=0.0.0.0", func(o Options) any { return strings.Join(o.Ignored, "|") }, "--kube-proxy-arg=metrics-bind-address=0.0.0.0"},
	} {
		o, err := Parse(append(slices.Clone(base), strings.Fields(c.words)...), env())
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
			continue
		}
		if got := c.get(o); got != c.want {
			t.Errorf("%s: got %v, want %v", c.words, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		words []string
		says  string
	}{
		{nil, "no role"},
		{[]string{"etcd"}, "no role"},
		{[]string{"server"}, "no token"},
		{[]string{"agent", "-t", "x"}, "no server"},
		{[]string{"agent", "-t", "x", "-s", "http://a"}, "https://"},
		{[]string{"server", "-t"}, "has no value"},
		{[]string{"server", "-t", "x", "stray"}, "a word too many"},
		{[]string{"server", "-t", "x", "--cluster-init=maybe"}, "neither true nor false"},
		{[]string{"server", "-t", "x", "--cluster-cidr", "fd00::/64"}, "not one IPv4 range"},
		{[]string{"server", "-t", "x", "--service-cidr=10.0.0.0/16,fd00::/112"}, "not one IPv4 range"},
		{[]string{"server", "-t", "x", "--cluster-dns", "dns"}, "cluster-dns"},
		{[]string{"server", "-t", "x", "--node-label", "novalue"}, "KEY=VALUE"},
		{[]string{"server", "-t", "x", "--node-label", "a=b c"}, "blank"},
		{[]string{"server", "-t", "x", "--node-label", "node-role.kubernetes.io/worker=true"}, "control plane"},
		{[]string{"server", "-t", "x", "--node-taint", "a=b"}, "KEY=VALUE:EFFECT"},
		{[]string{"server", "-t", "x", "--node-taint", "a=b:Never"}, "NoSchedule"},
		{[]string{"server", "-t", "x", "--kubelet-arg", "--=x"}, "names no argument"},
	} {
		_, err := Parse(c.words, env())
		var f *fault.Fault
		if err == nil || !strings.Contains(err.Error(), c.says) || !errors.As(err, &f) || f.Next == "" || f.Code != fault.BadInput {
			t.Errorf("%q: %v", c.words, err)
		}
	}
}

func TestDNSAddress(t *testing.T) {
	for _, c := range []struct{ cidr, dns, want string }{
		{"10.43.0.0/16", "", "10.43.0.10"},
		{"10.0.255.250/24", "", "10.0.255.10"},
		{"10.43.0.0/16", "10.43.0.99", "10.43.0.99"},
	} {
		got, err := Options{ServiceCIDR: c.cidr, ClusterDNS: c.dns}.DNSAddress()
		if err != nil || got.String() != c.want {
			t.Errorf("%+v: %v %v", c, got, err)
		}
	}
}

// FuzzParse holds that no list of words brings the parser down, and that each
// word is taken, kept as ignored, or an error.
func FuzzParse(f *testing.F) {
	f.Add("server\x00--tls-san\x000.0.0.0")
	f.Add("agent\x00--node-label\x00a=b\x00--x\x00y")
	f.Add("server\x00-t\x00t\x00--node-taint=:\x00--kubelet-arg==")
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Split(text, "\x00")
		o, err := Parse(words, env("K3S_TOKEN=t", "K3S_URL=https://s"))
		if err != nil {
			return
		}
		if o.Role != Server && o.Role != Agent {
			t.Errorf("role %q", o.Role)
		}
		if _, err := o.DNSAddress(); err != nil {
			t.Error(err)
		}
		for _, l := range o.Labels {
			if strings.ContainsAny(l.String(), " \n\"'") {
				t.Errorf("label %q", l)
			}
		}
	})
}
