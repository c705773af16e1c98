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
	"slices"
	"strings"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/component/credentials"
	"github.com/alertlab/alertlab/content/buckets"
	"github.com/alertlab/alertlab/content/reservoir"
	"github.com/alertlab/alertlab/content/schemas"
	"github.com/alertlab/alertlab/content/topics"
	"github.com/alertlab/alertlab/content/users"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
	"github.com/alertlab/alertlab/provider/embedded/alertdb"
	"github.com/alertlab/alertlab/provider/embedded/front"
	"github.com/alertlab/alertlab/provider/embedded/hostnames"
	"github.com/alertlab/alertlab/provider/embedded/ingester"
	"github.com/alertlab/alertlab/provider/embedded/kafka"
	"github.com/alertlab/alertlab/provider/embedded/loopback"
	"github.com/alertlab/alertlab/provider/embedded/objectstore"
	"github.com/alertlab/alertlab/provider/embedded/registry"
	"github.com/alertlab/alertlab/provider/embedded/simulator"
	"github.com/alertlab/alertlab/stacks"
)

// The providers.
const (
	Embedded = "embedded" // everything in this binary
	K3d      = "k3d"      // a k3s cluster in containers of this machine
)

// Providers lists them, the default first.
func Providers() []string { return []string{Embedded, K3d} }

// entry is one implementation of a component: part makes what works anywhere or in
// this process, inCluster what needs a cluster.
type entry struct {
	want      func(*profiles.Profile, state.Description) plan.Want
	part      func(*embedded.Host) plan.Part
	inCluster func(*cluster) plan.Part
}

// profile adapts what only the profile decides on.
func profile(want func(*profiles.Profile) plan.Want) func(*profiles.Profile, state.Description) plan.Want {
	return func(p *profiles.Profile, _ state.Description) plan.Want { return want(p) }
}

// loaded is the reservoir: the profile's visit, unless a user loaded another.
func loaded(p *profiles.Profile, desc state.Description) plan.Want {
	if r := desc.Reservoir; r != nil {
		return reservoir.WantLoaded(p, r.File, r.Schema, r.Manifest, desc.Overlay.Drafts...)
	}
	return reservoir.Want(p)
}

// readers are the Kafka users, with the count of each one's passwords.
func readers(p *profiles.Profile, desc state.Description) plan.Want {
	return users.Want(p, desc.Overlay.Passwords)
}

// advertised are the addresses, where the user wants them.
func advertised(p *profiles.Profile, desc state.Description) plan.Want {
	return loopback.Want(p, desc.Advertise)
}

// archive is the alert database's server, with the tokens that open it.
func archive(p *profiles.Profile, desc state.Description) plan.Want {
	return alertdb.Want(p, desc.Overlay.AllTokens(p))
}

// disk is what the brokers' disks hold, as the profile has them before it is scaled.
// On Kubernetes a disk can only grow. An embedded lab has none, and is held to it all
// the same: a change that one provider takes is not refused by another.
func disk(p *profiles.Profile) []plan.Hold {
	size := p.Kafka.Brokers.Storage.Size
	if size == 0 {
		return nil
	}
	return []plan.Hold{{Name: "the disk of each broker", Amount: size, Unit: "bytes", Loss: "what does not fit on it"}}
}

// registered are the schemas, with the lab's drafts.
func registered(p *profiles.Profile, desc state.Description) plan.Want {
	return schemas.Want(p, desc.Overlay.Drafts)
}

// contents adapts a part that needs only the lab's secrets.
func contents(part func(*secrets.Store) plan.Part) func(*embedded.Host) plan.Part {
	return func(h *embedded.Host) plan.Part { return part(h.Secrets) }
}

// entries lists every implementation by "component/implementation".
func entries() map[string]entry {
	table := map[string]entry{
		"addresses/loopback":                {want: advertised, part: loopback.New},
		"host-names/hosts-file":             {want: profile(hostnames.Want), part: hostnames.New},
		"kafka/kfake":                       {want: profile(kafka.Want), part: kafka.New},
		"kafka-users/kafka-admin-protocol":  {want: readers, part: contents(users.New)},
		"kafka-topics/kafka-admin-protocol": {want: profile(topics.Want), part: contents(topics.New)},
		"object-store/versitygw":            {want: profile(objectstore.Want), part: objectstore.New},
		"buckets/s3-protocol":               {want: profile(buckets.Want), part: contents(buckets.New)},
		"schema-registry/built-in":          {want: profile(registry.Want), part: registry.New},
		"schemas/registry-protocol":         {want: registered, part: func(h *embedded.Host) plan.Part { return schemas.New(h.Dir.Path()) }},
		"registry-front/built-in":           {want: profile(front.Want), part: front.New},
		"reservoir/built-in":                {want: loaded, part: func(h *embedded.Host) plan.Part { return reservoir.New(h.Secrets, h.Dir.Path()) }},
		"alert-database-ingester/built-in":  {want: profile(ingester.Want), part: ingester.New},
		"alert-database-server/built-in":    {want: archive, part: alertdb.New},
		"simulator/built-in":                {want: profile(simulator.Want), part: simulator.New},
	}
	maps.Copy(table, clusterEntries())
	return table
}

// Lab is one lab with its parts. It is what a runner owns.
type Lab struct {
	secrets *secrets.Store
	parts   map[string]plan.Part
}

