package plan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// Wanted is everything that a lab should consist of.
type Wanted struct {
	Lab      string `json:"lab"`
	Profile  string `json:"profile"`
	Provider string `json:"provider"`
	Stack    string `json:"stack"`
	Parts    []Want `json:"parts"`
	// Overlay says what of Parts a user changed on the living lab, one sentence
	// each.
	Overlay []string `json:"overlay,omitempty"`
	// Concessions are the stated differences between the profile and this
	// lab, one sentence each.
	Concessions []string `json:"concessions,omitempty"`
}

// Want is one part as it should be.
type Want struct {
	Key            string `json:"key"`            // e.g. "kafka-topics"; the same for every provider
	Implementation string `json:"implementation"` // e.g. "kfake"
	Title          string `json:"title"`          // what is made, e.g. "6 brokers at 127.0.0.11 to .16"
	Why            string `json:"why"`            // what the system needs it for
	// Needs are keys of parts that must be there before this one is made.
	Needs []string `json:"needs,omitempty"`
	// Behind is the key of the part that must run before this one can be
	// looked at; empty when it can always be looked at.
	Behind string `json:"behind,omitempty"`
	// Input is the part's own description of itself, any JSON object. Strings
	// in it may hold references ${part.output} to outputs of parts that it
	// needs, directly or through others.
	Input json.RawMessage `json:"input"`
	// InPlace names keys of Input that a running part takes over without an end,
	// and without other outputs: whoever uses it goes on.
	InPlace []string `json:"inPlace,omitempty"`
	// Outputs are the names that other parts may refer to.
	Outputs []string `json:"outputs,omitempty"`
	// Gates are the conditions under which a step of this part counts as
	// ready, in the order in which they are waited for.
	Gates []Gate `json:"gates,omitempty"`
	// Runs says that something runs until it is stopped.
	Runs bool `json:"runs,omitempty"`
	// Stores says what the part leaves behind when it is stopped, e.g. "the
	// records of every topic"; empty when nothing.
	Stores string `json:"stores,omitempty"`
	// Holds are the things that the part stores and that a change of what is
	// wanted can destroy, each by its name.
	Holds []Hold `json:"holds,omitempty"`
}

// Hold is one thing that a part stores. When it is not wanted any more, or less of
// it, something is lost: that is never done unless it was asked for.
type Hold struct {
	Name string `json:"name"` // e.g. "topic alerts-simulated"
	// Amount is how much of it there is, which can only grow; 0 when it cannot
	// be measured.
	Amount int64  `json:"amount,omitempty"`
	Unit   string `json:"unit,omitempty"` // of Amount: partitions, bytes
	// Loss says what is lost with it, e.g. "its records".
	Loss string `json:"loss"`
}

// Gate is a condition that is waited for.
type Gate struct {
	Name     string        `json:"name"`     // e.g. "brokers-answer"
	What     string        `json:"what"`     // a sentence, e.g. "every broker answers at its own address"
	Deadline time.Duration `json:"deadline"` // from the end of the step's work, or of the gate before; in nanoseconds as JSON
}

// State is what a probe can say of a part. There is no fourth value: an error
// while looking is Unknown.
type State string

// The states.
const (
	Present State = "present"
	Absent  State = "absent"
	Unknown State = "unknown"
)

