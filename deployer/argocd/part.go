package argocd

import (
	"context"
	"fmt"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
)

// Target is a cluster with Argo CD as this deployer uses it.
type Target interface {
	helm.Workloads
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
}

// Part carries out a component.Release as an Application.
type Part struct{ helm.Deployed[Target] }

// Observe implements plan.Part.
func (p *Part) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	r, err := helm.Applied(look)
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
		return helm.Absent(ctx, target, r, "no Application "+r.Name+" is there")
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
	if o.Drift, err = p.Amiss(ctx, target, r); err != nil || o.Drift != "" {
		return o, err
	}
	return p.Rolled(ctx, target, look.Want, r, o)
}

// Apply implements plan.Part.
func (p *Part) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	r, err := component.Read(order.Input)
	if err != nil {
		return nil, err
	}
	if _, err := helm.Ours(r); err != nil {
		return nil, err
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
	return p.Brought(ctx, target, r, order.Action)
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
	judges := map[string]judge{GateSynced: synced, GateHealthy: healthy}
	becomes, ok := judges[gate.Name]
	if !ok {
		return p.Deployed.Wait(ctx, gate, order, seen)
	}
	r, err := component.Read(order.Input)
	if err != nil {
		return err
	}
	target, err := p.Open()
	if err != nil {
		return err
	}
	return target.Wait(ctx, r.Name, becomes, seen)
}

var _ interface {
	plan.Part
	plan.Waiter
} = (*Part)(nil)
