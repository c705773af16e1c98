package argocd

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"

	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
)

// Target is a cluster with Argo CD as this deployer uses it.
type Target interface {
	// Application reads one from the cluster; nil when there is none.
	Application(ctx context.Context, name string) (*v1alpha1.Application, error)
	// Away says why Argo CD does not run at this moment; "" when it does.
	Away(ctx context.Context) (string, error)
	// Wait watches an Application until the judge is done with it, or sees a terminal
	// cause; see kube.Client.Wait.
	Wait(ctx context.Context, name string, judge judge, seen func(string)) error

	// Put makes an Application, or makes it what is given; Sync has it synced, with
	// what is not wanted any more pruned; Refresh has it compared anew; Terminate ends
	// the sync that goes on. They go through Argo CD's API, which is waited for.
	Put(ctx context.Context, app *v1alpha1.Application) error
	Sync(ctx context.Context, name string) error
	Refresh(ctx context.Context, name string) error
	Terminate(ctx context.Context, name string) error

	// As package helm's.
	Unstick(ctx context.Context, namespace, selector string) error
	Kept(ctx context.Context, namespace, selector string) (bool, error)
	Rollout(ctx context.Context, namespace, selector string) (kube.Verdict, error)
	WaitRollout(ctx context.Context, namespace, selector string, seen func(string)) error
	Pods(ctx context.Context, namespace, selector string) ([]kube.Pod, error)
	WaitAll(ctx context.Context, objects []kube.Expected, seen func(string)) error
	LookAt(ctx context.Context, objects []kube.Expected) (string, error)
	Follow(ctx context.Context, namespace, selector string, since time.Time, line func(pod, text string))
}

// Part carries out a component.Release as an Application.
type Part struct {
	// Open gives the cluster; it is called at each use, because a cluster may come
	// and go while a lab is owned.
	Open func() (Target, error)
	// Probes are the component's own gates beside the rollout, by name.
	Probes map[string]component.Probe
	// Hear is told what the pods write, for as long as this process lives; nil: nobody.
	Hear func(pod, line string)
	// Watched are the gates that objects of the cluster open, and Since says from when on
	// what pods wrote is news; as package helm's.
	Watched map[string]component.Objects
	Since   func() time.Time

	helm.Attendance
}

// Attend follows what the pods of a release write that this process did not apply; as
// package helm's.
func (p *Part) Attend(input json.RawMessage) {
	r, err := component.Read(input)
	if err != nil {
		return // of another version; its next step listens
	}
	if target, err := p.Open(); err == nil {
		p.Listen(target, r, p.Since, p.Hear)
	}
}

// rolls says whether a part has workloads.
func rolls(gates []plan.Gate) bool {
	for _, g := range gates {
		if g.Name == component.GateRollout {
			return true
		}
	}
	return false
}

