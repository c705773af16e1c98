package minioadmin

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Policy says what its users may do; nothing is allowed that it does not allow.
type Policy struct {
	Version   string      `json:"Version"` // of the language: PolicyVersion
	Statement []Statement `json:"Statement"`
}

// PolicyVersion is the one version of the language that MinIO takes.
const PolicyVersion = "2012-10-17"

// Statement allows or denies actions on resources.
type Statement struct {
	Effect   string `json:"Effect"` // Allow or Deny
	Action   List   `json:"Action"`
	Resource List   `json:"Resource"`
	// Condition is what else has to be met.
	Condition json.RawMessage `json:"Condition,omitempty"`
}

// List is several values, or one that stands alone.
type List []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *List) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = List{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

// Allow makes a statement.
func Allow(actions, resources []string) Statement {
	return Statement{Effect: "Allow", Action: actions, Resource: resources}
}

// Bucket and Objects name a bucket itself, and all that is in it.
func Bucket(name string) string  { return "arn:aws:s3:::" + name }
func Objects(name string) string { return "arn:aws:s3:::" + name + "/*" }

// Equal says whether two policies say the same, in whichever order.
func (p Policy) Equal(other Policy) bool {
	a, errA := json.Marshal(p.sorted())
	b, errB := json.Marshal(other.sorted())
	return errA == nil && errB == nil && string(a) == string(b)
}

func (p Policy) sorted() Policy {
	out := Policy{Version: p.Version}
	for _, s := range p.Statement {
		s.Action, s.Resource = slices.Clone(s.Action), slices.Clone(s.Resource)
		slices.Sort(s.Action)
		slices.Sort(s.Resource)
		out.Statement = append(out.Statement, s)
	}
	slices.SortFunc(out.Statement, func(a, b Statement) int {
		return cmp.Or(cmp.Compare(a.Effect, b.Effect), slices.Compare(a.Action, b.Action), slices.Compare(a.Resource, b.Resource))
	})
	return out
}
