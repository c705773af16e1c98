package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// Subject is a subject with its versions, as a reader sees it.
type Subject struct {
	Name     string           `json:"subject"`
	Versions []SubjectVersion `json:"versions"` // the oldest first
	// Compatibility is the level that new versions are held to, such as "NONE";
	// Inherited says that it is the registry's own, not set for the subject.
	Compatibility string `json:"compatibility"`
	Inherited     bool   `json:"inherited"`
	Mode          string `json:"mode"` // READWRITE, READONLY or IMPORT
}

// SubjectVersion is one version of a subject.
type SubjectVersion struct {
	Version int    `json:"version"`
	ID      int    `json:"id"`
	Name    string `json:"name,omitempty"` // full name of the schema, where it has one
	Bytes   int    `json:"bytes"`          // of its text
}

// Subjects lists what a registry holds by subject, sorted by name. What a registry
// does not tell of a subject's level or mode, as one that refuses the question, is "".
func Subjects(ctx context.Context, client *sr.Client) ([]Subject, error) {
	held, err := List(ctx, client)
	if err != nil {
		return nil, err
	}
	out := []Subject{}
	at := map[string]int{}
	for _, s := range held {
		i, ok := at[s.Subject]
		if !ok {
			i = len(out)
			at[s.Subject] = i
			out = append(out, Subject{Name: s.Subject})
		}
		out[i].Versions = append(out[i].Versions, SubjectVersion{Version: s.Version, ID: s.ID, Name: RecordName(s.Schema.Schema), Bytes: len(s.Schema.Schema)})
	}
	slices.SortFunc(out, func(a, b Subject) int { return strings.Compare(a.Name, b.Name) })
	names := make([]string, len(out))
	for i := range out {
		slices.SortFunc(out[i].Versions, func(a, b SubjectVersion) int { return a.Version - b.Version })
		names[i] = out[i].Name
	}
	if len(names) == 0 {
		return out, nil
	}
	level, mode := "", ""
	for _, r := range client.Compatibility(ctx) {
		if r.Err == nil {
			level = r.Level.String()
		}
	}
	for _, r := range client.Mode(ctx) {
		if r.Err == nil {
			mode = r.Mode.String()
		}
	}
	for _, r := range client.Compatibility(ctx, names...) {
		s := &out[placeOf(out, r.Subject)]
		switch {
		case r.Err == nil:
			s.Compatibility = r.Level.String()
		case hasCode(r.Err, codeSubjectCompatibility):
			s.Compatibility, s.Inherited = level, true
		}
	}
	for _, r := range client.Mode(ctx, names...) {
		s := &out[placeOf(out, r.Subject)]
		switch {
		case r.Err == nil:
			s.Mode = r.Mode.String()
		case hasCode(r.Err, codeSubjectMode):
			s.Mode = mode
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("subjects of the registry: %w", context.Cause(ctx))
	}
	return out, nil
}

// placeOf finds a subject among sorted ones.
func placeOf(in []Subject, name string) int {
	i, _ := slices.BinarySearchFunc(in, name, func(s Subject, name string) int { return strings.Compare(s.Name, name) })
	return i
}

func hasCode(err error, code int) bool {
	var answer *sr.ResponseError
	return errors.As(err, &answer) && answer.ErrorCode == code
}

// RecordName gives the full name of a schema that has one, else "".
func RecordName(text string) string {
	var named struct{ Namespace, Name string }
	if json.Unmarshal([]byte(text), &named) != nil {
		return ""
	}
	if named.Namespace != "" && !strings.Contains(named.Name, ".") {
		return named.Namespace + "." + named.Name
	}
	return named.Name
}
