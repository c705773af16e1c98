package argocd

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/argoproj/gitops-engine/pkg/health"
	synccommon "github.com/argoproj/gitops-engine/pkg/sync/common"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
)

// fakeCluster keeps Applications as Argo CD would, and remembers what was asked of it.
type fakeCluster struct {
	app     *v1alpha1.Application
	away    string
	kept    bool
	rollout kube.Verdict
	fails   error
	pods    []kube.Pod
	unmet   string // of the objects that are watched
	// after is what an Application becomes by a sync, or by being compared anew.
	after func(*v1alpha1.Application)

	asked []string
}

func (f *fakeCluster) Application(context.Context, string) (*v1alpha1.Application, error) {
	if f.app == nil {
		return nil, f.fails
	}
	return f.app.DeepCopy(), f.fails
}

func (f *fakeCluster) Away(context.Context) (string, error) { return f.away, nil }

func (f *fakeCluster) Wait(_ context.Context, _ string, judge judge, seen func(string)) error {
	v := judge(f.app, 0)
	if v.Done {
		return nil
	}
	seen(v.Seen)
	return &kube.WaitError{What: "waiting", Seen: v.Terminal}
}

func (f *fakeCluster) Put(_ context.Context, app *v1alpha1.Application) error {
	f.asked = append(f.asked, "put")
	f.app = app.DeepCopy()
	return f.fails
}

func (f *fakeCluster) sync(what string) error {
	f.asked = append(f.asked, what)
	if f.after != nil && f.app != nil {
		f.after(f.app)
	}
	return f.fails
}

func (f *fakeCluster) Sync(context.Context, string) error    { return f.sync("sync") }
func (f *fakeCluster) Refresh(context.Context, string) error { return f.sync("refresh") }

func (f *fakeCluster) Terminate(context.Context, string) error {
	f.asked = append(f.asked, "terminate")
	f.app.Operation, f.app.Status.OperationState = nil, nil
	return nil
}

func (f *fakeCluster) Unstick(context.Context, string, string) error {
	f.asked = append(f.asked, "unstick")
	return nil
}

func (f *fakeCluster) Kept(context.Context, string, string) (bool, error) { return f.kept, nil }

func (f *fakeCluster) Rollout(context.Context, string, string) (kube.Verdict, error) {
	return f.rollout, nil
}

func (f *fakeCluster) WaitRollout(_ context.Context, namespace, selector string, seen func(string)) error {
	seen(namespace + " " + selector)
	return f.fails
}

func (f *fakeCluster) Pods(context.Context, string, string) ([]kube.Pod, error) {
	return f.pods, nil
}

func (f *fakeCluster) WaitAll(_ context.Context, objects []kube.Expected, _ kube.Behind, seen func(string)) error {
	seen(objects[0].Ref.Name)
	return f.fails
}

func (f *fakeCluster) LookAt(_ context.Context, objects []kube.Expected) (string, error) {
	f.asked = append(f.asked, "look at "+objects[0].Ref.Name)
	return f.unmet, nil
}

func (f *fakeCluster) Follow(_ context.Context, namespace, selector string, _ time.Time, line func(pod, text string)) {
	line("pod", namespace+" "+selector)
}

// classes is a release with a value of each kind.
func classes() component.Release {
	return component.Release{Name: "storage-classes", Namespace: "alert-stream-broker", Chart: "storage-classes",
		Values: map[string]any{"lab": "default", "port": 31090, "big": int64(1) << 40, "share": 0.5, "none": nil, "on": true,
			"classes": []any{map[string]any{"name": "fast", "reclaimPolicy": "Retain"}}},
		Outputs: map[string]string{"class": "fast"}}
}

func want() plan.Want { return Want(classes().Want("classes", component.Rollout(time.Second))) }

