package profiles

import (
	_ "embed" // for the schema
	"slices"
)

//go:embed profile.schema.json
var schema []byte

// Schema gives the JSON schema of profiles, for editors. It says which keys there
// are, of which types; what it cannot say (a topic that is named but not
// declared) only Parse finds.
func Schema() []byte { return slices.Clone(schema) }
