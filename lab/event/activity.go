package event

import "encoding/json"

// Activity is what one part says of itself between walks: whether it runs, and
// facts in the part's own order.
type Activity struct {
	Running bool   `json:"running"`
	Facts   []Fact `json:"facts,omitempty"`
	// Detail is what a program reads, in a shape of the part's own; the facts are
	// for people.
	Detail json.RawMessage `json:"detail,omitempty"`
}

// Fact is one thing that a part says of itself, e.g. {"last visit", "300 alerts
// in 0.21 s"}.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}
