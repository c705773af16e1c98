package versions

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alertlab/alertlab/internal/strictyaml"
)

// APIVersion and Kind are what the first keys of a table say.
const (
	APIVersion = "alertlab/v1alpha1"
	Kind       = "Upstream"
)

// Table is what others publish.
type Table struct {
	APIVersion       string             `yaml:"apiVersion"`
	Kind             string             `yaml:"kind"`
	Strimzi          []Strimzi          `yaml:"strimzi"`          // the newest last
	RegistryOperator []RegistryOperator `yaml:"registryOperator"` // the newest last
	Environments     []Environment      `yaml:"environments"`
	Charts           []Chart            `yaml:"charts"`
	Images           []Image            `yaml:"images"`
}

// Strimzi is one release of the Kafka operator.
type Strimzi struct {
	Version    string   `yaml:"version"`
	Kafka      []string `yaml:"kafka"` // the versions that it runs, the newest last
	Kubernetes Range    `yaml:"kubernetes"`
	API        []string `yaml:"api"` // versions of its custom resources that it serves
}

// Range is a range of minor releases of Kubernetes, both ends in it.
type Range struct {
	From string `yaml:"from"`
	To   string `yaml:"to,omitempty"` // "": none is known that it does not run on
}

// RegistryOperator is one release of strimzi-registry-operator.
type RegistryOperator struct {
	Version string   `yaml:"version"`
	Chart   string   `yaml:"chart"`
	API     []string `yaml:"api"` // of Strimzi, that it can use
}

// Environment is what a profile's source had.
type Environment struct {
	Name                  string `yaml:"name"` // of the profile
	Strimzi               string `yaml:"strimzi"`
	Kafka                 string `yaml:"kafka"`
	RegistryOperatorChart string `yaml:"registryOperatorChart"`
}

// Chart is a Helm chart and where it is published.
type Chart struct {
	Name       string `yaml:"name"`
	Repository string `yaml:"repository"`
	Version    string `yaml:"version,omitempty"` // "": the one that was solved for
	// AppVersion is the tag of the images, Images are those that a lab runs of it.
	AppVersion string   `yaml:"appVersion,omitempty"`
	Images     []string `yaml:"images,omitempty"`
}

// References are the images of a chart, as nodes run them.
func (c Chart) References() []string {
	var refs []string
	for _, repository := range c.Images {
		refs = append(refs, repository+":"+c.AppVersion)
	}
	return refs
}

// Image is an image that a lab runs beside the operators' own.
type Image struct {
	Name      string `yaml:"name"`
	Reference string `yaml:"reference"`
}

// Question is what has to go together.
type Question struct {
	Kafka      string // "": the newest
	Kubernetes string // minor release, as 1.35; "": not known
}

// Answer is what is run.
type Answer struct {
	Kafka            string
	Strimzi          string
	API              string // of Strimzi's custom resources, the newest that both operators know
	RegistryOperator RegistryOperator
}

// NoneError says why nothing goes together.
type NoneError struct {
	Question Question
	Why      []string // a sentence for each release of Strimzi, the newest first
	Runs     []string // the versions of Kafka that could be run instead, the newest last
}

func (e *NoneError) Error() string {
	what := "Kafka " + e.Question.Kafka
	if e.Question.Kubernetes != "" {
		what += " on Kubernetes " + e.Question.Kubernetes
	}
	text := fmt.Sprintf("no Strimzi runs %s: %s", what, strings.Join(e.Why, "; "))
	if len(e.Runs) > 0 {
		text += "; what runs there is Kafka " + strings.Join(e.Runs, ", ")
	}
	return text
}

