package packet

import (
	"strings"
	"testing"
)

// BenchmarkAllVersions is what the start of a lab pays for the text of all
// published schemas, without the package's cache.
func BenchmarkAllVersions(b *testing.B) {
	for b.Loop() {
		tables, err := readTable(strings.NewReader(schemasCSV))
		if err != nil {
			b.Fatal(err)
		}
		for v, t := range tables {
			if _, err := t.canonical(v); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkCompile is what the first datum of the largest schema costs on top.
func BenchmarkCompile(b *testing.B) {
	s, err := Published(Version{Major: 5})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := newSchema(s.Version(), s.Canonical()).compiled(); err != nil {
			b.Fatal(err)
		}
	}
}
