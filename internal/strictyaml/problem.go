package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	// Line and Column count from 1. Both are 0 when the value does not
	// stand in a file, Column alone when only the line is known.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path names the value, e.g. "kafka.topics[0].replicas"; it is empty
	// when the file as a whole is meant.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

// Problems is everything that is wrong with one file, sorted by line. It is
// the only error type that reading a document gives.
type Problems struct {
	File string    `json:"file"`
	List []Problem `json:"problems"` // never empty
}

// Error prints one "file:line:column: path: message" for each problem.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, one := range p.List {
		var b strings.Builder
		b.WriteString(p.File)
		if one.Line > 0 {
			fmt.Fprintf(&b, ":%d", one.Line)
		}
		if one.Column > 0 {
			fmt.Fprintf(&b, ":%d", one.Column)
		}
		b.WriteString(": ")
		if one.Path != "" {
			b.WriteString(one.Path + ": ")
		}
		b.WriteString(one.Message)
		lines[i] = b.String()
	}
	return strings.Join(lines, "\n")
}

// Report collects the problems of one file while it is read and validated,
// and knows where each of its values stands. The zero value is not usable; it
// comes from Decode or NewReport. It serves one goroutine.
type Report struct {
	file   string
	places map[string]place
	list   []Problem
	// unsound holds the paths whose Go value does not say what the file
	// meant, because reading it failed, and partly all paths around them.
	unsound, partly map[string]bool
	// readable is set once the file is known to be YAML of the right kind.
	readable bool
}

type place struct{ line, column int }

// NewReport makes a report on values that stand in no file, such as those of
// environment variables; name takes the place of the file's name.
func NewReport(name string) *Report {
	return &Report{file: name, places: map[string]place{}, unsound: map[string]bool{}, partly: map[string]bool{}}
}

// Addf adds a problem of the value at path. Its line is that of the value or,
// when the file does not give that value, of the nearest value around it.
func (r *Report) Addf(path, format string, args ...any) {
	at := r.find(path)
	r.list = append(r.list, Problem{at.line, at.column, path, fmt.Sprintf(format, args...)})
}

// Sound tells whether all the values at these paths, and everything in and
// around them, were read without a problem. Checks that compare two values
// ask it first, so that one typo is not reported twice.
func (r *Report) Sound(paths ...string) bool {
	for _, path := range paths {
		if r.partly[path] || r.unsound[path] {
			return false
		}
		for path != "" {
			if path = parent(path); r.unsound[path] {
				return false
			}
		}
	}
	return true
}

// Readable tells whether the file is one YAML document of the right kind and
// version, so that validating its values makes sense.
func (r *Report) Readable() bool { return r.readable }

// List gives the problems found so far, sorted by line.
func (r *Report) List() []Problem {
	list := slices.Clone(r.list)
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return list
}

// Err gives nil when no problem was found, else a *Problems.
func (r *Report) Err() error {
	if len(r.list) == 0 {
		return nil
	}
	return &Problems{File: r.file, List: r.List()}
}

// fail adds a problem and marks its path as unsound.
func (r *Report) fail(path string, at place, format string, args ...any) {
	r.spoil(path)
	r.list = append(r.list, Problem{at.line, at.column, path, fmt.Sprintf(format, args...)})
}

// spoil marks a path as unsound.
func (r *Report) spoil(path string) {
	r.unsound[path] = true
	for path != "" {
		path = parent(path)
		r.partly[path] = true
	}
}

func (r *Report) find(path string) place {
	for {
		if at, ok := r.places[path]; ok || path == "" {
			return at
		}
		path = parent(path)
	}
}

// parent gives the path of the value around the one at path.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }
