package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Login is what a client needs to reach a cluster as one user.
type Login struct {
	// Bootstrap holds host:port seeds; the first that answers serves.
	Bootstrap []string
	// User and Password are SCRAM-SHA-512 credentials, the mechanism of the
	// external listener at every site. An empty User means no SASL.
	User, Password string
	// TLS is nil for plaintext listeners.
	TLS *tls.Config
}

// Options returns the client options of this login.
func (l Login) Options() []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(l.Bootstrap...), kgo.ClientID("alertlab")}
	if l.User != "" {
		opts = append(opts, kgo.SASL(scram.Auth{User: l.User, Pass: l.Password}.AsSha512Mechanism()))
	}
	if l.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(l.TLS))
	}
	return opts
}

// NewClient makes a client for this login. It does not connect yet, so it
// fails only on options that contradict each other or on an empty bootstrap.
func NewClient(l Login, extra ...kgo.Opt) (*kgo.Client, error) {
	if len(l.Bootstrap) == 0 {
		return nil, errors.New("no bootstrap address")
	}
	return kgo.NewClient(append(l.Options(), extra...)...)
}

// Trust is the TLS side of a Login to listeners whose certificates are signed by the
// authorities in pem, and by no others. It fails when pem holds no certificate.
func Trust(pem []byte) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate authority: not a PEM certificate")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}
