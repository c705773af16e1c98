package main

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// forward is one listening port and the nodes behind it.
type forward struct {
	port     int
	backends []string // host names; the port is the same on the node
}

// parse reads k3d's values file: a map "ports" from "NUMBER.PROTOCOL" to node
// names, among settings that are left alone. It returns the TCP ports in
// ascending order and the keys that are not forwarded, with the reason.
func parse(text []byte) (tcp []forward, skipped []string, err error) {
	var file struct {
		Ports map[string][]string `yaml:"ports"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, nil, err
	}
	for key, backends := range file.Ports {
		number, protocol, _ := strings.Cut(key, ".")
		port, err := strconv.ParseUint(number, 10, 16)
		switch {
		case err != nil || port == 0:
			return nil, nil, fmt.Errorf("ports: %q does not begin with a port number", key)
		case protocol != "tcp":
			skipped = append(skipped, key+" (only tcp is forwarded)")
		case len(backends) == 0:
			skipped = append(skipped, key+" (no node behind it)")
		default:
			tcp = append(tcp, forward{int(port), backends})
		}
	}
	sort.Slice(tcp, func(i, j int) bool { return tcp[i].port < tcp[j].port })
	sort.Strings(skipped)
	return tcp, skipped, nil
}
