package cluster

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	k3dconfig "github.com/k3d-io/k3d/v5/pkg/config/v1alpha5"
	k3dtypes "github.com/k3d-io/k3d/v5/pkg/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/alertlab/alertlab/lab/fault"
)

func TestParseTaint(t *testing.T) {
	for text, want := range map[string]corev1.Taint{
		"kafka=ok:NoSchedule": {Key: "kafka", Value: "ok", Effect: corev1.TaintEffectNoSchedule},
		"kafka:NoExecute":     {Key: "kafka", Effect: corev1.TaintEffectNoExecute},
		"node-role.kubernetes.io/control-plane:PreferNoSchedule": {Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectPreferNoSchedule},
	} {
		got, err := ParseTaint(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
		if back := taintText(got.Key, got.Value, string(got.Effect)); back != text {
			t.Errorf("%s is written as %s", text, back)
		}
	}
	// NO_SCHEDULE is how Google's node pools write it.
	for _, text := range []string{"", "kafka", "kafka=ok", "kafka=ok:NO_SCHEDULE", "=ok:NoSchedule", "ka fka=ok:NoSchedule", "kafka=o k:NoSchedule"} {
		if got, err := ParseTaint(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestConfigRefusesWhatCannotBecomeACluster(t *testing.T) {
	good := Config{Name: "lab", Maker: K3d, Servers: 1, Image: "rig.local/node:v1"}
	for name, tc := range map[string]struct {
		change func(*Config)
		why    string // "" when it is good
	}{
		"good":            {func(*Config) {}, ""},
		"longest name":    {func(c *Config) { c.Name = strings.Repeat("a", 30) }, ""},
		"name too long":   {func(c *Config) { c.Name = strings.Repeat("a", 31) }, "30 small letters"},
		"no name":         {func(c *Config) { c.Name = "" }, "30 small letters"},
		"path as name":    {func(c *Config) { c.Name = "../x" }, "30 small letters"},
		"the lock's name": {func(c *Config) { c.Name = "lock" }, "is taken"},
		"hyphen last":     {func(c *Config) { c.Name = "lab-" }, "30 small letters"},
		"unknown maker":   {func(c *Config) { c.Maker = "minikube" }, `"minikube"`},
		"no server":       {func(c *Config) { c.Servers = 0 }, "no server"},
		"three servers":   {func(c *Config) { c.Servers = 3 }, ""},
		"kind with three": {func(c *Config) { c.Maker, c.Servers = Kind, 3 }, "load balancer"},
		"no image":        {func(c *Config) { c.Image = "" }, "no node image"},
		"bad taint":       {func(c *Config) { c.Pools = []NodePool{{Agents: 1, Taints: []string{"kafka"}}} }, "no effect"},
		"bad label":       {func(c *Config) { c.Pools = []NodePool{{Agents: 1, Labels: map[string]string{"a b": "c"}}} }, "label a b=c of pool 1"},
		"negative pool":   {func(c *Config) { c.Pools = []NodePool{{Agents: -1}} }, "-1 agents"},
	} {
		c := good
		tc.change(&c)
		err := c.check()
		if tc.why == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tc.why) || fault.CodeOf(err) != fault.BadInput {
			t.Errorf("%s: %v, want a refusal with %q", name, err, tc.why)
		}
	}
}

func TestNodeNames(t *testing.T) {
	for m, want := range map[Maker][]string{
		K3d:   {"k3d-lab-server-0", "k3d-lab-agent-0", "k3d-lab-agent-1", "k3d-lab-agent-2"},
		Kind:  {"lab-control-plane", "lab-worker", "lab-worker2", "lab-worker3"},
		Plain: {"rig-lab-server-0", "rig-lab-agent-0", "rig-lab-agent-1", "rig-lab-agent-2"},
	} {
		if got := nodeNames(m, "lab", 1, 3); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", m, got, want)
		}
	}
}

func TestNodesAreSortedByRoleAndNumber(t *testing.T) {
	var nodes []*Node
	for _, n := range []string{"k3d-l-agent-10", "k3d-l-agent-9", "k3d-l-server-0", "k3d-l-agent-0"} {
		role := Agent
		if strings.Contains(n, "server") {
			role = Server
		}
		nodes = append(nodes, &Node{name: n, role: role})
	}
	slices.SortFunc(nodes, compareNodes)
	var got []string
	for _, n := range nodes {
		got = append(got, n.name)
	}
	if want := []string{"k3d-l-server-0", "k3d-l-agent-0", "k3d-l-agent-9", "k3d-l-agent-10"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Only the rig's clusters are its own, and every container of them is found.
func TestGroup(t *testing.T) {
	summary := func(name, image string, labels map[string]string) container.Summary {
		return container.Summary{ID: "id-" + name, Names: []string{"/" + name}, Image: image, Labels: labels}
	}
	k3d := func(cluster, role string, more ...string) map[string]string {
		l := map[string]string{"app": "k3d", k3dtypes.LabelClusterName: cluster}
		if role != "" {
			l[k3dtypes.LabelRole] = role
		}
		for _, m := range more {
			l[m] = cluster
		}
		return l
	}
	kind := func(cluster, role string) map[string]string {
		return map[string]string{kindLabelCluster: cluster, kindLabelRole: role}
	}
	older := kind("older", "control-plane")
	older[labelPart] = "kubernetes"
	all := group([]container.Summary{
		summary("k3d-a-server-0", "rig.local/node:v1", k3d("a", "server", LabelCluster)),
		summary("k3d-a-serverlb", "rig.local/k3d-proxy:v1", k3d("a", "loadbalancer", LabelCluster)),
		summary("k3d-a-tools", "rig.local/k3d-tools:v1", k3d("a", "noRole")), // k3d gives it no labels of ours
		summary("k3d-theirs-server-0", "rancher/k3s:v1", k3d("theirs", "server")),
		summary("k3d-cut-tools", "rig.local/k3d-tools:v1", k3d("cut", "")),
		summary("b-control-plane", "rig.local/node:v1", kind("b", "control-plane")),
		summary("b-worker", "rig.local/node:v1", kind("b", "worker")),
		summary("older-control-plane", "b95932add60f", older), // whose image has lost its name to a newer one
		summary("other-control-plane", "kindest/node:v1", kind("other", "control-plane")),
		summary("similar-control-plane", "rig.local/nodes:v1", kind("similar", "control-plane")),
		summary("rig-c-agent-0", "rig.local/node:v1", map[string]string{LabelCluster: "c", labelRole: "agent"}),
		summary("somebody", "busybox", nil),
	}, sets.New(key{K3d, "cut"}))
	var got []string
	for k, f := range all {
		var members []string
		for _, m := range f.members {
			members = append(members, m.name+" "+string(m.role))
		}
		got = append(got, fmt.Sprintf("%s %s owned=%t: %s", k.maker, k.name, f.owned, strings.Join(members, ", ")))
	}
	slices.Sort(got)
	want := []string{
		"k3d a owned=true: k3d-a-server-0 server, k3d-a-serverlb helper, k3d-a-tools helper",
		"k3d cut owned=true: k3d-cut-tools helper",
		"k3d theirs owned=false: k3d-theirs-server-0 server",
		"kind b owned=true: b-control-plane server, b-worker agent",
		"kind older owned=true: older-control-plane server",
		"kind other owned=false: other-control-plane server",
		"kind similar owned=false: similar-control-plane server",
		"plain c owned=true: rig-c-agent-0 agent",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func pools() Config {
	return Config{Name: "lab", Servers: 1, Image: "rig.local/node:v1", Pools: []NodePool{
		{Agents: 1}, {Agents: 1, Labels: map[string]string{"kafka": "ok", "a": "b"}, Taints: []string{"kafka=ok:NoSchedule"}},
	}}
}

func TestK3dConfig(t *testing.T) {
	simple := k3dSimple(pools(), 6550)
	if simple.Name != "lab" || simple.Servers != 1 || simple.Agents != 2 || simple.ExposeAPI.HostIP != "127.0.0.1" || simple.ExposeAPI.HostPort != "6550" {
		t.Errorf("%+v", simple)
	}
	var disabled []string
	for _, a := range simple.Options.K3sOptions.ExtraArgs {
		disabled = append(disabled, a.Arg+"@"+strings.Join(a.NodeFilters, ""))
	}
	if want := []string{"--disable=traefik@server:*", "--disable=servicelb@server:*", "--disable=metrics-server@server:*"}; !slices.Equal(disabled, want) {
		t.Errorf("%v, want %v", disabled, want)
	}
	cfg := &k3dconfig.ClusterConfig{}
	cfg.ClusterCreateOpts.GlobalLabels = map[string]string{}
	for _, role := range []k3dtypes.Role{k3dtypes.LoadBalancerRole, k3dtypes.ServerRole, k3dtypes.AgentRole, k3dtypes.AgentRole} {
		cfg.Nodes = append(cfg.Nodes, &k3dtypes.Node{Role: role})
	}
	k3dNodes(cfg, pools())
	if l := cfg.ClusterCreateOpts.GlobalLabels[LabelCluster]; l != "lab" {
		t.Errorf("label of the cluster: %q", l)
	}
	for i, n := range cfg.Nodes {
		labels, args := labelList(n.K3sNodeLabels), n.Args
		var wantLabels, wantArgs []string
		if i == 3 {
			wantLabels, wantArgs = []string{"a=b", "kafka=ok"}, []string{"--node-taint", "kafka=ok:NoSchedule"}
		}
		if !slices.Equal(labels, wantLabels) || !slices.Equal(args, wantArgs) {
			t.Errorf("node %d: labels %v, args %v", i, labels, args)
		}
	}
}

func TestK3dEnvironment(t *testing.T) {
	for host, socket := range map[string]string{
		"unix:///home/me/docker.sock": "/home/me/docker.sock",
		"unix:///var/run/docker.sock": "/var/run/docker.sock",
		"tcp://127.0.0.1:2375":        "", // k3d's own default
	} {
		docker, err := client.NewClientWithOpts(client.WithHost(host))
		if err != nil {
			t.Fatal(err)
		}
		defer docker.Close()
		env := (&Clusters{docker: docker}).job(Config{Image: "rig.local/node:v1"}).k3dEnvironment()
		want := map[string]string{"K3D_IMAGE_TOOLS": "rig.local/k3d-tools:v1", "K3D_IMAGE_LOADBALANCER": "rig.local/k3d-proxy:v1"}
		if socket != "" {
			want["DOCKER_SOCK"] = socket
		}
		if !maps.Equal(env, want) {
			t.Errorf("%s: %v, want %v", host, env, want)
		}
	}
}

func TestKindConfig(t *testing.T) {
	cfg, err := kindConfig(pools(), 6550)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Networking.APIServerAddress != "127.0.0.1" || cfg.Networking.APIServerPort != 6550 || len(cfg.Nodes) != 3 {
		t.Errorf("%+v", cfg)
	}
	last := cfg.Nodes[2]
	if got := labelList(last.Labels); !slices.Equal(got, []string{"a=b", "kafka=ok"}) {
		t.Errorf("labels %v", got)
	}
	want := "kind: JoinConfiguration\nnodeRegistration:\n  taints:\n  - effect: NoSchedule\n    key: kafka\n    value: ok\n"
	if len(last.KubeadmConfigPatches) != 1 || last.KubeadmConfigPatches[0] != want {
		t.Errorf("patches %q, want %q", last.KubeadmConfigPatches, want)
	}
	if len(cfg.Nodes[1].KubeadmConfigPatches) != 0 {
		t.Error("a patch for an agent without taints")
	}
}

func TestPlainNodes(t *testing.T) {
	c := pools()
	c.Servers = 2
	var got []string
	for _, n := range plainNodes(c, "secret", 6550) {
		port := ""
		for p, b := range n.host.PortBindings {
			port = fmt.Sprintf(" %s at %s:%s", p, b[0].HostIP, b[0].HostPort)
		}
		got = append(got, fmt.Sprintf("%s %v %v%s", n.name, n.config.Env, n.config.Cmd, port))
		if !n.host.Privileged || n.config.Labels[LabelCluster] != "lab" || n.config.Hostname != n.name {
			t.Errorf("%s: %+v %+v", n.name, n.config, n.host)
		}
	}
	disabled := "--disable=traefik --disable=servicelb --disable=metrics-server"
	want := []string{
		"rig-lab-server-0 [K3S_TOKEN=secret] [plain server --tls-san 127.0.0.1 " + disabled + " --cluster-init] 6443/tcp at 127.0.0.1:6550",
		"rig-lab-server-1 [K3S_TOKEN=secret K3S_URL=https://rig-lab-server-0:6443] [plain server --tls-san 127.0.0.1 " + disabled + "]",
		"rig-lab-agent-0 [K3S_TOKEN=secret K3S_URL=https://rig-lab-server-0:6443] [plain agent]",
		"rig-lab-agent-1 [K3S_TOKEN=secret K3S_URL=https://rig-lab-server-0:6443] [plain agent --node-label a=b --node-label kafka=ok --node-taint kafka=ok:NoSchedule]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestHelperImages(t *testing.T) {
	c := &Clusters{}
	for node, want := range map[string]string{
		"rig.local/node:v1.35.4":    "rig.local/k3d-tools:v1.35.4",
		"localhost:5000/node":       "rig.local/k3d-tools:latest",
		"localhost:5000/node:v1.36": "rig.local/k3d-tools:v1.36",
	} {
		if got, _ := c.helpers(node); got != want {
			t.Errorf("%s: %s, want %s", node, got, want)
		}
	}
	if _, got := (&Clusters{proxy: "mine"}).helpers("x:1"); got != "mine" {
		t.Errorf("own proxy: %s", got)
	}
}

func TestHostKubeconfig(t *testing.T) {
	raw := []byte(`apiVersion: v1
kind: Config
current-context: default
clusters: [{name: default, cluster: {server: "https://127.0.0.1:6443"}}]
users: [{name: default, user: {token: secret}}]
contexts: [{name: default, context: {cluster: default, user: default}}]
`)
	b, err := hostKubeconfig(raw, "rig-lab", "https://127.0.0.1:6550")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(b)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://127.0.0.1:6550" || config.BearerToken != "secret" {
		t.Errorf("%s %s", config.Host, config.BearerToken)
	}
	for _, bad := range []string{"", "apiVersion: v1\nkind: Config\n", "["} {
		if _, err := hostKubeconfig([]byte(bad), "x", "y"); err == nil {
			t.Errorf("%q was taken for a kubeconfig", bad)
		}
	}
}

func TestChooseRange(t *testing.T) {
	addrs := func(list ...string) (a []netip.Addr) {
		for _, s := range list {
			a = append(a, netip.MustParseAddr(s))
		}
		return a
	}
	for name, tc := range map[string]struct {
		subnet string
		used   []netip.Addr
		size   int
		want   string // "" for an error
	}{
		"empty /16":               {"172.18.0.0/16", addrs("172.18.0.1", "172.18.0.2"), 16, "172.18.255.239-172.18.255.254"},
		"subnet written by host":  {"172.18.0.1/16", nil, 16, "172.18.255.239-172.18.255.254"},
		"/24":                     {"10.200.3.0/24", addrs("10.200.3.1"), 16, "10.200.3.239-10.200.3.254"},
		"one address":             {"10.0.0.0/24", nil, 1, "10.0.0.254-10.0.0.254"},
		"gateway at the high end": {"10.0.0.0/24", addrs("10.0.0.254"), 16, "10.0.0.238-10.0.0.253"},
		"another cluster's range": {"10.0.0.0/24", addrs("10.0.0.250", "10.0.0.251", "10.0.0.252", "10.0.0.253", "10.0.0.254"), 5, "10.0.0.245-10.0.0.249"},
		"a hole too small":        {"10.0.0.0/24", addrs("10.0.0.251"), 16, "10.0.0.235-10.0.0.250"},
		"a hole just large":       {"10.0.0.0/24", addrs("10.0.0.238"), 16, "10.0.0.239-10.0.0.254"},
		"mapped addresses":        {"10.0.0.0/24", addrs("::ffff:10.0.0.254"), 1, "10.0.0.253-10.0.0.253"},
		"used ones elsewhere":     {"10.0.0.0/24", addrs("10.0.1.254", "fd00::1"), 1, "10.0.0.254-10.0.0.254"},
		"a whole upper half":      {"10.0.0.0/28", nil, 7, "10.0.0.8-10.0.0.14"},
		"more than half":          {"10.0.0.0/28", nil, 8, ""},
		"all used":                {"10.0.0.0/29", addrs("10.0.0.4", "10.0.0.5", "10.0.0.6"), 1, ""},
		"/30":                     {"10.0.0.0/30", nil, 1, "10.0.0.2-10.0.0.2"},
		"/31":                     {"10.0.0.0/31", nil, 1, ""},
		"/32":                     {"10.0.0.0/32", nil, 1, ""},
		"the last subnet":         {"255.255.255.0/24", nil, 2, "255.255.255.253-255.255.255.254"},
		"the whole internet":      {"0.0.0.0/0", nil, 2, "255.255.255.253-255.255.255.254"},
		"IPv6":                    {"fd00::/64", nil, 16, ""},
		"no addresses":            {"10.0.0.0/24", nil, 0, ""},
	} {
		r, err := ChooseRange(netip.MustParsePrefix(tc.subnet), tc.used, tc.size)
		if tc.want == "" {
			if err == nil {
				t.Errorf("%s: %s, want an error", name, r)
			}
			continue
		}
		if err != nil || r.String() != tc.want {
			t.Errorf("%s: %s, %v; want %s", name, r, err, tc.want)
		}
		for _, a := range tc.used {
			if r.Contains(a.Unmap()) {
				t.Errorf("%s: %s holds %s", name, r, a)
			}
		}
	}
	if _, err := ChooseRange(netip.Prefix{}, nil, 1); err == nil {
		t.Error("no subnet at all was taken")
	}
}

func TestUsedAddresses(t *testing.T) {
	n := network.Inspect{
		Name: "kind",
		IPAM: network.IPAM{Config: []network.IPAMConfig{
			{Subnet: "fc00:f853:ccd:e793::/64", Gateway: "fc00:f853:ccd:e793::1"},
			{Subnet: "172.18.0.0/16", Gateway: "172.18.0.1", AuxAddress: map[string]string{"host": "172.18.9.9"}},
		}},
		Containers: map[string]network.EndpointResource{
			"a": {IPv4Address: "172.18.0.3/16"}, "b": {IPv4Address: ""},
		},
	}
	endpoint := func(live, fixed string) container.Summary {
		e := &network.EndpointSettings{IPAddress: live}
		if fixed != "" {
			e.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: fixed}
		}
		return container.Summary{NetworkSettings: &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{"kind": e}}}
	}
	subnet, used, err := usedAddresses(n, []container.Summary{endpoint("172.18.0.3", ""), endpoint("", "172.18.255.254"), endpoint("10.0.0.1", ""), {}})
	if err != nil || subnet.String() != "172.18.0.0/16" {
		t.Fatal(subnet, err)
	}
	if got := fmt.Sprint(used); got != "[172.18.0.1 172.18.0.3 172.18.9.9 172.18.255.254]" {
		t.Error(got)
	}
	n.IPAM.Config = n.IPAM.Config[:1]
	if _, _, err := usedAddresses(n, nil); err == nil {
		t.Error("a network without IPv4 was taken")
	}
}

func TestReadiness(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	node := func(name string, status corev1.ConditionStatus, heard time.Time) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
			{Type: corev1.NodeReady, Status: status, Reason: "Kubelet", Message: "because\nof this", LastHeartbeatTime: metav1.NewTime(heard), LastTransitionTime: metav1.NewTime(now.Add(-time.Hour))},
		}}}
	}
	crashing := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "net-x"}, Spec: corev1.PodSpec{NodeName: "b", HostNetwork: true},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "net", RestartCount: 9, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off"}}}}},
	}
	inPodNetwork := crashing.DeepCopy()
	inPodNetwork.Spec.HostNetwork = false
	elsewhere := crashing.DeepCopy()
	elsewhere.Spec.NodeName = "c"
	ready, not := node("a", corev1.ConditionTrue, now), node("b", corev1.ConditionFalse, now)
	for name, tc := range map[string]struct {
		nodes    []*corev1.Node
		pods     []*corev1.Pod
		since    time.Time
		short    string // "" when done
		waiting  string
		terminal string
	}{
		"all ready":            {nodes: []*corev1.Node{ready, node("b", corev1.ConditionTrue, now), node("c", corev1.ConditionFalse, now)}},
		"one missing":          {nodes: []*corev1.Node{ready}, short: "b (not registered)", waiting: "b (not registered)"},
		"one not ready":        {nodes: []*corev1.Node{ready, not}, short: "b (Kubelet)", waiting: "b (Kubelet: because)"},
		"no condition":         {nodes: []*corev1.Node{ready, {ObjectMeta: metav1.ObjectMeta{Name: "b"}}}, short: "b (no condition yet)", waiting: "b (no condition yet)"},
		"the network crashes":  {nodes: []*corev1.Node{ready, not}, pods: []*corev1.Pod{crashing}, short: "b (Kubelet)", waiting: "b (Kubelet: because)", terminal: "pod net-x of node b: container net: CrashLoopBackOff"},
		"others crash":         {nodes: []*corev1.Node{ready, not}, pods: []*corev1.Pod{inPodNetwork, elsewhere}, short: "b (Kubelet)", waiting: "b (Kubelet: because)"},
		"crash, but all ready": {nodes: []*corev1.Node{ready, node("b", corev1.ConditionTrue, now)}, pods: []*corev1.Pod{crashing}},
		"heard in the second":  {nodes: []*corev1.Node{ready, node("b", corev1.ConditionTrue, now)}, since: now.Add(900 * time.Millisecond)},
		"not heard since":      {nodes: []*corev1.Node{ready, node("b", corev1.ConditionTrue, now.Add(-time.Minute))}, since: now.Add(-time.Second), short: "b (not heard of since its start)", waiting: "b (not heard of since its start)"},
	} {
		p, err := readiness{want: []string{"a", "b"}, since: tc.since}.state(tc.nodes, tc.pods, now)
		if p.done != (tc.short == "") || p.short != tc.short || p.waiting != tc.waiting {
			t.Errorf("%s: %+v", name, p)
		}
		if (tc.terminal == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tc.terminal) {
			t.Errorf("%s: %v, want %q", name, err, tc.terminal)
		}
	}
}

