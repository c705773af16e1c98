package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/component/ingress"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/existing"
)

// Ingresses lists who may serve a lab's Ingresses, as it is written.
func Ingresses() []string { return ingress.Words() }

// ingressOf is who serves the Ingresses of a lab: who was named, else its stack's own.
func ingressOf(desc state.Description) ingress.Choice {
	if desc.Provider == Embedded {
		return ingress.Choice{Kind: ingress.None}
	}
	standard := ingress.None
	if desc.Stack == FullStack {
		standard = ingress.Nginx
	}
	c, err := ingress.Parse(cmp.Or(desc.Cluster.Ingress, string(standard)))
	if err != nil {
		return ingress.Choice{Kind: ingress.None} // CheckIngress said it
	}
	return c
}

// certified says whether a lab has certificates by cert-manager: of an encrypted listener,
// or of the hosts of an ingress.
func certified(p *profiles.Profile, desc state.Description) bool {
	return certmanager.Wanted(p) || ingressOf(desc).Kind != ingress.None
}

// CheckIngress says whether a lab can have the ingress that its description names, and
// whether one that was before can get it; before is nil for a new lab. The error is a
// *fault.Fault.
func CheckIngress(desc state.Description, before *state.Description) error {
	text, at := desc.Cluster.Ingress, desc.Cluster.IngressAddress
	if text != "" {
		c, err := ingress.Parse(text)
		if err != nil {
			return fault.Wrap(fault.BadInput, "the lab cannot have this ingress", err, "alertlab up --ingress nginx   # or traefik, none, class:NAME")
		}
		if c.Kind == ingress.Theirs && desc.Provider != Existing {
			return fault.New(fault.BadInput, fmt.Sprintf("there is no ingress class %s", c.Class), "a cluster that the lab makes has none before the lab brings one",
				"alertlab up --provider "+desc.Provider+" --ingress traefik   # or nginx: one of the lab's own")
		}
	}
	is := ingressOf(desc)
	if at != "" {
		if is.Kind != ingress.Theirs {
			return fault.New(fault.BadInput, "--ingress-address is for a controller of the cluster's own", "one that the lab brings is at a port of the nodes",
				"alertlab up --ingress class:NAME --ingress-address "+at)
		}
		if err := ingress.CheckAddress(at); err != nil {
			return err
		}
	}
	if before == nil || before.Stack != desc.Stack {
		return nil
	}
	// From none to any is a plan like all others. What the rest consists of would stay, or
	// leave behind where it was reached.
	was := ingressOf(*before)
	if was == is || was.Kind == ingress.None {
		return nil
	}
	return fault.New(fault.BadInput, fmt.Sprintf("lab %s has the ingress %s and cannot change to %s", desc.Name, was, is), "what the one consists of would stay beside the other",
		fmt.Sprintf("alertlab up --lab ANOTHER --ingress %s   # or alertlab down --purge, which deletes the lab, then again", is))
}

// ingressEntries lists what has host names. A part is opened once, whatever is chosen
// later: by-class is what a stack says that leaves the choice to the lab.
func ingressEntries() map[string]entry {
	part := func(c *cluster) plan.Part {
		watched := ingress.Controller()
		if c.engine != nil || c.kind != nil {
			return byHelm("ingress-controller", watched)(c)
		}
		return anyController{shared("ingress-controller", watched)(c).(*existing.Brought), &existing.IngressClass{Open: c.reach}}
	}
	own := entry{want: released(ingress.WantController), inCluster: part, choose: ingressController}
	return map[string]entry{
		"ingress-controller/by-class":               {inCluster: part, choose: ingressController},
		"ingress-controller/ingress-nginx":          own,
		"ingress-controller/traefik":                own,
		"ingress-controller/found-or-ingress-nginx": {want: brought(released(ingress.WantController)), inCluster: part, choose: ingressController},
		"ingress-controller/found-or-traefik":       {want: brought(released(ingress.WantController)), inCluster: part, choose: ingressController},
		"ingress-controller/cluster-class": {inCluster: part, choose: ingressController, want: func(_ *profiles.Profile, desc state.Description) plan.Want {
			return existing.WantIngressClass(ingressOf(desc).Class)
		}},
		"ingresses/ingress": {want: released(ingress.Want), choose: withIngress("ingress"), inCluster: rules},
	}
}

// anyController is the ingress controller of a lab on a cluster that was there: one that
// the lab brings, or a class of that cluster. The input of a step says which.
type anyController struct {
	*existing.Brought
	class *existing.IngressClass
}

// brings says whether an input is that of a controller that the lab brings.
func brings(input json.RawMessage) bool {
	r, err := component.Read(input)
	return err == nil && r.Chart != ""
}

// Observe implements plan.Part.
func (a anyController) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	if brings(look.Want.Input) {
		return a.Brought.Observe(ctx, look)
	}
	return a.class.Observe(ctx, look)
}

// Apply implements plan.Part.
func (a anyController) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	if brings(order.Input) {
		return a.Brought.Apply(ctx, order)
	}
	return a.class.Apply(ctx, order)
}

// Attend implements runner.Attender.
func (a anyController) Attend(input json.RawMessage) {
	if brings(input) {
		a.Brought.Attend(input)
	}
}

