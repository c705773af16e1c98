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

// Runs says whether the stack runs on a provider: the last component, which needs
// the others, has an implementation there.
func (s *Stack) Runs(provider string) bool {
	return slices.ContainsFunc(s.On(provider), func(c Component) bool { return c.Name == s.Components[len(s.Components)-1].Name })
}

// On gives the components that a provider has, in the order of the file. Who needs a
// component that it does not have needs what that one needs.
func (s *Stack) On(provider string) []Component {
	byName := map[string]Component{}
	for _, c := range s.Components {
		byName[c.Name] = c
	}
	var there func(needs []string) []string
	there = func(needs []string) []string {
		var out []string
		for _, need := range needs {
			if byName[need].Implementations[provider] != "" {
				out = append(out, need)
				continue
			}
			out = append(out, there(byName[need].Needs)...)
		}
		seen := map[string]bool{}
		return slices.DeleteFunc(out, func(name string) bool {
			twice := seen[name]
			seen[name] = true
			return twice
		})
	}
	var out []Component
	for _, c := range s.Components {
		if c.Implementations[provider] != "" {
			c.Needs = there(c.Needs)
			out = append(out, c)
		}
	}
	return out
}

// With gives the stack as one deployer needs it: of components that only another one
// needs there is no implementation anywhere.
func (s *Stack) With(deployer string) *Stack {
	with := *s
	with.Components = slices.Clone(s.Components)
	for i, c := range with.Components {
		if c.Deployer != "" && c.Deployer != deployer {
			with.Components[i].Implementations = nil
		}
	}
	return &with
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
