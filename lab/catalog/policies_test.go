package catalog

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/alertlab/alertlab/component/chartregistry"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

// pod is one as policies see it.
type pod struct {
	namespace string
	labels    labels.Set
}

// policedPods is what the charts of a lab with policies make: its pods by the names of their
// workloads, and the policies.
type policedPods struct {
	pods     map[string]pod
	policies []networkingv1.NetworkPolicy
	text     string // of the policies
}

func policedNetwork(t *testing.T, desc state.Description) policedPods {
	t.Helper()
	p, err := profiles.Override(profileIn(t, desc), nil, "networkPolicies=true", "alertDatabase.scaling.lag=100")
	if err != nil {
		t.Fatal(err)
	}
	desc.Resolved = string(p.Source())
	n := policedPods{pods: map[string]pod{}}
	releases := resolvedReleases(t, wanted(t, desc))
	lab := labOf(desc)
	lab.NetworkPolicies = true
	releases["chart-registry"] = chartregistry.Want(p, lab).Input // Argo CD's, under either stack
	for _, key := range slices.Sorted(maps.Keys(releases)) {
		text, err := helm.Render(releases[key])
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		for document := range strings.SplitSeq("\n"+text, "\n---\n") {
			var of metav1.TypeMeta
			if err := yaml.Unmarshal([]byte(document), &of); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			switch of.Kind {
			case "Deployment", "StatefulSet": // both have the name and the template at the same places
				var w appsv1.Deployment
				if err := yaml.Unmarshal([]byte(document), &w); err != nil {
					t.Fatal(err)
				}
				n.pods[w.Name] = pod{w.Namespace, w.Spec.Template.Labels}
			case "NetworkPolicy":
				var one networkingv1.NetworkPolicy
				if err := yaml.UnmarshalStrict([]byte(document), &one); err != nil {
					t.Fatalf("%s: %v\n%s", key, err, document)
				}
				n.policies, n.text = append(n.policies, one), n.text+"---\n"+strings.TrimSpace(document)+"\n"
			}
		}
	}
	return n
}

func selects(t *testing.T, s *metav1.LabelSelector, of labels.Set) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(of)
}

// allows says whether policies let from (nil: somebody outside the cluster) open a
// connection to a port of to (nil: somebody outside), by the rules of the API: a pod that
// no policy of a direction selects may do everything in it, and each policy adds.
func (n policedPods) allows(t *testing.T, from, to *pod, protocol corev1.Protocol, port int32) bool {
	t.Helper()
	direction := func(of, other *pod, kind networkingv1.PolicyType) bool {
		if of == nil {
			return true
		}
		isolated := false
		for _, p := range n.policies {
			if p.Namespace != of.namespace || !selects(t, &p.Spec.PodSelector, of.labels) || !slices.Contains(p.Spec.PolicyTypes, kind) {
				continue
			}
			isolated = true
			type rule struct {
				ports []networkingv1.NetworkPolicyPort
				peers []networkingv1.NetworkPolicyPeer
			}
			var rules []rule
			if kind == networkingv1.PolicyTypeIngress {
				for _, r := range p.Spec.Ingress {
					rules = append(rules, rule{r.Ports, r.From})
				}
			} else {
				for _, r := range p.Spec.Egress {
					rules = append(rules, rule{r.Ports, r.To})
				}
			}
			for _, r := range rules {
				if len(r.ports) == 0 { // none of ours leaves every port open
					t.Errorf("policy %s has a rule without ports", p.Name)
				}
				if !slices.ContainsFunc(r.ports, func(p networkingv1.NetworkPolicyPort) bool { return *p.Protocol == protocol && p.Port.IntVal == port }) {
					continue
				}
				if len(r.peers) == 0 {
					return true
				}
				for _, peer := range r.peers {
					switch {
					case peer.IPBlock != nil: // of all addresses outside; of pods none of ours speaks so
						if other == nil && peer.IPBlock.CIDR == "0.0.0.0/0" {
							return true
						}
					case other == nil:
					case peer.NamespaceSelector == nil && p.Namespace != other.namespace:
					case peer.NamespaceSelector != nil && !selects(t, peer.NamespaceSelector, labels.Set{"kubernetes.io/metadata.name": other.namespace}):
					case selects(t, peer.PodSelector, other.labels):
						return true
					}
				}
			}
		}
		return !isolated
	}
	return direction(from, to, networkingv1.PolicyTypeEgress) && direction(to, from, networkingv1.PolicyTypeIngress)
}

// flow is a connection: from and to are names of workloads, "" for somebody outside the
// cluster.
type flow struct {
	from, to string
	port     int32
}

