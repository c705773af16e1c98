package election

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strconv"
)

const (
	// protocolType tells the coordinator that this is no consumer group.
	protocolType = "sr"
	// protocol is the only version of the protocol that there is.
	protocol = "v0"
	// formatVersion is the version of both JSON formats.
	formatVersion = 1
)

// Errors within an assignment.
const (
	noError = 0
	// duplicateURLs: two members tell the same address, so that nobody can tell
	// where to forward requests to.
	duplicateURLs = 1
)

// Identity is what a member says of itself.
type Identity struct {
	Host string `json:"host"`
	Port int    `json:"port"`
	// Eligible is whether the member may become the leader.
	Eligible bool   `json:"master_eligibility"`
	Scheme   string `json:"scheme"`
	Version  int    `json:"version"`
	// Leader is whether it is the leader already.
	Leader bool `json:"leader"`
}

// Parse makes the identity of an eligible member that others reach at an
// address, such as http://registry-0.registry:8081.
func Parse(address string) (Identity, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Identity{}, err
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return Identity{}, fmt.Errorf("%q does not begin with http:// or https://", address)
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return Identity{}, fmt.Errorf("%q has more than scheme, host and port", address)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 || u.Hostname() == "" {
		return Identity{}, fmt.Errorf("%q must name a host and a port", address)
	}
	return Identity{Version: formatVersion, Host: u.Hostname(), Port: int(port), Eligible: true, Scheme: u.Scheme}, nil
}

// URL is where the member is reached.
func (i Identity) URL() string {
	if i.Scheme == "" {
		i.Scheme = "http"
	}
	return i.Scheme + "://" + net.JoinHostPort(i.Host, strconv.Itoa(i.Port))
}

// assignment is what every member gets: who leads.
type assignment struct {
	Error  int    `json:"error"`
	Leader string `json:"master,omitempty"` // its member id
	// Identity is absent when no member is eligible.
	Identity *Identity `json:"master_identity,omitempty"`
	Version  int       `json:"version"`
}

// assign names the leader: the eligible member that leads already, else the one
// with the smallest address.
func assign(members map[string]Identity) assignment {
	out := assignment{Version: formatVersion}
	urls := make(map[string]bool)
	for id, m := range members {
		if urls[m.URL()] {
			out.Error = duplicateURLs
		}
		urls[m.URL()] = true
		if !m.Eligible {
			continue
		}
		best := out.Identity
		if best == nil || m.Leader && !best.Leader || m.Leader == best.Leader && m.URL() < best.URL() {
			out.Leader, out.Identity = id, &m
		}
	}
	return out
}

// encode gives the JSON of either format.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // neither format has anything that JSON does not
	}
	return b
}

// decodeMember reads what a member says of itself.
func decodeMember(b []byte) (Identity, error) {
	var i Identity
	if err := json.Unmarshal(b, &i); err != nil {
		return Identity{}, fmt.Errorf("a member's identity: %w", err)
	}
	return i, nil
}

// decodeAssignment reads who leads.
func decodeAssignment(b []byte) (assignment, error) {
	var a assignment
	if err := json.Unmarshal(b, &a); err != nil {
		return assignment{}, fmt.Errorf("the group's assignment: %w", err)
	}
	if a.Error == noError && a.Identity != nil && (a.Identity.Host == "" || a.Leader == "") {
		return assignment{}, fmt.Errorf("the group's assignment names a leader without an address: %s", b)
	}
	return a, nil
}
