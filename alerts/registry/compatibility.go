package registry

import (
	"fmt"
	"strings"

	"github.com/hamba/avro/v2"
)

// Compatibility levels. BACKWARD: the new schema reads data of the one before.
// FORWARD: the one before reads data of the new one. FULL: both. TRANSITIVE:
// not only the one before but all of the subject.
const (
	CompatibilityNone               = "NONE"
	CompatibilityBackward           = "BACKWARD"
	CompatibilityBackwardTransitive = "BACKWARD_TRANSITIVE"
	CompatibilityForward            = "FORWARD"
	CompatibilityForwardTransitive  = "FORWARD_TRANSITIVE"
	CompatibilityFull               = "FULL"
	CompatibilityFullTransitive     = "FULL_TRANSITIVE"
)

// parseCompatibility takes a level in any case, as Phalanx writes them in lower
// case.
func parseCompatibility(level string) (string, error) {
	upper := strings.ToUpper(level)
	switch upper {
	case CompatibilityNone, CompatibilityBackward, CompatibilityBackwardTransitive,
		CompatibilityForward, CompatibilityForwardTransitive, CompatibilityFull, CompatibilityFullTransitive:
		return upper, nil
	}
	return "", fail(codeInvalidCompatibility, "invalid compatibility level %q: valid are NONE, BACKWARD, FORWARD, FULL and the last three with _TRANSITIVE", level)
}

// previous is an earlier schema of a subject.
type previous struct {
	Version int
	Content content
}

// checkCompatible gives the reasons why the schema may not follow the earlier
// ones at this level, oldest first in earlier; none means that it may.
func checkCompatible(level string, next avro.Schema, earlier []previous) []string {
	if level == CompatibilityNone || len(earlier) == 0 {
		return nil
	}
	direction, transitive := strings.CutSuffix(level, "_TRANSITIVE")
	if !transitive {
		earlier = earlier[len(earlier)-1:]
	}
	var reasons []string
	for i := len(earlier) - 1; i >= 0; i-- {
		before, err := earlier[i].Content.parse()
		if err != nil {
			reasons = append(reasons, fmt.Sprintf("version %d cannot be parsed: %v", earlier[i].Version, err))
			continue
		}
		if direction != CompatibilityForward {
			if err := canRead(next, before); err != nil {
				reasons = append(reasons, fmt.Sprintf("%s: the new schema cannot read data of version %d: %v", level, earlier[i].Version, err))
			}
		}
		if direction != CompatibilityBackward {
			if err := canRead(before, next); err != nil {
				reasons = append(reasons, fmt.Sprintf("%s: version %d cannot read data of the new schema: %v", level, earlier[i].Version, err))
			}
		}
	}
	return reasons
}

// canRead tells why data of writer cannot be resolved to reader. A checker is
// made for every question because it remembers answers by Avro's fingerprint,
// which does not see defaults: the answer for a schema without a default would
// be given again for the same one with it.
func canRead(reader, writer avro.Schema) error {
	return avro.NewSchemaCompatibility().Compatible(reader, writer)
}
