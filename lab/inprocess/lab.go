package inprocess

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/alerts/packet"
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

// Provider is what labs of this kind are called in stacks and descriptions.
const Provider = "embedded"

// Entry is one implementation of a component that needs no cluster: what is wanted of
// it, and the part that carries it out.
type Entry struct {
	Want func(*profiles.Profile, state.Description) plan.Want
	Part func(*embedded.Host) plan.Part
}

// byProfile adapts what only the profile decides on.
func byProfile(want func(*profiles.Profile) plan.Want) func(*profiles.Profile, state.Description) plan.Want {
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
	return loopback.Want(p, desc.Advertise, desc.Published)
}

// archive is the alert database's server, with the tokens that open it.
func archive(p *profiles.Profile, desc state.Description) plan.Want {
	return alertdb.Want(p, desc.Overlay.AllTokens(p))
}

// registered are the schemas, with the lab's drafts.
func registered(p *profiles.Profile, desc state.Description) plan.Want {
	return schemas.Want(p, desc.Overlay.Drafts)
}

// contents adapts a part that needs only the lab's secrets.
func contents(part func(*secrets.Store) plan.Part) func(*embedded.Host) plan.Part {
	return func(h *embedded.Host) plan.Part { return part(h.Secrets) }
}

// Entries lists them by "component/implementation". Content, which works over addresses
// alone, serves labs on Kubernetes too.
func Entries() map[string]Entry {
	return map[string]Entry{
		"addresses/loopback":                {advertised, loopback.New},
		"host-names/hosts-file":             {byProfile(hostnames.Want), hostnames.New},
		"kafka/kfake":                       {byProfile(kafka.Want), kafka.New},
		"kafka-users/kafka-admin-protocol":  {readers, contents(users.New)},
		"kafka-topics/kafka-admin-protocol": {byProfile(topics.Want), contents(topics.New)},
		"object-store/versitygw":            {byProfile(objectstore.Want), objectstore.New},
		"buckets/s3-protocol":               {byProfile(buckets.Want), contents(buckets.New)},
		"schema-registry/built-in":          {byProfile(registry.Want), registry.New},
		"schemas/registry-protocol":         {registered, func(h *embedded.Host) plan.Part { return schemas.New(h.Dir.Path()) }},
		"registry-front/built-in":           {byProfile(front.Want), front.New},
		"reservoir/built-in":                {loaded, func(h *embedded.Host) plan.Part { return reservoir.New(h.Secrets, h.Dir.Path()) }},
		"alert-database-ingester/built-in":  {byProfile(ingester.Want), ingester.New},
		"alert-database-server/built-in":    {archive, alertdb.New},
		"simulator/built-in":                {byProfile(simulator.Want), simulator.New},
	}
}

// Lab is one lab with its parts. It is what a runner owns.
type Lab struct {
	Secrets *secrets.Store // what its parts log in with
	parts   map[string]plan.Part
}

// New makes a lab of parts that share a store of secrets.
func New(store *secrets.Store, parts map[string]plan.Part) *Lab { return &Lab{store, parts} }

// Open makes the parts of the embedded lab that desc describes. Nothing is started.
func Open(host *embedded.Host, desc state.Description) (*Lab, error) {
	stack, err := stackOf(desc)
	if err != nil {
		return nil, err
	}
	parts := map[string]plan.Part{}
	table := Entries()
	for _, c := range stack.On(Provider) {
		e, err := find(table, stack, c)
		if err != nil {
			return nil, err
		}
		parts[c.Name] = e.Part(host)
	}
	return New(host.Secrets, parts), nil
}

func stackOf(desc state.Description) (*stacks.Stack, error) {
	stack, err := stacks.Load(desc.Stack)
	if err == nil && !stack.Runs(Provider) {
		err = fmt.Errorf("%s has no implementations for provider %s", desc.Stack, Provider)
	}
	return stack, fault.Wrap(fault.BadInput, "the stack cannot be used", err, "alertlab profile show   # names the stack")
}

func find(table map[string]Entry, stack *stacks.Stack, c stacks.Component) (Entry, error) {
	key := c.Name + "/" + c.Implementations[Provider]
	e, ok := table[key]
	if !ok {
		return e, fmt.Errorf("stack %s: nothing implements %s on provider %s (there are %s)", stack.Name, key, Provider,
			strings.Join(slices.Sorted(maps.Keys(table)), ", "))
	}
	return e, nil
}