// Parse reads a table; file only appears in problems. The error is a
// *strictyaml.Problems with everything that is wrong.
func Parse(file string, data []byte) (*Table, error) {
	var t Table
	r := strictyaml.Decode(file, data, strictyaml.Header{APIVersion: APIVersion, Kind: Kind}, &t)
	if r.Readable() {
		t.validate(r)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return &t, nil
}

func (t *Table) validate(r *strictyaml.Report) {
	last := ""
	for i, s := range t.Strimzi {
		path := fmt.Sprintf("strimzi[%d]", i)
		if last != "" && Compare(last, s.Version) >= 0 {
			r.Addf(path+".version", "%s stands behind %s, and the newest is the last", s.Version, last)
		}
		last = s.Version
		if len(s.Kafka) == 0 {
			r.Addf(path+".kafka", "it runs no Kafka")
		}
		if !slices.IsSortedFunc(s.Kafka, Compare) {
			r.Addf(path+".kafka", "the newest is the last")
		}
		if len(s.API) == 0 {
			r.Addf(path+".api", "it serves nothing")
		}
		for _, minor := range []string{s.Kubernetes.From, s.Kubernetes.To} {
			if minor != "" && !minorPattern.MatchString(minor) {
				r.Addf(path+".kubernetes", "%s is no minor release, as 1.35 is", strictyaml.Quote(minor))
			}
		}
	}
	for i, o := range t.RegistryOperator {
		if i > 0 && Compare(t.RegistryOperator[i-1].Version, o.Version) >= 0 {
			r.Addf(fmt.Sprintf("registryOperator[%d].version", i), "%s stands behind %s, and the newest is the last", o.Version, t.RegistryOperator[i-1].Version)
		}
	}
}

var minorPattern = regexp.MustCompile(`^\d+\.\d+$`)

// Solve gives the newest releases that go together. The error is a *NoneError.
func (t *Table) Solve(q Question) (Answer, error) {
	none := &NoneError{Question: q}
	for _, s := range slices.Backward(t.Strimzi) {
		if why := s.not(q); why != "" {
			none.Why = append(none.Why, why)
			if s.not(Question{Kubernetes: q.Kubernetes}) == "" {
				none.Runs = append(none.Runs, s.Kafka...)
			}
			continue
		}
		a := Answer{Kafka: q.Kafka, Strimzi: s.Version}
		if a.Kafka == "" {
			a.Kafka = s.Kafka[len(s.Kafka)-1]
		}
		for _, o := range slices.Backward(t.RegistryOperator) {
			for _, api := range s.API {
				if a.API == "" && slices.Contains(o.API, api) {
					a.API, a.RegistryOperator = api, o
				}
			}
		}
		if a.API == "" {
			none.Why = append(none.Why, fmt.Sprintf("no operator of the registry knows the API %s of Strimzi %s", strings.Join(s.API, ", "), s.Version))
			continue
		}
		return a, nil
	}
	slices.SortFunc(none.Runs, Compare)
	none.Runs = slices.Compact(none.Runs)
	return Answer{}, none
}

// not says why a release cannot answer, "" when it can.
func (s Strimzi) not(q Question) string {
	if k := q.Kubernetes; k != "" {
		switch {
		case Compare(k, s.Kubernetes.From) < 0:
			return fmt.Sprintf("Strimzi %s runs on Kubernetes from %s", s.Version, s.Kubernetes.From)
		case s.Kubernetes.To != "" && Compare(k, s.Kubernetes.To) > 0:
			return fmt.Sprintf("Strimzi %s runs on Kubernetes %s to %s", s.Version, s.Kubernetes.From, s.Kubernetes.To)
		}
	}
	if q.Kafka != "" && !slices.Contains(s.Kafka, q.Kafka) {
		return fmt.Sprintf("Strimzi %s runs Kafka %s", s.Version, strings.Join(s.Kafka, ", "))
	}
	return ""
}

// Conceded says how the operators that are run differ from those of the source of a
// profile, a sentence each; none for a profile whose source is not in the table.
func (t *Table) Conceded(profile string, q Question, a Answer) []string {
	i := slices.IndexFunc(t.Environments, func(e Environment) bool { return e.Name == profile })
	if i < 0 {
		return nil
	}
	had := t.Environments[i]
	var out []string
	if had.Strimzi != a.Strimzi {
		why := "it is the newest that runs Kafka " + a.Kafka
		if j := slices.IndexFunc(t.Strimzi, func(s Strimzi) bool { return s.Version == had.Strimzi }); j >= 0 {
			if not := t.Strimzi[j].not(Question{Kafka: had.Kafka, Kubernetes: q.Kubernetes}); not != "" {
				why = not
				if q.Kubernetes != "" && !strings.Contains(not, "Kafka") {
					why += ", not on " + q.Kubernetes
				} else {
					why += ", not the source's " + had.Kafka
				}
			}
		}
		out = append(out, fmt.Sprintf("strimzi: %s -> %s, because %s", had.Strimzi, a.Strimzi, why))
	}
	if had.RegistryOperatorChart != a.RegistryOperator.Chart {
		out = append(out, fmt.Sprintf("strimzi-registry-operator: chart %s -> %s, because it is the newest that knows the API %s of Strimzi %s",
			had.RegistryOperatorChart, a.RegistryOperator.Chart, a.API, a.Strimzi))
	}
	return out
}

// ErrUnknown is of a name that the table does not have.
var ErrUnknown = errors.New("not in the table")

// Chart gives a chart by its name, with the version that is run.
func (t *Table) Chart(name string, a Answer) (Chart, error) {
	for _, c := range t.Charts {
		if c.Name != name {
			continue
		}
		switch {
		case c.Version != "":
		case name == "strimzi-kafka-operator":
			c.Version, c.AppVersion = a.Strimzi, a.Strimzi
		case name == "strimzi-registry-operator":
			c.Version, c.AppVersion = a.RegistryOperator.Chart, a.RegistryOperator.Version
		}
		return c, nil
	}
	return Chart{}, fmt.Errorf("chart %s: %w", name, ErrUnknown)
}

// Image gives the reference of an image by its name.
func (t *Table) Image(name string) (string, error) {
	for _, i := range t.Images {
		if i.Name == name {
			return i.Reference, nil
		}
	}
	return "", fmt.Errorf("image %s: %w", name, ErrUnknown)
}

// tagPattern finds the release of Kubernetes in the tag of a node image: k3s's, kind's
// and the rig's name it.
var tagPattern = regexp.MustCompile(`:v(\d+\.\d+)\.\d+`)

// Kubernetes gives the minor release that a node image runs, by its tag; "" when the
// tag does not tell.
func Kubernetes(nodeImage string) string {
	if m := tagPattern.FindStringSubmatch(nodeImage); m != nil {
		return m[1]
	}
	return ""
}

// Compare compares versions number by number, as 4.10.0 is above 4.9.1. What is no
// number counts as 0.
func Compare(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if d := number(x, i) - number(y, i); d != 0 {
			return d
		}
	}
	return 0
}

func number(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimPrefix(parts[i], "v"))
	if err != nil {
		return 0
	}
	return n
}
