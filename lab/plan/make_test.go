package plan_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/alertlab/alertlab/lab/plan"
)

// small is a lab of five parts: brokers at addresses, topics and users in them,
// a registry that uses both, and a store beside it.
func small() plan.Wanted {
	return plan.Wanted{Lab: "default", Profile: "local", Provider: "embedded", Stack: "alerts",
		Concessions: []string{"topics are stored once"},
		Parts: []plan.Want{
			{Key: "addresses", Implementation: "loopback", Title: "two addresses", Input: json.RawMessage(`{"port":9094}`),
				Outputs: []string{"bootstrap", "registry"}, Runs: true},
			{Key: "kafka", Implementation: "kfake", Title: "one broker", Needs: []string{"addresses"},
				Input:   json.RawMessage(`{"bootstrap":"${addresses.bootstrap}","settings":{"log.retention.hours":"168"}}`),
				Outputs: []string{"bootstrap"}, Runs: true, Stores: "the records of every topic",
				Gates: []plan.Gate{{Name: "answer", What: "the broker answers", Deadline: 10 * time.Second}}},
			{Key: "kafka-topics", Implementation: "kafka-admin-protocol", Title: "two topics", Needs: []string{"kafka"}, Behind: "kafka",
				Input: json.RawMessage(`{"bootstrap":"${kafka.bootstrap}","topics":[{"name":"alerts-static","partitions":1},{"name":"alerts-simulated","partitions":12}]}`)},
			{Key: "schema-registry", Implementation: "built-in", Title: "schema registry", Needs: []string{"kafka-topics"},
				Input:   json.RawMessage(`{"address":"${addresses.registry}","bootstrap":"${kafka.bootstrap}"}`),
				Outputs: []string{"url"}, Runs: true},
			{Key: "object-store", Implementation: "versitygw", Title: "S3 object store", Input: json.RawMessage(`{"region":"us-east-1"}`),
				Outputs: []string{"url"}, Runs: true, Stores: "the archived alerts"},
		}}
}

// outputs are what the parts of small give.
var outputs = map[string]map[string]string{
	"addresses":       {"bootstrap": "127.0.0.10:9094", "registry": "127.0.0.10:8081"},
	"kafka":           {"bootstrap": "127.0.0.10:9094"},
	"schema-registry": {"url": "http://127.0.0.10:8081"},
	"object-store":    {"url": "http://127.0.0.10:9000"},
}

// running is what is seen of a lab that is as w says.
func running(t *testing.T, w plan.Wanted) plan.Snapshot {
	t.Helper()
	seen := plan.Snapshot{}
	for _, want := range w.Parts {
		resolved, err := plan.Resolve(want.Input, outputs)
		if err != nil {
			t.Fatal(err)
		}
		seen[want.Key] = plan.Observation{State: plan.Present, Why: "it runs", Applied: want.Input, Resolved: resolved, Outputs: outputs[want.Key]}
	}
	return seen
}

// with gives a copy of seen in which one part is seen otherwise.
func with(seen plan.Snapshot, key string, change func(*plan.Observation)) plan.Snapshot {
	seen = maps.Clone(seen)
	o := seen[key]
	change(&o)
	seen[key] = o
	return seen
}

// rewanted gives small with the input of one part replaced.
func rewanted(key, input string) plan.Wanted {
	w := small()
	i := slices.IndexFunc(w.Parts, func(p plan.Want) bool { return p.Key == key })
	w.Parts[i].Input = json.RawMessage(input)
	return w
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.Local)

func topicHold(name string, partitions int64) plan.Hold {
	return plan.Hold{Name: "topic " + name, Amount: partitions, Unit: "partitions", Loss: "every record in it"}
}

// holding gives small with a part that is to hold something.
func holding(key string, holds ...plan.Hold) plan.Wanted {
	w := small()
	i := slices.IndexFunc(w.Parts, func(p plan.Want) bool { return p.Key == key })
	w.Parts[i].Holds = holds
	return w
}

// holdingOther is holding, and with another input.
func holdingOther(key, input string, holds ...plan.Hold) plan.Wanted {
	w := holding(key, holds...)
	i := slices.IndexFunc(w.Parts, func(p plan.Want) bool { return p.Key == key })
	w.Parts[i].Input = json.RawMessage(input)
	return w
}

func holds(list ...plan.Hold) func(*plan.Observation) {
	return func(o *plan.Observation) { o.Holds = list }
}

