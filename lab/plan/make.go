package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Make plans the way from what was seen to what is wanted. Its error lists
// everything in w that does not fit together (an unknown need, a cycle, a
// reference to nothing); it comes from a stack or a component, never from the
// snapshot.
func Make(w Wanted, seen Snapshot) (*Plan, error) {
	parts, err := order(w)
	if err != nil {
		return nil, err
	}
	p := &Plan{Lab: w.Lab, Profile: w.Profile, Provider: w.Provider, Stack: w.Stack, Goal: Up,
		Overlay: w.Overlay, Concessions: w.Concessions, Known: map[string]map[string]string{}}
	changed := map[string]Action{} // parts that have a step in this plan
	byKey := map[string]Want{}
	for _, want := range parts {
		byKey[want.Key] = want
	}
	var losing []string            // parts whose steps delete something
	needs := map[string][]string{} // of every part before this one: see Want.Needs
	for _, want := range parts {
		needs[want.Key] = want.Needs
		o, ok := seen[want.Key]
		if !ok {
			o = Observation{State: Unknown, Why: "it was not looked at"}
		}
		action, cause := decide(want, o, changed, p.Known)
		if i := slices.IndexFunc(losing, func(key string) bool { return reaches(byKey, want.Key, key) }); action == "" && i >= 0 {
			// It may have open what is deleted, or know it by an identity that
			// the next of the same name does not have.
			action, cause = Update, losing[i]+" loses something that it may use"
		}
		var lost []string
		if o.State != Absent || o.Kept {
			lost = Lost(o.Holds, want.Holds)
		}
		if action == "" && o.Holds != nil && !slices.Equal(o.Holds, want.Holds) {
			action, cause = Note, "nothing has to be touched, but what it stores is wanted otherwise"
			if len(o.Outputs) > 0 {
				p.Known[want.Key] = o.Outputs
			}
		}
		switch action {
		case "":
			p.Keeps = append(p.Keeps, Keep{Key: want.Key, Why: cause})
			if len(o.Outputs) > 0 {
				p.Known[want.Key] = o.Outputs
			}
			continue
		case blocked:
			b := Block{Key: want.Key, Why: cause}
			if slices.ContainsFunc(p.Blocks, func(b Block) bool { return b.Key == o.Until }) {
				b.Behind = o.Until
			}
			p.Blocks = append(p.Blocks, b)
			continue
		}
		if action == Update && inPlace(want, o, changed, p.Known) {
			if len(o.Outputs) > 0 {
				p.Known[want.Key] = o.Outputs
			}
		} else if action != Note { // others need not care
			changed[want.Key] = action
			if len(lost) > 0 {
				losing = append(losing, want.Key)
			}
		}
		if o.Away != "" && action == Ensure && len(o.Outputs) > 0 {
			p.Known[want.Key] = o.Outputs
		}
		step := Step{Key: want.Key, Action: action, Implementation: want.Implementation, Title: want.Title,
			Cause: cause, Input: want.Input, Outputs: want.Outputs, Gates: want.Gates, Holds: want.Holds, Destroys: lost}
		if action == Note {
			step.Gates = nil
		}
		for _, d := range lost {
			if slices.ContainsFunc(o.Begun, func(b Begun) bool { return slices.Contains(b.Destroys, d) }) {
				step.Agreed = append(step.Agreed, d)
			}
		}
		// What a need that has no step needs in turn must be done first too.
		step.Needs = nearest(want.Key, needs, changed)
		p.Steps = append(p.Steps, step)
	}
	stopUsers(p, parts, byKey, seen, losing)
	return p, nil
}

