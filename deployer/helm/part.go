package helm

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
)

// Target is a cluster as this deployer uses it.
type Target interface {
	// Install installs or upgrades; it returns when the objects are there.
	Install(ctx context.Context, r Release) error
	// Look reads the record of a release; false when there is none.
	Look(ctx context.Context, name, namespace string) (Record, bool, error)
	// Unstick has pods made anew that would wait for minutes before they try again.
	Unstick(ctx context.Context, namespace, selector string) error
	// Kept says whether volumes of a selector are there.
	Kept(ctx context.Context, namespace, selector string) (bool, error)
	// Rollout looks once at the workloads of a selector.
	Rollout(ctx context.Context, namespace, selector string) (kube.Verdict, error)
	// WaitRollout waits for them; see kube.Client.WaitRollout.
	WaitRollout(ctx context.Context, namespace, selector string, seen func(string)) error
	// Conditions looks once at objects' conditions, and at the pods behind them.
	Conditions(ctx context.Context, r component.Release) (kube.Verdict, error)
	// WaitConditions waits for them; see kube.Client.WaitConditions.
	WaitConditions(ctx context.Context, r component.Release, seen func(string)) error
	// Follow passes on what pods write; see kube.Client.Follow.
	Follow(ctx context.Context, namespace, selector string, since time.Time, line func(pod, text string))
}

// Cluster is a Target by its API.
type Cluster struct{ Client *kube.Client }

// Install implements Target.
func (c Cluster) Install(ctx context.Context, r Release) error { return Install(ctx, c.Client, r) }

// Look implements Target.
func (c Cluster) Look(_ context.Context, name, namespace string) (Record, bool, error) {
	return Look(c.Client, name, namespace)
}

// Unstick implements Target.
func (c Cluster) Unstick(ctx context.Context, namespace, selector string) error {
	return c.Client.Unstick(ctx, namespace, selector)
}

// Kept implements Target.
func (c Cluster) Kept(ctx context.Context, namespace, selector string) (bool, error) {
	list, err := c.Client.Clientset.CoreV1().PersistentVolumeClaims(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector, Limit: 1})
	if err != nil {
		return false, err
	}
	return len(list.Items) > 0, nil
}

// Rollout implements Target.
func (c Cluster) Rollout(ctx context.Context, namespace, selector string) (kube.Verdict, error) {
	return c.Client.Rollout(ctx, namespace, selector)
}

// WaitRollout implements Target.
func (c Cluster) WaitRollout(ctx context.Context, namespace, selector string, seen func(string)) error {
	return c.Client.WaitRollout(ctx, namespace, selector, seen)
}

// Conditions implements Target.
func (c Cluster) Conditions(ctx context.Context, r component.Release) (kube.Verdict, error) {
	return c.Client.Conditions(ctx, objects(r), r.Namespace, r.Pods)
}

// WaitConditions implements Target.
func (c Cluster) WaitConditions(ctx context.Context, r component.Release, seen func(string)) error {
	return c.Client.WaitConditions(ctx, objects(r), r.Namespace, r.Pods, seen)
}

// objects gives a release's conditions as package kube knows them.
func objects(r component.Release) []kube.ObjectCondition {
	var out []kube.ObjectCondition
	for _, c := range r.Conditions {
		out = append(out, kube.ObjectCondition{Ref: kube.Ref{Kind: schema.FromAPIVersionAndKind(c.APIVersion, c.Kind), Namespace: c.Namespace, Name: c.Name}, Type: c.Type})
	}
	return out
}

// Follow implements Target.
func (c Cluster) Follow(ctx context.Context, namespace, selector string, since time.Time, line func(pod, text string)) {
	c.Client.Follow(ctx, namespace, selector, since, line)
}

// Part carries out a component.Release.
type Part struct {
	// Open gives the cluster; it is called at each use, because a cluster may come
	// and go while a lab is owned.
	Open func() (Target, error)
	// Probes are the gates beside the rollout, by name.
	Probes map[string]component.Probe
	// Say is told what Helm says; nil: nobody.
	Say func(line string)
	// Hear is told what the pods write, for as long as this process lives; nil: nobody.
	Hear func(pod, line string)

	hearing sync.Once
}

// hear begins to follow the release's pods, once. Only who applies it listens: who looks
// may be a process that only plans.
func (p *Part) hear(target Target, r component.Release) {
	if p.Hear != nil {
		p.hearing.Do(func() { go target.Follow(context.Background(), r.Namespace, r.Selector(), time.Now(), p.Hear) })
	}
}