// Resolved reads the profile that a description holds and puts on top what was
// changed on the lab.
func Resolved(desc state.Description) (*profiles.Profile, error) {
	p, err := profiles.Parse(desc.Profile, []byte(desc.Resolved))
	if err != nil {
		return nil, &fault.Fault{What: "the profile cannot be used", Why: err.Error(), Next: "alertlab profile validate " + desc.Profile, Code: fault.BadInput, Err: err}
	}
	return desc.Overlay.Apply(p)
}

// Sound says what is wrong with a scaled profile for the lab of a description, nil when
// nothing is; fit is what the lab's provider asks of one.
func Sound(p *profiles.Profile, desc state.Description, fit func(*profiles.Profile) error) error {
	if !slices.Contains(schemas.Versions(), p.Simulator.Schema) {
		return fault.New(fault.BadInput, fmt.Sprintf("the profile's simulator.schema %q is no published alert schema version", p.Simulator.Schema),
			"there are "+strings.Join(schemas.Versions(), ", "), "alertlab profile show "+desc.Profile)
	}
	next := "alertlab profile show " + desc.Profile + "   # and the environment, where it changes the profile"
	if err := fit(p); err != nil {
		return fault.Wrap(fault.BadInput, "the profile does not fit a lab on provider "+desc.Provider, err, next)
	}
	if err := loopback.FitAdvertised(p, desc.Advertise); err != nil {
		return err
	}
	if n := p.Simulator.Alerts; n > packet.MaxAlerts {
		return fault.New(fault.BadInput, "the profile's visits are too large", fmt.Sprintf("simulator.alerts is %d, and a visit holds %d", n, packet.MaxAlerts), next)
	}
	return nil
}

// Named completes what is wanted of a component with what its stack says of it. source
// is the profile before it was scaled.
func Named(want plan.Want, c stacks.Component, provider string, source *profiles.Profile) plan.Want {
	if c.Name == "kafka" {
		want.Holds = append(want.Holds, disk(source)...)
	}
	want.Key, want.Implementation, want.Needs, want.Why = c.Name, c.Implementations[provider], c.Needs, c.Why
	return want
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

// Wanted says what the embedded lab that desc describes should consist of. It is pure.
func Wanted(desc state.Description) (plan.Wanted, error) {
	w := plan.Wanted{Lab: desc.Name, Profile: desc.Profile, Provider: desc.Provider, Stack: desc.Stack}
	stack, err := stackOf(desc)
	if err != nil {
		return w, err
	}
	source, err := Resolved(desc)
	if err != nil {
		return w, err
	}
	scaled, err := Scale(source)
	if err != nil {
		return w, err
	}
	if err := Sound(scaled.Profile, desc, loopback.Fit); err != nil {
		return w, err
	}
	table := Entries()
	for _, c := range stack.On(Provider) {
		e, err := find(table, stack, c)
		if err != nil {
			return w, err
		}
		w.Parts = append(w.Parts, Named(e.Want(scaled.Profile, desc), c, Provider, source))
	}
	w.Concessions, w.Overlay = scaled.Sentences(), desc.Overlay.Sentences()
	return w, nil
}

// profileOf gives the profile of a description as an embedded lab runs it, and says
// what differs.
func profileOf(desc state.Description) (*profiles.Profile, []string, error) {
	p, err := Resolved(desc)
	if err != nil {
		return nil, nil, err
	}
	s, err := Scale(p)
	if err != nil {
		return nil, nil, err
	}
	return s.Profile, s.Sentences(), nil
}

// Users implements runner.Lab.
func (l *Lab) Users(desc state.Description) ([]string, error) {
	p, _, err := profileOf(desc)
	if err != nil {
		return nil, err
	}
	return users.Names(p), nil
}

// Accounts implements runner.Lab: nothing of others has an administrator here.
func (l *Lab) Accounts(state.Description) []string { return nil }

// Tokens implements runner.Lab.
func (l *Lab) Tokens(desc state.Description) ([]string, error) {
	p, err := Resolved(desc)
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
func (l *Lab) SetCredentials(c endpoints.Credentials) { l.Secrets.Set(c) }

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
