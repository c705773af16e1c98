package existing

import (
	"fmt"
	"slices"

	"github.com/alertlab/alertlab/lab/doctor"
)

// Findings is a survey for the doctor.
func Findings(s *Survey) []doctor.Finding {
	out := []doctor.Finding{doctor.Good("cluster", "context %s answers, Kubernetes %s", s.Context, s.Version)}
	for _, n := range s.Nodes {
		f := doctor.Good("node", "%s at %s, %s processors, %.1f GiB%s", n.Name, n.Address, n.CPU, float64(n.Memory)/(1<<30), n.others())
		if !n.Ready {
			f.Grade, f.Next = doctor.Warn, "kubectl --context "+s.Context+" describe node "+n.Name
			f.Seen += ", not Ready"
		}
		out = append(out, f)
	}
	for _, c := range s.Classes {
		word := ""
		if c.Default {
			word = ", the default"
		}
		out = append(out, doctor.Good("storage class", "%s of %s, %s, %s%s", c.Name, c.Provisioner, c.Reclaim, c.Binding, word))
	}
	if len(s.Missing) == 0 {
		out = append(out, doctor.Good("rights", "all that a lab needs"))
	}
	if s.Address != "" {
		out = append(out, doctor.Good("address", "node ports are reached at %s", s.Address))
	}
	if s.Ports != nil {
		f := doctor.Good("node ports", "%s", s.Ports)
		if s.Ports.Hidden {
			f.Grade, f.Next = doctor.Warn, "ask somebody who may: kubectl --context "+s.Context+" get services --all-namespaces"
		}
		if s.Ports.bad == 0 { // else it stands among the problems
			out = append(out, f)
		}
	}
	for _, c := range s.Components {
		out = append(out, doctor.Good("component", "%s is there", c))
	}
	var said []string
	for _, f := range s.Shared {
		if f.There && f.Why == "" && !slices.Contains(said, f.String()) { // else it stands among the problems
			said = append(said, f.String())
			out = append(out, doctor.Good("found", "%s", f))
		}
	}
	for _, a := range s.Adds {
		out = append(out, doctor.Good("would add", "%s", a))
	}
	if s.Announces != "" {
		out = append(out, doctor.Finding{Name: "real addresses", Grade: doctor.Warn, Seen: "would be announced: " + s.Announces + ": " + realWords,
			Next: "be sure that the real system is not there; or: alertlab up --provider existing --real-addresses=false"})
	}
	for i, p := range s.Problems {
		out = append(out, doctor.Finding{Name: fmt.Sprintf("problem %d", i+1), Grade: doctor.Bad, Seen: p.What, Next: p.Next})
	}
	return out
}
