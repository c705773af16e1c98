package network

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Link is a network interface as /sys/class/net shows it.
type Link struct {
	Name   string
	Device bool // a device of the machine (physical or virtual hardware) is behind it
	Bridge bool // other interfaces can be attached to it
	Paired bool // its other end or its parent lies elsewhere (veth, macvlan)
}

// Links reads the interfaces that a process sees, sorted by name, from a
// folder like /sys/class/net.
func Links(sys string) ([]Link, error) {
	entries, err := os.ReadDir(sys)
	if err != nil {
		return nil, err
	}
	var out []Link
	for _, e := range entries {
		dir := filepath.Join(sys, e.Name())
		index, err := os.ReadFile(filepath.Join(dir, "ifindex"))
		if err != nil {
			continue // bonding_masters and the like: files, not interfaces
		}
		peer, err := os.ReadFile(filepath.Join(dir, "iflink"))
		if err != nil {
			return nil, err
		}
		l := Link{Name: e.Name(), Paired: strings.TrimSpace(string(index)) != strings.TrimSpace(string(peer))}
		_, err = os.Stat(filepath.Join(dir, "device"))
		l.Device = err == nil
		_, err = os.Stat(filepath.Join(dir, "bridge"))
		l.Bridge = err == nil
		out = append(out, l)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// Own tells whether the interfaces are those of a container's own network at
// its start, and why. It says yes only for what an engine sets up: ethN whose
// other end lies elsewhere, and no bridge and no hardware. The host has
// hardware, or, being a container itself, at least the bridge of the engine
// that runs this node. A wrong no leaves the node's egress open; a wrong yes
// would cut the host off: hence in doubt, no.
func Own(links []Link) (own bool, why string) {
	var ends []string
	for _, l := range links {
		switch {
		case l.Bridge:
			return false, fmt.Sprintf("interface %s is a bridge: this is the network of a host", l.Name)
		case l.Device:
			return false, fmt.Sprintf("interface %s is a device of the machine: this is the network of a host", l.Name)
		case strings.HasPrefix(l.Name, "eth") && l.Paired:
			ends = append(ends, l.Name)
		case strings.HasPrefix(l.Name, "eth"):
			return false, fmt.Sprintf("interface %s is not one that an engine makes for a container", l.Name)
		}
	}
	if len(ends) == 0 {
		return false, "there is no interface eth0: the node has no network of an engine"
	}
	return true, "the node has its own network, by " + strings.Join(ends, ", ")
}
