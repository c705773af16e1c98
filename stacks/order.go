package stacks

import "slices"

// Order gives the components so that each comes after all that it needs. It is
// stable: among those that could come next, the first of the file does.
func (s *Stack) Order() []Component {
	order := make([]Component, 0, len(s.Components))
	done := map[string]bool{}
	left := slices.Clone(s.Components)
	for len(left) > 0 {
		next := slices.IndexFunc(left, func(c Component) bool {
			return !slices.ContainsFunc(c.Needs, func(need string) bool { return !done[need] })
		})
		if next < 0 {
			// Parse gives no such stack; one made by hand shows its mistake.
			panic("stack " + s.Name + ": needs that are missing or need each other")
		}
		done[left[next].Name] = true
		order = append(order, left[next])
		left = slices.Delete(left, next, next+1)
	}
	return order
}

// findCycles gives the names along each cycle of needs, the first again at the
// end. Needs that do not exist are passed over.
func findCycles(s *Stack) [][]string {
	needs := map[string][]string{}
	for _, c := range s.Components {
		if _, twice := needs[c.Name]; !twice {
			needs[c.Name] = c.Needs
		}
	}
	const (
		entered = 1
		left    = 2
	)
	state := map[string]int{}
	var trail []string
	var cycles [][]string
	var visit func(name string)
	visit = func(name string) {
		trail = append(trail, name)
		state[name] = entered
		for _, need := range needs[name] {
			switch state[need] {
			case entered:
				cycles = append(cycles, append(slices.Clone(trail[slices.Index(trail, need):]), need))
			case left:
			default:
				visit(need)
			}
		}
		state[name] = left
		trail = trail[:len(trail)-1]
	}
	for _, c := range s.Components {
		if state[c.Name] == 0 {
			visit(c.Name)
		}
	}
	return cycles
}