func TestRecords(t *testing.T) {
	r := records{dir: filepath.Join(t.TempDir(), "clusters")}
	if all, err := r.list(); err != nil || len(all) != 0 {
		t.Errorf("of no folder: %v, %v", all, err)
	}
	pool := Range{First: netip.MustParseAddr("10.0.0.1"), Last: netip.MustParseAddr("10.0.0.9")}
	want := record{Name: "lab", Maker: Kind, KindNetworkAbsent: true, Pool: &pool}
	if err := r.write(want); err != nil {
		t.Fatal(err)
	}
	if err := r.writeKubeconfig("lab", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"cluster.json", "kubeconfig"} {
		info, err := os.Stat(filepath.Join(r.folder("lab"), f))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
	all, err := r.list()
	if err != nil || len(all) != 1 || all[0].Name != "lab" || all[0].Maker != Kind || !all[0].KindNetworkAbsent || *all[0].Pool != pool {
		t.Errorf("%+v, %v", all, err)
	}
	if err := r.remove("lab"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.read("lab"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after removal: %v", err)
	}
	// A record that was tampered with must not point the deletion at another cluster.
	if err := os.MkdirAll(r.folder("a"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{`{"name":"b","maker":"k3d"}`, `{`} {
		if err := os.WriteFile(filepath.Join(r.folder("a"), "cluster.json"), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if rec, err := r.list(); err == nil {
			t.Errorf("%s was read as %+v", bad, rec)
		}
	}
}

func TestPortTaken(t *testing.T) {
	for text, want := range map[string]bool{
		"driver failed programming external connectivity on endpoint x: Bind for 127.0.0.1:6550 failed: port is already allocated": true,
		"listen tcp4 127.0.0.1:6550: bind: address already in use":                                                                 true,
		"no such image": false,
	} {
		if got := portTaken(errors.New(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

func TestKindLine(t *testing.T) {
	for in, want := range map[string]string{
		" • Preparing nodes 📦 📦   ...\n": "Preparing nodes",
		" ✓ Preparing nodes 📦 📦 \n":      "",
		" ✗ Preparing nodes 📦 📦 \n":      "failed: Preparing nodes",
		"Creating cluster \"lab\" ...\n": "Creating cluster \"lab\"",
		"\n":                             "",
	} {
		if got := kindLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestInotifyShort(t *testing.T) {
	proc := t.TempDir()
	write := func(limit string) {
		if err := os.MkdirAll(filepath.Join(proc, "sys/fs/inotify"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, "sys/fs/inotify/max_user_instances"), []byte(limit), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	me := os.Getuid()
	if why := inotifyShort(proc, me, 1, 2); why != "" {
		t.Errorf("nothing is known, and yet: %s", why)
	}
	for i, target := range []string{"anon_inode:inotify", "anon_inode:inotify", "anon_inode:[eventpoll]"} {
		if err := os.MkdirAll(filepath.Join(proc, "17/fd"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(proc, "17/fd", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	write("42\n") // 2 in use and 22 + 9 + 9 to come
	if why := inotifyShort(proc, me, 1, 2); why != "" {
		t.Errorf("just enough: %s", why)
	}
	if why := inotifyShort(proc, me+1, 1, 2); why != "" {
		t.Errorf("another user's: %s", why)
	}
	write("41\n")
	if why := inotifyShort(proc, me, 1, 2); !strings.Contains(why, "41 inotify instances, 2 are in use, and the nodes need about 40 more") {
		t.Errorf("one too few: %q", why)
	}
	write("many")
	if why := inotifyShort(proc, me, 1, 2); why != "" {
		t.Errorf("unreadable: %s", why)
	}
}
