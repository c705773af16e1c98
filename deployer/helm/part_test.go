package helm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
)

// fakeCluster remembers what was asked of it.
type fakeCluster struct {
	record  *Record
	kept    bool
	missing []string
	pods    []kube.Pod
	rollout kube.Verdict
	fails   error
	objects string // which are not as they should be

	installed []Release
	selectors []string
}

func (f *fakeCluster) Install(_ context.Context, r Release) error {
	f.installed = append(f.installed, r)
	return f.fails
}

func (f *fakeCluster) Look(context.Context, string, string) (Record, bool, error) {
	if f.record == nil {
		return Record{}, false, f.fails
	}
	return *f.record, true, f.fails
}

func (f *fakeCluster) Unstick(_ context.Context, namespace, selector string) error {
	f.selectors = append(f.selectors, "unstick "+namespace+" "+selector)
	return nil
}

func (f *fakeCluster) Kept(context.Context, string, string) (bool, error) { return f.kept, nil }

func (f *fakeCluster) Pods(context.Context, string, string) ([]kube.Pod, error) {
	return f.pods, nil
}

func (f *fakeCluster) Missing(context.Context, string, string) ([]string, error) {
	return f.missing, nil
}

func (f *fakeCluster) Rollout(_ context.Context, namespace, selector string) (kube.Verdict, error) {
	f.selectors = append(f.selectors, namespace+" "+selector)
	return f.rollout, nil
}

func (f *fakeCluster) WaitRollout(_ context.Context, namespace, selector string, seen func(string)) error {
	f.selectors = append(f.selectors, namespace+" "+selector)
	seen("half of it")
	return f.fails
}

func (f *fakeCluster) WaitAll(_ context.Context, objects []kube.Expected, behind kube.Behind, seen func(string)) error {
	for _, e := range objects {
		text := e.Ref.String() + " is watched"
		if behind.Selector != "" {
			text += ", and " + behind.Selector
		}
		seen(text)
	}
	return f.fails
}

func (f *fakeCluster) LookAt(context.Context, []kube.Expected) (string, error) { return f.objects, nil }

func (f *fakeCluster) Follow(_ context.Context, namespace, selector string, since time.Time, line func(pod, text string)) {
	text := namespace + " " + selector
	if since.Before(time.Unix(2000, 0)) {
		text += fmt.Sprintf(" since %d", since.Unix())
	}
	line("pod", text)
}

func fakePart(f *fakeCluster, probes map[string]component.Probe) *Part {
	return &Part{Deployed: Deployed[Target]{Open: func() (Target, error) { return f, nil }, Probes: probes}}
}

func want() plan.Want {
	return component.Release{Name: "storage-classes", Namespace: "n", Chart: "storage-classes",
		Values:  map[string]any{"lab": "default", "classes": []any{map[string]any{"name": "fast", "reclaimPolicy": "Retain"}}},
		Outputs: map[string]string{"class": "fast"}}.Want("classes", component.Rollout(time.Second))
}

