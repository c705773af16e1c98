package e2e

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/hack/rig/cluster"
	"github.com/alertlab/alertlab/internal/kube"
)

// besideOthers has encrypted labs with addresses of MetalLB on a cluster that was there:
// first with nothing of it there, then beside a MetalLB and a cert-manager of somebody
// else, with a pool, an address and an issuer, and a Traefik with a class of Ingresses,
// which are as they were when the lab is gone.
func (l *lab) besideOthers(clusters *cluster.Clusters, made *cluster.Cluster, k *kube.Client, state string) {
	l.Helper()
	all, err := clusters.LoadBalancerRange(l.ctx, made.Name, 16)
	l.must(err)
	// Theirs is the first quarter.
	edge := all.First
	for range 3 {
		edge = edge.Next()
	}
	// The last ones are what a profile's source has.
	real := [2]netip.Addr{all.Last, all.Last.Prev().Prev()}
	theirs, ours := all.First.String()+"-"+edge.String(), edge.Next().String()+"-"+real[1].Prev().String()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "profiles", "ci.yaml"))
	l.must(err)
	const plain, encrypted = "{port: 9094, tls: false, type: nodeport}", "{port: 9094, tls: true, type: loadbalancer, issuer: site-issuer, addressPool: sdf-dmz}"
	profile := filepath.Join(l.TempDir(), "guest.yaml")
	changed := strings.Replace(string(text), plain, encrypted, 1)
	if changed == string(text) {
		l.Fatal("the profile ci has no listener " + plain)
	}
	l.must(os.WriteFile(profile, []byte(changed), 0o600))
	l.env = append(l.env, "ALERTLAB_PROFILE="+profile, "ALERTLAB_ADDRESS_POOL="+ours, "ALERTLAB_BUNDLE="+need(l.T, "ALERTLAB_RIG_BUNDLE"))

	if said := l.run(0, "doctor", "--images-loaded"); !strings.Contains(said, "as a release of the lab's in namespace metallb-system") {
		l.Errorf("doctor, with nothing there:\n%s", said)
	}
	l.Log(l.timed("up with nothing there", "up", "--progress", "plain", "--images-loaded", "--ingress", "traefik"))
	l.timed("smoke", "smoke", "--skip", "visit-cadence")
	l.hosts()
	if again := l.timed("up with nothing to do", "up", "--progress", "plain"); !strings.Contains(again, "nothing to do") {
		l.Errorf("the second up did something:\n%s", again)
	}
	before := l.run(0, "hosts", "-o", "json")
	l.timed("down", "down")
	l.timed("up after down", "up")
	if after := l.run(0, "hosts", "-o", "json"); after != before {
		l.Errorf("addresses before and after:\n%s\n%s", before, after)
	}
	l.timed("smoke after down and up", "smoke", "--skip", "visit-cadence")
	// Somebody has come to use the lab's cert-manager: what that would lose stays, and its
	// owner deletes it.
	const kept = "clusterissuers.cert-manager.io"
	l.must(k.Apply(l.ctx, "", []byte("apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: visitor}\nspec: {selfSigned: {}}\n")))
	if said := l.ends(state); !strings.Contains(said, "delete customresourcedefinition "+kept) {
		l.Errorf("purge of a lab whose cert-manager somebody uses:\n%s", said)
	}
	definitions := k.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if u, err := definitions.Get(l.ctx, kept, metav1.GetOptions{}); err != nil || u.GetLabels()[kube.LabelLab] != "" {
		l.Errorf("the definition that somebody uses: %v, %v", u, err)
	}
	l.must(definitions.Delete(l.ctx, kept, metav1.DeleteOptions{}))
	l.must(k.WaitGone(l.ctx, kube.Object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", kept)))
	for _, name := range []string{"alert-stream-broker", "metallb-system", "cert-manager", "traefik"} {
		if _, err := k.Clientset.CoreV1().Namespaces().Get(l.ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			l.Errorf("the lab's namespace %s after its purge: %v", name, err)
		}
	}
	if left := l.theirs(k); len(left) > 0 {
		l.Errorf("left of MetalLB, cert-manager and Traefik: %v", left)
	}

	// Somebody else's, as their owners would bring them.
	b, err := bundle.Open(need(l.T, "ALERTLAB_RIG_BUNDLE"))
	l.must(err)
	defer b.Close()
	site := &stack{T: l.T, ctx: l.ctx, clusters: clusters, cluster: made, kube: k, bundle: b}
	site.pool.First, site.pool.Last = all.First, edge
	site.chart("metallb", "site-lb", 2, map[string]any{"speaker": map[string]any{"frr": map[string]any{"enabled": false}}})
	site.chart("cert-manager", "cert-manager", 3, map[string]any{"installCRDs": true})
	site.apply("site.yaml", map[string]any{"Range": theirs})
	address := site.serviceAddress("default", "site")
	// As k3s brings it: with no word of ingress-nginx.
	site.chart("traefik", "site-edge", 1, map[string]any{"ingressClass": map[string]any{"name": "site-web", "isDefaultClass": false}})
	edgeAddress := site.serviceAddress("site-edge", "traefik")
	had := l.theirs(k)

	if refused := l.run(2, "up", "--address-pool", theirs, "--images-loaded"); !strings.Contains(refused, "the IPAddressPool site in namespace site-lb") {
		l.Errorf("up with their pool:\n%s", refused)
	}
	if refused := l.run(1, "up", "--ingress", "class:web", "--images-loaded"); !strings.Contains(refused, "the cluster has no ingress class web: it has site-web") {
		l.Errorf("up with a class that there is not:\n%s", refused)
	}
	if said := l.run(0, "doctor", "--images-loaded"); !strings.Contains(said, "was there: it is used, and left as it is") {
		l.Errorf("doctor, with theirs there:\n%s", said)
	}
	l.Log(l.timed("up beside others", "up", "--progress", "plain", "--images-loaded", "--ingress", "class:site-web"))
	l.timed("smoke", "smoke", "--skip", "visit-cadence")
	l.hosts()
	if card := l.run(0, "up", "-o", "json", "--progress", "quiet"); !strings.Contains(card, `"address": "`+edgeAddress.String()+`:443"`) {
		l.Errorf("their ingress is at %s:\n%s", edgeAddress, card)
	}
	if again := l.timed("up with nothing to do", "up", "--progress", "plain"); !strings.Contains(again, "nothing to do") {
		l.Errorf("the second up did something:\n%s", again)
	}
	l.announcesReal(k, profile, encrypted, "site-lb", real, address.String())
	l.ends(state)
	for name, uid := range l.theirs(k) {
		if had[name] != uid {
			l.Errorf("%s is another one, or new: %q, it was %q", name, uid, had[name])
		}
		delete(had, name)
	}
	if len(had) > 0 {
		l.Errorf("gone with the lab: %v", had)
	}
	if now := site.serviceAddress("default", "site"); now != address {
		l.Errorf("their Service has %s, and had %s", now, address)
	}
}

// theirs gives what a cluster has of MetalLB, cert-manager and Traefik, by name, with
// its identity.
func (l *lab) theirs(k *kube.Client) map[string]string {
	return l.have(k, "metallb", "cert-manager", "traefik", "site")
}

// have gives what a cluster has for everybody and with one of some words in its name, with
// its identity.
func (l *lab) have(k *kube.Client, words ...string) map[string]string {
	l.Helper()
	out := map[string]string{}
	for _, r := range []schema.GroupVersionResource{
		{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
		{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"},
		{Group: "apps", Version: "v1", Resource: "deployments"},
		{Group: "apps", Version: "v1", Resource: "daemonsets"},
		{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"},
		{Version: "v1", Resource: "namespaces"},
		{Group: "networking.k8s.io", Version: "v1", Resource: "ingressclasses"},
		{Group: "metallb.io", Version: "v1beta1", Resource: "ipaddresspools"},
		{Group: "metallb.io", Version: "v1beta1", Resource: "l2advertisements"},
		{Group: "cert-manager.io", Version: "v1", Resource: "clusterissuers"},
	} {
		list, err := k.Dynamic.Resource(r).List(l.ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		l.must(err)
		for _, u := range list.Items {
			name := r.Resource + " " + u.GetNamespace() + "/" + u.GetName()
			if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) }) && u.GetDeletionTimestamp() == nil {
				out[name] = string(u.GetUID())
			}
		}
	}
	return out
}
