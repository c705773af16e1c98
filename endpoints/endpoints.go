package endpoints

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Endpoints says where everything of one lab answers.
type Endpoints struct {
	Lab         string      `json:"lab"`
	Profile     string      `json:"profile"`
	Provider    string      `json:"provider"` // embedded, k3d, kind, existing
	Kafka       Kafka       `json:"kafka"`
	Users       []User      `json:"users"`
	Registry    Registry    `json:"registry"`
	Simulator   Simulator   `json:"simulator"`
	AlertDB     AlertDB     `json:"alertDatabase"`
	ObjectStore ObjectStore `json:"objectStore"`
	// ArgoCD is where a lab that Argo CD deploys is seen and synced; zero elsewhere.
	ArgoCD ArgoCD `json:"argocd,omitzero"`
	// Ingress is the way in by host names, over TLS; zero where a lab has none.
	Ingress Ingress `json:"ingress,omitzero"`
	// Hosts are the host names of the profile, for whoever can have them
	// resolved: the lab itself announces addresses.
	Hosts []Host `json:"hosts,omitempty"`
	// Concessions lists the stated differences between the profile and
	// this lab, one sentence each.
	Concessions []string `json:"concessions,omitempty"`

	// Handles are of this process, and no part of the card on disk.
	Handles Handles `json:"-"`
}

// Host is a host name and the address that it stands for.
type Host struct {
	Name    string `json:"name"`
	Address string `json:"address"` // without a port
}

// Line is the host as a line of a hosts file, hosts(5), with its end. Such a file gives
// names to IP addresses only: a host that stands for a name, as in a lab that is
// advertised at one, becomes a comment.
func (h Host) Line() string {
	if net.ParseIP(h.Address) == nil {
		return fmt.Sprintf("# %s stands for %s, which a name server can say (CNAME) and no hosts file\n", h.Name, h.Address)
	}
	return fmt.Sprintf("%s\t%s\n", h.Address, h.Name)
}

// Domain is what a lab's own host names are below; test is nobody's (RFC 6761).
func Domain(lab string) string { return lab + ".alertlab.test" }

// OwnHosts are the lab's own names for what has an address: bootstrap, each broker,
// the registry's front and the alert database, and those of the ingress.
func (e Endpoints) OwnHosts() []Host {
	var out []Host
	add := func(name, address string) {
		if host, _, err := net.SplitHostPort(address); err == nil {
			out = append(out, Host{Name: name + "." + Domain(e.Lab), Address: host})
		}
	}
	add("bootstrap", e.Kafka.Bootstrap)
	for _, b := range e.Kafka.Brokers {
		add(fmt.Sprintf("broker-%d", b.ID), b.Address)
	}
	add("registry", strings.TrimPrefix(e.Registry.URL, "http://"))
	add("alertdb", strings.TrimPrefix(e.AlertDB.URL, "http://"))
	for _, text := range e.Ingress.URLs() {
		host, _, err := net.SplitHostPort(e.Ingress.Address)
		if u, wrong := url.Parse(text); err == nil && wrong == nil {
			out = append(out, Host{Name: u.Hostname(), Address: host})
		}
	}
	return out
}

// Kafka is the external listener of the cluster.
type Kafka struct {
	Bootstrap string   `json:"bootstrap"` // host:port
	Brokers   []Broker `json:"brokers"`
	Security  string   `json:"security"`         // SASL_PLAINTEXT or SASL_SSL
	Mechanism string   `json:"mechanism"`        // SCRAM-SHA-512
	CAFile    string   `json:"caFile,omitempty"` // PEM file, when Security is SASL_SSL
	CA        string   `json:"ca,omitempty"`     // what stands in CAFile, for clients on other hosts
	// StoredOnce says that every record is stored once, whatever the number of
	// replicas says: what a broker held is back with it, and not elsewhere.
	StoredOnce       bool `json:"storedOnce,omitempty"`
	AutoCreateTopics bool `json:"autoCreateTopics"` // what the profile wants of auto.create.topics.enable
}

// Broker is one broker at its own address.
type Broker struct {
	ID      int32  `json:"id"`
	Address string `json:"address"` // host:port
}

// Role says what a user may do.
type Role string

// The roles of users.
const (
	Superuser Role = "superuser" // everything
	Reader    Role = "reader"    // reads Topics, uses groups that begin with its own name
	Service   Role = "service"   // a part of the system itself
)

// User is a Kafka user without its password.
type User struct {
	Name   string   `json:"name"`
	Role   Role     `json:"role"`
	Topics []string `json:"topics,omitempty"` // topics a reader may read; "*" is all
}

