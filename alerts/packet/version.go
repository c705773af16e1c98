package packet

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Version is the version of an alert schema, such as 7.4. The zero Version
// means a schema that is not one of the alert_packet series.
type Version struct{ Major, Minor int }

// VersionError reports text that names no alert schema version.
type VersionError struct {
	Text string // as given
	Form string // the form expected, such as "7.4" or "lsst.v7_4"
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("alert schema version %q is not of the form %s", e.Text, e.Form)
}

const namespacePrefix = "lsst.v"

// ParseVersion reads "7.4".
func ParseVersion(s string) (Version, error) {
	if v, ok := splitVersion(s, "."); ok {
		return v, nil
	}
	return Version{}, &VersionError{Text: s, Form: "7.4"}
}

// VersionFromNamespace reads an Avro namespace such as "lsst.v7_4".
func VersionFromNamespace(ns string) (Version, error) {
	if rest, ok := strings.CutPrefix(ns, namespacePrefix); ok {
		if v, ok := splitVersion(rest, "_"); ok {
			return v, nil
		}
	}
	return Version{}, &VersionError{Text: ns, Form: "lsst.v7_4"}
}

// VersionFromID turns a registry ID into the version it stands for: 704 is
// 7.4, 1100 is 11.0.
func VersionFromID(id int) Version { return Version{Major: id / 100, Minor: id % 100} }

// ID is the schema's ID in the registry, major*100 + minor: the scheme of the
// alert_packet package since 2024-08.
func (v Version) ID() int { return v.Major*100 + v.Minor }

// String is the dotted form, "7.4".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Namespace is the Avro namespace of the version's records, "lsst.v7_4".
func (v Version) Namespace() string {
	return fmt.Sprintf("%s%d_%d", namespacePrefix, v.Major, v.Minor)
}

// Compare orders versions by major, then minor: 7.4 < 10.0.
func (v Version) Compare(o Version) int {
	return cmp.Or(cmp.Compare(v.Major, o.Major), cmp.Compare(v.Minor, o.Minor))
}

func splitVersion(s, sep string) (Version, bool) {
	major, minor, ok := strings.Cut(s, sep)
	if !ok {
		return Version{}, false
	}
	a, okMajor := versionNumber(major, 10000)
	b, okMinor := versionNumber(minor, 100)
	if !okMajor || !okMinor || a == 0 {
		return Version{}, false
	}
	return Version{Major: a, Minor: b}, true
}

// versionNumber takes only the one spelling that String would print, so that
// a version and its text map one to one; minor stays under 100 because the
// registry ID has two digits for it.
func versionNumber(s string, limit int) (int, bool) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n >= limit || strconv.Itoa(n) != s {
		return 0, false
	}
	return n, true
}
