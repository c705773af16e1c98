package smoke

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// dialTimeout bounds one connection attempt, so that a broker that is gone is
// told apart from a check that takes long.
const dialTimeout = 3 * time.Second

// Env is what a check sees of a lab.
type Env struct {
	Endpoints   endpoints.Endpoints
	Credentials endpoints.Credentials
	// Seed makes the random choices of a run repeatable.
	Seed uint64

	http    *http.Client
	tls     *tls.Config
	timeout time.Duration // of the check, without what it may wait for
	waiting func(what string)
}

// NewEnv prepares the clients for a card. It fails when the card's CA cannot be
// read: what stands in the card itself counts, else the file that it names.
func NewEnv(e endpoints.Endpoints, c endpoints.Credentials, seed uint64) (*Env, error) {
	env := &Env{Endpoints: e, Credentials: c, Seed: seed, timeout: DefaultTimeout, waiting: func(string) {}}
	web := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.Kafka.CA != "" || e.Kafka.CAFile != "" {
		pem, from := []byte(e.Kafka.CA), "the connection card"
		if len(pem) == 0 {
			var err error
			if pem, err = os.ReadFile(e.Kafka.CAFile); err != nil {
				return nil, fmt.Errorf("CA file of the lab: %w", err)
			}
			from = e.Kafka.CAFile
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA file of the lab: no PEM certificate in %s", from)
		}
		web.RootCAs = pool
	}
	if e.Kafka.Security == "SASL_SSL" {
		env.tls = web.Clone()
	}
	env.http = newHTTPClient(web)
	return env, nil
}

func (e *Env) interval() time.Duration { return time.Duration(e.Endpoints.Simulator.Interval) }

// Waiting tells whoever watches the run what the check waits for. It is shown
// as the reason when the wait outlasts the check's time.
func (e *Env) Waiting(format string, args ...any) { e.waiting(fmt.Sprintf(format, args...)) }

func (e *Env) hasPassword(user string) bool { return e.Credentials.Kafka[user] != "" }

func (e *Env) superuser() string {
	for _, u := range e.Endpoints.Users {
		if u.Role == endpoints.Superuser && e.hasPassword(u.Name) {
			return u.Name
		}
	}
	return ""
}

// readers are the readers that can log in and may read something, in card order.
func (e *Env) readers() []endpoints.User {
	var out []endpoints.User
	for _, u := range e.Endpoints.Users {
		if u.Role == endpoints.Reader && len(u.Topics) > 0 && e.hasPassword(u.Name) {
			out = append(out, u)
		}
	}
	return out
}

// observer is the user for looking at the cluster: the superuser, else the
// first user with a password.
func (e *Env) observer() string {
	if su := e.superuser(); su != "" {
		return su
	}
	for _, u := range e.Endpoints.Users {
		if e.hasPassword(u.Name) {
			return u.Name
		}
	}
	return ""
}

// streamReader is the user for reading the simulator's topic: the superuser,
// else a reader that may.
func (e *Env) streamReader() string {
	if su := e.superuser(); su != "" {
		return su
	}
	for _, u := range e.readers() {
		if granted(u, e.Endpoints.Simulator.Topic) {
			return u.Name
		}
	}
	return ""
}

func granted(u endpoints.User, topic string) bool {
	return slices.Contains(u.Topics, "*") || slices.Contains(u.Topics, topic)
}

// login is the way in for one user, with its own password.
func (e *Env) login(user string, seeds ...string) kafka.Login {
	if len(seeds) == 0 {
		seeds = []string{e.Endpoints.Kafka.Bootstrap}
	}
	return kafka.Login{Bootstrap: seeds, User: user, Password: e.Credentials.Kafka[user], TLS: e.tls}
}

// newClient makes a client for raw requests. Versions are held at those of
// Kafka 3.0, which every later broker still answers: from there on requests
// name topics by id, and an id must be looked up first, which is itself
// subject to the grants under test.
func newClient(l kafka.Login, extra ...kgo.Opt) (*kgo.Client, error) {
	opts := []kgo.Opt{
		kgo.MaxVersions(kversion.V3_0_0()),
		kgo.DialTimeout(dialTimeout),
		kgo.RetryTimeout(2 * dialTimeout),
	}
	return kafka.NewClient(l, append(opts, extra...)...)
}

// token is a secret that opens the alert database, "" when none is known or needed.
func (e *Env) token() string { return e.Endpoints.AlertDB.Secret(e.Credentials, time.Now()) }

// random gives the random source of one check in this run.
func (e *Env) random(check string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(check))
	return rand.New(rand.NewPCG(e.Seed, h.Sum64()))
}
