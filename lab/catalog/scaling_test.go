package catalog

import (
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/existing"
)

// scaled is a lab whose ingesters scale with their lag.
func scaled(t *testing.T, provider string) state.Description {
	t.Helper()
	desc := on(t, provider, "ci")
	p, err := profiles.Load("ci")
	if err != nil {
		t.Fatal(err)
	}
	if p, err = profiles.Override(p, nil, "alertDatabase.ingesters=5", "alertDatabase.scaling.lag=100"); err != nil {
		t.Fatal(err)
	}
	desc.Resolved = string(p.Source())
	return desc
}

// Ingesters that scale have no number in their chart, which neither deployer then calls a
// difference; who scales them may do that and nothing else, and all that there may be find
// room.
func TestScaledIngesters(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{K3d, Existing} {
		w := wanted(t, scaled(t, provider))
		i := slices.IndexFunc(w.Parts, func(p plan.Want) bool { return p.Key == "alert-database-ingester" })
		if title := w.Parts[i].Title; title != "archive every alert of alerts-simulated, 1 to 5 ingesters, one for every 100 alerts that wait" {
			t.Error(title)
		}
		text, err := helm.Render(resolvedReleases(t, w)["alert-database-ingester"])
		if err != nil {
			t.Fatal(err)
		}
		strictly(t, "alert-database-ingester", text)
		objects := map[string]string{}
		for _, document := range strings.Split(text, "\n---\n") {
			kind, name := "", ""
			for _, line := range strings.Split(document, "\n") {
				if k, ok := strings.CutPrefix(line, "kind: "); ok {
					kind = k
				}
				if n, ok := strings.CutPrefix(line, "  name: "); ok && name == "" {
					name = n
				}
			}
			objects[kind+" "+name] = document
		}
		ingester, scaler, role := objects["Deployment alert-database-ingester"], objects["Deployment alert-database-scaler"], objects["Role alert-database-scaler"]
		for _, part := range []string{"\n  replicas: ", "serviceAccountName"} {
			if strings.Contains(ingester, part) {
				t.Errorf("%s: the ingesters have %q:\n%s", provider, part, ingester)
			}
		}
		for _, part := range []string{`alertlab.dev/least-replicas: "1"`, `alertlab.dev/most-replicas: "5"`, "automountServiceAccountToken: false"} {
			if !strings.Contains(ingester, part) {
				t.Errorf("%s: the ingesters have no %q:\n%s", provider, part, ingester)
			}
		}
		for _, part := range []string{"alertlab.dev/stops: first", "serviceAccountName: alert-database-scaler", `"--lag=100"`, `"--most=5"`, `"--cooldown=15m0s"`, "\n  replicas: 1\n"} {
			if !strings.Contains(scaler, part) {
				t.Errorf("%s: the scaler has no %q:\n%s", provider, part, scaler)
			}
		}
		if !strings.Contains(role, "resources: [deployments/scale]\n  resourceNames: [alert-database-ingester]\n  verbs: [get, patch]") {
			t.Errorf("%s: its role:\n%s", provider, role)
		}
		// Whoever makes these on a cluster that was there needs the rights.
		for object := range objects {
			kind, _, _ := strings.Cut(object, " ")
			resource := strings.ToLower(kind) + "s"
			if !slices.ContainsFunc(append(existing.Rights(), existing.ScalingRights()...), func(r existing.Right) bool { return r.Resource == resource }) {
				t.Errorf("no right for %s", resource)
			}
		}
		if !slices.ContainsFunc(existing.ScalingRights(), func(r existing.Right) bool { return r.Resource == "deployments/scale" }) {
			t.Error("nobody may give away a right that he has not")
		}
	}
	fixed, err := Fit(on(t, K3d, "ci"), Room{})
	if err != nil {
		t.Fatal(err)
	}
	most, err := Fit(scaled(t, K3d), Room{})
	if err != nil || most.Result.Pods != fixed.Result.Pods+5 { // four ingesters more, and who scales them
		t.Errorf("%d pods, without %d: %v", most.Result.Pods, fixed.Result.Pods, err)
	}
	desc := scaled(t, Embedded)
	if w := wanted(t, desc); !slices.ContainsFunc(w.Concessions, func(s string) bool { return strings.Contains(s, "no ingesters come and go with their lag") }) {
		t.Errorf("an embedded lab concedes %q", w.Concessions)
	}
}
