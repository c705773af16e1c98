package phalanx

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// values are the values of a file by their paths, e.g.
// alert-stream-broker.kafka.users[0].username; an empty list or mapping is a
// value too. What was asked for is marked as seen.
type values struct {
	texts map[string]string
	order []string // paths as they stand in the file
	lines map[string]int
	seen  map[string]bool
	nodes int // that were looked at, aliases written out
}

// most is how many values a file may have: aliases are written out, and a file
// of some lines could be made of millions of them.
const most = 10_000

var errTooMany = fmt.Errorf("the file has more than %d values", most)

func read(data []byte) (*values, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it is no mapping of keys to values")
	}
	v := &values{texts: map[string]string{}, lines: map[string]int{}, seen: map[string]bool{}}
	return v, v.add("", doc.Content[0], 0)
}

func (v *values) add(path string, n *yaml.Node, depth int) error {
	// Nodes are counted, too: what stands twice under one key adds no value.
	if v.nodes++; len(v.order) > most || v.nodes > 10*most || depth > 100 {
		return errTooMany
	}
	switch {
	case n.Kind == yaml.AliasNode:
		return v.add(path, n.Alias, depth+1)
	case n.Kind == yaml.MappingNode && len(n.Content) > 0:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if path != "" {
				key = path + "." + key
			}
			if err := v.add(key, n.Content[i+1], depth+1); err != nil {
				return err
			}
		}
	case n.Kind == yaml.SequenceNode && len(n.Content) > 0:
		for i, item := range n.Content {
			if err := v.add(fmt.Sprintf("%s[%d]", path, i), item, depth+1); err != nil {
				return err
			}
		}
	default:
		if _, twice := v.texts[path]; !twice {
			v.order = append(v.order, path)
		}
		v.texts[path], v.lines[path] = n.Value, n.Line
	}
	return nil
}

// has tells whether there is a value at path or below it.
func (v *values) has(path string) bool {
	return slices.ContainsFunc(v.order, func(p string) bool { return p == path || below(p, path) })
}

func below(path, parent string) bool {
	return strings.HasPrefix(path, parent+".") || strings.HasPrefix(path, parent+"[")
}

// peek gives the text at path without marking it.
func (v *values) peek(path string) string { return v.texts[path] }

// text takes the text at path, "" when there is none.
func (v *values) text(path string) string {
	text, ok := v.texts[path]
	if ok && text != "" {
		v.seen[path] = true
	}
	return text
}

// number takes a whole number that is at least 1; one that is not stays unseen.
func (v *values) number(path string) (int, bool) {
	n, err := strconv.Atoi(v.texts[path])
	if err != nil || n < 1 || n > 1<<31-1 {
		return 0, false
	}
	v.seen[path] = true
	return n, true
}

// list takes a list of texts, or the one text that stands in its place.
func (v *values) list(path string) []string {
	if text := v.text(path); text != "" {
		return []string{text}
	}
	var out []string
	for i := range v.entries(path) {
		if text := v.text(fmt.Sprintf("%s[%d]", path, i)); text != "" {
			out = append(out, text)
		}
	}
	return out
}

var index = regexp.MustCompile(`^\[([0-9]+)\]`)

// entries gives how many entries the list at path has.
func (v *values) entries(path string) int {
	n := 0
	for _, p := range v.order {
		if rest, ok := strings.CutPrefix(p, path); ok {
			if m := index.FindStringSubmatch(rest); m != nil {
				if i, err := strconv.Atoi(m[1]); err == nil {
					n = max(n, i+1)
				}
			}
		}
	}
	return n
}

// keys gives the paths right below path that hold one value, by their last key,
// in the order of the file. Keys of Kafka's settings have dots of their own.
func (v *values) keys(path string) (keys []string) {
	for _, p := range v.order {
		if rest, ok := strings.CutPrefix(p, path+"."); ok && !strings.Contains(rest, "[") {
			keys = append(keys, rest)
		}
	}
	return keys
}

// left lists what nobody asked for: a value each, or the mapping around several
// of which nobody took any.
func (v *values) left() []Left {
	taken := map[string]bool{} // every path at or above a value that was taken
	for path := range maps.Keys(v.seen) {
		for p := path; p != ""; p = parent(p) {
			taken[p] = true
		}
	}
	var out []Left
	done := map[string]bool{}
	for _, path := range v.order {
		if v.seen[path] {
			continue
		}
		top := path
		for p := parent(path); p != "" && !taken[p]; p = parent(p) {
			top = p
		}
		if done[top] {
			continue
		}
		done[top] = true
		out = append(out, Left{Path: top, Line: v.lines[path], Why: reason(top)})
	}
	return out
}

// parent gives the path around path.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// reason says why a value is not taken over, where that is known.
func reason(path string) string {
	for _, r := range []struct{ pattern, why string }{
		{`(?i)(\.ip|loadBalancerIP[s]?)$`, "the source's addresses are taken where bootstrap and every broker have one"},
		{`users\[[0-9]+\](\.groups.*)?$`, "a reader has topics, and the one group prefix that is its own name"},
		{`\.communityReadonlyTopics$`, "it is written out where others refer to it"},
		{`(?i)serviceAccounts(\[|$|\.)`, "the services of a lab have the users of its stack"},
		{`\.enabled$`, "the stack decides on what there is"},
		{`resources(\.requests|\.limits)?$`, "a profile says whole processors and memory, both or neither"},
		{`(?i)vault`, "a lab makes its own passwords"},
		{`(?i)(image|tag|digest|pullPolicy)(\.|$)`, "the stack decides on images"},
		{`(?i)(strimzi-registry-operator|kafkaExporter|cruiseControl|kafbat|kafdrop|metricsConfig|prometheus)`, "the stack decides on what runs beside Kafka"},
		{`(?i)(serviceAccountName|gcp\.|projectID|logLevel)`, "a lab has no such thing"},
		{`(?i)schemaRegistryURL$`, "a lab has its own registry"},
	} {
		if regexp.MustCompile(r.pattern).MatchString(path) {
			return r.why
		}
	}
	return "no key of a profile says this"
}