// wanted is the Application of want.
func wanted(t *testing.T) *v1alpha1.Application {
	t.Helper()
	r, err := component.Read(want().Input)
	if err != nil {
		t.Fatal(err)
	}
	app, err := manifest(r)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// good makes an Application what it is when all is well.
func good(app *v1alpha1.Application) {
	app.Operation = nil
	app.Status.OperationState = &v1alpha1.OperationState{Phase: synccommon.OperationSucceeded}
	app.Status.Sync = v1alpha1.SyncStatus{Status: v1alpha1.SyncStatusCodeSynced,
		ComparedTo: v1alpha1.ComparedTo{Source: *app.Spec.Source, Destination: app.Spec.Destination}}
	app.Status.Health.Status = health.HealthStatusHealthy
}

func fakePart(f *fakeCluster) *Part {
	p := &Part{}
	p.Open = func() (Target, error) { return f, nil }
	return p
}

// there is the Application of want when all is well, changed.
func there(t *testing.T, change func(*v1alpha1.Application)) *v1alpha1.Application {
	app := wanted(t)
	good(app)
	if change != nil {
		change(app)
	}
	return app
}

func TestObserve(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cluster     fakeCluster
		state       plan.State
		kept        bool
		drift, away string
	}{
		"none":            {cluster: fakeCluster{}, state: plan.Absent},
		"volumes":         {cluster: fakeCluster{kept: true}, state: plan.Absent, kept: true},
		"as it should be": {cluster: fakeCluster{app: there(t, nil), rollout: kube.Verdict{Done: true}}, state: plan.Present},
		"a value changed behind our back": {cluster: fakeCluster{app: there(t, func(a *v1alpha1.Application) {
			a.Spec.Source.Helm.ValuesObject.Raw = []byte(strings.Replace(string(a.Spec.Source.Helm.ValuesObject.Raw), "31090", "31091", 1))
		})}, state: plan.Present, drift: "in its Application source.helm.valuesObject.port 31090 -> 31091"},
		"another chart": {cluster: fakeCluster{app: there(t, func(a *v1alpha1.Application) { a.Spec.Source.Chart = "kafka" }), away: "argocd-server: 0 of 1 ready"},
			state: plan.Present, drift: "in its Application source.chart \"storage-classes\" -> \"kafka\""},
		"an object changed": {cluster: fakeCluster{app: there(t, func(a *v1alpha1.Application) {
			a.Status.Sync.Status = v1alpha1.SyncStatusCodeOutOfSync
			a.Status.Resources = []v1alpha1.ResourceStatus{{Kind: "StorageClass", Name: "fast", Status: v1alpha1.SyncStatusCodeOutOfSync}, {Kind: "StorageClass", Name: "slow", RequiresPruning: true}}
		})}, state: plan.Present, drift: "its Application is OutOfSync: StorageClass fast, StorageClass slow is not wanted any more"},
		"degraded": {cluster: fakeCluster{app: there(t, func(a *v1alpha1.Application) {
			a.Status.Health.Status = health.HealthStatusDegraded
			a.Status.Resources = []v1alpha1.ResourceStatus{{Kind: "Deployment", Name: "d", Health: &v1alpha1.HealthStatus{Status: health.HealthStatusDegraded, Message: "exceeded its progress deadline"}}}
		})}, state: plan.Present, drift: "its Application is Degraded; Deployment d is Degraded: exceeded its progress deadline"},
		"a sync that failed": {cluster: fakeCluster{app: there(t, func(a *v1alpha1.Application) {
			a.Status.OperationState = &v1alpha1.OperationState{Phase: synccommon.OperationFailed, Message: "one object failed", SyncResult: &v1alpha1.SyncOperationResult{
				Resources: v1alpha1.ResourceResults{{Kind: "Service", Name: "s", Status: synccommon.ResultCodeSyncFailed, Message: "port is taken"}}}}
		})}, state: plan.Present, drift: "its last sync is Failed: one object failed; Service s: port is taken"},
		"a chart that cannot be got": {cluster: fakeCluster{app: there(t, func(a *v1alpha1.Application) {
			a.Status.Conditions = []v1alpha1.ApplicationCondition{{Type: v1alpha1.ApplicationConditionComparisonError, Message: "not found"}, {Type: v1alpha1.ApplicationConditionSharedResourceWarning, Message: "shared"}}
		})}, state: plan.Present, drift: "its Application has a ComparisonError: not found"},
		"a sync that goes on": {cluster: fakeCluster{app: there(t, func(a *v1alpha1.Application) { a.Operation = &v1alpha1.Operation{} })},
			state: plan.Present, drift: "a sync of its Application goes on"},
		"a pod away": {cluster: fakeCluster{app: there(t, nil), rollout: kube.Verdict{Seen: "d: 0 of 1 ready"}},
			state: plan.Present, drift: "its pods are not all ready: d: 0 of 1 ready"},
		"Argo CD away": {cluster: fakeCluster{app: there(t, nil), away: "argocd-server: 0 of 1 ready"},
			state: plan.Present, away: "Argo CD does not run, which would know more of it: argocd-server: 0 of 1 ready"},
		"syncs by itself, as a user wanted": {cluster: fakeCluster{app: there(t, func(a *v1alpha1.Application) {
			a.Spec.SyncPolicy.Automated = &v1alpha1.SyncPolicyAutomated{}
		}), rollout: kube.Verdict{Done: true}}, state: plan.Present},
	} {
		p := fakePart(&tc.cluster)
		o, err := p.Observe(t.Context(), plan.Look{Want: want(), Last: want().Input})
		if err != nil {
			t.Fatal(err)
		}
		if o.State != tc.state || o.Kept != tc.kept || o.Drift != tc.drift || o.Away != tc.away {
			t.Errorf("%s: %+v", name, o)
		}
		if len(tc.cluster.asked) > 0 {
			t.Errorf("%s: looking did %q", name, tc.cluster.asked)
		}
	}
	silent := errors.New("it does not answer")
	p := fakePart(&fakeCluster{fails: silent})
	if _, err := p.Observe(t.Context(), plan.Look{Want: want()}); !errors.Is(err, silent) {
		t.Errorf("a cluster that does not answer: %v", err)
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	stale := func(a *v1alpha1.Application) { a.Status.Sync.Status = v1alpha1.SyncStatusCodeOutOfSync }
	for name, tc := range map[string]struct {
		app    *v1alpha1.Application
		action plan.Action
		after  func(*v1alpha1.Application)
		asked  string
	}{
		"new":                              {nil, plan.Create, good, "put sync"},
		"changed":                          {there(t, func(a *v1alpha1.Application) { a.Spec.Source.TargetRevision = "0.0.1" }), plan.Update, good, "put sync unstick"},
		"an object changed":                {there(t, stale), plan.Update, good, "sync unstick"},
		"a sync goes on":                   {there(t, func(a *v1alpha1.Application) { a.Operation = &v1alpha1.Operation{} }), plan.Update, good, "terminate sync unstick"},
		"after a stop, as it was":          {there(t, stale), plan.Ensure, good, "refresh unstick"},
		"after a stop, and not as it was":  {there(t, nil), plan.Ensure, stale, "refresh sync unstick"},
		"after a stop, and changed":        {there(t, func(a *v1alpha1.Application) { a.Spec.Source.Chart = "kafka" }), plan.Ensure, good, "put sync unstick"},
		"after a stop, and never finished": {nil, plan.Ensure, good, "put sync unstick"},
	} {
		f := &fakeCluster{app: tc.app, after: tc.after}
		p := fakePart(f)
		out, err := p.Apply(t.Context(), plan.Order{Action: tc.action, Input: want().Input})
		if err != nil || out["class"] != "fast" {
			t.Errorf("%s: %v, %v", name, out, err)
		}
		if got := strings.Join(f.asked, " "); got != tc.asked {
			t.Errorf("%s: %s, and not %s", name, got, tc.asked)
		}
	}
	f := &fakeCluster{fails: errors.New("no room")}
	p := fakePart(f)
	if _, err := p.Apply(t.Context(), plan.Order{Action: plan.Create, Input: want().Input}); !errors.Is(err, f.fails) {
		t.Errorf("refused: %v", err)
	}
	var r component.Release
	if err := json.Unmarshal(want().Input, &r); err != nil {
		t.Fatal(err)
	}
	r.Version = "0.0.9+0123456789ab"
	if _, err := p.Apply(t.Context(), plan.Order{Input: plan.Input(r)}); err == nil || !strings.Contains(err.Error(), "0.0.9+0123456789ab") {
		t.Errorf("carried out with another chart: %v", err)
	}
}

// Gates come in the order in which they say most: Argo CD's sync, the rollout with its
// causes, Argo CD's health, the component's own.
func TestWait(t *testing.T) {
	t.Parallel()
	var w plan.Want
	for _, own := range []plan.Gate{component.Meets("an operator has made it", time.Second), component.Rollout(time.Second)} {
		w = Want(classes().Want("classes", own, plan.Gate{Name: "answers"}))
		var names []string
		for _, g := range w.Gates {
			names = append(names, g.Name)
		}
		if !slices.Equal(names, []string{GateSynced, own.Name, GateHealthy, "answers"}) {
			t.Errorf("gates %q", names)
		}
	}
	f := &fakeCluster{app: there(t, nil)}
	p := fakePart(f)
	p.Probes = map[string]component.Probe{"answers": func(context.Context, component.Release) (bool, string, error) { return true, "", nil }}
	order := plan.Order{Input: w.Input}
	for _, g := range w.Gates {
		if err := p.Wait(t.Context(), g, order, func(string) {}); err != nil {
			t.Errorf("%s: %v", g.Name, err)
		}
	}
	f.app.Status.OperationState.Phase = synccommon.OperationError
	if err := p.Wait(t.Context(), w.Gates[0], order, func(string) {}); err == nil {
		t.Error("a sync that failed opened the gate")
	}
	if err := p.Wait(t.Context(), plan.Gate{Name: "other"}, order, func(string) {}); err == nil {
		t.Error("a gate that nobody knows opened")
	}
}

func TestJudges(t *testing.T) {
	t.Parallel()
	goes := func(phase synccommon.OperationPhase, retries int64, message string) func(*v1alpha1.Application) {
		return func(a *v1alpha1.Application) {
			a.Operation = &v1alpha1.Operation{}
			a.Status.OperationState = &v1alpha1.OperationState{Phase: phase, RetryCount: retries, Message: message}
		}
	}
	refused := func(a *v1alpha1.Application) {
		goes(synccommon.OperationRunning, 1, "one object failed. Retrying attempt #1")(a)
		a.Status.OperationState.SyncResult = &v1alpha1.SyncOperationResult{Resources: v1alpha1.ResourceResults{
			{Kind: "Secret", Name: "s", Status: synccommon.ResultCodeSynced},
			{Kind: "Service", Name: "front", Status: synccommon.ResultCodeSyncFailed, Message: "port is taken"},
		}}
	}
	complains := func(a *v1alpha1.Application) {
		a.Status.Conditions = []v1alpha1.ApplicationCondition{{Type: v1alpha1.ApplicationConditionComparisonError, Message: "no such host"}}
	}
	for name, tc := range map[string]struct {
		app    *v1alpha1.Application
		judge  judge
		waited time.Duration
		want   kube.Verdict
	}{
		"none":      {nil, synced, 0, kube.Verdict{Seen: "there is no such Application"}},
		"synced":    {there(t, nil), synced, 0, kube.Verdict{Done: true}},
		"asked for": {there(t, goes(synccommon.OperationSucceeded, 0, "")), synced, 0, kube.Verdict{Seen: "its sync has not begun"}},
		"goes on":   {there(t, goes(synccommon.OperationRunning, 0, "waiting")), synced, 0, kube.Verdict{Seen: "its sync goes on: waiting"}},
		"refused": {there(t, refused), synced, 0, kube.Verdict{Seen: "its sync goes on: one object failed. Retrying attempt #1",
			Terminal: "its sync fails: one object failed. Retrying attempt #1; Service front: port is taken"}},
		"Argo CD starts": {there(t, goes(synccommon.OperationRunning, 1, "InvalidSpecError: Application referencing project default which does not exist. Retrying attempt #1")), synced, 0,
			kube.Verdict{Seen: "its sync goes on: InvalidSpecError: Application referencing project default which does not exist. Retrying attempt #1"}},
		"given up": {there(t, func(a *v1alpha1.Application) {
			goes(synccommon.OperationError, 5, "no such chart (retried 5 times).")(a)
			a.Operation = nil
		}), synced, 0, kube.Verdict{Terminal: "its last sync is Error: no such chart (retried 5 times)."}},
		"complaint":               {there(t, complains), synced, time.Second, kube.Verdict{Seen: "ComparisonError: no such host"}},
		"complaint that stays":    {there(t, complains), synced, time.Minute, kube.Verdict{Seen: "ComparisonError: no such host", Terminal: "ComparisonError: no such host"}},
		"compared with an older":  {there(t, func(a *v1alpha1.Application) { a.Spec.Source.TargetRevision = "0.0.2" }), synced, 0, kube.Verdict{Seen: "it was not compared with its chart yet"}},
		"out of sync":             {there(t, func(a *v1alpha1.Application) { a.Status.Sync.Status = "OutOfSync" }), synced, 0, kube.Verdict{Seen: "it is OutOfSync: "}},
		"healthy":                 {there(t, nil), healthy, 0, kube.Verdict{Done: true}},
		"progressing":             {there(t, func(a *v1alpha1.Application) { a.Status.Health.Status = "Progressing" }), healthy, 0, kube.Verdict{Seen: "it is Progressing"}},
		"health of nothing":       {nil, healthy, 0, kube.Verdict{Seen: "there is no such Application"}},
		"ended":                   {there(t, nil), ended, 0, kube.Verdict{Done: true}},
		"an earlier sync goes on": {there(t, goes(synccommon.OperationRunning, 0, "")), ended, 0, kube.Verdict{Seen: "an earlier sync of it goes on"}},
	} {
		if got := tc.judge(tc.app, tc.waited); got != tc.want {
			t.Errorf("%s: %+v, and not %+v", name, got, tc.want)
		}
	}
}

// Gates that objects open are watched as under Helm, and what becomes of the objects
// later is drift.
func TestWatched(t *testing.T) {
	t.Parallel()
	f := &fakeCluster{app: there(t, nil), rollout: kube.Verdict{Done: true}, pods: []kube.Pod{{Name: "p", Ready: true, Node: "n"}}}
	p := fakePart(f)
	p.Watched = map[string]component.Objects{"issued": func(r component.Release) []kube.Expected {
		return []kube.Expected{{Ref: kube.Ref{Name: r.Name + "-certificate"}}}
	}}
	look := plan.Look{Want: want(), Last: want().Input}
	o, err := p.Observe(t.Context(), look)
	if err != nil || o.Drift != "" || !strings.HasSuffix(o.Why, "1 of 1 pods ready on n") || len(p.Activity().Detail) == 0 {
		t.Errorf("%+v, %v", o, err)
	}
	f.unmet = "Certificate x: not issued"
	if o, err := p.Observe(t.Context(), look); err != nil || o.Drift != f.unmet {
		t.Errorf("%+v, %v", o, err)
	}
	var seen []string
	if err := p.Wait(t.Context(), plan.Gate{Name: "issued"}, plan.Order{Input: want().Input}, func(s string) { seen = append(seen, s) }); err != nil || !slices.Equal(seen, []string{"storage-classes-certificate"}) {
		t.Errorf("%q, %v", seen, err)
	}
}