// adaptable gives small with brokers that take over settings while they run, and with
// another input of theirs unless it is "".
func adaptable(input string) plan.Wanted {
	w := small()
	i := slices.IndexFunc(w.Parts, func(p plan.Want) bool { return p.Key == "kafka" })
	w.Parts[i].InPlace = []string{"settings"}
	if input != "" {
		w.Parts[i].Input = json.RawMessage(input)
	}
	return w
}

func overlaid() plan.Wanted {
	w := small()
	w.Overlay = []string{"user bob reads alerts-simulated"}
	return w
}

func fresh(w plan.Wanted) plan.Snapshot {
	seen := plan.Snapshot{}
	for _, want := range w.Parts {
		seen[want.Key] = plan.Observation{State: plan.Absent, Why: "it does not run"}
	}
	return seen
}

// stopped is the lab after `down`: what runs is gone, what is stored is kept,
// and what lives in the brokers cannot be seen.
func stopped(t *testing.T) plan.Snapshot {
	seen := running(t, small())
	for _, key := range []string{"addresses", "schema-registry"} {
		seen = with(seen, key, func(o *plan.Observation) { o.State, o.Why = plan.Absent, "it does not run" })
	}
	for _, key := range []string{"kafka", "object-store"} {
		seen = with(seen, key, func(o *plan.Observation) {
			o.State, o.Kept, o.Why = plan.Absent, true, "it does not run; what it stored is there"
		})
	}
	return with(seen, "kafka-topics", func(o *plan.Observation) {
		o.State, o.Until, o.Why = plan.Unknown, "kafka", "it cannot be seen before kafka runs"
	})
}

func TestMake(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		want plan.Wanted
		seen plan.Snapshot
	}{
		"fresh":     {small(), fresh(small())},
		"stopped":   {small(), stopped(t)},
		"unchanged": {small(), running(t, small())},
		// Only the topics change: who uses the broker's address is left alone.
		"changed-topics": {rewanted("kafka-topics", `{"bootstrap":"${kafka.bootstrap}","topics":[{"name":"alerts-new","partitions":3},{"name":"alerts-static","partitions":1},{"name":"alerts-simulated","partitions":24}]}`),
			running(t, small())},
		// A part that gives outputs changes: who uses them is updated behind it.
		"changed-kafka": {rewanted("kafka", `{"bootstrap":"${addresses.bootstrap}","settings":{"log.retention.hours":"24","message.max.bytes":"4194304"}}`),
			running(t, small())},
		"drift": {small(), with(running(t, small()), "kafka-topics", func(o *plan.Observation) { o.Drift = "topic alerts-static is missing" })},
		// One of several pieces is away: it is brought back, and who uses the part is
		// left alone.
		"away": {small(), with(running(t, small()), "kafka", func(o *plan.Observation) { o.Away = "broker 2 is killed" })},
		// It is there, but nobody knows how it was made.
		"unrecorded": {small(), with(running(t, small()), "object-store", func(o *plan.Observation) {
			o.Applied, o.Resolved = nil, nil
		})},
		// A walk that changed the addresses was cut short before it reached the
		// parts that use them.
		"cut-short": {small(), with(running(t, small()), "addresses", func(o *plan.Observation) {
			o.Outputs = map[string]string{"bootstrap": "127.0.0.10:19094", "registry": "127.0.0.10:8081"}
		})},
		"unknown": {small(), with(running(t, small()), "object-store", func(o *plan.Observation) {
			*o = plan.Observation{State: plan.Unknown, Why: "permission denied"}
		})},
		// Whoever could make it known is as it should be, so nothing will.
		"unknown-in-vain": {small(), with(running(t, small()), "kafka-topics", func(o *plan.Observation) {
			*o = plan.Observation{State: plan.Unknown, Until: "kafka", Why: "it cannot be seen before kafka runs"}
		})},
		"not-looked-at": {small(), plan.Snapshot{}},
		// A topic goes and another has fewer partitions: that is shown, and whoever
		// may have them open is updated behind it.
		"loses": {holdingOther("kafka-topics", `{"bootstrap":"${kafka.bootstrap}","topics":[{"name":"alerts-simulated","partitions":6}]}`, topicHold("alerts-simulated", 6)),
			with(running(t, small()), "kafka-topics", holds(topicHold("alerts-static", 1), topicHold("alerts-simulated", 12)))},
		// The same when the brokers do not run.
		"loses-stopped": {holding("kafka-topics", topicHold("alerts-static", 1)),
			with(stopped(t), "kafka-topics", holds(topicHold("alerts-static", 1), topicHold("alerts-simulated", 12)))},
		// A step that was allowed to lose it was cut short: it goes on.
		"loses-agreed": {holding("kafka-topics", topicHold("alerts-static", 1)),
			with(running(t, small()), "kafka-topics", func(o *plan.Observation) {
				o.Holds = []plan.Hold{topicHold("alerts-static", 1), topicHold("alerts-simulated", 12)}
				o.Begun = []plan.Begun{{Action: plan.Update, Time: noon, Destroys: plan.Lost(o.Holds, o.Holds[:1])}}
			})},
		// What is stored is wanted larger, and nothing has to be done for it.
		"grows": {holding("object-store", plan.Hold{Name: "the disk", Amount: 2000, Unit: "bytes", Loss: "what does not fit"}),
			with(running(t, small()), "object-store", holds(plan.Hold{Name: "the disk", Amount: 1000, Unit: "bytes", Loss: "what does not fit"}))},
		"shrinks": {holding("object-store", plan.Hold{Name: "the disk", Amount: 500, Unit: "bytes", Loss: "what does not fit"}),
			with(running(t, small()), "object-store", holds(plan.Hold{Name: "the disk", Amount: 1000, Unit: "bytes", Loss: "what does not fit"}))},
		// What a step did that did not end is not known, though what is wanted is
		// what was applied before it.
		"begun": {small(), with(running(t, small()), "kafka-topics", func(o *plan.Observation) {
			o.Begun = []plan.Begun{{Action: plan.Create, Time: noon.Add(-time.Hour)}, {Action: plan.Update, Time: noon}}
		})},
		// What the brokers take over while they run touches nobody else; with
		// anything beside it, it does.
		"in-place":     {adaptable(`{"bootstrap":"${addresses.bootstrap}","settings":{"log.retention.hours":"24"}}`), running(t, adaptable(""))},
		"not-in-place": {adaptable(`{"bootstrap":"${addresses.bootstrap}","settings":{"log.retention.hours":"24"},"brokers":2}`), running(t, adaptable(""))},
		"in-place-elsewhere": {adaptable(`{"bootstrap":"${addresses.bootstrap}","settings":{"log.retention.hours":"24"}}`),
			with(running(t, adaptable("")), "addresses", func(o *plan.Observation) { o.Drift = "another block" })},
		"overlay": {overlaid(), running(t, small())},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := plan.Make(test.want, test.seen)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, p.String())
			checkOrder(t, p)
		})
	}
}

