// Package strictyaml reads one YAML document into Go structs and finds every
// problem of the file at once, each with its line and column.
//
// It is stricter than YAML: no anchors, aliases or merge keys, no unknown or
// duplicate keys, no value of another type than the field's. Files of this
// kind are edited by hand and reviewed, so a typo must be an error at its line
// rather than a default that nobody asked for.
//
// It knows no profile and no stack, prints nothing and imports nothing of ours.
package strictyaml
