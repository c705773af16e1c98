package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/alertlab/alertlab/internal/kube"
)

// announcesReal moves a lab of one broker, with the profile in a file and its listener as
// it stands there, to the addresses of its source, which are of the rig's own network here:
// first out of a pool that the cluster has under the source's name, then, when that is gone,
// out of one of the lab's own. metallb is the namespace in which MetalLB looks for pools,
// free are addresses that nobody has and taken is somebody's.
func (l *lab) announcesReal(k *kube.Client, profile, listener, metallb string, free [2]netip.Addr, taken string) {
	l.Helper()
	text, err := os.ReadFile(profile)
	l.must(err)
	with := func(name, bootstrap string) string {
		file := filepath.Join(l.TempDir(), name+".yaml")
		source := fmt.Sprintf("%s, source: {bootstrap: %s, brokers: [%s]}}", strings.TrimSuffix(listener, "}"), bootstrap, free[1])
		changed := strings.Replace(string(text), listener, source, 1)
		if changed == string(text) {
			l.Fatal("the profile has no listener " + listener)
		}
		l.must(os.WriteFile(file, []byte(changed), 0o600))
		return file
	}
	if refused := l.run(2, "up", "--profile", with("taken", taken), "--real-addresses"); !strings.Contains(refused, "it has "+taken+", which is that of") {
		l.Errorf("up with an address that somebody has:\n%s", refused)
	}
	file := with("real", free[0].String())
	said := fmt.Sprintf("bootstrap %s, broker 0 %s", free[0], free[1])
	if plan := l.run(0, "plan", "--profile", file, "--real-addresses"); !strings.Contains(plan, "THE REAL SYSTEM'S ADDRESSES") || !strings.Contains(plan, said) {
		l.Errorf("plan with real addresses:\n%s", plan)
	}
	// A lab is told once; the environment, which goes over what it was told, says nothing.
	const pool = "sdf-dmz"
	l.must(k.Apply(l.ctx, "", fmt.Appendf(nil, "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: %s, namespace: %s}\nspec: {autoAssign: false, addresses: [%s/32, %s/32]}\n"+
		"---\napiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: %s, namespace: %s}\nspec: {ipAddressPools: [%s]}\n", pool, metallb, free[0], free[1], pool, metallb, pool)))
	l.timed("up with real addresses, of the cluster's pool", "up", "--profile", file, "--real-addresses")
	l.env = append(l.env, "ALERTLAB_ADDRESS_POOL=", "ALERTLAB_PROFILE=")
	l.hasReal(k, free)
	if again := l.timed("up with nothing to do", "up", "--progress", "plain"); !strings.Contains(again, "nothing to do") {
		l.Errorf("the second up with real addresses did something:\n%s", again)
	}
	for _, resource := range []string{"ipaddresspools", "l2advertisements"} {
		api := k.Dynamic.Resource(schema.GroupVersionResource{Group: "metallb.io", Version: "v1beta1", Resource: resource}).Namespace(metallb)
		theirs, err := api.Get(l.ctx, pool, metav1.GetOptions{})
		l.must(err)
		if theirs.GetLabels()[kube.LabelLab] != "" {
			l.Errorf("%s %s of the cluster's has become the lab's", resource, pool)
		}
		l.must(api.Delete(l.ctx, pool, metav1.DeleteOptions{}))
	}
	if plan := l.run(0, "plan"); !strings.Contains(plan, "the cluster's pool "+pool+" has them no more") {
		l.Errorf("plan without the cluster's pool:\n%s", plan)
	}
	l.timed("up with real addresses, of the lab's own pool", "up")
	own, err := k.Dynamic.Resource(schema.GroupVersionResource{Group: "metallb.io", Version: "v1beta1", Resource: "ipaddresspools"}).Namespace(metallb).Get(l.ctx, pool, metav1.GetOptions{})
	l.must(err)
	if ranges, _, _ := unstructured.NestedStringSlice(own.Object, "spec", "addresses"); fmt.Sprint(ranges) != fmt.Sprintf("[%[1]s-%[1]s %[2]s-%[2]s]", free[0], free[1]) {
		l.Errorf("the pool %s is of %v", pool, ranges)
	}
	l.hasReal(k, free)
	l.timed("smoke at real addresses", "smoke", "--skip", "visit-cadence")
}

// hasReal looks which addresses bootstrap and the broker were given.
func (l *lab) hasReal(k *kube.Client, want [2]netip.Addr) {
	l.Helper()
	for i, name := range []string{"alert-broker-kafka-external-bootstrap", "alert-broker-kafka-0"} {
		s, err := k.Clientset.CoreV1().Services("alert-stream-broker").Get(l.ctx, name, metav1.GetOptions{})
		l.must(err)
		if got := s.Status.LoadBalancer.Ingress; len(got) != 1 || got[0].IP != want[i].String() {
			l.Errorf("Service %s has %v, not %s", name, got, want[i])
		}
	}
}