// Observation is what was seen of one part.
type Observation struct {
	State State  `json:"state"`
	Why   string `json:"why"` // what was seen, e.g. "6 of 6 brokers answer"
	// Kept, of an absent part: what an earlier run stored is still there.
	Kept bool `json:"kept,omitempty"`
	// Until, of an unknown part: the key of the part that must run before
	// this one can be looked at. Empty: nothing that this plan does would
	// make it known, so the plan is blocked.
	Until string `json:"until,omitempty"`
	// Drift, of a present part: how it differs from what was last applied,
	// e.g. "topic alerts-static is missing". Empty when it does not.
	Drift string `json:"drift,omitempty"`
	// Away, of a present part: what of it does not run while the rest does, e.g.
	// "broker 2 is killed". Bringing it back changes none of the outputs.
	Away string `json:"away,omitempty"`
	// Applied is the part's input as it was last applied, with its references
	// unresolved; nil when that is not known.
	Applied json.RawMessage `json:"applied,omitempty"`
	// Resolved is the part's input as it was last applied, with its references
	// resolved; nil when that is not known. A walk that was cut short can have
	// changed what a part refers to without reaching the part itself: only
	// this tells.
	Resolved json.RawMessage `json:"resolved,omitempty"`
	// Outputs are the part's outputs as they were last seen.
	Outputs map[string]string `json:"outputs,omitempty"`
	// Holds are what the part stores since the last step; nil when that is not
	// known.
	Holds []Hold `json:"holds,omitempty"`
	// Begun are the steps of this part that began since, and of which no end is
	// known: they failed, or their process died. What they did stays done.
	Begun []Begun `json:"begun,omitempty"`
}

// Begun is a step without an end.
type Begun struct {
	Action Action    `json:"action"`
	Time   time.Time `json:"time"`
	// Destroys is what the step was allowed to destroy.
	Destroys []string `json:"destroys,omitempty"`
}

// Snapshot is what was seen of every part, by key. A part that is missing in it
// is unknown.
type Snapshot map[string]Observation

// Action is what a step does.
type Action string

// The actions. Create, Start, Update and Ensure all end with the part as its
// input says; they differ in what is expected to be there before.
const (
	Create Action = "create" // nothing is there
	Start  Action = "start"  // it does not run, what it stored is there
	Update Action = "update" // it is there and differs
	Ensure Action = "ensure" // not known yet, or in part away: look first, then add what is missing
	Note   Action = "note"   // nothing is touched: what is wanted of it is written down
	Stop   Action = "stop"   // end what runs, keep what is stored
	Remove Action = "remove" // delete what is stored
)

// Step is one thing to do. It is data: together with the outputs of the steps
// before it, it says everything that its part needs to know.
type Step struct {
	Key            string          `json:"key"` // the part's key
	Action         Action          `json:"action"`
	Implementation string          `json:"implementation"`
	Title          string          `json:"title"`
	Cause          string          `json:"cause"`
	Needs          []string        `json:"needs,omitempty"` // keys of steps of this plan that must be done first
	Input          json.RawMessage `json:"input,omitempty"`
	Outputs        []string        `json:"outputs,omitempty"`
	Gates          []Gate          `json:"gates,omitempty"`
	Holds          []Hold          `json:"holds,omitempty"` // what it stores afterwards
	// Destroys says what is lost by this step, a phrase each, and Agreed which
	// of that an earlier step, which did not end, was allowed to destroy already.
	Destroys []string `json:"destroys,omitempty"`
	Agreed   []string `json:"agreed,omitempty"`
}

// Plan is what would be done, in order: a step stands behind every step that it
// needs.
type Plan struct {
	Lab      string `json:"lab"`
	Profile  string `json:"profile"`
	Provider string `json:"provider"`
	Stack    string `json:"stack"`
	Goal     Goal   `json:"goal"`
	Steps    []Step `json:"steps"`
	// Keeps are the parts that are as they should be.
	Keeps []Keep `json:"keeps,omitempty"`
	// Blocks are the parts over which nothing can be decided. A plan that has
	// any must not be carried out.
	Blocks []Block `json:"blocks,omitempty"`
	// Known are the outputs of parts that no step makes, by part and name.
	Known       map[string]map[string]string `json:"known,omitempty"`
	Overlay     []string                     `json:"overlay,omitempty"` // as in Wanted
	Concessions []string                     `json:"concessions,omitempty"`
	// Fit says whether the lab finds room where it is to run, one sentence each; empty
	// where nobody looked.
	Fit []string `json:"fit,omitempty"`
}

