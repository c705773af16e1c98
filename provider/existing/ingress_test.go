package existing

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
)

func ingressOf(name, lab string) runtime.Object {
	c := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.IngressClassSpec{Controller: "example.org/" + name}}
	if lab != "" {
		c.Labels = map[string]string{LabelLab: lab}
	}
	return c
}

// A class of the cluster's own is used where it is there; where it is not, those that are
// there are named.
func TestIngressClass(t *testing.T) {
	t.Parallel()
	look := func(class string, c *kube.Client) (plan.Observation, error) {
		part := &IngressClass{Open: func() (*kube.Client, error) { return c, nil }}
		w := WantIngressClass(class)
		_, err := part.Apply(t.Context(), plan.Order{Input: w.Input})
		o, seen := part.Observe(t.Context(), plan.Look{Want: w})
		if (err == nil) != (seen == nil) {
			t.Errorf("%s: applied with %v, observed with %v", class, err, seen)
		}
		return o, seen
	}
	both := client(anything, ingressOf("web", ""), ingressOf("internal", "other"))
	o, err := look("web", both)
	if err != nil || o.State != plan.Present || o.Drift != "" || o.Applied == nil || o.Why != "the ingress class web of example.org/web was there: it is used, and left as it is" {
		t.Errorf("%+v, %v", o, err)
	}
	for text, c := range map[string]*kube.Client{"it has internal, web": both, "it has none": client(anything)} {
		if _, err := look("traefik", c); fault.CodeOf(err) != fault.StepFailed || !strings.Contains(err.Error(), "the cluster has no ingress class traefik") || !strings.Contains(err.Error(), text) {
			t.Errorf("%v", err)
		}
	}
}

// The survey names the classes that there are, and one that is missing before anything is
// made; what the lab would bring beside one of that name is refused with the way to use it.
func TestIngressSurveyed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		need Need
		why  string
	}{
		"none is wanted":   {Need{}, ""},
		"it is there":      {Need{IngressClass: "web"}, ""},
		"it is missing":    {Need{IngressClass: "traefik"}, "the cluster has no ingress class traefik: it has mine, web"},
		"brought":          {Need{Shared: []Shared{{Key: "ingress-controller", Class: "traefik", Brings: "Traefik", Namespace: "traefik"}}}, ""},
		"the lab's own":    {Need{Shared: []Shared{{Key: "ingress-controller", Class: "mine", Namespace: "traefik"}}}, ""},
		"beside another's": {Need{Shared: []Shared{{Key: "ingress-controller", Class: "web", Namespace: "traefik"}}}, "the ingress class web is there, of example.org/web, and the lab did not make it"},
	} {
		s := &Survey{}
		tc.need.Lab = "lab"
		c := client(anything, ingressOf("web", ""), ingressOf("mine", "lab"))
		if err := s.shared(t.Context(), c, tc.need); err != nil {
			t.Fatal(err)
		}
		if err := s.ingress(t.Context(), c, tc.need); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(s.Components, ", "); got != "ingress class mine, ingress class web" {
			t.Errorf("%s: %s", name, got)
		}
		switch {
		case tc.why == "" && len(s.Problems) > 0:
			t.Errorf("%s: %+v", name, s.Problems)
		case tc.why != "" && (len(s.Problems) != 1 || s.Problems[0].What != tc.why || !strings.Contains(s.Problems[0].Next, "--ingress class:")):
			t.Errorf("%s: %+v", name, s.Problems)
		}
		for _, f := range s.Shared {
			if f.Mine != (f.Why == "" && f.There) {
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
	for _, brings := range []bool{true, false} {
		verbs := IngressRights(brings)[1].Verbs
		if makes := strings.Contains(strings.Join(verbs, " "), "create"); makes != brings {
			t.Errorf("%t: %q", brings, verbs)
		}
	}
}
