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
	rollout kube.Verdict
	fails   error

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

func (f *fakeCluster) Rollout(_ context.Context, namespace, selector string) (kube.Verdict, error) {
	f.selectors = append(f.selectors, namespace+" "+selector)
	return f.rollout, nil
}

func (f *fakeCluster) WaitRollout(_ context.Context, namespace, selector string, seen func(string)) error {
	f.selectors = append(f.selectors, namespace+" "+selector)
	seen("half of it")
	return f.fails
}

func (f *fakeCluster) Conditions(_ context.Context, r component.Release) (kube.Verdict, error) {
	f.selectors = append(f.selectors, fmt.Sprintf("%d conditions", len(r.Conditions)))
	return f.rollout, nil
}

func (f *fakeCluster) WaitConditions(_ context.Context, r component.Release, seen func(string)) error {
	f.selectors = append(f.selectors, fmt.Sprintf("wait for %d conditions", len(r.Conditions)))
	seen("half of it")
	return f.fails
}

func (f *fakeCluster) Follow(_ context.Context, namespace, selector string, _ time.Time, line func(pod, text string)) {
	line("pod", namespace+" "+selector)
}

func fakePart(f *fakeCluster, probes map[string]component.Probe) *Part {
	return &Part{Open: func() (Target, error) { return f, nil }, Probes: probes}
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
