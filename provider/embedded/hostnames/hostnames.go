// Package hostnames writes the host names of a profile down with the addresses that
// an embedded lab has for them, as the lines of a hosts file: external-dns and the
// sites' own name servers do that elsewhere. Nobody but the user may put them into
// force, because no lab changes how a machine finds names.
package hostnames

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
)

type input struct {
	Names []name `json:"names"`
}

type name struct {
	Name    string `json:"name"`
	Address string `json:"address"` // host:port
}

// Want describes a profile's host names.
func Want(p *profiles.Profile) plan.Want {
	in := input{Names: []name{}}
	for _, h := range p.HostNames() {
		address := "addresses." + h.Of
		if h.Of == profiles.RegistryHost {
			address = "addresses.registry-front" // what readers know as the registry
		}
		in.Names = append(in.Names, name{Name: h.Name, Address: "${" + address + "}"})
	}
	title := "no host names: brokers and registry are known by their addresses"
	if n := len(in.Names); n > 0 {
		title = fmt.Sprintf("%d host names, as lines of a hosts file", n)
	}
	return plan.Want{Title: title, Input: plan.Input(in)}
}

// New makes the part.
func New(host *embedded.Host) plan.Part {
	return &part{path: filepath.Join(host.Dir.Path(), "hosts")}
}

type part struct{ path string }

// Observe implements plan.Part.
func (p *part) Observe(_ context.Context, look plan.Look) (plan.Observation, error) {
	if look.Last == nil {
		return plan.Observation{State: plan.Absent, Why: "this lab has not written them yet"}, nil
	}
	lines, err := linesOf(look.Last)
	if err != nil {
		return plan.Observation{}, err
	}
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d names are in %s", strings.Count(lines, "\n"), p.path)}
	if lines == "" {
		o.Why = "there are none"
	}
	switch have, err := os.ReadFile(p.path); {
	case errors.Is(err, fs.ErrNotExist) && lines != "":
		o.Drift = p.path + " is missing"
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return plan.Observation{}, err
	case string(have) != lines:
		o.Drift = p.path + " is not what was written"
	}
	return o, nil
}

// Apply implements plan.Part: the file is replaced at once, or removed when there
// are no names.
func (p *part) Apply(_ context.Context, order plan.Order) (map[string]string, error) {
	lines, err := linesOf(order.Input)
	if err != nil {
		return nil, err
	}
	if lines == "" {
		if err := os.Remove(p.path); !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(p.path), ".hosts-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(lines)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return nil, err
	}
	return nil, os.Rename(tmp.Name(), p.path)
}

// linesOf writes a resolved input as lines of a hosts file.
func linesOf(text json.RawMessage) (string, error) {
	var in input
	if err := json.Unmarshal(text, &in); err != nil {
		return "", fmt.Errorf("the host names: %w", err)
	}
	var b strings.Builder
	for _, n := range in.Names {
		host, _, err := net.SplitHostPort(n.Address)
		if err != nil {
			return "", fmt.Errorf("the address of %s: %w", n.Name, err)
		}
		b.WriteString(endpoints.Host{Name: n.Name, Address: host}.Line())
	}
	return b.String(), nil
}