// Observe implements plan.Part.
func (p *Part) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	input := look.Last
	if input == nil {
		input = look.Want.Input // names hold no references
	}
	r, err := component.Read(input)
	if err != nil {
		return plan.Observation{}, err
	}
	wanted, err := manifest(r)
	if err != nil {
		return plan.Observation{}, err
	}
	target, err := p.Open()
	if err != nil {
		return plan.Observation{}, err
	}
	there, err := target.Application(ctx, r.Name)
	if err != nil {
		return plan.Observation{}, err
	}
	if there == nil {
		kept, err := target.Kept(ctx, r.Namespace, r.Selector())
		return plan.Observation{State: plan.Absent, Kept: kept, Why: "no Application " + r.Name + " is there"}, err
	}
	o := plan.Observation{State: plan.Present, Why: "its Application is " + string(there.Status.Sync.Status) + " and " + string(there.Status.Health.Status)}
	if look.Last == nil {
		return o, nil // there is nothing that it could have drifted from
	}
	away, err := target.Away(ctx)
	if err != nil {
		return plan.Observation{}, err
	}
	if away != "" {
		// What it says is what it was when Argo CD ended. What is wanted of it is known.
		if diff := differs(wanted, there); len(diff) == 0 {
			o.Away = "Argo CD does not run, which would know more of it: " + away
			return o, nil
		}
	}
	if o.Drift = drift(wanted, there); o.Drift != "" {
		return o, nil
	}
	for _, name := range slices.Sorted(maps.Keys(p.Watched)) {
		if o.Drift, err = target.LookAt(ctx, p.Watched[name](r)); err != nil || o.Drift != "" {
			return o, err
		}
	}
	if !rolls(look.Want.Gates) {
		return o, nil
	}
	v, err := target.Rollout(ctx, r.Namespace, r.Selector())
	if err != nil {
		return plan.Observation{}, err
	}
	pods := p.See(ctx, target, r)
	if pods != "" {
		o.Why += "; " + pods
	}
	if !v.Done {
		o.Drift = "its pods are not all ready: " + v.Seen
		if pods != "" {
			o.Drift += "; " + pods
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
	// A plan that was made by another version of this program is not carried out with
	// other charts than it says.
	if c, err := charts.Load(r.Chart); err != nil {
		return nil, err
	} else if c.Version != r.Version {
		return nil, fmt.Errorf("the step is for chart %s %s, and this program has %s", r.Chart, r.Version, c.Version)
	}
	wanted, err := manifest(r)
	if err != nil {
		return nil, err
	}
	target, err := p.Open()
	if err != nil {
		return nil, err
	}
	if err := p.bring(ctx, target, wanted, order.Action); err != nil {
		return nil, fmt.Errorf("application %s: %w", r.Name, err)
	}
	if order.Action != plan.Create {
		if err := target.Unstick(ctx, r.Namespace, r.Selector()); err != nil {
			return nil, err
		}
	}
	p.Listen(target, r, p.Since, p.Hear)
	return r.Outputs, nil
}

// bring makes the Application what is wanted, and has it synced. Who only makes sure
// has it compared first, since what is known of it may be old: where it is as it should
// be, nothing is synced.
func (p *Part) bring(ctx context.Context, target Target, wanted *v1alpha1.Application, action plan.Action) error {
	name := wanted.Name
	there, err := target.Application(ctx, name)
	if err != nil {
		return err
	}
	same := there != nil && len(differs(wanted, there)) == 0
	if same && action == plan.Ensure {
		if err := target.Refresh(ctx, name); err != nil {
			return err
		}
		if there, err = target.Application(ctx, name); err != nil {
			return err
		}
		if there != nil && drift(wanted, there) == "" {
			return nil
		}
	}
	if there != nil && working(there) {
		// Somebody's sync, perhaps that of a process of ours that was killed: what it
		// does is not known, and there is one at a time.
		if err := target.Terminate(ctx, name); err != nil {
			return err
		}
		if err := target.Wait(ctx, name, ended, func(string) {}); err != nil {
			return err
		}
	}
	if !same {
		if err := target.Put(ctx, wanted); err != nil {
			return err
		}
	}
	return target.Sync(ctx, name)
}

// ended is done when no sync goes on.
func ended(app *v1alpha1.Application, _ time.Duration) kube.Verdict {
	if app == nil || !working(app) {
		return kube.Verdict{Done: true}
	}
	return kube.Verdict{Seen: "an earlier sync of it goes on"}
}

// Wait implements plan.Waiter.
func (p *Part) Wait(ctx context.Context, gate plan.Gate, order plan.Order, seen func(string)) error {
	r, err := component.Read(order.Input)
	if err != nil {
		return err
	}
	target, err := p.Open()
	if err != nil {
		return err
	}
	switch gate.Name {
	case GateSynced:
		return target.Wait(ctx, r.Name, synced, seen)
	case GateHealthy:
		return target.Wait(ctx, r.Name, healthy, seen)
	case component.GateRollout:
		return target.WaitRollout(ctx, r.Namespace, r.Selector(), seen)
	}
	if objects, ok := p.Watched[gate.Name]; ok {
		return target.WaitAll(ctx, objects(r), seen)
	}
	probe, ok := p.Probes[gate.Name]
	if !ok {
		return fmt.Errorf("gate %s: nobody can look at it", gate.Name)
	}
	return probe.Wait(ctx, r, seen)
}

var _ interface {
	plan.Part
	plan.Waiter
} = (*Part)(nil)