func TestMakeDown(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		seen plan.Snapshot
		goal plan.Goal
	}{
		"down-running":  {running(t, small()), plan.Down},
		"purge-running": {running(t, small()), plan.Purge},
		"down-stopped":  {stopped(t), plan.Down},
		"purge-stopped": {stopped(t), plan.Purge},
		"purge-fresh":   {fresh(small()), plan.Purge},
		// What cannot be seen may run, and may have stored something.
		"purge-unknown": {plan.Snapshot{}, plan.Purge},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := plan.MakeDown(small(), test.seen, test.goal)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, p.String())
			checkOrder(t, p)
		})
	}
}

func TestUnchangedIsEmpty(t *testing.T) {
	t.Parallel()
	p, err := plan.Make(small(), running(t, small()))
	if err != nil {
		t.Fatal(err)
	}
	if !p.Empty() || len(p.Keeps) != len(small().Parts) {
		t.Errorf("not empty:\n%s", p)
	}
	blocked, err := plan.Make(small(), with(running(t, small()), "kafka", func(o *plan.Observation) { *o = plan.Observation{State: plan.Unknown} }))
	if err != nil {
		t.Fatal(err)
	}
	if blocked.Empty() {
		t.Error("a blocked plan counts as empty")
	}
	// The cause stands there once, and the parts behind it are counted.
	all, err := plan.Make(small(), with(running(t, small()), "kafka", func(o *plan.Observation) { *o = plan.Observation{State: plan.Unknown, Why: "no answer"} }))
	if err != nil {
		t.Fatal(err)
	}
	for i := range small().Parts {
		w := small()
		if w.Parts[i].Key == "kafka" || !slices.Contains(w.Parts[i].Needs, "kafka") {
			continue
		}
		key := w.Parts[i].Key
		snapshot := with(running(t, w), "kafka", func(o *plan.Observation) { *o = plan.Observation{State: plan.Unknown, Why: "no answer"} })
		snapshot = with(snapshot, key, func(o *plan.Observation) {
			*o = plan.Observation{State: plan.Unknown, Until: "kafka", Why: "no answer"}
		})
		behind, err := plan.Make(w, snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if text := behind.String(); strings.Count(text, "no answer") != 1 || !strings.Contains(text, "  !  and 1 behind that, which can only be looked at through it: "+key+"\n") || len(behind.Blocks) != 2 {
			t.Errorf("%s behind kafka:\n%s", key, text)
		}
	}
	if text := all.String(); strings.Contains(text, "behind that") || !strings.Contains(text, "blocked by kafka: no answer") {
		t.Errorf("nothing is behind:\n%s", text)
	}
}

// Outputs of parts without a step are in the plan, since no step will give them.
func TestKnown(t *testing.T) {
	t.Parallel()
	p, err := plan.Make(small(), with(running(t, small()), "kafka", func(o *plan.Observation) { o.Drift = "a broker is missing" }))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"addresses", "object-store"} {
		if !maps.Equal(p.Known[key], outputs[key]) {
			t.Errorf("known of %s: %v", key, p.Known[key])
		}
	}
	for _, s := range p.Steps {
		if _, ok := p.Known[s.Key]; ok {
			t.Errorf("%s has a step, and yet its old outputs are known", s.Key)
		}
	}
}

