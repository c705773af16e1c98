package plan

import (
	"fmt"
	"strings"
	"time"
)

// String prints the plan as a person reads it: a line for each step with its
// cause, what it waits for, and what it gives to others; then what is kept, what
// blocks the plan, what was changed on the lab, and what it concedes.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan to %s lab %s: profile %s, stack %s, provider %s\n", goalWords(p.Goal), p.Lab, p.Profile, p.Stack, p.Provider)
	if p.Empty() {
		b.WriteString("nothing to do\n")
	}
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "%3d. %-6s %s (%s): %s\n", i+1, s.Action, s.Key, s.Implementation, s.Title)
		fmt.Fprintf(&b, "       why    %s\n", s.Cause)
		for _, d := range s.Destroys {
			fmt.Fprintf(&b, "       LOSES  %s\n", d)
		}
		if len(s.Needs) > 0 {
			fmt.Fprintf(&b, "       after  %s\n", strings.Join(s.Needs, ", "))
		}
		var uses []string
		for _, r := range References(s.Input) {
			uses = append(uses, r.Part+"."+r.Output)
		}
		if len(uses) > 0 {
			fmt.Fprintf(&b, "       uses   %s\n", strings.Join(uses, ", "))
		}
		for _, g := range s.Gates {
			fmt.Fprintf(&b, "       until  %s (at most %s)\n", g.What, g.Deadline.Round(time.Millisecond))
		}
		if len(s.Outputs) > 0 {
			fmt.Fprintf(&b, "       gives  %s\n", strings.Join(s.Outputs, ", "))
		}
	}
	for _, k := range p.Keeps {
		fmt.Fprintf(&b, "  =  keep   %s: %s\n", k.Key, k.Why)
	}
	causes, behind := p.Causes()
	for _, x := range causes {
		fmt.Fprintf(&b, "  !  blocked by %s: %s\n", x.Key, x.Why)
	}
	if len(behind) > 0 {
		fmt.Fprintf(&b, "  !  and %d behind that, which can only be looked at through it: %s\n", len(behind), strings.Join(behind, ", "))
	}
	for _, d := range p.Destroys() {
		fmt.Fprintf(&b, "  !  refused unless --allow-destroy: %s\n", d)
	}
	for _, o := range p.Overlay {
		fmt.Fprintf(&b, "  +  changed on the lab: %s\n", o)
	}
	for _, c := range p.Concessions {
		fmt.Fprintf(&b, "  ~  conceded: %s\n", c)
	}
	for _, f := range p.Fit {
		fmt.Fprintf(&b, "  #  fit: %s\n", f)
	}
	return b.String()
}

func goalWords(g Goal) string {
	switch g {
	case Down:
		return "take down"
	case Purge:
		return "take down and delete"
	}
	return "bring up"
}