func TestObserve(t *testing.T) {
	t.Parallel()
	deployed := &Record{Revision: 3, Deployed: true, Status: "deployed"}
	for name, tc := range map[string]struct {
		cluster fakeCluster
		want    plan.Observation
	}{
		"none":    {fakeCluster{}, plan.Observation{State: plan.Absent, Why: "no release storage-classes is there"}},
		"volumes": {fakeCluster{kept: true}, plan.Observation{State: plan.Absent, Kept: true, Why: "no release storage-classes is there"}},
		"as it should be": {fakeCluster{record: deployed, rollout: kube.Verdict{Done: true}},
			plan.Observation{State: plan.Present, Why: "release storage-classes, revision 3, is as it was applied"}},
		"a pod is away": {fakeCluster{record: deployed, rollout: kube.Verdict{Seen: "d: 0 of 1 ready"}},
			plan.Observation{State: plan.Present, Why: "release storage-classes, revision 3, is as it was applied", Drift: "its pods are not all ready: d: 0 of 1 ready"}},
		"an object is away": {fakeCluster{record: deployed, missing: []string{"Service s", "Role r"}, rollout: kube.Verdict{Done: true}},
			plan.Observation{State: plan.Present, Why: "release storage-classes, revision 3, is as it was applied", Drift: "not there any more: Service s, Role r"}},
		"with pods": {fakeCluster{record: deployed, rollout: kube.Verdict{Done: true},
			pods: []kube.Pod{{Name: "a", Node: "two", Ready: true, Restarts: 2}, {Name: "b", Node: "one", Ready: true}}},
			plan.Observation{State: plan.Present, Why: "release storage-classes, revision 3, is as it was applied; 2 of 2 pods ready on one, two, 2 restarts"}},
		"a pod that nobody placed": {fakeCluster{record: deployed, rollout: kube.Verdict{Seen: "b: no room"},
			pods: []kube.Pod{{Name: "a", Node: "one", Ready: true, Restarts: 1}, {Name: "b"}}},
			plan.Observation{State: plan.Present, Why: "release storage-classes, revision 3, is as it was applied; 1 of 2 pods ready on one, 1 restart",
				Drift: "its pods are not all ready: b: no room; 1 of 2 pods ready on one, 1 restart"}},
		"cut short": {fakeCluster{record: &Record{Revision: 1, Status: "pending-install: Initial install underway"}},
			plan.Observation{State: plan.Present, Why: "release storage-classes, revision 1, is as it was applied", Drift: "release storage-classes is pending-install: Initial install underway"}},
	} {
		o, err := fakePart(&tc.cluster, nil).Observe(t.Context(), plan.Look{Want: want()})
		if err != nil {
			t.Fatal(err)
		}
		if o.State != tc.want.State || o.Kept != tc.want.Kept || o.Why != tc.want.Why || o.Drift != tc.want.Drift {
			t.Errorf("%s: %+v, want %+v", name, o, tc.want)
		}
	}
	silent := errors.New("it does not answer")
	if _, err := fakePart(&fakeCluster{fails: silent}, nil).Observe(t.Context(), plan.Look{Want: want()}); !errors.Is(err, silent) {
		t.Errorf("a cluster that does not answer: %v", err)
	}
}

// Who owns a release that another process applied listens to it from where that one's log
// ends, once; programs are told of its pods.
func TestAttend(t *testing.T) {
	t.Parallel()
	f := &fakeCluster{record: &Record{Deployed: true}, rollout: kube.Verdict{Done: true}, pods: []kube.Pod{{Name: "a", Node: "one", Ready: true, Restarts: 1, Seen: "Ready"}}}
	p := fakePart(f, nil)
	heard, last := make(chan string, 4), time.Unix(1000, 0)
	p.Hear = func(pod, line string) { heard <- pod + ": " + line }
	p.Since = func() time.Time { return last }
	p.Attend([]byte("no release"))
	p.Attend(want().Input)
	p.Attend(want().Input)
	if got := <-heard; got != "pod: n app.kubernetes.io/instance=storage-classes since 1000" {
		t.Errorf("heard %q", got)
	}
	if _, err := p.Apply(t.Context(), plan.Order{Input: want().Input}); err != nil {
		t.Fatal(err)
	}
	if len(heard) > 0 {
		t.Errorf("it listens twice: %q", <-heard)
	}
	if a := p.Activity(); a.Detail != nil || a.Running {
		t.Errorf("before it was looked at: %+v", a)
	}
	if _, err := p.Observe(t.Context(), plan.Look{Want: want()}); err != nil {
		t.Fatal(err)
	}
	if got := string(p.Activity().Detail); got != `{"pods":[{"name":"a","node":"one","ready":true,"restarts":1,"seen":"Ready"}]}` {
		t.Errorf("detail %s", got)
	}
}

