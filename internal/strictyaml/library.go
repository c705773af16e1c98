package strictyaml

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Library is a folder of documents of one kind that a binary holds, NAME.yaml
// each.
type Library struct {
	Kind  string // in lower case, for texts: "profile", "stack"
	Files fs.ReadDirFS
}

// UnknownError says that a library has no document of a name.
type UnknownError struct {
	Kind  string
	Name  string
	Near  string   // the name that was most likely meant, or ""
	Known []string // every name, sorted
}

// Error names the document that was most likely meant, else all of them.
func (e *UnknownError) Error() string {
	text := fmt.Sprintf("there is no %s %s", e.Kind, Quote(e.Name))
	if e.Near != "" {
		return text + fmt.Sprintf(", did you mean %s?", Quote(e.Near))
	}
	return text + ", there are: " + strings.Join(e.Known, ", ")
}

// Names lists the documents, sorted. It panics if the folder cannot be read, which
// only a mistake in the binary can cause.
func (l Library) Names() []string {
	entries, err := l.Files.ReadDir(".")
	if err != nil {
		panic("embedded " + l.Kind + "s: " + err.Error())
	}
	var list []string
	for _, entry := range entries { // sorted by file name
		list = append(list, strings.TrimSuffix(entry.Name(), ".yaml"))
	}
	return list
}

// Read gives the file name and the text of a document; an *UnknownError when there
// is none of this name.
func (l Library) Read(name string) (file string, data []byte, err error) {
	known := l.Names()
	if !slices.Contains(known, name) {
		return "", nil, &UnknownError{Kind: l.Kind, Name: name, Near: Nearest(name, known), Known: known}
	}
	file = name + ".yaml"
	data, err = fs.ReadFile(l.Files, file)
	return file, data, err
}
