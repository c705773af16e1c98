package helm

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
)

// Workloads is what every deployer uses of a cluster: the pods of a release, and what
// became of its objects.
type Workloads interface {
	// Unstick has pods made anew that would wait for minutes before they try again.
	Unstick(ctx context.Context, namespace, selector string) error
	// Kept says whether volumes of a selector are there.
	Kept(ctx context.Context, namespace, selector string) (bool, error)
	// Rollout looks once at the workloads of a selector.
	Rollout(ctx context.Context, namespace, selector string) (kube.Verdict, error)
	// Pods lists the pods of a selector.
	Pods(ctx context.Context, namespace, selector string) ([]kube.Pod, error)
	// WaitRollout waits for them; see kube.Client.WaitRollout.
	WaitRollout(ctx context.Context, namespace, selector string, seen func(string)) error
	// WaitAll waits for objects, with an eye on the pods behind them; LookAt says which are
	// not as they should be; see kube.Client.
	WaitAll(ctx context.Context, objects []kube.Expected, behind kube.Behind, seen func(string)) error
	LookAt(ctx context.Context, objects []kube.Expected) (string, error)
	// Follow passes on what pods write; see kube.Client.Follow.
	Follow(ctx context.Context, namespace, selector string, since time.Time, line func(pod, text string))
}

// Deployed is what the parts of releases have in common, whoever deploys them; T is the
// cluster as that deployer uses it.
type Deployed[T Workloads] struct {
	// Open gives the cluster; it is called at each use, because a cluster may come
	// and go while a lab is owned.
	Open func() (T, error)
	// Probes are the gates beside the rollout, by name.
	Probes map[string]component.Probe
	// Watched are the gates that objects of the cluster open, by name.
	Watched map[string]component.Objects
	// Hear is told what the pods write, for as long as this process lives; nil: nobody.
	Hear func(pod, line string)
	// Since says from when on what they wrote is news; nil: from now on. The zero time is
	// all that there is.
	Since func() time.Time

	Attendance
}

// Applied reads the release that is looked at: as it was applied last, else as it is
// wanted, since names hold no references.
func Applied(look plan.Look) (component.Release, error) {
	if look.Last != nil {
		return component.Read(look.Last)
	}
	return component.Read(look.Want.Input)
}

// Ours gives the chart of ours that a step names. A plan that was made by another version
// of this program is not carried out with other charts than it says.
func Ours(r component.Release) (*charts.Chart, error) {
	c, err := charts.Load(r.Chart)
	if err != nil {
		return nil, err
	}
	if c.Version != r.Version {
		return nil, fmt.Errorf("the step is for chart %s %s, and this program has %s", r.Chart, r.Version, c.Version)
	}
	return c, nil
}

// Absent is a release that is not there, perhaps with volumes that are.
func Absent(ctx context.Context, target Workloads, r component.Release, why string) (plan.Observation, error) {
	kept, err := target.Kept(ctx, r.Namespace, r.PodSelector())
	return plan.Observation{State: plan.Absent, Kept: kept, Why: why}, err
}

// Amiss says what of the watched objects is not as it should be, "" when all is.
func (d *Deployed[T]) Amiss(ctx context.Context, target T, r component.Release) (string, error) {
	for _, name := range slices.Sorted(maps.Keys(d.Watched)) {
		if amiss, err := target.LookAt(ctx, d.Watched[name](r)); err != nil || amiss != "" {
			return amiss, err
		}
	}
	return "", nil
}

// Rolled completes the observation of a release that is there with what became of its
// workloads, where it has any.
func (d *Deployed[T]) Rolled(ctx context.Context, target T, want plan.Want, r component.Release, o plan.Observation) (plan.Observation, error) {
	rolls := slices.ContainsFunc(want.Gates, func(g plan.Gate) bool { return g.Name == component.GateRollout })
	if !rolls && r.Pods == "" {
		return o, nil
	}
	v := kube.Verdict{Done: true} // of pods that an operator makes it says itself what they should be
	if rolls {
		var err error
		if v, err = target.Rollout(ctx, r.Namespace, r.Selector()); err != nil {
			return plan.Observation{}, err
		}
	}
	pods := d.See(ctx, target, r)
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

// Brought ends the step of a release that the cluster has now: pods that would not notice
// are made anew, and who hears them listens. It gives the step's outputs.
func (d *Deployed[T]) Brought(ctx context.Context, target T, r component.Release, action plan.Action) (map[string]string, error) {
	if action != plan.Create {
		if err := target.Unstick(ctx, r.Namespace, r.PodSelector()); err != nil {
			return nil, err
		}
	}
	d.Listen(target, r, d.Since, d.Hear)
	return r.Outputs, nil
}

// Attend follows what the pods of a release write that this process did not apply, given
// its input as it was last applied: a runner that found nothing to do listens too.
func (d *Deployed[T]) Attend(input json.RawMessage) {
	r, err := component.Read(input)
	if err != nil {
		return // of another version; its next step listens
	}
	if target, err := d.Open(); err == nil {
		d.Listen(target, r, d.Since, d.Hear)
	}
}

// Wait implements plan.Waiter for the gates that every deployer knows.
func (d *Deployed[T]) Wait(ctx context.Context, gate plan.Gate, order plan.Order, seen func(string)) error {
	r, err := component.Read(order.Input)
	if err != nil {
		return err
	}
	if probe, ok := d.Probes[gate.Name]; ok {
		return probe.Wait(ctx, r, seen)
	}
	objects, watched := d.Watched[gate.Name]
	if gate.Name != component.GateRollout && !watched {
		return fmt.Errorf("gate %s: nobody can look at it", gate.Name)
	}
	target, err := d.Open()
	if err != nil {
		return err
	}
	if watched {
		return target.WaitAll(ctx, objects(r), kube.Behind{Namespace: r.Namespace, Selector: r.Pods}, seen)
	}
	return target.WaitRollout(ctx, r.Namespace, r.Selector(), seen)
}