// What somebody else made of a release is seen, and only that.
func TestChangedBehindOurBack(t *testing.T) {
	t.Parallel()
	last := want().Input
	r, err := component.Read(last)
	if err != nil {
		t.Fatal(err)
	}
	// As Helm gives them back.
	values := map[string]any{"lab": "default", "classes": []any{map[string]any{"name": "fast", "reclaimPolicy": "Retain"}}}
	other := map[string]any{"lab": "default", "classes": []any{map[string]any{"name": "fast", "reclaimPolicy": "Delete"}}, "more": 1.0}
	chart := "storage-classes " + r.Version
	for name, tc := range map[string]struct {
		record Record
		want   string
	}{
		"as applied":   {Record{Chart: chart, Values: values}, ""},
		"other values": {Record{Chart: chart, Values: other, Revision: 2}, "release storage-classes has other values than this lab gave it, revision 2: classes, more"},
		"another chart": {Record{Chart: "storage-classes 0.0.1+0123456789ab", Values: values},
			"release storage-classes is of chart storage-classes 0.0.1+0123456789ab, and this lab applied " + chart},
	} {
		tc.record.Deployed = true
		f := &fakeCluster{record: &tc.record, rollout: kube.Verdict{Done: true}}
		o, err := fakePart(f, nil).Observe(t.Context(), plan.Look{Want: want(), Last: last})
		if err != nil || o.State != plan.Present || o.Drift != tc.want {
			t.Errorf("%s: %+v, %v; want %q", name, o, err, tc.want)
		}
	}
}

func TestApplyAndWait(t *testing.T) {
	t.Parallel()
	f := &fakeCluster{}
	asked := 0
	p := fakePart(f, map[string]component.Probe{"answers": func(_ context.Context, r component.Release) (bool, string, error) {
		asked++
		return asked == 3, r.Outputs["class"] + " is slow", nil
	}})
	heard := make(chan string, 2)
	p.Hear = func(pod, line string) { heard <- pod + ": " + line }
	order := plan.Order{Input: want().Input}
	out, err := p.Apply(t.Context(), order)
	if err != nil || out["class"] != "fast" {
		t.Fatalf("%v, %v", out, err)
	}
	if got := <-heard; got != "pod: n app.kubernetes.io/instance=storage-classes" {
		t.Errorf("heard %q", got)
	}
	if len(f.installed) != 1 || f.installed[0].Name != "storage-classes" || f.installed[0].Chart.Name() != "storage-classes" || f.installed[0].Values["lab"] != "default" {
		t.Errorf("installed %+v", f.installed)
	}
	var seen []string
	note := func(s string) { seen = append(seen, s) }
	if err := p.Wait(t.Context(), plan.Gate{Name: component.GateRollout}, order, note); err != nil {
		t.Error(err)
	}
	if err := p.Wait(t.Context(), plan.Gate{Name: "answers"}, order, note); err != nil {
		t.Error(err)
	}
	if got := strings.Join(seen, ", "); got != "half of it, fast is slow, fast is slow" {
		t.Errorf("seen %s", got)
	}
	if got := strings.Join(f.selectors, ", "); got != "unstick n app.kubernetes.io/instance=storage-classes, n app.kubernetes.io/instance=storage-classes" {
		t.Errorf("waited for %s", got)
	}
	if err := p.Wait(t.Context(), plan.Gate{Name: "other"}, order, note); err == nil {
		t.Error("a gate that nobody knows opened")
	}
	f.fails = errors.New("no room")
	if _, err := p.Apply(t.Context(), order); !errors.Is(err, f.fails) {
		t.Errorf("a refused release: %v", err)
	}
	ended, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	asked = 10
	if err := p.Wait(ended, plan.Gate{Name: "answers"}, order, note); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a gate that stays shut: %v", err)
	}
}

// A plan is carried out with the charts that it was made for.
func TestOtherChart(t *testing.T) {
	t.Parallel()
	var r component.Release
	if err := json.Unmarshal(want().Input, &r); err != nil {
		t.Fatal(err)
	}
	r.Version = "0.0.9+0123456789ab"
	p := fakePart(&fakeCluster{}, nil)
	if _, err := p.Apply(t.Context(), plan.Order{Input: plan.Input(r)}); err == nil || !strings.Contains(err.Error(), "0.0.9+0123456789ab") {
		t.Errorf("carried out with another chart: %v", err)
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	text, err := Render(want().Input)
	if err != nil || !strings.Contains(text, "kind: StorageClass") || !strings.Contains(text, "name: fast") || !strings.Contains(text, "alertlab.dev/lab: \"default\"") {
		t.Errorf("%v\n%s", err, text)
	}
	r, err := component.Read(want().Input)
	if err != nil {
		t.Fatal(err)
	}
	r.Values["lab"] = ""
	if _, err := Render(plan.Input(r)); err == nil {
		t.Error("rendered without the lab's name")
	}
}
