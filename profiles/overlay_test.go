package profiles_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/profiles"
)

// everything is an overlay with an entry of each kind, sound over local.
func everything() profiles.Overlay {
	o := profiles.Overlay{
		Topics: []profiles.Topic{{Name: "bob-in", Partitions: 3, Replicas: 1, Config: map[string]string{"retention.ms": "60000", "retention.bytes": "1048576"}}},
		Tokens: []profiles.Token{{Name: "notebook", Scopes: []string{"read:alertdb"}, Expires: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}},
		Drafts: []profiles.Draft{{Version: "12.0", Folder: "drafts/12.0", SHA256: strings.Repeat("0a", 32)}},
	}
	o.SetHost("bootstrap", "kafka.example")
	o.SetHost("registry", "registry.example")
	for id := range 6 {
		o.SetHost(fmt.Sprintf("broker.%d", id), fmt.Sprintf("kafka-%d.example", id))
	}
	o.SetReader(profiles.Reader{Name: "bob", Topics: []string{"bob-in", "alerts-simulated"}})
	o.SetReader(profiles.Reader{Name: "antares", Topics: []string{"*"}})
	o.RemoveReader("fink", true)
	o.NewPassword("lasair")
	return o
}

func TestOverlayApplies(t *testing.T) {
	t.Parallel()
	source := load(t, "local")
	before := string(source.Source())
	p, err := everything().Apply(source)
	if err != nil {
		t.Fatal(err)
	}
	reads := map[string]string{}
	for _, r := range p.Kafka.Readers {
		reads[r.Name] = strings.Join(r.Topics, " ")
	}
	if reads["bob"] != "bob-in alerts-simulated" || reads["antares"] != "*" || reads["lasair"] != "alerts-simulated" || len(reads) != 9 {
		t.Errorf("readers %v", reads)
	}
	if _, there := reads["fink"]; there {
		t.Error("a removed reader is there")
	}
	if topic, ok := p.Kafka.Topic("bob-in"); !ok || topic.Partitions != 3 || topic.Config["retention.ms"] != "60000" {
		t.Errorf("topic %+v, %v", topic, ok)
	}
	if l := p.Kafka.Listener; l.BootstrapHost != "kafka.example" || len(l.BrokerHosts) != 6 || l.BrokerHosts[5] != "kafka-5.example" || p.Registry.Host != "registry.example" {
		t.Errorf("hosts %+v, %s", l, p.Registry.Host)
	}
	// What it says of itself is what it is, and the profile below is untouched.
	again, err := profiles.Parse("again", p.Source())
	if err != nil {
		t.Fatal(err)
	}
	if diff := profiles.Diff(p, again); len(diff) > 0 {
		t.Errorf("its source says otherwise: %v", diff)
	}
	if now, err := source.YAML(); err != nil || string(source.Source()) != before || strings.Contains(string(now), "bob") {
		t.Errorf("the profile was changed, %v", err)
	}
	// Going over it twice changes nothing more.
	twice, err := everything().Apply(p)
	if err != nil || len(profiles.Diff(p, twice)) > 0 {
		t.Errorf("twice: %v, %v", err, profiles.Diff(p, twice))
	}
}

func TestOverlayIsData(t *testing.T) {
	t.Parallel()
	o := everything()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var read profiles.Overlay
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if got, want := read.Sentences(), o.Sentences(); !slices.Equal(got, want) {
		t.Errorf("read %q, written %q", got, want)
	}
	clone := o.Clone()
	clone.Readers[0].Topics[0], clone.Topics[0].Config["retention.ms"], clone.Hosts.Brokers[0], clone.Tokens[0].Scopes[0] = "x", "x", "x", "x"
	clone.NewPassword("lasair")
	if got, want := o.Sentences(), read.Sentences(); !slices.Equal(got, want) {
		t.Errorf("a change of the copy shows in %q", got)
	}
	empty := struct {
		Overlay profiles.Overlay `json:"overlay,omitzero"`
	}{}
	if text, err := json.Marshal(empty); err != nil || string(text) != "{}" {
		t.Errorf("nothing is written as %s, %v", text, err)
	}
}

