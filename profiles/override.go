package profiles

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/internal/strictyaml"
)

// Variable is an environment variable that changes one value of a profile.
type Variable struct {
	Name        string `json:"name"`
	Path        string `json:"path"` // of the value, e.g. "simulator.alerts"
	Description string `json:"description"`
	set         func(p *Profile, text string) error
}

// Variables gives every variable that Override knows, sorted by name.
func Variables() []Variable {
	return []Variable{
		{"ALERTLAB_ALERTDB_INGESTERS", "alertDatabase.ingesters", "number of ingesters", func(p *Profile, text string) error {
			n, err := strictyaml.ParseInt(text, 32)
			p.AlertDatabase.Ingesters = int(n)
			return atLeastOne(n, err)
		}},
		{"ALERTLAB_ALERTDB_LAG", "alertDatabase.scaling.lag", "alerts that may wait for each ingester before there is one more", func(p *Profile, text string) error {
			n, err := strictyaml.ParseInt(text, 32)
			p.AlertDatabase.Scaling.Lag = int(n)
			return atLeastOne(n, err)
		}},
		{"ALERTLAB_KAFKA_BROKERS", "kafka.brokers.count", "number of brokers", func(p *Profile, text string) error {
			n, err := strictyaml.ParseInt(text, 32)
			p.Kafka.Brokers.Count = int(n)
			if hosts := p.Kafka.Listener.BrokerHosts; n > 0 && int(n) < len(hosts) {
				p.Kafka.Listener.BrokerHosts = hosts[:n] // those of the brokers that there are
			}
			return err
		}},
		{"ALERTLAB_KAFKA_CONTROLLERS", "kafka.controllers.count", "number of controllers, on Kubernetes", func(p *Profile, text string) error {
			n, err := strictyaml.ParseInt(text, 32)
			p.Kafka.Controllers.Count = int(n)
			return atLeastOne(n, err)
		}},
		{"ALERTLAB_KAFKA_LISTENER", "kafka.listener.type", "on Kubernetes: loadbalancer, an address for each broker, or nodeport, a port of the node for each", func(p *Profile, text string) error {
			p.Kafka.Listener.Type = text
			return nil
		}},
		{"ALERTLAB_KAFKA_PORT", "kafka.listener.port", "port of the external listener", func(p *Profile, text string) error {
			n, err := strictyaml.ParseInt(text, 32)
			p.Kafka.Listener.Port = int(n)
			return err
		}},
		{"ALERTLAB_KAFKA_SYNC", "kafka.sync", "true: acknowledge records when they are on disk, safe from the loss of power", func(p *Profile, text string) error {
			return boolean(text, &p.Kafka.Sync)
		}},
		{"ALERTLAB_NETWORK_POLICIES", "networkPolicies", "true: on Kubernetes, the lab's own pods are spoken to, and speak, only where the stack needs it", func(p *Profile, text string) error {
			return boolean(text, &p.NetworkPolicies)
		}},
		{"ALERTLAB_SIMULATOR_ALERTS", "simulator.alerts", "alerts in one visit", func(p *Profile, text string) error {
			n, err := strictyaml.ParseInt(text, 32)
			p.Simulator.Alerts = int(n)
			return err
		}},
		{"ALERTLAB_SIMULATOR_INTERVAL", "simulator.interval", "time between the starts of two visits, e.g. 37s", func(p *Profile, text string) (err error) {
			p.Simulator.Interval, err = strictyaml.ParseDuration(text)
			return err
		}},
		{"ALERTLAB_SIMULATOR_PACKET_SIZE", "simulator.packetSize", "size of one alert, e.g. 80kB or 64KiB", func(p *Profile, text string) (err error) {
			p.Simulator.PacketSize, err = strictyaml.ParseSize(text)
			return err
		}},
		{"ALERTLAB_SIMULATOR_SCHEMA", "simulator.schema", "alert schema version, e.g. 11.0", func(p *Profile, text string) error {
			p.Simulator.Schema = text
			return nil
		}},
		{"ALERTLAB_SIMULATOR_SEED", "simulator.seed", "equal seeds make equal alerts", func(p *Profile, text string) (err error) {
			p.Simulator.Seed, err = strictyaml.ParseUint(text, 64)
			return err
		}},
	}
}

// boolean reads true or false.
func boolean(text string, to *bool) error {
	if text != "true" && text != "false" {
		return fmt.Errorf("%s is neither true nor false", strictyaml.Quote(text))
	}
	*to = text == "true"
	return nil
}

// atLeastOne refuses a number that a profile would take for a key that was left out.
func atLeastOne(n int64, err error) error {
	if err == nil && n < 1 {
		return fmt.Errorf("must be at least 1, but is %d", n)
	}
	return err
}

