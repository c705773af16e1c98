package admin

import (
	"slices"
	"strings"
)

// Changes says in words what was done, one thing a line, sorted: "topic alerts:
// created with 45 partitions", "user alerce: ACL added: Read on topic alerts".
// Nothing done means all empty.
type Changes struct {
	Created, Altered, Removed []string
}

// None reports whether everything was already as wanted.
func (c Changes) None() bool { return len(c.Created)+len(c.Altered)+len(c.Removed) == 0 }

// String lists everything, one a line.
func (c Changes) String() string {
	return strings.Join(slices.Concat(c.Created, c.Altered, c.Removed), "\n")
}

func (c *Changes) sort() {
	slices.Sort(c.Created)
	slices.Sort(c.Altered)
	slices.Sort(c.Removed)
}
