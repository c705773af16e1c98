package catalog

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/content/schemas"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/inprocess"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/stacks"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it):\n--- got\n%s--- want\n%s", path, got, want)
	}
}

// local describes a lab of a shipped profile, with parts of its text replaced.
func local(t *testing.T, replace ...string) (state.Description, *profiles.Profile) {
	t.Helper()
	p, err := profiles.Load("local")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(p.Source()), replace[i]) {
			t.Fatalf("the profile does not say %q", replace[i])
		}
	}
	text := strings.NewReplacer(replace...).Replace(string(p.Source()))
	if p, err = profiles.Parse("local", []byte(text)); err != nil {
		t.Fatal(err)
	}
	return state.Description{Name: "default", Provider: Embedded, Stack: p.Stack, Profile: "local", Resolved: text}, p
}

func wanted(t *testing.T, desc state.Description) plan.Wanted {
	t.Helper()
	w, err := Wanted(desc)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func open(t *testing.T, desc state.Description) *Lab {
	t.Helper()
	l, err := Open(state.At(t.TempDir(), desc.Name), desc, "alertlab", func(string) *slog.Logger { return slog.New(slog.DiscardHandler) })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The plan of every shipped profile, as text.
func TestPlanOfFreshLab(t *testing.T) {
	t.Parallel()
	for _, info := range profiles.List() {
		p, err := profiles.Load(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		w := wanted(t, state.Description{Name: "default", Provider: Embedded, Stack: p.Stack, Profile: info.Name, Resolved: string(p.Source())})
		seen := plan.Snapshot{}
		for _, want := range w.Parts {
			seen[want.Key] = plan.Observation{State: plan.Absent, Why: want.Why}
		}
		fresh, err := plan.Make(w, seen)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, info.Name+"-fresh.txt", fresh.String())
	}
	desc, _ := local(t)
	w := wanted(t, desc)
	down, err := plan.MakeDown(w, plan.Snapshot{}, plan.Purge)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "local-purge.txt", down.String())
}

// asApplied is what is seen of a lab that is as w says.
func asApplied(t *testing.T, w plan.Wanted) plan.Snapshot {
	t.Helper()
	seen := plan.Snapshot{}
	for _, want := range w.Parts {
		o := plan.Observation{State: plan.Present, Why: "it is there", Applied: want.Input, Holds: want.Holds, Outputs: map[string]string{}}
		for _, name := range want.Outputs {
			o.Outputs[name] = "the " + name + " of " + want.Key
		}
		seen[want.Key] = o
	}
	return seen
}

// The plans of every shipped profile after a change of it, as text: what differs is
// updated and the rest kept; what would be lost is refused.
func TestPlanOfChangedLab(t *testing.T) {
	t.Parallel()
	for _, info := range profiles.List() {
		p, err := profiles.Load(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		desc := state.Description{Name: "default", Provider: Embedded, Stack: p.Stack, Profile: info.Name, Resolved: string(p.Source())}
		seen := asApplied(t, wanted(t, desc))
		if same, err := plan.Make(wanted(t, desc), seen); err != nil || !same.Empty() {
			t.Errorf("%s unchanged: %v\n%s", info.Name, err, same)
		}
		change := func(file string, change func(*profiles.Profile, *profiles.Overlay)) *plan.Plan {
			t.Helper()
			changed, err := profiles.Parse(info.Name, p.Source())
			if err != nil {
				t.Fatal(err)
			}
			after := desc
			change(changed, &after.Overlay)
			text, err := changed.YAML()
			if err != nil {
				t.Fatal(err)
			}
			after.Resolved = string(text)
			made, err := plan.Make(wanted(t, after), seen)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, info.Name+"-"+file+".txt", made.String())
			return made
		}
		topic := slices.IndexFunc(p.Kafka.Topics, func(topic profiles.Topic) bool { return topic.Name == p.Simulator.Topic })
		hosts := func(suffix string, p *profiles.Profile) {
			p.Registry.Host, p.Kafka.Listener.BootstrapHost, p.Kafka.Listener.BrokerHosts = "registry."+suffix, "kafka."+suffix, nil
			for i := range p.Kafka.Brokers.Count {
				p.Kafka.Listener.BrokerHosts = append(p.Kafka.Listener.BrokerHosts, fmt.Sprintf("kafka-%d.%s", i, suffix))
			}
		}
		made := change("changed", func(p *profiles.Profile, o *profiles.Overlay) {
			hosts("lab.example", p)
			p.Kafka.Topics[topic].Config["retention.ms"] = "60000"
			o.Topics = []profiles.Topic{{Name: "bob-in", Partitions: 1, Replicas: 1, Config: map[string]string{"retention.bytes": "1048576"}}}
			o.SetReader(profiles.Reader{Name: "bob", Topics: []string{"bob-in"}})
			o.RemoveReader(p.Kafka.Readers[0].Name, true)
		})
		var keys []string
		for _, s := range made.Steps {
			keys = append(keys, s.Key)
		}
		// With TLS the brokers have a certificate that names them, and who uses them follows.
		if want := []string{"host-names", "kafka-users", "kafka-topics"}; !p.Kafka.Listener.TLS && !slices.Equal(keys, want) {
			t.Errorf("%s changed: steps %v, and not %v", info.Name, keys, want)
		}
		if lost := made.Destroys(); len(lost) > 0 {
			t.Errorf("%s changed loses %q", info.Name, lost)
		}
		made = change("refused", func(p *profiles.Profile, _ *profiles.Overlay) {
			p.Concessions = nil
			p.Kafka.Topics[topic].Partitions--
			p.Registry.Topic += "-renamed"
			i := slices.IndexFunc(p.Kafka.Topics, func(topic profiles.Topic) bool { return topic.Name+"-renamed" == p.Registry.Topic })
			p.Kafka.Topics[i].Name = p.Registry.Topic
			p.Simulator.StaticTopic += "-renamed"
			p.AlertDatabase.AlertBucket += "-renamed"
			if p.Kafka.Brokers.Storage.Size > 0 {
				p.Kafka.Brokers.Storage.Size -= 1 << 30
			}
		})
		lost := strings.Join(made.Destroys(), "\n")
		for _, want := range []string{"topic " + p.Simulator.Topic + " would shrink from", "topic " + p.Registry.Topic + " is not wanted", "topic " + p.Simulator.StaticTopic + " is not wanted",
			"bucket " + p.AlertDatabase.AlertBucket + " of the alerts is not wanted"} {
			if !strings.Contains(lost, want) {
				t.Errorf("%s refused: %q is not said:\n%s", info.Name, want, lost)
			}
		}
		if (p.Kafka.Brokers.Storage.Size > 0) != strings.Contains(lost, "the disk of each broker would shrink") {
			t.Errorf("%s refused: the disk:\n%s", info.Name, lost)
		}
	}
}

func TestCard(t *testing.T) {
	t.Parallel()
	desc, p := local(t)
	kafka := map[string]string{"bootstrap": "127.0.0.10:9094"}
	for id := range 6 {
		kafka[fmt.Sprintf("broker.%d", id)] = fmt.Sprintf("127.0.0.%d:9094", 11+id)
	}
	outputs := map[string]map[string]string{
		"kafka":           kafka,
		"schema-registry": {"url": "http://127.0.0.10:8081"}, "registry-front": {"url": "http://127.0.0.10:8080"},
		"alert-database-server": {"url": "http://127.0.0.10:3000"},
		"object-store":          {"url": "http://127.0.0.10:9000", "region": "us-east-1"},
	}
	b, err := json.MarshalIndent(inprocess.Card(desc, p, wanted(t, desc).Concessions, outputs), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "local-card.json", string(b)+"\n")

	// Every address on the card comes from an output that some part gives.
	given := map[string][]string{}
	for _, want := range wanted(t, desc).Parts {
		given[want.Key] = want.Outputs
	}
	for part, out := range outputs {
		for name := range out {
			if !slices.Contains(given[part], name) {
				t.Errorf("the card shows %s.%s, which %s does not give: %v", part, name, part, given[part])
			}
		}
	}
}

// Broker ids may begin anywhere, as those of the USDF cluster begin with 6.
func TestBrokerIDs(t *testing.T) {
	t.Parallel()
	desc, p := local(t, "firstID: 0", "firstID: 6")
	card := inprocess.Card(desc, p, nil, map[string]map[string]string{"kafka": {"broker.6": "127.0.0.11:9094", "broker.11": "127.0.0.16:9094"}})
	if b := card.Kafka.Brokers; len(b) != 6 || b[0].ID != 6 || b[0].Address != "127.0.0.11:9094" || b[5].ID != 11 || b[5].Address != "127.0.0.16:9094" {
		t.Errorf("brokers %+v", b)
	}
	if _, err := plan.Make(wanted(t, desc), plan.Snapshot{}); err != nil {
		t.Error(err)
	}
}

// Every component of every stack has an implementation, and none is there for
// nothing; every profile can be planned, and each of its parts can be made and
// does what its steps will ask of it.
func TestTable(t *testing.T) {
	t.Parallel()
	table, used := entries(), map[string]bool{}
	for _, info := range stacks.List() {
		stack, err := stacks.Load(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range stack.Components {
			for provider, implementation := range c.Implementations {
				key := c.Name + "/" + implementation
				if _, ok := table[key]; !ok {
					t.Errorf("stack %s: nothing implements %s on %s", info.Name, key, provider)
				}
				used[key] = true
				// Another one may be chosen for some profile, or by a choice of the lab's.
				for _, info := range profiles.List() {
					p, err := profiles.Load(info.Name)
					if err != nil {
						t.Fatal(err)
					}
					if choose := table[key].choose; choose != nil {
						for _, ingress := range []string{"", "nginx", "traefik", "class:web"} {
							desc := state.Description{Provider: provider, Stack: stack.Name, Cluster: state.Cluster{Ingress: ingress}}
							used[c.Name+"/"+choose(p, desc)] = true
						}
					}
				}
			}
		}
	}
	for key := range table {
		if !used[key] {
			t.Errorf("no stack uses %s", key)
		}
	}
	for _, info := range profiles.List() {
		p, err := profiles.Load(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		desc := state.Description{Name: "default", Provider: Embedded, Stack: p.Stack, Profile: info.Name, Resolved: string(p.Source())}
		w := wanted(t, desc)
		if _, err := plan.Make(w, plan.Snapshot{}); err != nil {
			t.Errorf("profile %s: %v", info.Name, err)
		}
		lab := open(t, desc)
		if got, want := slices.Sorted(maps.Keys(lab.Parts())), keys(w); !slices.Equal(got, want) {
			t.Errorf("profile %s: parts %v, wanted %v", info.Name, got, want)
		}
		for _, want := range w.Parts {
			part := lab.Parts()[want.Key]
			if _, ok := part.(plan.Stopper); want.Runs != ok {
				t.Errorf("%s runs: %v, can be stopped: %v", want.Key, want.Runs, ok)
			}
			if _, ok := part.(plan.Remover); want.Stores != "" && !ok {
				t.Errorf("%s stores %s and cannot remove it", want.Key, want.Stores)
			}
			if _, ok := part.(plan.Waiter); len(want.Gates) > 0 && !ok {
				t.Errorf("%s has gates that nobody can look at", want.Key)
			}
			if want.Title == "" || want.Why == "" || !json.Valid(want.Input) {
				t.Errorf("%s: title %q, why %q, input %s", want.Key, want.Title, want.Why, want.Input)
			}
			for _, g := range want.Gates {
				if g.Deadline <= 0 || g.What == "" {
					t.Errorf("%s: gate %+v", want.Key, g)
				}
			}
		}
	}
}

func keys(w plan.Wanted) []string {
	var out []string
	for _, want := range w.Parts {
		out = append(out, want.Key)
	}
	slices.Sort(out)
	return out
}

// What stands in two places because neither may import the other.
func TestSameEverywhere(t *testing.T) {
	t.Parallel()
	var published []string
	for _, v := range packet.Versions() {
		published = append(published, v.String())
	}
	if got := profiles.SchemaVersions(); !slices.Equal(got, published) {
		t.Errorf("profiles knows the schema versions %v, alerts/packet has %v", got, published)
	}
	if got := schemas.Versions(); !slices.Equal(got, published) {
		t.Errorf("content/schemas registers %v, alerts/packet has %v", got, published)
	}
	_, p := local(t)
	for _, name := range profiles.ServiceUsers() {
		if !slices.ContainsFunc(userInput(t, p).Users, func(u aclUser) bool { return u.Name == name }) {
			t.Errorf("profiles reserves the name %s, which no part of the system has", name)
		}
	}
}

type aclUser struct {
	Name string
	ACLs []struct {
		Resource, ResourceName, Pattern string
		Operations                      []string
	}
}

func userInput(t *testing.T, p *profiles.Profile) (in struct{ Users []aclUser }) {
	t.Helper()
	want := entries()["kafka-users/kafka-admin-protocol"].want(p, state.Description{})
	if err := json.Unmarshal(want.Input, &in); err != nil {
		t.Fatal(err)
	}
	return in
}

// Users may do what they may at the real sites (Phalanx usdfdev, 2026-06): no more,
// because a client that works here must work there, and no less.
func TestACLs(t *testing.T) {
	t.Parallel()
	_, p := local(t)
	want := map[string][]string{
		"alert-schema-registry": {
			"group schema-registry prefix All",
			"topic __consumer_offsets literal Describe",
			"topic registry-schemas literal DescribeConfigs,Read,Write",
		},
		"alert-database-ingester": {
			"group * literal Describe,Read",
			"topic __consumer_offsets literal All",
			"topic alerts-simulated literal Describe,Read",
		},
		"alert-stream-simulator": {
			"group * literal Describe,Read",
			"topic __consumer_offsets literal All",
			"topic alerts-simulated literal All",
			"topic alerts-static literal All",
		},
	}
	for _, broker := range []string{"alerce", "ampel", "antares", "babamul", "fink", "lasair", "pittgoogle", "poi", "snaps"} {
		want[broker] = []string{"group " + broker + " prefix All", "topic alerts-simulated literal Describe,DescribeConfigs,Read"}
	}
	for _, u := range userInput(t, p).Users {
		var got []string
		for _, a := range u.ACLs {
			got = append(got, fmt.Sprintf("%s %s %s %s", a.Resource, a.ResourceName, a.Pattern, strings.Join(slices.Sorted(slices.Values(a.Operations)), ",")))
		}
		slices.Sort(got)
		if !slices.Equal(got, want[u.Name]) {
			t.Errorf("%s may\n%s\nand not\n%s", u.Name, strings.Join(got, "\n"), strings.Join(want[u.Name], "\n"))
		}
		delete(want, u.Name)
	}
	for name := range want {
		t.Errorf("there is no user %s", name)
	}
}

// Passwords are made for every user, and none of them is part of what is wanted.
func TestUsers(t *testing.T) {
	t.Parallel()
	desc, p := local(t)
	lab := open(t, desc)
	names, err := lab.Users(desc)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != 13 || names[0] != p.Kafka.Superuser {
		t.Errorf("users %v", names)
	}
	dir := state.At(t.TempDir(), "default")
	if err := dir.Create(); err != nil {
		t.Fatal(err)
	}
	creds, err := dir.EnsureCredentials(names)
	if err != nil {
		t.Fatal(err)
	}
	lab.SetCredentials(creds)
	w, err := lab.Wanted(desc)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	for user, password := range creds.Kafka {
		if strings.Contains(string(text), password) {
			t.Errorf("the password of %s is part of what is wanted", user)
		}
	}
	if got, err := lab.Secrets.Password("fink"); err != nil || got != creds.Kafka["fink"] {
		t.Errorf("the parts do not get the password of fink: %v", err)
	}
	if _, err := lab.Secrets.Password("nobody"); err == nil {
		t.Error("nobody has a password")
	}
}

// A visit that a user loaded stands for the profile's, in the plan and on the card.
func TestLoadedReservoir(t *testing.T) {
	t.Parallel()
	desc, _ := local(t)
	desc.Reservoir = &state.Reservoir{File: "/visits/one.avro", Manifest: `{"alerts":7}`}
	for _, want := range wanted(t, desc).Parts {
		if want.Key == "reservoir" && (!strings.Contains(want.Title, "/visits/one.avro") || !strings.Contains(string(want.Input), `\"alerts\":7`)) {
			t.Errorf("reservoir: %s, %s", want.Title, want.Input)
		}
	}
}

// What is conceded reaches the plan and the card: of the profile, of the scale.
func TestConcessions(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("usdfdev")
	if err != nil {
		t.Fatal(err)
	}
	desc := state.Description{Name: "default", Provider: Embedded, Stack: p.Stack, Profile: p.Name, Resolved: string(p.Source())}
	text := strings.Join(wanted(t, desc).Concessions, "\n")
	for _, want := range []string{"kafka.version: 4.0.0 -> 4.2.0, because ", "kafka.controllers.count: 6 -> 3, because ",
		"kafka.brokers.storage.size: 35TiB -> 2059MiB, because ", "kafka.topics[lsst-alerts-v10.0].config.retention.bytes: 300000000000 -> 143165576, because "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not conceded:\n%s", want, text)
		}
	}
	card, err := open(t, desc).Endpoints(desc, nil)
	if err != nil || strings.Join(card.Concessions, "\n") != text {
		t.Errorf("the card concedes %q, %v", card.Concessions, err)
	}
	// Topics get the limits of the scaled profile.
	for _, want := range wanted(t, desc).Parts {
		if want.Key == "kafka-topics" && strings.Contains(string(want.Input), "300000000000") {
			t.Errorf("topics are not scaled: %s", want.Input)
		}
	}
}

// The reservoir has one copy: where the brokers want two in sync, a write to it
// would be refused.
func TestReservoirTakesWrites(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"usdfprod": `"min.insync.replicas":"1"`, "usdfdev": `"retention.bytes":"-1"`} {
		p, err := profiles.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		desc := state.Description{Name: "default", Provider: Embedded, Stack: p.Stack, Profile: name, Resolved: string(p.Source())}
		for _, part := range wanted(t, desc).Parts {
			if part.Key != "kafka-topics" {
				continue
			}
			var in struct{ Topics []json.RawMessage }
			if err := json.Unmarshal(part.Input, &in); err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(in.Topics, func(t json.RawMessage) bool { return strings.Contains(string(t), `"alerts-static"`) })
			if i < 0 || !strings.Contains(string(in.Topics[i]), want) || strings.Contains(string(in.Topics[i]), "insync") != (name == "usdfprod") {
				t.Errorf("%s: the reservoir is not as it must be: %s", name, part.Input)
			}
		}
	}
}

// What cannot be used is bad input, with a next command.
func TestBadInput(t *testing.T) {
	t.Parallel()
	good, _ := local(t)
	for name, spoil := range map[string]func(*state.Description){
		"provider": func(d *state.Description) { d.Provider = "nowhere" },
		"stack":    func(d *state.Description) { d.Stack = "alrts" },
		"profile":  func(d *state.Description) { d.Resolved = "kafka: {}\n" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			desc := good
			spoil(&desc)
			_, err := Wanted(desc)
			var f *fault.Fault
			if !errors.As(err, &f) || f.Code != fault.BadInput || f.Why == "" || f.Next == "" {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := Open(state.At(t.TempDir(), "x"), state.Description{Provider: "kind"}, "", nil); fault.CodeOf(err) != fault.BadInput {
		t.Errorf("opening: %v", err)
	}
}

// Nothing runs before a walk, and looking at a new lab starts nothing.
func TestFreshStatus(t *testing.T) {
	t.Parallel()
	desc, _ := local(t)
	lab := open(t, desc)
	for key, a := range lab.Status() {
		if a.Running {
			t.Errorf("%s runs", key)
		}
	}
	for _, want := range wanted(t, desc).Parts {
		o, err := lab.Parts()[want.Key].Observe(t.Context(), plan.Look{Want: want})
		if err != nil || o.State != plan.Absent || o.Kept || o.Why == "" {
			t.Errorf("%s is seen as %+v, %v", want.Key, o, err)
		}
	}
}

func TestTooManyBrokersAreBadInput(t *testing.T) {
	text, err := os.ReadFile("../../profiles/local.yaml")
	if err != nil {
		t.Fatal(err)
	}
	resolved := strings.Replace(string(text), "count: 6,", "count: 90,", 1)
	_, err = Wanted(state.Description{Name: "x", Provider: Embedded, Stack: "alerts", Profile: "mine.yaml", Resolved: resolved})
	if fault.CodeOf(err) != fault.BadInput || !strings.Contains(err.Error(), "kafka.brokers.count is 90") {
		t.Errorf("90 brokers: %v", err)
	}
}