// Registry is the schema registry.
type Registry struct {
	URL      string   `json:"url"`      // the read-only front: GET and HEAD only
	AdminURL string   `json:"adminURL"` // the registry itself, inside the lab
	Subject  string   `json:"subject"`  // alert-packet: holds every version
	Versions []string `json:"versions"` // alert schema versions, e.g. "11.0"
}

// Simulator is what the simulator publishes.
type Simulator struct {
	StaticTopic string   `json:"staticTopic"` // the reservoir, e.g. alerts-static
	Topic       string   `json:"topic"`       // where visits are played to, e.g. alerts-simulated
	Interval    Duration `json:"interval"`    // between the starts of two visits
	Alerts      int      `json:"alerts"`      // alerts a visit
	Schema      string   `json:"schema"`      // alert schema version, e.g. "11.0"
}

// AlertDB is the alert database.
type AlertDB struct {
	URL string `json:"url"` // its HTTP API begins at URL/v1
	// Scope is what a token must have to fetch anything; empty when none is
	// asked for.
	Scope  string  `json:"scope,omitempty"`
	Tokens []Token `json:"tokens,omitempty"`
}

// Token is a key to the alert database without its secret.
type Token struct {
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Expires time.Time `json:"expires,omitzero"` // zero is never
}

// Opens says whether a token lets its bearer fetch alerts at a time.
func (a AlertDB) Opens(t Token, at time.Time) bool {
	return slices.Contains(t.Scopes, a.Scope) && (t.Expires.IsZero() || at.Before(t.Expires))
}

// Secret gives the secret of the first token that opens the alert database at a
// time, "" when there is none or none is asked for.
func (a AlertDB) Secret(c Credentials, at time.Time) string {
	if a.Scope == "" {
		return ""
	}
	for _, t := range a.Tokens {
		if c.Tokens[t.Name] != "" && a.Opens(t, at) {
			return c.Tokens[t.Name]
		}
	}
	return ""
}

// ObjectStore is the S3 server under the alert database.
type ObjectStore struct {
	URL          string `json:"url"`
	Region       string `json:"region"`
	AlertBucket  string `json:"alertBucket"`
	SchemaBucket string `json:"schemaBucket"` // may be the same bucket
}

// ArgoCD is the Argo CD of a lab.
type ArgoCD struct {
	URL    string `json:"url"`
	User   string `json:"user"`   // who may do everything; its password is in Credentials.Accounts
	CAFile string `json:"caFile"` // PEM file of the authority that signed its certificate
	// Application is the parent of all others.
	Application string `json:"application"`
}

// Ingress is the way in by host names: whoever has them stand for the host of Address, or
// dials Address whatever the name, reaches each URL.
type Ingress struct {
	Address     string `json:"address"` // host:port, of the port in the URLs
	CAFile      string `json:"caFile"`  // PEM file of the authority that signed the certificates
	CA          string `json:"ca"`      // what stands in CAFile, for clients on other hosts
	RegistryURL string `json:"registryURL"`
	AlertDBURL  string `json:"alertDatabaseURL"` // its HTTP API begins at URL/v1
	ArgoCDURL   string `json:"argocdURL,omitempty"`
}

// URLs are those that there are.
func (i Ingress) URLs() []string {
	var out []string
	for _, u := range []string{i.RegistryURL, i.AlertDBURL, i.ArgoCDURL} {
		if u != "" {
			out = append(out, u)
		}
	}
	return out
}

// Credentials are the secrets of a lab. They live in one file with mode 0600
// and are never part of a plan, an event or a log.
type Credentials struct {
	Kafka       map[string]string `json:"kafka"` // user -> password
	ObjectStore Keys              `json:"objectStore"`
	Tokens      map[string]string `json:"tokens,omitempty"` // name -> secret
	// Accounts are passwords at programs of others: of an administrator by the name of the
	// program, e.g. argocd, of the object store's users by theirs.
	Accounts map[string]string `json:"accounts,omitempty"`
}

// Keys is an S3 key pair.
type Keys struct {
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
}

// String keeps secrets out of logs and error texts.
func (Credentials) String() string { return "credentials (not shown)" }

// GoString keeps secrets out of %#v.
func (Credentials) GoString() string { return "endpoints.Credentials{}" }

// String keeps the secret key out of logs and error texts.
func (k Keys) String() string { return fmt.Sprintf("access key %s", k.AccessKey) }

// GoString keeps the secret key out of %#v.
func (k Keys) GoString() string { return k.String() }

// Superuser gives the name of the first superuser, "" when there is none.
func (e Endpoints) Superuser() string {
	for _, u := range e.Users {
		if u.Role == Superuser {
			return u.Name
		}
	}
	return ""
}

// Duration is a time.Duration that JSON writes as Go writes it, e.g. "37s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}
