package existing

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Right is what a lab has to be allowed to do with one kind of objects.
type Right struct {
	Group, Resource string
	Verbs           []string
	Cluster         bool // in no namespace, else in each of the lab's
}

// Verbs of what a lab looks at, and of what it makes.
var (
	reads  = []string{"get", "list", "watch"}
	writes = []string{"get", "list", "create", "update", "patch", "delete"}
)

// Rights lists what the light stack needs.
func Rights() []Right {
	return []Right{
		{"", "nodes", reads, true},
		{"", "namespaces", []string{"get", "create", "delete"}, true},
		{"", "persistentvolumes", []string{"get", "list", "watch", "patch"}, true},
		{"storage.k8s.io", "storageclasses", []string{"get", "list", "create", "delete"}, true},
		{"", "secrets", writes, false},
		{"", "configmaps", writes, false},
		{"", "services", writes, false},
		{"", "pods", []string{"get", "list", "watch", "delete"}, false},
		{"", "pods/log", []string{"get"}, false},
		{"", "events", []string{"list"}, false},
		{"", "persistentvolumeclaims", []string{"get", "list", "delete"}, false},
		{"apps", "deployments", append(slices.Clone(writes), "watch"), false},
		{"apps", "statefulsets", append(slices.Clone(writes), "watch"), false},
		{"policy", "poddisruptionbudgets", writes, false},
	}
}

// sharing lists what more it takes to look at what a cluster has one of for everybody, and
// to make the lab's own objects of it.
func sharing() []Right {
	return []Right{
		{"apiextensions.k8s.io", "customresourcedefinitions", []string{"get", "list"}, true},
		{"apps", "deployments", []string{"list"}, true},
		{"", "services", []string{"list"}, true},
		{"metallb.io", "ipaddresspools", writes, true},
		{"metallb.io", "l2advertisements", writes, true},
		{"cert-manager.io", "issuers", append(slices.Clone(writes), "watch"), false},
		{"cert-manager.io", "certificates", append(slices.Clone(writes), "watch"), false},
	}
}

// bringing lists what more it takes to bring it. Roles can be made only by who has what
// they give, which the API server looks at.
func bringing() []Right {
	var out []Right
	for group, resources := range map[string][]string{
		"apiextensions.k8s.io":         {"customresourcedefinitions"},
		"apps":                         {"deployments", "daemonsets"},
		"":                             {"services", "serviceaccounts", "configmaps", "secrets"},
		"rbac.authorization.k8s.io":    {"clusterroles", "clusterrolebindings", "roles", "rolebindings"},
		"admissionregistration.k8s.io": {"validatingwebhookconfigurations", "mutatingwebhookconfigurations"},
	} {
		for _, resource := range resources {
			out = append(out, Right{group, resource, append(slices.Clone(writes), "watch"), true})
		}
	}
	slices.SortFunc(out, func(a, b Right) int { return strings.Compare(a.Resource, b.Resource) })
	return out
}

// rights lists what a lab needs, whatever the cluster has.
func (n Need) rights() []Right {
	all := append(Rights(), n.Rights...)
	if len(n.Shared) == 0 {
		return all
	}
	for _, r := range sharing() {
		// Of custom resources, those of what it uses.
		if !slices.Contains([]string{"metallb.io", "cert-manager.io"}, r.Group) || slices.ContainsFunc(n.Shared, func(s Shared) bool { return s.defines(r.Group) }) {
			all = append(all, r)
		}
	}
	return all
}

// Missing lists the rights that this user does not have, a line for each kind of
// objects with all verbs that are missing.
func Missing(ctx context.Context, api kubernetes.Interface, rights []Right, namespaces []string) ([]string, error) {
	ask := func(a authorizationv1.ResourceAttributes) (bool, error) {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &a}}
		answer, err := api.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return answer.Status.Allowed, nil
	}
	// Whoever may do everything is asked nothing more.
	if all, err := ask(authorizationv1.ResourceAttributes{Verb: "*", Group: "*", Resource: "*"}); err != nil || all {
		return nil, err
	}
	type question struct {
		right     int
		namespace string
		verb      string
	}
	var questions []question
	for i, r := range rights {
		places := namespaces
		if r.Cluster {
			places = []string{""}
		}
		for _, place := range places {
			for _, verb := range r.Verbs {
				questions = append(questions, question{i, place, verb})
			}
		}
	}
	allowed := make([]bool, len(questions))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, q := range questions {
		g.Go(func() error {
			if gctx.Err() != nil {
				return gctx.Err()
			}
			resource, sub, _ := strings.Cut(rights[q.right].Resource, "/")
			var err error
			allowed[i], err = ask(authorizationv1.ResourceAttributes{Verb: q.verb, Group: rights[q.right].Group, Resource: resource, Subresource: sub, Namespace: q.namespace})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var lines []string
	for i, q := range questions {
		if allowed[i] {
			continue
		}
		r := rights[q.right]
		line := strings.TrimSuffix(r.Resource+"."+r.Group, ".")
		if q.namespace != "" {
			line += " in namespace " + q.namespace
		}
		line += ":"
		if n := len(lines); n > 0 && strings.HasPrefix(lines[n-1], line) {
			lines[n-1] += ", " + q.verb
			continue
		}
		lines = append(lines, fmt.Sprintf("%s %s", line, q.verb))
	}
	return lines, nil
}