// stopUsers puts in front of each step that deletes something the ends of the parts
// that run and may use it: else one would write into what is being deleted, or make
// it anew. Their own steps start them again.
func stopUsers(p *Plan, parts []Want, byKey map[string]Want, seen Snapshot, losing []string) {
	var stops []Step
	stopped := map[string]Action{}
	dependents := map[string][]string{}
	for _, want := range parts {
		for _, need := range want.Needs {
			dependents[need] = append(dependents[need], want.Key)
		}
	}
	for _, want := range slices.Backward(parts) {
		i := slices.IndexFunc(losing, func(key string) bool { return reaches(byKey, want.Key, key) })
		if i < 0 || !want.Runs || seen[want.Key].State != Present {
			continue
		}
		step := Step{Key: want.Key + stopSuffix, Action: Stop, Implementation: want.Implementation, Title: want.Title,
			Cause: losing[i] + " loses something that it may use"}
		for _, user := range nearest(want.Key, dependents, stopped) {
			step.Needs = append(step.Needs, user+stopSuffix)
		}
		stopped[want.Key] = Stop
		stops = append(stops, step)
	}
	for i := range p.Steps {
		if slices.Contains(losing, p.Steps[i].Key) {
			for _, s := range stops {
				if reaches(byKey, PartOf(s), p.Steps[i].Key) {
					p.Steps[i].Needs = append(p.Steps[i].Needs, s.Key)
				}
			}
		}
		if _, ok := stopped[p.Steps[i].Key]; ok { // its start comes behind its end
			p.Steps[i].Needs = append(p.Steps[i].Needs, p.Steps[i].Key+stopSuffix)
		}
	}
	p.Steps = append(stops, p.Steps...)
}

// blocked is decide's answer for a part that nothing can be decided on. It never
// stands in a plan.
const blocked Action = "blocked"

// decide says what to do about one part and why; "" is nothing. changed holds
// the parts in front of it that have a step already, known the outputs of those
// that have none.
func decide(want Want, o Observation, changed map[string]Action, known map[string]map[string]string) (Action, string) {
	switch o.State {
	case Absent:
		if o.Kept {
			return Start, o.Why
		}
		return Create, o.Why
	case Present:
		if o.Drift != "" {
			return Update, o.Drift
		}
		if len(o.Begun) > 0 {
			b := o.Begun[len(o.Begun)-1]
			return Update, fmt.Sprintf("a step of it began at %s (%s) and did not end: what it did is not known", b.Time.Local().Format("2006-01-02 15:04:05"), b.Action)
		}
		if o.Applied == nil {
			return Update, "it is there, but not known to be as wanted: " + o.Why
		}
		if diff := Diff(o.Applied, want.Input); len(diff) > 0 {
			return Update, strings.Join(diff, "; ")
		}
		for _, ref := range References(want.Input) {
			if a, ok := changed[ref.Part]; ok && a != Ensure {
				return Update, fmt.Sprintf("it uses %s, which may change", ref)
			}
		}
		// References to parts that are ensured have no value yet: whether it
		// changed is for the next plan to see.
		if now, err := Resolve(want.Input, known); err == nil && o.Resolved != nil {
			if diff := Diff(o.Resolved, now); len(diff) > 0 {
				return Update, "what it uses has changed: " + strings.Join(diff, "; ")
			}
		}
		if o.Away != "" {
			return Ensure, o.Away
		}
		return "", o.Why
	}
	if o.Until == "" {
		return blocked, o.Why
	}
	if _, ok := changed[o.Until]; !ok {
		return blocked, fmt.Sprintf("it can only be looked at through %s, and no step starts that: %s", o.Until, o.Why)
	}
	return Ensure, o.Why
}

// inPlace says whether a part that is to be updated goes on all the while: it is as it
// was applied, and what is wanted differs only in what it takes over while it runs.
func inPlace(want Want, o Observation, changed map[string]Action, known map[string]map[string]string) bool {
	if len(want.InPlace) == 0 || o.State != Present || o.Drift != "" || len(o.Begun) > 0 || o.Applied == nil {
		return false
	}
	for _, ref := range References(want.Input) {
		if _, ok := changed[ref.Part]; ok {
			return false
		}
	}
	resolved, err := Resolve(want.Input, known)
	if err != nil || o.Resolved != nil && !differOnlyIn(o.Resolved, resolved, want.InPlace) {
		return false
	}
	return len(Diff(o.Applied, want.Input)) > 0 && differOnlyIn(o.Applied, want.Input, want.InPlace)
}