// Override gives a copy of p with the values that environ and then settings set.
// environ has the form of os.Environ, where a later entry wins over an earlier
// one and an empty value counts as not set; a setting is path=value with one of
// the paths of Variables, and wins over the environment. The profile itself is
// not changed.
//
// Only the variables of Variables are read. Any other whose name begins with
// ALERTLAB_ALERTDB_, ALERTLAB_KAFKA_, ALERTLAB_NETWORK_ or ALERTLAB_SIMULATOR_ is a problem. The error is a *Problems
// with everything that is wrong, each naming its variable or setting.
func Override(p *Profile, environ []string, settings ...string) (*Profile, error) {
	out := p.clone()
	name := "environment"
	if len(settings) > 0 {
		name = "environment and flags"
	}
	report := strictyaml.NewReport(name)
	given := given(environ, settings, report)
	var set []override // in the order of Variables
	for _, v := range Variables() {
		one, ok := given[v.Path]
		if !ok {
			continue
		}
		if err := v.set(out, one.text); err != nil {
			report.Addf(one.label, "%s", err)
			continue
		}
		set = append(set, one)
	}
	// What could not be read is reported above; validating its zero value
	// as well would report it twice.
	if report.Err() == nil {
		validateSet(out, set, report)
	}
	if err := report.Err(); err != nil {
		return nil, err
	}
	if len(set) > 0 {
		text, err := out.YAML()
		if err != nil {
			return nil, fmt.Errorf("profile %s with the environment: %w", out.Name, err)
		}
		out.source = text
	}
	return out, nil
}

// override is one value that is set from outside.
type override struct {
	label string // what a user typed: a variable's name, or the flag with its path
	path  string
	text  string
}

// given collects what environ and settings set, by path.
func given(environ, settings []string, report *strictyaml.Report) map[string]override {
	byName, byPath := map[string]string{}, map[string]bool{}
	var names, paths []string
	for _, v := range Variables() {
		byName[v.Name], byPath[v.Path] = v.Path, true
		names, paths = append(names, v.Name), append(paths, v.Path)
	}
	values := map[string]string{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if !slices.ContainsFunc([]string{"ALERTLAB_ALERTDB_", "ALERTLAB_KAFKA_", "ALERTLAB_NETWORK_", "ALERTLAB_SIMULATOR_"}, func(group string) bool { return strings.HasPrefix(name, group) }) {
			continue
		}
		if _, earlier := values[name]; !earlier || text != "" {
			values[name] = text
		}
	}
	out := map[string]override{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		path, known := byName[name]
		switch {
		case !known:
			report.Addf(name, "no such variable, %s", nearestOf(name, names))
		case values[name] != "":
			out[path] = override{name, path, values[name]}
		}
	}
	for _, setting := range settings {
		path, text, ok := strings.Cut(setting, "=")
		switch {
		case !ok:
			report.Addf("--set "+setting, "must be written as PATH=VALUE, e.g. simulator.alerts=50")
		case !byPath[path]:
			report.Addf("--set "+path, "cannot be set, %s", nearestOf(path, paths))
		default:
			out[path] = override{"--set " + path, path, text}
		}
	}
	return out
}

func nearestOf(word string, known []string) string {
	if near := strictyaml.Nearest(word, known); near != "" {
		return "did you mean " + near + "?"
	}
	return "there are: " + strings.Join(known, ", ")
}

// validateSet validates a profile that was valid before the overrides in set
// changed it, so that each problem is due to one or more of them.
func validateSet(p *Profile, set []override, report *strictyaml.Report) {
	fresh := strictyaml.NewReport("")
	validate(p, fresh)
	for _, problem := range fresh.List() {
		i := slices.IndexFunc(set, func(one override) bool { return one.path == problem.Path })
		if i >= 0 {
			report.Addf(set[i].label, "%s", problem.Message)
			continue
		}
		// Values that limit each other stand in the same part of a profile.
		part, _, _ := strings.Cut(problem.Path, ".")
		var due, all []string
		for _, one := range set {
			all = append(all, one.label)
			if strings.HasPrefix(one.path, part+".") {
				due = append(due, one.label)
			}
		}
		if len(due) == 0 {
			due = all
		}
		report.Addf(problem.Path, "%s (with %s)", problem.Message, strings.Join(due, ", "))
	}
}

// Environ writes settings, as Override takes them, as variables of an environment.
func Environ(settings []string) []string {
	var out []string
	for _, setting := range settings {
		path, text, _ := strings.Cut(setting, "=")
		for _, v := range Variables() {
			if v.Path == path {
				out = append(out, v.Name+"="+text)
			}
		}
	}
	return out
}
