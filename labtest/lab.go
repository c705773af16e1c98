package labtest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/endpoints"
)

// Lab is a lab that runs, with everything that a client of it needs. Its methods may be
// called by several goroutines at once. What they give is closed with the lab.
type Lab struct {
	// Endpoints says where everything answers, as the connection card does. Through
	// its handles single brokers can be killed and restarted, where the lab runs in
	// this process.
	Endpoints endpoints.Endpoints
	// Credentials are the passwords of its users, the keys of its object store and
	// the secrets of its tokens.
	Credentials endpoints.Credentials

	mu     sync.Mutex
	closed bool
	ends   []func()
}

// atEnd runs f when the lab is closed, the last one first.
func (l *Lab) atEnd(f func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		f()
		return errors.New("the lab is closed")
	}
	l.ends = append(l.ends, f)
	return nil
}

// close closes every client.
func (l *Lab) close() {
	l.mu.Lock()
	ends := l.ends
	l.ends, l.closed = nil, true
	l.mu.Unlock()
	for i := len(ends) - 1; i >= 0; i-- {
		ends[i]()
	}
}

// tls gives what clients trust, nil where the lab has no TLS.
func (l *Lab) tls() (*tls.Config, error) {
	if l.Endpoints.Kafka.Security != "SASL_SSL" {
		return nil, nil
	}
	return kafka.Trust([]byte(l.Endpoints.Kafka.CA))
}

// web is the client of the lab's HTTP services.
func (l *Lab) web() (*http.Client, error) {
	trust, err := l.tls()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy, transport.TLSClientConfig = nil, trust // the lab is on this machine
	return &http.Client{Transport: transport}, l.atEnd(transport.CloseIdleConnections)
}

// Kafka gives a client that logs in as a user, by SCRAM-SHA-512 as at the real sites;
// "" is the superuser. It does not connect yet. Groups of a reader must begin with the
// user's name. It fails on a user that the lab does not have, and on options that
// contradict each other.
func (l *Lab) Kafka(user string, opts ...kgo.Opt) (*kgo.Client, error) {
	if user == "" {
		user = l.Endpoints.Superuser()
	}
	password := l.Credentials.Kafka[user]
	if password == "" {
		var names []string
		for _, u := range l.Endpoints.Users {
			names = append(names, u.Name)
		}
		return nil, fmt.Errorf("the lab has no user %q; it has %q", user, names)
	}
	trust, err := l.tls()
	if err != nil {
		return nil, err
	}
	client, err := kafka.NewClient(kafka.Login{Bootstrap: []string{l.Endpoints.Kafka.Bootstrap}, User: user, Password: password, TLS: trust}, opts...)
	if err != nil {
		return nil, err
	}
	return client, l.atEnd(client.Close)
}

// Registry gives a client of the schema registry. In this process it may write; in a
// container only what everybody reaches is published, and that is read-only.
func (l *Lab) Registry() (*sr.Client, error) {
	url := l.Endpoints.Registry.AdminURL
	if url == "" {
		url = l.Endpoints.Registry.URL
	}
	web, err := l.web()
	if err != nil {
		return nil, err
	}
	return sr.NewClient(sr.URLs(url), sr.HTTPClient(web))
}

// S3 gives a client of the object store that may do everything. The buckets are in
// Endpoints.ObjectStore.
func (l *Lab) S3() (*s3.Client, error) {
	web, err := l.web()
	if err != nil {
		return nil, err
	}
	keys := l.Credentials.ObjectStore
	return s3.New(s3.Options{BaseEndpoint: aws.String(l.Endpoints.ObjectStore.URL), Region: l.Endpoints.ObjectStore.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKey, keys.SecretKey, ""), HTTPClient: web}), nil
}

// AlertDB gives a client of the alert database, with a token where one is asked for.
func (l *Lab) AlertDB() (archive.Client, error) {
	web, err := l.web()
	return archive.Client{URL: l.Endpoints.AlertDB.URL, HTTP: web, Token: l.Endpoints.AlertDB.Secret(l.Credentials, time.Now())}, err
}
