package existing

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/alertlab/alertlab/internal/addresspool"
	"github.com/alertlab/alertlab/internal/kube"
)

// Taken is a range of addresses that is not a lab's to announce.
type Taken struct {
	addresspool.Range
	Who  string
	Pool string // its name, where it is a pool of MetalLB
}

var pools = schema.GroupVersionResource{Group: "metallb.io", Version: "v1beta1", Resource: "ipaddresspools"}

// TakenAddresses lists the addresses that others than a lab have on a cluster: nodes and
// their pods, Services, and pools of MetalLB. Machines that the cluster does not know of
// are not seen.
func TakenAddresses(ctx context.Context, client *kube.Client, lab string) ([]Taken, error) {
	var out []Taken
	pool := ""
	add := func(text, who string) {
		text = strings.TrimSpace(text)
		if a, err := netip.ParseAddr(text); err == nil {
			text = a.String() + "-" + a.String()
		}
		if r, err := addresspool.Parse(text); err == nil { // others are IPv6, or no addresses
			out = append(out, Taken{r, who, pool})
		}
	}
	nodes, err := client.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, n := range nodes.Items {
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP || a.Type == corev1.NodeExternalIP {
				add(a.Address, "the node "+n.Name)
			}
		}
		for _, cidr := range n.Spec.PodCIDRs {
			add(cidr, "the pods of the node "+n.Name)
		}
	}
	services, err := client.Clientset.CoreV1().Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for i := range services.Items {
		s := &services.Items[i]
		if s.Labels[LabelLab] == lab {
			continue
		}
		who := fmt.Sprintf("the Service %s in namespace %s", s.Name, s.Namespace)
		for _, a := range s.Spec.ClusterIPs {
			add(a, who)
		}
		for _, a := range s.Spec.ExternalIPs {
			add(a, who)
		}
		add(s.Spec.LoadBalancerIP, who)
		for _, a := range s.Status.LoadBalancer.Ingress {
			add(a.IP, who)
		}
	}
	list, err := client.Dynamic.Resource(pools).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		u := &list.Items[i]
		if u.GetLabels()[LabelLab] == lab {
			continue
		}
		pool = u.GetName()
		ranges, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "addresses")
		for _, text := range ranges {
			add(text, fmt.Sprintf("the IPAddressPool %s in namespace %s", u.GetName(), u.GetNamespace()))
		}
	}
	return out, nil
}

// HeldAt lists the addresses that load balancers gave to a lab's own Services; none where
// this user may not see them.
func HeldAt(ctx context.Context, source Source, lab string) ([]string, error) {
	client, err := source.client()
	if err != nil {
		return nil, err
	}
	list, err := held(ctx, client, lab)
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	return list, err
}

func held(ctx context.Context, client *kube.Client, lab string) ([]string, error) {
	services, err := client.Clientset.CoreV1().Services("").List(ctx, metav1.ListOptions{LabelSelector: Selector(lab)})
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range services.Items {
		for _, a := range services.Items[i].Status.LoadBalancer.Ingress {
			out = append(out, a.IP)
		}
	}
	return out, nil
}

// TakenAt is TakenAddresses of a context. What this user may not see is not seen: a survey
// says that the right is missing.
func TakenAt(ctx context.Context, source Source, lab string) ([]Taken, error) {
	client, err := source.client()
	if err != nil {
		return nil, err
	}
	list, err := TakenAddresses(ctx, client, lab)
	if apierrors.IsForbidden(err) {
		return list, nil
	}
	return list, err
}
