package kube

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// Reached is where an Ingress is reached, an address or a name, as its controller says in
// its status; "" while it does not.
func Reached(u *unstructured.Unstructured) string {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "loadBalancer", "ingress")
	for _, one := range list {
		m, _ := one.(map[string]any)
		for _, key := range []string{"ip", "hostname"} {
			if host, _ := m[key].(string); host != "" {
				return host
			}
		}
	}
	return ""
}

// IsReached holds when the controller of an Ingress has said where it is reached.
func IsReached(u *unstructured.Unstructured) Verdict {
	switch {
	case u == nil:
		return Verdict{Seen: "it is not there"}
	case Reached(u) == "":
		return Verdict{Seen: "its controller has not said where it is reached"}
	}
	return Verdict{Done: true}
}
