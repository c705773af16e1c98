package event

import "time"

// Kind says what an event tells.
type Kind string

// The kinds of events, in the order in which a walk emits them. Planned comes
// first, then for each step Began, any number of Progress and Waiting, and one
// of Done, Failed or Skipped; Finished comes last, exactly once.
const (
	Planned  Kind = "planned"  // Steps holds every step of the walk
	Began    Kind = "began"    // a step's work begins
	Progress Kind = "progress" // Count of Total Unit are done
	Waiting  Kind = "waiting"  // Gate is waited for; Seen is what was seen last
	Done     Kind = "done"     // the step's work is done and all its gates are open
	Failed   Kind = "failed"   // the step failed: Problem says why
	Skipped  Kind = "skipped"  // the step was not begun, because a step it needs failed or the walk was cancelled
	Note     Kind = "note"     // Text is worth a line: a concession, a restart
	Finished Kind = "finished" // the walk is over; Problem is set when it did not end well
)

// Event is one thing that happened. Fields that do not belong to its kind are
// empty.
type Event struct {
	Time      time.Time `json:"time"`
	Lab       string    `json:"lab"`
	Kind      Kind      `json:"kind"`
	Step      string    `json:"step,omitempty"`   // key of the step, e.g. "kafka-topics"
	Action    string    `json:"action,omitempty"` // create, start, update, ensure, stop, remove
	Text      string    `json:"text,omitempty"`   // one line for a person
	Gate      string    `json:"gate,omitempty"`   // what is waited for, e.g. "six brokers answer"
	Seen      string    `json:"seen,omitempty"`   // what the gate saw last, e.g. "4 of 6 answer"
	Count     int64     `json:"count,omitempty"`
	Total     int64     `json:"total,omitempty"`
	Unit      string    `json:"unit,omitempty"`      // what Count and Total count, e.g. "alerts"
	Elapsed   Duration  `json:"elapsed,omitempty"`   // of the step, or of the walk for Finished
	Steps     []Step    `json:"steps,omitempty"`     // Planned only
	Problem   *Problem  `json:"problem,omitempty"`   // Failed and Finished
	Unchanged bool      `json:"unchanged,omitempty"` // Finished: there was nothing to do
}

// Step is what a follower needs to know of a planned step to draw it.
type Step struct {
	Key    string   `json:"key"`
	Action string   `json:"action"`
	Title  string   `json:"title"` // e.g. "start six brokers"
	Cause  string   `json:"cause"`
	Needs  []string `json:"needs,omitempty"` // keys of steps of this walk that must be done first
}

// Problem is an error with its remedy, in a form that crosses a socket.
type Problem struct {
	What string `json:"what"`
	Why  string `json:"why,omitempty"`
	Next string `json:"next,omitempty"`
	Code int    `json:"code"` // exit code of the process that followed the walk
}

// Duration is a time.Duration that JSON writes as Go writes it, e.g. "1.5s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Sink takes events. It must not block for long and may be called from many
// goroutines.
type Sink func(Event)