// ingressController names the implementation of a lab's ingress controller.
func ingressController(_ *profiles.Profile, desc state.Description) string {
	c := ingressOf(desc)
	switch {
	case c.Kind == ingress.None:
		return ""
	case c.Kind == ingress.Theirs:
		return "cluster-class"
	case desc.Provider == Existing:
		return foundOr + c.Chart()
	}
	return c.Chart()
}

// ingressClassOf is the class of Ingresses for which a release brings a controller.
func ingressClassOf(r component.Release) string {
	if r.Chart == ingress.ChartTraefik {
		return string(ingress.Traefik)
	}
	return string(ingress.Nginx)
}

// withIngress leaves a component out where a lab has no ingress.
func withIngress(implementation string) func(*profiles.Profile, state.Description) string {
	return func(_ *profiles.Profile, desc state.Description) string {
		if ingressOf(desc).Kind == ingress.None {
			return ""
		}
		return implementation
	}
}

// addressed is the rules of an ingress, which say where their hosts are reached: where a
// controller of the cluster's own says so, if nobody else does.
type addressed struct {
	release
	published func(context.Context, component.Release) error           // waits until it says so
	at        func(context.Context, component.Release) (string, error) // what it says, "" for nothing
}

// addressTime bounds how long a controller may take to say where it is reached.
const addressTime = time.Minute

// rules makes the part of the Ingresses.
func rules(c *cluster) plan.Part {
	return addressed{c.released("ingresses", nil, ingress.Watched()), func(ctx context.Context, r component.Release) error {
		client, err := c.api()
		if err != nil {
			return err
		}
		bound, cancel := context.WithTimeout(ctx, addressTime)
		defer cancel()
		var expected []kube.Expected
		for _, ref := range ingress.Rules(r) {
			expected = append(expected, kube.Expected{Ref: ref, Cond: kube.IsReached})
		}
		return client.WaitAll(bound, expected, kube.Behind{}, func(string) {})
	}, func(ctx context.Context, r component.Release) (string, error) {
		client, err := c.api()
		if err != nil {
			return "", err
		}
		u, err := client.Get(ctx, ingress.Rules(r)[0])
		if err != nil || u == nil {
			return "", err
		}
		return ingress.Endpoint(kube.Reached(u)), nil
	}}
}

// Apply implements plan.Part.
func (a addressed) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	outputs, err := a.release.Apply(ctx, order)
	if at, asked := outputs[ingress.Address]; err != nil || !asked || at != "" {
		return outputs, err
	}
	r, err := component.Read(order.Input)
	if err != nil {
		return nil, err
	}
	if err := a.published(ctx, r); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		class, _ := r.Values["class"].(string)
		return nil, fault.Wrap(fault.StepFailed, "where the ingress class "+class+" is reached is not known", err,
			"alertlab up --ingress-address HOST:PORT   # where its controller answers HTTPS; or see to that controller, then alertlab up")
	}
	outputs = maps.Clone(outputs)
	outputs[ingress.Address], err = a.at(ctx, r)
	return outputs, err
}

// Observe implements plan.Part. A controller that is reached elsewhere by now is a drift.
func (a addressed) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	o, err := a.release.Observe(ctx, look)
	if err != nil || o.State != plan.Present || o.Drift != "" || look.Last == nil {
		return o, err
	}
	r, err := component.Read(look.Last)
	if err != nil {
		return o, err
	}
	if given, asked := r.Outputs[ingress.Address]; !asked || given != "" {
		return o, nil
	}
	at, err := a.at(ctx, r)
	if was := look.Outputs[ingress.Address]; err == nil && at != was {
		o.Drift = fmt.Sprintf("its hosts were reached at %s, and are at %s", was, cmp.Or(at, "no address"))
	}
	return o, err
}

// ingressPorts are the ports of the nodes that the lab's own controller takes, each with
// what answers there.
func ingressPorts(desc state.Description) map[int]string {
	if ingressOf(desc).Chart() == "" {
		return nil
	}
	return map[int]string{nodeports.HTTP: "ingress", nodeports.HTTPS: "ingress"}
}

// absentOfIngress states what a lab's ingress has otherwise than a site's.
func absentOfIngress(p *profiles.Profile, desc state.Description) []string {
	c := ingressOf(desc)
	var out []string
	add := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(c.Kind != ingress.None && !certmanager.Wanted(p) && desc.Stack != FullStack,
		"the issuer %s signs with the lab's own authority, not a public one: clients are told to trust it", certmanager.Issuer(p))
	add(c.Kind != ingress.None && desc.Provider == Existing && !certmanager.Wanted(p), "the issuer %s is one of the namespace %s, not of the cluster", certmanager.Issuer(p), component.Namespace)
	add(c.Kind == ingress.Traefik, "the ingress controller is Traefik, which reads the annotations of ingress-nginx")
	add(c.Kind == ingress.Theirs, "Ingresses of the cluster's class %s have no annotations, and the alert database answers below %s itself", c.Class, ingress.DataPath)
	add(c.Kind == ingress.None && desc.Stack == FullStack, "there is no ingress: registry and alert database have ports of a node and no host names")
	return out
}
