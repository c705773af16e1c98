package stacks_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/stacks"
)

const head = "apiVersion: alertlab/v1alpha1\nkind: Stack\nname: s\ndescription: d\n"

func TestEmbedded(t *testing.T) {
	list := stacks.List()
	if len(list) == 0 {
		t.Fatal("no stacks")
	}
	for _, info := range list {
		s, err := stacks.Load(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Name != info.Name || s.Description != info.Description {
			t.Errorf("%+v is listed as %+v", s, info)
		}
	}
}

// Golden text: what runs, in which order, on which needs.
func TestAlertsOrder(t *testing.T) {
	s, err := stacks.Load("alerts")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range s.On("embedded") {
		b.WriteString(c.Name + " = " + c.Implementations["embedded"] + " <- " + strings.Join(c.Needs, " ") + "\n")
	}
	want := `addresses = loopback <- 
host-names = hosts-file <- addresses
kafka = kfake <- addresses
kafka-users = kafka-admin-protocol <- kafka
kafka-topics = kafka-admin-protocol <- kafka
object-store = versitygw <- addresses
buckets = s3-protocol <- object-store
schema-registry = built-in <- kafka-users kafka-topics
schemas = registry-protocol <- schema-registry
registry-front = built-in <- schema-registry
reservoir = built-in <- kafka-users kafka-topics
alert-database-ingester = built-in <- kafka-users kafka-topics buckets schema-registry
alert-database-server = built-in <- buckets
simulator = built-in <- reservoir schemas alert-database-ingester
`
	if b.String() != want {
		t.Errorf("got:\n%swant:\n%s", b.String(), want)
	}
}

// The light stack is the same system on every provider; each has what it needs of it.
func TestOn(t *testing.T) {
	s, err := stacks.Load("alerts-light")
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := stacks.Load("alerts")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.On("embedded"); !reflect.DeepEqual(names(got), names(alerts.On("embedded"))) {
		t.Errorf("embedded: %q, and not those of the stack alerts", names(got))
	}
	for _, c := range s.On("embedded") {
		if c.Name == "kafka" && !slices.Equal(c.Needs, []string{"addresses"}) {
			t.Errorf("embedded, kafka needs %q", c.Needs)
		}
	}
	if got := s.On("k3d"); len(got) != len(s.Components)-2 || slices.Contains(names(got), "host-names") || slices.Contains(names(got), "volumes") {
		t.Errorf("k3d has %q", names(got))
	}
	if !s.Runs("k3d") || !alerts.Runs("k3d") || !alerts.Runs("embedded") || s.Runs("nowhere") {
		t.Error("a stack does not know where it runs")
	}
	// Who needs a component that a provider has none of needs what that one needs.
	s, err = stacks.Parse("s.yaml", []byte(head+`components:
  - {name: a, why: w, embedded: e, k3d: k}
  - {name: b, why: w, k3d: k, needs: [a]}
  - {name: c, why: w, k3d: k, needs: [b, a]}
  - {name: d, why: w, embedded: e, needs: [c, b]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.On("embedded"); len(got) != 2 || !slices.Equal(got[1].Needs, []string{"a"}) {
		t.Errorf("%+v", got)
	}
}

func names(list []stacks.Component) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.Name)
	}
	return out
}

func TestOrderIsStable(t *testing.T) {
	t.Parallel()
	s, err := stacks.Parse("s.yaml", []byte(head+`components:
  - {name: last, why: w, embedded: e, needs: [b, a]}
  - {name: b, why: w, embedded: e, needs: [c]}
  - {name: free, why: w, embedded: e}
  - {name: c, why: w, embedded: e}
  - {name: a, why: w, embedded: e}
`))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range s.Order() {
		names = append(names, c.Name)
	}
	if want := []string{"free", "c", "b", "a", "last"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if s.Components[0].Name != "last" {
		t.Error("Order changed the stack")
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"cycles", head + `components:
  - {name: a, why: w, embedded: e, needs: [b]}
  - {name: b, why: w, embedded: e, needs: [c]}
  - {name: c, why: w, embedded: e, needs: [a]}
  - {name: own, why: w, embedded: e, needs: [own]}
`, `s.yaml:6:44: components[0].needs[0]: the components need each other: a -> b -> c -> a
s.yaml:9:46: components[3].needs[0]: the components need each other: own -> own`},
		{"names and needs", head + `components:
  - {name: kafka, why: w, embedded: e}
  - {name: kafka, why: w, embedded: e}
  - {name: topics, why: "  ", embedded: Big, needs: [kafak, kafka, kafka, other]}
`, `s.yaml:7:12: components[1].name: the component "kafka" is declared twice
s.yaml:8:25: components[2].why: is empty
s.yaml:8:41: components[2].embedded: "Big" is not a DNS label: up to 63 lower-case letters, digits and inner hyphens
s.yaml:8:54: components[2].needs[0]: there is no component "kafak", did you mean "kafka"?
s.yaml:8:68: components[2].needs[2]: "kafka" stands here twice
s.yaml:8:75: components[2].needs[3]: there is no component "other"`},
		{"unread name may be the one needed", head + `components:
  - {nam: kafka, why: w, embedded: e}
  - {name: topics, why: w, embedded: e, needs: [kafka]}
`, `s.yaml:6:6: components[0].nam: unknown key "nam", did you mean "name"?`},
		{"provider", head + `components:
  - {name: kafka, why: w, embeded: e}
`, `s.yaml:6:27: components[0].embeded: unknown key "embeded", did you mean "embedded"?`},
		{"nobody", head + `components:
  - {name: kafka, why: w}
`, `s.yaml:6:5: components[0]: nothing implements it: a provider's key is missing`},
		{"no components", head + "components: []\n", `s.yaml:5:13: components: the list is empty`},
		{"another kind", "apiVersion: alertlab/v1alpha1\nkind: Profile\nkafka: {}\n", `s.yaml:2:7: kind: must be "Stack" here, but is "Profile"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := stacks.Parse("s.yaml", []byte(test.text))
			var problems *stacks.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want Problems", err)
			}
			if err.Error() != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", err, test.want)
			}
		})
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"alert":     `there is no stack "alert", did you mean "alerts"?`,
		"nothing":   `there is no stack "nothing", there are: alerts-light, alerts-strimzi, alerts`,
		"../alerts": `there is no stack "../alerts", did you mean "alerts"?`,
	} {
		_, err := stacks.Load(name)
		var unknown *stacks.UnknownError
		if !errors.As(err, &unknown) || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head + "components:\n  - {name: a, why: w, embedded: e, needs: [b]}\n  - {name: b, why: w, embedded: e}\n"))
	f.Add([]byte(head + "components:\n  - {name: a, why: w, embedded: e, needs: [a, b]}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := stacks.Parse("f.yaml", data)
		if err != nil {
			var problems *stacks.Problems
			if !errors.As(err, &problems) || len(problems.List) == 0 || s != nil {
				t.Fatalf("%v, %v", s, err)
			}
			return
		}
		if got := len(s.Order()); got != len(s.Components) {
			t.Fatalf("%d of %d components in order", got, len(s.Components))
		}
		if _, err := json.Marshal(s); err != nil {
			t.Fatal(err)
		}
	})
}