// Goal is where a plan leads to.
type Goal string

// The goals.
const (
	Up    Goal = "up"    // everything is there and runs
	Down  Goal = "down"  // nothing runs, what is stored is kept
	Purge Goal = "purge" // nothing runs, nothing is stored
)

// Keep is a part that needs no step.
type Keep struct {
	Key string `json:"key"`
	Why string `json:"why"`
}

// Block is a part that cannot be decided on.
type Block struct {
	Key string `json:"key"`
	Why string `json:"why"`
	// Behind is the part through which this one is looked at, where that one is
	// blocked too: then there is nothing wrong with this one itself.
	Behind string `json:"behind,omitempty"`
}

// Causes are the blocks that have a reason of their own, and the keys of the parts
// behind them.
func (p *Plan) Causes() (causes []Block, behind []string) {
	for _, b := range p.Blocks {
		if b.Behind != "" {
			behind = append(behind, b.Key)
		} else {
			causes = append(causes, b)
		}
	}
	return causes, behind
}

// Empty says whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 && len(p.Blocks) == 0 }

// Destroys lists what the plan would destroy that nobody has allowed yet, a line for
// each. A plan that destroys anything must not be carried out unless that was asked
// for. What a purge deletes is not listed: that is what it is asked for.
func (p *Plan) Destroys() []string {
	var out []string
	for _, s := range p.Steps {
		for _, d := range s.Destroys {
			if !slices.Contains(s.Agreed, d) {
				out = append(out, s.Key+": "+d)
			}
		}
	}
	return out
}

// Digest identifies a plan: equal plans have equal digests. It is the first
// twelve hexadecimal digits of the SHA-256 of the plan as JSON.
func (p *Plan) Digest() string {
	b, err := json.Marshal(p)
	if err != nil { // a Plan holds nothing that JSON cannot say
		panic(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// Look is what a part gets to know before it is looked at.
type Look struct {
	Want Want
	// Last is the input as it was last applied, references resolved; nil when
	// nothing ever was. It says where to look: addresses, names.
	Last json.RawMessage
	// Outputs are those that the last step of this part gave.
	Outputs map[string]string
}

// Order is a step with its references resolved, and the means to report.
type Order struct {
	Action Action
	Input  json.RawMessage // references resolved
	// Last holds the outputs that this part's last step gave, and LastInput the
	// resolved input that it got; nil when there was none.
	Last      map[string]string
	LastInput json.RawMessage
	// Begun holds the resolved inputs of steps of this part that began since and
	// did not end. Some of what they say may have been done.
	Begun []json.RawMessage
	// Destroy says that what is not wanted any more is to be deleted; else it
	// is left alone.
	Destroy bool
	// Progress reports counted work, e.g. (120, 300, "alerts"). Never nil.
	Progress func(count, total int64, unit string)
}

// Part is one thing that steps act on. Everything it does must be safe to
// repeat: after a crash the same step may come again.
type Part interface {
	// Observe looks and changes nothing. An error counts as Unknown.
	Observe(ctx context.Context, look Look) (Observation, error)
	// Apply makes the part as the order's input says, whatever was there, and
	// returns its outputs.
	Apply(ctx context.Context, order Order) (map[string]string, error)
}

// Waiter is a Part with gates.
type Waiter interface {
	// Wait returns nil as soon as the gate is open. seen takes what was seen
	// last, e.g. "4 of 6 brokers answer"; an error that is not the context's
	// is a cause for which waiting on would be in vain.
	Wait(ctx context.Context, gate Gate, order Order, seen func(string)) error
}

// Stopper is a Part that runs.
type Stopper interface {
	// Stop ends what runs and keeps what is stored. Stopping what does not
	// run is no error.
	Stop(ctx context.Context) error
}

// Remover is a Part that stores.
type Remover interface {
	// Remove deletes what is stored. It is only called when the part does not
	// run. Removing what is not there is no error.
	Remove(ctx context.Context) error
}