// A step waits for steps that it needs through parts that have none.
func TestNeedsThroughKept(t *testing.T) {
	t.Parallel()
	w := plan.Wanted{Parts: []plan.Want{
		{Key: "cluster"}, {Key: "operator", Needs: []string{"cluster"}, Input: json.RawMessage(`{}`)}, {Key: "metallb", Needs: []string{"cluster"}},
		{Key: "kafka", Needs: []string{"operator", "metallb"}},
	}}
	p, err := plan.Make(w, plan.Snapshot{
		"cluster":  {State: plan.Present, Drift: "a node is missing"},
		"operator": {State: plan.Present, Applied: json.RawMessage(`{}`)},
		"metallb":  {State: plan.Absent},
		"kafka":    {State: plan.Absent},
	})
	if err != nil {
		t.Fatal(err)
	}
	// cluster is first met through operator, which is kept.
	if got, want := p.Steps[len(p.Steps)-1].Needs, []string{"cluster", "metallb"}; !slices.Equal(got, want) {
		t.Errorf("kafka needs %v, want %v\n%s", got, want, p)
	}
}

// Everything that is wrong is said at once.
func TestProblems(t *testing.T) {
	t.Parallel()
	part := func(key, input string, needs ...string) plan.Want {
		return plan.Want{Key: key, Input: json.RawMessage(input), Needs: needs}
	}
	source := part("kafka", `{}`)
	source.Outputs = []string{"bootstrap", "broker.6"}
	lost := part("lost", `{}`)
	lost.Behind = "kafka"
	w := plan.Wanted{Parts: []plan.Want{
		source, part("kafka", `{}`),
		part("topics", `{}`, "kafak"),
		part("users", `{"at":"${kafka.bootstrap}"}`),
		part("registry", `{"at":"${kafka.bootstrp}","front":"${ingress.url}"}`, "kafka"),
		part("broken", `{"at":`),
		part("hen", `{}`, "egg"), part("egg", `{}`, "shell"), part("shell", `{}`, "hen"), part("own", `{}`, "own"),
		part("outside", `{}`, "hen"), // leads into the circle, and is not on it
		lost,
	}}
	want := []string{
		"part kafka is wanted twice",
		"part topics needs kafak, which is not wanted",
		"part users refers to ${kafka.bootstrap}, but does not need kafka",
		"part registry refers to ${kafka.bootstrp}, and kafka has no such output (it has bootstrap, broker.6)",
		"part registry refers to ${ingress.url}, and ingress is not wanted",
		"part broken: its input is not JSON",
		"part lost is looked at through kafka, but does not need it",
		"parts need each other in a circle: hen -> egg -> shell -> hen",
		"parts need each other in a circle: own -> own",
	}
	// The second kafka stands for the first: give it the outputs too.
	w.Parts[1].Outputs = source.Outputs
	for name, makePlan := range map[string]func() (*plan.Plan, error){
		"up":   func() (*plan.Plan, error) { return plan.Make(w, nil) },
		"down": func() (*plan.Plan, error) { return plan.MakeDown(w, nil, plan.Down) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := makePlan()
			if err == nil || p != nil {
				t.Fatalf("got %v, %v", p, err)
			}
			if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", err, strings.Join(want, "\n"))
			}
		})
	}
}

