package versions

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/charts"
)

// Table is charts.Table, of which is asked what goes together.
type Table charts.Table

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
	RegistryOperator charts.RegistryOperator
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

// Solve gives the newest releases that go together. The error is a *NoneError.
func (t Table) Solve(q Question) (Answer, error) {
	none := &NoneError{Question: q}
	for _, s := range slices.Backward(t.Strimzi) {
		if why := refuses(s, q); why != "" {
			none.Why = append(none.Why, why)
			if refuses(s, Question{Kubernetes: q.Kubernetes}) == "" {
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
	slices.SortFunc(none.Runs, charts.Compare)
	none.Runs = slices.Compact(none.Runs)
	return Answer{}, none
}

// refuses says why a release cannot answer, "" when it can.
func refuses(s charts.Strimzi, q Question) string {
	if k := q.Kubernetes; k != "" {
		switch {
		case charts.Compare(k, s.Kubernetes.From) < 0:
			return fmt.Sprintf("Strimzi %s runs on Kubernetes from %s", s.Version, s.Kubernetes.From)
		case s.Kubernetes.To != "" && charts.Compare(k, s.Kubernetes.To) > 0:
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
func (t Table) Conceded(profile string, q Question, a Answer) []string {
	i := slices.IndexFunc(t.Environments, func(e charts.Environment) bool { return e.Name == profile })
	if i < 0 {
		return nil
	}
	had := t.Environments[i]
	var out []string
	if had.Strimzi != a.Strimzi {
		why := "it is the newest that runs Kafka " + a.Kafka
		if j := slices.IndexFunc(t.Strimzi, func(s charts.Strimzi) bool { return s.Version == had.Strimzi }); j >= 0 {
			if not := refuses(t.Strimzi[j], Question{Kafka: had.Kafka, Kubernetes: q.Kubernetes}); not != "" {
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
func (t Table) Chart(name string, a Answer) (charts.Upstream, error) {
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
	return charts.Upstream{}, fmt.Errorf("chart %s: %w", name, ErrUnknown)
}

// Image gives the reference of an image by its name.
func (t Table) Image(name string) (string, error) {
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