// Observe implements plan.Part. A release whose workloads do not run as they should
// has drifted: applying it again costs nothing where nothing is wrong with it.
func (p *Part) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	input := look.Last
	if input == nil {
		input = look.Want.Input // names hold no references
	}
	r, err := component.Read(input)
	if err != nil {
		return plan.Observation{}, err
	}
	target, err := p.Open()
	if err != nil {
		return plan.Observation{}, err
	}
	record, there, err := target.Look(ctx, r.Name, r.Namespace)
	if err != nil {
		return plan.Observation{}, err
	}
	if !there {
		kept, err := target.Kept(ctx, r.Namespace, r.Selector())
		return plan.Observation{State: plan.Absent, Kept: kept, Why: "no release " + r.Name + " is there"}, err
	}
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("release %s, revision %d, is as it was applied", r.Name, record.Revision)}
	if !record.Deployed {
		o.Drift = fmt.Sprintf("release %s is %s", r.Name, record.Status)
		return o, nil
	}
	for _, g := range look.Want.Gates {
		var v kube.Verdict
		what := "its pods are not all ready: "
		switch g.Name {
		case component.GateRollout:
			v, err = target.Rollout(ctx, r.Namespace, r.Selector())
		case component.GateConditions:
			what = "it is not as it should be: "
			v, err = target.Conditions(ctx, r)
		default:
			continue
		}
		if err != nil {
			return plan.Observation{}, err
		}
		if !v.Done {
			o.Drift = what + v.Seen
		}
	}
	return o, nil
}

// Apply implements plan.Part.
func (p *Part) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	r, err := component.Read(order.Input)
	if err != nil {
		return nil, err
	}
	c, err := load(ctx, r)
	if err != nil {
		return nil, err
	}
	target, err := p.Open()
	if err != nil {
		return nil, err
	}
	if err := target.Install(ctx, Release{Name: r.Name, Namespace: r.Namespace, Chart: c, Values: r.Values, Report: p.Say}); err != nil {
		return nil, err
	}
	if order.Action != plan.Create {
		if err := target.Unstick(ctx, r.Namespace, r.Selector()); err != nil {
			return nil, err
		}
	}
	p.hear(target, r)
	return r.Outputs, nil
}

// load gives the chart that a step names. A plan that was made by another version of
// this program is not carried out with other charts than it says.
func load(ctx context.Context, r component.Release) (*chart.Chart, error) {
	if r.Outside != nil {
		return outside(ctx, r)
	}
	files, err := charts.Load(r.Chart)
	if err != nil {
		return nil, err
	}
	if files.Version != r.Version {
		return nil, fmt.Errorf("the step is for chart %s %s, and this program has %s", r.Chart, r.Version, files.Version)
	}
	return FromFiles(files.Files)
}

// Wait implements plan.Waiter.
func (p *Part) Wait(ctx context.Context, gate plan.Gate, order plan.Order, seen func(string)) error {
	r, err := component.Read(order.Input)
	if err != nil {
		return err
	}
	if gate.Name == component.GateRollout {
		target, err := p.Open()
		if err != nil {
			return err
		}
		return target.WaitRollout(ctx, r.Namespace, r.Selector(), seen)
	}
	if gate.Name == component.GateConditions {
		target, err := p.Open()
		if err != nil {
			return err
		}
		return target.WaitConditions(ctx, r, seen)
	}
	probe, ok := p.Probes[gate.Name]
	if !ok {
		return fmt.Errorf("gate %s: nobody can look at it", gate.Name)
	}
	return poll(ctx, func() (bool, error) {
		open, what, err := probe(ctx, r)
		if err == nil && !open {
			seen(what)
		}
		return open, err
	})
}

// poll asks from outside, where there is nothing to watch, a little less often each
// time.
func poll(ctx context.Context, ask func() (bool, error)) error {
	pause := 20 * time.Millisecond
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if open, err := ask(); err != nil || open {
			return err
		}
		timer.Reset(pause)
		pause = min(pause*3/2, 500*time.Millisecond)
	}
}

var _ interface {
	plan.Part
	plan.Waiter
} = (*Part)(nil)

// Render gives the objects that a step would apply, as YAML, without a cluster. Of a
// chart that is not ours the bundle is read, or it is fetched.
func Render(input json.RawMessage) (string, error) {
	r, err := component.Read(input)
	if err != nil {
		return "", err
	}
	c, err := load(context.Background(), r)
	if err != nil {
		return "", err
	}
	return render(c, r)
}