// checkOrder checks that every step stands behind all that it needs, and that a
// part is looked at only through one that is there by then.
func checkOrder(t testing.TB, p *plan.Plan) {
	t.Helper()
	at := map[string]int{}
	for i, s := range p.Steps {
		for _, need := range s.Needs {
			if j, ok := at[need]; !ok || j >= i {
				t.Errorf("step %s needs %s, which does not stand before it:\n%s", s.Key, need, p)
			}
		}
		if _, dup := at[s.Key]; dup {
			t.Errorf("two steps are called %s", s.Key)
		}
		at[s.Key] = i
	}
}

// lab is a random wanted lab with a random snapshot. Parts are listed in random
// order; needs lead from later to earlier letters, so that there is no circle.
type lab struct {
	want plan.Wanted
	seen plan.Snapshot
}

func randomLab(seed uint64) lab {
	r := rand.New(rand.NewPCG(seed, 1))
	n := 1 + r.IntN(12)
	l := lab{want: plan.Wanted{Lab: "random"}, seen: plan.Snapshot{}}
	for i := range n {
		w := plan.Want{Key: fmt.Sprintf("p%02d", i), Outputs: []string{"out"}, Runs: r.IntN(2) == 0}
		if r.IntN(3) == 0 {
			w.Stores = "its data"
		}
		input := map[string]string{"own": fmt.Sprint(r.IntN(2))}
		for j := range i {
			if r.IntN(3) == 0 {
				w.Needs = append(w.Needs, fmt.Sprintf("p%02d", j))
			}
		}
		if len(w.Needs) > 0 {
			w.Behind = w.Needs[r.IntN(len(w.Needs))]
			input["uses"] = "${" + w.Needs[0] + ".out}"
		}
		w.Input = plan.Input(input)
		l.want.Parts = append(l.want.Parts, w)
		o := plan.Observation{State: []plan.State{plan.Present, plan.Absent, plan.Unknown}[r.IntN(3)], Kept: r.IntN(2) == 0}
		if r.IntN(4) > 0 {
			o.Applied = plan.Input(map[string]string{"own": fmt.Sprint(r.IntN(2)), "uses": input["uses"]})
			o.Outputs = map[string]string{"out": "v"}
		}
		if r.IntN(4) == 0 {
			o.Drift = "it drifted"
		}
		if o.State == plan.Unknown && r.IntN(2) == 0 {
			o.Until = w.Behind
		}
		if r.IntN(8) > 0 {
			l.seen[w.Key] = o
		}
	}
	r.Shuffle(n, func(i, j int) {
		l.want.Parts[i], l.want.Parts[j] = l.want.Parts[j], l.want.Parts[i]
	})
	return l
}

// What holds of every plan, whatever is wanted and seen.
func TestProperties(t *testing.T) {
	t.Parallel()
	property := func(seed uint64) bool {
		l := randomLab(seed)
		up, err := plan.Make(l.want, l.seen)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
			return false
		}
		checkOrder(t, up)
		again, err := plan.Make(l.want, maps.Clone(l.seen))
		if err != nil || again.Digest() != up.Digest() || again.String() != up.String() {
			t.Errorf("seed %d: the same arguments gave another plan:\n%s\n%s", seed, up, again)
		}
		// Every part is in exactly one list.
		if got := len(up.Steps) + len(up.Keeps) + len(up.Blocks); got != len(l.want.Parts) {
			t.Errorf("seed %d: %d parts wanted, %d planned:\n%s", seed, len(l.want.Parts), got, up)
		}
		stands := map[string]int{}
		for i, s := range up.Steps {
			stands[s.Key] = i
			o := l.seen[s.Key]
			switch s.Action {
			case plan.Create, plan.Start:
				if o.State != plan.Absent {
					t.Errorf("seed %d: %s over what is %s", seed, s.Action, o.State)
				}
			case plan.Update:
				if o.State != plan.Present {
					t.Errorf("seed %d: update of what is %s", seed, o.State)
				}
			case plan.Ensure:
				if _, ok := stands[o.Until]; o.State != plan.Unknown || !ok {
					t.Errorf("seed %d: %s is ensured before %q runs", seed, s.Key, o.Until)
				}
			default:
				t.Errorf("seed %d: %s in a plan to bring up", seed, s.Action)
			}
			if s.Cause == "" && o.Why != "" {
				t.Errorf("seed %d: %s has no cause", seed, s.Key)
			}
		}
		// Not only what a step names: all that its part needs, however far,
		// and that has a step, is done before it begins.
		for _, s := range up.Steps {
			before := closure(up, s.Key)
			for _, need := range needed(l.want, s.Key) {
				if _, ok := stands[need]; ok && !before[need] {
					t.Errorf("seed %d: %s may begin before %s is done:\n%s", seed, s.Key, need, up)
				}
			}
		}
		for _, goal := range []plan.Goal{plan.Down, plan.Purge} {
			down, err := plan.MakeDown(l.want, l.seen, goal)
			if err != nil {
				t.Errorf("seed %d: %v", seed, err)
				return false
			}
			checkOrder(t, down)
			for _, s := range down.Steps {
				if s.Action != plan.Stop {
					continue
				}
				for _, need := range needed(l.want, s.Key) {
					if closure(down, s.Key)[need] {
						t.Errorf("seed %d: %s is stopped after %s, which it needs:\n%s", seed, s.Key, need, down)
					}
				}
			}
		}
		return !t.Failed()
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 500}); err != nil {
		t.Error(err)
	}
}