func TestOverlayDrop(t *testing.T) {
	t.Parallel()
	o := everything()
	var kept []string
	for _, e := range o.Entries() {
		if !o.Drop(e.ID) {
			kept = append(kept, e.ID)
		}
	}
	if !slices.Equal(kept, []string{"password/lasair"}) || len(o.Entries()) != 1 {
		t.Errorf("kept %v of %v", kept, o.Entries())
	}
	for _, id := range []string{"", "reader", "reader/nobody", "host/broker.x", "host/broker.77", "x/y"} {
		if o := everything(); o.Drop(id) {
			t.Errorf("%q was dropped", id)
		}
	}
}

func TestOverlaySetHost(t *testing.T) {
	t.Parallel()
	for _, of := range []string{"", "brokers", "broker.", "broker.x", "broker.99999999999", "broker", "Registry"} {
		var o profiles.Overlay
		if o.SetHost(of, "x.example") || !o.IsZero() {
			t.Errorf("%q was given a name: %+v", of, o.Hosts)
		}
	}
}

func TestOverlaySetReader(t *testing.T) {
	t.Parallel()
	var o profiles.Overlay
	o.RemoveReader("antares", true)
	o.RemoveReader("antares", true)
	o.RemoveReader("bob", false)
	if got := o.Sentences(); !slices.Equal(got, []string{"user antares of the profile is removed"}) {
		t.Errorf("removed: %q", got)
	}
	o.SetReader(profiles.Reader{Name: "antares", Topics: []string{"*"}})
	o.SetReader(profiles.Reader{Name: "antares", Topics: []string{"alerts-simulated"}})
	if got := o.Sentences(); !slices.Equal(got, []string{"user antares reads alerts-simulated"}) {
		t.Errorf("set again: %q", got)
	}
}

