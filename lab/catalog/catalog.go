// Package catalog knows which code makes which component on which provider: for
// each component and implementation that a stack may name, what is wanted of it
// and the part that carries it out. It also composes the connection card.
//
// It is the one place that may import everything; nothing but the command line
// imports it.
package catalog

import (
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/component/credentials"
	"github.com/alertlab/alertlab/component/ingress"
	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/content/storeusers"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/inprocess"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
	"github.com/alertlab/alertlab/stacks"
)

// The providers.
const (
	Embedded = "embedded" // everything in this binary
	K3d      = "k3d"      // a k3s cluster in containers of this machine
	Kind     = "kind"     // a kind cluster in containers of this machine
	Existing = "existing" // a cluster that was there before
)

// Providers lists them, the default first.
func Providers() []string { return []string{Embedded, K3d, Kind, Existing} }

// entry is one implementation of a component: part makes what works anywhere or in
// this process, inCluster what needs a cluster.
type entry struct {
	want      func(*profiles.Profile, state.Description) plan.Want
	part      func(*embedded.Host) plan.Part
	inCluster func(*cluster) plan.Part
	// choose names the implementation that a profile's lab needs instead, "" for none of
	// the component; nil: this one.
	choose func(*profiles.Profile, state.Description) string
}

// profile adapts what only the profile decides on.
func profile(want func(*profiles.Profile) plan.Want) func(*profiles.Profile, state.Description) plan.Want {
	return func(p *profiles.Profile, _ state.Description) plan.Want { return want(p) }
}

// entries lists every implementation by "component/implementation".
func entries() map[string]entry {
	table := map[string]entry{}
	for key, e := range inprocess.Entries() {
		table[key] = entry{want: e.Want, part: e.Part}
	}
	maps.Copy(table, clusterEntries())
	maps.Copy(table, kindEntries())
	maps.Copy(table, loadBalancerEntries())
	maps.Copy(table, existingEntries())
	maps.Copy(table, certificateEntries())
	maps.Copy(table, argoEntries())
	maps.Copy(table, fullEntries())
	maps.Copy(table, sharedEntries())
	maps.Copy(table, operatorEntries())
	maps.Copy(table, ingressEntries())
	return table
}

// Lab is one lab with its parts. It is what a runner owns.
type Lab struct {
	*inprocess.Lab
	pods *cluster // of a lab on Kubernetes, else nil
}

// Open makes the parts of the lab that desc describes. Nothing is started.
func Open(dir state.Dir, desc state.Description, executable string, log func(component string) *slog.Logger) (*Lab, error) {
	stack, err := stackOf(desc)
	if err != nil {
		return nil, err
	}
	host := &embedded.Host{Dir: dir, Secrets: &secrets.Store{}, Log: log, Executable: executable}
	if desc.Provider == Embedded {
		lab, err := inprocess.Open(host, desc)
		return &Lab{Lab: lab}, err
	}
	parts := map[string]plan.Part{}
	in := newCluster(host, desc)
	table := entries()
	for _, c := range stack.On(desc.Provider) {
		e, err := find(table, stack, c, desc.Provider)
		if err != nil {
			return nil, err
		}
		if e.inCluster != nil {
			parts[c.Name] = e.inCluster(in)
		} else {
			parts[c.Name] = afar{e.part(host)}
		}
	}
	return &Lab{inprocess.New(host.Secrets, parts), in}, nil
}

func stackOf(desc state.Description) (*stacks.Stack, error) {
	if !slices.Contains(Providers(), desc.Provider) {
		return nil, fault.New(fault.BadInput, fmt.Sprintf("provider %q is not known", desc.Provider),
			"this build brings labs up as: "+strings.Join(Providers(), ", "), "alertlab up --provider "+Embedded)
	}
	stack, err := stacks.Load(desc.Stack)
	if err != nil {
		return nil, fault.Wrap(fault.BadInput, "the stack cannot be used", err, "alertlab profile show   # names the stack")
	}
	if !stack.Runs(desc.Provider) {
		var others []string
		for _, info := range stacks.List() {
			if other, err := stacks.Load(info.Name); err == nil && other.Runs(desc.Provider) {
				others = append(others, info.Name)
			}
		}
		return nil, fault.New(fault.BadInput, fmt.Sprintf("the stack %s does not run on provider %s", stack.Name, desc.Provider),
			"there it would have no implementations; these have: "+strings.Join(others, ", "), "alertlab up --provider "+desc.Provider+" --stack "+first(others, "NAME"))
	}
	return stack.With(deployer(desc)), nil
}

func first(list []string, otherwise string) string {
	if len(list) == 0 {
		return otherwise
	}
	return list[0]
}

func find(table map[string]entry, stack *stacks.Stack, c stacks.Component, provider string) (entry, error) {
	key := c.Name + "/" + c.Implementations[provider]
	e, ok := table[key]
	if !ok {
		return e, fmt.Errorf("stack %s: nothing implements %s on provider %s (there are %s)", stack.Name, key, provider,
			strings.Join(slices.Sorted(maps.Keys(table)), ", "))
	}
	return e, nil
}

// profileOf gives the profile of a description, scaled to what a lab on its provider
// may take, and says what differs.
func profileOf(desc state.Description) (*profiles.Profile, []string, error) {
	p, err := inprocess.Resolved(desc)
	if err != nil {
		return nil, nil, err
	}
	s, err := scaleFor(p, desc)
	if err != nil {
		return nil, nil, err
	}
	return s.Profile, s.Sentences(), nil
}

