package profiles

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alertlab/alertlab/internal/strictyaml"
)

// NotSet stands where a profile has no value.
const NotSet = "not set"

// Value is one value of a profile as text.
type Value struct {
	// Path names it as a Concession does: by keys, and an entry of a list by
	// its name, as in kafka.topics[alerts-simulated].partitions.
	Path string `json:"path"`
	Text string `json:"text"` // sizes and durations with their unit
}

// Values gives every value that p has, in the order of the format; settings
// under Kafka's own keys are sorted. What is left out of p is not among them.
func (p *Profile) Values() []Value {
	var list []Value
	flatten(reflect.ValueOf(p).Elem(), "", "", func(path, text string) { list = append(list, Value{path, text}) })
	return list
}

// Value gives the text of one value, or NotSet.
func (p *Profile) Value(path string) string {
	values := p.Values()
	if i := slices.IndexFunc(values, func(v Value) bool { return v.Path == path }); i >= 0 {
		return values[i].Text
	}
	return NotSet
}

// flatten calls each with every value in and below v, whose unit tag is unit.
func flatten(v reflect.Value, path, unit string, each func(path, text string)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if !f.IsExported() || option == "omitempty" && v.Field(i).IsZero() {
				continue
			}
			flatten(v.Field(i), under(path, key), f.Tag.Get("unit"), each)
		}
	case reflect.Map:
		config := v.Interface().(map[string]string)
		for _, key := range slices.Sorted(maps.Keys(config)) {
			each(under(path, key), config[key])
		}
	case reflect.Slice:
		if texts, ok := v.Interface().([]string); ok {
			each(path, "["+strings.Join(texts, ", ")+"]")
			return
		}
		for i := range v.Len() {
			entry := v.Index(i)
			flatten(entry, fmt.Sprintf("%s[%s]", path, entry.Field(0).String()), "", each)
		}
	default:
		each(path, textOf(v, unit))
	}
}

func textOf(v reflect.Value, unit string) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return x.String()
	case string:
		return x
	case bool:
		return strconv.FormatBool(x)
	case int64:
		if unit == "bytes" {
			return strictyaml.FormatSize(x)
		}
	}
	return fmt.Sprint(v.Interface())
}

func under(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Difference is one value in which two profiles differ.
type Difference struct {
	Path string `json:"path"`
	A    string `json:"a"` // NotSet where the first has none
	B    string `json:"b"`
}

// Diff gives the values in which two profiles differ, in the order of the
// format. Their names, descriptions and sources do not count, nor do the
// reasons of concessions.
func Diff(a, b *Profile) []Difference {
	var list []Difference
	add := func(path, x, y string) {
		switch {
		case x == y, path == "name", path == "description", path == "source":
		case strings.HasSuffix(path, "].name"): // it stands in the path
		case strings.HasPrefix(path, "concessions[") && !strings.HasSuffix(path, "].source"):
		default:
			list = append(list, Difference{path, x, y})
		}
	}
	as, bs := a.Values(), b.Values()
	find := func(in []Value, path string) (int, bool) {
		i := slices.IndexFunc(in, func(v Value) bool { return v.Path == path })
		return i, i >= 0
	}
	// Both are in the order of the format: walk a, and put what only b has
	// where b has it.
	next := 0
	for _, x := range as {
		i, ok := find(bs, x.Path)
		if !ok {
			add(x.Path, x.Text, NotSet)
			continue
		}
		for ; next < i; next++ {
			if _, both := find(as, bs[next].Path); !both {
				add(bs[next].Path, NotSet, bs[next].Text)
			}
		}
		next = max(next, i+1)
		add(x.Path, x.Text, bs[i].Text)
	}
	for ; next < len(bs); next++ {
		if _, both := find(as, bs[next].Path); !both {
			add(bs[next].Path, NotSet, bs[next].Text)
		}
	}
	return list
}

// RealAddresses gives the addresses of the source that a lab of the profile's brokers can
// take, bootstrap first, then the brokers in the order of their ids: the first of the
// source's where it has more. None where it has fewer, or none.
func (p *Profile) RealAddresses() []string {
	s := p.Kafka.Listener.Source
	if s.Bootstrap == "" || len(s.Brokers) < p.Kafka.Brokers.Count {
		return nil
	}
	return append([]string{s.Bootstrap}, s.Brokers[:p.Kafka.Brokers.Count]...)
}

// What a host name can stand for, besides a broker, which is "broker." and its id.
const (
	BootstrapHost = "bootstrap"
	RegistryHost  = "registry"
)

// HostName is one host name of a profile.
type HostName struct {
	Name string
	Of   string // BootstrapHost, RegistryHost or e.g. "broker.3"
}

// HostNames gives every host name that a profile has.
func (p *Profile) HostNames() []HostName {
	var list []HostName
	add := func(name, of string) {
		if name != "" {
			list = append(list, HostName{name, of})
		}
	}
	add(p.Kafka.Listener.BootstrapHost, BootstrapHost)
	for i, h := range p.Kafka.Listener.BrokerHosts {
		add(h, fmt.Sprintf("broker.%d", int(p.Kafka.Brokers.FirstID)+i))
	}
	add(p.Registry.Host, RegistryHost)
	return list
}