// differOnlyIn says whether two inputs differ in nothing but some of their keys.
func differOnlyIn(from, to json.RawMessage, keys []string) bool {
	var was, now map[string]json.RawMessage
	if json.Unmarshal(from, &was) != nil || json.Unmarshal(to, &now) != nil {
		return false
	}
	for _, key := range keys {
		delete(was, key)
		delete(now, key)
	}
	a, errA := json.Marshal(was)
	b, errB := json.Marshal(now)
	return errA == nil && errB == nil && len(Diff(a, b)) == 0
}

// Lost says what is lost on the way from what a part stores to what it should
// store, a phrase each.
func Lost(had, wanted []Hold) []string {
	var out []string
	for _, h := range had {
		i := slices.IndexFunc(wanted, func(w Hold) bool { return w.Name == h.Name })
		switch {
		case i < 0:
			out = append(out, h.Name+" is not wanted any more, and "+h.Loss+" would be lost")
		case wanted[i].Amount < h.Amount:
			out = append(out, fmt.Sprintf("%s would shrink from %s to %s, and %s would be lost", h.Name, strings.TrimSuffix(amount(h.Amount, h.Unit), " "+h.Unit), amount(wanted[i].Amount, h.Unit), h.Loss))
		}
	}
	return out
}

// amount writes how much there is of a hold, bytes in the largest unit that says it
// exactly.
func amount(n int64, unit string) string {
	if unit != "bytes" || n == 0 {
		return fmt.Sprintf("%d %s", n, unit)
	}
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for n%1024 == 0 && i < len(units)-1 {
		n, i = n/1024, i+1
	}
	return fmt.Sprintf("%d %s", n, units[i])
}

// MakeDown plans the way to nothing running (Down) or nothing left (Purge).
// Parts are stopped in the opposite order of their making; whatever is stored is
// removed only after everything has stopped. An unknown part is stopped all the
// same when it is one that runs, since stopping what does not run is no error.
func MakeDown(w Wanted, seen Snapshot, goal Goal) (*Plan, error) {
	parts, err := order(w)
	if err != nil {
		return nil, err
	}
	slices.Reverse(parts)
	p := &Plan{Lab: w.Lab, Profile: w.Profile, Provider: w.Provider, Stack: w.Stack, Goal: goal}
	dependents, stops := map[string][]string{}, map[string]Action{}
	for _, want := range parts {
		for _, need := range want.Needs {
			dependents[need] = append(dependents[need], want.Key)
		}
	}
	for _, want := range parts {
		o := seen[want.Key]
		if !want.Runs || o.State == Absent {
			continue
		}
		step := Step{Key: want.Key, Action: Stop, Implementation: want.Implementation, Title: want.Title, Cause: "the lab is taken down"}
		// Whoever uses this part stops first, also through parts that do not
		// run themselves: the simulator uses topics, which live in the brokers.
		step.Needs = nearest(want.Key, dependents, stops)
		stops[want.Key] = Stop
		p.Steps = append(p.Steps, step)
	}
	for _, want := range parts {
		switch o := seen[want.Key]; {
		case want.Stores == "":
		case o.State == Absent && !o.Kept:
			p.Keeps = append(p.Keeps, Keep{Key: want.Key, Why: "nothing of it is stored"})
		case goal != Purge:
			p.Keeps = append(p.Keeps, Keep{Key: want.Key, Why: "stored and kept: " + want.Stores})
		default:
			step := Step{Key: want.Key + dataSuffix, Action: Remove, Implementation: want.Implementation, Title: want.Stores, Cause: "--purge was asked for"}
			for _, s := range p.Steps {
				if s.Action == Stop {
					step.Needs = append(step.Needs, s.Key)
				}
			}
			p.Steps = append(p.Steps, step)
		}
	}
	return p, nil
}