// closure gives the steps that are done before the step key begins.
func closure(p *plan.Plan, key string) map[string]bool {
	needs := map[string][]string{}
	for _, s := range p.Steps {
		needs[s.Key] = s.Needs
	}
	out := map[string]bool{}
	var visit func(string)
	visit = func(k string) {
		for _, need := range needs[k] {
			if !out[need] {
				out[need] = true
				visit(need)
			}
		}
	}
	visit(key)
	return out
}

// needed lists the parts that a part needs, directly or through others.
func needed(w plan.Wanted, key string) []string {
	needs := map[string][]string{}
	for _, p := range w.Parts {
		needs[p.Key] = p.Needs
	}
	seen := map[string]bool{}
	var visit func(string)
	visit = func(k string) {
		for _, need := range needs[k] {
			if !seen[need] {
				seen[need] = true
				visit(need)
			}
		}
	}
	visit(key)
	return slices.Sorted(maps.Keys(seen))
}

func TestDigest(t *testing.T) {
	t.Parallel()
	digest := func(w plan.Wanted) string {
		p, err := plan.Make(w, fresh(w))
		if err != nil {
			t.Fatal(err)
		}
		return p.Digest()
	}
	if a, b := digest(small()), digest(small()); a != b || len(a) != 12 {
		t.Errorf("digests %q and %q of one plan", a, b)
	}
	if digest(small()) == digest(rewanted("kafka", `{"bootstrap":"${addresses.bootstrap}"}`)) {
		t.Error("another input, the same digest")
	}
}

// What a plan destroys is in it as data, and equal plans have equal digests.
func TestDestroys(t *testing.T) {
	t.Parallel()
	had := []plan.Hold{topicHold("alerts-static", 1), topicHold("alerts-simulated", 12)}
	seen := with(running(t, small()), "kafka-topics", holds(had...))
	make := func(w plan.Wanted, seen plan.Snapshot) *plan.Plan {
		t.Helper()
		p, err := plan.Make(w, seen)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := make(holding("kafka-topics", had...), seen); !p.Empty() || len(p.Destroys()) > 0 {
		t.Errorf("what is held is wanted, and the plan is\n%s", p)
	}
	p := make(holding("kafka-topics", had[0]), seen)
	want := []string{"kafka-topics: topic alerts-simulated is not wanted any more, and every record in it would be lost"}
	if got := p.Destroys(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	// A lab of a version that wrote nothing of it down loses nothing unseen: it is
	// written down with the next step.
	if p := make(holding("kafka-topics", had[0]), running(t, small())); !p.Empty() {
		t.Errorf("nothing is known of what is held, and the plan is\n%s", p)
	}
	// Nothing is lost that is not there.
	gone := with(seen, "kafka-topics", func(o *plan.Observation) { o.State = plan.Absent })
	if p := make(holding("kafka-topics", had[0]), gone); len(p.Destroys()) > 0 {
		t.Errorf("got %q", p.Destroys())
	}
	// A purge is asked for.
	down, err := plan.MakeDown(holding("kafka-topics", had[0]), seen, plan.Purge)
	if err != nil || len(down.Destroys()) > 0 {
		t.Errorf("%v, %v", down.Destroys(), err)
	}
}
