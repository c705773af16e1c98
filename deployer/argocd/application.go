package argocd

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"sigs.k8s.io/yaml"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/lab/plan"
)

// Gates that every Application has beside its component's own.
const (
	GateSynced  = "synced"
	GateHealthy = "healthy"
)

// Want makes of what is wanted as a release what is wanted as an Application: the same
// input, and gates for Argo CD's own words. That it is synced comes first, that it is
// healthy after the rollout, or after the conditions of what an operator makes of it: these
// know why it may never be.
func Want(w plan.Want) plan.Want {
	synced := plan.Gate{Name: GateSynced, What: "its Application is Synced", Deadline: 2 * time.Minute}
	healthy := plan.Gate{Name: GateHealthy, What: "its Application is Healthy", Deadline: time.Minute}
	behind := 0
	for i, g := range w.Gates {
		if g.Name == component.GateRollout || g.Name == component.GateConditions {
			behind = i + 1
		}
	}
	w.Gates = slices.Insert(slices.Clone(w.Gates), behind, healthy)
	w.Gates = slices.Insert(w.Gates, 0, synced)
	return w
}

// Parent describes the application of applications over releases.
func Parent(lab string, releases []component.Release) plan.Want {
	all := map[string]any{}
	for _, r := range releases {
		all[r.Name] = map[string]any{"namespace": r.Namespace, "chart": r.Chart, "version": r.Version, "values": r.Values}
	}
	r := component.Release{Name: argocd.Parent, Namespace: argocd.Namespace, Chart: "applications",
		Values: map[string]any{"lab": lab, "project": argocd.Project, "server": argocd.Server, "repository": argocd.Repository, "applications": all}}
	return Want(r.Want(fmt.Sprintf("%s, the application of %d applications", argocd.Parent, len(all))))
}

// manifest is the Application of a release.
func manifest(r component.Release) (*v1alpha1.Application, error) {
	lab, _ := r.Values["lab"].(string)
	// By way of JSON: the types hold values as text.
	text, err := json.Marshal(map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
		"metadata": map[string]any{"name": r.Name, "namespace": argocd.Namespace,
			"labels": map[string]any{"alertlab.dev/lab": lab, "app.kubernetes.io/part-of": "alertlab"}},
		"spec": map[string]any{
			"project": argocd.Project,
			"source": map[string]any{"repoURL": argocd.Repository, "chart": r.Chart, "targetRevision": r.Version,
				"helm": map[string]any{"releaseName": r.Name, "valuesObject": r.Values}},
			"destination": map[string]any{"server": argocd.Server, "namespace": r.Namespace},
			"syncPolicy":  map[string]any{"syncOptions": []any{"CreateNamespace=true"}},
		},
	})
	if err != nil {
		return nil, err
	}
	app := new(v1alpha1.Application)
	return app, json.Unmarshal(text, app)
}

// Render gives the Application that a step would make, as YAML, without a cluster.
func Render(input json.RawMessage) (string, error) {
	r, err := component.Read(input)
	if err != nil {
		return "", err
	}
	app, err := manifest(r)
	if err != nil {
		return "", err
	}
	var content map[string]any
	text, err := json.Marshal(app)
	if err == nil {
		err = json.Unmarshal(text, &content)
	}
	if err != nil {
		return "", err
	}
	delete(content, "status")
	out, err := yaml.Marshal(content)
	return string(out), err
}

// differs says in what the Application that is there deploys something else than the
// one that is wanted, from what to what, a phrase each. What a user may set on it
// beside that, such as a policy to sync by itself, is the user's.
func differs(wanted, there *v1alpha1.Application) []string {
	what := func(a *v1alpha1.Application) json.RawMessage {
		return plan.Input(map[string]any{"project": a.Spec.Project, "source": a.Spec.Source, "destination": a.Spec.Destination})
	}
	return plan.Diff(what(wanted), what(there))
}

// working says whether an operation goes on, or is about to.
func working(app *v1alpha1.Application) bool {
	return app.Operation != nil || (app.Status.OperationState != nil && !app.Status.OperationState.Phase.Completed())
}

// failure is what the last sync said when it did not end well, "" when it did or there
// was none.
func failure(app *v1alpha1.Application) string {
	s := app.Status.OperationState
	if s == nil || !s.Phase.Completed() || s.Phase.Successful() {
		return ""
	}
	return "its last sync is " + string(s.Phase) + ": " + said(s.Message, refusals(s))
}

// refusals are the objects that the cluster would not take in a sync, each with why.
func refusals(s *v1alpha1.OperationState) []string {
	if s.SyncResult == nil {
		return nil
	}
	var out []string
	for _, r := range s.SyncResult.Resources {
		if r.Status == "SyncFailed" || r.HookPhase == "Failed" || r.HookPhase == "Error" {
			out = append(out, fmt.Sprintf("%s %s: %s", r.Kind, r.Name, r.Message))
		}
	}
	return out
}

// said puts what a sync says of itself before what the cluster said of its objects.
func said(message string, refused []string) string {
	return strings.Join(append([]string{message}, refused...), "; ")
}

// complaints are what Argo CD has to say against an Application, apart from shared
// resources and the like, of which it only warns.
func complaints(app *v1alpha1.Application) string {
	var out []string
	for _, c := range app.Status.Conditions {
		if strings.HasSuffix(c.Type, "Error") {
			out = append(out, c.Type+": "+c.Message)
		}
	}
	return strings.Join(out, "; ")
}

// compared says whether the status is about the source that the Application has now.
func compared(app *v1alpha1.Application) bool {
	to := app.Status.Sync.ComparedTo
	return app.Spec.Source != nil && len(plan.Diff(plan.Input(to.Source), plan.Input(app.Spec.Source))) == 0 &&
		len(plan.Diff(plan.Input(to.Destination), plan.Input(app.Spec.Destination))) == 0
}

// outOfSync names the objects that are not as the chart says; "" when all are.
func outOfSync(app *v1alpha1.Application) string {
	var names []string
	for _, r := range app.Status.Resources {
		switch {
		case r.RequiresPruning:
			names = append(names, r.Kind+" "+r.Name+" is not wanted any more")
		case r.Status == v1alpha1.SyncStatusCodeOutOfSync:
			names = append(names, r.Kind+" "+r.Name)
		}
	}
	return strings.Join(names, ", ")
}

// ill names the objects that are not healthy, with their reasons.
func ill(app *v1alpha1.Application) string {
	out := []string{string(app.Status.Health.Status)}
	if m := app.Status.Health.Message; m != "" {
		out = append(out, m)
	}
	for _, r := range app.Status.Resources {
		if r.Health != nil && r.Health.Status != "Healthy" && r.Health.Status != "Suspended" {
			out = append(out, strings.TrimSuffix(fmt.Sprintf("%s %s is %s: %s", r.Kind, r.Name, r.Health.Status, r.Health.Message), ": "))
		}
	}
	return strings.Join(out, "; ")
}