// What the stack needs is let through, and what it does not need is not.
func TestNetworkPolicies(t *testing.T) {
	t.Parallel()
	const (
		kafka, ingester, server, simulator = "alert-broker-kafka", "alert-database-ingester", "alert-database-server", "alert-stream-simulator"
		front, registry, store, charts     = "alert-schema-registry-front", "alert-schema-registry", "object-store", "chart-registry"
		scaler                             = "alert-database-scaler"
		client, stranger                   = "client", "stranger"
		repo, dns                          = "argocd-repo-server", "dns"
	)
	// In both stacks.
	needed := []flow{
		{ingester, kafka, 9092}, {ingester, registry, 8081}, {ingester, store, 9000}, {server, store, 9000},
		{simulator, kafka, 9092}, {front, registry, 8081},
		{"", front, 8080}, {"", server, 3000}, {"", store, 9000},
		{scaler, kafka, 9092}, {scaler, "", 443}, {scaler, "", 6443}, {scaler, dns, 53}, {ingester, dns, 53}, {server, dns, 53}, {simulator, dns, 53}, {front, dns, 53},
	}
	refused := []flow{
		{simulator, store, 9000}, {simulator, registry, 8081}, {server, kafka, 9092}, {server, registry, 8081}, {front, kafka, 9092}, {front, store, 9000},
		{ingester, kafka, 9094}, {ingester, kafka, 9091}, {ingester, server, 3000}, {store, kafka, 9092}, {store, "", 443}, {ingester, "", 443}, {server, "", 443},
		{scaler, store, 9000}, {scaler, kafka, 9094}, {stranger, scaler, 8090}, {store, ingester, 8090}, {stranger, ingester, 8090}, {stranger, store, 8090}, {simulator, front, 8080}, {stranger, front, 8090},
	}
	for name, test := range map[string]struct {
		desc            state.Description
		pods            map[string]pod // beside those of our charts
		needed, refused []flow
	}{
		"light": {onK3d(t, "ci"), map[string]pod{}, append([]flow{
			{kafka, kafka, 9090}, {kafka, kafka, 9091}, {registry, kafka, 9093}, {client, kafka, 9092}, {client, kafka, 9093},
			{"", kafka, 9094}, {"", registry, 8081}, {repo, charts, 8443}, {kafka, dns, 53}, {registry, dns, 53},
		}, needed...), append([]flow{
			{stranger, kafka, 9090}, {stranger, kafka, 9091}, {stranger, kafka, 9092}, {stranger, kafka, 9093}, {simulator, kafka, 9093}, {registry, kafka, 9092},
			{client, kafka, 9091}, {"", kafka, 9092}, {"", kafka, 9091}, {kafka, store, 9000}, {kafka, "", 443}, {registry, store, 9000}, {registry, "", 443},
			{stranger, charts, 8443}, {"", charts, 8443}, {charts, "", 443},
		}, refused...)},
		"full": {fullOnK3d(t, "usdfdev"), map[string]pod{
			// As operators label them.
			kafka:    {"alert-stream-broker", labels.Set{"strimzi.io/cluster": "alert-broker", "strimzi.io/kind": "Kafka", "strimzi.io/name": "alert-broker-kafka"}},
			registry: {"alert-stream-broker", labels.Set{"app": "alert-schema-registry"}},
		}, append([]flow{{registry, kafka, 9093}}, needed...), refused},
	} {
		n := policedNetwork(t, test.desc)
		golden(t, filepath.Join("policies", name+".yaml"), n.text)
		for workload := range n.pods {
			if !slices.ContainsFunc(n.policies, func(p networkingv1.NetworkPolicy) bool {
				return p.Namespace == n.pods[workload].namespace && selects(t, &p.Spec.PodSelector, n.pods[workload].labels)
			}) {
				t.Errorf("%s: no policy is about %s", name, workload)
			}
		}
		maps.Copy(n.pods, test.pods)
		n.pods[client] = pod{"elsewhere", labels.Set{"alertlab.dev/kafka-client": "true"}}
		n.pods[stranger] = pod{"alert-stream-broker", labels.Set{"app": "stranger"}}
		n.pods[repo] = pod{"argocd", labels.Set{"app.kubernetes.io/name": "argocd-repo-server"}}
		n.pods[dns] = pod{"kube-system", labels.Set{"k8s-app": "kube-dns"}}
		seen := func(f flow) bool {
			t.Helper()
			var ends [2]*pod
			for i, end := range []string{f.from, f.to} {
				if end == "" {
					continue
				}
				p, ok := n.pods[end]
				if !ok {
					t.Fatalf("%s: there are no pods of %s, there are %q", name, end, slices.Sorted(maps.Keys(n.pods)))
				}
				ends[i] = &p
			}
			protocol := corev1.ProtocolTCP
			if f.port == 53 {
				protocol = corev1.ProtocolUDP
			}
			return n.allows(t, ends[0], ends[1], protocol, f.port)
		}
		for _, f := range test.needed {
			if !seen(f) {
				t.Errorf("%s: %+v is not let through", name, f)
			}
		}
		for _, f := range test.refused {
			if seen(f) {
				t.Errorf("%s: %+v is let through", name, f)
			}
		}
	}
}

// Without the profile's word there are none.
func TestNoNetworkPolicies(t *testing.T) {
	t.Parallel()
	for key, input := range resolvedReleases(t, wanted(t, onK3d(t, "usdfdev"))) {
		text, err := helm.Render(input)
		if err != nil || strings.Contains(text, "NetworkPolicy") {
			t.Errorf("%s: %v\n%s", key, err, text)
		}
	}
}