// Everything that is wrong is said at once, each with the entries that it is due to.
func TestOverlayProblems(t *testing.T) {
	t.Parallel()
	topic := func(name string, partitions int32, replicas int16) profiles.Topic {
		return profiles.Topic{Name: name, Partitions: partitions, Replicas: replicas}
	}
	sum := strings.Repeat("0", 64)
	tests := map[string]struct {
		profile string
		overlay profiles.Overlay
		want    []string // "entry, entry: part of the message"
	}{
		"an unknown topic": {"local", profiles.Overlay{Readers: []profiles.Reader{{Name: "bob", Topics: []string{"alerts-simulate"}}}},
			[]string{`reader/bob: topics[0]: "alerts-simulate" is not among kafka.topics, did you mean "alerts-simulated"?`}},
		"a name that is none": {"local", profiles.Overlay{Readers: []profiles.Reader{{Name: "a:b\nc", Topics: []string{"*"}}}},
			[]string{"reader/a:b\nc: "}},
		"a name of the system": {"local", profiles.Overlay{Readers: []profiles.Reader{{Name: "kafka-admin", Topics: []string{"*"}}}},
			[]string{"reader/kafka-admin: "}},
		"a reader of the profile in the way": {"local", profiles.Overlay{Readers: []profiles.Reader{{Name: "antares-2", Topics: []string{"*"}}}},
			[]string{`reader/antares-2: "antares" could use the consumer groups of "antares-2"`}},
		"nothing to read": {"local", profiles.Overlay{Readers: []profiles.Reader{{Name: "bob"}}}, []string{"reader/bob: topics: the list is empty"}},
		"a topic of the profile": {"local", profiles.Overlay{Topics: []profiles.Topic{topic("alerts-simulated", 3, 1)}},
			[]string{"topic/alerts-simulated: the profile declares this topic otherwise: 12 partitions"}},
		"the reservoir": {"local", profiles.Overlay{Topics: []profiles.Topic{topic("alerts-static", 3, 1)}}, []string{"topic/alerts-static: it is the simulator's reservoir"}},
		"a topic that Kafka takes for another": {"local", profiles.Overlay{Topics: []profiles.Topic{topic("registry.schemas", 3, 1), topic("registry_schemas", 3, 1)}},
			[]string{"topic/registry_schemas: "}},
		"too many copies": {"ci", profiles.Overlay{Topics: []profiles.Topic{topic("x", 1, 3)}}, []string{"topic/x: replicas: 3 copies need 3 brokers"}},
		"no partitions":   {"ci", profiles.Overlay{Topics: []profiles.Topic{topic("x", 0, 1)}}, []string{"topic/x: partitions: must be at least 1"}},
		"no room": {"usdfdev", profiles.Overlay{Topics: []profiles.Topic{{Name: "x", Partitions: 1000, Replicas: 6, Config: map[string]string{"retention.bytes": "1000000000000"}}}},
			[]string{"topic/x: 6 brokers of 35TiB have no room"}},
		"hosts": {"local", profiles.Overlay{Hosts: profiles.Hosts{Registry: "no host", Brokers: map[int32]string{0: "a.example", 77: "b.example"}}},
			[]string{"host/broker.77: there is no broker 77: their ids are 0 to 5", "host/", "host/", "host/", "host/", "host/", `host/broker.0, host/broker.77, host/registry: "no host"`}},
		"tokens": {"local", profiles.Overlay{Tokens: []profiles.Token{{Name: "A b", Scopes: []string{"x"}}, {Name: "c"}, {Name: "c", Scopes: []string{"read:alertdb"}}}},
			[]string{"token/A b: ", `token/A b: "x" is not a scope`, "token/c: it has no scope", "token/c: there are two tokens"}},
		"drafts": {"local", profiles.Overlay{Drafts: []profiles.Draft{{Version: "11.0", Folder: "x", SHA256: sum}, {Version: "12.0", Folder: "x", SHA256: "0"},
			{Version: "12.0", Folder: "x", SHA256: sum}, {Version: "twelve", Folder: "x", SHA256: sum}}},
			[]string{"draft/11.0: this version is published", "draft/12.0: its folder", "draft/12.0: there are two drafts", "draft/twelve: "}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := test.overlay.Apply(load(t, test.profile))
			var misfit *profiles.OverlayError
			if !errors.As(err, &misfit) {
				t.Fatalf("got %v", err)
			}
			for i, p := range misfit.Problems {
				line := strings.Join(p.Entries, ", ") + ": " + p.Message
				if i < len(test.want) && !strings.HasPrefix(line, test.want[i]) {
					t.Errorf("problem %d: %q, not %q", i, line, test.want[i])
				}
			}
			if len(misfit.Problems) != len(test.want) {
				t.Errorf("%d problems, not %d: %v", len(misfit.Problems), len(test.want), err)
			}
			if !strings.Contains(err.Error(), test.profile) || !strings.Contains(err.Error(), misfit.Entries()[0]) {
				t.Errorf("the error says %q", err)
			}
		})
	}
}

// What goes with one profile need not go with another.
func TestOverlayOnAnotherProfile(t *testing.T) {
	t.Parallel()
	o := profiles.Overlay{Readers: []profiles.Reader{{Name: "bob", Topics: []string{"alerts-simulated"}}}, RemovedReaders: []string{"nobody"}}
	for name, fits := range map[string]bool{"local": true, "ci": true, "idfint": true, "usdfprod": true, "usdfdev": false} {
		_, err := o.Apply(load(t, name))
		var misfit *profiles.OverlayError
		if (err == nil) != fits || err != nil && (!errors.As(err, &misfit) || !slices.Equal(misfit.Entries(), []string{"reader/bob"})) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A user who is removed leaves no password behind in the list of changes: nobody has it.
func TestRemovedReaderHasNoPassword(t *testing.T) {
	t.Parallel()
	var o profiles.Overlay
	o.SetReader(profiles.Reader{Name: "bob", Topics: []string{"*"}})
	o.NewPassword("bob")
	o.NewPassword("lasair")
	o.RemoveReader("bob", false)
	if got := o.Entries(); len(got) != 1 || got[0].ID != "password/lasair" {
		t.Errorf("after bob was removed: %v", got)
	}
	o.RemoveReader("lasair", true)
	if got := o.Entries(); len(got) != 1 || got[0].ID != "removed-reader/lasair" {
		t.Errorf("after lasair of the profile was removed: %v", got)
	}
}
