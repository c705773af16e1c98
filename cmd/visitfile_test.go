package cmd

import (
	"slices"
	"testing"
)

// TestNumbered looks at the runs that are written together, and at those that are not.
func TestNumbered(t *testing.T) {
	for name, c := range map[string]struct{ names, want []string }{
		"none":               {nil, nil},
		"a run among others": {[]string{"flags", "uLc01", "uLc02", "uLc03", "gLc01", "id"}, []string{"flags", "uLc01 to 03", "gLc01", "id"}},
		"two runs":           {[]string{"u1", "u2", "u3", "g1", "g2", "g3", "g4"}, []string{"u1 to 3", "g1 to 4"}},
		"two are no run":     {[]string{"a1", "a2"}, []string{"a1", "a2"}},
		"a gap":              {[]string{"a1", "a2", "a4", "a5"}, []string{"a1", "a2", "a4", "a5"}},
		"over nine":          {[]string{"a09", "a10", "a11"}, []string{"a09 to 11"}},
		"in some alerts":     {[]string{"a1 in 3", "a2 in 3", "a3 in 3"}, []string{"a1 in 3", "a2 in 3", "a3 in 3"}},
		"no number":          {[]string{"ra", "dec", "snr"}, []string{"ra", "dec", "snr"}},
	} {
		if got := numbered(slices.Clone(c.names)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}