// Open makes the parts of the lab that desc describes. Nothing is started.
func Open(dir state.Dir, desc state.Description, executable string, log func(component string) *slog.Logger) (*Lab, error) {
	stack, err := stackOf(desc)
	if err != nil {
		return nil, err
	}
	l := &Lab{secrets: &secrets.Store{}, parts: map[string]plan.Part{}}
	host := &embedded.Host{Dir: dir, Secrets: l.secrets, Log: log, Executable: executable}
	in := newCluster(host, desc)
	table := entries()
	for _, c := range stack.On(desc.Provider) {
		e, err := find(table, stack, c, desc.Provider)
		if err != nil {
			return nil, err
		}
		if e.inCluster != nil {
			l.parts[c.Name] = e.inCluster(in)
		} else if desc.Provider != Embedded {
			l.parts[c.Name] = afar{e.part(host)}
		} else {
			l.parts[c.Name] = e.part(host)
		}
	}
	return l, nil
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
	return stack, nil
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

// profileOf gives the profile of a description, scaled to what an embedded lab may
// take, and says what differs.
func profileOf(desc state.Description) (*profiles.Profile, []string, error) {
	p, err := resolved(desc)
	if err != nil {
		return nil, nil, err
	}
	s, err := scaleFor(p, desc)
	if err != nil {
		return nil, nil, err
	}
	return s.Profile, s.Sentences(), nil
}

// resolved reads the profile that a description holds and puts on top what was
// changed on the lab.
func resolved(desc state.Description) (*profiles.Profile, error) {
	p, err := profiles.Parse(desc.Profile, []byte(desc.Resolved))
	if err != nil {
		return nil, &fault.Fault{What: "the profile cannot be used", Why: err.Error(), Next: "alertlab profile validate " + desc.Profile, Code: fault.BadInput, Err: err}
	}
	return desc.Overlay.Apply(p)
}

// Wanted says what the lab that desc describes should consist of. It is pure.
func Wanted(desc state.Description) (plan.Wanted, error) {
	w := plan.Wanted{Lab: desc.Name, Profile: desc.Profile, Provider: desc.Provider, Stack: desc.Stack}
	stack, err := stackOf(desc)
	if err != nil {
		return w, err
	}
	source, err := resolved(desc)
	if err != nil {
		return w, err
	}
	scaled, err := scaleFor(source, desc)
	if err != nil {
		return w, err
	}
	p := scaled.Profile
	if !slices.Contains(schemas.Versions(), p.Simulator.Schema) {
		return w, fault.New(fault.BadInput, fmt.Sprintf("the profile's simulator.schema %q is no published alert schema version", p.Simulator.Schema),
			"there are "+strings.Join(schemas.Versions(), ", "), "alertlab profile show "+desc.Profile)
	}
	next := "alertlab profile show " + desc.Profile + "   # and the environment, where it changes the profile"
	if err := fit(p, desc); err != nil {
		return w, fault.Wrap(fault.BadInput, "the profile does not fit a lab on provider "+desc.Provider, err, next)
	}
	if err := loopback.FitAdvertised(p, desc.Advertise); err != nil {
		return w, err
	}
	if n := p.Simulator.Alerts; n > packet.MaxAlerts {
		return w, fault.New(fault.BadInput, "the profile's visits are too large", fmt.Sprintf("simulator.alerts is %d, and a visit holds %d", n, packet.MaxAlerts), next)
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
	for _, c := range stack.On(desc.Provider) {
		e, err := find(table, stack, c, desc.Provider)
		if err != nil {
			return nil, err
		}
		want := e.want(p, desc)
		if c.Name == "kafka" {
			want.Holds = append(want.Holds, disk(source)...)
		}
		want.Key, want.Implementation, want.Needs, want.Why = c.Name, c.Implementations[desc.Provider], c.Needs, c.Why
		out = append(out, want)
	}
	return out, nil
}

// Users implements runner.Lab.
func (l *Lab) Users(desc state.Description) ([]string, error) {
	p, _, err := profileOf(desc)
	if err != nil {
		return nil, err
	}
	if desc.Provider != Embedded {
		return credentials.Users(p), nil
	}
	return users.Names(p), nil
}

// Tokens implements runner.Lab.
func (l *Lab) Tokens(desc state.Description) ([]string, error) {
	p, err := resolved(desc)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range desc.Overlay.AllTokens(p) {
		names = append(names, t.Name)
	}
	return names, nil
}

// Wanted implements runner.Lab.
func (l *Lab) Wanted(desc state.Description) (plan.Wanted, error) { return Wanted(desc) }

// Parts implements runner.Lab.
func (l *Lab) Parts() map[string]plan.Part { return l.parts }

// SetCredentials implements runner.Lab.
func (l *Lab) SetCredentials(c endpoints.Credentials) { l.secrets.Set(c) }

// Status implements runner.Lab.
func (l *Lab) Status() map[string]event.Activity {
	out := map[string]event.Activity{}
	for key, part := range l.parts {
		if a, ok := part.(interface{ Activity() event.Activity }); ok {
			out[key] = a.Activity()
		}
	}
	return out
}

// Brokers gives control of the lab's brokers, nil when no part offers it or the one
// that does has none running.
func (l *Lab) Brokers() endpoints.BrokerControl {
	doing := l.Status()
	for _, key := range slices.Sorted(maps.Keys(l.parts)) {
		if control, ok := l.parts[key].(endpoints.BrokerControl); ok && doing[key].Running {
			return control
		}
	}
	return nil
}

// Endpoints implements runner.Lab.
func (l *Lab) Endpoints(desc state.Description, outputs map[string]map[string]string) (endpoints.Endpoints, error) {
	p, conceded, err := profileOf(desc)
	if err != nil {
		return endpoints.Endpoints{}, err
	}
	return Card(desc, p, conceded, outputs), nil
}
