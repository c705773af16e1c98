package profiles

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

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
		{"ALERTLAB_KAFKA_BROKERS", "kafka.brokers.count", "number of brokers", func(p *Profile, text string) error {
			n, err := strictyaml.ParseInt(text, 32)
			p.Kafka.Brokers.Count = int(n)
			return err
		}},
		{"ALERTLAB_KAFKA_PORT", "kafka.listener.port", "port of the external listener", func(p *Profile, text string) error {
			n, err := strictyaml.ParseInt(text, 32)
			p.Kafka.Listener.Port = int(n)
			return err
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

// Override gives a copy of p with the values that environ sets; environ has
// the form of os.Environ, a later entry wins over an earlier one, and an empty
// value counts as not set. The profile itself is not changed.
//
// Only the variables of Variables are read. Any other whose name begins with
// ALERTLAB_KAFKA_ or ALERTLAB_SIMULATOR_ is a problem. The error is a *Problems
// with everything that is wrong, each naming its variable.
func Override(p *Profile, environ []string) (*Profile, error) {
	out := p.clone()
	known := Variables()
	names := make([]string, len(known))
	for i, one := range known {
		names[i] = one.Name
	}
	report := strictyaml.NewReport("environment")
	values := map[string]string{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "ALERTLAB_KAFKA_") || strings.HasPrefix(name, "ALERTLAB_SIMULATOR_") {
			values[name] = text
		}
	}
	var set []Variable // in the order of Variables
	for _, one := range known {
		text := values[one.Name]
		delete(values, one.Name)
		if text == "" {
			continue
		}
		if err := one.set(out, text); err != nil {
			report.Addf(one.Name, "%s", err)
			continue
		}
		set = append(set, one)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		message := "no such variable, there are: " + strings.Join(names, ", ")
		if near := strictyaml.Nearest(name, names); near != "" {
			message = "no such variable, did you mean " + near + "?"
		}
		report.Addf(name, "%s", message)
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
		text, err := yaml.Marshal(out)
		if err != nil {
			return nil, fmt.Errorf("profile %s with the environment: %w", out.Name, err)
		}
		out.source = text
	}
	return out, nil
}

// validateSet validates a profile that was valid before the variables in set
// changed it, so that each problem is due to one or more of them.
func validateSet(p *Profile, set []Variable, report *strictyaml.Report) {
	fresh := strictyaml.NewReport("")
	validate(p, fresh)
	for _, problem := range fresh.List() {
		i := slices.IndexFunc(set, func(one Variable) bool { return one.Path == problem.Path })
		if i >= 0 {
			report.Addf(set[i].Name, "%s", problem.Message)
			continue
		}
		// Values that limit each other stand in the same part of a profile.
		part, _, _ := strings.Cut(problem.Path, ".")
		var due, all []string
		for _, one := range set {
			all = append(all, one.Name)
			if strings.HasPrefix(one.Path, part+".") {
				due = append(due, one.Name)
			}
		}
		if len(due) == 0 {
			due = all
		}
		report.Addf(problem.Path, "%s (with %s)", problem.Message, strings.Join(due, ", "))
	}
}