// The keys of steps that remove what a part stored, or that end a part which another
// step of the same plan starts again.
const (
	dataSuffix = "/data"
	stopSuffix = "/stop"
)

// PartOf gives the key of the part that a step acts on: removals have keys of
// their own, because a part can be stopped and removed in one plan, and so have ends
// of parts that are started again.
func PartOf(step Step) string {
	return strings.TrimSuffix(strings.TrimSuffix(step.Key, dataSuffix), stopSuffix)
}

// nearest lists the parts with a step that key reaches along links, directly or
// through parts that have none, in the order in which they are met.
func nearest(key string, links map[string][]string, steps map[string]Action) []string {
	var out []string
	visited := map[string]bool{}
	var visit func(string)
	visit = func(k string) {
		for _, next := range links[k] {
			if visited[next] {
				continue
			}
			visited[next] = true
			if _, ok := steps[next]; ok {
				out = append(out, next)
				continue
			}
			visit(next)
		}
	}
	visit(key)
	return out
}

// order checks w and returns its parts with every part behind what it needs;
// parts that do not need each other keep the order in which they are given.
func order(w Wanted) ([]Want, error) {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	byKey := map[string]Want{}
	for _, want := range w.Parts {
		if _, dup := byKey[want.Key]; dup {
			bad("part %s is wanted twice", want.Key)
		}
		byKey[want.Key] = want
	}
	for _, want := range w.Parts {
		for _, need := range want.Needs {
			if _, ok := byKey[need]; !ok {
				bad("part %s needs %s, which is not wanted", want.Key, need)
			}
		}
		if want.Behind != "" && !reaches(byKey, want.Key, want.Behind) {
			bad("part %s is looked at through %s, but does not need it", want.Key, want.Behind)
		}
		if len(want.Input) > 0 && !json.Valid(want.Input) {
			bad("part %s: its input is not JSON", want.Key)
			continue
		}
		for _, ref := range References(want.Input) {
			switch source, ok := byKey[ref.Part]; {
			case !ok:
				bad("part %s refers to %s, and %s is not wanted", want.Key, ref, ref.Part)
			case !reaches(byKey, want.Key, ref.Part):
				bad("part %s refers to %s, but does not need %s", want.Key, ref, ref.Part)
			case !slices.Contains(source.Outputs, ref.Output):
				bad("part %s refers to %s, and %s has no such output (it has %s)", want.Key, ref, ref.Part, strings.Join(source.Outputs, ", "))
			}
		}
	}
	var out []Want
	state := map[string]int{} // 1 on the way, 2 done
	var visit func(key string, path []string)
	visit = func(key string, path []string) {
		want, ok := byKey[key]
		switch {
		case !ok || state[key] == 2: // one that is not wanted was reported above
			return
		case state[key] == 1:
			circle := path[slices.Index(path, key):]
			bad("parts need each other in a circle: %s", strings.Join(append(slices.Clone(circle), key), " -> "))
			return
		}
		state[key] = 1
		for _, need := range want.Needs {
			visit(need, append(path, key))
		}
		state[key] = 2
		out = append(out, want)
	}
	for _, want := range w.Parts {
		visit(want.Key, nil)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return out, nil
}

// reaches says whether from needs to, directly or through others.
func reaches(byKey map[string]Want, from, to string) bool {
	visited := map[string]bool{}
	var visit func(string) bool
	visit = func(k string) bool {
		for _, need := range byKey[k].Needs {
			if need == to {
				return true
			}
			if !visited[need] {
				visited[need] = true
				if visit(need) {
					return true
				}
			}
		}
		return false
	}
	return visit(from)
}