// ScaleFor says what a lab on a provider makes of a profile. It is pure: the same on
// every machine.
func ScaleFor(p *profiles.Profile, provider string) (inprocess.Scaled, error) {
	if provider == Existing { // a cluster is as large as it is
		run := *p
		if metallb.Wanted(p) {
			run.Kafka.Listener.Type = "nodeport" // which addresses of a site's network are free is the site's to know
		}
		return inprocess.Scaled{Profile: &run, Conceded: p.Conceded(), Absent: absentInCluster(p, provider)}, nil
	}
	s, err := inprocess.Scale(p)
	if err == nil && provider != Embedded {
		s.Absent = absentInCluster(p, provider)
	}
	return s, err
}

// scaleFor is ScaleFor for the lab that desc describes, whose stack decides too.
func scaleFor(p *profiles.Profile, desc state.Description) (inprocess.Scaled, error) {
	s, err := ScaleFor(p, desc.Provider)
	if err == nil && desc.Provider == Existing {
		if desc.Cluster.AddressPool != "" || desc.Cluster.RealAddresses {
			s.Profile.Kafka.Listener.Type = p.Kafka.Listener.Type
		}
		s.Absent = append(s.Absent, absentAsGuest(p, desc)...)
	}
	if err == nil && operated(desc) {
		s.Absent = absentInFull(p, desc)
		if desc.Provider == Existing {
			s.Absent = append(s.Absent, absentAsGuest(p, desc)...)
		}
	}
	if err == nil && desc.Provider != Embedded {
		s.Absent = append(s.Absent, absentOfIngress(p, desc)...)
	}
	return s, err
}

// Wanted says what the lab that desc describes should consist of. It is pure.
func Wanted(desc state.Description) (plan.Wanted, error) {
	if desc.Provider == Embedded {
		return inprocess.Wanted(desc)
	}
	w := plan.Wanted{Lab: desc.Name, Profile: desc.Profile, Provider: desc.Provider, Stack: desc.Stack}
	stack, err := stackOf(desc)
	if err != nil {
		return w, err
	}
	source, err := inprocess.Resolved(desc)
	if err != nil {
		return w, err
	}
	scaled, err := scaleFor(source, desc)
	if err != nil {
		return w, err
	}
	p := scaled.Profile
	if err := inprocess.Sound(p, desc, func(p *profiles.Profile) error { return fit(p, desc) }); err != nil {
		return w, err
	}
	w.Concessions, w.Overlay = scaled.Sentences(), desc.Overlay.Sentences()
	w.Parts, err = parts(stack, p, source, desc)
	return w, err
}

// parts says what a stack wants of each of its components. source is the profile before
// it was scaled.
func parts(stack *stacks.Stack, p, source *profiles.Profile, desc state.Description) ([]plan.Want, error) {
	table := entries()
	var out []plan.Want
	for _, c := range chosen(table, stack, p, desc).On(desc.Provider) {
		e, err := find(table, stack, c, desc.Provider)
		if err != nil {
			return nil, err
		}
		out = append(out, inprocess.Named(e.want(p, desc), c, desc.Provider, source))
	}
	if desc.Provider == Existing {
		if err := rewrite(out, p, desc); err != nil {
			return nil, err
		}
	}
	if desc.Cluster.Deployer == ArgoCD {
		byApplications(desc.Name, out)
	}
	return out, nil
}

// Users implements runner.Lab.
func (l *Lab) Users(desc state.Description) ([]string, error) {
	if desc.Provider == Embedded {
		return l.Lab.Users(desc)
	}
	p, _, err := profileOf(desc)
	if err != nil {
		return nil, err
	}
	return credentials.Users(p), nil
}

// Accounts implements runner.Lab.
func (l *Lab) Accounts(desc state.Description) []string {
	var out []string
	if desc.Cluster.Deployer == ArgoCD {
		out = append(out, argocd.Account)
	}
	if labOf(desc).StoreUsers {
		out = append(out, storeusers.Names()...)
	}
	return out
}

// Wanted implements runner.Lab.
func (l *Lab) Wanted(desc state.Description) (plan.Wanted, error) { return Wanted(desc) }

// Endpoints implements runner.Lab.
func (l *Lab) Endpoints(desc state.Description, outputs map[string]map[string]string) (endpoints.Endpoints, error) {
	p, conceded, err := profileOf(desc)
	if err != nil {
		return endpoints.Endpoints{}, err
	}
	card := inprocess.Card(desc, p, conceded, outputs)
	if out := outputs["argocd"]; out["url"] != "" && desc.Cluster.Deployer == ArgoCD {
		card.ArgoCD = endpoints.ArgoCD{URL: out["url"], User: argocd.Admin, CAFile: out["ca-file"], Application: argocd.Parent}
	}
	if out := outputs["ingresses"]; out[ingress.RegistryURL] != "" {
		at := out[ingress.Address]
		if at == "" {
			if at, err = ingress.AtNode(outputs["addresses"]["alertdb"]); err != nil {
				return card, err
			}
		}
		card.Ingress = endpoints.Ingress{Address: at, CAFile: outputs["authority"]["ca-file"], CA: outputs["authority"]["ca"],
			RegistryURL: out[ingress.RegistryURL], AlertDBURL: out[ingress.AlertDBURL], ArgoCDURL: out[ingress.ArgoCDURL]}
		if host, _, err := net.SplitHostPort(at); err == nil { // it answers to the profile's name of the registry, too
			for i := range card.Hosts {
				if card.Hosts[i].Name == p.Registry.Host {
					card.Hosts[i].Address = host
				}
			}
		}
	}
	return card, nil
}
