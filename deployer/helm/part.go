package helm

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
)

// Target is a cluster as this deployer uses it.
type Target interface {
	Workloads
	// Install installs or upgrades; it returns when the objects are there.
	Install(ctx context.Context, r Release) error
	// Look reads the record of a release; false when there is none.
	Look(ctx context.Context, name, namespace string) (Record, bool, error)
	// Missing lists objects of a release that are not there.
	Missing(ctx context.Context, name, namespace string) ([]string, error)
}

// Cluster is a Target by its API.
type Cluster struct{ Client *kube.Client }

// settleTime is how long an install is tried again while the cluster is not ready for
// it: a webhook serves some seconds after its pods are ready.
const settleTime = time.Minute

// Install implements Target.
func (c Cluster) Install(ctx context.Context, r Release) error {
	bound, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	return c.Client.Patient(bound, func() error { return Install(ctx, c.Client, r) })
}

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

// Pods implements Target.
func (c Cluster) Pods(ctx context.Context, namespace, selector string) ([]kube.Pod, error) {
	return c.Client.Pods(ctx, namespace, selector)
}

// WaitRollout implements Target.
func (c Cluster) WaitRollout(ctx context.Context, namespace, selector string, seen func(string)) error {
	return c.Client.WaitRollout(ctx, namespace, selector, seen)
}

// WaitAll implements Target.
func (c Cluster) WaitAll(ctx context.Context, objects []kube.Expected, behind kube.Behind, seen func(string)) error {
	return c.Client.WaitAll(ctx, objects, behind, seen)
}

// LookAt implements Target.
func (c Cluster) LookAt(ctx context.Context, objects []kube.Expected) (string, error) {
	return c.Client.Look(ctx, objects)
}

// Follow implements Target.
func (c Cluster) Follow(ctx context.Context, namespace, selector string, since time.Time, line func(pod, text string)) {
	c.Client.Follow(ctx, namespace, selector, since, line)
}

// Part carries out a component.Release.
type Part struct {
	Deployed[Target]
	// Fetch gets a chart of others; nil: the release is of a chart of ours.
	Fetch Fetch
	// Say is told what Helm says; nil: nobody.
	Say func(line string)
}

// Observe implements plan.Part. A release whose workloads do not run as they should
// has drifted: applying it again costs nothing where nothing is wrong with it.
func (p *Part) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	r, err := Applied(look)
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
		return Absent(ctx, target, r, "no release "+r.Name+" is there")
	}
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("release %s, revision %d, is as it was applied", r.Name, record.Revision)}
	if !record.Deployed {
		o.Drift = fmt.Sprintf("release %s is %s", r.Name, record.Status)
		return o, nil
	}
	if o.Drift, err = p.Amiss(ctx, target, r); err != nil || o.Drift != "" {
		return o, err
	}
	if look.Last != nil {
		if o.Drift = changed(record, r); o.Drift != "" {
			return o, nil
		}
	}
	missing, err := target.Missing(ctx, r.Name, r.Namespace)
	if err != nil {
		return plan.Observation{}, err
	}
	if len(missing) > 0 {
		o.Drift = "not there any more: " + strings.Join(missing, ", ")
		return o, nil
	}
	return p.Rolled(ctx, target, look.Want, r, o)
}

// Apply implements plan.Part.
func (p *Part) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	r, err := component.Read(order.Input)
	if err != nil {
		return nil, err
	}
	c, err := p.load(ctx, r)
	if err != nil {
		return nil, err
	}
	target, err := p.Open()
	if err != nil {
		return nil, err
	}
	release := Release{Name: r.Name, Namespace: r.Namespace, Chart: c, Values: r.Values, Lab: lab(r), SkipDefinitions: r.Definitions != "", Report: p.Say}
	if r.Owner != "" {
		release.after = owned{lab: r.Owner, registry: r.Registry}
		if r.Namespace != component.Namespace {
			release.after = owned{lab: r.Owner, registry: r.Registry, brought: r.Name}
		}
	}
	if err := target.Install(ctx, release); err != nil {
		return nil, err
	}
	return p.Brought(ctx, target, r, order.Action)
}

// load gives the chart that a step names, as it is installed.
func (p *Part) load(ctx context.Context, r component.Release) (*chart.Chart, error) {
	if r.Repository == "" {
		return load(r)
	}
	if p.Fetch == nil {
		return nil, fmt.Errorf("release %s: nobody can fetch the chart %s of %s", r.Name, r.Chart, r.Repository)
	}
	c, err := p.Fetch(ctx, r.Repository, r.Chart, r.Version)
	if err != nil {
		return nil, err
	}
	present(c)
	if r.Definitions == component.DefinitionsOnly {
		return definitions(c, lab(r))
	}
	return c, nil
}

// lab gives the lab of a release; "" for charts of others on a cluster of the lab's own.
func lab(r component.Release) string {
	if r.Owner != "" {
		return r.Owner
	}
	name, _ := r.Values["lab"].(string)
	return name
}

// load gives the chart of ours that a step names.
func load(r component.Release) (*chart.Chart, error) {
	files, err := Ours(r)
	if err != nil {
		return nil, err
	}
	return FromFiles(files.Files)
}

var _ interface {
	plan.Part
	plan.Waiter
} = (*Part)(nil)

// Render gives the objects that a step would apply, as YAML, without a cluster.
func Render(input json.RawMessage) (string, error) {
	r, err := component.Read(input)
	if err != nil {
		return "", err
	}
	c, err := load(r)
	if err != nil {
		return "", err
	}
	return render(c, r)
}
